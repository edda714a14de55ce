"""``data update``: one file becomes one vintage, whole or not at all; what looks wrong is said."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from escalation_forecast import intake
from escalation_forecast.cli import app
from escalation_forecast.indicator_rows import LOG_OFFSET
from escalation_forecast.intake import folder as folder_module
from escalation_forecast.intake.quality import check, check_folder, past_revisions
from escalation_forecast.panel import build_panel
from escalation_forecast.schema import FIGURE_KEY, OBSERVATION_COLUMNS, DataError, as_observations
from escalation_forecast.sources.live import Reading
from escalation_forecast.store import Store
from originators import eu_xml, un_xml
from quirky_server import serving
from small_store import part_of

DAY = dt.date(2026, 11, 27)
BEFORE = dt.date(2026, 11, 20)


def edition(store: Store, *, unit: str = "KOR", months: int = 6, factor: float = 1.0) -> pd.DataFrame:
    """Press figures as a file of 20 November has them: some months more, one revised by a twentieth."""
    rows = store.latest("gpr_country", unit).assign(release="2026-11-20", quality="reported")
    rows.loc[rows.index[-1], "value"] *= 1.05
    start = pd.date_range("2026-05-01", periods=months, freq="MS").as_unit("us")
    new = rows.iloc[[-1] * months].assign(
        period_start=start, period_end=(start + pd.offsets.MonthEnd(0)).as_unit("us"), value=0.4 * factor
    )
    found = pd.concat([rows, new], ignore_index=True)
    return found.assign(published_at=pd.Timestamp(BEFORE))


def written(rows: pd.DataFrame, path: Path) -> Path:
    path.write_text(folder_module.csv_text(as_observations(rows)), encoding="utf-8")
    return path


def state(folder: Path) -> dict[str, bytes]:
    """Everything in a folder but the lock and what was downloaded."""
    if not folder.exists():
        return {}
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != ".lock" and "downloads" not in file.parts
    }


@pytest.fixture(scope="module")
def small(whole_store: Store) -> Store:
    return part_of(
        whole_store, [("gpr_country", "KOR"), ("gpr_country", "TWN"), ("us_troops", "KOR"),
        ("sanctions_senders_covered", "PRK"),
        ("dprk_troops_in_russia", "PRK>RUS")], ["news_korea", "news_taiwan", "troops_us_korea"],
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "escalation-data"


@pytest.fixture
def file(tmp_path: Path, small: Store) -> Path:
    return written(edition(small), tmp_path / "gpr.csv")


def take(file: Any, place: Path, store: Store, **given: Any) -> intake.Update:
    return intake.update(file, to=place, base=store, **{"received": DAY, **given})


# One vintage ----------------------------------------------------------------------------------------------


def test_new_and_revised_figures_become_one_vintage(file: Path, place: Path, small: Store) -> None:
    found = take(file, place, small)
    assert found.changes.rows["status"].value_counts().to_dict() == {"new": 6, "revised": 1}
    assert [path.name for path in place.glob("*.csv")] == [found.written.name]
    assert found.written.name.startswith("2026-11-27-observations-")
    (line,) = [json.loads(text) for text in (place / "manifest.jsonl").read_text().splitlines()]
    assert (line["rows"], line["counts"]) == (7, {"new": 6, "revised": 1})
    after = small.with_files(observations=place)
    assert len(after.observations) == len(small.observations) + 7
    old, new = (s.as_of(DAY).latest("gpr_country", "KOR") for s in (small, after))
    assert new["value"].iloc[len(old) - 1] == pytest.approx(1.05 * old["value"].iloc[-1])
    assert after.as_of("2026-11-19").content_hash() == small.as_of("2026-11-19").content_hash()


def test_the_same_again_changes_nothing(file: Path, place: Path, small: Store) -> None:
    take(file, place, small)
    before = state(place)
    again = take(file, place, small)
    assert (again.written, again.seen, again.changes.anything) == (None, True, False)
    other = written(edition(small).iloc[::-1], file.with_name("other.csv"))
    assert take(other, place, small).written is None
    assert state(place) == before


def test_a_dry_run_writes_nothing(file: Path, place: Path, small: Store) -> None:
    found = take(file, place, small, dry_run=True)
    assert (found.written, found.changes.anything) == (None, True)
    assert not place.exists()


def test_figures_that_vanished_are_told_and_stay(file: Path, place: Path, small: Store) -> None:
    rows = edition(small)
    written(rows.drop(index=rows.index[100]), file)
    found = take(file, place, small)
    assert list(found.changes.vanished["period_start"]) == [rows["period_start"].iloc[100]]
    assert found.changes.counts().set_index("series").loc["gpr_country", "vanished"] == 1
    kept = small.with_files(observations=place).latest("gpr_country", "KOR")
    assert rows["period_start"].iloc[100] in set(kept["period_start"])


def test_what_the_largest_table_shows_first(file: Path, place: Path, small: Store) -> None:
    rows = edition(small)
    rows.loc[200, "value"] *= 1.5
    shown = take(written(rows, file), place, small, dry_run=True).changes.largest(3)
    assert list(shown["status"]) == ["revised", "revised", "new"]
    assert shown["period_start"].iloc[0] == rows["period_start"][200]


def test_a_figure_changed_under_its_old_label_gets_a_label_of_its_own(
    file: Path, place: Path, small: Store
) -> None:
    take(file, place, small)
    rows = edition(small)
    rows.loc[rows.index[-1], "value"] = 0.5
    found = take(written(rows, file), place, small, received=DAY)
    assert list(found.changes.rows["release"]) == ["2026-11-20+2026-11-27"]
    assert small.with_files(observations=place).latest("gpr_country", "KOR")["value"].iloc[-1] == 0.5


def a_reading(rows: pd.DataFrame, day: dt.date) -> Any:
    return lambda file, source=None, *, received: Reading(
        "gpr", as_observations(rows), "-", "x", day, (), "0" * 64
    )


def test_what_an_earlier_file_did_not_have_was_not_public_then(file: Path, place: Path, small: Store) -> None:
    """The typical lag says 5 November; the file received on the 20th says that it was later."""
    rows = edition(small)
    early, late = rows.iloc[:-1], rows.assign(published_at=rows["published_at"])
    late.loc[late.index[-1], "published_at"] = pd.Timestamp("2026-11-05")
    take(file, place, small, received=BEFORE, read=a_reading(early, BEFORE))
    found = take(file, place, small, read=a_reading(late, DAY))
    assert list(found.changes.rows["published_at"]) == [pd.Timestamp("2026-11-21")]
    alone = intake.changes(late, small, edition=DAY, received=DAY).rows
    assert alone["published_at"].iloc[-1] == pd.Timestamp("2026-11-05")


def test_a_revision_is_no_older_than_the_edition_that_brings_it(small: Store) -> None:
    """A reader that dates every figure by the usual lag would let the past know the revision."""
    held = small.latest("gpr_country", "KOR")
    rows = held.iloc[-3:].assign(release="new")
    rows.loc[rows.index[0], "value"] += 0.1
    found = intake.changes(rows, small, edition=DAY, received=DAY).rows
    assert list(found["published_at"]) == [pd.Timestamp(DAY)]


def test_a_release_of_spending_is_kept_whole(small: Store) -> None:
    """Growth is read within one release, so the years that it repeats belong to it."""
    held = small.latest("milex_constant", "JPN").assign(release="2027", published_at=pd.Timestamp(DAY))
    held.loc[held.index[-1], "value"] *= 1.02
    found = intake.changes(held, small, received=DAY)
    assert len(found.rows) == len(held)
    assert found.rows["status"].value_counts().to_dict() == {"repeated": len(held) - 1, "revised": 1}
    same = small.latest("milex_constant", "JPN").assign(release="2027", published_at=pd.Timestamp(DAY))
    assert not intake.changes(same, small, received=DAY).anything


def test_a_release_that_was_changed_under_its_label_is_known_from_its_receipt(whole_store: Store) -> None:
    """And moves the growth that the model reads, from that day on and not before."""
    held = whole_store.latest("milex_constant")
    last = held["release"].max()
    rows = held[held["release"] == last].copy()
    korea = rows[rows["unit"] == "KOR"].index
    rows.loc[korea[-1], "value"] *= 1.05
    found = intake.changes(rows, whole_store, edition=held["published_at"].max().date(), received=DAY)
    assert set(found.rows["published_at"]) == {pd.Timestamp(DAY)}
    assert set(found.rows["release"]) == {f"{last}+{DAY}"}
    assert found.counts()[["new", "revised", "older"]].iloc[0].tolist() == [0, 1, 0]
    later = whole_store.with_figures(found.figures, "corrected")

    def growth(store: Store, day: dt.date) -> float:
        panel = build_panel(store.as_of(day), pd.Timestamp(day)).spending
        state = list(panel.states).index("KOR")
        return float(panel.growth[state, np.flatnonzero(panel.printed[state])[-1]])

    before, day_before = growth(whole_store, DAY), DAY - dt.timedelta(days=1)
    assert growth(later, day_before) == growth(whole_store, day_before)
    assert growth(later, DAY) == pytest.approx(before + 100 * np.log(1.05), abs=0.3)
    prints = build_panel(later.as_of(DAY), pd.Timestamp(DAY)).spending.prints
    assert not prints.duplicated(["release_year", "pseudo", "state", "year"]).any()
    others = prints[(prints["state"] == "JPN") & (prints["year"] == prints["year"].max())]
    assert len(others) == 1


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_adding_a_reading_makes_its_figures_the_newest(small: Store, data: st.DataObject) -> None:
    """Whatever a file revises or adds, a store with the changes says what the file says."""
    held = small.latest("gpr_country", "TWN").iloc[-30:].reset_index(drop=True)
    picked = data.draw(st.lists(st.integers(0, 29), unique=True))
    rows = held.assign(release="r", published_at=pd.Timestamp(DAY))
    rows.loc[picked, "value"] += 0.01
    found = intake.changes(rows, small, received=DAY)
    assert len(found.rows) == len(picked)
    assert found.same == 30 - len(picked)
    kept = pd.concat([small.observations, found.figures], ignore_index=True)
    kept = kept.sort_values(["published_at", "release"]).drop_duplicates(list(FIGURE_KEY), keep="last")
    kept = kept[(kept["series"] == "gpr_country") & (kept["unit"] == "TWN")].sort_values("period_start")
    assert np.allclose(kept["value"].iloc[-30:], rows["value"], rtol=1e-9)


# All or nothing -------------------------------------------------------------------------------------------


def test_one_bad_figure_refuses_the_file(file: Path, place: Path, small: Store) -> None:
    rows = edition(small)
    rows.loc[rows.index[-1], "value"] = 140.0
    with pytest.raises(DataError, match=r"gpr\.csv.*140 is outside what gpr_country can be"):
        take(written(rows, file), place, small)
    assert state(place) == {}


def test_a_wrong_checksum_refuses_the_file(file: Path, place: Path, small: Store) -> None:
    with pytest.raises(DataError, match="not abc as asked"):
        take(file, place, small, sha256="abc")
    take(file, place, small, sha256=folder_module.checksum(file))


@pytest.mark.parametrize("step", [1, 5, 6])
def test_a_command_killed_anywhere_leaves_all_or_nothing(
    file: Path, place: Path, small: Store, step: int
) -> None:
    """SIGKILL before each sync or rename of a child; the next command comes out as if it had not been."""
    whole_rows = len(small.observations)

    def die() -> None:
        calls = iter(range(100))

        def mortal(real: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                if next(calls) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            return call

        for name in ("fsync", "open"):
            setattr(folder_module.os, name, mortal(getattr(os, name)))
        Path.replace = mortal(Path.replace)  # type: ignore[method-assign]
        take(file, place, small)

    child = multiprocessing.get_context("fork").Process(target=die)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    if list(place.glob("*.csv")):
        assert len(small.with_files(observations=place).observations) == whole_rows + 7
    take(file, place, small)
    assert len(small.with_files(observations=place).observations) == whole_rows + 7
    assert len((place / "manifest.jsonl").read_text().splitlines()) == 1
    assert len(intake.Folder(place).entries()) == 1


def test_two_at_once_do_not_mix(file: Path, place: Path, small: Store) -> None:
    with intake.Folder(place).locked(), pytest.raises(DataError, match="Another command is writing"):
        take(file, place, small)
    assert take(file, place, small).written


def test_a_manifest_that_was_spoilt_is_named(file: Path, place: Path, small: Store) -> None:
    take(file, place, small)
    with (place / "manifest.jsonl").open("a") as lines:
        lines.write("{not json\n")
    with pytest.raises(DataError, match=r"manifest\.jsonl, line 2"):
        take(file, place, small)


# From the net ---------------------------------------------------------------------------------------------


def test_a_download_is_taken_in_and_a_broken_one_is_not(file: Path, place: Path, small: Store) -> None:
    limits = intake.Limits(stall=0.3, attempts=2, backoff=0.01)
    with serving() as server:
        server.body = file.read_bytes()
        server.claims = 3000  # a server that says less than it has: the file is cut within a line
        with pytest.raises(DataError):
            take(None, place, small, url=server.url, limits=limits)
        assert state(place) == {}
        server.claims, server.body = None, b"<html>log in</html>"
        with pytest.raises(DataError, match="web page"):
            take(None, place, small, url=server.url, limits=limits)
        assert state(place) == {}
        server.body, server.cut = file.read_bytes(), [1000]
        found = take(None, place, small, url=server.url, limits=limits)
        assert found.written
        assert "Range" in server.asked[-1]
        again = take(None, place, small, url=server.url, limits=limits)
        assert again.fetched
        assert (again.fetched.unchanged, again.written) == (True, None)


def test_nothing_is_asked_of_the_net_without_an_address(place: Path, small: Store) -> None:
    with pytest.raises(DataError, match="--file"):
        take(None, place, small)


# What uses it ---------------------------------------------------------------------------------------------


def test_the_panel_has_the_new_vintage(file: Path, place: Path, whole_store: Store) -> None:
    take(file, place, whole_store)
    panel = build_panel(whole_store.with_files(observations=place), pd.Timestamp(DAY))
    assert panel.last_period["news_korea"] == pd.Timestamp("2026-10-01")
    item = panel.items["reading"].loc["news_korea"]
    of_korea = panel.data["reading_item"] == panel.items["reading"].index.get_loc("news_korea")
    last = panel.data["reading_y"][of_korea][-1] * item["sd"] + item["mean"]
    assert last == pytest.approx(np.log(0.4 + LOG_OFFSET))


def test_the_job_reads_the_folder_as_it_is(
    file: Path, place: Path, whole_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from escalation_forecast.job import work
    from escalation_forecast.job.config import read_config

    monkeypatch.setattr(Store, "embedded", classmethod(lambda _: whole_store))
    take(file, place, whole_store)
    config = tmp_path / "job.toml"
    config.write_text(f'[data]\nincoming = "{place}"\n[run]\nas_of = 2026-11-27\n')
    known = work.read(read_config(config)).store
    assert known.latest("gpr_country", "KOR")["period_start"].max() == pd.Timestamp("2026-10-01")


def test_what_a_folder_had_at_a_moment(file: Path, place: Path, small: Store) -> None:
    start = dt.datetime.now(dt.UTC)
    take(file, place, small)
    assert intake.as_received(place, small, start).content_hash() == small.content_hash()
    now = intake.as_received(place, small, dt.datetime.now(dt.UTC))
    assert now.content_hash() == small.with_files(observations=place).content_hash()


# Quality --------------------------------------------------------------------------------------------------


def found_in(rows: pd.DataFrame, store: Store, kind: str) -> list[intake.Finding]:
    held = intake.changes(as_observations(rows), store, received=DAY)
    return [one for one in check(held.rows, store, today=DAY) if one.kind == kind]


@pytest.mark.parametrize("factor", [10.0, 0.001])
def test_a_power_of_ten_is_refused_unless_accepted(
    file: Path, place: Path, small: Store, factor: float
) -> None:
    rows = small.latest("us_troops", "KOR").iloc[-8:].assign(release="new", published_at=pd.Timestamp(DAY))
    (one,) = found_in(rows.assign(value=(rows["value"] * factor).clip(upper=500_000)), small, "unit") or [
        None
    ]
    if factor * 25_000 > 500_000:
        assert one is None  # cut by what the series can be, it is no power of ten: the range refuses it
        return
    assert one is not None
    assert one.level == "refusal"
    assert f"about {'one in ' if factor < 1 else ''}{round(max(factor, 1 / factor)):,}" in one.message
    with pytest.raises(DataError, match="--accept unit"):
        take(written(rows.assign(value=rows["value"] * factor), file), place, small)
    assert state(place) == {}
    if factor < 1:
        assert take(file, place, small, accept=["unit"]).written


def test_new_figures_in_another_unit_are_refused(small: Store) -> None:
    assert found_in(edition(small, factor=10.0).iloc[-6:], small, "unit") == []
    assert found_in(edition(small, factor=0.01).iloc[-6:], small, "unit")


@pytest.mark.parametrize("series", ["gpr_country", "us_troops", "milex_constant"])
def test_no_figure_of_the_past_would_have_been_refused(whole_store: Store, series: str) -> None:
    """The last two years of each series, held against those before, as they came."""
    before = whole_store.observations["period_end"] < pd.Timestamp("2024-09-01")
    chosen = whole_store.observations["series"] == series
    held = dataclasses.replace(
        whole_store, observations=whole_store.observations[~chosen | before].reset_index(drop=True)
    )
    rows = whole_store.observations[chosen & ~before]
    rows = rows.sort_values("published_at").drop_duplicates(list(FIGURE_KEY), keep="last")
    assert found_in(rows, held, "unit") == []


def test_a_jump_is_one_that_was_never_seen(small: Store) -> None:
    rows = edition(small)
    assert found_in(rows, small, "jump") == []
    past = small.observations[small.observations["series"] == "gpr_country"]
    most = float(past_revisions(past, "level").max())
    rows.loc[300, "value"] *= np.exp(most * 0.9)
    assert found_in(rows, small, "jump") == []
    rows.loc[300, "value"] *= np.exp(most * 0.2)
    (one,) = found_in(rows, small, "jump")
    assert "more than any of" in one.message
    assert one.level == "warning"
    rows = edition(small)
    steps = np.log(rows["value"]).diff().abs()
    rows.loc[rows.index[-1], "value"] = 0.4 * np.exp(steps.max() * 1.1)
    (one,) = found_in(rows, small, "jump")
    assert "goes from 0.4" in one.message


def test_the_same_month_from_two_sources_is_refused(file: Path, place: Path, small: Store) -> None:
    """The panel would find two figures of a month and refuse the forecast."""
    rows = edition(small).iloc[-8:].assign(source="user")
    (one,) = found_in(rows, small, "double")
    assert (one.level, one.number) == ("refusal", 2)
    with pytest.raises(DataError, match="counted twice"):
        take(written(rows, file), place, small)
    assert found_in(edition(small), small, "double") == []


def test_lists_of_sanctions_are_counted_together(place: Path, small: Store, tmp_path: Path) -> None:
    """One list after the other would leave each month with the senders of the last."""
    eu, un = eu_xml(tmp_path / "eu.xml"), un_xml(tmp_path / "un.xml")
    take(eu, place, small)
    before = state(place)
    with pytest.raises(DataError, match=r"lists of EUU, and would now be from UNO: .* --file for each"):
        take(un, place, small)
    assert state(place) == before
    both = take([eu, un], place, small)
    assert both.written
    covered = small.with_files(observations=place).latest("sanctions_senders_covered", "PRK")
    assert covered["value"].iloc[-1] == 2


def test_a_few_more_cases_are_no_other_unit(small: Store) -> None:
    counts = small.latest("gpr_country", "KOR").iloc[-40:].assign(
        series="sanctions_designations", unit="RUS", source="sanctions", value=np.arange(40.0) % 7,
        unit_of_measure="names",
    )  # fmt: skip
    rows = pd.concat([small.observations, counts], ignore_index=True)
    where = pd.DataFrame({"file": "x", "row": range(len(rows))})
    store = dataclasses.replace(small, observations=as_observations(rows), where=where)
    late = counts.iloc[[1]].assign(release="new", published_at=pd.Timestamp(DAY))
    assert found_in(late.assign(value=10.0), store, "unit") == []
    (one,) = found_in(late.assign(value=1000.0), store, "unit")
    assert "about 1,000 times it" in one.message


def test_bodies_that_repeat_one_report_are_noticed(small: Store) -> None:
    last = small.releases("dprk_troops_in_russia").sort_values("published_at").iloc[[-1]]
    other = last.assign(source="press", release="x", published_at=last["published_at"] + pd.Timedelta(days=3))
    (one,) = found_in(other, small, "double")
    assert (one.level, "one report" in one.message or "are one" in one.message) == ("warning", True)
    assert found_in(other.assign(value=15_000.0, low=np.nan, high=np.nan), small, "double") == []


def test_what_is_late_is_said_of_the_series_that_came(file: Path, place: Path, small: Store) -> None:
    found = take(file, place, small)
    late = [one for one in found.findings if one.kind == "stale"]
    assert {one.series for one in late} == {"gpr_country"}
    assert "KOR" not in late[0].unit.split("+")
    every = check_folder(intake.Folder(place), small, DAY)
    assert {one.series for one in every if one.kind == "stale"} == {
        "dprk_troops_in_russia",
        "gpr_country",
        "sanctions_senders_covered",
        "us_troops",
    }


# The command ----------------------------------------------------------------------------------------------


@pytest.fixture
def at_hand(small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands work on the small store."""

    def read(data: Any, observations: Any, indicators: Any) -> Store:
        return small.with_files(observations=observations) if observations else small

    for name in ("intake", "data"):
        monkeypatch.setattr(f"escalation_forecast.cli.{name}.read_store", read)


