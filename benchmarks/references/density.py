"""Log densities as functions of one and the same unconstrained vector, and whether they agree.

The vector has the parameters of `model.build_model` in its order, each transformed as PyMC does (logarithm of
what is positive, log odds of a share), with the Jacobian in the density. Every reference takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
from scipy.special import expit

Density = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""Log density and its gradient at an unconstrained vector."""

VALUE_TOLERANCE = 1e-8
GRADIENT_TOLERANCE = 1e-6


class DisagreementError(AssertionError):
    """A reference is not the posterior of the model."""


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies in the unconstrained vector.

    Attributes
    ----------
    names : as in ``model.free_RVs``.
    shapes, kinds : by name; kinds are ``real``, ``positive`` and ``unit``.
    """

    names: tuple[str, ...]
    shapes: dict[str, tuple[int, ...]]
    kinds: dict[str, str]

    @classmethod
    def of(cls, model: pm.Model) -> Layout:
        start, shapes, kinds = model.initial_point(), {}, {}
        for variable in model.free_RVs:
            value = model.rvs_to_values[variable]
            shapes[variable.name] = np.shape(start[value.name])
            suffix = value.name.removeprefix(variable.name)
            kinds[variable.name] = {"": "real", "_log__": "positive", "_logodds__": "unit"}[suffix]
        return cls(tuple(shapes), shapes, kinds)

    @property
    def size(self) -> int:
        return int(sum(np.prod(shape, dtype=int) for shape in self.shapes.values()))

    def split(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Parts of a vector (..., size) by name, with the parameter's shape."""
        out, start = {}, 0
        for name in self.names:
            shape = self.shapes[name]
            stop = start + int(np.prod(shape, dtype=int))
            out[name] = vector[..., start:stop].reshape(vector.shape[:-1] + shape)
            start = stop
        return out

    def join(self, parts: dict[str, Any], leading: int = 0) -> np.ndarray:
        """The vector of parts by name; `split` back to front."""
        flat = []
        for name in self.names:
            values = np.asarray(parts[name], float)
            flat.append(values.reshape(*values.shape[:leading], -1))
        return np.concatenate(flat, axis=-1)

    def free(self, constrained: dict[str, Any], leading: int = 0) -> np.ndarray:
        """The unconstrained vector of constrained values."""
        moves = {
            "real": lambda x: x,
            "positive": np.log,
            "unit": lambda x: np.log(x) - np.log1p(-x),
        }
        parts = {name: moves[self.kinds[name]](np.asarray(constrained[name])) for name in self.names}
        return self.join(parts, leading)

    def constrained(self, vectors: np.ndarray) -> dict[str, np.ndarray]:
        """Constrained values of unconstrained vectors (..., size)."""
        moves = {"real": lambda x: x, "positive": np.exp, "unit": expit}
        return {name: moves[self.kinds[name]](part) for name, part in self.split(vectors).items()}


def pymc_density(model: pm.Model, layout: Layout) -> Density:
    """The density of a PyMC model whose parameters have the names of the layout, in any order."""
    value_names = {v.name: model.rvs_to_values[v].name for v in model.free_RVs}
    if set(value_names) != set(layout.names):
        odd = sorted(set(value_names) ^ set(layout.names))
        raise DisagreementError(f"parameters differ: {', '.join(odd)}")
    function = model.logp_dlogp_function(ravel_inputs=True)
    function.set_extra_values({})
    own = [v.name for v in model.free_RVs]
    spans = layout.split(np.arange(layout.size))
    order = np.concatenate([spans[name].ravel() for name in own])
    program = function._pytensor_function
    program.trust_input = True

    def density(vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = program(vector[order])
        out = np.empty(layout.size)
        out[order] = gradient
        return float(value), out

    return density


def random_points(layout: Layout, n: int, seed: int = 0) -> np.ndarray:
    """(n, size) points of widths from a twentieth to a half around zero, with persistences near one.

    Farther out the model keeps the chance of a month of the ladder above 1e-12, which no reference does.
    """
    rng = np.random.default_rng(seed)
    widths = np.linspace(0.05, 0.5, n)[:, None]
    points = widths * rng.standard_normal((n, layout.size))
    centre = np.zeros(layout.size)
    spans = layout.split(np.arange(layout.size))
    for name in ("phi", "phi_global"):
        if name in spans:
            centre[spans[name]] = 2.0
    return centre + points


@dataclass(frozen=True)
class Agreement:
    """How far a density is from the model's own: the constant between them and the largest errors."""

    constant: float
    value: float
    gradient: float


def check(own: Density, other: Density, points: np.ndarray, name: str) -> Agreement:
    """The largest relative differences over the points.

    Values are compared after the median of their differences is taken out, relative to the smaller of the two
    (one of them may leave out large constants);
    gradients by element, relative to the largest element of the same point.

    Raises
    ------
    DisagreementError
        Above `VALUE_TOLERANCE` or `GRADIENT_TOLERANCE`, or where one is finite and the other is not.
    """
    found = [(own(point), other(point)) for point in points]
    values = np.array([(mine[0], theirs[0]) for mine, theirs in found])
    if not np.isfinite(values).all():
        raise DisagreementError(f"{name}: the density is not finite at some point")
    constant = float(np.median(values[:, 1] - values[:, 0]))
    error = np.abs(values[:, 1] - values[:, 0] - constant) / np.abs(values).min(axis=1)
    worst = max(float(np.abs(theirs[1] - mine[1]).max() / np.abs(mine[1]).max()) for mine, theirs in found)
    result = Agreement(constant, float(error.max()), worst)
    if not error.max() <= VALUE_TOLERANCE:
        raise DisagreementError(
            f"{name}: log densities differ by up to {error.max():.1e} of their value after the constant "
            f"{constant:.6f}, more than {VALUE_TOLERANCE:g}"
        )
    if not worst <= GRADIENT_TOLERANCE:
        raise DisagreementError(
            f"{name}: gradients differ by up to {worst:.1e}, more than {GRADIENT_TOLERANCE:g}"
        )
    return result
