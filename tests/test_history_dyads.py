"""Tables of history, politically relevant dyad-years and the theatre dyads today."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from escalation_forecast.history.base_rates import base_rates, read_base_rates
from escalation_forecast.history.dyads import Coding, dyad_years, relevant_years
from escalation_forecast.history.steps import fatal_disputes, force_months
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.history.today import continued_onsets, episodes, theatre_rows
from escalation_forecast.schema import DataError
from escalation_forecast.sources import history_dyads
from escalation_forecast.sources.ladder import theatre_dyads
from escalation_forecast.store import data_root

PRK, KOR, CHN, TWN, USA = 731, 732, 710, 713, 2


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


@pytest.fixture(scope="module")
def mid5(history: History) -> pd.DataFrame:
    return dyad_years(history)


@pytest.fixture(scope="module")
def rates(history: History) -> pd.DataFrame:
    return base_rates(history)


# --- counts published by independent code on the same lists


@pytest.mark.parametrize(
    ("year", "relevant", "contiguous", "land", "majors"),
    [(1816, 124, 60, 36, 10), (2012, 1811, 554, 316, 21), (2014, 1811, 556, 316, 21)],
)
def test_politically_relevant_dyads_of_a_year(
    history: History, year: int, relevant: int, contiguous: int, land: int, majors: int
) -> None:
    found = relevant_years(history, year, year)
    assert len(found) == relevant
    assert int(((found["land"] == 1) | (found["sea"] == 1)).sum()) == contiguous
    assert int(found["land"].sum()) == land
    assert int((found["majors"] == 2).sum()) == majors


@pytest.mark.parametrize(
    ("coding", "first", "rows", "any_", "force", "fatal", "war", "war_both"),
    [
        ("mid5", 1816, 119535, 2934, 2107, 801, 369, 106),
        ("mid5", 1946, 81582, 1892, 1331, 489, 102, 31),
        ("mid5", 1991, 42395, 785, 480, 157, 19, 4),
        ("gml", 1816, 112288, 2656, 1972, 980, 424, 122),
        ("gml", 1991, 35148, 605, 386, 179, 33, 11),
    ],
)
def test_onsets_of_both_codings(
    history: History, coding: Coding, first: int, rows: int, any_: int, force: int, fatal: int, war: int,
    war_both: int,
) -> None:  # fmt: skip
    frame = dyad_years(history, coding)
    frame = frame[frame["year"] >= first]
    counts = frame[["any", "force", "fatal", "war", "war_both"]].sum().tolist()
    assert (len(frame), *counts) == (rows, any_, force, fatal, war, war_both)


@pytest.mark.parametrize(
    ("dyad", "first", "force", "years"),
    [("CHN-TWN", 1950, 14, 65), ("CHN-TWN", 1991, 1, 24), ("KOR-PRK", 1950, 21, 65), ("CHN-PHL", 1991, 6, 24),
     ("RUS-USA", 1950, 15, 65), ("CHN-JPN", 1950, 4, 63)],
)  # fmt: skip
def test_base_rates_of_theatre_dyads(
    rates: pd.DataFrame, dyad: str, first: int, force: int, years: int
) -> None:
    row = rates[(rates["dyad"] == dyad) & (rates["event"] == "force") & (rates["years"] == f"{first}-2014")]
    assert row[["events", "trials"]].to_numpy().tolist() == [[force, years]]


def test_stored_base_rates_are_those_counted(rates: pd.DataFrame) -> None:
    columns = ["event", "theatre", "dyad", "events", "trials", "years"]
    pd.testing.assert_frame_equal(read_base_rates()[columns], rates[columns], check_dtype=False)


# --- what was known at the start of the year


def test_memory_counts_from_the_year_after_an_onset(mid5: pd.DataFrame) -> None:
    korea = mid5[(mid5["a"] == PRK) & (mid5["b"] == KOR)].set_index("year")
    years = korea.index.to_numpy()
    assert korea["peace_force"].iloc[0] == 0, "both have been states since this year"
    for year in years[1:]:
        before = korea.loc[: year - 1]
        hits = before.index[before["force"] == 1]
        expected = year - 1 - max(hits) if len(hits) else year - years[0]
        assert korea.loc[year, "peace_force"] == expected, year
        recent = before.loc[max(year - 10, years[0]) :, "force"].sum()
        assert korea.loc[year, "recent_force"] >= recent, "a year may have two onsets"
        assert korea.loc[year, "ever_any"] == int(before["any"].any())


def test_later_rows_do_not_change_what_was_known(history: History) -> None:
    disputes = history.disputes
    later = disputes["year"] > 1990
    tampered = disputes.assign(
        level=disputes["level"].mask(later, 5), onset=disputes["onset"].mask(later, 1),
        fatality=disputes["fatality"].mask(later, 6),
    )  # fmt: skip
    altered = replace(history, disputes=tampered)
    pd.testing.assert_frame_equal(dyad_years(history, up_to=1990), dyad_years(altered, up_to=1990))
    whole = dyad_years(history)
    pd.testing.assert_frame_equal(
        dyad_years(history, up_to=1990), whole[whole["year"] <= 1990].reset_index(drop=True)
    )
    assert dyad_years(altered)["force"].sum() > whole["force"].sum(), "the tampering must be able to show"


def test_the_year_itself_is_not_in_its_memory(history: History) -> None:
    disputes = history.disputes
    quiet = disputes.assign(onset=disputes["onset"].mask(disputes["year"] == 1990, 0))
    memory = ["peace_any", "peace_force", "peace_fatal", "recent_any", "recent_force", "ever_any"]
    with_it, without = dyad_years(history), dyad_years(replace(history, disputes=quiet))
    same, next_year = with_it["year"] == 1990, with_it["year"] == 1991
    pd.testing.assert_frame_equal(with_it.loc[same, memory], without.loc[same, memory])
    assert not with_it.loc[next_year, memory].equals(without.loc[next_year, memory])


def test_rivalry_is_only_there_when_asked(history: History, mid5: pd.DataFrame) -> None:
    assert "rival" not in mid5
    rival = dyad_years(history, rivalry=True)
    pair = rival[(rival["a"] == CHN) & (rival["b"] == TWN)].set_index("year")["rival"]
    assert pair.loc[1949:].eq(1).all()


def test_years_outside_a_coding_are_refused(history: History) -> None:
    with pytest.raises(DataError, match="gml has 1816 to 2010, not 2014"):
        dyad_years(history, "gml", up_to=2014)


# --- theatres after 2014


def test_theatre_dyads_are_those_of_the_ladder(history: History) -> None:
    pd.testing.assert_frame_equal(
        history.theatre_dyads[["theatre", "dyad", "a", "b"]], history_dyads.dyad_table()
    )
    assert {d for dyads in theatre_dyads().values() for d in dyads} == set(history.theatre_dyads["dyad"])


def test_an_episode_ends_after_six_months_without() -> None:
    months = pd.to_datetime(["2000-01", "2000-07", "2001-02", "2001-02"])
    rows = pd.DataFrame({"dyad": ["A-B", "A-B", "A-B", "C-D"], "month": months, "fatal": [0, 1, 0, 0]})
    found = episodes(rows)
    assert found[["dyad", "months", "fatal"]].to_numpy().tolist() == [
        ["A-B", 2, 1], ["A-B", 1, 0], ["C-D", 1, 0],
    ]  # fmt: skip


def test_force_after_2014_enters_the_covariates(history: History) -> None:
    rows = theatre_rows(history, 2026).set_index("dyad")
    assert len(rows) == 35
    assert "RUS-UKR" not in rows.index
    assert rows.loc["KOR-PRK", ["peace_force", "recent_force"]].tolist() == [1, 5]
    assert rows.loc["RUS-TUR", ["peace_force", "peace_fatal"]].tolist() == [10, 10]
    assert rows.loc["TWN-VNM", ["sea", "majors"]].tolist() == [1, 0]
    earlier = theatre_rows(history, 2015).set_index("dyad")
    assert earlier.loc["KOR-PRK", "peace_force"] == 0, "the last coded onset of force is in 2014"


def test_a_clash_of_the_year_is_not_known_on_its_first_day(history: History) -> None:
    found = continued_onsets(history)
    assert ((found["year"] == 2026) & (found["b"] == 365)).any(), "there is one to leak"
    cut = replace(history, clashes=history.clashes[history.clashes["month"] < "2026-01-01"])
    pd.testing.assert_frame_equal(theatre_rows(history, 2026), theatre_rows(cut, 2026))


def test_clashes_follow_the_ladder(history: History) -> None:
    """A month of a theatre with force in `clashes` has level 4 or 5 on the monthly ladder."""
    ladder = pd.read_csv(data_root() / "observations" / "ladder.csv")
    ladder = ladder[(ladder["series"] == "ladder") & (ladder["value"] >= 4)]
    known = set(zip(ladder["unit"], ladder["period_start"].str[:7], strict=True))
    rows = history.clashes[history.clashes["dyad"] != "RUS-UKR"]
    own = set(zip(rows["theatre"], rows["month"].dt.strftime("%Y-%m"), strict=True))
    assert own <= known
    # On the ladder alone: the war's own months, and seizures between Russia and Japan.
    assert {theatre for theatre, _ in known - own} <= {"ukraine_nato", "east_china_sea"}


def test_civilians_and_collisions_are_no_fatal_clash(history: History) -> None:
    clashes = history.clashes.set_index(["dyad", "month"])
    for dyad, month in (("KOR-PRK", "2020-09"), ("CHN-TWN", "2024-02")):
        row = clashes.loc[(dyad, pd.Timestamp(month))]
        assert row["deaths_low"] > 0
        assert row["fatal"] == 0
    assert clashes.loc[("RUS-TUR", pd.Timestamp("2015-11-01")), "fatal"] == 1
    assert pd.isna(clashes.loc[("KOR-PRK", pd.Timestamp("1998-12-01")), "fatal"])


def test_unknown_deaths_are_left_out_of_the_share(history: History) -> None:
    months = force_months(history)
    counts = months.groupby("theatre")["fatal"].agg(["sum", "count", "size"])
    assert counts.loc["korea"].tolist() == [7, 27, 29]
    assert counts.loc["ukraine_nato"].tolist() == [2, 16, 17]


def test_fatal_disputes_by_hand(history: History) -> None:
    recent = fatal_disputes(history)
    recent = recent[recent["year"] >= 1991]
    assert (len(recent), recent["war"].sum(), recent["material"].sum()) == (116, 4, 27)


# --- what a person is told when a table is wrong


def broken(tmp_path: Path, file: str, change: Callable[[list[str]], list[str]]) -> Path:
    root = tmp_path / "data"
    shutil.copytree(data_root() / "history", root / "history")
    for name in ("sources.csv", "theatre_dyads.csv"):
        shutil.copy(data_root() / name, root / name)
    path = root / file
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return root


def second_row(old: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [lines[0], lines[1].replace(old, new, 1), *lines[2:]]


STATES, DISPUTES, BORDERS, MAJORS, CLASHES = (
    f"history/{name}.csv" for name in ("states", "disputes", "borders", "majors", "clashes")
)


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (STATES, second_row("1816-01-01", "1816"), r"states.csv, row 2: start `1816` is not a date; "),
        (DISPUTES, second_row(",4,", ",7,"), r"row 2: level `7` is outside 1 to 5"),
        (DISPUTES, second_row("mid5", "mid4"), r"coding `mid4` is unknown; use one of mid5, gml"),
        (DISPUTES, second_row("cow-mid5", "cow-mid"), r"unknown source `cow-mid` \(did you mean"),
        (BORDERS, second_row("20,land", "21,land"), r"b 21 is not a state of states.csv; add"),
        (BORDERS, second_row("2,20", "20,2"), r"row 2: a is not below b; write the smaller"),
        (MAJORS, lambda lines: [*lines, lines[1]], r"majors.csv, row 16: the same state, start twice"),
        (MAJORS, second_row(",,", ",1800-01-01,"), r"end comes before start"),
        (CLASHES, second_row(",0,", ",2,"), r"fatal `2` is not 0 or 1"),
        (CLASHES, second_row("CHN-JPN", "JPN-CHN"), r"row 2: there is no dyad `JPN-CHN`"),
        ("theatre_dyads.csv", second_row("PRK,KOR", "PRK,KOX"), r"no state `KOX` today \(did you mean"),
    ],
)
def test_a_wrong_cell_is_named(
    tmp_path: Path, file: str, change: Callable[[list[str]], list[str]], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        load_history(broken(tmp_path, file, change))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    root = broken(tmp_path, "history/majors.csv", lambda lines: lines)
    (root / "history" / "majors.csv").unlink()
    with pytest.raises(DataError, match=r"data/history/majors\.csv: the file does not exist"):
        load_history(root)


def test_deaths_of_a_band() -> None:
    assert history_dyads._deaths(1, 3) == (3, 3)
    assert history_dyads._deaths(2, -9) == (26, 100)
    low, high = history_dyads._deaths(-9, -9)
    assert low == 0
    assert np.isnan(high)
