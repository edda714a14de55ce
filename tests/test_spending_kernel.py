"""Spending's paths and densities: derivatives against finite differences, in Python and compiled.

What the values should be is tested with the model (`test_spending_block`, `test_spending_paths`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from pytensor.compile.mode import Mode
from scipy import stats

from escalation_forecast.spending_kernel import (
    FREE,
    announcement_density,
    growth_step_density,
    late_size_density,
    revision_density,
    spending_paths,
)
from prior_fit import plain

STATES, YEARS, AHEAD, PRINTED = 3, 9, 2, 7
MODES = [pytest.param(plain(), id="python"), pytest.param(Mode(linker="numba"), id="numba")]


def shared_data(rng: np.random.Generator) -> dict[str, np.ndarray]:
    printed = np.zeros((STATES, YEARS))
    printed[:, 1:PRINTED] = 1.0
    printed[1, 3] = 0.0  # a gap
    printed[2, :] = 0.0  # a state without figures
    newest = np.zeros((STATES, YEARS))
    newest[:, PRINTED - 1] = printed[:, PRINTED - 1]
    rivals = np.array([[0.0, 0.6, 0.0], [1.0, 0.0, 0.4], [0.0, 0.0, 0.0]])
    return {"growth": rng.normal(3, 5, (STATES, YEARS)) * printed, "printed": printed, "newest": newest,
            "rivals": rivals}  # fmt: skip


def path_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    data = shared_data(rng)
    return [
        *rng.normal(size=(2, STATES, YEARS)),
        *rng.normal(size=(2, STATES, AHEAD)),
        rng.normal(size=STATES),
        rng.normal(3, 1, STATES),
        rng.gamma(4.0, 1.0, STATES),
        np.asarray(0.3),
        np.asarray(0.2),
        rng.gamma(2.0, 0.5, STATES),
        rng.uniform(0.1, 0.6, STATES),
        np.asarray(0.15),
        rng.normal(size=(STATES, YEARS)),
        data["growth"],
        data["printed"],
        data["newest"],
        np.asarray(1.0),
        data["rivals"],
        np.asarray(PRINTED, np.int32),
        np.asarray(0.9),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_of_the_paths_are_finite_differences(mode: Mode) -> None:
    values = path_inputs()
    symbols = [pt.as_tensor_variable(value).type() for value in values]
    outputs = spending_paths(*symbols)[:5]
    rng = np.random.default_rng(2)
    shapes = [(STATES, YEARS), (STATES, YEARS), (STATES,), (STATES, AHEAD), (STATES, AHEAD)]
    loss = sum((rng.normal(size=n) * out**2).sum() for n, out in zip(shapes, outputs, strict=True))
    program = pytensor.function(symbols, [loss, *pytensor.grad(loss, symbols[:FREE])], mode=mode)
    check(lambda given: float(program(*given)[0]), values, program(*values)[1:], range(FREE))


def test_what_is_not_asked_for_has_no_derivative() -> None:
    values = path_inputs()
    symbols = [pt.as_tensor_variable(value).type() for value in values]
    level = spending_paths(*symbols)[0]
    program = pytensor.function(
        symbols, pytensor.grad(level.sum(), symbols[:FREE], disconnected_inputs="ignore"), mode=plain(),
        on_unused_input="ignore",
    )  # fmt: skip
    found = program(*values)
    assert_allclose(found[5], np.full(STATES, YEARS))
    assert not found[1].any()


def check(loss: Callable[[list[np.ndarray]], float], values: Any, gradients: Any, places: Any) -> None:
    step = 1e-6
    for gradient, k in zip(gradients, places, strict=True):
        assert gradient.shape == values[k].shape
        for place in np.ndindex(values[k].shape):
            pair = []
            for sign in (1.0, -1.0):
                bumped = [v.copy() for v in values]
                bumped[k][place] += sign * step
                pair.append(loss(bumped))
            slope = (pair[0] - pair[1]) / (2 * step)
            assert_allclose(gradient[place], slope, rtol=2e-5, atol=2e-5, err_msg=f"{k} {place}")


def step_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    data = shared_data(rng)
    return [
        rng.normal(3, 1, (STATES, YEARS)),
        rng.gamma(4.0, 1.0, (STATES, YEARS)),
        rng.normal(size=STATES),
        rng.uniform(0.1, 0.6, STATES),
        np.asarray(0.15),
        rng.normal(size=(STATES, YEARS)),
        data["growth"],
        data["printed"],
        data["newest"],
        data["rivals"],
        np.asarray(4.0),
    ]


def direct_steps(
    level: Any, scale: Any, revision: Any, persistence: Any, reaction: Any, push: Any, growth: Any,
    printed: Any, newest: Any, rivals: Any, df: Any,
) -> float:  # fmt: skip
    gap = np.where(printed > 0, growth + newest * revision[:, None] - level, 0.0)
    error = gap[:, 1:] - (persistence[:, None] * gap + reaction * (rivals @ gap) + push)[:, :-1]
    used = printed[:, 1:] * printed[:, :-1]
    return float((used * (stats.t.logpdf(error, df, scale=scale[:, 1:]) - stats.t.logpdf(0.0, df))).sum())


def revision_inputs() -> list[np.ndarray]:
    state = np.array([0, 0, 1, 2, 2], np.int32)
    return [np.array([0.4, 1.1, 2.0]), state, np.array([0.1, -0.7, 3.0, 0.0, 9.0]), np.asarray(3.0)]


def direct_revisions(scale: Any, state: Any, step: Any, df: Any) -> float:
    return float((stats.t.logpdf(step, df, scale=scale[state]) - stats.t.logpdf(0.0, df)).sum())


def late_inputs() -> list[np.ndarray]:
    return [np.asarray(0.8), np.array([0.3, -2.0, 0.0]), np.asarray(3.0)]


def direct_late(size: Any, steps: Any, df: Any) -> float:
    return float((stats.t.logpdf(steps, df, scale=size) - stats.t.logpdf(0.0, df)).sum())


def announcement_inputs() -> list[np.ndarray]:
    """Of a year ahead and of one printed, with and without a year whose surprises count."""
    rng = np.random.default_rng(4)
    return [
        rng.normal(3, 1, (STATES, AHEAD)),
        rng.normal(size=STATES),
        rng.gamma(3.0, 0.5, STATES),
        rng.gamma(4.0, 1.0, (STATES, YEARS)),
        rng.gamma(4.0, 1.0, STATES),
        np.array([0, 1, 2, 0, 1], np.int32),
        np.array([0, 1, 0, 0, 1], np.int32),
        np.array([1.0, 1.0, 0.0, 0.0, 1.0]),
        rng.normal(size=5),
        rng.normal(4, 3, 5),
        np.array([-1, 8, -1, 7, 8], np.int32),
        np.array([0.5, 0.0, 0.0, 0.0, 0.0]),
        np.array([1.2, 0.0, 0.3, 0.0, 0.0]),
        np.asarray(5.0),
    ]


def direct_announcements(
    first_print: Any, bias: Any, noise: Any, spread: Any, usual: Any, *rows: Any
) -> float:
    state, slot, ahead, known, announced, year, doubt, half_width, df = rows
    target = np.where(ahead > 0, first_print[state, slot], known)
    unrest = np.where(year >= 0, spread[state, year] / usual[state], 1.0)
    scale = np.hypot(noise[state] * (1.0 + doubt) * unrest, half_width)
    error = announced - target - bias[state]
    return float((stats.t.logpdf(error, df, scale=scale) - stats.t.logpdf(0.0, df)).sum())


DENSITIES = {
    "steps": (growth_step_density, step_inputs, direct_steps),
    "revisions": (revision_density, revision_inputs, direct_revisions),
    "late": (late_size_density, late_inputs, direct_late),
    "announcements": (announcement_density, announcement_inputs, direct_announcements),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", DENSITIES)
def test_density_is_scipys_and_its_derivatives_finite_differences(kind: str, mode: Mode) -> None:
    density, inputs, direct = DENSITIES[kind]
    values, free = inputs(), list(density.by)
    symbols = [pt.as_tensor_variable(value).type() for value in values]
    value = density(*symbols)[0]
    gradients = pytensor.gradient.grad(value, [symbols[k] for k in free])
    found = pytensor.function(symbols, [value, *gradients], mode=mode, on_unused_input="ignore")(*values)
    assert_allclose(found[0], direct(*values), rtol=1e-10)
    check(lambda given: direct(*given), values, found[1:], free)
