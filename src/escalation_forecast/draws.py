"""Posterior draws as plain arrays, and random numbers that the forecast shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from escalation_forecast.pooling import pooled_draws
from escalation_forecast.prior_spec import PriorSpec, bounds_of
from escalation_forecast.schema import DataError


@dataclass(frozen=True)
class Draws:
    """A posterior with its draws in one leading axis.

    ``draws["phi"]`` has shape (sample, theatre); ``shape`` is (chain, draw).
    """

    posterior: xr.Dataset

    @property
    def shape(self) -> tuple[int, int]:
        return self.posterior.sizes["chain"], self.posterior.sizes["draw"]

    @property
    def n(self) -> int:
        return self.shape[0] * self.shape[1]

    def __getitem__(self, name: str) -> np.ndarray:
        values = self.posterior[name].transpose("chain", "draw", ...).to_numpy()
        return np.asarray(values, float).reshape(self.n, *values.shape[2:])

    def __contains__(self, name: object) -> bool:
        return name in self.posterior

    def labels(self, dim: str) -> list[str]:
        return [str(label) for label in self.posterior.coords[dim].to_numpy()]

    def unflatten(self, values: np.ndarray) -> np.ndarray:
        """(sample, ...) to (chain, draw, ...)."""
        return values.reshape(*self.shape, *values.shape[1:])


def student_t(
    rng: np.random.Generator, df: float, size: tuple[int, ...], unit_variance: bool = False
) -> np.ndarray:
    """Student-t numbers, of unit scale or of unit variance."""
    values = rng.standard_t(df, size=size)
    return values * np.sqrt((df - 2.0) / df) if unit_variance else values


def prior_sample(
    rng: np.random.Generator,
    spec: PriorSpec,
    n: int,
    coords: Mapping[str, Sequence[str]] | None = None,
    power: float = 1.0,
) -> np.ndarray:
    """Independent draws of a prior, (n, *dims).

    Parameters
    ----------
    coords : labels of the dims in the order wanted; by default those known to the prior.
    power : exponent of the likelihood that the prior was learned from (a power prior, Ibrahim and Chen
        2000): below 1 the same data count for less. For the families in ``POWERED`` only.

    Raises
    ------
    DataError
        For a power other than 1 of another family.
    """
    labels = dict(coords or {}) or {dim: spec.labels[dim] for dim in spec.dims}
    shape = (n, *(len(labels[dim]) for dim in spec.dims))
    values = {key: spec.array(key, labels) for key in spec.parameters}
    if power != 1.0 and spec.family != "Fixed":
        if spec.family not in POWERED:
            raise DataError(
                f"prior '{spec.name}' is learned from history and discounted by its power, which a "
                f"{spec.family} has not; use {' or '.join(POWERED)}."
            )
        values |= POWERED[spec.family](values, power)
    if spec.pooling == "none":
        return _SAMPLERS[spec.family](rng, values, shape)
    common = _SAMPLERS[spec.family](rng, {key: value.reshape(()) for key, value in values.items()}, (n,))
    return pooled_draws(rng, common, shape, spec.spread, *bounds_of(spec.support, spec.name))


# What is left of the parameters: the variance grows, the counts shrink.
POWERED: Final[dict[str, Callable[[Mapping[str, np.ndarray], float], dict[str, np.ndarray]]]] = {
    "Normal": lambda p, a: {"sigma": p["sigma"] / np.sqrt(a)},
    "Beta": lambda p, a: {"alpha": p["alpha"] * a, "beta": p["beta"] * a},
    "Gamma": lambda p, a: {"alpha": p["alpha"] * a, "beta": p["beta"] * a},
}
Sampler = Callable[[np.random.Generator, Mapping[str, np.ndarray], tuple[int, ...]], np.ndarray]
_SAMPLERS: Final[dict[str, Sampler]] = {
    "Normal": lambda rng, p, n: rng.normal(p["mu"], p["sigma"], n),
    "LogNormal": lambda rng, p, n: rng.lognormal(p["mu"], p["sigma"], n),
    "HalfNormal": lambda rng, p, n: np.abs(rng.normal(0.0, p["sigma"], n)),
    "Beta": lambda rng, p, n: rng.beta(p["alpha"], p["beta"], n),
    "Gamma": lambda rng, p, n: rng.gamma(p["alpha"], 1.0 / p["beta"], n),
    "StudentT": lambda rng, p, n: p["mu"] + p["sigma"] * rng.standard_t(p["nu"], n),
    "Exponential": lambda rng, p, n: rng.exponential(1.0 / p["lam"], n),
    "Uniform": lambda rng, p, n: rng.uniform(p["lower"], p["upper"], n),
    "Dirichlet": lambda rng, p, n: _dirichlet(rng, np.broadcast_to(p["a"], n)),
    "Fixed": lambda rng, p, n: np.broadcast_to(p["value"], n).astype(float),
}


def _dirichlet(rng: np.random.Generator, a: np.ndarray) -> np.ndarray:
    parts = rng.gamma(a)
    return np.asarray(parts / parts.sum(axis=-1, keepdims=True))
