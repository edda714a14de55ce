"""The page's drawings and words, and what writes it: scenarios kept, files, commands, the job."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from escalation_forecast.archive import ArchiveError, Run
from escalation_forecast.cli import app
from escalation_forecast.job import after
from escalation_forecast.job.config import Config
from escalation_forecast.ledger import Ledger
from escalation_forecast.page import render, what_if, write_page
from escalation_forecast.page.chart import HEIGHT, Axis, Chart
from escalation_forecast.page.material import Material
from escalation_forecast.page.words import age, loosened, part_name, place, points, signed, window_name
from escalation_forecast.question_file import load_questions
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from page_text import EARLIER, LATER, small, two_runs
from run_folder import summary_of


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Ledger]:
    with two_runs(tmp_path) as ledger:
        yield ledger


# Drawing and words -----------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_axis_holds_all_values_and_ticks(values: list[float]) -> None:
    axis = Axis.around(values)
    assert all(0 <= axis.y(v) <= HEIGHT for v in values)
    assert all(axis.low - 1e-6 <= t <= axis.high + 1e-6 for t in axis.ticks())
    assert len(axis.ticks()) <= 8


def test_line_breaks_at_gaps_and_higher_is_higher() -> None:
    chart = Chart("a", "", Axis(0.0, 10.0), 5)
    chart.line("line", range(5), [0.0, 10.0, np.nan, 5.0, 5.0])
    assert chart.shapes == [("line", "M0 1000L500 0M1500 500L2000 500")]
    chart.dot("dot", 4, 10.0)
    chart.dot("dot", 4, np.nan)
    assert chart.dots == [(100.0, 0.0, "dot")]


def test_words() -> None:
    assert signed(-0.04) == "+0.0"
    assert signed(-1.25, 2) == "−1.25"
    assert signed(float("nan")) == "–"
    assert points(0.0004) == "+0.04"
    assert points(-0.031) == "−3.1"
    assert window_name("36m") == "within 36 months"
    assert window_name("any-2026-2028") == "in at least one year of 2026 to 2028"
    assert window_name("by-2027-12") == "by December 2027"
    assert place("CHN-TWN") == "China and Taiwan"
    assert place("something-else") == "something-else"
    assert part_name("fatal-clash", ("25", "KOR-PRK"), {}) == "South Korea and North Korea, 25 deaths or more"
    assert part_name("troops-exceed", ("15000",), {}) == "above 15,000"
    assert age(59) == "59 days"
    assert age(400) == "13 months"
    assert age(1000) == "2.7 years"
    assert loosened({"discount": 0.02, "slope": 0.05, "base": None}, 0.03) == "2.0 % to 5.0 %"
    assert loosened(None, 0.03) == ""


# Scenarios, files, commands --------------------------------------------------------------------------


@pytest.mark.slow
def test_scenarios_are_kept_beside_the_run(
    updater: Updater, year_run: Run, known: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from escalation_forecast.scenario import Scenarios

    before = {f.name: f.stat().st_mtime_ns for f in year_run.folder.iterdir()}
    run_one = lambda self: [self.run("troop-withdrawal", readouts=False)]  # noqa: E731
    monkeypatch.setattr(Scenarios, "run_all", run_one)
    material = Material(year_run.summary, year_run.folder, known, load_questions())
    first = what_if.scenarios(material, updater, tmp_path / "pages")
    monkeypatch.setattr(Scenarios, "of", lambda *_: pytest.fail("it was found before"))
    assert what_if.scenarios(material, updater, tmp_path / "pages") == first
    assert {f.name: f.stat().st_mtime_ns for f in year_run.folder.iterdir()} == before
    assert [s["name"] for s in first] == ["troop-withdrawal"]
    told = [row for row in first[0]["rows"] if row["at"]]
    assert told
    assert all(0.0 <= row["at"][k] <= 1.0 for row in told for k in ("low", "mean", "high"))


def test_page_appears_whole_or_not_at_all(year_run: Run, known: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match="cannot take"):
        write_page(year_run, tmp_path / "file" / "page.html", store=known, explorer=False)
    with pytest.raises(DataError, match="no draws; leave out --scenarios"):
        write_page(small(summary_of(as_of="2026-06-15", theatres=[], spending=[], war=None), tmp_path),
                   tmp_path / "page.html", store=known, scenarios=True, explorer=False)  # fmt: skip
    assert not (tmp_path / "page.html").exists()


def test_damaged_table_is_named(known: Store, year_run: Run, tmp_path: Path) -> None:
    (tmp_path / "latent.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"latent.parquet is damaged"):
        render(Run(tmp_path, year_run.summary), store=known, explorer=False)


def test_command_writes_the_page_of_a_folder(year_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    asked = ["report", "--out", str(out), "--run", str(year_run.folder), "--no-explorer", "--json",
             "--archive", f"sqlite:///{tmp_path / 'none.sqlite'}"]  # fmt: skip
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {"file": str(out), "bytes": out.stat().st_size}
    assert out.stat().st_size < 5_000_000
    assert [f.name for f in tmp_path.iterdir()] == ["page.html"]


def test_command_finds_the_run_without_an_archive(
    year_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody asks for right after the first forecast."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ESCALATION_FORECAST_ARCHIVE", raising=False)
    own = str(year_run.summary["run_id"])
    shutil.copytree(year_run.folder, tmp_path / "runs" / own)
    summary = dict(year_run.summary) | {"draft": False, "published": True}
    (tmp_path / "runs" / own / "summary.json").write_text(json.dumps(summary))
    for options in ([], ["--run", own]):
        result = CliRunner().invoke(app, ["report", "--out", "page.html", "--no-explorer", *options])
        assert result.exit_code == 0, result.output
        assert own in Path("page.html").read_text()
    assert not Path("runs/archive.sqlite").exists()


@pytest.mark.parametrize(("options", "said"), [
    (["--out", "."], "is a folder"),
    (["--out", "x.html", "--run", "abc"], "no run id"),
    (["--out", "x.html"], "No run of the archive is published yet"),
])  # fmt: skip
def test_command_says_what_is_wrong(
    options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Ledger.open("sqlite:///a.sqlite", "runs").close()
    result = CliRunner().invoke(
        app, ["report", *options, "--archive", "sqlite:///a.sqlite", "--files", "runs"]
    )
    assert result.exit_code == 2
    assert said in result.output


def test_job_writes_the_page_with_its_own_data(
    two: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = "escalation_forecast.report.terminal.print_summary"
    monkeypatch.setattr(terminal, lambda summary, screen: screen.print(summary["run_id"]))
    given = {"url": str(two.engine.url), "files": two.files.place}
    own = {"out": tmp_path / "reports", "explorer": False}
    config = Config.model_validate({"archive": given, "report": own})
    assert after.report(two.get(LATER), config) == str(tmp_path / "reports" / f"{LATER}.html")
    page = (tmp_path / "reports" / f"{LATER}.html").read_text()
    assert (tmp_path / "reports" / "latest.html").read_text() == page
    assert "20.0" in page
    assert LATER in (tmp_path / "reports" / "latest.txt").read_text()
    config = Config.model_validate({"archive": given, "report": own | {"page": False}})
    assert after.report(two.get(EARLIER), config).endswith(".txt")
    assert not (tmp_path / "reports" / f"{EARLIER}.html").exists()
