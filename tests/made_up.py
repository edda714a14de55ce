"""Made-up paths and stores small enough to know the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import realised
from escalation_forecast.questions import load_questions
from escalation_forecast.schema import (
    CORE_FOUR,
    INDICATOR_COLUMNS,
    OBSERVATION_COLUMNS,
    THEATRES,
)
from escalation_forecast.store import Store

FIRST = "2026-06-01"
BY_ID = {question.id: question for question in load_questions()}


def growth_paths(values: np.ndarray, years: Sequence[int], states: Sequence[str] = CORE_FOUR) -> xr.Dataset:
    """Paths with growth_print of shape (chain, draw, state, year, age)."""
    dims = ("chain", "draw", "state", "year", "age")
    coords = {"state": list(states), "year": list(years), "age": range(values.shape[-1])}
    coords |= {"chain": range(values.shape[0]), "draw": range(values.shape[1])}
    return xr.Dataset({"growth_print": (dims, values)}, coords=coords)


def one_path(by_state: Mapping[str, Sequence[float]], year: int = 2026) -> xr.Dataset:
    """One path of one year; growth by state from the youngest year back."""
    values = np.array([list(by_state[state]) for state in by_state])[None, None, :, None, :]
    return growth_paths(values, [year], list(by_state))


def month_paths(n_chains: int = 2, n_draws: int = 50, months: int = 24, seed: int = 0) -> xr.Dataset:
    """Forecast months of the ladder, one indicator and the troops."""
    rng = np.random.default_rng(seed)
    index = pd.date_range(FIRST, periods=months, freq="MS")
    shape = (n_chains, n_draws)
    dims = ("chain", "draw")
    return xr.Dataset(
        {
            "ladder": (
                (*dims, "theatre", "month"),
                rng.choice([0.0, 3.0, 4.0], p=[0.7, 0.2, 0.1], size=(*shape, len(THEATRES), months)),
            ),
            "indicator_level": ((*dims, "indicator", "month"), rng.gamma(2.0, size=(*shape, 1, months))),
            "dprk_troops": ((*dims, "month"), rng.lognormal(9.2, 0.3, size=(*shape, months))),
        },
        coords={
            "chain": range(n_chains),
            "draw": range(n_draws),
            "theatre": list(THEATRES),
            "indicator": ["news_korea"],
            "month": index,
        },
        attrs={"as_of": "2026-05-15", "horizon": months, "first_forecast_month": FIRST},
    )


def figure(
    series: str, unit: str, start: str, value: float, release: str, published: str, **more: Any
) -> dict[str, Any]:
    freq = "Y" if series == realised.SPENDING else "M"
    row = dict.fromkeys(OBSERVATION_COLUMNS, "")
    row |= {"series": series, "unit": unit, "value": value, "low": np.nan, "high": np.nan, "source": "s"}
    row |= {"period_start": start, "period_end": str(pd.Period(start, freq).end_time.date())}
    return row | {"release": release, "published_at": published, "quality": "reported"} | more


def make_store(rows: Sequence[Mapping[str, Any]]) -> Store:
    observations = pd.DataFrame(list(rows), columns=list(OBSERVATION_COLUMNS))
    for name in ("period_start", "period_end", "published_at"):
        observations[name] = pd.to_datetime(observations[name])
    indicator = dict.fromkeys(INDICATOR_COLUMNS, "")
    indicator |= {"indicator": "news_korea", "family": "news", "series": "gpr_country", "units": "KOR"}
    indicator |= {"theatre": "korea", "start": "1990-01"}
    series = ("milex_constant", "gpr_country", "ladder", "dprk_troops_in_russia")
    return Store(
        observations=observations,
        indicators=pd.DataFrame([indicator]),
        series=pd.DataFrame({"series": series}),
        sources=pd.DataFrame({"source": ["s"]}),
        where=pd.DataFrame({"file": "made up", "row": range(len(observations))}),
        root=Path("made-up"),
    )


def spending_rows(release: str, levels: Mapping[str, Mapping[int, float]]) -> list[dict[str, Any]]:
    return [
        figure("milex_constant", state, f"{year}-01-01", value, release, f"{release}-04-25")
        for state, series in levels.items()
        for year, value in series.items()
    ]


def news_rows(values: Sequence[float], first: str = "2020-01-01") -> list[dict[str, Any]]:
    months = pd.date_range(first, periods=len(values), freq="MS")
    return [
        figure(
            "gpr_country", "KOR", f"{m:%Y-%m-%d}", v, "r", f"{m + pd.DateOffset(months=1, days=4):%Y-%m-%d}"
        )
        for m, v in zip(months, values, strict=True)
    ]


def ladder_rows(values: Sequence[float], first: str, theatre: str = "korea") -> list[dict[str, Any]]:
    months = pd.date_range(first, periods=len(values), freq="MS")
    return [
        figure("ladder", theatre, f"{m:%Y-%m-%d}", v, "r", f"{m + pd.DateOffset(months=2):%Y-%m-%d}")
        for m, v in zip(months, values, strict=True)
        if not np.isnan(v)
    ]


def compound(growth: Sequence[float], first: int, start: float = 8000.0) -> dict[int, float]:
    levels = start * np.cumprod([1.0, *(1 + np.asarray(growth) / 100)])
    return {first + k: float(level) for k, level in enumerate(levels)}


FLAT = {state: compound([1.0] * 11, 2014) for state in CORE_FOUR}
