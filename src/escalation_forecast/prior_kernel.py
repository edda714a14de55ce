"""All priors of a model in one pass over one vector: transforms, densities and their derivatives.

Each random variable is a segment of the vector that the sampler moves. What its prior is stands in a table
and its numbers in a vector, both data of the compiled program, so that families, labels and numbers of priors
need no code of their own, and sixty small pieces of a graph are one kernel.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from scipy.special import expit

VERSION: Final = 1  # of the cache of compiled code: raise it with every change of `_priors`

# Laws: a family with the transform that PyMC gives it, and what its numbers are.
FREE: Final = 0  # neither density nor transform: the graph has them
NORMAL: Final = 1  # mu, sigma
STUDENT_T: Final = 2  # mu, sigma, nu
LOG_NORMAL: Final = 3  # mu, sigma; by its logarithm
GAMMA: Final = 4  # shape, scale; by its logarithm
HALF_NORMAL: Final = 5  # sigma; by its logarithm
BETA: Final = 6  # alpha, beta; by its log odds

BY_LOG: Final = (LOG_NORMAL, GAMMA, HALF_NORMAL)
COLUMNS: Final = 9  # of the table: start, stop, law, and for each of three numbers where it is and its step
LARGEST: Final = 1e100


def _priors(z: Any, position: Any, scale: Any, table: Any, numbers: Any) -> tuple[Any, ...]:
    """Values on the scale of the model, their slopes, the log density up to a constant and its slopes.

    ``position + scale * z`` is PyMC's unconstrained vector. Both slopes are by that vector.
    """
    n = len(z)
    theta, slope, own = np.empty(n), np.empty(n), np.empty(n)
    value = 0.0
    for at in range(0, len(table), COLUMNS):
        start, stop, law = table[at], table[at + 1], table[at + 2]
        first, first_step = table[at + 3], table[at + 4]
        second, second_step = table[at + 5], table[at + 6]
        third, third_step = table[at + 7], table[at + 8]
        if law == FREE:
            for i in range(start, stop):
                theta[i], slope[i], own[i] = position[i] + scale[i] * z[i], 1.0, 0.0
        elif law == NORMAL:
            for i in range(start, stop):
                k = i - start
                x = position[i] + scale[i] * z[i]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                value -= 0.5 * far * far
                theta[i], slope[i], own[i] = x, 1.0, -far * rate
        elif law == STUDENT_T:
            tails, power = 1.0, numbers[third]
            for i in range(start, stop):
                k = i - start
                x, nu = position[i] + scale[i] * z[i], numbers[third + third_step * k]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                tail = 1.0 + far * far / nu
                theta[i], slope[i], own[i] = x, 1.0, -(nu + 1.0) / nu * far * rate / tail
                # One logarithm for many tails of one power.
                if nu != power or tails > LARGEST:
                    value -= 0.5 * (power + 1.0) * np.log(tails)
                    tails, power = 1.0, nu
                tails *= tail
            value -= 0.5 * (power + 1.0) * np.log(tails)
        elif law == LOG_NORMAL:
            for i in range(start, stop):
                k = i - start
                x = position[i] + scale[i] * z[i]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                value -= 0.5 * far * far
                theta[i] = np.exp(x)
                slope[i], own[i] = theta[i], -far * rate
        elif law == GAMMA:
            for i in range(start, stop):
                k = i - start
                x = position[i] + scale[i] * z[i]
                shape, per_scale = numbers[first + first_step * k], 1.0 / numbers[second + second_step * k]
                theta[i] = np.exp(x)
                value += shape * x - theta[i] * per_scale
                slope[i], own[i] = theta[i], shape - theta[i] * per_scale
        elif law == HALF_NORMAL:
            for i in range(start, stop):
                x = position[i] + scale[i] * z[i]
                theta[i] = np.exp(x)
                far = theta[i] / numbers[first + first_step * (i - start)]
                value += x - 0.5 * far * far
                slope[i], own[i] = theta[i], 1.0 - far * far
        else:
            for i in range(start, stop):
                k = i - start
                x = position[i] + scale[i] * z[i]
                alpha, beta = numbers[first + first_step * k], numbers[second + second_step * k]
                odds = np.exp(-abs(x))
                more = 1.0 / (1.0 + odds)
                less = odds * more
                yes, no = (more, less) if x > 0.0 else (less, more)
                # log yes and log no: one of them is minus log(1 + odds), the other lies |x| below.
                log_more = -np.log1p(odds)
                log_less = log_more - abs(x)
                value += alpha * (log_more if x > 0.0 else log_less)
                value += beta * (log_less if x > 0.0 else log_more)
                theta[i], slope[i], own[i] = yes, yes * no, alpha * no - beta * yes
    return theta, slope, np.asarray(value), own


class ElementwisePriors(Op):
    """`_priors` in a graph; what it returns contains its derivatives, so none are derived from it."""

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        vector = pt.TensorType("float64", shape=tensors[0].type.shape)
        return Apply(self, tensors, [vector(), vector(), pt.dscalar(), vector()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, _priors(*inputs), strict=True):
            storage[0] = np.asarray(value)


@register_funcify_default_op_cache_key(ElementwisePriors)
def _numba_priors(op: ElementwisePriors, **_: Any) -> Any:
    # A division by zero far out is infinite, and the draw refused; an exception would be lost in C.
    return numba_basic.numba_njit(_priors, error_model="numpy"), VERSION


elementwise_priors = ElementwisePriors()


def constrained(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Values on the scale of the model of unconstrained vectors (..., n)."""
    theta = np.array(x)
    for start, stop, law in table.reshape(-1, COLUMNS)[:, :3]:
        part = theta[..., start:stop]
        if law in BY_LOG:
            np.exp(part, out=part)
        elif law == BETA:
            expit(part, out=part)
    return theta
