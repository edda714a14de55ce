"""The paths of the latents and their gradient, each in one pass; the equations stand in `model.latent_block`.

As a graph the same block is some sixty nodes on (latent, month) arrays, and most of the model's gradient is
spent on moving them. The adjoint is written out by hand; a test holds both to the graph.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from escalation_forecast.kernels import in_python

numba_njit = numba_basic.numba_njit

VERSION: Final = 3  # of the cache of compiled code: raise it with every change below
MONTHS: Final = 12
BEFORE: Final = 3  # years whose mean is the third part of the flat vector


def _paths(
    z: Any, phi: Any, share: Any, scale: Any, steps: Any, slow_step: Any, spillover: Any,
    target: Any, source: Any, centred: Any,
) -> tuple[Any, ...]:  # fmt: skip
    n, months, years = len(share), z.shape[1], z.shape[1] // MONTHS
    path = np.empty(z.shape)
    for k in range(n + 1):
        root = np.sqrt(1.0 - phi[k] * phi[k])
        last = z[k, 0]
        path[k, 0] = last
        for t in range(1, months):
            last = phi[k] * last + root * z[k, t]
            path[k, t] = last
    eta = np.empty(z.shape)
    knots_end = np.empty(n)
    step = slow_step.item()
    for k in range(n):
        of_world = scale[k] * np.sqrt(share[k])
        of_own = scale[k] * np.sqrt(1.0 - share[k])
        knot = step * steps[k, 0]
        for year in range(years):
            move = step * steps[k, year + 1]
            for month in range(MONTHS):
                t = MONTHS * year + month
                level = knot + move * month / MONTHS
                eta[k, t] = of_world * path[n, t] + of_own * path[k, t] + level
            knot += move
        knots_end[k] = knot
    eta[n] = path[n]
    for link in range(len(target)):
        to, at, strength = target[link], source[link], spillover[link]
        eta[to, 0] += strength * eta[at, 0]
        for t in range(1, months):
            eta[to, t] += strength * eta[at, t - 1]
    first = centred.item()
    centre = np.empty(n + 1)
    for k in range(n + 1):
        total = 0.0
        for t in range(first):
            total += eta[k, t]
        centre[k] = total / first
        for t in range(months):
            eta[k, t] -= centre[k]
    return eta, path, centre, path[:, months - 1].copy(), knots_end


def _flat(eta: Any) -> Any:
    n, months, years = eta.shape[0], eta.shape[1], eta.shape[1] // MONTHS
    flat = np.empty(n * (months + 2 * years))
    for k in range(n):
        yearly = n * months + k * years
        before = n * (months + years) + k * years
        for year in range(years):
            total = 0.0
            for t in range(MONTHS * year, MONTHS * (year + 1)):
                flat[k * months + t] = eta[k, t]
                total += eta[k, t]
            flat[yearly + year] = total / MONTHS
        for year in range(years):
            total = 0.0
            for back in range(1, BEFORE + 1):
                total += flat[yearly + max(year - back, 0)]
            flat[before + year] = total / BEFORE
    return flat


def _flat_adjoint(eta: Any, by_flat: Any) -> Any:
    n, months, years = eta.shape[0], eta.shape[1], eta.shape[1] // MONTHS
    by_eta = np.empty(eta.shape)
    by_year = np.empty(years)
    for k in range(n):
        yearly = n * months + k * years
        before = n * (months + years) + k * years
        for year in range(years):
            by_year[year] = by_flat[yearly + year]
        for year in range(years):
            for back in range(1, BEFORE + 1):
                by_year[max(year - back, 0)] += by_flat[before + year] / BEFORE
        for year in range(years):
            for t in range(MONTHS * year, MONTHS * (year + 1)):
                by_eta[k, t] = by_flat[k * months + t] + by_year[year] / MONTHS
    return by_eta


def _adjoint(
    z: Any, phi: Any, share: Any, scale: Any, steps: Any, slow_step: Any, spillover: Any,
    target: Any, source: Any, centred: Any, eta: Any, path: Any, centre: Any, given: Any,
) -> tuple[Any, ...]:  # fmt: skip
    n, months, years = len(share), z.shape[1], z.shape[1] // MONTHS
    first = centred.item()
    by_eta = given.copy()
    for k in range(n + 1):
        total = 0.0
        for t in range(months):
            total += given[k, t]
        for t in range(first):
            by_eta[k, t] -= total / first
    by_spillover = np.zeros(len(target))
    for link in range(len(target) - 1, -1, -1):
        to, at, strength = target[link], source[link], spillover[link]
        # What a source was when it was read is what it is at the end: none is a target later on.
        middle = centre[at]
        total = by_eta[to, 0] * (eta[at, 0] + middle)
        by_eta[at, 0] += strength * by_eta[to, 0]
        for t in range(1, months):
            total += by_eta[to, t] * (eta[at, t - 1] + middle)
            by_eta[at, t - 1] += strength * by_eta[to, t]
        by_spillover[link] = total
    by_scale, by_share = np.empty(n), np.empty(n)
    by_steps = np.empty(steps.shape)
    by_path = np.empty(z.shape)
    by_path[n] = by_eta[n]
    by_slow = 0.0
    step = slow_step.item()
    for k in range(n):
        root_world, root_own = np.sqrt(share[k]), np.sqrt(1.0 - share[k])
        of_world, of_own = scale[k] * root_world, scale[k] * root_own
        with_world, with_own = 0.0, 0.0
        for t in range(months):
            one = by_eta[k, t]
            with_world += one * path[n, t]
            with_own += one * path[k, t]
            by_path[k, t] = of_own * one
            by_path[n, t] += of_world * one
        by_scale[k] = root_world * with_world + root_own * with_own
        by_share[k] = 0.5 * scale[k] * (with_world / root_world - with_own / root_own)
        later = 0.0
        for year in range(years - 1, -1, -1):
            whole, part = 0.0, 0.0
            for month in range(MONTHS):
                one = by_eta[k, MONTHS * year + month]
                whole += one
                part += one * month / MONTHS
            by_steps[k, year + 1] = step * (part + later)
            by_slow += steps[k, year + 1] * (part + later)
            later += whole
        by_steps[k, 0] = step * later
        by_slow += steps[k, 0] * later
    by_z, by_phi = np.empty(z.shape), np.empty(n + 1)
    for k in range(n + 1):
        root = np.sqrt(1.0 - phi[k] * phi[k])
        with_before, with_z, carried = 0.0, 0.0, 0.0
        for t in range(months - 1, 0, -1):
            carried = by_path[k, t] + phi[k] * carried
            with_before += carried * path[k, t - 1]
            with_z += carried * z[k, t]
            by_z[k, t] = root * carried
        by_z[k, 0] = by_path[k, 0] + phi[k] * carried
        by_phi[k] = with_before - with_z * phi[k] / root
    return by_z, by_phi, by_share, by_scale, by_steps, np.asarray(by_slow), by_spillover


FREE: Final = 7  # inputs that are differentiated: the rest are positions


class _Adjoint(Op):
    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        return Apply(self, tensors, [tensor.type() for tensor in tensors[:FREE]])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, _adjoint(*inputs), strict=True):
            storage[0] = np.asarray(value)


class LatentPaths(Op):
    """From innovations to the latents.

    Inputs are ``z`` (latent, month), ``phi`` (latent,), ``share`` and ``scale`` (theatre,), ``steps``
    (theatre, knot), ``slow_step`` (), ``spillover`` (link,), positions ``target`` and ``source`` (link,), and
    the number of months ``centred``. Outputs are the latents and the autoregressive paths behind them
    (latent, month), ``centre`` and the last month of the paths (latent,), and the last knot (theatre,). Only
    the first output may be differentiated. No source may be the target of a later link.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        z = tensors[0]
        vectors = [pt.dvector() for _ in range(3)]
        return Apply(self, tensors, [z.type(), z.type(), *vectors])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, in_python(_paths)(*inputs), strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        found = _Adjoint()(*inputs, *outputs[:3], cotangents[0])
        return [*found, *(DisconnectedType()() for _ in inputs[FREE:])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k < FREE] + [False] * (len(node.outputs) - 1) for k in range(len(node.inputs))]


