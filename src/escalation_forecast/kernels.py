"""Log-density pieces that the model's blocks share, written for cheap gradients.

The autoregressive filter is an ``Op`` of its own because ``scan`` and matrix forms of the
same recursion cost ten to a thousand times more per gradient. Everything else is plain
PyTensor arithmetic on long vectors: few distinct kernels keep the compilation short.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from scipy.signal import lfilter

numba_njit = numba_basic.numba_njit


class ARFilter(Op):  # type: ignore[misc]
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
