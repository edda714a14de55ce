"""A made-up table of vintages for states that the package does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_folder import SPENDING, cells, write
from escalation_forecast.schema import OBSERVATION_COLUMNS

YEARS = range(2000, 2014)
RELEASES = (2011, 2012, 2013, 2014)


def foreign_growth(state: str) -> dict[int, float]:
    """100 x log growth by year, different for each state, the same in every release."""
    rng = np.random.default_rng([7, *state.encode()])
    return {year: round(float(rng.normal(4, 3)), 3) for year in YEARS if year > YEARS[0]}


def foreign_levels(state: str, release: int) -> dict[int, float]:
    """Levels up to the year before the release; each release has its own prices."""
    growth = foreign_growth(state)
    level, out = 1000.0 + release - RELEASES[0], {}
    for year in range(YEARS[0], release):
        level *= float(np.exp(growth.get(year, 0.0) / 100))
        out[year] = round(level, 6)
    return out


def row(state: str, year: int, value: float, release: str, published: str, **more: str) -> dict[str, str]:
    figure = SPENDING | {"unit": state, "value": str(value), "release": release, "published_at": published}
    figure |= {"period_start": f"{year}-01-01", "period_end": f"{year}-12-31", "source": "user"}
    return figure | {"quality": "estimate"} | more


def foreign_rows(
    states: Sequence[str] = ("POL", "DEU"), releases: Sequence[int] = RELEASES
) -> list[dict[str, str]]:
    return [
        row(state, year, value, str(release), f"{release}-04-20")
        for release in releases
        for state in states
        for year, value in foreign_levels(state, release).items()
    ]


def vintage_file(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    return write(path, OBSERVATION_COLUMNS, cells([dict(r) for r in rows], OBSERVATION_COLUMNS))
