"""Exponential and logarithm against the mathematical library, in units of the last digit."""

from __future__ import annotations

import numba
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from escalation_forecast.vector_math import LIMIT, exp, log_one_plus


@numba.njit
def exps(x):  # type: ignore[no-untyped-def]
    out = np.empty(len(x))
    for k in range(len(x)):
        out[k] = exp(x[k])
    return out


@numba.njit
def logs(x):  # type: ignore[no-untyped-def]
    out = np.empty(len(x))
    for k in range(len(x)):
        out[k] = log_one_plus(x[k])
    return out


def digits(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(found - expected) / np.spacing(np.abs(expected))


def test_exponential_is_right_to_two_units_of_the_last_digit() -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(size=100_000) * 5, rng.uniform(-LIMIT, LIMIT, 100_000), [0.0, -0.0, 1.0]])
    assert digits(exps(x), np.exp(x)).max() <= 2.0
    assert exps(np.zeros(1))[0] == 1.0


def test_exponential_beyond_its_limits_is_that_of_a_limit() -> None:
    ends = exps(np.array([-np.inf, -1e4, 1e4, np.inf]))
    assert ends.tolist() == exps(np.array([-LIMIT, -LIMIT, LIMIT, LIMIT])).tolist()
    assert ends[0] < 1e-300
    assert ends[3] > 1e300


def test_logarithm_is_right_to_four_units_of_the_last_digit_of_one_plus() -> None:
    u = np.concatenate([np.random.default_rng(2).uniform(0.0, 1.0, 100_000), [0.0, 1.0, np.sqrt(2.0) - 1.0]])
    assert np.abs(logs(u) - np.log(1.0 + u)).max() <= 4.5e-16
    assert logs(np.zeros(1))[0] == 0.0


@given(st.floats(-745.0, 709.0))
def test_exponential_never_fails(x: float) -> None:
    (found,) = exps(np.array([x]))
    assert np.isfinite(found)
    assert found > 0.0
