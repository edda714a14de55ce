"""Simple methods for monthly press tension: what a forecaster gets from the series' own past.

Every method takes only what is known at the origin and gives the distribution of the value h months
later, for all series at once. Regressions are direct: the value h months ahead on what stood at the
month, over every pair that is complete at the origin (Corsi 2009 for the heterogeneous lags).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.score.tension_cases import Predictive, Tension, mixture

FIRST_PAIR: Final = pd.Timestamp("1986-01-01")

Method = Callable[[Tension, int], Predictive]
"""Forecast of every series but the world, from what is known and the months ahead."""


def trailing_mean(z: np.ndarray, length: int) -> np.ndarray:
    """Mean of the last ``length`` months, (series, month); NaN before there are as many."""
    out = np.full(z.shape, np.nan)
    total = np.cumsum(np.concatenate([np.zeros((len(z), 1)), z], axis=1), axis=1)
    out[:, length - 1 :] = (total[:, length:] - total[:, :-length]) / length
    return out


def smoothed(z: np.ndarray, rate: float) -> np.ndarray:
    """Exponentially smoothed level, (series, month), started at the first value."""
    out = np.empty_like(z)
    level = z[:, 0]
    for t in range(z.shape[1]):
        level = level + rate * (z[:, t] - level)
        out[:, t] = level
    return out


def pairs(known: Tension) -> int:
    """Position of the first month that a pair may start from."""
    return int(known.months.searchsorted(FIRST_PAIR))


def least_squares(inputs: np.ndarray, target: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ordinary least squares of each series on its own inputs.

    Parameters
    ----------
    inputs : (series, pair, input); target : (series, pair); now : (series, input) at the origin.

    Returns
    -------
    point (series,) and residuals (series, pair).
    """
    gram = np.einsum("spi,spj->sij", inputs, inputs)
    moment = np.einsum("spi,sp->si", inputs, target)
    # The pseudo-inverse: a series that never moved has no slope, and that is no error.
    slope = np.einsum("sij,sj->si", np.linalg.pinv(gram, rcond=1e-12, hermitian=True), moment)
    return (now * slope).sum(axis=1), target - np.einsum("spi,si->sp", inputs, slope)


def regression(columns: Callable[[Tension], list[np.ndarray]]) -> Method:
    """Direct regression with intercept on inputs (series, month); residuals scaled by sqrt(n/(n - k))."""

    def forecast(known: Tension, horizon: int) -> Predictive:
        first = pairs(known)
        series = known.z[:-1]
        stacked = np.stack([np.ones_like(series), *columns(known)], axis=2)
        point, residuals = least_squares(
            stacked[:, first : series.shape[1] - horizon], series[:, first + horizon :], stacked[:, -1]
        )
        n, k = residuals.shape[1], stacked.shape[2]
        return Predictive.equal(point[:, None] + residuals * np.sqrt(n / (n - k)))

    return forecast


def own_lags(known: Tension) -> list[np.ndarray]:
    """Value, three-month and twelve-month mean."""
    series = known.z[:-1]
    return [series, trailing_mean(series, 3), trailing_mean(series, 12)]


def world_lags(known: Tension) -> list[np.ndarray]:
    """The series' own lags, and the world's value and three-month mean."""
    world, shape = known.z[-1:], known.z[:-1].shape
    return [*own_lags(known), *(np.broadcast_to(x, shape) for x in (world, trailing_mean(world, 3)))]


def har_local(known: Tension, horizon: int) -> Predictive:
    """Own lags against the twelve-month mean, without intercept: a level that moves."""
    first, series = pairs(known), known.z[:-1]
    local = trailing_mean(series, 12)
    inputs = np.stack([series - local, trailing_mean(series, 3) - local], axis=2)
    point, residuals = least_squares(
        inputs[:, first : series.shape[1] - horizon],
        (series[:, horizon:] - local[:, : series.shape[1] - horizon])[:, first:],
        inputs[:, -1],
    )
    return Predictive.equal(
        (local[:, -1] + point)[:, None] + residuals - residuals.mean(axis=1, keepdims=True)
    )


def symmetric(level: np.ndarray, series: np.ndarray, first: int, horizon: int) -> Predictive:
    """The newest level plus its past h-step errors with both signs."""
    errors = series[:, first + horizon :] - level[:, first : series.shape[1] - horizon]
    return Predictive.equal(level[:, -1:] + np.concatenate([errors, -errors], axis=1))


def random_walk(known: Tension, horizon: int) -> Predictive:
    """The newest value plus symmetric h-step differences."""
    return symmetric(known.z[:-1], known.z[:-1], pairs(known), horizon)


def smoothing(rate: float) -> Method:
    """Exponential smoothing with symmetric h-step errors."""

    def forecast(known: Tension, horizon: int) -> Predictive:
        return symmetric(smoothed(known.z[:-1], rate), known.z[:-1], pairs(known), horizon)

    return forecast


def past(length: int | None) -> Method:
    """Values of the last months as the forecast, or of all."""

    def forecast(known: Tension, horizon: int) -> Predictive:
        return Predictive.equal(known.z[:-1] if length is None else known.z[:-1, -length:])

    return forecast


def mix(*methods: Method) -> Method:
    """Equal mixture of methods."""
    return lambda known, horizon: mixture([method(known, horizon) for method in methods])


har: Final = regression(own_lags)
BASELINES: Final[dict[str, Method]] = {
    "har": har,
    "har_world": regression(world_lags),
    "har_local": har_local,
    "ar1_direct": regression(lambda known: [known.z[:-1]]),
    "rw": random_walk,
    "ses04": smoothing(0.4),
    "ses02": smoothing(0.2),
    "last12": past(12),
    "last60": past(60),
    "clim": past(None),
    "mix_har_harlocal_ses": mix(har, har_local, smoothing(0.4)),
    "mix_har_ses_last12": mix(har, smoothing(0.4), past(12)),
}
REFERENCE: Final = "mix_har_harlocal_ses"
