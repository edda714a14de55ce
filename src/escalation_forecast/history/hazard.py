"""Monthly hazard with war effects: likelihood, posterior without one war, prediction for that war.

The logit of the chance in a month is linear in the inputs plus a normal effect of the war, which is
integrated out by Gauss-Hermite quadrature. Left-out posteriors are exact up to Monte Carlo error: draws
from a Student-t at the mode are weighted by importance (Geweke 1989; integrated over the war's effect as
in Vehtari et al. 2016), and a war whose weights are too uneven gets a mode of its own, found without it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

Array = NDArray[np.float64]

NODES: Final = 15
DRAWS: Final = 1000
PROPOSAL_DF: Final = 6.0
PROPOSAL_SCALE: Final = 1.1
REFIT_BELOW: Final = 0.3  # share of the draws that the weights must be worth

# The inputs are zero at a war of two states in its thirteenth month without a great power.
CENTRE_AGE: Final = 12
FIRST_MODERN: Final = 1946
INPUTS: Final = ("age", "present", "major", "era")

INTERCEPT: Final = (-3.5, 1.5)
SLOPE_SD: Final = 1.0
EFFECT: Final = (float(np.log(0.5)), 0.7)  # log of the standard deviation between wars


def design(months: pd.DataFrame, inputs: tuple[str, ...] = INPUTS) -> Array:
    """Inputs (month, coefficient) with a leading one: log(1 + age), log of participants, flags."""
    columns = {
        "age": np.log1p(months["age"]) - np.log1p(CENTRE_AGE),
        "present": np.log(np.maximum(months["present"], 2) / 2),
        "participants": np.log(np.maximum(months["participants"], 2) / 2),
        "major": months["major"],
        "era": months["year"] >= FIRST_MODERN,
        "recent": months["recent"],
    }
    return np.column_stack([np.ones(len(months)), *(columns[name] for name in inputs)]).astype(float)


@dataclasses.dataclass(frozen=True)
class Hazard:
    """What the likelihood needs.

    Attributes
    ----------
    X : (month, coefficient).
    y : (month,), 1 where the event came.
    war : (month,), index from 0, ascending.
    effects : whether wars differ beyond the inputs.
    """

    X: Array
    y: Array
    war: NDArray[np.intp]
    effects: bool = True

    @classmethod
    def of(
        cls, months: pd.DataFrame, event: str, inputs: tuple[str, ...] = INPUTS, *, effects: bool = True
    ) -> Hazard:
        """From `war_months`, whose wars stand together; `event` is `joined` or `ends`."""
        war = pd.factorize(months["war"])[0]
        return cls(design(months, inputs), months[event].to_numpy(float), war.astype(np.intp), effects)

    @property
    def n_wars(self) -> int:
        return int(self.war.max()) + 1

    @property
    def n_coefficients(self) -> int:
        return int(self.X.shape[1])

    def per_war(self, values: Array) -> Array:
        """Sums over the months of each war."""
        return np.add.reduceat(values, self.starts, axis=0)

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """First row of each war."""
        return np.flatnonzero(np.diff(self.war, prepend=-1))

    @property
    def n_parameters(self) -> int:
        return self.n_coefficients + int(self.effects)


def nodes(hazard: Hazard) -> tuple[Array, Array]:
    """Standard normal nodes and log weights of the war effect; one node at zero without effects."""
    if not hazard.effects:
        return np.zeros(1), np.zeros(1)
    return _normal_nodes()


@lru_cache(maxsize=1)
def _normal_nodes() -> tuple[Array, Array]:
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return points, np.log(weights / weights.sum())


def monthly(hazard: Hazard, theta: Array, rows: Any = slice(None)) -> Array:
    """Log chance of what happened (month, node) under one draw of the parameters."""
    points, _ = nodes(hazard)
    scale = np.exp(theta[-1]) if hazard.effects else 0.0
    logit = (hazard.X[rows] @ theta[: hazard.n_coefficients])[:, None] + scale * points
    sign = 1 - 2 * hazard.y[rows]
    return np.asarray(-np.logaddexp(0.0, sign[:, None] * logit))


def by_war(hazard: Hazard, theta: Array) -> Array:
    """Log likelihood of each war (war,), its effect integrated out."""
    joint = hazard.per_war(monthly(hazard, theta)) + nodes(hazard)[1]
    return np.asarray(logsumexp(joint, axis=1))


def with_gradient(hazard: Hazard, theta: Array) -> tuple[Array, Array]:
    """`by_war` and its gradient (war, parameter)."""
    points, weights = nodes(hazard)
    logs = monthly(hazard, theta)
    joint = hazard.per_war(logs) + weights
    likelihood = logsumexp(joint, axis=1)
    share = np.exp(joint - likelihood[:, None])
    # y - p, from log p(y)
    error = np.where(hazard.y == 1, 1, -1)[:, None] * -np.expm1(logs)
    weighted = share[hazard.war] * error
    slopes = weighted.sum(axis=1)[:, None] * hazard.X
    if hazard.effects:
        slopes = np.column_stack([slopes, weighted @ points * np.exp(theta[-1])])
    return likelihood, hazard.per_war(slopes)


def log_prior(hazard: Hazard, theta: Array) -> tuple[float, Array]:
    """Log density of the parameters up to a constant, and its gradient."""
    means, sds = prior_moments(hazard)
    z = (theta - means) / sds
    return float(-0.5 * z @ z), -z / sds


def prior_moments(hazard: Hazard) -> tuple[Array, Array]:
    """Means and standard deviations of the parameters: intercept, slopes, log sd of the effects."""
    slopes = hazard.n_coefficients - 1
    tail = [EFFECT] if hazard.effects else []
    pairs = [INTERCEPT, *[(0.0, SLOPE_SD)] * slopes, *tail]
    return np.array([mean for mean, _ in pairs]), np.array([sd for _, sd in pairs])


def mode(hazard: Hazard, without: int | None = None, start: Array | None = None) -> tuple[Array, Array]:
    """Posterior mode and the covariance there, one war left out if asked."""
    keep = np.arange(hazard.n_wars) != (-1 if without is None else without)

    def negative(theta: Array) -> tuple[float, Array]:
        likelihood, gradient = with_gradient(hazard, theta)
        prior, slope = log_prior(hazard, theta)
        return -(likelihood[keep].sum() + prior), -(gradient[keep].sum(axis=0) + slope)

    found = minimize(
        negative, prior_moments(hazard)[0] if start is None else start, jac=True, method="L-BFGS-B",
        options={"ftol": 1e-12, "gtol": 1e-6},
    )  # fmt: skip
    step = 1e-4
    rows = [
        (negative(found.x + move)[1] - negative(found.x - move)[1]) / (2 * step)
        for move in step * np.eye(hazard.n_parameters)
    ]
    precision = np.array(rows)
    return np.asarray(found.x), np.linalg.inv((precision + precision.T) / 2)


@dataclasses.dataclass(frozen=True)
class Weighted:
    """Draws (draw, parameter) with normalised log weights (draw,)."""

    draws: Array
    log_weights: Array

    @property
    def effective(self) -> float:
        """Number of equally weighted draws that these are worth."""
        return float(1 / np.exp(2 * self.log_weights).sum())


def _proposed(hazard: Hazard, centre: Array, covariance: Array, seed: int) -> tuple[Array, Array, Array]:
    """Draws, log prior less log proposal, and log likelihood of each war (draw, war)."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((DRAWS, hazard.n_parameters))
    z /= np.sqrt(rng.chisquare(PROPOSAL_DF, DRAWS) / PROPOSAL_DF)[:, None]
    draws = centre + PROPOSAL_SCALE * z @ np.linalg.cholesky(covariance).T
    power = -(PROPOSAL_DF + hazard.n_parameters) / 2
    proposal = power * np.log1p((z**2).sum(axis=1) / PROPOSAL_DF)
    base = np.array([log_prior(hazard, draw)[0] for draw in draws]) - proposal
    return draws, base, np.array([by_war(hazard, draw) for draw in draws])


