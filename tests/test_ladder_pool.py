"""Weights of the pool, what they may know, and the history of the dyads as a component."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize

from escalation_forecast.history.dyads import dyad_years
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score import ladder_history as lh
from escalation_forecast.score import ladder_pool as lp
from escalation_forecast.score.ladder_cases import CLIP, outcomes, read_ladder
from escalation_forecast.score.ladder_report import common_cases, ladder_table
from escalation_forecast.store import Store

NAMES = ("good", "flat", "bad")


@pytest.fixture(scope="module")
def truth(whole_store: Store) -> pd.DataFrame:
    """The real outcomes at one and six months."""
    found = outcomes(read_ladder(whole_store))
    return found[found["horizon"].isin([1, 6])].reset_index(drop=True)


@pytest.fixture(scope="module")
def forecasts(truth: pd.DataFrame) -> pd.DataFrame:
    """One forecaster that knows a part of the outcome, one that says the same always, one that is wrong."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0.0, 0.3, len(truth))
    p = {"good": np.where(truth["y"] == 1, 0.6, 0.05) + noise, "flat": 0.2, "bad": 0.5 + noise}
    parts = [truth.drop(columns="y").assign(method=name, p=values) for name, values in p.items()]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


@pytest.fixture(scope="module")
def years(history: History) -> pd.DataFrame:
    return dyad_years(history)


# --- weights


def made_up(n: int = 600, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.9, (n, 3))
    return p, (rng.random(n) < p[:, 0]).astype(float)


def test_weights_are_where_the_penalised_log_score_is_highest() -> None:
    p, y = made_up(60)
    case = np.linspace(0.2, 1.0, len(y))
    weights = lp.pool_weights(p, y, case)

    def loss(free: np.ndarray) -> float:
        w = np.exp(free - np.logaddexp.reduce(free))
        given = np.where(y == 1, p @ w, 1.0 - p @ w)
        return float(-(case * np.log(given)).sum() - lp.PRIOR_CASES * np.log(w).sum())

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9}).x
    assert_allclose(weights, np.exp(best) / np.exp(best).sum(), atol=1e-4)


def test_the_forecaster_that_is_right_earns_the_weight() -> None:
    few, many = (lp.pool_weights(*made_up(n)) for n in (30, 6000))
    assert many[0] > 0.9
    assert 1.0 / 3.0 < few[0] < many[0]


def test_weights_are_equal_without_a_case() -> None:
    assert_allclose(lp.pool_weights(np.zeros((0, 4)), np.zeros(0)), 0.25)


def test_certainty_that_was_wrong_is_survived() -> None:
    weights = lp.pool_weights(np.array([[0.0, 0.4]] * 50), np.ones(50))
    assert np.isfinite(weights).all()
    assert weights[1] > 0.7


# --- the pool over time


def test_weights_lie_on_the_simplex_and_the_pool_between_its_parts(
    forecasts: pd.DataFrame, truth: pd.DataFrame
) -> None:
    pooled, weights = lp.prequential_pool(forecasts, truth, NAMES)
    assert len(pooled) == len(truth)
    assert (weights[list(NAMES)] >= 0).all(axis=None)
    assert_allclose(weights[list(NAMES)].sum(axis=1), 1.0)
    parts = forecasts.groupby(["theatre", "origin", "horizon"])["p"].agg(["min", "max"])
    both = pooled.set_index(["theatre", "origin", "horizon"])["p"].to_frame().join(parts)
    assert (both["p"] >= both["min"] - 1e-12).all()
    assert (both["p"] <= both["max"] + 1e-12).all()


def test_first_three_years_have_equal_weights_and_then_the_good_one_gains(
    forecasts: pd.DataFrame, truth: pd.DataFrame
) -> None:
    weights = lp.prequential_pool(forecasts, truth, NAMES)[1].set_index(["horizon", "origin"])
    early = weights.loc[6][:"2005-11-01"]
    assert len(early) == 36
    assert_allclose(early, 1.0 / 3.0)
    assert weights.loc[(6, "2005-12-01"), "good"] > weights.loc[(6, "2005-12-01"), "bad"]
    assert weights.loc[(1, "2014-11-01"), "good"] > weights.loc[(1, "2005-12-01"), "good"]


