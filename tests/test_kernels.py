"""Kernels against plain loops, SciPy and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pytensor.compile.mode import Mode
from scipy import special, stats
from scipy.signal import lfilter

from escalation_forecast.kernels import (
    ar_filter,
    count_density,
    gamma_density,
    hurdle_density,
    ladder_density,
    reading_density,
    share_density,
    stock_density,
    total_density,
    weighted_rows,
)
from prior_fit import plain

PHI = np.array([0.0, 0.37, 0.9, 1.0])


def modes() -> list[Any]:
    return [pytest.param(plain(), id="python"), pytest.param(Mode(linker="numba"), id="numba")]


def by_loop(x: np.ndarray, phi: np.ndarray) -> np.ndarray:
    out = x.copy()
    for k in range(x.shape[0]):
        for t in range(1, x.shape[1]):
            out[k, t] += phi[k] * out[k, t - 1]
    return out


def value_and_gradients(mode: Mode) -> Any:
    """A weighted sum of squares of the filtered values, and its gradients."""
    x, phi, weight = pt.dmatrix("x"), pt.dvector("phi"), pt.dmatrix("weight")
    filtered = ar_filter(x, phi)
    loss = (weight * filtered**2).sum()
    return pytensor.function([x, phi, weight], [filtered, loss, *pytensor.grad(loss, [x, phi])], mode=mode)


@pytest.mark.parametrize("mode", modes())
def test_filter_is_the_loop_it_says_it_is(mode: Mode) -> None:
    x = np.random.default_rng(1).normal(size=(4, 30))
    got = value_and_gradients(mode)(x, PHI, x)[0]
    assert_allclose(got, by_loop(x, PHI), rtol=1e-12)
    assert_allclose(got[2], lfilter([1.0], [1.0, -0.9], x[2]), rtol=1e-12)


@pytest.mark.parametrize("mode", modes())
def test_filter_gradient_is_the_finite_difference(mode: Mode) -> None:
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(2, 4, 12))
    program = value_and_gradients(mode)
    _, _, by_x, by_phi = program(x, PHI, weight)

    def loss(x: np.ndarray, phi: np.ndarray) -> float:
        return float((weight * by_loop(x, phi) ** 2).sum())

    step = 1e-6
    for index in np.ndindex(*x.shape):
        bump = np.zeros_like(x)
        bump[index] = step
        slope = (loss(x + bump, PHI) - loss(x - bump, PHI)) / (2 * step)
        assert_allclose(by_x[index], slope, rtol=1e-5, atol=1e-7)
    for k in range(4):
        bump = step * (np.arange(4) == k)
        slope = (loss(x, PHI + bump) - loss(x, PHI - bump)) / (2 * step)
        assert_allclose(by_phi[k], slope, rtol=1e-5, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_persistence_of_one_gives_running_sums(values: list[float]) -> None:
    x = np.array([values])
    assert_allclose(RUNNING(x), np.cumsum(x, axis=1), rtol=1e-12, atol=1e-12)


_X = pt.dmatrix("x")
RUNNING = pytensor.function([_X], ar_filter(_X, pt.ones(1)), mode=plain())


def reading_inputs() -> list[np.ndarray]:
    """Two items of 20 rows, the second with a gap."""
    rng = np.random.default_rng(4)
    item = np.repeat([0, 1], 20).astype(np.int32)
    index = np.concatenate([np.arange(20), np.arange(10, 30)]).astype(np.int32)
    linked = np.ones(40)
    linked[[0, 20, 27]] = 0.0
    before = np.where(linked > 0, np.roll(index, 1), index).astype(np.int32)
    y = rng.standard_t(3, size=40)
    items = [np.array(pair) for pair in ((0.1, -0.3), (0.8, -0.5), (0.3, 0.45), (0.7, 1.2), (5.0, 4.0))]
    return [
        *items,
        rng.normal(size=30),
        item,
        index,
        before,
        y,
        np.where(linked > 0, np.roll(y, 1), 0.0),
        linked,
    ]


def by_rows_reading(
    intercept: Any, slope: Any, rho: Any, noise: Any, df: Any, flat: Any, *rows: Any
) -> float:  # fmt: skip
    item, index, before, y, y_before, linked = rows
    out = 0.0
    for r, k in enumerate(item):
        error = y[r] - intercept[k] - slope[k] * flat[index[r]]
        scale = noise[k]
        if linked[r]:
            error -= rho[k] * (y_before[r] - intercept[k] - slope[k] * flat[before[r]])
        else:
            scale = noise[k] / np.sqrt(1 - rho[k] ** 2)
        out += stats.t.logpdf(error, df[k], scale=scale) - stats.t.logpdf(0.0, df[k])
    return out


def count_inputs() -> list[np.ndarray]:
    """Two items; the second has memory, a trend, and a mean far above and below its dispersion."""
    rng = np.random.default_rng(5)
    item = np.repeat([0, 1], 12).astype(np.int32)
    index = rng.integers(0, 9, 24).astype(np.int32)
    before = rng.integers(0, 9, 24).astype(np.int32)
    items = [np.array(pair) for pair in ((0.4, 1.2), (0.6, 0.9), (0.8, 15.0))]
    return [
        *items,
        np.array([0.3]),
        np.array([0.7]),
        rng.normal(size=9),
        item,
        index,
        before,
        rng.poisson(4.0, 24).astype(float),
        rng.normal(size=24),
        rng.normal(size=24) * item,
        rng.normal(size=24),
        np.where(np.arange(24) % 3, item, 0).astype(float),
    ]


def by_rows_count(
    intercept: Any, loading: Any, size: Any, memory: Any, drift: Any, flat: Any, *rows: Any
) -> float:  # fmt: skip
    item, index, before, y, log_exposure, trend, log_rate_before, linked = rows
    expected = intercept[item] + loading[item] * flat[index] + drift[0] * trend
    surprise = log_rate_before - intercept[item] - loading[item] * flat[before]
    mean = np.exp(expected + memory[0] * linked * surprise + log_exposure)
    r = size[item]
    gammas = special.gammaln(y + r) - special.gammaln(r) - special.gammaln(y + 1.0)
    return float((stats.nbinom.logpmf(y, r, r / (r + mean)) - gammas).sum())


def share_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(6)
    items = [np.array(pair) for pair in ((-1.0, 0.5), (0.7, 1.4), (4.0, 14.0))]
    item = rng.integers(0, 2, 30).astype(np.int32)
    index = rng.integers(0, 8, 30).astype(np.int32)
    sign, step = rng.choice([-1.0, 1.0], 30), rng.integers(0, 5, 30).astype(float)
    return [*items, rng.normal(size=8), item, index, sign, step]


def by_rows_share(intercept: Any, loading: Any, concentration: Any, flat: Any, *rows: Any) -> float:
    item, index, sign, step = rows
    p = special.expit(sign * (intercept[item] + loading[item] * flat[index]))
    return float(np.log(concentration[item] * p + step).sum())


def ladder_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    items = [np.array(pair) for pair in ((-0.4, -1.5), (-2.0, -2.2), (0.5, 1.3))]
    item = rng.integers(0, 2, 40).astype(np.int32)
    index = rng.integers(0, 8, 40).astype(np.int32)
    return [*items, rng.normal(size=8), item, index, rng.integers(0, 3, 40).astype(np.int32)]


def by_rows_ladder(first: Any, second: Any, slope: Any, flat: Any, *rows: Any) -> float:
    item, index, level = rows
    some, force = (special.expit(cut[item] + slope[item] * flat[index]) for cut in (first, second))
    chance = np.select([level == 0, level == 1], [1.0 - some, some - force], force)
    return float(np.log(chance + 1e-12).sum())


def gamma_inputs() -> list[np.ndarray]:
    """Sizes and counts on both sides of where the series begins."""
    item = np.array([0, 0, 0, 1, 1, 2, 2], np.int32)
    y = np.array([0.0, 3.0, 1828.0, 1.0, 9.0, 0.0, 40.0])
    return [np.array([0.02, 1.3, 25.0]), item, y, np.array([3.0, 1.0, 1.0, 12.0, 2.0, 5.0, 1.0])]


def by_rows_gamma(size: Any, item: Any, y: Any, weight: Any) -> float:
    return float((weight * (special.gammaln(y + size[item]) - special.gammaln(size[item]))).sum())


def total_inputs() -> list[np.ndarray]:
    item = np.array([0, 0, 1, 1, 1], np.int32)
    return [np.array([3.0, 11.0]), item, np.arange(5.0), np.array([2.0, 1.0, 4.0, 0.0, 3.0])]


def by_rows_total(concentration: Any, item: Any, step: Any, weight: Any) -> float:
    return float(-(weight * np.log(concentration[item] + step)).sum())


def hurdle_inputs() -> list[np.ndarray]:
    rng = np.random.default_rng(9)
    item, index = rng.integers(0, 3, 25).astype(np.int32), rng.integers(0, 8, 25).astype(np.int32)
    z = rng.integers(0, 2, 25).astype(float)
    return [np.array([-0.4, 2.0, -30.0]), np.asarray(0.6), rng.normal(size=8), item, index, z]


def by_rows_hurdle(intercept: Any, loading: Any, flat: Any, item: Any, index: Any, z: Any) -> float:
    return float(stats.bernoulli.logpmf(z, special.expit(intercept[item] + loading * flat[index])).sum())


def stock_inputs() -> list[np.ndarray]:
    """Narrow and wide intervals, open ones, and one far from the stock."""
    rng = np.random.default_rng(10)
    path, miss = rng.normal(size=(2, 6)), 0.1 * rng.normal(size=(2, 6))
    low = np.array([-1.0, -50.0, 0.3, -800.0, 6.0, 2.0, -7.0])
    high = np.array([1.0, 0.3, 50.0, 800.0, 7.0, 2.0001, -6.5])
    stock, month = np.array([0, 1, 1, 0, 0, 1, 0], np.int32), np.array([0, 5, 2, 3, 1, 1, 4], np.int32)
    source = np.array([0, 1, 2, 2, 1, 0, 0], np.int32)
    return [path, miss, np.array([0.0, 0.3, -0.2]), np.asarray(0.25), stock, month, source, low, high]


def by_rows_stock(path: Any, miss: Any, body: Any, noise: Any, *rows: Any) -> float:
    stock, month, source, low, high = rows
    reported = (path + miss)[stock, month] + body[source]
    low, high = (low - reported) / noise, (high - reported) / noise
    # The upper tail by symmetry, where the distribution function itself is 1 to the last digit.
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    return float(np.log(stats.logistic.cdf(high) - stats.logistic.cdf(low)).sum())


DENSITIES = {
    "reading": (reading_density, reading_inputs, by_rows_reading),
    "count": (count_density, count_inputs, by_rows_count),
    "gamma": (gamma_density, gamma_inputs, by_rows_gamma),
    "total": (total_density, total_inputs, by_rows_total),
    "hurdle": (hurdle_density, hurdle_inputs, by_rows_hurdle),
    "stock": (stock_density, stock_inputs, by_rows_stock),
    "share": (share_density, share_inputs, by_rows_share),
    "ladder": (ladder_density, ladder_inputs, by_rows_ladder),
}


@pytest.mark.parametrize("mode", modes())
@pytest.mark.parametrize("kind", DENSITIES)
def test_density_is_that_of_the_rows_and_its_gradient_the_finite_difference(kind: str, mode: Mode) -> None:
    density, inputs, direct = DENSITIES[kind]
    values, free = inputs(), list(density.by)
    symbols = [pt.as_tensor_variable(value).type() for value in values]
    value = density(*symbols)[0]
    gradients = pytensor.gradient.grad(3.0 * value, [symbols[k] for k in free])
    found = pytensor.function(symbols, [value, *gradients], mode=mode, on_unused_input="ignore")(*values)
    assert_allclose(found[0], direct(*values), rtol=1e-10)
    step = 1e-6
    for gradient, k in zip(found[1:], free, strict=True):
        for place in np.ndindex(values[k].shape):
            pair = []
            for sign in (1.0, -1.0):
                bumped = [v.copy() for v in values]
                bumped[k][place] += sign * step
                pair.append(direct(*bumped))
            assert_allclose(gradient[place], 3.0 * (pair[0] - pair[1]) / (2 * step), rtol=1e-5, atol=1e-6)


def test_far_out_a_density_is_not_finite_and_nothing_is_raised() -> None:
    """Raised inside the sampler an exception would be printed and its draw taken as one that went well."""
    hopeless = {"reading": 3, "count": 2, "gamma": 0, "share": 2}
    for kind, position in hopeless.items():
        density, inputs, _ = DENSITIES[kind]
        values = inputs()
        values[position] = np.zeros_like(values[position])
        if kind == "share":
            values[-1] = np.zeros_like(values[-1])
        symbols = [pt.as_tensor_variable(value).type() for value in values]
        outputs = density(*symbols)
        program = pytensor.function(symbols, outputs, mode=Mode(linker="numba"), on_unused_input="ignore")
        found = program(*values)
        assert not all(np.isfinite(part).all() for part in found), kind


@pytest.mark.parametrize("mode", modes())
def test_weighted_rows_are_the_product(mode: Mode) -> None:
    rng = np.random.default_rng(11)
    weight, x, pull = rng.normal(size=(3, 5)) * rng.integers(0, 2, (3, 5)), *rng.normal(size=(2, 5, 7))
    given = pt.dmatrix("x")
    product = weighted_rows(weight, given)
    program = pytensor.function(
        [given], [product, pytensor.grad((product * (weight @ pull)).sum(), given)], mode=mode
    )
    found = program(x)
    assert_allclose(found[0], weight @ x, rtol=1e-12)
    assert_allclose(found[1], weight.T @ (weight @ pull), rtol=1e-12)
