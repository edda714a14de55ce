"""Importance weights, smoothed, and what they give.

Pareto-smoothed importance sampling: Vehtari, Simpson, Gelman, Yao and Gabry (2024), Journal of Machine
Learning Research 25(72).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

HIGHEST_K: Final = 0.7
LEAST_ESS: Final = 400.0
LEAST_SHARE: Final = 0.25  # of the draws, where they are too few for `LEAST_ESS`


@dataclass(frozen=True)
class Weights:
    """Weights of draws.

    Attributes
    ----------
    values : (chain, draw), adding to one.
    k : shape of the tail of the raw ratios; minus infinity where all are the same.
    ess : effective number of draws that they leave, for a function unrelated to them.
    log_ratio : (chain, draw), of new over old density.
    """

    values: np.ndarray
    k: float
    ess: float
    log_ratio: np.ndarray

    @property
    def limit(self) -> float:
        """The k above which this many draws are too few (Vehtari et al. 2024, section 3.2.4)."""
        return float(min(HIGHEST_K, 1.0 - 1.0 / np.log10(self.values.size)))

    @property
    def enough(self) -> float:
        """The least number of draws that weights may leave, before what chains remember."""
        return min(LEAST_ESS, LEAST_SHARE * self.values.size)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the weights cannot be relied on; empty if they can."""
        found = []
        if not self.k <= self.limit:
            found.append(f"k is {self.k:.2f}, above {self.limit:.2g}: a few draws carry the answer")
        left = 1.0 / float((self.values**2).sum())
        if not left >= self.enough:
            found.append(f"the weights leave {left:.0f} draws, fewer than {self.enough:.0f}")
        return tuple(found)


def smooth(log_ratio: np.ndarray) -> Weights:
    """Smoothed weights of draws (chain, draw) from the log of new over old density at each."""
    from arviz_stats.base import array_stats

    n = log_ratio.size
    highest = log_ratio.max()
    if not np.isfinite(highest):
        return Weights(np.full(log_ratio.shape, 1.0 / n), np.inf, 0.0, log_ratio)
    if np.ptp(log_ratio) == 0.0:
        return Weights(np.full(log_ratio.shape, 1.0 / n), -np.inf, float(n), log_ratio)
    ratio = np.exp(log_ratio - highest)
    # Chains remember, so that the tail has fewer independent draws than draws.
    r_eff = min(1.0, _ess(ratio) / n)
    # ArviZ takes the log of old over new.
    logs, k = array_stats.psislw(-(log_ratio - highest).ravel(), r_eff=r_eff)
    values = np.exp(np.asarray(logs) - np.max(logs)).reshape(log_ratio.shape)
    values = values / values.sum()
    return Weights(values, float(k), r_eff / float((values**2).sum()), log_ratio)


@dataclass(frozen=True)
class Estimate:
    """A weighted mean.

    Attributes
    ----------
    mcse : its Monte Carlo standard error.
    ess : effective number of draws; None where all draws agree.
    moved : Monte Carlo standard error of its distance from the mean without weights, of the same draws.
    """

    value: float
    mcse: float
    ess: float | None
    moved: float


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> Estimate:
    """Mean over draws (chain, draw) with weights (chain, draw), not necessarily adding to one.

    The error is that of a ratio of means (delta method), for chains that remember.
    """
    share = weights / weights.sum()
    mean = float((share * values).sum())
    terms = values.size * share * (values - mean)
    if np.ptp(values) == 0.0:
        # The rule of three, on what the weights leave.
        return Estimate(mean, 3.0 * float((share**2).sum()), None, 0.0)
    ess = _ess(terms)
    return Estimate(mean, float(terms.std() / np.sqrt(ess)), ess, _error(terms - (values - values.mean())))


def weighted_quantile(values: np.ndarray, weights: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Quantiles of draws with weights adding to one; `numpy.quantile` where all weights are the same."""
    order = np.argsort(values, axis=None)
    ordered, share = values.ravel()[order], weights.ravel()[order]
    # Positions of the draws from 0 to 1, by the weight up to the middle of each.
    middle = np.cumsum(share) - 0.5 * share
    at = (middle - middle[0]) / (middle[-1] - middle[0])
    return np.asarray(np.interp(q, at, ordered))


def _error(terms: np.ndarray) -> float:
    return 0.0 if np.ptp(terms) == 0.0 else float(terms.std() / np.sqrt(_ess(terms)))


def _ess(values: np.ndarray) -> float:
    """Effective sample size for the mean; all draws where it cannot be estimated."""
    from arviz_stats.base import array_stats

    if values.shape[1] < 4:
        return float(values.size)
    with np.errstate(all="ignore"):
        found = float(array_stats.ess(values, method="mean", chain_axis=0, draw_axis=1))
    return found if np.isfinite(found) and found > 0 else float(values.size)
