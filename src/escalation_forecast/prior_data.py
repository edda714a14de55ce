"""Priors whose numbers are data of the compiled model, so that other numbers need no new program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escalation_forecast.pooling import shifted
from escalation_forecast.prior_spec import PriorSpec, bounds_of
from escalation_forecast.priors import Priors

PREFIX: Final = "prior_"
SPREAD: Final = "spread"

Coords = Mapping[str, Sequence[Any]]


class DataPriors(Priors):
    """Priors that `model.build_model` puts into the model as ``pm.Data``, one vector per parameter.

    A number that holds for all labels takes a place for each of them, so that numbers by label need no new
    program either. Families, pooling and constants (``Fixed``) stay part of the program.
    """

    @classmethod
    def of(cls, priors: Priors) -> DataPriors:
        """The same priors, as data."""
        return cls(priors.specs, priors.dim_labels)

    def to_pymc_extras(self, name: str, coords: Coords | None = None) -> Any:
        """What makes the variable of a prior; constants as in `Priors`."""
        if self[name].family == "Fixed":
            return super().to_pymc_extras(name, coords)
        return _FromData(self[name], dict(coords or {}))


@dataclass(frozen=True)
class _FromData:
    """Takes the place of a ``pymc_extras.prior.Prior``."""

    spec: PriorSpec
    coords: Coords

    def create_variable(self, name: str) -> Any:
        import pymc as pm
        import pytensor.tensor as pt

        spec, arrays = self.spec, arrays_of(self.spec, self.coords)
        shape = _shape(spec, self.coords)
        inputs = {}
        for key, values in arrays.items():
            vector = pm.Data(f"{PREFIX}{name}_{key}", values.ravel())
            inputs[key] = vector[0] if values.ndim == 0 else vector
            if values.ndim > 1:
                inputs[key] = vector.reshape(values.shape)
        law = getattr(pm, spec.family)
        if spec.pooling == "none":
            return law(name, **inputs, dims=spec.dims or None)
        spread = inputs.pop(SPREAD, None)
        values = pt.broadcast_to(law(f"{name}_common", **inputs), shape)
        if spread is not None:
            steps = pm.Normal(f"{name}_innovation", 0.0, 1.0, dims=spec.dims)
            values = shifted(values, spread * steps, *bounds_of(spec.support, name), pt)
        return pm.Deterministic(name, values, dims=spec.dims)


def arrays_of(spec: PriorSpec, coords: Coords) -> dict[str, np.ndarray]:
    """Every number of a prior that is data of the program: parameters, and the spread of partial pooling."""
    shape = _shape(spec, coords) if spec.pooling == "none" else ()
    found = {key: np.array(np.broadcast_to(spec.array(key, coords), shape)) for key in spec.parameters}
    if spec.pooling == "partial":
        found[SPREAD] = np.asarray(spec.spread)
    return found


def swapped_priors(priors: Priors, coords: Coords) -> dict[str, np.ndarray]:
    """The vectors of all priors by the names that they have in the program."""
    return {
        f"{PREFIX}{name}_{key}": values.ravel()
        for name, spec in priors.items()
        if spec.family != "Fixed" and all(dim in coords for dim in spec.dims)
        for key, values in arrays_of(spec, coords).items()
    }


def same_program(first: Priors, second: Priors, names: Sequence[str]) -> bool:
    """Whether the priors of the names differ in nothing but numbers that are data."""
    return all(_fixed(first[name]) == _fixed(second[name]) for name in names)


def _fixed(spec: PriorSpec) -> tuple[Any, ...]:
    numbers = dict(spec.parameters) if spec.family == "Fixed" else None
    return spec.family, spec.pooling, spec.dims, numbers


def _shape(spec: PriorSpec, coords: Coords) -> tuple[int, ...]:
    return tuple(len(coords[dim]) for dim in spec.dims)
