"""Log-density pieces that the model's blocks share, written for cheap gradients.

The autoregressive filter is an ``Op`` of its own because ``scan`` and matrix forms of the
same recursion cost ten to a thousand times more per gradient. Everything else is plain
PyTensor arithmetic on long vectors: few distinct kernels keep the compilation short.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from scipy.signal import lfilter

numba_njit = numba_basic.numba_njit


class ARFilter(Op):
    """First-order recursion ``y[k, t] = phi[k] * y[k, t-1] + x[k, t]`` with ``y[k, 0] = x[k, 0]``.

    Inputs are ``x`` (series, time) and ``phi`` (series,); the output has the shape of ``x``.
    ``phi = 1`` gives running sums.
    """

    __props__ = ()

    def make_node(self, x: Any, phi: Any) -> Apply:
        x, phi = pt.as_tensor_variable(x), pt.as_tensor_variable(phi)
        return Apply(self, [x, phi], [x.type()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        x, phi = inputs
        outputs[0][0] = np.stack([lfilter([1.0], [1.0, -p], row) for row, p in zip(x, phi, strict=True)])

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        _, phi = inputs
        # The adjoint of a causal recursion is the same recursion run backwards in time.
        grad_x = self(cotangents[0][:, ::-1], phi)[:, ::-1]
        grad_phi = (grad_x[:, 1:] * outputs[0][:, :-1]).sum(axis=1)
        return [grad_x, grad_phi]

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0]]


@register_funcify_default_op_cache_key(ARFilter)
def _numba_ar_filter(op: ARFilter, **_: Any) -> Any:
    @numba_njit
    def ar_filter(x, phi):  # type: ignore[no-untyped-def]
        out = np.empty(x.shape)
        for k in range(x.shape[0]):
            last = 0.0
            for t in range(x.shape[1]):
                last = phi[k] * last + x[k, t]
                out[k, t] = last
        return out

    return ar_filter, 1


ar_filter = ARFilter()


def student_t_rows(error: Any, scale: Any, nu: Any) -> Any:
    """Log density of Student-t errors, row by row, up to a constant that depends on ``nu`` alone."""
    z = error / scale
    return -0.5 * (nu + 1.0) * pt.log1p(z * z / nu) - pt.log(scale)


def log_sigmoid_difference(high: Any, low: Any) -> Any:
    """``log(sigmoid(high) - sigmoid(low))`` for ``high > low``, stable for bounds far out."""
    return high + pt.log(-pt.expm1(low - high)) - pt.softplus(high) - pt.softplus(low)


class FusedDensity(Op):
    """Sum of the log densities of many rows and its gradient, in one pass over the rows.

    ``program`` returns the sum, up to a constant, and its derivatives by the inputs at the positions
    ``by``. Written out by hand it costs half the time of the graph that PyTensor would derive, and
    less to compile. Only the sum may be differentiated. ``version`` belongs to the cache of compiled
    code: raise it with every change of a program.
    """

    __props__ = ("kind", "version")

    def __init__(self, kind: str, program: Any, by: tuple[int, ...], version: int) -> None:
        self.kind, self.program, self.by, self.version = kind, program, by, version

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        gradients = [pt.TensorType("float64", shape=(None,) * tensors[k].ndim)() for k in self.by]
        return Apply(self, tensors, [pt.dscalar(), *gradients])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, self.program(*inputs), strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        found = dict(zip(self.by, outputs[1:], strict=True))
        return [cotangents[0] * found[k] if k in found else DisconnectedType()() for k in range(len(inputs))]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k in self.by] + [False] * len(self.by) for k in range(len(node.inputs))]


@register_funcify_default_op_cache_key(FusedDensity)
def _numba_fused_density(op: FusedDensity, **_: Any) -> Any:
    return numba_njit(op.program), op.version


def _readings(
    intercept: Any, slope: Any, rho: Any, noise: Any, df: Any, flat: Any,
    item: Any, index: Any, index_previous: Any, y: Any, y_previous: Any, linked: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Student-t readings with an AR(1) error.

    With ``m = intercept + slope * flat[index]`` a linked row has the innovation
    ``(y - m) - rho (y_previous - m_previous)`` of scale ``noise``; an unlinked row has the stationary
    error ``y - m`` of scale ``noise / sqrt(1 - rho^2)``.
    """
    value = 0.0
    by_intercept, by_slope = np.zeros(len(intercept)), np.zeros(len(slope))
    by_rho, by_noise, by_flat = np.zeros(len(rho)), np.zeros(len(noise)), np.zeros(len(flat))
    log_noise = np.log(noise)
    for row in range(len(item)):
        j, now, before, link = item[row], index[row], index_previous[row], linked[row]
        spread = 1.0 - (1.0 - link) * rho[j] * rho[j]
        root = np.sqrt(spread)
        scale = noise[j] / root
        previous = link * (y_previous[row] - intercept[j] - slope[j] * flat[before])
        z = (y[row] - intercept[j] - slope[j] * flat[now] - rho[j] * previous) / scale
        tail = 1.0 + z * z / df[j]
        value -= 0.5 * (df[j] + 1.0) * np.log(tail) + log_noise[j]
        if link < 1.0:
            value += 0.5 * np.log(spread)
        by_z = -(df[j] + 1.0) * z / (df[j] * tail)
        by_error = by_z / scale
        by_scale = -(by_z * z + 1.0) / scale
        by_previous = -link * rho[j] * by_error
        by_intercept[j] -= by_error + by_previous
        by_slope[j] -= by_error * flat[now] + by_previous * flat[before]
        by_flat[now] -= by_error * slope[j]
        by_flat[before] -= by_previous * slope[j]
        by_noise[j] += by_scale / root
        by_rho[j] += by_scale * noise[j] * (1.0 - link) * rho[j] / (spread * root) - by_error * previous
    return np.asarray(value), by_intercept, by_slope, by_rho, by_noise, by_flat


