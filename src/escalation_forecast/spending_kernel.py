"""Spending's paths and densities, each in one pass; the equations stand in `spending_block`.

Arrays of 14 states and some forty years are too small for a graph: moving them about cost more than what is
done with them, and compiling the pieces longer than sampling. Adjoints are written out by hand; tests hold
values to plain NumPy and derivatives to finite differences.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytensor.tensor as pt
from numba.extending import register_jitable
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch import basic as numba_basic
from pytensor.link.numba.dispatch.basic import register_funcify_default_op_cache_key

from escalation_forecast.kernels import LARGEST, SMALLEST, FusedDensity, in_python

VERSION: Final = 1  # of the cache of compiled code: raise it with every change below


@register_jitable
def _walk(steps: Any, memory: Any, printed: Any, total: Any, out: Any) -> None:
    """A walk of one state with mean zero over its printed years."""
    last, mean = 0.0, 0.0
    for t in range(len(steps)):
        last = memory * last + steps[t]
        out[t] = last
        mean += printed[t] * last
    mean /= max(total, 1.0)
    for t in range(len(steps)):
        out[t] -= mean


@register_jitable
def _walk_adjoint(given: Any, memory: Any, printed: Any, total: Any, out: Any) -> None:
    whole = 0.0
    for t in range(len(given)):
        whole += given[t]
    whole /= max(total, 1.0)
    carried = 0.0
    for t in range(len(given) - 1, -1, -1):
        carried = given[t] - printed[t] * whole + memory * carried
        out[t] = carried


def _paths(
    level_steps: Any, scale_steps: Any, forward_steps: Any, ahead: Any, newest_step: Any, mean: Any,
    noise: Any, drift: Any, step: Any, revision_scale: Any, persistence: Any, reaction: Any, push: Any,
    data: Any, printed: Any, newest: Any, revisable: Any, rivals: Any, n_printed: Any, memory: Any,
) -> tuple[Any, ...]:  # fmt: skip
    states, years, n_ahead = level_steps.shape[0], level_steps.shape[1], forward_steps.shape[1]
    n, keep = n_printed.item(), memory.item()
    level, scale = np.empty(level_steps.shape), np.empty(level_steps.shape)
    walks = np.empty((2, states, years))
    drifts, steep, react = drift.item(), step.item(), reaction.item()
    revision = np.empty(states)
    gaps = np.empty((n_ahead + 1, states))  # of the last printed year and of those ahead
    forward, first_print = np.empty(forward_steps.shape), np.empty(forward_steps.shape)
    for i in range(states):
        total = printed[i].sum()
        _walk(level_steps[i], 1.0, printed[i], total, walks[0, i])
        _walk(scale_steps[i], keep, printed[i], total, walks[1, i])
        for t in range(years):
            level[i, t] = mean[i] + drifts * noise[i] * walks[0, i, t]
            scale[i, t] = noise[i] * np.exp(steep * walks[1, i, t])
        revision[i] = revisable.item() * newest_step[i] * revision_scale[i]
        t = n - 1
        growth = data[i, t] + (1.0 - printed[i, t]) * level[i, t] + newest[i, t] * revision[i]
        gaps[0, i] = growth - level[i, t]
    for k in range(n_ahead):
        for i in range(states):
            pull = 0.0
            for j in range(states):
                pull += rivals[i, j] * gaps[k, j]
            gap = persistence[i] * gaps[k, i] + react * pull + push[i, n + k - 1]
            gap += scale[i, n + k] * forward_steps[i, k]
            gaps[k + 1, i] = gap
            forward[i, k] = level[i, n + k] + gap
            first_print[i, k] = forward[i, k] - revisable.item() * revision_scale[i] * ahead[i, k]
    return level, scale, revision, forward, first_print, gaps, walks


def _paths_adjoint(
    level_steps: Any, scale_steps: Any, forward_steps: Any, ahead: Any, newest_step: Any, mean: Any,
    noise: Any, drift: Any, step: Any, revision_scale: Any, persistence: Any, reaction: Any, push: Any,
    data: Any, printed: Any, newest: Any, revisable: Any, rivals: Any, n_printed: Any, memory: Any,
    scale: Any, gaps: Any, walks: Any,
    given_level: Any, given_scale: Any, given_revision: Any, given_forward: Any, given_print: Any,
) -> tuple[Any, ...]:  # fmt: skip
    states, years, n_ahead = level_steps.shape[0], level_steps.shape[1], forward_steps.shape[1]
    n, keep, open_ = n_printed.item(), memory.item(), revisable.item()
    drifts, steep, react = drift.item(), step.item(), reaction.item()
    by_level, by_scale = given_level.copy(), given_scale.copy()
    by_forward, by_ahead = np.empty(forward_steps.shape), np.empty(forward_steps.shape)
    by_newest, by_mean, by_noise = np.empty(states), np.empty(states), np.zeros(states)
    by_revision_scale, by_persistence = np.zeros(states), np.zeros(states)
    by_drift, by_step, by_reaction = 0.0, 0.0, 0.0
    by_push = np.zeros(push.shape)
    by_gap = np.zeros(states)
    for k in range(n_ahead - 1, -1, -1):
        before = np.zeros(states)
        for i in range(states):
            printed_first = given_print[i, k]
            by_ahead[i, k] = -open_ * revision_scale[i] * printed_first
            by_revision_scale[i] -= open_ * ahead[i, k] * printed_first
            whole = given_forward[i, k] + printed_first
            by_level[i, n + k] += whole
            one = whole + by_gap[i]
            by_forward[i, k] = one * scale[i, n + k]
            by_scale[i, n + k] += one * forward_steps[i, k]
            by_push[i, n + k - 1] += one
            by_persistence[i] += one * gaps[k, i]
            before[i] += one * persistence[i]
            pull = 0.0
            for j in range(states):
                pull += rivals[i, j] * gaps[k, j]
                before[j] += one * react * rivals[i, j]
            by_reaction += one * pull
        by_gap = before
    by_level_steps, by_scale_steps = np.empty(level_steps.shape), np.empty(level_steps.shape)
    for i in range(states):
        t = n - 1
        by_level[i, t] -= printed[i, t] * by_gap[i]
        by_revision = given_revision[i] + newest[i, t] * by_gap[i]
        by_newest[i] = open_ * revision_scale[i] * by_revision
        by_revision_scale[i] += open_ * newest_step[i] * by_revision
        total = printed[i].sum()
        one_mean, with_walk, with_scale = 0.0, 0.0, 0.0
        for t in range(years):
            one, two = by_level[i, t], by_scale[i, t] * scale[i, t]
            one_mean += one
            with_walk += one * walks[0, i, t]
            with_scale += two
            by_step += two * walks[1, i, t]
            by_level[i, t], by_scale[i, t] = one * drifts * noise[i], two * steep
        by_mean[i] = one_mean
        by_drift += with_walk * noise[i]
        by_noise[i] = with_walk * drifts + with_scale / noise[i]
        _walk_adjoint(by_level[i], 1.0, printed[i], total, by_level_steps[i])
        _walk_adjoint(by_scale[i], keep, printed[i], total, by_scale_steps[i])
    return (
        by_level_steps, by_scale_steps, by_forward, by_ahead, by_newest, by_mean, by_noise,
        np.asarray(by_drift), np.asarray(by_step), by_revision_scale, by_persistence,
        np.asarray(by_reaction), by_push,
    )  # fmt: skip


FREE: Final = 13  # inputs that are differentiated: the rest are data


class _SpendingAdjoint(Op):
    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        return Apply(self, tensors, [tensor.type() for tensor in tensors[:FREE]])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, _paths_adjoint(*inputs), strict=True):
            storage[0] = np.asarray(value)


class SpendingPaths(Op):
    """From innovations to growth's level, scale and last revision, growth ahead and its first prints.

    Inputs are innovations of level and scale (state, year), of growth ahead and of the revisions of its
    prints (state, year_ahead) and of the newest print's revision (state,); ``mean`` and ``noise`` (state,),
    ``drift`` and ``step`` (), ``revision_scale`` and ``persistence`` (state,), ``reaction`` (), ``push``
    (state, year); then the data: printed growth, whether printed and whether the newest print (state, year),
    whether it may be revised (), the weights of rivals (state, state), the number of printed years and the
    memory of the scale (). Outputs are level and scale (state, year), revision (state,), growth ahead and its
    first print (state, year_ahead), and the gaps and walks that the adjoint needs.
    """

    __props__ = ()

    def make_node(self, *inputs: Any) -> Apply:
        tensors = [pt.as_tensor_variable(value) for value in inputs]
        matrix, vector = pt.TensorType("float64", (None, None)), pt.TensorType("float64", (None,))
        walks = pt.TensorType("float64", (2, None, None))
        return Apply(self, tensors, [matrix(), matrix(), vector(), matrix(), matrix(), matrix(), walks()])

    def perform(self, node: Apply, inputs: list[np.ndarray], outputs: list[list[np.ndarray]]) -> None:
        for storage, value in zip(outputs, in_python(_paths)(*inputs), strict=True):
            storage[0] = np.asarray(value)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Any]:
        given = [
            out.zeros_like() if isinstance(by.type, DisconnectedType) else by
            for out, by in zip(outputs[:5], cotangents[:5], strict=True)
        ]
        found = _SpendingAdjoint()(*inputs, outputs[1], *outputs[5:], *given)
        return [*found, *(DisconnectedType()() for _ in inputs[FREE:])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[k < FREE] * 5 + [False] * 2 for k in range(len(node.inputs))]


@register_funcify_default_op_cache_key(SpendingPaths)
def _numba_paths(op: SpendingPaths, **_: Any) -> Any:
    return numba_basic.numba_njit(_paths, error_model="numpy"), VERSION


@register_funcify_default_op_cache_key(_SpendingAdjoint)
def _numba_adjoint(op: _SpendingAdjoint, **_: Any) -> Any:
    return numba_basic.numba_njit(_paths_adjoint, error_model="numpy"), VERSION


spending_paths = SpendingPaths()


def _growth_steps(
    level: Any, scale: Any, revision: Any, persistence: Any, reaction: Any, push: Any,
    data: Any, printed: Any, newest: Any, rivals: Any, df: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Growth of a printed year given that of the year before, if that was printed as well."""
    states, years = level.shape
    nu, react = df.item(), reaction.item()
    gap, by_gap = np.empty((years, states)), np.zeros((years, states))
    for i in range(states):
        for t in range(years):
            gap[t, i] = data[i, t] - printed[i, t] * level[i, t] + newest[i, t] * revision[i]
    by_level, by_scale, by_push = np.zeros(level.shape), np.zeros(level.shape), np.zeros(level.shape)
    by_revision, by_persistence, by_reaction = np.zeros(states), np.zeros(states), 0.0
    value = 0.0
    for i in range(states):
        tails, scales = 1.0, 1.0
        for t in range(years - 1):
            if printed[i, t] * printed[i, t + 1] == 0.0:
                continue
            pull = 0.0
            for j in range(states):
                pull += rivals[i, j] * gap[t, j]
            error = gap[t + 1, i] - persistence[i] * gap[t, i] - react * pull - push[i, t]
            rate = 1.0 / scale[i, t + 1]
            z = error * rate
            tail = 1.0 + z * z / nu
            by_z = -(nu + 1.0) / nu * z / tail
            by_scale[i, t + 1] = -(by_z * z + 1.0) * rate
            by_error = by_z * rate
            by_gap[t + 1, i] += by_error
            by_gap[t, i] -= by_error * persistence[i]
            by_persistence[i] -= by_error * gap[t, i]
            by_reaction -= by_error * pull
            by_push[i, t] = -by_error
            spread = by_error * react
            if spread != 0.0:
                for j in range(states):
                    by_gap[t, j] -= spread * rivals[i, j]
            tails *= tail
            scales *= scale[i, t + 1]
            if tails > LARGEST or scales > LARGEST or scales < SMALLEST:
                value -= 0.5 * (nu + 1.0) * np.log(tails) + np.log(scales)
                tails, scales = 1.0, 1.0
        value -= 0.5 * (nu + 1.0) * np.log(tails) + np.log(scales)
    for i in range(states):
        for t in range(years):
            by_level[i, t] = -printed[i, t] * by_gap[t, i]
            by_revision[i] += newest[i, t] * by_gap[t, i]
    return (
        np.asarray(value), by_level, by_scale, by_revision, by_persistence, np.asarray(by_reaction), by_push
    )  # fmt: skip


