"""``data add`` and ``data code``: an own indicator, and figures coded by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from escalation_forecast import intake
from escalation_forecast.cli import app
from escalation_forecast.intake.coding import coded_figures, figure_of
from escalation_forecast.intake.loading import NORMAL_90, said
from escalation_forecast.intake.table import figures_of
from escalation_forecast.model import build_model, model_coords
from escalation_forecast.panel import build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from small_store import part_of

DAY = dt.date(2026, 11, 27)
MAPPING = intake.Mapping(
    "drills_korea", "count", "korea", "KOR", date="day", value="n", unit_of_measure="drills", lag=4,
    loading=(1.2, 2.0),
)  # fmt: skip


def drills(path: Path, last: str = "2026-10", **columns: Any) -> Path:
    """Two exercises a month, on the 5th and the 20th."""
    days = [f"{month}-{day}" for month in pd.period_range("2018-01", last, freq="M") for day in ("05", "20")]
    table = pd.DataFrame({"day": days, "n": np.arange(len(days)) % 3, "of": 4} | columns)
    table.to_csv(path, index=False)
    return path


def rows(path: Path, **changes: Any) -> pd.DataFrame:
    return figures_of(path, dataclasses.replace(MAPPING, **changes), DAY)[0]


@pytest.fixture(scope="module")
def small(whole_store: Store) -> Store:
    return part_of(
        whole_store, [("dprk_troops_in_russia", "PRK>RUS"), ("ladder", "korea"), ("budget_growth", "KOR"),
        ("gpr_country", "KOR"), ("gpr_country", "TWN")], ["ladder_korea", "news_korea"],
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "escalation-data"


# An own indicator -------------------------------------------------------------------------------------------


def test_the_columns_become_figures(tmp_path: Path) -> None:
    found = rows(drills(tmp_path / "a.csv"))
    first = found.iloc[0]
    assert (first["series"], first["unit"], first["value"]) == ("drills_korea", "KOR", 1.0)  # 0 + 1
    assert (first["period_end"], first["published_at"]) == (
        pd.Timestamp("2018-01-31"),
        pd.Timestamp("2018-02-04"),
    )
    assert len(found) == 106


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"scale": 10.0}, [10, 20, 30]),  # pairs of 0 1 2 repeated: 0+1, 2+0, 1+2
        ({"combine": "mean"}, [0.5, 1.0, 1.5]),
        ({"combine": "last"}, [1, 0, 2]),
        ({"combine": "max"}, [1, 2, 2]),
        ({"family": "news", "combine": "sum", "transform": "difference"}, [1, 1, -2]),
        ({"family": "news", "combine": "sum", "transform": "percent"}, [100, 50, -200 / 3]),
        ({"family": "news", "combine": "sum", "transform": "exp"}, np.exp([1, 2, 3])),
    ],
)
def test_transforms_of_the_periods(tmp_path: Path, changes: dict[str, Any], values: list[float]) -> None:
    assert rows(drills(tmp_path / "a.csv"), **changes)["value"].iloc[:3].to_numpy() == pytest.approx(values)


def test_a_difference_does_not_reach_over_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("day,n\n2020-01,5\n2020-02,7\n2020-04,9\n2020-05,8\n")
    found = rows(path, family="news", transform="difference")
    assert dict(zip(found["period_start"].dt.month, found["value"], strict=True)) == {2: 2.0, 5: -1.0}


def test_what_is_not_public_yet_waits(tmp_path: Path) -> None:
    path = drills(tmp_path / "a.csv", last="2026-11")
    found, waiting = figures_of(path, MAPPING, DAY)
    assert (found["period_start"].max(), waiting) == (pd.Timestamp("2026-10-01"), 1)
    path.write_text("day,n,when\n2026-11-03,5,2026-11-10\n2026-11-04,1,2026-11-28\n2026-10-04,1,2026-11-02\n")
    found = rows(path, published="when")
    assert [f"{day:%m-%d}" for day in found["published_at"]] == ["11-02"]
    assert list(found["quality"]) == ["reported"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("day,n\n2020-01,5\n2020-13,7\n", r"a\.csv, row 3: day `2020-13` is not a day or a month"),
        ("day,n\n2020-01,5\n2020-02,many\n", r"row 3: n `many` is not a number"),
        ("day,n\n2020,5\n", "is not a day or a month"),
        ("date,n\n2020-01,5\n", r"no column `day`.*it has date, n"),
        ("day,n\n2020-01,\n", "no figure in `n`"),
        ("day,n\n2020-01,5\n2020-02,6,7\n", "row 3: 3 cells where the header has 2"),
        ("day,n\n2027-01,5\n", "No figure .* is public by 2026-11-27"),
    ],
)
def test_a_bad_table_is_refused_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        rows(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "counts"}, r"Unknown family `counts` \(did you mean `count`\?\)"),
        ({"theatre": "kora"}, "did you mean `korea`"),
        ({"indicator": "Drills!"}, "no name of an indicator"),
        ({"family": "share"}, "needs the column of its totals"),
        ({"transform": "percent"}, "leave the transform out"),
        ({"lag": -1}, "out of range"),
        ({"scale": 0.0}, "leaves no figures"),
    ],
)
def test_a_bad_mapping_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        dataclasses.replace(MAPPING, **changes)


def test_a_mapping_reads_what_it_wrote(tmp_path: Path) -> None:
    told = dataclasses.replace(MAPPING, note='Said "loud"\\and clear', scale=0.5)
    path = tmp_path / "m.toml"
    path.write_text(told.to_toml())
    assert intake.Mapping.read(path) == told
    path.write_text('indicator = "a"\nfamly = "count"\n')
    with pytest.raises(DataError, match=r"no key `famly` \(did you mean `family`\?\)"):
        intake.Mapping.read(path)


@pytest.fixture(scope="module")
def added(tmp_path_factory: pytest.TempPathFactory, whole_store: Store) -> tuple[Path, intake.Added]:
    folder = tmp_path_factory.mktemp("own")
    file = drills(folder / "a.csv")
    return folder / "data", intake.add(file, MAPPING, to=folder / "data", base=whole_store, received=DAY)


def test_the_panel_and_the_model_have_the_indicator(
    added: tuple[Path, intake.Added], whole_store: Store
) -> None:
    place, _ = added
    panel = build_panel(whole_store.with_files(observations=place), pd.Timestamp(DAY))
    assert panel.items["count"].loc["drills_korea", "theatre"] == "korea"
    assert panel.last_period["drills_korea"] == pd.Timestamp("2026-10-01")
    own = panel.data["count_item"] == panel.items["count"].index.get_loc("drills_korea")
    assert list(panel.data["count_y"][own][:3]) == [1, 2, 3]
    priors = Priors.default().override(place / "priors.toml")
    spec = priors["count_loading"]
    coords = model_coords(panel)
    at = list(coords["count_group"]).index("drills_korea")
    mu, sigma = (spec.array(name, coords)[at] for name in ("mu", "sigma"))
    low, high = np.exp(np.exp(mu - NORMAL_90 * sigma)), np.exp(np.exp(mu + NORMAL_90 * sigma))
    assert (low, high) == pytest.approx((1.2, 2.0))
    default = Priors.default()["count_loading"].parameters["mu"]
    assert spec.array("mu", coords)[list(coords["count_group"]).index("pla")] == default
    assert "count_loading" in {variable.name for variable in build_model(panel, priors).free_RVs}


def test_the_command_to_run_next_names_both_files(added: tuple[Path, intake.Added]) -> None:
    place, found = added
    assert found.command == (
        f"escalation-forecast forecast --observations {place} --priors {place / 'priors.toml'}"
    )


def test_a_newer_file_adds_what_is_new(
    added: tuple[Path, intake.Added], whole_store: Store, tmp_path: Path
) -> None:
    place, _ = added
    before = {file.name: file.read_bytes() for file in place.glob("*.*")}
    again = intake.add(drills(tmp_path / "a.csv"), MAPPING, to=place, base=whole_store, received=DAY)
    assert again.written is None
    assert {file.name: file.read_bytes() for file in place.glob("*.*")} == before
    other = dataclasses.replace(MAPPING, theatre="taiwan")
    with pytest.raises(DataError, match="is there already with another family, theatre"):
        intake.add(drills(tmp_path / "a.csv"), other, to=place, base=whole_store, received=DAY)
    taken = dataclasses.replace(MAPPING, indicator="gpr_world")
    with pytest.raises(DataError, match="`gpr_world` is a series of the catalogue"):
        intake.add(drills(tmp_path / "a.csv"), taken, to=place, base=whole_store, received=DAY)


def test_an_indicator_that_the_model_cannot_take_writes_nothing(
    place: Path, whole_store: Store, tmp_path: Path
) -> None:
    """Three of two: the store would take it, the panel does not."""
    mapping = dataclasses.replace(MAPPING, family="share", total="of", loading=None)
    path = drills(tmp_path / "a.csv")
    path.write_text(path.read_text().replace("2018-01-05,0,4", "2018-01-05,9,4"))
    with pytest.raises(DataError, match=r"indicator drills_korea: 10 of 8"):
        intake.add(path, mapping, to=place, base=whole_store, received=DAY)
    assert [file.name for file in place.iterdir()] == [".lock"]


@pytest.mark.parametrize("interval", [(2.0, 1.2), (0.9, 2.0), (1.2, np.inf)])
def test_a_loading_that_says_nothing_is_refused(
    interval: tuple[float, float], place: Path, known: Store, tmp_path: Path
) -> None:
    from escalation_forecast.intake.loading import LOADINGS, _parameters

    with pytest.raises(DataError):
        _parameters(interval, "LogNormal", LOADINGS["count"])


def test_the_default_loading_in_words_is_that_of_its_reason() -> None:
    assert said("count").startswith("1.3 to 2.4 factor")
    assert "a factor of 1.3 to 2.4" in Priors.default()["count_loading"].reason


def test_the_command_adds_by_options_and_by_a_mapping(
    place: Path, known: Store, whole_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escalation_forecast.cli.intake.read_store", lambda *_: whole_store)
    file, run = drills(tmp_path / "a.csv"), CliRunner()
    flags = ["--indicator", "drills", "--family", "count", "--theatre", "korea", "--unit", "KOR"]
    flags += ["--date", "day", "--value", "n", "--to", str(place), "--json"]
    done = run.invoke(app, ["data", "add", str(file), *flags])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["figures"], record["priors"]) == (106, None)
    assert record["command"] == f"escalation-forecast forecast --observations {place}"
    kept = place / "mappings" / "drills.toml"
    again = run.invoke(app, ["data", "add", str(file), "--mapping", str(kept), "--to", str(place), "--json"])
    assert (again.exit_code, json.loads(again.stdout)["figures"]) == (0, 0)
    short = run.invoke(app, ["data", "add", str(file), *flags[:2], "--to", str(place)])
    assert (short.exit_code, "family, theatre, unit must be given" in short.stderr) == (2, True)


def test_what_is_missing_is_asked_for_on_a_terminal(
    place: Path, whole_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from escalation_forecast.cli import intake as command

    monkeypatch.setattr(command, "read_store", lambda *_: whole_store)
    file = drills(tmp_path / "a.csv")
    answers = iter(["drills", "counts", "count", "korea", "KOR", "day", "n", 9, "drills", "1.3 to 1.9"])
    monkeypatch.setattr(command.typer, "prompt", lambda *_, **__: next(answers))
    found = command._asked({"note": "x"}, intake.columns_of(file))
    assert intake.Mapping.of(found, "asked") == intake.Mapping(
        "drills",
        "count",
        "korea",
        "KOR",
        "day",
        "n",
        lag=9,
        unit_of_measure="drills",
        note="x",
        loading=(1.3, 1.9),
    )


@pytest.mark.slow
def test_a_short_fit_sees_the_indicator(added: tuple[Path, intake.Added], whole_store: Store) -> None:
    """Drills that follow nothing: their loading is drawn, and pulled below what was said of it."""
    from escalation_forecast.compile import compile_model
    from escalation_forecast.fit import Settings, sample

    place, _ = added
    panel = build_panel(whole_store.with_files(observations=place), pd.Timestamp(DAY))
    priors = Priors.default().override(place / "priors.toml")
    compiled = compile_model(build_model(panel, priors))
    drawn = sample(compiled, dataclasses.replace(Settings.draft(), draws=30, tune=60, chains=1), 1)
    loading = drawn["posterior"]["count_loading"].sel(count_group="drills_korea")
    assert loading.sizes == {"chain": 1, "draw": 30}
    assert float(loading.std()) > 0
    prior = float(np.exp(priors["count_loading"].parameters["mu"]["drills_korea"]))
    assert float(loading.median()) < 0.8 * prior


# Coded by hand -------------------------------------------------------------------------------------------


def report(**given: Any) -> intake.Report:
    base = {
        "kind": "troops",
        "published": dt.date(2026, 11, 20),
        "source": "https://example.org/border",
        "value": 12_000.0,
    }
    return intake.Report(**(base | given))


def coded_on(place: Path, store: Store, day: str) -> pd.DataFrame:
    known = store.with_files(observations=place).as_of(day)
    return known.releases("dprk_troops_in_russia").iloc[
        len(store.as_of(day).releases("dprk_troops_in_russia")) :
    ]


def test_a_coded_report_is_known_from_the_day_of_its_publication(place: Path, whole_store: Store) -> None:
    one = intake.code(report(low=10_000.0, high=15_000.0), to=place, base=whole_store)
    store = whole_store.with_files(observations=place)
    before, after = (store.as_of(day) for day in ("2026-11-19", "2026-11-20"))
    assert before.content_hash() == whole_store.as_of("2026-11-19").content_hash()
    assert len(after.observations) == len(whole_store.as_of("2026-11-20").observations) + 1
    row = after.observations[after.observations["release"].str.endswith(one.id)].iloc[0]
    assert (row["low"], row["high"], row["source"], row["quality"]) == (10_000, 15_000, "user", "coded")
    panel = build_panel(store, pd.Timestamp("2026-11-20"))
    at = panel.data["stock_source"] == panel.bodies.index("user")
    assert np.exp(panel.data["stock_low"][at]) == pytest.approx([10_000])
    assert np.exp(panel.data["stock_high"][at]) == pytest.approx([15_000])


def test_the_address_of_a_report_does_not_say_that_it_is_of_the_front(small: Store) -> None:
    """The panel takes a count with `border` in its note for a part of the force."""
    assert figure_of(report(note="at the border"), small)["note"] == "stock_russia"
    assert figure_of(report(at_front=True), small)["note"] == "stock_kursk"


def test_what_is_taken_back_leaves_the_figures_and_stays_in_the_log(place: Path, small: Store) -> None:
    first = intake.code(report(), to=place, base=small)
    moment = dt.datetime.now(dt.UTC)
    second = intake.code(report(value=9_000.0), to=place, base=small)
    intake.undo(first.id, to=place, why="read wrongly")
    folder = intake.Folder(place)
    assert [one.id for one in intake.coded(folder)] == [first.id, second.id]
    assert list(coded_figures(folder)["value"]) == [9_000.0]
    assert list(coded_figures(folder, moment)["value"]) == [12_000.0]
    lines = [json.loads(line) for line in (place / "coded.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines] == ["code", "code", "undo"]
    for ident, said_of in ((first.id, "taken back on"), ("c000000", "There is no coded figure")):
        with pytest.raises(DataError, match=said_of):
            intake.undo(ident, to=place)
    intake.undo(second.id, to=place)
    whole = small.with_files(observations=place)
    assert whole.content_hash() == small.content_hash()


def test_half_a_line_of_a_killed_command_is_passed_over(place: Path, small: Store) -> None:
    intake.code(report(), to=place, base=small)
    with (place / "coded.jsonl").open("a") as log:
        log.write('{"action": "code", "id": "c12')
    assert len(intake.coded(intake.Folder(place))) == 1
    intake.code(report(value=11_500.0), to=place, base=small)
    assert len(intake.coded(intake.Folder(place))) == 2


def test_an_incident_raises_its_month_and_never_lowers_it(small: Store) -> None:
    told = {"kind": "incident", "unit": "korea", "published": dt.date(2026, 11, 27)}
    new = figure_of(report(**told, value=4.0, when=dt.date(2026, 11, 3)), small)
    assert (new["period_start"], new["period_end"], new["source"]) == (
        "2026-11-01",
        "2026-11-27",
        "ladder-coding",
    )
    held = small.latest("ladder", "korea").iloc[-2]
    when = held["period_start"].date()
    if held["value"] < 5:
        higher = figure_of(report(**told, value=held["value"] + 1, when=when), small)
        assert higher["period_end"] == f"{held['period_end']:%Y-%m-%d}"
    with pytest.raises(DataError, match="changes nothing"):
        figure_of(report(**told, value=held["value"], when=when), small)
    with pytest.raises(DataError, match="whole numbers"):
        figure_of(report(**told, value=3.5), small)


def test_a_budget_revises_that_of_its_state_and_year(place: Path, small: Store) -> None:
    told = {"kind": "budget", "unit": "KOR", "when": dt.date(2026, 1, 1), "stage": "2-enacted"}
    one = intake.code(report(**told, value=8.0), to=place, base=small)
    known = small.with_files(observations=place).as_of(DAY)
    rows_of = known.latest("budget_growth", "KOR")
    assert rows_of[rows_of["period_start"] == "2026-01-01"]["value"].tolist() == [8.0]
    assert one.figure["source"] == "budgets"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"published": dt.date(2999, 1, 1)}, "lies in the future"),
        ({"value": None}, "Give --value, or --low or --high"),
        ({"series": "dprk_troop"}, "did you mean"),
        ({"kind": "figure", "series": "gpr_country"}, "figures of several units"),
        ({"low": 13_000.0}, "outside its own bounds"),
        ({"value": 3e6}, "outside what dprk_troops_in_russia can be"),
        ({"body": "nobody"}, "unknown source `nobody`"),
        ({"unit": "PRK>RSU"}, "is not an ISO 3166"),
    ],
)
def test_what_cannot_be_coded_writes_nothing(
    changes: dict[str, Any], message: str, place: Path, small: Store
) -> None:
    with pytest.raises(DataError, match=message):
        intake.code(report(**changes), to=place, base=small)
    assert not (place / "coded.jsonl").exists()


def test_the_commands_code_list_and_take_back(
    place: Path, small: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("escalation_forecast.cli.coding.read_store", lambda *_: small)
    run, to = CliRunner(), ["--to", str(place)]
    told = ["--low", "10000", "--published", "2026-11-20", "--source", "NIS", "--confidence", "low"]
    done = run.invoke(app, ["data", "code", "troops", *told, *to, "--json"])
    assert done.exit_code == 0, done.output
    ident = json.loads(done.stdout)["id"]
    assert json.loads(done.stdout)["figure"]["quality"] == "coded;uncertain"
    shown = run.invoke(app, ["data", "code", "list", *to])
    assert ident in shown.stdout
    assert "at least 10000" in shown.stdout
    back = run.invoke(app, ["data", "code", "undo", ident, *to])
    assert (back.exit_code, "Taken back" in back.stdout) == (0, True)
    assert "0 of them stand" in run.invoke(app, ["data", "code", "list", *to]).stdout
    short = run.invoke(app, ["data", "code", "troops", "--value", "1", *to])
    assert (short.exit_code, "--published is missing" in short.stderr) == (2, True)
    assert run.invoke(app, ["data", "code", "budget", "--unit", "JPN", "--value", "1", *to]).exit_code == 2
