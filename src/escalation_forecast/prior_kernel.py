"""All priors of a model in one pass over one vector: transforms, densities and their derivatives.

Each random variable is a segment of the vector that the sampler moves. What its prior is stands in a table
and its numbers in a vector, both data of the compiled program, so that families, labels and numbers of priors
need no code of their own, and sixty small pieces of a graph are one kernel.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytensor.tensor as pt
from numba.extending import register_jitable
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from scipy.special import expit

from escalation_forecast.kernels import LARGEST

VERSION: Final = 3  # of the cache of compiled code: raise it with every change of `_priors`

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


@register_jitable
def _sum_of_logs(values: Any) -> Any:
    """Sum of logarithms of numbers from one up, by one logarithm for eight of them."""
    total, whole = 0.0, len(values) - len(values) % 8
    for k in range(0, whole, 8):
        near = (values[k] * values[k + 1]) * (values[k + 2] * values[k + 3])
        far = (values[k + 4] * values[k + 5]) * (values[k + 6] * values[k + 7])
        total += np.log(near * far)
    for k in range(whole, len(values)):
        total += np.log(values[k])
    return total


def _priors(u: Any, table: Any, numbers: Any) -> tuple[Any, ...]:
    """Values on the scale of the model, their slopes, the log density up to a constant and its slopes.

    Of PyMC's unconstrained vector, by which both slopes are.
    """
    theta, slope, own = np.empty(len(u)), np.empty(len(u)), np.empty(len(u))
    value = 0.0
    for at in range(0, len(table), COLUMNS):
        start, stop, law = table[at], table[at + 1], table[at + 2]
        first, first_step = table[at + 3], table[at + 4]
        second, second_step = table[at + 5], table[at + 6]
        third, third_step = table[at + 7], table[at + 8]
        n = stop - start
        # Views from zero on, so that a loop needs no look at whether a place is counted from the end.
        moved = u[start:stop]
        values, slopes, steps = theta[start:stop], slope[start:stop], own[start:stop]
        if law == FREE:
            for k in range(n):
                values[k], slopes[k], steps[k] = moved[k], 1.0, 0.0
        elif law == NORMAL and first_step + second_step == 0:
            # Innovations are by far the most: their numbers are read once.
            mu, rate = numbers[first], 1.0 / numbers[second]
            squares = 0.0
            for k in range(n):
                x = moved[k]
                far = (x - mu) * rate
                squares += far * far
                values[k], slopes[k], steps[k] = x, 1.0, -far * rate
            value -= 0.5 * squares
        elif law == NORMAL:
            for k in range(n):
                x = moved[k]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                value -= 0.5 * far * far
                values[k], slopes[k], steps[k] = x, 1.0, -far * rate
        elif law == STUDENT_T and first_step + second_step + third_step == 0:
            mu, rate, nu = numbers[first], 1.0 / numbers[second], numbers[third]
            steep, per_nu = -(nu + 1.0) / nu * rate, 1.0 / nu
            every_tail = np.empty(n)
            for k in range(n):
                x = moved[k]
                far = (x - mu) * rate
                tail = 1.0 + far * far * per_nu
                every_tail[k] = tail
                values[k], slopes[k], steps[k] = x, 1.0, steep * far / tail
            value -= 0.5 * (nu + 1.0) * _sum_of_logs(every_tail)
        elif law == STUDENT_T:
            tails, power = 1.0, numbers[third]
            for k in range(n):
                x, nu = moved[k], numbers[third + third_step * k]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                tail = 1.0 + far * far / nu
                values[k], slopes[k], steps[k] = x, 1.0, -(nu + 1.0) / nu * far * rate / tail
                # One logarithm for many tails of one power.
                if nu != power or tails > LARGEST:
                    value -= 0.5 * (power + 1.0) * np.log(tails)
                    tails, power = 1.0, nu
                tails *= tail
            value -= 0.5 * (power + 1.0) * np.log(tails)
        elif law == LOG_NORMAL:
            for k in range(n):
                x = moved[k]
                rate = 1.0 / numbers[second + second_step * k]
                far = (x - numbers[first + first_step * k]) * rate
                value -= 0.5 * far * far
                values[k] = np.exp(x)
                slopes[k], steps[k] = values[k], -far * rate
        elif law == GAMMA:
            for k in range(n):
                x = moved[k]
                shape, per_scale = numbers[first + first_step * k], 1.0 / numbers[second + second_step * k]
                values[k] = np.exp(x)
                value += shape * x - values[k] * per_scale
                slopes[k], steps[k] = values[k], shape - values[k] * per_scale
        elif law == HALF_NORMAL:
            for k in range(n):
                x = moved[k]
                values[k] = np.exp(x)
                far = values[k] / numbers[first + first_step * k]
                value += x - 0.5 * far * far
                slopes[k], steps[k] = values[k], 1.0 - far * far
        else:
            for k in range(n):
                x = moved[k]
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
                values[k], slopes[k], steps[k] = yes, yes * no, alpha * no - beta * yes
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
