"""States, borders, major powers, rivalries and disputes 1816-2014, and months of force in the theatres.

The lists of states and borders end in 2016; what had not ended by then has a blank end and is
carried forward.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import read_table
from escalation_forecast.sources.ladder import (
    CODED_FILE,
    CODED_FOLDER,
    CODED_TO,
    LAG_DAYS,
    MID_FILE,
    MID_FOLDER,
    THEATRE_OF,
    theatre_dyads,
)

LISTS: Final = "state-system-contiguity"
RIVALRIES: Final = "rivalry-armsrace"
INCIDENTS_FILE: Final = "incidents.csv"
# coding -> source key, folder, file
DISPUTES: Final[dict[str, tuple[str, str, str]]] = {
    "mid5": ("cow-mid5", MID_FOLDER, "mid5_dyad_dispute_year_1816_2014.csv"),
    "gml": ("gml-mid", "gml-mid", "gml_2.2.1_dyad_dispute_year_1816_2010.csv"),
}
LAST_LISTED: Final = 2016
LAST_RIVALRY: Final = 2020
FORCE: Final = 4
# Where a state's present code is found, first file first.
CODE_FILES: Final = (
    (DISPUTES["mid5"][1:], ("ccode1", "iso3_1"), ("ccode2", "iso3_2")),
    (DISPUTES["gml"][1:], ("ccode1", "iso3_1"), ("ccode2", "iso3_2")),
    (("cow-nmc-7", "nmc7_country_year.csv"), ("ccode", "iso3")),
)
# What the code book of the hand-coded incidents leaves out, and what it lowers below use of force. Months
# of the Donbas war are those of separatists unless an act of regular Russian forces is documented.
LEFT_OUT: Final = frozenset(
    {
        "out_of_dyad", "other_dyad", "out_of_area", "ukr_drone", "unattributed", "not_russian_munition",
        "unprotested", "donbas_month",
    }
)  # fmt: skip
LOWERED: Final = frozenset(
    {
        "warning_shots", "missed_cannon", "water_cannon", "spillover", "merchant_ship", "claimed", "property",
        "civil_drone",
    }
)  # fmt: skip
# Deaths of civilians, or by collision: no state-force death by direct fire.
NOT_FORCES: Final = frozenset({("2020-09-22", "KOR-PRK"), ("2024-02-14", "CHN-TWN")})


def read(raw: Path) -> dict[str, pd.DataFrame]:
    """Tables of ``data/history`` by name: states, borders, majors, rivalries, disputes, clashes."""
    states = _states(raw)
    return {
        "states": states,
        "borders": _borders(raw),
        "majors": _majors(raw),
        "rivalries": _rivalries(raw, set(states["state"])),
        "disputes": pd.concat([_disputes(raw, coding) for coding in DISPUTES], ignore_index=True),
        "clashes": _clashes(raw),
    }


def dyad_table() -> pd.DataFrame:
    """The theatre dyads as a table: theatre, dyad, a and b (ISO 3166 alpha-3)."""
    rows = [(theatre, dyad, *dyad.split("-")) for theatre, dyads in theatre_dyads().items() for dyad in dyads]
    return pd.DataFrame(rows, columns=["theatre", "dyad", "a", "b"])


def _day(frame: pd.DataFrame, prefix: str) -> pd.Series[Any]:
    """Dates of the columns ``styear``, ``stmonth``, ``stday``; those of the list's end become missing."""
    parts = {"year": frame[f"{prefix}year"], "month": frame[f"{prefix}month"], "day": frame[f"{prefix}day"]}
    days = pd.to_datetime(pd.DataFrame(parts))
    return days.where(~((prefix == "end") & (days.dt.year >= LAST_LISTED)))


