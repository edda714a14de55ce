"""A pool of press-tension forecasts with weights that earlier outcomes have earned.

The CRPS of a linear pool is a quadratic form of its weights: with D_k the difference between the
distribution function of part k and the step at the outcome it is the sum over k, l of w_k w_l times
the integral of D_k D_l. The best weights on the simplex are thus a convex problem (Thorey, Mallet and
Baudin 2017), and all of a past case that they need is that matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from escalation_forecast.score.tension_cases import Predictive

PRIOR_ORIGINS: Final = 10.0  # origins that speak for equal weights; found on origins before 2018
FIRST_ORIGINS: Final = 36  # origins of equal weights


def crps_matrix(parts: Sequence[Predictive], outcome: np.ndarray) -> np.ndarray:
    """Integral of the product of two parts' distances from the step at the outcome.

    Parameters
    ----------
    parts : forecasts of the same series.
    outcome : (series,).

    Returns
    -------
    numpy.ndarray
        (series, part, part); the diagonal holds the CRPS of the parts.
    """
    values = np.concatenate([*(part.values for part in parts), outcome[:, None]], axis=1)
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    after = ordered[:, :-1] >= outcome[:, None]
    distance, start = [], 0
    for part in parts:
        weight = np.zeros_like(values)
        weight[:, start : start + part.values.shape[1]] = part.weights
        start += part.values.shape[1]
        below = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)[:, :-1]
        distance.append(below - after)
    stacked = np.stack(distance, axis=1)
    return np.asarray(np.einsum("skp,slp,sp->skl", stacked, stacked, np.diff(ordered, axis=1)))


def simplex_weights(matrix: np.ndarray, ridge: float = 0.0) -> np.ndarray:
    """Weights, not negative and adding to one, that minimise ``w' matrix w + ridge |w|^2``.

    On the simplex the last term is, up to a constant, the distance from equal weights.
    """
    from scipy.optimize import minimize

    n = len(matrix)
    scale = float(np.trace(matrix)) / n or 1.0
    form = (0.5 * (matrix + matrix.T) + ridge * np.eye(n)) / scale
    found = minimize(
        lambda w: float(w @ form @ w),
        np.full(n, 1.0 / n),
        jac=lambda w: 2.0 * form @ w,
        bounds=[(0.0, 1.0)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones(n)},
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-12},
    )
    weights = np.maximum(found.x, 0.0)
    return np.asarray(weights / weights.sum())


def earned_weights(past: Mapping[int, np.ndarray] | Sequence[np.ndarray], n: int) -> np.ndarray:
    """Weights by horizon's complete past cases; equal while there are few.

    Parameters
    ----------
    past : a matrix (series, part, part) of `crps_matrix` for each past origin whose target is known.
    n : number of parts.
    """
    matrices = list(past.values()) if isinstance(past, Mapping) else list(past)
    if len(matrices) < FIRST_ORIGINS:
        return np.full(n, 1.0 / n)
    mean = np.mean([matrix.mean(axis=0) for matrix in matrices], axis=0)
    return simplex_weights(mean, PRIOR_ORIGINS / len(matrices))
