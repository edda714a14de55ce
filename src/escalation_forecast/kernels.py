"""Log-density pieces that the model's blocks share, each in one pass with its derivatives.

A graph of the same is many small loops over arrays, which cost more to compile than to run and more to
run than what they compute. The autoregressive filter is an ``Op`` of its own because ``scan`` and matrix
forms of the same recursion cost ten to a thousand times more per gradient.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
import pytensor.tensor as pt
from numba.extending import register_jitable
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key
from scipy.signal import lfilter

from escalation_forecast.vector_math import exp, log_one_plus

numba_njit = numba_basic.numba_njit


@cache
def in_python(program: Any) -> Any:
    """A kernel for where a graph runs in Python: compiled by itself, once on a machine."""
    import numba

    return numba.njit(program, cache=True, error_model="numpy")


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
        for storage, value in zip(outputs, in_python(self.program)(*inputs), strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        found = dict(zip(self.by, outputs[1:], strict=True))
        return [cotangents[0] * found[k] if k in found else DisconnectedType()() for k in range(len(inputs))]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k in self.by] + [False] * len(self.by) for k in range(len(node.inputs))]


@register_funcify_default_op_cache_key(FusedDensity)
def _numba_fused_density(op: FusedDensity, **_: Any) -> Any:
    # A division by zero far out is infinite, and the draw refused; an exception would be lost in C.
    return numba_njit(op.program, error_model="numpy"), op.version


# A product of factors takes one logarithm in place of many; it is taken before the product can leave the
# range of doubles.
LARGEST: Final = 1e100
SMALLEST: Final = 1e-100
ROOM: Final = 1e50
LEAST_CHANCE: Final = 1e-12
STIRLING: Final = 10.0
HALF_LOG_TWO_PI: Final = 0.9189385332046727


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
    log_noise, spread = np.log(noise), 1.0 - rho * rho
    # One over the scale of linked rows and of others.
    linked_rate, rate = 1.0 / noise, np.sqrt(spread) / noise
    half_log_spread, per_df = 0.5 * np.log(spread), 1.0 / df
    tails, power = 1.0, 0.0
    for row in range(len(item)):
        j, now = item[row], index[row]
        error = y[row] - intercept[j] - slope[j] * flat[now]
        if linked[row] > 0.0:
            before = index_previous[row]
            previous = y_previous[row] - intercept[j] - slope[j] * flat[before]
            per_scale = linked_rate[j]
            z = (error - rho[j] * previous) * per_scale
        else:
            per_scale = rate[j]
            z = error * per_scale
            value += half_log_spread[j]
        value -= log_noise[j]
        tail = 1.0 + z * z * per_df[j]
        # Rows of one item come together, so that tails of one power are multiplied.
        if power != df[j] or tails > LARGEST:
            value -= 0.5 * (power + 1.0) * np.log(tails)
            tails, power = 1.0, df[j]
        tails *= tail
        by_z = -(1.0 + per_df[j]) * z / tail
        by_error = by_z * per_scale
        by_noise[j] -= (by_z * z + 1.0) * linked_rate[j]
        if linked[row] > 0.0:
            by_previous = -rho[j] * by_error
            by_rho[j] -= by_error * previous
            by_intercept[j] -= by_error + by_previous
            by_slope[j] -= by_error * flat[now] + by_previous * flat[before]
            by_flat[before] -= by_previous * slope[j]
        else:
            by_rho[j] -= (by_z * z + 1.0) * rho[j] / spread[j]
            by_intercept[j] -= by_error
            by_slope[j] -= by_error * flat[now]
        by_flat[now] -= by_error * slope[j]
    value -= 0.5 * (power + 1.0) * np.log(tails)
    return np.asarray(value), by_intercept, by_slope, by_rho, by_noise, by_flat


def _counts(
    intercept: Any, loading: Any, size: Any, memory: Any, drift: Any, flat: Any, item: Any, index: Any,
    index_previous: Any, y: Any, log_exposure: Any, trend: Any, log_rate_previous: Any, linked: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Negative binomial counts without their log-gamma terms; ``memory`` and ``drift`` have one element."""
    n = len(item)
    by_intercept, by_loading = np.zeros(len(intercept)), np.zeros(len(loading))
    by_size, by_memory, by_drift = np.zeros(len(size)), np.zeros(1), np.zeros(1)
    by_flat = np.zeros(len(flat))
    log_sizes = np.log(size)
    surprise, above, sizes = np.empty(n), np.empty(n), np.empty(n)
    for row in range(n):
        j = item[row]
        log_mean = intercept[j] + loading[j] * flat[index[row]] + drift[0] * trend[row] + log_exposure[row]
        surprise[row] = log_rate_previous[row] - intercept[j] - loading[j] * flat[index_previous[row]]
        above[row] = log_mean + memory[0] * linked[row] * surprise[row] - log_sizes[j]
        sizes[row] = size[j]
    value = 0.0
    by_log_mean, by_own_size = np.empty(n), np.empty(n)
    for row in range(n):
        # By the exponential that is below one: share = mean / (mean + size), and the logarithm of the sum
        # over the size.
        one = above[row]
        ratio = exp(-abs(one))
        log_sum = max(one, 0.0) + log_one_plus(ratio)
        more = 1.0 / (1.0 + ratio)
        less = ratio * more
        share, rest = (more, less) if one > 0.0 else (less, more)
        value += y[row] * (one - log_sum) - sizes[row] * log_sum
        by_log_mean[row] = y[row] * rest - sizes[row] * share
        by_own_size[row] = 1.0 - (y[row] / sizes[row] + 1.0) * rest - log_sum
    for row in range(n):
        j, now, before = item[row], index[row], index_previous[row]
        one, carried = by_log_mean[row], memory[0] * linked[row]
        by_size[j] += by_own_size[row]
        by_intercept[j] += one * (1.0 - carried)
        by_loading[j] += one * (flat[now] - carried * flat[before])
        by_drift[0] += one * trend[row]
        by_memory[0] += one * linked[row] * surprise[row]
        by_flat[now] += one * loading[j]
        by_flat[before] -= one * carried * loading[j]
    return np.asarray(value), by_intercept, by_loading, by_size, by_memory, by_drift, by_flat


