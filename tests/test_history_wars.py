"""Tables of wars and pacts, and months of war with what happened in them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast.history.joining_scores import hazard_by_age
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.history.wars import ALL_COW, OWN, SETS, WORLD_WARS, major_spells, war_months, windows
from escalation_forecast.schema import DataError
from escalation_forecast.sources import history_wars
from escalation_forecast.store import data_root

USA, GBR, FRA, DEU, RUS, UKR, PRK, FIN, CHN = 2, 200, 220, 255, 365, 369, 731, 375, 710


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


# --- counts by independent code on the same files


@pytest.mark.parametrize(
    ("name", "months", "events", "wars"),
    [
        ("cow", 1227, 31, 93),
        ("cow_1946", 532, 20, 38),
        ("mid5_1946", 782, 45, 29),
        ("mid5", 1981, 120, 106),
        ("gml_1946", 1372, 65, 40),
    ],
)
def test_months_events_and_wars(history: History, name: str, months: int, events: int, wars: int) -> None:
    frame = war_months(history, SETS[name])
    assert (len(frame), frame["joined"].sum(), frame["war"].nunique()) == (months, events, wars)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("cow", [(93, 7), (304, 16), (207, 3), (219, 2), (404, 3)]),
        ("cow_1946", [(38, 2), (108, 11), (73, 3), (81, 1), (232, 3)]),
        ("mid5_1946", [(29, 7), (125, 12), (116, 10), (148, 6), (364, 10)]),
        ("mid5", [(106, 19), (434, 35), (337, 19), (401, 24), (703, 23)]),
        ("gml_1946", [(40, 11), (182, 23), (188, 9), (271, 14), (691, 8)]),
    ],
)
def test_counts_by_age(history: History, name: str, counts: list[tuple[int, int]]) -> None:
    table = hazard_by_age(war_months(history, SETS[name]))
    assert list(zip(table["months"], table["events"], strict=True)) == counts


def test_intervals_by_age(history: History) -> None:
    table = hazard_by_age(war_months(history, SETS["cow"])).set_index("age")
    assert table.loc["24+", ["hazard", "low", "high"]].tolist() == pytest.approx(
        [0.00743, 0.00269, 0.01731], abs=1e-5
    )


@pytest.mark.parametrize(
    ("name", "origins", "events"),
    [("cow", 232, 24), ("cow_1946", 101, 17), ("mid5_1946", 139, 34), ("gml_1946", 239, 49)],
)
def test_windows_of_twelve_months(history: History, name: str, origins: int, events: int) -> None:
    frame = windows(war_months(history, SETS[name]))
    assert (len(frame), frame["joined"].sum()) == (origins, events)
    assert set(frame["age"] % 6) == {1}


def test_world_wars_are_kept_in_the_fit_and_left_out_of_the_score(history: History) -> None:
    every = war_months(history, ALL_COW)
    assert set(every["war"]) - set(war_months(history, SETS["cow"])["war"]) == set(WORLD_WARS)
    assert (every["joined"].sum(), every["ends"].sum()) == (50, 95)


# --- the war that goes on


def test_present_war_is_cut_where_its_coding_ends(history: History) -> None:
    frame = war_months(history, OWN)
    assert len(frame) == 54  # 2022-02-24 to 2026-08-31, whole months
    assert frame["ends"].sum() == 0
    assert frame.loc[frame["joined"] == 1, "age"].tolist() == [31]
    assert frame.loc[frame["age"] == 31, "participants"].item() == 2
    assert frame.iloc[-1][["participants", "present", "major"]].tolist() == [3, 3, 1]


def test_present_war_as_seen_earlier_has_no_later_joiner(history: History) -> None:
    frame = war_months(history, OWN, until=pd.Timestamp("2024-08-31"))
    assert (len(frame), frame["joined"].sum()) == (30, 0)


# --- months


def made_up(history: History, rows: list[tuple[int, str, str, int]]) -> History:
    """One inter-state war of the given state, entry, exit and joiner rows."""
    names = ["state", "entry", "exit", "joiner"]
    wars = pd.DataFrame(rows, columns=names).assign(coding="cow", war=1)
    wars["originator"] = 1 - wars["joiner"]
    for name in ("entry", "exit"):
        wars[name] = pd.to_datetime(wars[name])
    return dataclasses.replace(history, wars=wars)


def test_joiner_counts_from_the_month_after_it_enters(history: History) -> None:
    war = made_up(
        history,
        [
            (UKR, "1995-01-01", "1995-06-30", 0),
            (PRK, "1995-01-01", "1995-06-30", 0),
            (USA, "1995-03-15", "1995-04-10", 1),
        ],
    )
    frame = war_months(war, ALL_COW)
    assert frame["joined"].tolist() == [0, 0, 1, 0, 0, 0]
    assert frame["participants"].tolist() == [2, 2, 2, 3, 3, 3]
    assert frame["present"].tolist() == [2, 2, 2, 3, 2, 2]
    assert frame["major"].tolist() == [0, 0, 0, 1, 0, 0]
    assert frame["recent"].tolist() == [0, 0, 0, 1, 1, 1]
    assert frame["ends"].tolist() == [0, 0, 0, 0, 0, 1]


def test_truce_counts_as_war(history: History) -> None:
    war = made_up(history, [(UKR, "1995-01-01", "1995-12-31", 0), (PRK, "1995-01-01", "1995-03-01", 0)])
    again = war.wars.iloc[[1]].assign(
        entry=pd.Timestamp("1995-10-01"), exit=pd.Timestamp("1995-12-31"), originator=0
    )
    frame = war_months(dataclasses.replace(war, wars=pd.concat([war.wars, again])), ALL_COW)
    assert set(frame["present"]) == {2}
    assert set(frame["participants"]) == {2}


def test_short_falls_of_great_powers_are_bridged_and_long_ones_not(history: History) -> None:
    spells = major_spells(history).groupby("state").size()
    assert spells[[FRA, RUS, GBR, DEU]].tolist() == [1, 1, 1, 2]


def test_set_without_a_war_is_an_error(history: History) -> None:
    empty = dataclasses.replace(history, wars=history.wars[history.wars["coding"] != "gml"])
    with pytest.raises(DataError, match=r"wars.csv has no war of GML 1946-2010"):
        war_months(empty, SETS["gml_1946"])


# --- the tables


def test_pacts_and_members_on_their_days(history: History) -> None:
    pacts = history.pacts
    treaty = pacts[(pacts["a"] == RUS) & (pacts["b"] == PRK)].sort_values("start")
    assert treaty["start"].dt.year.tolist() == [1961, 2024]
    assert treaty["end"].iloc[0] == pd.Timestamp("1996-12-31")
    assert treaty["note"].iloc[1].startswith("by hand")
    assert not pacts.duplicated(["a", "b", "end"]).any()
    nato = history.groups[history.groups["end"].isna()]
    assert len(nato) == 32
    assert nato.loc[nato["state"] == FIN, "start"].item() == pd.Timestamp("2023-04-04")


def test_lags_are_those_from_the_first_entry(history: History) -> None:
    wars = history.wars
    first = wars.groupby(["coding", "war"])["entry"].transform("min")
    assert ((wars["entry"] - first).dt.days == wars["lag_days"]).all()
    assert (wars.loc[(wars["coding"] == "cow") & (wars["joiner"] == 1), "lag_days"] > 7).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("own,1,Russia-Ukraine,365,RUS,1", "own,1,Russia-Ukraine,365,RUS,3", "side `3` is outside 1 to 2"),
        ("own,1,Russia-Ukraine,365,RUS,1", "own,1,Russia-Ukraine,9,RUS,1", "state 9 is not a state"),
        ("own,1,Russia-Ukraine,369", "owm,1,Russia-Ukraine,369", "coding `owm` is unknown"),
    ],
)
def test_bad_cell_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    shutil.copytree(data_root(), tmp_path / "data", ignore=shutil.ignore_patterns("observations"))
    path = tmp_path / "data" / "history" / "wars.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=rf"wars.csv, row \d+: {said}"):
        load_history(tmp_path / "data")


# --- the reader


COW_HEADER = "warnum,war_name,ccode,iso3,side,start_date,end_date,start_date_2,end_date_2,join_lag_days,role"
PART_HEADER = "dispnum,ccode,iso3,start_date,end_date,sidea,orig"


def raw_folder(root: Path, cow: list[str], mid: list[str]) -> Path:
    files = {
        ("cow-interstate-war", history_wars.COW_FILE): [COW_HEADER, *cow],
        ("alliances-atop", history_wars.ATOP_FILE): [
            "cow_a,cow_b,year,atop_defense", "710,365,1950,1", "365,710,1951,1", "2,365,1950,0",
            "365,710,1955,1", "365,371,2017,1", "365,371,2018,1",
        ],
    }  # fmt: skip
    for _, folder, people, disputes in history_wars.DISPUTES.values():
        files[folder, people] = [PART_HEADER, *mid]
        files[folder, disputes] = ["dispnum,hostlev", "1,5", "2,4"]
    for (folder, file), lines in files.items():
        (root / folder).mkdir(exist_ok=True)
        (root / folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


COW = [
    "9,A War,365,RUS,1,1900-01-01,1900-03-01,1900-05-01,1900-08-01,0,originator",
    "9,A War,710,CHN,2,1900-01-03,1900-08-01,,,2,early_joiner_1_7d",
    "9,A War,740,JPN,2,1900-02-01,1900-08-01,,,31,joiner_gt7d",
]
MID = [
    "1,365,RUS,2009-02,2010-12-31,1,1",
    "1,710,CHN,2009-04,2009-04-06,0,0",
    "2,740,JPN,2009-02,2009-03,1,1",
]


def test_reader_completes_days_and_splits_stays(tmp_path: Path) -> None:
    wars = history_wars.read(raw_folder(tmp_path, COW, MID))["wars"]
    cow = wars[wars["coding"] == "cow"]
    assert cow["originator"].tolist() == [1, 1, 0, 0]
    assert cow["joiner"].tolist() == [0, 0, 1, 0]
    assert cow["entry"].iloc[-1] == pd.Timestamp("1900-05-01")
    gml = wars[wars["coding"] == "gml"].set_index("state")
    assert set(gml["war"]) == {1}  # the dispute below war is left out
    assert gml.loc[RUS, "entry"] == pd.Timestamp("2009-02-15")
    assert pd.isna(gml.loc[RUS, "exit"])  # goes on when the coding ends
    assert gml.loc[CHN, "entry"] == pd.Timestamp("2009-04-06")  # it left before the 15th


def test_reader_makes_spells_of_years_with_a_pact(tmp_path: Path) -> None:
    pacts = history_wars.read(raw_folder(tmp_path, COW, MID))["pacts"]
    found = pacts[pacts["source"] == "atop"]
    spells = found[["a", "b"]].assign(start=found["start"].dt.year, end=found["end"].dt.year)
    assert spells.fillna(0).astype(int).to_numpy().tolist() == [
        [365, 371, 2017, 0],
        [365, 710, 1950, 1951],
        [365, 710, 1955, 1955],
    ]


def test_reader_refuses_a_new_role(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, [COW[0].replace("originator", "observer")], MID)
    with pytest.raises(DataError, match="role 'observer'; adapt the reader"):
        history_wars.read(raw)
