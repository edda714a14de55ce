"""How the labels of a prior's dim relate: each for itself, all the same, or alike.

- ``none``: every label has its own value, drawn by itself from the family.
- ``complete``: one value, drawn once, for all labels.
- ``partial``: one common value drawn from the family, and every label differs from it by a normal step of
  sd ``spread`` on the scale on which the support has no bounds (itself, log or log odds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escalation_forecast.schema import DataError

POOLINGS: Final = ("none", "complete", "partial")


def shifted(values: Any, steps: Any, low: float, high: float, xp: Any = np) -> Any:
    """Values moved by steps on the unbounded scale of the support from ``low`` to ``high``.

    Parameters
    ----------
    xp
        `numpy`, or `pytensor.tensor` within a model.
    """
    if not np.isfinite(low) and not np.isfinite(high):
        return values + steps
    if not np.isfinite(high):
        return low + (values - low) * xp.exp(steps)
    share = (values - low) / (high - low)
    odds = xp.log(share) - xp.log1p(-share) + steps
    return low + (high - low) / (1.0 + xp.exp(-odds))


def pooled_draws(
    rng: np.random.Generator,
    common: np.ndarray,
    shape: tuple[int, ...],
    spread: float,
    low: float,
    high: float,
) -> np.ndarray:
    """Draws (n, *dims) around the common value of each draw (n,); ``spread`` 0 for one value for all."""
    values = np.broadcast_to(common.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(float)
    if not spread:
        return values
    return np.asarray(shifted(values, spread * rng.standard_normal(shape), low, high))


def marginal(
    family: str, parameters: Mapping[str, Any], spread: float, low: float, high: float, at: str
) -> dict[str, Any]:
    """Parameters of a partly pooled prior's labels, each by itself.

    Raises
    ------
    DataError
        For a family whose sum with the step of a label is not of the same family.
    """
    bounds = {"Normal": (-np.inf, np.inf), "LogNormal": (0.0, np.inf)}
    if bounds.get(family) != (low, high):
        raise DataError(
            f"{at} is a partly pooled {family} prior, whose labels have no law of their own that could be "
            f'written down; give it pooling = "none" first.'
        )
    return {**parameters, "sigma": float(np.hypot(parameters["sigma"], spread))}


@dataclass(frozen=True)
class Pooled:
    """A prior whose labels share a value; takes the place of a ``pymc_extras.prior.Prior``."""

    common: Any
    dims: tuple[str, ...]
    spread: float
    low: float
    high: float

    def create_variable(self, name: str) -> Any:
        """A deterministic variable with the prior's dims; the common value is ``NAME_common``."""
        import pymc as pm
        import pytensor.tensor as pt

        shape = [len(pm.modelcontext(None).coords[dim]) for dim in self.dims]
        values = pt.broadcast_to(self.common.create_variable(f"{name}_common"), shape)
        if self.spread:
            # Non-centred, and like other innovations not kept in the posterior.
            steps = pm.Normal(f"{name}_innovation", 0.0, 1.0, dims=self.dims)
            values = shifted(values, self.spread * steps, self.low, self.high, pt)
        return pm.Deterministic(name, values, dims=self.dims)


def check_pooling(
    pooling: str, spread: float, family: str, dims: tuple[str, ...], by_label: bool, at: str
) -> None:
    """Raise `DataError` when a pooling cannot be had."""
    if pooling not in POOLINGS:
        raise DataError(f"{at} has an unknown pooling '{pooling}'; use one of {', '.join(POOLINGS)}.")
    if pooling == "none":
        if spread:
            raise DataError(f"{at} has a spread without partial pooling; leave it out.")
        return
    if not dims:
        raise DataError(f"{at} has no dims, so there is nothing to pool; leave 'pooling' out.")
    if family in ("Fixed", "Dirichlet"):
        raise DataError(f"{at} is a {family} prior, which cannot be pooled; leave 'pooling' out.")
    if by_label:
        raise DataError(
            f"{at} has numbers by label, so its labels cannot share a value; give single numbers, "
            f'or pooling = "none".'
        )
    if pooling == "partial" and not 0 < spread < np.inf:
        raise DataError(f"{at} has spread {spread:g}; partial pooling needs a number above 0, such as 0.3.")
    if pooling == "complete" and spread:
        raise DataError(f"{at} has a spread, which only partial pooling takes; leave it out.")