@register_jitable
def _log_gamma(x: Any) -> Any:
    """Logarithm of the gamma function of x > 0 and its derivative, by Stirling's series beyond ten."""
    shift, slope = 1.0, 0.0
    while x < STIRLING:
        shift *= x
        slope += 1.0 / x
        x += 1.0
    log, rate = np.log(x), 1.0 / x
    square = rate * rate
    series = rate * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)))
    value = (x - 0.5) * log - x + HALF_LOG_TWO_PI + series
    steep = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)))
    return value - np.log(shift), log - 0.5 * rate - steep - slope


def _count_gammas(size: Any, item: Any, y: Any, weight: Any) -> tuple[Any, ...]:
    """``weight (log gamma(y + size) - log gamma(size))`` over unique pairs of item and count."""
    value = 0.0
    by_size, total = np.zeros(len(size)), np.zeros(len(size))
    for row in range(len(item)):
        j = item[row]
        one, slope = _log_gamma(y[row] + size[j])
        value += weight[row] * one
        by_size[j] += weight[row] * slope
        total[j] += weight[row]
    for j in range(len(size)):
        one, slope = _log_gamma(size[j])
        value -= total[j] * one
        by_size[j] -= total[j] * slope
    return np.asarray(value), by_size


def _shares(
    intercept: Any, loading: Any, concentration: Any, flat: Any, item: Any, index: Any, sign: Any, step: Any
) -> tuple[Any, ...]:
    """Rising factorials of a beta-binomial: ``log(concentration * p + step)``, p for or against."""
    value, factors = 0.0, 1.0
    by_intercept, by_loading = np.zeros(len(intercept)), np.zeros(len(loading))
    by_concentration, by_flat = np.zeros(len(concentration)), np.zeros(len(flat))
    n_rows, n = len(item), 0
    # Rows of one item and month come together and share their probability.
    begins, yes, no = np.empty(n_rows + 1, np.int64), np.empty(n_rows), np.empty(n_rows)
    for row in range(n_rows):
        j, now = item[row], index[row]
        if row == 0 or j != item[row - 1] or now != index[row - 1]:
            begins[n] = row
            yes[n] = intercept[j] + loading[j] * flat[now]
            n += 1
    begins[n] = n_rows
    for part in range(n):
        logit = yes[part]
        odds = exp(-abs(logit))
        more = 1.0 / (1.0 + odds)
        yes[part], no[part] = (more, odds * more) if logit > 0.0 else (odds * more, more)
    for part in range(n):
        row, end = begins[part], begins[part + 1]
        j, now = item[row], index[row]
        ups, downs = concentration[j] * yes[part], concentration[j] * no[part]
        while row < end:
            # Products of the factors for and against, and their derivatives.
            up, down, by_up, by_down = 1.0, 1.0, 0.0, 0.0
            while row < end:
                if sign[row] > 0.0:
                    factor = ups + step[row]
                    by_up = by_up * factor + up
                    up *= factor
                else:
                    factor = downs + step[row]
                    by_down = by_down * factor + down
                    down *= factor
                row += 1
                if up > ROOM or down > ROOM or up < 1.0 / ROOM or down < 1.0 / ROOM:
                    break
            for_yes, for_no = by_up / up, by_down / down
            factors *= up * down
            if factors > LARGEST or factors < SMALLEST:
                value += np.log(factors)
                factors = 1.0
            by_concentration[j] += for_yes * yes[part] + for_no * no[part]
            by_logit = concentration[j] * (for_yes - for_no) * yes[part] * no[part]
            by_intercept[j] += by_logit
            by_loading[j] += by_logit * flat[now]
            by_flat[now] += by_logit * loading[j]
    value += np.log(factors)
    return np.asarray(value), by_intercept, by_loading, by_concentration, by_flat