def test_outcomes_of_windows_still_open_change_nothing(forecasts: pd.DataFrame, truth: pd.DataFrame) -> None:
    origin = pd.Timestamp("2009-06-01")
    truth = truth[truth["horizon"] == 6].reset_index(drop=True)
    forecasts = forecasts[forecasts["horizon"] == 6]
    one = lp.prequential_pool(forecasts, truth, NAMES)[1]
    months = zip(truth["origin"], truth["horizon"], strict=True)
    end = pd.Series([start + pd.DateOffset(months=h) for start, h in months], index=truth.index)
    for rows, same in ((end > origin, True), (end == origin, False)):
        changed = truth.assign(y=truth["y"].mask(rows, 1.0 - truth["y"]))
        assert not changed.equals(truth)
        other = lp.prequential_pool(forecasts, changed, NAMES)[1]
        past = one["origin"] <= origin
        assert one[past].equals(other[past]) == same
        assert not one[~past].equals(other[~past])


# --- final weights as data


def test_final_weights_come_back_from_the_file(
    forecasts: pd.DataFrame, truth: pd.DataFrame, tmp_path: Path
) -> None:
    pool = lp.final_pool(forecasts, truth, NAMES, {"coding": "mid5", "brier_1": 0.04})
    again = lp.load_pool(lp.write_pool(pool, tmp_path / "pool.toml"))
    assert_allclose(again.weights, pool.weights, atol=1e-4)
    assert_allclose(again.weights.sum(axis=1), 1.0, atol=1e-12)
    assert again.provenance == pool.provenance
    assert again.provenance["first_origin"] == "2002-12"
    assert again.provenance["origins"] == 144


