"""IMF World Economic Outlook: real GDP growth and consumer-price inflation, actual years only."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import STATES, DataError
from escalation_forecast.sources._common import observation_frame, period, read_table, records

FOLDER: Final = "imf-weo-2025-10"
FILE: Final = "weo_2025_10_country_year.csv"
RELEASE: Final = "weo-2025-10"
FIRST_YEAR: Final = 1988
SERIES: Final[dict[str, str]] = {
    "gdp_growth": "real_gdp_growth_pct",
    "cpi_inflation": "cpi_inflation_avg_pct",
}


def read(raw: Path) -> pd.DataFrame:
    """Rows of `gdp_growth` and `cpi_inflation` (per cent).

    One vintage is held, so each year is dated 20 April of the next year, the usual week
    of the spring edition, and marked as a pseudo-vintage.
    """
    table = read_table(raw, FOLDER, FILE, ("iso3", "year", "is_projection", *SERIES.values()))
    table = table[table["iso3"].isin(STATES) & table["year"].ge(FIRST_YEAR)]
    if table["is_projection"].dtype != bool:
        raise DataError(
            f"Column 'is_projection' of '{FOLDER}/{FILE}' must be True or False in every row; "
            "fill the blanks, because projections must not enter as facts."
        )
    table = table[~table["is_projection"]]
    rows: list[dict[str, Any]] = []
    for series, column in SERIES.items():
        for line in records(table[table[column].notna()]):
            year = int(line["year"])
            start, end = period(year)
            rows.append(
                {
                    "series": series,
                    "unit": line["iso3"],
                    "period_start": start,
                    "period_end": end,
                    "value": line[column],
                    "unit_of_measure": "percent",
                    "source": "imf-weo",
                    "release": RELEASE,
                    "published_at": f"{year + 1}-04-20",
                    "quality": "reported;pseudo_vintage",
                    "note": "",
                }
            )
    return observation_frame(rows)
