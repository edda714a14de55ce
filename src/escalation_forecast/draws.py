"""Posterior draws as plain arrays, and random numbers that the forecast shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr


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
