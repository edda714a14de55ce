"""Innovations by a coordinate in which a path stays where data hold it when its persistence moves.

Data pin the slow part of a path, and its innovations are that path and its persistence: whoever moves
the persistence alone moves the path away from its data, so that neither moves far. The month-to-month part is
mostly prior, and there innovations themselves are the better coordinate. So the slow part is measured on the
scale of the path and the rest on that of the innovations (partial centring, Papaspiliopoulos, Roberts and
Skoeld 2007, Statistical Science 22(1), by frequency):

    z = x + low (k (1 - phi L) / (1 - phi0 L) - 1) x
    low = (1 - b) / (1 - b L),   k^2 = (1 - phi0^2) / (1 - phi^2)

with the innovations ``z``, the coordinate ``x``, the lag ``L``, a fixed reference ``phi0`` and a fixed memory
``b``. At ``phi = phi0`` they are the same. The map is lower triangular with ``1 + (1 - b)(k - 1)`` on its
diagonal. It changes what the sampler moves and neither the model nor its posterior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numba.extending import register_jitable
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from escalation_forecast.kernels import in_python

VERSION: Final = 2  # of the cache of compiled code: raise it with every change below

COLUMNS: Final = 3  # of the table: first and last place of the innovations, and the place of the persistence
NUMBERS: Final = 2  # of a row: reference and memory
_ATTRIBUTE: Final = "partly_centred"


@dataclass(frozen=True)
class PartialCentring:
    """One series of innovations to be measured so.

    Attributes
    ----------
    innovations : name of the variable, and the row of it; its first element is left as it is.
    persistence : name of the variable on (0, 1) with a Beta prior, and the element of it.
    reference : persistence at which coordinate and innovations are the same.
    memory : of the low pass: 0 measures all frequencies on the scale of the path, 1 none.
    """

    innovations: tuple[str, int]
    persistence: tuple[str, int]
    reference: float
    memory: float


def centre_in_part(model: pm.Model, how: Sequence[PartialCentring]) -> None:
    """Have programs of a model measure these innovations so."""
    setattr(model, _ATTRIBUTE, tuple(how))


def centred_in_part(model: pm.Model) -> tuple[PartialCentring, ...]:
    """What `centre_in_part` was told."""
    found: tuple[PartialCentring, ...] = getattr(model, _ATTRIBUTE, ())
    return found


@register_jitable
def _taps(log_odds: Any, reference: Any, memory: Any) -> Any:
    """Coefficients of ``x`` now and a month ago, and by how much the log odds move them."""
    odds = np.exp(-abs(log_odds))
    less = odds / (1.0 + odds)
    phi = less if log_odds < 0.0 else 1.0 - less
    rest = 1.0 - phi if log_odds < 0.0 else less
    # 1 - phi^2, without the digits that a persistence near one would lose.
    free = rest * (1.0 + phi)
    k = np.sqrt((1.0 - reference * reference) / free)
    now = 1.0 + (1.0 - memory) * (k - 1.0)
    before = -(memory + reference) + (1.0 - memory) * (reference - k * phi)
    k_slope = k * phi / free
    to_phi = phi * rest * (1.0 - memory)
    return now, before, to_phi * k_slope, -to_phi * (k + phi * k_slope)


@register_jitable
def _filter(u: Any, table: Any, numbers: Any, row: Any) -> Any:
    """Where the filter of a row begins and ends, and its coefficients, at coordinates as at innovations."""
    reference, memory = numbers[NUMBERS * row], numbers[NUMBERS * row + 1]
    now, before, _, _ = _taps(u[table[COLUMNS * row + 2]], reference, memory)
    return (
        table[COLUMNS * row], table[COLUMNS * row + 1], now, before, memory + reference, memory * reference
    )  # fmt: skip


@register_jitable
def _in_place(u: Any, table: Any, numbers: Any) -> Any:
    """Coordinates to innovations in one vector; log determinant of the map."""
    change = 0.0
    for row in range(len(table) // COLUMNS):
        start, stop, now, before, both, product = _filter(u, table, numbers, row)
        x1, x2, z1, z2 = 0.0, 0.0, 0.0, 0.0
        for t in range(start, stop):
            x = u[t]
            z = (now * x + before * x1) + product * (x2 - z2) + both * z1
            u[t] = z
            x2, x1, z2, z1 = x1, x, z1, z
        change += (stop - start) * np.log(now)
    return change


def _placed(vector: Any, position: Any, scale: Any, table: Any, numbers: Any) -> tuple[Any, ...]:
    u = np.empty(len(vector))
    for i in range(len(vector)):
        u[i] = position[i] + scale[i] * vector[i]
    change = _in_place(u, table, numbers)
    return u, np.asarray(change)


def _adjoint(vector: Any, position: Any, scale: Any, table: Any, numbers: Any, by_u: Any) -> Any:
    found = by_u.copy()
    for row in range(len(table) // COLUMNS):
        start, stop, at = table[COLUMNS * row], table[COLUMNS * row + 1], table[COLUMNS * row + 2]
        reference, memory = numbers[NUMBERS * row], numbers[NUMBERS * row + 1]
        log_odds = position[at] + scale[at] * vector[at]
        now, before, now_slope, before_slope = _taps(log_odds, reference, memory)
        both, product = memory + reference, memory * reference
        c1, c2, by_now, by_before = 0.0, 0.0, 0.0, 0.0
        for t in range(stop - 1, start - 1, -1):
            x = position[t] + scale[t] * vector[t]
            c = (by_u[t] - product * c2) + both * c1
            by_now += c * x
            by_before += c1 * x
            found[t] = now * c + before * c1 + product * c2
            c2, c1 = c1, c
        by_now += (stop - start) / now
        found[at] += by_now * now_slope + by_before * before_slope
    for i in range(len(found)):
        found[i] *= scale[i]
    return found


def _all_in_place(us: Any, table: Any, numbers: Any) -> None:
    for u in us:
        _in_place(u, table, numbers)


def _all_back(us: Any, table: Any, numbers: Any) -> None:
    for u in us:
        for row in range(len(table) // COLUMNS):
            start, stop, now, before, both, product = _filter(u, table, numbers, row)
            x1, x2, z1, z2 = 0.0, 0.0, 0.0, 0.0
            for t in range(start, stop):
                z = u[t]
                x = ((z - before * x1) - product * (x2 - z2) - both * z1) / now
                u[t] = x
                x2, x1, z2, z1 = x1, x, z1, z


class Placed(Op):
    """From the vector that the sampler moves to PyMC's unconstrained one, with the log determinant.

    Inputs are ``vector``, ``position`` and ``scale`` (size,): ``x = position + scale * vector``; the table
    (rows of `COLUMNS`) of what is centred in part and its numbers (rows of `NUMBERS`), both flat. The
    determinant leaves out that of ``scale``. No derivatives are derived from it: `PlacedAdjoint` has them.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        return Apply(self, tensors, [tensors[0].type(), pt.dscalar()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, in_python(_placed)(*inputs), strict=True):
            storage[0] = np.asarray(value)


class PlacedAdjoint(Op):
    """Slopes by the vector, from those by the unconstrained one and the determinant's own."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        return Apply(self, tensors, [tensors[0].type()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        outputs[0][0] = in_python(_adjoint)(*inputs)


@register_funcify_default_op_cache_key(Placed)
def _numba_placed(op: Placed, **_: Any) -> Any:
    return numba_basic.numba_njit(_placed, error_model="numpy"), VERSION


@register_funcify_default_op_cache_key(PlacedAdjoint)
def _numba_adjoint(op: PlacedAdjoint, **_: Any) -> Any:
    return numba_basic.numba_njit(_adjoint, error_model="numpy"), VERSION


placed = Placed()
placed_adjoint = PlacedAdjoint()


def innovations_of(x: np.ndarray, table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Unconstrained vectors (..., size) of coordinates of the same shape."""
    return _moved(_all_in_place, x, table, numbers)


def coordinates_of(u: np.ndarray, table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`innovations_of` back to front."""
    return _moved(_all_back, u, table, numbers)


def _moved(how: Any, vectors: np.ndarray, table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    found = np.array(vectors, float, order="C")
    if len(table):
        in_python(how)(found.reshape(-1, found.shape[-1]), table, numbers)
    return found
