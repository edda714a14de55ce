"""Scores of draws and probabilities against small cases done by hand and independent formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from escalation_forecast.schema import DataError
from escalation_forecast.score import proper

DRAWS = hnp.arrays(float, st.integers(1, 30), elements=st.floats(-50, 50))
CHANCES = hnp.arrays(float, st.integers(1, 40), elements=st.integers(0, 10).map(lambda k: k / 10))


def test_crps_by_hand_counts_a_draw_with_itself() -> None:
    # mean |x - y| = 1; half the mean of 0, 2, 2, 0 is 1/2
    assert proper.crps(np.array([[0.0, 2.0]]), np.array([1.0])) == pytest.approx(0.5)


@given(draws=DRAWS, outcome=st.floats(-60, 60))
@settings(max_examples=50, deadline=None)
def test_crps_is_the_double_sum(draws: np.ndarray, outcome: float) -> None:
    expected = np.abs(draws - outcome).mean() - 0.5 * np.abs(draws[:, None] - draws).mean()
    assert proper.crps(draws[None], np.array([outcome]))[0] == pytest.approx(expected, abs=1e-9)


@given(draws=DRAWS, outcome=st.floats(-60, 60), threshold=st.floats(-20, 20))
@settings(max_examples=50, deadline=None)
def test_crps_above_and_below_a_threshold_add_up(draws: np.ndarray, outcome: float, threshold: float) -> None:
    y = np.array([outcome])
    above = proper.tail_crps(draws[None], y, threshold)
    below = proper.crps(np.minimum(draws, threshold)[None], np.minimum(y, threshold))
    assert above + below == pytest.approx(proper.crps(draws[None], y), abs=1e-9)


def test_tail_crps_by_hand() -> None:
    # above 5 the draws are 5 and 10, the outcome 6: (1 + 4) / 2 - (1/2) 5 / 2
    assert proper.tail_crps(np.array([[0.0, 10.0]]), np.array([6.0]), 5.0) == pytest.approx(1.25)
    assert proper.tail_crps(np.array([[0.0, 4.0]]), np.array([2.0]), 5.0) == pytest.approx(0.0)


def test_interval_score_and_coverage_by_hand() -> None:
    draws = np.tile(np.arange(101.0), (4, 1))
    outcome = np.array([90.0, 95.0, 50.0, 9.0])
    # the 80 % interval is 10 to 90; a miss costs 2 / 0.2 for each unit
    assert proper.interval_score(draws, outcome, 0.8) == pytest.approx([80.0, 130.0, 80.0, 90.0])
    assert proper.coverage(draws, outcome, 0.8).tolist() == [1.0, 0.0, 1.0, 0.0]
    with pytest.raises(DataError, match="between 0 and 1, not at 80"):
        proper.coverage(draws, outcome, 80)


def test_pit_counts_ties_half() -> None:
    assert proper.pit(np.array([[1.0, 2.0, 2.0, 3.0]]), np.array([2.0]))[0] == pytest.approx(0.5)
    assert proper.pit(np.array([[1.0, 2.0]]), np.array([9.0]))[0] == 1.0


def test_pit_of_a_perfect_forecast_is_uniform() -> None:
    rng = np.random.default_rng(1)
    values = proper.pit(rng.normal(size=(2000, 400)), rng.normal(size=2000))
    assert np.histogram(values, 10, (0, 1))[0] == pytest.approx(200, abs=60)


def test_log_score_of_draws_is_near_the_normal_density() -> None:
    draws = np.random.default_rng(2).normal(size=(3, 4000))
    outcome = np.array([0.0, 1.0, -1.5])
    exact = outcome**2 / 2 + 0.5 * np.log(2 * np.pi)
    assert proper.draws_log_score(draws, outcome) == pytest.approx(exact, abs=0.1)


def test_log_score_of_draws_is_finite_far_away_and_without_spread() -> None:
    draws = np.stack([np.random.default_rng(3).normal(size=50), np.ones(50), np.ones(50)])
    assert proper.draws_log_score(draws, np.array([1e6, 1.0, 1.5])).tolist() == [20.0, -20.0, 20.0]


def test_brier_and_clipped_log_score_by_hand() -> None:
    p, y = np.array([0.2, 0.0, 1.0]), np.array([1.0, 1.0, 1.0])
    assert proper.brier(p, y) == pytest.approx([0.64, 1.0, 0.0])
    assert proper.log_score(p, y) == pytest.approx(-np.log([0.2, 0.005, 0.995]))
    assert proper.log_score(p, 1 - y, (0.001, 0.999)) == pytest.approx(-np.log([0.8, 0.999, 0.001]))


def test_ranked_probability_score_by_hand() -> None:
    p = np.array([[0.1, 0.2, 0.3, 0.2, 0.2]])
    # cumulative .1 .3 .6 .8 1 against 0 0 1 1 1
    assert proper.ranked_probability_score(p, np.array([2])) == pytest.approx(0.01 + 0.09 + 0.16 + 0.04)
    assert proper.ranked_probability_score(np.eye(5)[[0]], np.array([4])) == pytest.approx(4.0)


def test_auc_within_groups_leaves_the_groups_apart() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(4)
    group = np.repeat(["a", "b", "c"], [30, 50, 10])
    y = np.where(group == "c", 0, rng.integers(0, 2, 90))
    # high chances in one group and low ones in another say nothing within
    p = rng.uniform(size=90) + (group == "b")
    own = {g: (y[group == g], p[group == g]) for g in "ab"}
    pairs = {g: float(v.sum() * (1 - v).sum()) for g, (v, _) in own.items()}
    expected = sum(pairs[g] * roc_auc_score(*own[g]) for g in "ab") / sum(pairs.values())
    assert proper.auc_within(p, y, group) == pytest.approx(expected)
    assert np.isnan(proper.auc_within(p[group == "c"], y[group == "c"], group[group == "c"]))


def test_corp_by_hand() -> None:
    curve, parts = proper.corp(np.array([0.1, 0.2, 0.3, 0.9]), np.array([0, 1, 0, 1]))
    # the second and third case fall, so they are pooled
    assert curve["recalibrated"].to_list() == pytest.approx([0.0, 0.5, 0.5, 1.0])
    assert parts["score"] == pytest.approx((0.01 + 0.64 + 0.09 + 0.01) / 4)
    assert parts["miscalibration"] == pytest.approx(parts["score"] - 0.125)
    assert parts["discrimination"] == pytest.approx(0.25 - 0.125)
    assert parts["uncertainty"] == pytest.approx(0.25)


@given(p=CHANCES, seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_corp_parts_add_up_and_are_not_negative(p: np.ndarray, seed: int) -> None:
    y = (np.random.default_rng(seed).random(len(p)) < p).astype(float)
    for score in (proper.brier, proper.log_score):
        curve, parts = proper.corp(p, y, score)
        total = parts["miscalibration"] - parts["discrimination"] + parts["uncertainty"]
        assert total == pytest.approx(parts["score"])
        assert curve["recalibrated"].is_monotonic_increasing
        assert curve["n"].sum() == len(p)
    brier_parts = proper.corp(p, y)[1]
    assert brier_parts["miscalibration"] >= -1e-12
    assert brier_parts["discrimination"] >= -1e-12


def test_corp_finds_a_forecast_that_exaggerates() -> None:
    rng = np.random.default_rng(5)
    p = rng.uniform(0.2, 0.8, 4000)
    y = (rng.random(4000) < p).astype(float)
    bold = np.clip(0.5 + 2.5 * (p - 0.5), 0, 1)
    assert proper.corp(bold, y)[1]["miscalibration"] > 5 * proper.corp(p, y)[1]["miscalibration"]


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [([0.5], [0.5], "outcomes are 0 or 1"), ([], [], "at least one"), ([1.5], [1], "between 0 and 1"),
     ([np.nan], [1], "between 0 and 1"), ([0.5], [1, 0], "1 probabilities for 2 outcomes")],
)  # fmt: skip
def test_corp_refuses_what_is_no_forecast(p: list[float], y: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        proper.corp(np.array(p), np.array(y))