def _weights(draws: Array, unnormalised: Array) -> Weighted:
    return Weighted(draws, unnormalised - logsumexp(unnormalised))


def posterior(hazard: Hazard, seed: int = 1) -> Weighted:
    """Weighted draws given all wars."""
    draws, base, wars = _proposed(hazard, *mode(hazard), seed)
    return _weights(draws, base + wars.sum(axis=1))


def left_out(
    hazard: Hazard, seed: int = 1, refit_below: float = REFIT_BELOW
) -> Iterator[tuple[int, Weighted]]:
    """For each war, the posterior given all the others.

    Parameters
    ----------
    refit_below : share of the draws; where the weights are worth less, the proposal is made anew from the
        other wars alone. 1 does so for every war.
    """
    centre, covariance = mode(hazard)
    draws, base, wars = _proposed(hazard, centre, covariance, seed)
    total = base + wars.sum(axis=1)
    for war in range(hazard.n_wars):
        found = _weights(draws, total - wars[:, war])
        if found.effective < refit_below * DRAWS:
            own, own_base, own_wars = _proposed(hazard, *mode(hazard, war, centre), seed)
            others = np.delete(own_wars, war, axis=1).sum(axis=1)
            found = _weights(own, own_base + others)
        yield war, found


def sequential(hazard: Hazard, war: int, known: Weighted) -> tuple[Array, Array]:
    """Chance of the event in each month of a war, month after month.

    Returns
    -------
    chances : (month,), given the other wars and this war's own earlier months.
    log_weights : (month, draw, node), of the parameters and the war's effect before the month.
    """
    rows = np.flatnonzero(hazard.war == war)
    _, node_weights = nodes(hazard)
    logs = np.stack([monthly(hazard, draw, rows) for draw in known.draws], axis=1)
    prior = known.log_weights[:, None] + node_weights
    past = np.concatenate([np.zeros((1, *logs.shape[1:])), np.cumsum(logs, axis=0)[:-1]])
    joint = prior + past
    joint = joint - logsumexp(joint, axis=(1, 2), keepdims=True)
    happened = np.exp(logsumexp(joint + logs, axis=(1, 2)))
    return np.where(hazard.y[rows] == 1, happened, 1 - happened), joint