def _counts(
    intercept: Any, loading: Any, size: Any, memory: Any, drift: Any, flat: Any, item: Any, index: Any,
    index_previous: Any, y: Any, log_exposure: Any, trend: Any, log_rate_previous: Any, linked: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Negative binomial counts without their log-gamma terms; ``memory`` and ``drift`` have one element."""
    value = 0.0
    by_intercept, by_loading = np.zeros(len(intercept)), np.zeros(len(loading))
    by_size, by_memory, by_drift = np.zeros(len(size)), np.zeros(1), np.zeros(1)
    by_flat = np.zeros(len(flat))
    for row in range(len(item)):
        j, now, before = item[row], index[row], index_previous[row]
        carried = memory[0] * linked[row]
        surprise = log_rate_previous[row] - intercept[j] - loading[j] * flat[before]
        log_mean = intercept[j] + loading[j] * flat[now] + drift[0] * trend[row]
        log_mean += carried * surprise + log_exposure[row]
        log_size = np.log(size[j])
        if log_mean > log_size:
            log_sum = log_mean + np.log1p(np.exp(log_size - log_mean))
        else:
            log_sum = log_size + np.log1p(np.exp(log_mean - log_size))
        value += y[row] * (log_mean - log_sum) + size[j] * (log_size - log_sum)
        share = np.exp(log_mean - log_sum)
        by_log_mean = y[row] - (y[row] + size[j]) * share
        by_size[j] += log_size - log_sum + 1.0 - (y[row] + size[j]) * np.exp(-log_sum)
        by_intercept[j] += by_log_mean * (1.0 - carried)
        by_loading[j] += by_log_mean * (flat[now] - carried * flat[before])
        by_drift[0] += by_log_mean * trend[row]
        by_memory[0] += by_log_mean * linked[row] * surprise
        by_flat[now] += by_log_mean * loading[j]
        by_flat[before] -= by_log_mean * carried * loading[j]
    return np.asarray(value), by_intercept, by_loading, by_size, by_memory, by_drift, by_flat


def _shares(
    intercept: Any, loading: Any, concentration: Any, flat: Any, item: Any, index: Any, sign: Any, step: Any
) -> tuple[Any, ...]:
    """Rising factorials of a beta-binomial: ``log(concentration * p + step)``, p for or against."""
    value = 0.0
    by_intercept, by_loading = np.zeros(len(intercept)), np.zeros(len(loading))
    by_concentration, by_flat = np.zeros(len(concentration)), np.zeros(len(flat))
    for row in range(len(item)):
        j, now = item[row], index[row]
        p = 1.0 / (1.0 + np.exp(-sign[row] * (intercept[j] + loading[j] * flat[now])))
        factor = concentration[j] * p + step[row]
        value += np.log(factor)
        by_concentration[j] += p / factor
        by_logit = concentration[j] / factor * sign[row] * p * (1.0 - p)
        by_intercept[j] += by_logit
        by_loading[j] += by_logit * flat[now]
        by_flat[now] += by_logit * loading[j]
    return np.asarray(value), by_intercept, by_loading, by_concentration, by_flat


def _ladder(
    first: Any, second: Any, slope: Any, flat: Any, item: Any, index: Any, level: Any
) -> tuple[Any, ...]:
    """Ordered logit in three classes with cutpoints ``-first`` and ``-second``."""
    value = 0.0
    by_first, by_second = np.zeros(len(first)), np.zeros(len(second))
    by_slope, by_flat = np.zeros(len(slope)), np.zeros(len(flat))
    for row in range(len(item)):
        j, now = item[row], index[row]
        some = 1.0 / (1.0 + np.exp(-first[j] - slope[j] * flat[now]))
        force = 1.0 / (1.0 + np.exp(-second[j] - slope[j] * flat[now]))
        if level[row] == 0:
            chance, low, high = 1.0 - some, -some * (1.0 - some), 0.0
        elif level[row] == 1:
            chance, low, high = some - force, some * (1.0 - some), -force * (1.0 - force)
        else:
            chance, low, high = force, 0.0, force * (1.0 - force)
        chance += 1e-12
        value += np.log(chance)
        by_first[j] += low / chance
        by_second[j] += high / chance
        by_slope[j] += (low + high) / chance * flat[now]
        by_flat[now] += (low + high) / chance * slope[j]
    return np.asarray(value), by_first, by_second, by_slope, by_flat


reading_density = FusedDensity("reading", _readings, (0, 1, 2, 3, 5), version=1)
count_density = FusedDensity("count", _counts, (0, 1, 2, 3, 4, 5), version=1)
share_density = FusedDensity("share", _shares, (0, 1, 2, 3), version=1)
ladder_density = FusedDensity("ladder", _ladder, (0, 1, 2, 3), version=1)
