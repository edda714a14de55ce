"""Cases of the ladder and the simple methods: the protocol's own numbers, and no look ahead."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score import ladder_baselines as lb
from escalation_forecast.score import ladder_cases as lc
from escalation_forecast.sources import ladder as source
from escalation_forecast.store import Store

ORIGIN = pd.Timestamp("2010-11-01")


@pytest.fixture(scope="module")
def ladder(whole_store: Store) -> lc.Ladder:
    return lc.read_ladder(whole_store)


@pytest.fixture(scope="module")
def truth(ladder: lc.Ladder) -> pd.DataFrame:
    return lc.outcomes(ladder)


@pytest.fixture(scope="module")
def bars(ladder: lc.Ladder) -> pd.DataFrame:
    pytest.importorskip("sklearn", reason="the extra `backtest`")
    return lb.baseline_probabilities(ladder)


@pytest.fixture(scope="module")
def scores(bars: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    return lc.score_table(bars, truth).set_index(["method", "horizon"])


def at(ladder: lc.Ladder, origin: pd.Timestamp, horizon: int = 6) -> dict[str, np.ndarray]:
    """All methods at one origin, the logit fitted there."""
    known = ladder.until(origin)
    return lb.simple_methods(known, horizon, lb.lagged_logit(known, horizon))


def changed(ladder: lc.Ladder, month: pd.Timestamp, level: float, theatre: int = 0) -> lc.Ladder:
    """The ladder with another level in one month, and many incidents."""
    levels, incidents = ladder.level.copy(), ladder.incidents.copy()
    levels[theatre, ladder.months.get_loc(month)] = level
    incidents[theatre, ladder.months.get_loc(month)] = 40
    return dataclasses.replace(ladder, level=levels, incidents=incidents)


# --- cases


def test_cases_and_events_are_the_protocols(truth: pd.DataFrame) -> None:
    counts = truth.groupby("horizon")["y"].agg(["size", "sum"])
    assert counts["size"].to_dict() == {1: 720, 3: 710, 6: 695, 12: 665}
    assert counts["sum"].to_dict() == {1: 31, 3: 80, 6: 134, 12: 197}


def test_incidents_of_the_theatres_are_the_protocols(ladder: lc.Ladder) -> None:
    assert dict(zip(THEATRES, ladder.incidents.sum(axis=1), strict=True)) == {
        "korea": 241, "taiwan": 88, "east_china_sea": 155, "south_china_sea": 73, "ukraine_nato": 138,
    }  # fmt: skip


def test_an_incident_of_three_states_counts_once_in_its_first_month() -> None:
    rows = [
        (1, 11, "RUS", "2014-02-27", 1, 4), (1, 11, "UKR", "2014-03-01", 0, 1),
        (1, 11, "POL", "2014-03-01", 0, 2),
        (1, 12, "RUS", "2014-03-05", 1, 3), (1, 12, "UKR", "2014-03-05", 0, 3),
        (2, 21, "RUS", "2014-03-05", 1, 3), (2, 21, "UKR", "2014-03-05", 1, 3),
    ]  # fmt: skip
    names = ["dispnum", "incidnum", "iso3", "start_date", "incident_side_a", "hostlev"]
    found = source.mid_incidents(pd.DataFrame(rows, columns=names))
    assert found.to_dict("records") == [
        {"theatre": "ukraine_nato", "month": "2014-02", "incidents": 1},
        {"theatre": "ukraine_nato", "month": "2014-03", "incidents": 1},
    ]


def test_outcome_begins_after_the_origin_month(ladder: lc.Ladder) -> None:
    quiet = dataclasses.replace(ladder, level=np.zeros_like(ladder.level))
    one = lc.windows(changed(quiet, pd.Timestamp("2005-06-01"), 4.0), 3)[0]
    months = [str(month)[:7] for month in ladder.months[np.nan_to_num(one) == 1]]
    assert months == ["2005-03", "2005-04", "2005-05"]


def test_a_window_with_an_unknown_month_has_no_outcome(ladder: lc.Ladder) -> None:
    level = ladder.level.copy()
    hole = int(ladder.months.get_loc(pd.Timestamp("2005-06-01")))
    level[0, hole] = np.nan
    found = lc.windows(dataclasses.replace(ladder, level=level), 3)[0]
    assert np.isnan(found[hole - 3 : hole]).all()
    assert np.isfinite(found[[hole - 4, hole]]).all()


def test_uncertain_and_half_coded_months_are_unknown(whole_store: Store) -> None:
    ladder = lc.read_ladder(whole_store, pd.Timestamp("2026-09-01"))
    rows = whole_store.latest("ladder").set_index(["unit", "period_start"])
    uncertain = rows.index[rows["quality"].str.contains("uncertain")]
    assert len(uncertain) > 10
    for theatre, month in uncertain:
        assert np.isnan(ladder.level[THEATRES.index(theatre), ladder.months.get_loc(month)])
    assert rows.loc[("korea", pd.Timestamp("2026-08-01")), "period_end"] == pd.Timestamp("2026-08-22")
    assert np.isnan(ladder.level[:, -2:]).all()


# --- scores


@pytest.mark.parametrize("digits", [0, 1, 8])
def test_auc_is_scikit_learns(digits: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="the extra `backtest`")
    rng = np.random.default_rng(4)
    theatre = rng.choice(["a", "b", "c"], 300)
    p = np.round(rng.random(300), digits)
    y = (rng.random(300) < 0.2 + 0.4 * p).astype(float) * (theatre != "c")
    assert lc.auc(p, y) == pytest.approx(metrics.roc_auc_score(y, p))
    own = {k: metrics.roc_auc_score(y[theatre == k], p[theatre == k]) for k in "ab"}
    pairs = {k: y[theatre == k].sum() * (1 - y[theatre == k]).sum() for k in "ab"}
    expected = sum(own[k] * pairs[k] for k in "ab") / sum(pairs.values())
    assert lc.auc_within_theatre(p, y, theatre) == pytest.approx(expected)


def test_log_score_is_of_what_happened_and_clipped() -> None:
    found = lc.log_score(np.array([0.2, 0.2, 0.0, 1.0]), np.array([1.0, 0.0, 1.0, 1.0]))
    assert_allclose(found, -np.log([0.2, 0.8, 0.001, 0.999]))


def test_brier_skill_is_one_less_the_ratio_and_its_interval_covers_it(
    bars: pd.DataFrame, truth: pd.DataFrame, scores: pd.DataFrame
) -> None:
    found = lc.brier_skill(bars, truth, "mix", "clim_theatre").set_index("horizon")
    ratio = scores.loc["mix", "brier"] / scores.loc["clim_theatre", "brier"]
    assert_allclose(found["skill"], 1.0 - ratio.loc[found.index])
    assert (found["low"] < found["skill"]).all()
    assert (found["skill"] < found["high"]).all()
    # The protocol's interval, from other random numbers.
    assert_allclose(found.loc[12, ["low", "high"]].astype(float), [0.0307, 0.20249], atol=0.015)


# --- methods against the protocol


PINNED = [
    ("east_china_sea", "2002-12", 1, 0.0041, 0.0010, 0.0108, 0.0053),
    ("east_china_sea", "2010-11", 12, 0.1304, 0.3929, 0.2235, 0.2489),
    ("ukraine_nato", "2008-05", 12, 0.5351, 0.2469, 0.7326, 0.5049),
    ("ukraine_nato", "2013-07", 1, 0.0544, 0.0677, 0.0855, 0.0692),
    ("korea", "2002-12", 12, 0.6983, 0.8501, 0.6355, 0.7280),
    ("korea", "2010-11", 1, 0.0856, 0.1529, 0.0765, 0.1050),
    ("south_china_sea", "2013-07", 12, 0.5844, 0.8928, 0.5175, 0.6649),
]


@pytest.mark.parametrize("row", PINNED, ids=[f"{row[0]} {row[1]} {row[2]}" for row in PINNED])
def test_probabilities_are_the_protocols(bars: pd.DataFrame, row: tuple[str, str, int, float]) -> None:
    theatre, month, horizon, *expected = row
    case = bars[
        (bars["theatre"] == theatre) & (bars["horizon"] == horizon) & (bars["origin"] == f"{month}-01")
    ]
    found = case.set_index("method")["p"].loc[["clim_theatre", "decay12", "logit_lags", "mix"]]
    assert_allclose(found, expected, atol=5.1e-5)


BARS = {
    "brier": ("mix", (0.03996, 0.09335, 0.14427, 0.21043)),
    "log_score": ("logit_lags", (0.16333, 0.31911, 0.45690, 0.62329)),
    "auc": ("logit_lags", (0.61775, 0.62875, 0.60482, 0.54782)),
}
OTHERS = {
    ("clim_pooled", 12): (0.23545, 0.66394, 0.35466),
    ("clim_theatre", 3): (0.09945, 0.34920, 0.33784),
    ("decay12", 6): (0.14779, 0.48856, 0.50579),
    ("decay36", 12): (0.21842, 0.63354, 0.37494),
    ("markov12", 12): (0.23384, 0.74173, 0.30709),
}


def test_bars_are_the_protocols(scores: pd.DataFrame) -> None:
    for score, (method, expected) in BARS.items():
        assert_allclose(scores.loc[method, score].loc[list(lc.HORIZONS)], expected, atol=6e-6)


def test_the_other_methods_score_as_in_the_protocol(scores: pd.DataFrame) -> None:
    for case, expected in OTHERS.items():
        assert_allclose(scores.loc[case, ["brier", "log_score", "auc"]].astype(float), expected, atol=6e-6)


def test_own_logit_is_scikit_learns_minimum(ladder: lc.Ladder) -> None:
    linear = pytest.importorskip("sklearn.linear_model", reason="the extra `backtest`")
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 4))
    y = (rng.random(400) < 1.0 / (1.0 + np.exp(2.0 - x[:, 0]))).astype(float)
    weights, intercept = lb.penalised_logit(x, y, 0.3)
    exact = linear.LogisticRegression(C=0.3, tol=1e-10, max_iter=5000).fit(x, y)
    assert_allclose(weights, exact.coef_[0], atol=1e-5)
    assert intercept == pytest.approx(exact.intercept_[0], abs=1e-5)


# --- no look ahead, and unknown months


@pytest.mark.parametrize("months_later", [1, 5, 40])
def test_months_after_the_origin_change_nothing(ladder: lc.Ladder, months_later: int) -> None:
    later = changed(ladder, ORIGIN + pd.DateOffset(months=months_later), 5.0)
    before, after = at(ladder, ORIGIN), at(later, ORIGIN)
    for method, p in before.items():
        assert_array_equal(p, after[method], err_msg=method)


def test_the_origin_month_itself_counts(ladder: lc.Ladder) -> None:
    before, after = at(ladder, ORIGIN), at(changed(ladder, ORIGIN, 0.0), ORIGIN)
    for method, p in before.items():
        if method != "markov12":  # Korea had force in other months of that year
            assert p[0] != after[method][0], method
        if method in ("clim_theatre", "clim_pooled", "decay12", "decay36"):
            assert p[0] > after[method][0], method


def test_yearly_fit_of_the_logit_is_in_december(ladder: lc.Ladder) -> None:
    """In the summer the fit of last December holds: what came since enters the lags alone."""
    short = {"horizons": (1,), "last": pd.Timestamp("2004-12-01"), "solver": lb.penalised_logit}
    probabilities = lb.baseline_probabilities(ladder, **short)
    summer = probabilities[
        (probabilities["origin"] == "2004-07-01") & (probabilities["method"] == "logit_lags")
    ]
    logit = lb.lagged_logit(ladder.until(pd.Timestamp("2003-12-01")), 1)
    assert_allclose(summer["p"], logit.predict(lb.lags(ladder.until(pd.Timestamp("2004-07-01")))[:, -1]))


def test_unknown_months_are_neither_quiet_nor_violent(ladder: lc.Ladder) -> None:
    """Rates over known months do not move when unknown ones follow; quiet ones would lower them."""
    known = ladder.until(ORIGIN)
    later = ORIGIN + pd.DateOffset(months=24)
    unknown = known.until(later)
    quiet = dataclasses.replace(
        unknown, level=np.nan_to_num(unknown.level), incidents=np.nan_to_num(unknown.incidents)
    )
    logit = lb.lagged_logit(known, 6)
    now, missing, zeros = (lb.simple_methods(x, 6, logit) for x in (known, unknown, quiet))
    assert_allclose(missing["clim_theatre"], now["clim_theatre"])
    assert (zeros["clim_theatre"] < now["clim_theatre"]).all()
    # The decaying rate goes back to climatology, from above in Korea; two quiet years go below it.
    assert now["decay12"][0] > missing["decay12"][0] > missing["clim_theatre"][0] > zeros["decay12"][0]
    assert (missing["logit_lags"] > zeros["logit_lags"]).all()


def test_live_methods_see_what_was_known_and_no_more(whole_store: Store) -> None:
    as_of = pd.Timestamp("2025-06-20")
    found = lb.live_components(whole_store, as_of)
    assert list(found.columns) == ["theatre", "method", "horizon", "probability"]
    assert len(found) == len(THEATRES) * len(lb.LIVE) * len(lc.HORIZONS)
    assert found["probability"].between(*lc.CLIP).all()
    rows = whole_store.observations
    late = rows["published_at"] > as_of
    future = rows.assign(
        value=rows["value"].mask(late & rows["series"].isin(["ladder", "ladder_incidents"]), 5.0)
    )
    assert (future["value"] != rows["value"]).sum() > 50
    again = lb.live_components(dataclasses.replace(whole_store, observations=future), as_of)
    pd.testing.assert_frame_equal(found, again)
    wide = found.pivot(index=["theatre", "method"], columns="horizon", values="probability")
    assert (wide.loc[(slice(None), ["clim_theatre", "decay12"]), :].diff(axis=1).iloc[:, 1:] > 0).all(
        axis=None
    )


def test_bars_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.linear_model", None)
    with pytest.raises(DataError, match="extra `backtest`"):
        lb.scikit_logit(np.zeros((2, 1)), np.array([0.0, 1.0]), 0.3)