def _ladder(
    first: Any, second: Any, slope: Any, flat: Any, item: Any, index: Any, level: Any
) -> tuple[Any, ...]:
    """Ordered logit in three classes with cutpoints ``-first`` and ``-second``."""
    n = len(item)
    value, chances = 0.0, 1.0
    by_first, by_second = np.zeros(len(first)), np.zeros(len(second))
    by_slope, by_flat = np.zeros(len(slope)), np.zeros(len(flat))
    some, force = np.empty(n), np.empty(n)
    for row in range(n):
        j = item[row]
        push = slope[j] * flat[index[row]]
        some[row], force[row] = first[j] + push, second[j] + push
    by_low, by_high, chance = np.empty(n), np.empty(n), np.empty(n)
    for row in range(n):
        any_, deadly = 1.0 / (1.0 + exp(-some[row])), 1.0 / (1.0 + exp(-force[row]))
        not_first, not_last = (1.0 if level[row] > 0 else 0.0), (1.0 if level[row] < 2 else 0.0)
        # 1 - any, any - deadly, deadly
        one = not_last * (not_first * any_ + (1.0 - not_first) * (1.0 - any_))
        one = one + not_first * (1.0 - 2.0 * not_last) * deadly + LEAST_CHANCE
        low = any_ * (1.0 - any_) * not_last * (2.0 * not_first - 1.0)
        high = deadly * (1.0 - deadly) * not_first * (1.0 - 2.0 * not_last)
        chance[row], by_low[row], by_high[row] = one, low / one, high / one
    for row in range(n):
        j, now = item[row], index[row]
        chances *= chance[row]
        if chances < SMALLEST:
            value += np.log(chances)
            chances = 1.0
        both = by_low[row] + by_high[row]
        by_first[j] += by_low[row]
        by_second[j] += by_high[row]
        by_slope[j] += both * flat[now]
        by_flat[now] += both * slope[j]
    value += np.log(chances)
    return np.asarray(value), by_first, by_second, by_slope, by_flat


def _totals(concentration: Any, item: Any, step: Any, weight: Any) -> tuple[Any, ...]:
    """``weight log(concentration + step)`` over unique pairs of item and step: what the shares divide by."""
    value = 0.0
    by_concentration = np.zeros(len(concentration))
    for row in range(len(item)):
        total = concentration[item[row]] + step[row]
        value -= weight[row] * np.log(total)
        by_concentration[item[row]] -= weight[row] / total
    return np.asarray(value), by_concentration