def test_pool_takes_the_weights_of_the_nearest_horizon(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text("[weights.1]\na = 1.0\nb = 0.0\n[weights.12]\na = 0.25\nb = 0.75\n")
    cases = pd.DataFrame(
        {"theatre": "korea", "origin": pd.Timestamp("2026-11-01"), "horizon": [1, 3, 12, 36]}
    )
    given = pd.concat([cases.assign(method="a", p=0.2), cases.assign(method="b", p=0.6)])
    found = lp.load_pool(path).apply(given).set_index("horizon")["p"]
    assert_allclose(found.loc[[1, 3, 12, 36]], [0.2, 0.2, 0.5, 0.5])
    with pytest.raises(DataError, match="forecasts of b"):
        lp.load_pool(path).apply(given[given["method"] == "a"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[weights.1]\na = 1.2\nb = -0.2\n", "1 months are negative"),
        ("[weights.1]\na = 0.5\nb = 0.4\n", "do not add to one"),
        ("[weights.1]\na = 1.0\n[weights.3]\nb = 1.0\n", "different components"),
        ("[weights.soon]\na = 1.0\n", "horizon soon"),
        ("[provenance]\norigins = 3\n", "has no weights"),
        ("[weights.1\n", "is not TOML"),
    ],
)
def test_a_bad_file_of_weights_is_refused_with_the_place(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "pool.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        lp.load_pool(path)
    with pytest.raises(DataError, match=r"no gone\.toml"):
        lp.load_pool(tmp_path / "gone.toml")


def test_live_pool_is_the_weighted_mean_of_its_components(tmp_path: Path) -> None:
    path = tmp_path / "pool.toml"
    path.write_text("[weights.6]\na = 0.25\nb = 0.75\n")
    live = pd.DataFrame(
        [("korea", "a", 6, 0.2), ("korea", "b", 6, 0.6), ("taiwan", "a", 6, 0.0), ("taiwan", "b", 6, 0.04)],
        columns=["theatre", "method", "horizon", "probability"],
    )
    found = lp.live_pool(live, lp.load_pool(path))
    assert dict(zip(found["theatre"], found["probability"], strict=True)) == pytest.approx(
        {"korea": 0.5, "taiwan": 0.03}
    )


# --- report


def test_gains_are_positive_where_a_method_beats_its_bar(
    forecasts: pd.DataFrame, truth: pd.DataFrame
) -> None:
    named = forecasts.replace({"method": {"flat": "mix", "bad": "logit_lags"}})
    table = ladder_table(named, truth).set_index(["method", "horizon"])
    good = table.loc["good"]
    assert (good[["brier_gain", "log_score_gain", "auc_gain"]] > 0).all(axis=None)
    assert_allclose(table.loc["mix", "brier_gain"], 0.0)
    assert_allclose(good["brier_gain"], table.loc["mix", "brier"] - good["brier"])
    assert_allclose(good["auc_gain"], good["auc"] - table.loc["logit_lags", "auc"])
    with pytest.raises(DataError, match="bars logit_lags, mix"):
        ladder_table(forecasts, truth)


def test_scores_compare_the_same_cases(forecasts: pd.DataFrame, truth: pd.DataFrame) -> None:
    some = (forecasts["method"] != "good") | (forecasts["origin"] < "2004-01-01")
    kept = common_cases(forecasts[some])
    assert kept["origin"].max() < pd.Timestamp("2004-01-01")
    assert kept.groupby("method").size().nunique() == 1


# --- history of the dyads


def test_hazard_of_a_year_knows_only_the_years_before(history: History, years: pd.DataFrame) -> None:
    dyads = history.theatre_dyads
    now = lh.theatre_hazards(years, dyads, 2008)
    later = years["force"].mask(years["year"] >= 2008, 1 - years["force"])
    assert_array_equal(now, lh.theatre_hazards(years.assign(force=later), dyads, 2008))
    earlier = years["force"].mask(years["year"] == 2007, 1 - years["force"])
    assert not np.allclose(now, lh.theatre_hazards(years.assign(force=earlier), dyads, 2008))


def test_memory_of_force_raises_the_hazard_of_its_theatre(history: History, years: pd.DataFrame) -> None:
    dyads = history.theatre_dyads
    pair = dyads.loc[dyads["dyad"] == "CHN-JPN", ["state_a", "state_b"]].iloc[0]
    here = (years["a"] == pair["state_a"]) & (years["b"] == pair["state_b"]) & (years["year"] == 2008)
    assert here.sum() == 1
    fresh = years.assign(
        recent_force=years["recent_force"].mask(here, 4), peace_force=years["peace_force"].mask(here, 0)
    )
    before, after = (lh.theatre_hazards(frame, dyads, 2008) for frame in (years, fresh))
    changed = dict(zip(THEATRES, after / before, strict=True))
    assert changed.pop("east_china_sea") > 2.0
    assert_allclose(list(changed.values()), 1.0)


def test_scale_turns_onsets_into_months_of_force(whole_store: Store) -> None:
    ladder = read_ladder(whole_store)
    hazards = {year: np.full(len(THEATRES), 0.5) for year in range(1993, 2016)}
    expected = 0.5 * len(THEATRES) * 22
    scale = lh._months_per_onset(ladder, hazards)
    assert scale == pytest.approx((65 + lh.PRIOR_EVENTS) / (expected + lh.PRIOR_EVENTS))
    chances = lh._chances(ladder, hazards, (1, 12))
    assert_allclose(chances[12], 1.0 - np.exp(-scale * 0.5))
    assert_allclose(1.0 - chances[12], (1.0 - chances[1]) ** 12)


def test_live_history_remembers_months_of_force_known_by_then(history: History, whole_store: Store) -> None:
    as_of = pd.Timestamp("2025-06-20")
    found = lh.live_history(history, whole_store, as_of, (12,)).set_index("theatre")["probability"]
    assert found.between(*CLIP).all()
    assert list(found.index) == list(THEATRES)
    clashes = history.clashes
    recent = (clashes["month"] >= "2015-01-01") & (clashes["published_at"] <= as_of)

    def without(rows: pd.Series) -> pd.Series:
        cut = dataclasses.replace(history, clashes=clashes[~rows])
        return lh.live_history(cut, whole_store, as_of, (12,)).set_index("theatre")["probability"]

    assert_array_equal(without(clashes["published_at"] > as_of), found)
    forgotten = without(recent & (clashes["theatre"] == "south_china_sea"))
    assert forgotten["south_china_sea"] < 0.8 * found["south_china_sea"]
