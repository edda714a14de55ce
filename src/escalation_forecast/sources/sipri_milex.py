"""SIPRI military expenditure in constant dollars, one row per state, year and release held."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import STATES, DataError
from escalation_forecast.sources._common import observation_frame, period, read_table, records

FOLDER: Final = "sipri-milex"
FILE: Final = "milex_vintages_r2017_r2026.csv"
COLUMNS: Final = ("release_year", "iso3", "year", "measure", "price_base_year", "value", "flag")
FIRST_YEAR: Final = 1988

PUBLISHED: Final[dict[int, str]] = {
    2017: "2017-04-24",
    2018: "2018-05-02",
    2020: "2020-04-27",
    2021: "2021-04-26",
    2023: "2023-04-24",
    2024: "2024-04-22",
    2025: "2025-04-28",
    2026: "2026-04-27",
}
QUALITY: Final[dict[str, str]] = {
    "reported": "reported",
    "sipri_estimate": "estimate",
    "highly_uncertain": "uncertain",
}
# No release before 2017 is held, so older origins read this one cut off at their year.
PSEUDO_FROM: Final = 2017


def read(raw: Path) -> pd.DataFrame:
    """Rows of `milex_constant` (US$ mn, price base of the release in `note`)."""
    table = read_table(raw, FOLDER, FILE, COLUMNS)
    table = table[
        table["measure"].eq("constant_usd_mn")
        & table["iso3"].isin(STATES)
        & table["year"].ge(FIRST_YEAR)
        & table["value"].notna()
    ]
    strange = sorted(set(table["release_year"]) - set(PUBLISHED))
    if strange:
        raise DataError(
            f"'{FOLDER}/{FILE}' holds release(s) {strange} without a publication date; "
            "add the date to PUBLISHED in sources/sipri_milex.py."
        )
    flags = sorted(set(table["flag"].dropna()) - set(QUALITY))
    if flags or table["flag"].isna().any():
        raise DataError(f"'{FOLDER}/{FILE}' has unknown flag(s) {flags or 'blank'}; add them to QUALITY.")

    rows: list[dict[str, Any]] = []
    for line in records(table):
        release, year = int(line["release_year"]), int(line["year"])
        start, end = period(year)
        base = f"constant {int(line['price_base_year'])} USD"
        row = {
            "series": "milex_constant",
            "unit": line["iso3"],
            "period_start": start,
            "period_end": end,
            "value": line["value"],
            "unit_of_measure": "usd_mn",
            "source": "sipri-milex",
            "release": str(release),
            "published_at": PUBLISHED[release],
            "quality": QUALITY[line["flag"]],
            "note": base,
        }
        rows.append(row)
        if release == PSEUDO_FROM and year + 1 < PSEUDO_FROM:
            rows.append(
                row
                | {
                    "release": f"{release}p",
                    "published_at": f"{year + 1}-04-30",
                    "quality": row["quality"] + ";pseudo_vintage",
                    "note": f"{base}; cut from release {release}",
                }
            )
    return observation_frame(rows)