def _hurdles(intercept: Any, loading: Any, flat: Any, item: Any, index: Any, z: Any) -> tuple[Any, ...]:
    """Bernoulli logits."""
    value, by_loading, slope = 0.0, 0.0, loading.item()
    by_intercept, by_flat = np.zeros(len(intercept)), np.zeros(len(flat))
    for row in range(len(item)):
        j, now = item[row], index[row]
        logit = intercept[j] + slope * flat[now]
        odds = exp(-abs(logit))
        value += z[row] * logit - max(logit, 0.0) - log_one_plus(odds)
        more = 1.0 / (1.0 + odds)
        by_logit = z[row] - (more if logit > 0.0 else odds * more)
        by_intercept[j] += by_logit
        by_loading += by_logit * flat[now]
        by_flat[now] += by_logit * slope
    return np.asarray(value), by_intercept, np.asarray(by_loading), by_flat


def _stocks(
    path: Any, miss: Any, body: Any, noise: Any, stock: Any, month: Any, source: Any, low: Any, high: Any
) -> tuple[Any, ...]:
    """Reports of a stock as intervals of a logistic error: ``log(sigmoid(high) - sigmoid(low))``."""
    value, by_noise, rate = 0.0, 0.0, 1.0 / noise.item()
    by_path, by_miss, by_body = np.zeros(path.shape), np.zeros(miss.shape), np.zeros(len(body))
    for row in range(len(stock)):
        k, t, b = stock[row], month[row], source[row]
        reported = path[k, t] + miss[k, t] + body[b]
        top, bottom = (high[row] - reported) * rate, (low[row] - reported) * rate
        # Stable for bounds far out; sigmoid'(x) / (difference) is written by the same pieces.
        width = -np.expm1(bottom - top)
        soft_top = max(top, 0.0) + np.log1p(np.exp(-abs(top)))
        soft_bottom = max(bottom, 0.0) + np.log1p(np.exp(-abs(bottom)))
        value += top + np.log(width) - soft_top - soft_bottom
        shrink = np.exp(bottom - top) / width
        by_top = 1.0 + shrink - np.exp(top - soft_top)
        by_bottom = -shrink - np.exp(bottom - soft_bottom)
        by_reported = -(by_top + by_bottom) * rate
        by_noise -= (by_top * top + by_bottom * bottom) * rate
        by_path[k, t] += by_reported
        by_miss[k, t] += by_reported
        by_body[b] += by_reported
    return np.asarray(value), by_path, by_miss, by_body, np.asarray(by_noise)


def _weighted_rows(weight: Any, x: Any) -> Any:
    out = np.zeros((weight.shape[0], x.shape[1]))
    for i in range(weight.shape[0]):
        for j in range(weight.shape[1]):
            if weight[i, j] != 0.0:
                for t in range(x.shape[1]):
                    out[i, t] += weight[i, j] * x[j, t]
    return out


class WeightedRows(Op):
    """Product of data (row, part) with few elements that are not zero and of ``x`` (part, column).

    A library for linear algebra takes longer to compile into the program than all kernels together. Only
    ``x`` may be differentiated.
    """

    __props__ = ()

    def make_node(self, weight: Any, x: Any) -> Apply:
        weight, x = pt.as_tensor_variable(weight), pt.as_tensor_variable(x)
        return Apply(self, [weight, x], [pt.TensorType("float64", shape=(None, None))()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        outputs[0][0] = inputs[0] @ inputs[1]

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        return [DisconnectedType()(), self(inputs[0].T, cotangents[0])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[False], [True]]


@register_funcify_default_op_cache_key(WeightedRows)
def _numba_weighted_rows(op: WeightedRows, **_: Any) -> Any:
    return numba_njit(_weighted_rows), 1


weighted_rows = WeightedRows()


reading_density = FusedDensity("reading", _readings, (0, 1, 2, 3, 5), version=4)
count_density = FusedDensity("count", _counts, (0, 1, 2, 3, 4, 5), version=5)
gamma_density = FusedDensity("gamma", _count_gammas, (0,), version=4)
share_density = FusedDensity("share", _shares, (0, 1, 2, 3), version=5)
ladder_density = FusedDensity("ladder", _ladder, (0, 1, 2, 3), version=5)
total_density = FusedDensity("total", _totals, (0,), version=1)
hurdle_density = FusedDensity("hurdle", _hurdles, (0, 1, 2), version=2)
stock_density = FusedDensity("stock", _stocks, (0, 1, 2, 3), version=1)
