"""Distance between voting positions in the General Assembly (Bailey, Strezhnev and Voeten)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, period, read_table

FOLDER: Final = "unga-ideal-points"
FILE: Final = "unga_ideal_points_1946_2024.csv"
DYADS: Final = (("PRK", "RUS"), ("CHN", "RUS"), ("CHN", "PRK"))
FIRST_YEAR: Final = 1985
RELEASE: Final = "2025-07"


def read(raw: Path) -> pd.DataFrame:
    """Rows of `unga_distance`: absolute difference of ideal points, by the year the Assembly opens.

    All votes where both states have that ideal point, else final-passage votes, which have
    another scale: such a year says so in `note` and is marked uncertain.
    """
    table = read_table(raw, FOLDER, FILE, ["iso3", "year", "idealpointall", "idealpointfp"])
    states = {state for dyad in DYADS for state in dyad}
    table = table[table["iso3"].isin(states) & table["year"].ge(FIRST_YEAR)]
    every = table.pivot(index="year", columns="iso3", values="idealpointall").reindex(columns=sorted(states))
    final = table.pivot(index="year", columns="iso3", values="idealpointfp").reindex(columns=sorted(states))
    rows: list[dict[str, Any]] = []
    for a, b in DYADS:
        distance, fallback = (every[a] - every[b]).abs(), (final[a] - final[b]).abs()
        for year in distance.index:
            spliced = bool(pd.isna(distance[year]))
            value = float(fallback[year] if spliced else distance[year])
            if pd.isna(value):
                continue
            start, end = period(int(year))
            rows.append(
                {
                    "series": "unga_distance",
                    "unit": f"{a}-{b}",
                    "period_start": start,
                    "period_end": end,
                    "value": value,
                    "unit_of_measure": "ideal_point_distance",
                    "source": "unga",
                    "release": RELEASE,
                    "published_at": pd.Timestamp(year=int(year) + 1, month=7, day=31),
                    "quality": "modelled;uncertain;pseudo_vintage" if spliced else "modelled;pseudo_vintage",
                    "note": "final-passage votes only, another scale" if spliced else "",
                }
            )
    return observation_frame(rows)