def _revisions(scale: Any, state: Any, step: Any, df: Any) -> tuple[Any, ...]:
    """First revisions as Student-t with a scale by state."""
    nu, value = df.item(), 0.0
    by_scale = np.zeros(len(scale))
    for row in range(len(step)):
        i = state[row]
        z = step[row] / scale[i]
        tail = 1.0 + z * z / nu
        value -= 0.5 * (nu + 1.0) * np.log(tail) + np.log(scale[i])
        by_scale[i] += ((nu + 1.0) / nu * z * z / tail - 1.0) / scale[i]
    return np.asarray(value), by_scale


def _late_sizes(size: Any, steps: Any, df: Any) -> tuple[Any, ...]:
    """Sizes of late revisions as Student-t of one scale."""
    nu, scale, value, by_size = df.item(), size.item(), 0.0, 0.0
    for row in range(len(steps)):
        z = steps[row] / scale
        tail = 1.0 + z * z / nu
        value -= 0.5 * (nu + 1.0) * np.log(tail) + np.log(scale)
        by_size += ((nu + 1.0) / nu * z * z / tail - 1.0) / scale
    return np.asarray(value), np.asarray(by_size)


def _announcements(
    first_print: Any, bias: Any, noise: Any, spread: Any, usual: Any, state: Any, slot: Any, ahead: Any,
    known: Any, announced: Any, year: Any, doubt: Any, half_width: Any, df: Any,
) -> tuple[Any, ...]:  # fmt: skip
    """Announced growth as a reading of the first print.

    Its scale is ``noise * (1 + doubt)`` with the half width of what was said beside it; for a row with a
    ``year`` it grows with ``spread / usual`` of that year.
    """
    nu, value = df.item(), 0.0
    by_print, by_spread = np.zeros(first_print.shape), np.zeros(spread.shape)
    by_bias, by_noise, by_usual = np.zeros(len(bias)), np.zeros(len(noise)), np.zeros(len(usual))
    for row in range(len(state)):
        i, k, t = state[row], slot[row], year[row]
        target = first_print[i, k] if ahead[row] > 0.0 else known[row]
        factor = 1.0 + doubt[row]
        if t >= 0:
            factor *= spread[i, t] / usual[i]
        own = noise[i] * factor
        scale = np.sqrt(own * own + half_width[row] * half_width[row])
        z = (announced[row] - target - bias[i]) / scale
        tail = 1.0 + z * z / nu
        value -= 0.5 * (nu + 1.0) * np.log(tail) + np.log(scale)
        by_z = -(nu + 1.0) / nu * z / tail
        by_bias[i] -= by_z / scale
        if ahead[row] > 0.0:
            by_print[i, k] -= by_z / scale
        by_own = -(by_z * z + 1.0) / scale * own / scale
        by_noise[i] += by_own * factor
        if t >= 0:
            by_spread[i, t] += by_own * own / spread[i, t]
            by_usual[i] -= by_own * own / usual[i]
    return np.asarray(value), by_print, by_bias, by_noise, by_spread, by_usual


growth_step_density = FusedDensity("growth_steps", _growth_steps, (0, 1, 2, 3, 4, 5), version=1)
revision_density = FusedDensity("revisions", _revisions, (0,), version=1)
late_size_density = FusedDensity("late_sizes", _late_sizes, (0,), version=1)
announcement_density = FusedDensity("announcements", _announcements, (0, 1, 2, 3, 4), version=1)
