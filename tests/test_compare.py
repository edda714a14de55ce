"""Skill, its bootstrap and the Diebold-Mariano test against small cases and an independent test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalation_forecast.schema import DataError
from escalation_forecast.score.compare import (
    diebold_mariano,
    shared_cases,
    skill,
    skill_table,
    stationary_bootstrap,
)

# CRPS summed over CHN, JPN, KOR and TWN by origin (2017, 2018, 2020, 2021, 2023, 2024, 2025): first print.
EWMA = {
    1: [3.8641, 4.5778, 7.3430, 4.4497, 15.2903, 18.5184, 6.7654],
    2: [4.8891, 5.8942, 5.6205, 12.6766, 18.9355, 8.0601],
    3: [5.9866, 7.7209, 12.8566, 17.3667, 16.3174],
}
MIX4 = {
    1: [4.0859, 4.5203, 7.4831, 4.7586, 16.2737, 16.5644, 10.4654],
    2: [4.6245, 5.9448, 5.7292, 11.8946, 19.6969, 11.8244],
    3: [5.9668, 7.9414, 12.2977, 18.1634, 17.5970],
}
# Protocol figures: skill, its 90 % interval, p.
PUBLISHED = {
    1: (0.05211, -0.01998, 0.15498, 0.48184),
    2: (0.06093, -0.02529, 0.15611, 0.54405),
    3: (0.02773, -0.00283, 0.05288, 0.32459),
}


def protocol_cases() -> pd.DataFrame:
    rows = [
        {"origin": str(2017 + k), "horizon": h, "state": "core", "model": model, "crps": value}
        for model, table in (("ewma", EWMA), ("mix4", MIX4))
        for h, values in table.items()
        for k, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_skill_table_gives_the_protocol_figures() -> None:
    table = skill_table(protocol_cases(), reference="mix4").set_index("horizon")
    for horizon, (value, low, high, p) in PUBLISHED.items():
        row = table.loc[horizon]
        assert row["skill"] == pytest.approx(value, abs=1e-5)
        # both are quantiles of 4,000 replicates
        assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.007)
        assert row["p"] == pytest.approx(p, abs=0.001)
    assert table["n_origins"].to_list() == [7, 6, 5]
    assert table["origins_better"].to_list() == [5, 4, 3]


def test_diebold_mariano_one_step_ahead_is_a_t_test() -> None:
    from scipy.stats import ttest_1samp

    d = np.random.default_rng(1).normal(0.3, 1.0, 15)
    expected = ttest_1samp(d, 0.0)
    statistic, p = diebold_mariano(d, 1)
    assert (statistic, p) == pytest.approx((expected.statistic, expected.pvalue))


def test_diebold_mariano_two_steps_ahead_by_hand() -> None:
    # mean 2; centred -1 1 -1 1: variance 1, and -1 at lag 1 over its 3 pairs; 1 + 2 (-1) is not positive
    assert np.isnan(diebold_mariano(np.array([1.0, 3.0, 1.0, 3.0]), 2)).all()
    # mean 2.5; centred -1.5 -.5 .5 1.5: variance 1.25, lag 1 (.75 - .25 + .75) / 3
    d = np.array([1.0, 2.0, 3.0, 4.0])
    variance = (1.25 + 2 * 1.25 / 3) / 4
    factor = (4 + 1 - 4 + 2 * 1 / 4) / 4
    assert diebold_mariano(d, 2)[0] == pytest.approx(2.5 / np.sqrt(variance) * np.sqrt(factor))


@pytest.mark.parametrize("difference", [[1.0], [], [0.1] * 6, [0.0] * 6])
def test_diebold_mariano_says_nothing_without_variance(difference: list[float]) -> None:
    assert np.isnan(diebold_mariano(np.array(difference), 1)).all()


@given(n=st.integers(1, 25), block=st.floats(1, 6), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_bootstrap_resamples_origins_that_exist(n: int, block: float, seed: int) -> None:
    at = stationary_bootstrap(n, block, 50, np.random.default_rng(seed))
    assert at.shape == (50, n)
    assert at.min() >= 0
    assert at.max() < n


@pytest.mark.parametrize("block", [1.0, 2.0, 3.0])
def test_bootstrap_blocks_have_their_mean_length_and_wrap_around(block: float) -> None:
    n = 20
    at = stationary_bootstrap(n, block, 4000, np.random.default_rng(7))
    follows = (at[:, 1:] - at[:, :-1]) % n == 1
    # a fresh start is the next origin by chance once in n
    assert follows.mean() == pytest.approx(1 - 1 / block + 1 / (block * n), abs=0.01)
    assert np.bincount(at.ravel()) / at.size == pytest.approx(1 / n, abs=0.005)
    assert ((at[:, :-1] == n - 1) & (at[:, 1:] == 0)).any()


def test_bootstrap_depends_on_the_seed_alone() -> None:
    one, again, other = (stationary_bootstrap(9, 2, 30, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_bootstrap_refuses_no_origins() -> None:
    with pytest.raises(DataError, match="at least one origin"):
        stationary_bootstrap(0, 2, 10, np.random.default_rng(1))


def test_interval_covers_the_true_skill_of_a_better_model() -> None:
    rng = np.random.default_rng(3)
    base = rng.gamma(4.0, 1.0, size=40)
    cases = pd.concat(
        pd.DataFrame({"origin": range(40), "horizon": 1, "state": "A", "model": m, "crps": s})
        for m, s in (("old", base), ("new", base * 0.8 + rng.normal(0, 0.1, 40)))
    )
    row = skill_table(cases, reference="old").iloc[0]
    assert row["low"] < 0.2 < row["high"]
    assert row["low"] > 0.1
    assert row["p"] < 1e-6


def test_skill_is_on_shared_cases_alone() -> None:
    cases = protocol_cases()
    extra = cases[(cases["model"] == "ewma") & (cases["horizon"] == 1)].head(1)
    extra = extra.assign(origin="2030", crps=1e6)
    table = skill_table(pd.concat([cases, extra]), reference="mix4")
    pd.testing.assert_frame_equal(table, skill_table(cases, reference="mix4"))


def test_models_that_share_no_horizon_are_left_out() -> None:
    cases = protocol_cases()
    cases = cases[(cases["model"] == "mix4") | (cases["horizon"] == 2)]
    assert skill_table(cases, reference="mix4")["horizon"].to_list() == [2]


def test_skill_by_hand() -> None:
    assert skill(np.array([1.0, 2.0]), np.array([2.0, 4.0])) == pytest.approx(0.5)
    assert np.isnan(skill(np.array([1.0]), np.array([0.0])))


def test_unknown_models_and_cases_scored_twice_are_named() -> None:
    cases = protocol_cases()
    with pytest.raises(DataError, match=r"`mix5` \(did you mean `mix4`\?\)"):
        shared_cases(cases, ["origin", "horizon"], "crps", ["mix5"])
    with pytest.raises(DataError, match=r"scored twice .*origin 2017, horizon 1"):
        shared_cases(pd.concat([cases, cases]), ["origin", "horizon"], "crps")
    empty = cases.assign(crps=np.where(cases["model"] == "mix4", np.nan, 1.0))
    with pytest.raises(DataError, match="share no case"):
        shared_cases(empty, ["origin", "horizon"], "crps")
