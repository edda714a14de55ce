"""Drafts of the Security Council vetoed by Russia or China, per month."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_row

FOLDER: Final = "unsc-vetoes"
FILE: Final = "unsc_vetoes_1946_2025.csv"
STATES: Final = ("RUS", "CHN")
FIRST_MONTH: Final = "1985-01"
LAG_DAYS: Final = 1


def read(raw: Path) -> pd.DataFrame:
    """Rows of `unsc_vetoes`, months without a veto as zero up to the last veto of any member.

    Each row of the source is one veto. Vetoes of amendments are as the source has them: its
    two parts treat them differently and several on one day may be one row.
    """
    table = read_table(raw, FOLDER, FILE, ["date", "source", *(f"veto_{state}" for state in STATES)])
    table["month"] = table["date"].str[:7]
    covered_to = pd.Timestamp(table["date"].max())
    months = pd.period_range(FIRST_MONTH, covered_to, freq="M").astype(str)
    rows: list[dict[str, Any]] = []
    for state in STATES:
        counts = table.groupby("month")[f"veto_{state}"].sum().reindex(months, fill_value=0)
        for month, count in counts.items():
            row = month_row(
                str(month),
                count,
                lag_days=LAG_DAYS,
                covered_to=covered_to,
                series="unsc_vetoes",
                unit=state,
                unit_of_measure="vetoes",
                source="unsc-vetoes",
                release=covered_to.strftime("%Y-%m-%d"),
                quality="reported",
                note="",
            )
            if month == months[-1]:
                row |= {"quality": "reported;uncertain", "note": "list ends within the month"}
            rows.append(row)
    return observation_frame(rows)
