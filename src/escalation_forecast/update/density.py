"""Log densities of priors at draws, and the ratio of two priors of the same name.

A ratio of densities does not depend on the scale on which the sampler moves: the Jacobian of a transform is
the same above and below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from scipy.special import gammaln, logsumexp

from escalation_forecast.draws import POWERED
from escalation_forecast.prior_law import law
from escalation_forecast.prior_spec import PriorSpec, bounds_of

NODES: Final = 64  # of Gauss and Hermite, for what labels have in common
_LOG_2PI: Final = float(np.log(2.0 * np.pi))

Coords = Mapping[str, Sequence[str]]


class NotReweightableError(Exception):
    """The draws at hand cannot speak for the new prior; the message says why."""


def log_density(
    spec: PriorSpec, values: np.ndarray, coords: Coords | None = None, power: float = 1.0
) -> np.ndarray:
    """Log density of a prior without pooling, normalised.

    Parameters
    ----------
    values : (n, *dims).
    coords : labels of the dims in the order of ``values``; by default those known to the prior.
    power : exponent of the likelihood that the prior was learned from, as in `draws.prior_sample`.

    Returns
    -------
    numpy.ndarray
        (n, *dims); of a Dirichlet without its last dim.
    """
    return np.asarray(_log_density(spec, values, _numbers(spec, dict(coords or {}), power)))


def _log_density(spec: PriorSpec, values: np.ndarray, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
    if spec.family == "Dirichlet":
        a = np.broadcast_to(numbers["a"], values.shape)
        with np.errstate(divide="ignore"):
            inside = ((a - 1.0) * np.log(values)).sum(axis=-1)
        return np.asarray(inside + gammaln(a.sum(axis=-1)) - gammaln(a).sum(axis=-1))
    with np.errstate(divide="ignore"):
        return np.asarray(law(spec.family, numbers).logpdf(values))


def _numbers(spec: PriorSpec, coords: Coords, power: float = 1.0) -> dict[str, np.ndarray]:
    found = {key: spec.array(key, coords) for key in spec.parameters}
    return found if power == 1.0 else {**found, **POWERED[spec.family](found, power)}


def log_prior(
    spec: PriorSpec, values: np.ndarray, common: np.ndarray | None, coords: Coords, power: float = 1.0
) -> np.ndarray:
    """Log density (n,) of all labels of a prior, up to the Jacobian of a pooled one's steps.

    Parameters
    ----------
    common : (n,) of a pooled prior: what its labels share.
    """
    if spec.pooling == "none":
        return _summed(log_density(spec, values, coords, power))
    assert common is not None
    found = _log_density(spec, common, _common_numbers(spec))
    if spec.pooling == "partial":
        low, high = bounds_of(spec.support, spec.name)
        steps = _summed_first(unbounded(values, low, high) - unbounded(_wide(common, values), low, high))
        found = found + _normal(steps, spec.spread).sum(axis=1)
    return np.asarray(found)


def log_ratio(
    old: PriorSpec,
    new: PriorSpec,
    values: np.ndarray,
    common: np.ndarray | None,
    coords: Coords,
    power: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Log of new over old density (n,) at draws made with the old prior.

    Parameters
    ----------
    values : (n, *dims).
    common : (n,) what the labels share, when the old prior is pooled.
    power : of the old and of the new prior, for those learned from history.

    Raises
    ------
    NotReweightableError
        When the old prior leaves out what the new one allows, or holds fixed what it frees.
    """
    if "Fixed" in (old.family, new.family):
        raise NotReweightableError(f"{old.name} is held fixed, so no draws differ in it")
    how = (old.pooling, new.pooling)
    if "complete" in how and how != ("complete", "complete"):
        raise NotReweightableError(f"{old.name} had one value for all labels, or is to have one")
    _check_reach(old, new, coords)
    if how == ("none", "none"):
        after = log_density(new, values, coords, power[1])
        return _summed(after - log_density(old, values, coords, power[0]))
    if old.pooling == new.pooling:
        above, below = (log_prior(spec, values, common, coords) for spec in (new, old))
    elif new.pooling == "partial":
        above, below = _pooled_marginal(new, values), _summed(log_density(old, values, coords))
    else:
        above, below = _summed(log_density(new, values, coords)), _pooled_marginal(old, values)
    return np.asarray(above - below)


def _check_reach(old: PriorSpec, new: PriorSpec, coords: Coords) -> None:
    """Raise where the new prior has mass at which the old one has none."""
    if "Dirichlet" in (old.family, new.family):
        return
    ends = []
    for spec in (old, new):
        numbers = _numbers(spec, coords) if spec.pooling == "none" else _common_numbers(spec)
        ends.append(law(spec.family, numbers).support())
    if np.any(ends[1][0] < ends[0][0]) or np.any(ends[1][1] > ends[0][1]):
        raise NotReweightableError(f"{new.text} allows values of {old.name} that {old.text} ruled out")


def unbounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values on the scale on which the support has no bounds; see `pooling.shifted`."""
    if not np.isfinite(low) and not np.isfinite(high):
        return values
    with np.errstate(divide="ignore"):
        if not np.isfinite(high):
            return np.asarray(np.log(values - low))
        return np.asarray(np.log(values - low) - np.log(high - values))


def _log_slope(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Log of the derivative of `unbounded`."""
    if not np.isfinite(low) and not np.isfinite(high):
        return np.zeros_like(values)
    with np.errstate(divide="ignore"):
        if not np.isfinite(high):
            return np.asarray(-np.log(values - low))
        return np.asarray(np.log(high - low) - np.log(values - low) - np.log(high - values))


def _bounded(free: np.ndarray, low: float, high: float) -> np.ndarray:
    if not np.isfinite(low) and not np.isfinite(high):
        return free
    if not np.isfinite(high):
        return np.asarray(low + np.exp(free))
    return np.asarray(low + (high - low) / (1.0 + np.exp(-free)))


def _pooled_marginal(spec: PriorSpec, values: np.ndarray) -> np.ndarray:
    """Log density (n,) of the labels under partial pooling, whatever they have in common.

    On the unbounded scale the labels are normal around the common value, so that given the labels it is
    normal about their mean times its prior: the integral is a mean of the prior over that normal.
    """
    low, high = bounds_of(spec.support, spec.name)
    free = _summed_first(unbounded(values, low, high))
    slope = _summed_first(_log_slope(values, low, high)).sum(axis=1)
    labels = free.shape[1]
    centre, width = free.mean(axis=1, keepdims=True), spec.spread / np.sqrt(labels)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    at = centre + width * nodes
    common = _bounded(at, low, high)
    prior = _log_density(spec, common, _common_numbers(spec)) - _log_slope(common, low, high)
    mean = logsumexp(prior + np.log(weights / weights.sum()), axis=1)
    inside = _normal(free - centre, spec.spread).sum(axis=1) + np.log(width) + 0.5 * _LOG_2PI
    return np.asarray(inside + mean + slope)


def _common_numbers(spec: PriorSpec) -> dict[str, np.ndarray]:
    return {key: np.asarray(spec.parameters[key], float) for key in spec.parameters}


def _normal(x: np.ndarray, sd: float) -> np.ndarray:
    return np.asarray(-0.5 * (x / sd) ** 2 - np.log(sd) - 0.5 * _LOG_2PI)


def _wide(common: np.ndarray, values: np.ndarray) -> np.ndarray:
    return common.reshape(-1, *[1] * (values.ndim - 1))


def _summed_first(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def _summed(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))
