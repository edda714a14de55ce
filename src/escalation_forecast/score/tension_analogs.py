"""Analogues of monthly press tension: what followed months that looked like this one, in any series.

A linear forecast from where the value stands against its means is fitted to all series at once;
around it stand the errors made at similar months, weighted by likeness (kernel regression of a
conditional distribution: Hall, Wolff and Yao 1999). Half of the index is jumps that fade, and how
they faded elsewhere says more than thirty years of one series do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from escalation_forecast.score.tension_baselines import (
    Method,
    har,
    har_local,
    pairs,
    past,
    smoothed,
    smoothing,
    trailing_mean,
)
from escalation_forecast.score.tension_cases import Predictive, Tension

# Found on origins before 2018, as is what the averages below consist of.
WIDTH: Final = 1.5  # of the kernel, in standard deviations of each input
OWN: Final = 5.0  # weight of a series' own past against that of another series
LEAST: Final = 1e-3  # an analogue of less relative weight is left out
DF: Final = 5.0
ROUNDS: Final = 3
TO_SD: Final = 1.4826  # of the median absolute value
FLOOR: Final = 1e-6
LEVELS: Final = (np.arange(199) + 0.5) / 199

Inputs = Callable[[np.ndarray], list[np.ndarray]]
"""Inputs (series, month) from the values (series, month), to be seen against the twelve-month mean."""


def running_mean(z: np.ndarray, length: int | None = None) -> np.ndarray:
    """Mean of the last ``length`` months, or of as many as there are; of all months by default."""
    whole = np.cumsum(z, axis=1) / np.arange(1, z.shape[1] + 1)
    if length is None or length >= z.shape[1]:
        return whole
    own = trailing_mean(z, length)
    return np.where(np.isnan(own), whole, own)


def robust_slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes without intercept under Student-t errors, by reweighted least squares.

    Parameters
    ----------
    x : (pair, input); y : (pair,).
    """
    weight = np.ones(len(y))
    slope = np.zeros(x.shape[1])
    for _ in range(ROUNDS):
        weighted = x * weight[:, None]
        slope = np.linalg.pinv(weighted.T @ x, hermitian=True) @ (weighted.T @ y)
        error = y - x @ slope
        scale = TO_SD * np.median(np.abs(error)) + FLOOR
        weight = (DF + 1.0) / (DF + (error / scale) ** 2)
    return slope


def analogues(inputs: Inputs, width: float = WIDTH, own: float = OWN) -> Method:
    """Forecast by analogues on the inputs given.

    Parameters
    ----------
    width : of the Gaussian kernel, in standard deviations of each input.
    own : how much more an analogue of the same series weighs.
    """

    def forecast(known: Tension, horizon: int) -> Predictive:
        z, first = known.z[:-1], pairs(known)
        n = z.shape[1]
        local = trailing_mean(z, 12)
        scale = TO_SD * np.median(np.abs(z - local)[:, first:], axis=1) + FLOOR
        x = np.stack([value - local for value in inputs(z)], axis=2) / scale[:, None, None]
        change = (z[:, horizon:] - local[:, : n - horizon])[:, first:] / scale[:, None]
        past_x, past_y = x[:, first : n - horizon].reshape(-1, x.shape[2]), change.ravel()
        slope = robust_slope(past_x, past_y)
        error = past_y - past_x @ slope
        bandwidth = width * (past_x.std(axis=0) + FLOOR)
        distance = ((past_x[None] - x[:, -1][:, None]) / bandwidth) ** 2
        same = np.equal.outer(np.arange(len(z)), np.repeat(np.arange(len(z)), n - horizon - first))
        weight = np.exp(-0.5 * distance.sum(axis=2)) * np.where(same, own, 1.0)
        weight[weight < LEAST * weight.max(axis=1, keepdims=True)] = 0.0
        point = local[:, -1] + scale * (x[:, -1] @ slope)
        return Predictive(
            point[:, None] + scale[:, None] * error[None], weight / weight.sum(axis=1, keepdims=True)
        )

    return forecast


def quantile_average(*methods: Method) -> Method:
    """Mean of the quantiles of several methods, level by level.

    Sharper than a mixture, whose parts' different centres add to its spread (Lichtendahl, Grushka-Cockayne
    and Winkler 2013).
    """

    def forecast(known: Tension, horizon: int) -> Predictive:
        parts = [method(known, horizon).quantiles(LEVELS) for method in methods]
        return Predictive.equal(np.mean(parts, axis=0))

    return forecast


against_all: Final = analogues(lambda z: [z, trailing_mean(z, 3), running_mean(z)])
against_five_years: Final = analogues(lambda z: [z, trailing_mean(z, 3), running_mean(z, 60)])
against_smooth: Final = analogues(lambda z: [smoothed(z, 0.5), smoothed(z, 0.2), running_mean(z)])

ANALOGUES: Final[dict[str, Method]] = {
    "analogues": against_all,
    "analogues_five_years": against_five_years,
    "analogues_smooth": against_smooth,
}
AVERAGES: Final[dict[str, Method]] = {
    "average_broad": quantile_average(
        against_all, against_five_years, against_smooth, har, har_local, smoothing(0.4)
    ),
    "average_recent": quantile_average(against_all, har, smoothing(0.4), past(12)),
}