class _FlatAdjoint(Op):
    __props__ = ()

    def make_node(self, eta: Any, by_flat: Any) -> Apply:
        return Apply(self, [eta, by_flat], [eta.type()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        outputs[0][0] = _flat_adjoint(*inputs)


class FlatLatents(Op):
    """From the latents (latent, month) to what the observations read, as `indicator_rows.Grid` has it.

    Monthly values, year means and means of the three years before, in one vector.
    """

    __props__ = ()

    def make_node(self, eta: Any) -> Apply:
        return Apply(self, [pt.as_tensor_variable(eta)], [pt.dvector()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        outputs[0][0] = in_python(_flat)(*inputs)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        return [_FlatAdjoint()(inputs[0], cotangents[0])]


@register_funcify_default_op_cache_key(FlatLatents)
def _numba_flat(op: FlatLatents, **_: Any) -> Any:
    return numba_njit(_flat, error_model="numpy"), VERSION


@register_funcify_default_op_cache_key(_FlatAdjoint)
def _numba_flat_adjoint(op: _FlatAdjoint, **_: Any) -> Any:
    return numba_njit(_flat_adjoint, error_model="numpy"), VERSION


@register_funcify_default_op_cache_key(LatentPaths)
def _numba_paths(op: LatentPaths, **_: Any) -> Any:
    return numba_njit(_paths, error_model="numpy"), VERSION


@register_funcify_default_op_cache_key(_Adjoint)
def _numba_adjoint(op: _Adjoint, **_: Any) -> Any:
    return numba_njit(_adjoint, error_model="numpy"), VERSION


latent_paths = LatentPaths()
flat_latents = FlatLatents()