def _states(raw: Path) -> pd.DataFrame:
    columns = ["ccode", "statenme", "styear", "stmonth", "stday", "endyear", "endmonth", "endday"]
    listed = read_table(raw, LISTS, "cow_state_system_2016.csv", columns)
    codes: dict[int, str] = {}
    for (folder, file), *pairs in CODE_FILES:
        table = read_table(raw, folder, file, [name for pair in pairs for name in pair])
        for code, iso3 in pairs:
            known = table[[code, iso3]].dropna().drop_duplicates()
            for number, letters in zip(known[code].astype(int), known[iso3], strict=True):
                codes.setdefault(number, letters)
    start = _day(listed, "st")
    frame = pd.DataFrame(
        {
            "state": listed["ccode"].astype(int),
            "iso3": [codes.get(code, "") for code in listed["ccode"].astype(int)],
            "name": listed["statenme"],
            "start": start,
            "end": _day(listed, "end"),
            "source": "cow-states",
            # Who is a state is known on the day it becomes one; the list itself came much later.
            "published_at": start,
        }
    )
    return frame.sort_values(["state", "start"], ignore_index=True)


def _borders(raw: Path) -> pd.DataFrame:
    columns = ["ccode1", "ccode2", "conttype", "stdate", "enddate"]
    listed = read_table(raw, LISTS, "direct_contiguity_v3.2_1816_2016.csv", columns)
    # Type 0 is not contiguous; each pair stands there in both orders.
    listed = listed[listed["conttype"] > 0]
    start, end = pd.to_datetime(listed["stdate"]), pd.to_datetime(listed["enddate"])
    frame = pd.DataFrame(
        {
            "a": listed[["ccode1", "ccode2"]].min(axis=1).astype(int),
            "b": listed[["ccode1", "ccode2"]].max(axis=1).astype(int),
            "kind": (listed["conttype"] == 1).map({True: "land", False: "sea"}),
            "start": start,
            "end": end.where(end.dt.year < LAST_LISTED),
            "source": "cow-contiguity",
            "published_at": start,
        }
    )
    return frame.drop_duplicates().sort_values(["a", "b", "start"], ignore_index=True)


def _majors(raw: Path) -> pd.DataFrame:
    columns = ["ccode", "styear", "stmonth", "stday", "endyear", "endmonth", "endday"]
    listed = read_table(raw, LISTS, "cow_major_powers.csv", columns)
    start = _day(listed, "st")
    frame = pd.DataFrame(
        {
            "state": listed["ccode"].astype(int),
            "start": start,
            "end": _day(listed, "end"),
            "source": "cow-majors",
            "published_at": start,
        }
    )
    return frame.sort_values(["state", "start"], ignore_index=True)


def _rivalries(raw: Path, states: set[int]) -> pd.DataFrame:
    """Rivalries between members of the state system that lasted into 1816 or later."""
    columns = ["ccode1", "ccode2", "start", "end"]
    listed = read_table(raw, RIVALRIES, "tss_strategic_rivalries_1494_2020.csv", columns)
    listed = listed[(listed["end"] >= 1816) & listed["ccode1"].isin(states) & listed["ccode2"].isin(states)]
    frame = pd.DataFrame(
        {
            "a": listed[["ccode1", "ccode2"]].min(axis=1).astype(int),
            "b": listed[["ccode1", "ccode2"]].max(axis=1).astype(int),
            "start_year": listed["start"].astype(int),
            "end_year": listed["end"].astype("Int64").where(listed["end"] < LAST_RIVALRY),
            "source": "tss-rivalries",
            # Coded with hindsight: nobody had the list before the book.
            "published_at": pd.Timestamp("2022-01-01"),
        }
    )
    return frame.sort_values(["a", "b", "start_year"], ignore_index=True)


