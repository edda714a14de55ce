"""Simple forecasts of spending growth, and their mixture.

A method maps past growth, 100 x log difference by year without gaps, to draws of the years after it. The
mixture has an equal share of draws from each of four methods; it is what a model of spending has to beat,
and what the forecast is pooled with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

__all__ = [
    "MIN_GROWTH", "MIX4", "ar1", "clim", "ewma", "fit_ar1", "fit_ewma", "fit_pooled_ar1", "mixture",
    "pooled_ar1",
]  # fmt: skip

MIX4: Final = ("clim", "ar1", "ewma", "pooled_ar1")
MIN_GROWTH: Final = 8  # years of growth without which a state is not forecast
STEPS: Final = 3
MAX_SLOPE: Final = 0.95
EWMA_RATE: Final = 0.3
EWMA_START: Final = 5
EWMA_LONG: Final = 12
MIN_TAU2: Final = 0.25
MAX_SE2: Final = 20.0

Growth = Mapping[str, np.ndarray]


def clim(g: np.ndarray, rng: np.random.Generator, n: int, steps: int = STEPS) -> np.ndarray:
    """Own past growth; (draw, step) like all below."""
    return rng.choice(g, size=(n, steps))


def fit_ar1(g: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Intercept, slope and residuals of growth on the year before, by least squares.

    A slope beyond 0.95 is cut there and the intercept put through the means; residuals are centred and
    widened by sqrt(n / (n - 2)).
    """
    x, y = g[:-1], g[1:]
    n, sxx = len(y), float(np.sum((x - x.mean()) ** 2))
    slope = float(np.sum((x - x.mean()) * (y - y.mean()))) / sxx if sxx > 0 else 0.0
    slope = float(np.clip(slope, -MAX_SLOPE, MAX_SLOPE))
    intercept = float(y.mean() - slope * x.mean())
    residuals = y - intercept - slope * x
    return intercept, slope, (residuals - residuals.mean()) * np.sqrt(n / (n - 2.0))


def ar1(g: np.ndarray, rng: np.random.Generator, n: int, steps: int = STEPS) -> np.ndarray:
    """Autoregression of order one with resampled residuals."""
    intercept, slope, residuals = fit_ar1(g)
    errors = rng.choice(residuals, size=(n, steps))
    return _autoregress(g[-1], intercept, slope, errors)


def fit_ewma(g: np.ndarray, rate: float = EWMA_RATE) -> tuple[float, np.ndarray]:
    """Last level and one-step errors of exponential smoothing that starts at the mean of five years.

    The errors of those five are left out where there are more than twelve.
    """
    level = float(g[:EWMA_START].mean())
    errors = np.empty(len(g))
    for t, value in enumerate(g):
        errors[t] = value - level
        level += rate * errors[t]
    return level, errors[EWMA_START:] if len(errors) > EWMA_LONG else errors


def ewma(g: np.ndarray, rng: np.random.Generator, n: int, steps: int = STEPS) -> np.ndarray:
    """Exponential smoothing with rate 0.3; the level moves with each simulated error, of either sign."""
    level, past = fit_ewma(g)
    errors = rng.choice(np.concatenate([past, -past]), size=(n, steps))
    moved = np.cumsum(errors, axis=1) - errors
    return np.asarray(level + EWMA_RATE * moved + errors)


def _autoregress(
    last: float | np.ndarray, intercept: float | np.ndarray, slope: float | np.ndarray, errors: np.ndarray
) -> np.ndarray:
    out = np.empty_like(errors)
    for step in range(errors.shape[1]):
        last = intercept + slope * last + errors[:, step]
        out[:, step] = last
    return out


def fit_pooled_ar1(growth: Growth) -> tuple[float, dict[str, float], np.ndarray, dict[str, float]]:
    """One slope for all states, means shrunk to their median, standardised residuals of all, own scales.

    Returns
    -------
    slope, mean by state, residuals (pooled), scale by state.
    """
    pairs = {s: (g[1:] - g.mean(), g[:-1] - g.mean(), float(g.var(ddof=1))) for s, g in growth.items()}
    pairs = {s: pair for s, pair in pairs.items() if pair[2] > 0}
    moving = sum(float(x @ x) / v for _, x, v in pairs.values())
    slope = sum(float(x @ y) / v for y, x, v in pairs.values()) / moving if moving else 0.0
    slope = float(np.clip(slope, -MAX_SLOPE, MAX_SLOPE))
    means = {s: float(g.mean()) for s, g in growth.items()}
    widening = (1.0 + slope) / (1.0 - slope)
    se2 = {s: float(g.var(ddof=1)) / len(g) * widening for s, g in growth.items()}
    spread = float(np.var(list(means.values()), ddof=1)) if len(means) > 1 else 0.0
    tau2 = max(spread - float(np.mean([min(v, MAX_SE2) for v in se2.values()])), MIN_TAU2)
    centre = float(np.median(list(means.values())))
    weight = {s: tau2 / (tau2 + v) for s, v in se2.items()}
    shrunk = {s: weight[s] * m + (1.0 - weight[s]) * centre for s, m in means.items()}
    residuals = {s: (g[1:] - shrunk[s]) - slope * (g[:-1] - shrunk[s]) for s, g in growth.items()}
    scale = {s: float(e.std(ddof=1)) for s, e in residuals.items()}
    pooled = np.concatenate(
        [(e - e.mean()) / scale[s] for s, e in residuals.items() if scale[s] > 0] or [np.zeros(1)]
    )
    return slope, shrunk, pooled, scale


def pooled_ar1(
    growth: Growth, stream: Callable[[str], np.random.Generator], n: int, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """Autoregression with the slope of all states, draws by state.

    Parameters
    ----------
    stream : random numbers of a state.
    """
    slope, means, residuals, scale = fit_pooled_ar1(growth)
    return {
        state: _autoregress(
            g[-1],
            means[state] * (1.0 - slope),
            slope,
            scale[state] * stream(state).choice(residuals, size=(n, steps)),
        )
        for state, g in growth.items()
    }


def mixture(growth: Growth, rng: np.random.Generator, n: int, steps: int = STEPS) -> np.ndarray:
    """Draws of the mixture of `MIX4`, each of one method for all states and years.

    Parameters
    ----------
    growth : by state, at least `MIN_GROWTH` years.

    Returns
    -------
    numpy.ndarray
        (draw, state, step), ordered by method; where four does not divide ``n``, the first have one more.
    """
    parts = []
    for k, name in enumerate(MIX4):
        share = n // len(MIX4) + (k < n % len(MIX4))
        if name == "pooled_ar1":
            drawn = pooled_ar1(growth, lambda _: rng, share, steps)
        else:
            method = {"clim": clim, "ar1": ar1, "ewma": ewma}[name]
            drawn = {state: method(g, rng, share, steps) for state, g in growth.items()}
        parts.append(np.stack([drawn[state] for state in growth], axis=1))
    return np.concatenate(parts)
