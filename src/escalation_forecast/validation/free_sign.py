"""Slopes whose sign the model forces, fitted again with the sign free on a path that has not seen them.

The program keeps these slopes positive, and in a theatre that is read by the ladder alone a free sign
would let the latent flip. So the slopes are estimated by maximum likelihood on the posterior median path
of a fit without the block in question. Standard errors are from resampling calendar years.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy.optimize import minimize
from scipy.special import betaln, expit

from escalation_forecast.draws import Draws
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel

RESAMPLES: Final = 200
Negative = Callable[[np.ndarray, np.ndarray], float]


def ladder_slopes(panel: Panel, without_ladder: xr.Dataset, seed: int = 1) -> pd.DataFrame:
    """Ordered-logit slope of each theatre's ladder per unit of the latent, as the model's own."""
    rows = []
    for name, item in panel.items["ordinal"].iterrows():
        history = panel.history[panel.history["indicator"] == name]
        x, years = _path(without_ladder, str(item["theatre"]), history["month"])
        level = (history["value"].to_numpy() >= 3).astype(int) + (history["value"].to_numpy() >= 4)
        start = np.array([-1.0, 0.0, 0.0])
        found = _estimate(partial(_ordered, x=x, level=level), start, years, seed)
        rows.append({"item": name, "n": len(x), "events": int((level > 0).sum()), **found})
    return pd.DataFrame(rows)


def sanction_slopes(panel: Panel, without_shares: xr.Dataset, seed: int = 1) -> pd.DataFrame:
    """Beta-binomial slope of each sanctions item per unit of the latent."""
    rows = []
    for name, item in panel.items["share"].iterrows():
        history = panel.history[panel.history["indicator"] == name]
        x, years = _path(without_shares, str(item["theatre"]), history["month"])
        k = history["value"].to_numpy(float)
        n = panel.exposures[str(name)].reindex(history["month"]).to_numpy(float)
        start = np.array([-1.5, 1.5, 0.0])
        found = _estimate(partial(_shares, x=x, k=k, n=n), start, years, seed)
        rows.append({"item": name, "n": len(x), "events": int((k > 0).sum()), **found})
    return pd.DataFrame(rows)


def _path(posterior: xr.Dataset, theatre: str, months: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    grid = pd.DatetimeIndex(posterior["month"].values)
    median = np.median(Draws(posterior)["eta"][:, LATENTS.index(theatre)], axis=0)
    return median[grid.get_indexer(pd.DatetimeIndex(months))], months.dt.year.to_numpy()


def _ordered(p: np.ndarray, rows: np.ndarray, x: np.ndarray, level: np.ndarray) -> float:
    """Cutpoints as a log odds and a log distance; a faint prior keeps empty classes finite."""
    x, level = x[rows], level[rows]
    low, high = expit(p[0] + p[2] * x), expit(p[0] - np.exp(p[1]) + p[2] * x)
    chance = np.where(level < 1, 1.0 - low, np.where(level < 2, low - high, high))
    return float(-np.log(chance + 1e-12).sum() + 0.5 * (p[1] ** 2 + (p[0] / 5.0) ** 2 + (p[2] / 5.0) ** 2))


def _shares(p: np.ndarray, rows: np.ndarray, x: np.ndarray, k: np.ndarray, n: np.ndarray) -> float:
    x, k, n = x[rows], k[rows], n[rows]
    chance, c = expit(p[0] + p[2] * x), np.exp(np.clip(p[1], -5.0, 8.0))
    a, b = c * chance + 1e-9, c * (1.0 - chance) + 1e-9
    return float(-(betaln(k + a, n - k + b) - betaln(a, b)).sum() + 0.5 * (p[2] / 5.0) ** 2)


def _estimate(negative: Negative, start: np.ndarray, years: np.ndarray, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    every = np.arange(len(years))
    best = minimize(negative, start, args=(every,), method="BFGS").x
    by_year = [every[years == year] for year in np.unique(years)]
    slopes = [
        minimize(
            negative,
            best,
            args=(np.concatenate([by_year[k] for k in rng.integers(len(by_year), size=len(by_year))]),),
            method="BFGS",
        ).x[2]
        for _ in range(RESAMPLES)
    ]
    return {
        "slope": float(best[2]),
        "se": float(np.std(slopes)),
        "positive": float(np.mean(np.array(slopes) > 0)),
    }