def _disputes(raw: Path, coding: str) -> pd.DataFrame:
    """One row per dispute, dyad and year; levels of the dyad are the higher of its two sides."""
    source, folder, file = DISPUTES[coding]
    sides = ["hostlev1", "hostlev2", "fatality1", "fatality2", "orig1", "orig2"]
    columns = ["dispnum", "year", "ccode1", "ccode2", "midonset", *sides]
    columns += ["disp_hostlev", "disp_fatality_level", "disp_start_month"]
    table = read_table(raw, folder, file, columns)
    if not (table["ccode1"] < table["ccode2"]).all():
        raise DataError(f"File '{folder}/{file}' has ccode1 above ccode2; restore the originator's order.")
    month = table["disp_start_month"].astype("Int64")
    frame = pd.DataFrame(
        {
            "coding": coding,
            "dispute": table["dispnum"].astype(int),
            "year": table["year"].astype(int),
            "a": table["ccode1"].astype(int),
            "b": table["ccode2"].astype(int),
            "onset": table["midonset"].astype(int),
            "level": table[["hostlev1", "hostlev2"]].max(axis=1).astype(int),
            "fatality": table[["fatality1", "fatality2"]].max(axis=1).astype(int),
            "dispute_level": table["disp_hostlev"].astype(int),
            "dispute_fatality": table["disp_fatality_level"].astype(int),
            "originators": table[["orig1", "orig2"]].sum(axis=1).astype(int),
            "start_month": month.where(month.between(1, 12)),
            "source": source,
            "published_at": pd.to_datetime(table["year"].astype(str) + "-12-31")
            + pd.Timedelta(days=LAG_DAYS),
        }
    )
    return frame.sort_values(["year", "dispute", "a", "b"], ignore_index=True)


def _clashes(raw: Path) -> pd.DataFrame:
    """One row per theatre, dyad and month with use of force between the two states."""
    events = pd.concat([_mid_incidents(raw), _coded_incidents(raw)], ignore_index=True)
    key = ["theatre", "dyad", "month", "source"]
    rows = events.groupby(key, sort=True).agg(
        level=("level", "max"),
        fatal=("fatal", "max"),
        # A sum over incidents of which one is unknown is unknown.
        deaths_low=("deaths_low", lambda cells: cells.sum(skipna=False)),
        deaths_high=("deaths_high", lambda cells: cells.sum(skipna=False)),
    )
    frame = rows.reset_index().astype({"fatal": "Int64"})
    months = pd.to_datetime(frame["month"])
    end = months + pd.offsets.MonthEnd(0)
    end = end.where(end <= CODED_TO, CODED_TO)
    frame["published_at"] = end + pd.Timedelta(days=LAG_DAYS)
    names = ["theatre", "dyad", "month", "level", "fatal", "deaths_low", "deaths_high", "source"]
    return frame.loc[:, [*names, "published_at"]]


def _labels(a: pd.Series[Any], b: pd.Series[Any]) -> list[str]:
    label = {frozenset(dyad.split("-")): dyad for dyads in theatre_dyads().values() for dyad in dyads}
    return [label.get(frozenset(pair), "") for pair in zip(a, b, strict=True)]


