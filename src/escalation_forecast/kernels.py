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

    return ar_filter


ar_filter = ARFilter()


def student_t_rows(error: Any, scale: Any, nu: Any) -> Any:
    """Log density of Student-t errors, row by row, up to a constant that depends on ``nu`` alone."""
    z = error / scale
    return -0.5 * (nu + 1.0) * pt.log1p(z * z / nu) - pt.log(scale)


def log_sigmoid_difference(high: Any, low: Any) -> Any:
    """``log(sigmoid(high) - sigmoid(low))`` for ``high > low``, stable for bounds far out."""
    return high + pt.log(-pt.expm1(low - high)) - pt.softplus(high) - pt.softplus(low)


class ReadingDensity(Op):
    """Log density of Student-t readings with an AR(1) error, and its gradient, in one pass.

    Inputs: item vectors ``intercept, slope, rho, noise, df``; the latent values ``flat``; and per row
    ``item, index, index_previous, y, y_previous, linked``. With ``m = intercept + slope * flat[index]``
    a linked row has the innovation ``(y - m) - rho (y_previous - m_previous)`` of scale ``noise``; an
    unlinked row has the stationary error ``y - m`` of scale ``noise / sqrt(1 - rho^2)``.

    Outputs: the sum of the log densities, up to a constant that depends on ``df`` alone, and its
    derivatives by intercept, slope, rho, noise and flat. Only the sum may be differentiated.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        return Apply(self, tensors, [pt.dscalar(), *(pt.dvector() for _ in range(5))])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, _reading_density(*inputs), strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        by_value = cotangents[0]
        intercept, slope, rho, noise, flat = (by_value * gradient for gradient in outputs[1:])
        fixed = [DisconnectedType()() for _ in inputs[6:]]
        return [intercept, slope, rho, noise, DisconnectedType()(), flat, *fixed]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[position in (0, 1, 2, 3, 5)] + [False] * 5 for position in range(len(node.inputs))]


def _reading_density(
    intercept: Any,
    slope: Any,
    rho: Any,
    noise: Any,
    df: Any,
    flat: Any,
    item: Any,
    index: Any,
    index_previous: Any,
    y: Any,
    y_previous: Any,
    linked: Any,
) -> tuple[Any, ...]:
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
    return value, by_intercept, by_slope, by_rho, by_noise, by_flat


@register_funcify_default_op_cache_key(ReadingDensity)
def _numba_reading_density(op: ReadingDensity, **_: Any) -> Any:
    program = numba_njit(_reading_density)

    @numba_njit
    def reading_density(
        intercept: Any,
        slope: Any,
        rho: Any,
        noise: Any,
        df: Any,
        flat: Any,
        item: Any,
        index: Any,
        index_previous: Any,
        y: Any,
        y_previous: Any,
        linked: Any,
    ) -> tuple[Any, ...]:
        value, a, b, r, s, f = program(
            intercept, slope, rho, noise, df, flat, item, index, index_previous, y, y_previous, linked
        )
        return np.asarray(value), a, b, r, s, f

    return reading_density


reading_density = ReadingDensity()