def test_the_command_shows_and_writes(file: Path, place: Path, at_hand: None) -> None:
    run = CliRunner()
    said = run.invoke(app, ["data", "update", "--file", str(file), "--to", str(place), "--json"])
    assert said.exit_code == 0, said.output
    record = json.loads(said.stdout)
    assert record["counts"] == [
        {"series": "gpr_country", "new": 6, "revised": 1, "older": 0, "repeated": 0, "vanished": 0}
    ]
    assert Path(record["written"]).parent == place
    shown = run.invoke(app, ["data", "update", "--file", str(file), "--to", str(place)])
    assert "Nothing new." in shown.stdout
    asked = ["--series", "gpr_country", "--unit", "KOR", "--observations", str(place), "--json"]
    shown = run.invoke(app, ["data", "show", *asked])
    assert json.loads(shown.stdout)[-1]["period_start"] == "2026-10-01"
    wrong = run.invoke(app, ["data", "update", "--source", "gpr"])
    assert (wrong.exit_code, "matteoiacoviello" in wrong.stderr) == (2, True)
    assert run.invoke(app, ["data", "update", "--file", "nowhere.csv"]).exit_code == 2


def test_the_folder_of_the_environment(
    file: Path, place: Path, at_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESCALATION_DATA", str(place))
    assert CliRunner().invoke(app, ["data", "update", "--file", str(file)]).exit_code == 0
    assert list(place.glob("*.csv"))
    assert "1 file(s)" in CliRunner().invoke(app, ["data", "check"]).stdout


def test_columns_are_those_of_the_store(file: Path, place: Path, small: Store) -> None:
    found = take(file, place, small)
    assert found.written
    assert tuple(pd.read_csv(found.written, nrows=0).columns) == OBSERVATION_COLUMNS