def _mid_incidents(raw: Path) -> pd.DataFrame:
    """Incidents 1993-2014 in the month they start, the states of a theatre dyad on opposite sides.

    Fatality bands count state forces alone. A death of unknown number has the band's lower bound; a
    fatality that is unknown on one side and none on the other is missing.
    """
    key = ["dispnum", "incidnum"]
    columns = [*key, "iso3", "start_date", "incident_side_a", "hostlev", "fatality_level", "deaths"]
    table = read_table(raw, MID_FOLDER, MID_FILE, columns, text=["start_date"])
    table = table.loc[table["start_date"].str.len() >= 7, columns]
    pairs = table.merge(table, on=key, suffixes=("_a", "_b"))
    pairs = pairs[
        (pairs["iso3_a"] < pairs["iso3_b"]) & (pairs["incident_side_a_a"] != pairs["incident_side_a_b"])
    ].assign(level=lambda rows: rows[["hostlev_a", "hostlev_b"]].max(axis=1))
    pairs = pairs.assign(dyad=_labels(pairs["iso3_a"], pairs["iso3_b"]))
    pairs = pairs[(pairs["dyad"] != "") & (pairs["level"] >= FORCE)].reset_index(drop=True)
    counts = [
        [_deaths(*cells) for cells in zip(pairs[f"fatality_level_{s}"], pairs[f"deaths_{s}"], strict=True)]
        for s in "ab"
    ]
    low = pd.Series([a[0] + b[0] for a, b in zip(*counts, strict=True)], dtype="float64")
    high = pd.Series([a[1] + b[1] for a, b in zip(*counts, strict=True)], dtype="float64")
    known = [max(a[0], b[0]) > 0 or a[1] + b[1] == 0 for a, b in zip(*counts, strict=True)]
    return pd.DataFrame(
        {
            "theatre": [THEATRE_OF[frozenset(dyad.split("-"))] for dyad in pairs["dyad"]],
            "dyad": pairs["dyad"],
            "month": pairs[["start_date_a", "start_date_b"]].min(axis=1).str[:7],
            "level": pairs["level"],
            "fatal": (low > 0).astype("Int64").where(pd.Series(known)),
            "deaths_low": low,
            "deaths_high": high,
            "source": "cow-mid5",
        }
    )


BANDS: Final = ((0, 0), (1, 25), (26, 100), (101, 250), (251, 500), (501, 999), (1000, None))


def _deaths(level: int, exact: int) -> tuple[float, float]:
    """Least and most deaths of one side: the exact number, else the band; most is NaN where unknown."""
    if exact > 0:
        return float(exact), float(exact)
    if level < 0:
        return 0.0, float("nan")
    low, high = BANDS[level]
    return float(low), float("nan") if high is None else float(high)


def _coded_incidents(raw: Path) -> pd.DataFrame:
    """Hand-coded incidents from 2015 that follow the practice of MID5, as the monthly ladder has it."""
    columns = ["date", "theatre", "iso3_a", "iso3_b", "level", "deaths_low", "deaths_high", "flag"]
    table = read_table(raw, CODED_FOLDER, INCIDENTS_FILE, columns, text=["date", "flag"])
    levels = read_table(raw, CODED_FOLDER, CODED_FILE, ["theatre", "month", "level_mid5"])
    month_level = levels.set_index(["theatre", "month"])["level_mid5"]
    flags = [frozenset(text.split(";")) for text in table["flag"].fillna("")]
    table = table.assign(
        month=table["date"].str[:7],
        dyad=_labels(table["iso3_a"], table["iso3_b"]),
        out=[bool(found & LEFT_OUT) for found in flags],
        lowered=[bool(found & LOWERED) for found in flags],
    )
    reached = pd.MultiIndex.from_frame(table[["theatre", "month"]])
    table["month_level"] = month_level.reindex(reached).fillna(0).to_numpy()
    table = table[(table["level"] >= FORCE) & (table["month_level"] >= FORCE) & ~table["out"]]
    # A month stands at force although every flag lowers it: then the coder lifted it by hand.
    kept_by_flag = (~table["lowered"]).groupby([table["theatre"], table["month"]]).transform("any")
    table = table[~table["lowered"] | ~kept_by_flag]
    table = table[table["dyad"] != ""].reset_index(drop=True)
    dead = table["deaths_low"].fillna(0) > 0
    spared = [pair in NOT_FORCES for pair in zip(table["date"], table["dyad"], strict=True)]
    return pd.DataFrame(
        {
            "theatre": table["theatre"].str.removesuffix("_edge"),
            "dyad": table["dyad"],
            "month": table["month"],
            "level": table["level"],
            "fatal": ((dead & ~pd.Series(spared)) | (table["level"] == 5)).astype("Int64"),
            "deaths_low": table["deaths_low"],
            "deaths_high": table["deaths_high"],
            "source": "ladder-coding",
        }
    )
