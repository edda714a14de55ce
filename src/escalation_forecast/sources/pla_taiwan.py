"""Chinese military aircraft and ships around Taiwan, as Taiwan's defence ministry reports them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_bounds, month_row

FOLDER: Final = "pla-taiwan"
FILE: Final = "pla_aircraft_vessels_daily_2015_2026-08-22.csv"
ENTRIES: Final = "adiz_entries_reported"
ALL_AIRCRAFT: Final = "all_aircraft_around_taiwan"
LAG_DAYS: Final = 1


def read(raw: Path) -> pd.DataFrame:
    """Rows of `pla_aircraft_adiz`, `pla_aircraft_all`, `pla_vessels` and the days behind each.

    Until July 2022 the ministry counted aircraft that entered the identification zone, then
    every aircraft it detected: two series. In the first era a day without an entry is not
    listed, so the exposure is the calendar; in the second it is the days listed with a
    figure. A month without a listed day is missing.
    """
    table = read_table(
        raw, FOLDER, FILE, ["date", "pla_aircraft_n", "plan_vessels_n", "aircraft_definition"], text=["date"]
    )
    table["month"] = table["date"].str[:7]
    last_day = pd.Timestamp(table["date"].max())
    detected = table[table["aircraft_definition"] == ALL_AIRCRAFT]
    entries = table[table["aircraft_definition"] == ENTRIES]
    # The month of the change counts as the new era; the old count of its first days is not a month.
    entries = entries[~entries["month"].isin(detected["month"])]

    rows: list[dict[str, Any]] = []
    for name, measure, column, frame in (
        ("aircraft_adiz", "aircraft", "pla_aircraft_n", entries),
        ("aircraft_all", "aircraft", "pla_aircraft_n", detected),
        ("vessels", "ships", "plan_vessels_n", detected),
    ):
        for month, group in frame.groupby("month", sort=True):
            known = group[column].dropna()
            if known.empty:
                continue
            days = len(known)
            if name == "aircraft_adiz":
                start, end = month_bounds(str(month))
                days = (min(end, last_day) - start).days + 1 - int(group[column].isna().sum())
            cells: dict[str, Any] = {
                "unit": "TWN",
                "source": "mnd-taiwan",
                "release": last_day.strftime("%Y-%m-%d"),
                "quality": "reported",
            }
            label = str(month)
            exposure = f"pla_days_{name.removeprefix('aircraft_')}"
            for series, value, unit_of_measure in (
                (f"pla_{name}", float(known.sum()), measure),
                (exposure, float(days), "days"),
            ):
                row = month_row(
                    label,
                    value,
                    lag_days=LAG_DAYS,
                    covered_to=last_day,
                    series=series,
                    unit_of_measure=unit_of_measure,
                    **cells,
                )
                if row["period_end"] < month_bounds(label)[1]:
                    row["published_at"] = last_day
                rows.append(row)
    return observation_frame(rows)
