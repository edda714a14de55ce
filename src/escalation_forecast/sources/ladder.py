"""Monthly highest hostility level by theatre: MID 5.0 incidents to 2014, hand coding from 2015."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_bounds, month_row

MID_FOLDER: Final = "cow-mid5"
MID_FILE: Final = "mid5_incident_participants_1993_2014.csv"
MID_MONTHS: Final = ("1993-01", "2014-12")
CODED_FOLDER: Final = "ladder-2015-2026"
CODED_FILE: Final = "ladder_month.csv"
# Pages after this day were not available to the coder.
CODED_TO: Final = pd.Timestamp("2026-08-22")
LAG_DAYS: Final = 30

_DYADS: Final[dict[str, str]] = {
    "korea": "KOR-PRK USA-PRK JPN-PRK",
    "taiwan": "CHN-TWN CHN-USA",
    "east_china_sea": "CHN-JPN JPN-TWN",
    "south_china_sea": (
        "CHN-PHL CHN-VNM CHN-MYS CHN-IDN CHN-BRN TWN-PHL TWN-VNM TWN-MYS PHL-VNM MYS-PHL MYS-VNM"
    ),
    "ukraine_nato": (
        "RUS-UKR RUS-USA RUS-GBR RUS-DEU RUS-FRA RUS-POL RUS-EST RUS-LVA RUS-LTU RUS-FIN "
        "RUS-SWE RUS-NOR RUS-DNK RUS-ROU RUS-TUR RUS-NLD RUS-CAN RUS-ITA"
    ),
}
THEATRE_OF: Final[dict[frozenset[str], str]] = {
    frozenset(dyad.split("-")): theatre for theatre, dyads in _DYADS.items() for dyad in dyads.split()
}
# Since 2015 the war itself is at the top of the ladder, so the theatre is measured at its edge.
CODED_AS: Final[dict[str, str]] = {theatre: theatre for theatre in THEATRES} | {
    "ukraine_nato": "ukraine_nato_edge"
}


def theatre_dyads() -> dict[str, list[str]]:
    """The dyads of each theatre, labelled such as ``CHN-TWN``."""
    return {theatre: dyads.split() for theatre, dyads in _DYADS.items()}


def read(raw: Path) -> pd.DataFrame:
    """Rows of `ladder` (five theatres, levels 0-5), `ladder_incidents` and `ladder_war` (from 2015)."""
    return observation_frame([*_mid(raw), *_coded(raw)])


def mid_levels(participants: pd.DataFrame) -> pd.DataFrame:
    """Highest level per theatre and month of the incidents that start in the month.

    Returns
    -------
    DataFrame
        Columns theatre, month, level; months without an incident have no row.
    """
    found = _mid_pairs(participants)[["theatre", "month", "level"]]
    return found.drop_duplicates(["theatre", "month"], keep="last", ignore_index=True)


def mid_incidents(participants: pd.DataFrame) -> pd.DataFrame:
    """Number of incidents per theatre and month in which they start.

    Returns
    -------
    DataFrame
        Columns theatre, month, incidents; months without an incident have no row.
    """
    pairs = _mid_pairs(participants)
    found = pairs.sort_values("month", kind="stable").drop_duplicates(["theatre", "dispnum", "incidnum"])
    return found.groupby(["theatre", "month"]).size().reset_index(name="incidents")


def _mid_pairs(participants: pd.DataFrame) -> pd.DataFrame:
    """States of a listed dyad on opposite sides of an incident: dispnum, incidnum, theatre, month, level.

    The level is the higher of the two. Incidents dated only to the year are left out.
    """
    key = ["dispnum", "incidnum"]
    columns = [*key, "iso3", "start_date", "incident_side_a", "hostlev"]
    known = participants.loc[participants["start_date"].str.len() >= 7, columns]
    pairs = known.merge(known, on=key, suffixes=("_a", "_b"))
    pairs = pairs[
        (pairs["iso3_a"] < pairs["iso3_b"]) & (pairs["incident_side_a_a"] != pairs["incident_side_a_b"])
    ]
    found = pd.DataFrame(
        {
            "dispnum": pairs["dispnum"].to_numpy(),
            "incidnum": pairs["incidnum"].to_numpy(),
            "theatre": [
                THEATRE_OF.get(frozenset(states), "")
                for states in zip(pairs["iso3_a"], pairs["iso3_b"], strict=True)
            ],
            # Two participants of one incident can have different first days.
            "month": pairs[["start_date_a", "start_date_b"]].min(axis=1).str[:7].to_numpy(),
            "level": pairs[["hostlev_a", "hostlev_b"]].max(axis=1).to_numpy(),
        }
    )
    return found[found["theatre"] != ""].sort_values(["theatre", "month", "level"])


def _mid(raw: Path) -> list[dict[str, Any]]:
    table = read_table(
        raw,
        MID_FOLDER,
        MID_FILE,
        ["dispnum", "incidnum", "iso3", "start_date", "incident_side_a", "hostlev"],
        text=["start_date"],
    )
    found = {
        ("ladder", "level"): mid_levels(table),
        ("ladder_incidents", "incidents"): mid_incidents(table),
    }
    months = pd.period_range(*MID_MONTHS, freq="M").astype(str)
    rows: list[dict[str, Any]] = []
    for (series, measure), frame in found.items():
        values = frame.set_index(["theatre", "month"])[measure].to_dict()
        rows += [
            month_row(
                month,
                values.get((theatre, month), 0),
                lag_days=LAG_DAYS,
                series=series,
                unit=theatre,
                unit_of_measure=measure,
                source="cow-mid5",
                release="5.0",
                quality="coded;pseudo_vintage",
            )
            for theatre in THEATRES
            for month in months
        ]
    return rows


def _coded(raw: Path) -> list[dict[str, Any]]:
    columns = [
        "theatre", "month", "level", "n_incidents_3plus", "basis", "level_mid5", "level_no_low", "coverage",
    ]  # fmt: skip
    table = read_table(raw, CODED_FOLDER, CODED_FILE, columns)
    # Nothing found where few pages reached is not a quiet month. The thin months that stay were
    # kept because something was found, so they lean upwards and are marked uncertain.
    table = table[~((table["basis"] == "none_found") & (table["coverage"] == "thin"))]
    edge = table[table["theatre"] == "ukraine_nato_edge"].set_index("month")["level_mid5"].to_dict()

    rows: list[dict[str, Any]] = []
    wanted = [("ladder", theatre, name) for theatre, name in CODED_AS.items()]
    wanted += [("ladder_incidents", theatre, name) for theatre, name in CODED_AS.items()]
    for series, unit, name in [*wanted, ("ladder_war", "ukraine_nato", "ukraine_nato")]:
        counted = series == "ladder_incidents"
        for line in table[table["theatre"] == name].to_dict("records"):
            month = str(line["month"])
            level = int(line["n_incidents_3plus" if counted else "level_mid5"])
            start, end = month_bounds(month)
            if start > CODED_TO:
                raise DataError(
                    f"'{CODED_FOLDER}/{CODED_FILE}' reaches {month}, after {CODED_TO:%Y-%m-%d}; "
                    "set CODED_TO in sources/ladder.py to the last day that was coded."
                )
            thin = line["coverage"] == "thin"
            note = "few pages searched" if thin else ""
            if end > CODED_TO:
                note = "coding stopped within the month"
            if series == "ladder_war" and 4 <= edge.get(month, 0) == level:
                note = "level reached at the NATO edge"
            # Without its recalled incidents the month would stand lower.
            recalled = ";recalled" if line["level_no_low"] < line["level"] else ""
            rows.append(
                month_row(
                    month,
                    level,
                    lag_days=LAG_DAYS,
                    covered_to=CODED_TO,
                    series=series,
                    unit=unit,
                    unit_of_measure="incidents" if counted else "level",
                    source="ladder-coding",
                    release=CODED_TO.strftime("%Y-%m-%d"),
                    quality=f"coded{recalled}{';uncertain' if thin else ''};pseudo_vintage",
                    note=note,
                )
            )
    return rows
