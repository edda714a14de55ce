"""One number of an answer from weighted draws, its Monte Carlo error, and that of a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from escalation_forecast.questions import MIN_DRAWS
from escalation_forecast.rules import Kind
from escalation_forecast.update.weights import weighted_quantile

NEAR = 0.05  # on either side of the median, in shares of draws: how dense the draws are there


@dataclass(frozen=True, eq=False)
class Estimate:
    """A probability, the mean of a count, or a median.

    Attributes
    ----------
    terms : (chain, draw) what each draw adds to the estimate, less the estimate itself, times their number;
        the error of a change is that of the mean of the differences of terms.
    source : draws of different sources are independent.
    """

    value: float
    terms: np.ndarray
    source: object

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error."""
        return mean_error(self.terms)


def estimate(values: np.ndarray, weights: np.ndarray, kind: Kind, source: object) -> Estimate:
    """The one number of an answer, from what draws (chain, draw) say and weights adding to one."""
    if kind != "continuous":
        value = float((weights * values).sum())
        if np.ptp(values) == 0.0:
            value = float(values.flat[0])
        return Estimate(value, values.size * weights * (values - value), source)
    low, median, high = (
        float(one) for one in weighted_quantile(values, weights, np.array([0.5 - NEAR, 0.5, 0.5 + NEAR]))
    )
    # A draw below the median pulls it down by how far the draws there are apart.
    apart = (high - low) / (2.0 * NEAR)
    return Estimate(median, values.size * weights * apart * (0.5 - (values <= median)), source)


def change_error(before: Estimate, after: Estimate) -> float:
    """Monte Carlo standard error of after less before; paired where both come from the same draws."""
    if before.source is after.source:
        return mean_error(after.terms - before.terms)
    return float(np.hypot(before.mcse, after.mcse))


def mean_error(terms: np.ndarray) -> float:
    """Monte Carlo standard error of the mean of terms (chain, draw), of chains that remember."""
    from arviz_stats.base import array_stats

    if np.ptp(terms) == 0.0:
        return 0.0
    ess = float(terms.size)
    if terms.shape[1] >= MIN_DRAWS:
        with np.errstate(all="ignore"):
            found = float(array_stats.ess(terms, method="mean", chain_axis=0, draw_axis=1))
        ess = found if np.isfinite(found) and found > 0 else ess
    return float(terms.std() / np.sqrt(ess))
