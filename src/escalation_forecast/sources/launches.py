"""North Korean ballistic and satellite launch events per month (CSIS Beyond Parallel)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_bounds, month_row

FOLDER: Final = "dprk-provocations-csis"
FILE: Final = "csis_dprk_provocations_monthly_1958_2026-03.csv"
FIRST_MONTH: Final = "1985-01"
# The table was cut from a page of this day; what followed in its month is not in it.
PAGE_DATE: Final = pd.Timestamp("2026-03-18")
LAG_DAYS: Final = 10


def read(raw: Path) -> pd.DataFrame:
    """Rows of `dprk_launches`: events (a day or a salvo), not missiles; quiet months are zero."""
    table = read_table(raw, FOLDER, FILE, ["month", "ballistic_or_slv_events"])
    table = table[table["month"] >= FIRST_MONTH]
    rows: list[dict[str, Any]] = []
    for line in table.to_dict("records"):
        month = str(line["month"])
        start, end = month_bounds(month)
        if start > PAGE_DATE:
            raise DataError(
                f"'{FOLDER}/{FILE}' reaches {month}, after its page date {PAGE_DATE:%Y-%m-%d}; "
                "set PAGE_DATE in sources/launches.py to the day the new page was read."
            )
        partial = end > PAGE_DATE
        rows.append(
            month_row(
                month,
                line["ballistic_or_slv_events"],
                lag_days=LAG_DAYS,
                covered_to=PAGE_DATE,
                series="dprk_launches",
                unit="PRK",
                unit_of_measure="events",
                source="csis",
                release=PAGE_DATE.strftime("%Y-%m-%d"),
                quality="coded;uncertain;pseudo_vintage" if partial else "coded;pseudo_vintage",
                note="page read within the month" if partial else "",
            )
        )
    return observation_frame(rows)
