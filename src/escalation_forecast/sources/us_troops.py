"""US active-duty personnel by host, from the reports of the Defense Manpower Data Center."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, period, read_table, records

FOLDER: Final = "us-troops-dmdc"
QUARTERS: Final = "us_troops_host_quarter_2008_2025.csv"
YEARS: Final = "us_troops_host_year.csv"
RELEASE: Final = "dmdc-2025-12"
LAG: Final = pd.Timedelta(days=75)
HOSTS: Final = ("KOR", "JPN", "GUM")
ANNUAL_HOSTS: Final = ("KOR", "JPN")
EUROPE: Final = ("DEU", "ITA", "GBR", "ESP", "BEL", "TUR")
QUARTERLY_FROM: Final = 2008
# No report exists for these years; the country-year file repeats 1953 there.
NO_REPORT: Final = frozenset({1951, 1952})


def read(raw: Path) -> pd.DataFrame:
    """Rows of `us_troops` (persons): quarters from 2008, before that the September report of a year."""
    return observation_frame([*_quarters(raw), *_years(raw)])


def _row(
    unit: str, span: tuple[pd.Timestamp, pd.Timestamp], value: float, quality: str, note: str
) -> dict[str, Any]:
    return {
        "series": "us_troops",
        "unit": unit,
        "period_start": span[0],
        "period_end": span[1],
        "value": value,
        "unit_of_measure": "persons",
        "source": "us-dmdc",
        "release": RELEASE,
        "published_at": span[1] + LAG,
        "quality": f"{quality};pseudo_vintage",
        "note": note,
    }


def _quarters(raw: Path) -> list[dict[str, Any]]:
    table = read_table(raw, FOLDER, QUARTERS, ("iso3", "year", "quarter", "us_active_duty"))
    table = table[table["us_active_duty"].notna()]
    wide = table.pivot(index=["year", "quarter"], columns="iso3", values="us_active_duty")
    wide = wide.reindex(columns=[*HOSTS, *EUROPE])
    # A host missing from one report must not look like a withdrawal from Europe.
    wide["EUR"] = wide[list(EUROPE)].sum(axis=1, min_count=len(EUROPE))
    rows: list[dict[str, Any]] = []
    for line in records(wide.reset_index()):
        span = period(int(line["year"]), quarter=int(line["quarter"]))
        for unit in (*HOSTS, "EUR"):
            if pd.notna(line[unit]):
                note = "sum of " + " ".join(EUROPE) if unit == "EUR" else ""
                rows.append(_row(unit, span, float(line[unit]), "reported", note))
    return rows


def _years(raw: Path) -> list[dict[str, Any]]:
    table = read_table(raw, FOLDER, YEARS, ("iso3", "year", "us_active_duty", "source_of_value"))
    table = table[
        table["iso3"].isin(ANNUAL_HOSTS)
        & table["year"].lt(QUARTERLY_FROM)
        & ~table["year"].isin(list(NO_REPORT))
        & table["us_active_duty"].notna()
    ]
    rows: list[dict[str, Any]] = []
    for line in records(table):
        quality = "reported" if line["source_of_value"] == "report" else "estimate"
        note = "September or last report of the year"
        span = period(int(line["year"]))
        rows.append(_row(str(line["iso3"]), span, float(line["us_active_duty"]), quality, note))
    return rows
