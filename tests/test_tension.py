"""Press tension at past months: methods of the protocol, analogues, the pool, the task; no later figure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score import tension_task as task_module
from escalation_forecast.score.cells import Cell
from escalation_forecast.score.ladder_backtest import panel_at
from escalation_forecast.score.ladder_task import Source
from escalation_forecast.score.tension_analogs import analogues, quantile_average, robust_slope
from escalation_forecast.score.tension_baselines import (
    BASELINES,
    REFERENCE,
    har_local,
    least_squares,
    smoothed,
    trailing_mean,
)
from escalation_forecast.score.tension_cases import (
    HORIZONS,
    SERIES,
    Predictive,
    Tension,
    known_tension,
    mixture,
    origins,
    read_tension,
)
from escalation_forecast.score.tension_joint import (
    REPEATS,
    as_revised,
    by_series,
    press_paths,
    without_stocks,
)
from escalation_forecast.score.tension_pool import PRIOR_ORIGINS, crps_matrix, earned_weights, simplex_weights
from escalation_forecast.score.tension_report import by_series as skill_by_series
from escalation_forecast.score.tension_report import report, tension_skill
from escalation_forecast.score.tension_task import MODELS, POOLED, SIMPLE, Setting, TensionTask, pool_weights
from escalation_forecast.store import Store
from prior_fit import draw_posterior, with_values

ORIGIN = pd.Timestamp("2009-05-01")
# Mean CRPS of the six series over all origins, 1, 3, 6 and 12 months ahead, as the protocol has them.
PROTOCOL = {
    "har": (0.23389, 0.27908, 0.30918, 0.36203),
    "har_world": (0.23425, 0.27976, 0.31002, 0.36531),
    "har_local": (0.23299, 0.27641, 0.30399, 0.34799),
    "ar1_direct": (0.25680, 0.31514, 0.35157, 0.39274),
    "rw": (0.26332, 0.32496, 0.35899, 0.38972),
    "ses04": (0.23831, 0.28504, 0.31400, 0.35310),
    "ses02": (0.24638, 0.27887, 0.30428, 0.34741),
    "last12": (0.27236, 0.29728, 0.32376, 0.37919),
    "last60": (0.35676, 0.36866, 0.38624, 0.41933),
    "clim": (0.52397, 0.53029, 0.53874, 0.55217),
}
# Their mixtures were drawn with 1,000 draws of each part; ours have no error of that kind.
MIXTURES = {
    "mix_har_harlocal_ses": (0.23271, 0.27561, 0.30058, 0.34179),
    "mix_har_ses_last12": (0.23569, 0.27400, 0.30004, 0.34329),
}


@pytest.fixture(scope="module")
def tension(whole_store: Store) -> Tension:
    return read_tension(whole_store)


# --- predictive distributions


weights_and_points = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 1.0)), min_size=2, max_size=12)


@given(points=weights_and_points, outcome=st.floats(-6, 6))
def test_crps_is_that_of_the_double_sum(points: list[tuple[float, float]], outcome: float) -> None:
    x, w = np.array(points).T
    w = w / w.sum()
    by_sum = (w * np.abs(x - outcome)).sum() - 0.5 * (w[:, None] * w * np.abs(x[:, None] - x)).sum()
    found = Predictive(x[None], w[None]).crps(np.array([outcome]))
    assert_allclose(found, [by_sum], atol=1e-12)


def test_crps_of_equal_draws_is_that_of_scoringrules() -> None:
    scoringrules = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(1)
    draws, outcome = rng.normal(size=(4, 50)), rng.normal(size=4)
    expected = scoringrules.crps_ensemble(outcome, draws, estimator="qd")
    assert_allclose(Predictive.equal(draws).crps(outcome), expected, rtol=1e-10)


def test_quantiles_and_pit_by_hand() -> None:
    p = Predictive(np.array([[3.0, 1.0, 2.0]]), np.array([[0.2, 0.5, 0.3]]))
    assert_array_equal(p.quantiles([0.1, 0.5, 0.6, 0.8, 0.81, 1.0])[0], [1, 1, 2, 2, 3, 3])
    assert_allclose(p.pit(np.array([2.0])), [0.65])
    assert_allclose(p.pit(np.array([9.0])), [1.0])


def test_mixture_is_the_weighted_mean_of_distribution_functions() -> None:
    parts = [Predictive.equal(np.array([[0.0, 1.0]])), Predictive.equal(np.array([[0.5, 4.0, 5.0]]))]
    pooled = mixture(parts, [0.25, 0.75])
    for at in (0.2, 0.7, 4.5):
        expected = 0.25 * (parts[0].values < at).mean() + 0.75 * (parts[1].values < at).mean()
        assert_allclose(pooled.pit(np.array([at])), [expected])


# --- methods


def test_scores_of_the_protocol(tension: Tension) -> None:
    """Every method over all origins, at one horizon each to be quick."""
    horizons = dict(zip(PROTOCOL, (1, 3, 6, 12, 1, 3, 6, 12, 1, 3), strict=True))
    for name, horizon in {**horizons, **dict.fromkeys(MIXTURES, 12)}.items():
        scores = []
        for origin in origins(tension.months):
            known = tension.until(origin)
            target = len(known.months) - 1 + horizon
            if target < len(tension.months):
                scores.append(BASELINES[name](known, horizon).crps(tension.z[:-1, target]))
        expected = {**PROTOCOL, **MIXTURES}[name][HORIZONS.index(horizon)]
        tolerance = 6e-4 if name in MIXTURES else 2e-5
        assert_allclose(np.mean(scores), expected, atol=tolerance, err_msg=name)


def test_regression_agrees_with_least_squares_of_numpy(tension: Tension) -> None:
    known, h = tension.until(ORIGIN), 3
    z = known.z[1]
    first = int(np.flatnonzero(known.months == pd.Timestamp("1986-01-01"))[0])
    rows = [[1.0, z[t], z[t - 2 : t + 1].mean(), z[t - 11 : t + 1].mean()] for t in range(first, len(z))]
    x, y = np.array(rows), z[first + h :]
    slope, *_ = np.linalg.lstsq(x[: len(y)], y, rcond=None)
    residuals = (y - x[: len(y)] @ slope) * np.sqrt(len(y) / (len(y) - 4))
    found = BASELINES["har"](known, h)
    assert_allclose(np.sort(found.values[1]), np.sort(x[-1] @ slope + residuals), atol=1e-8)


def test_a_series_that_never_moved_is_forecast_to_stay() -> None:
    months = pd.date_range("1985-01-01", periods=60, freq="MS")
    still = Tension(months, ("AAA", "BBB", "WLD"), np.full((3, 60), 1.5))
    for name, method in SIMPLE.items():
        found = method(still, 3)
        assert_allclose(found.values, 1.5, atol=1e-5, err_msg=name)


def test_smoothing_and_means_by_hand() -> None:
    z = np.array([[0.0, 1.0, 1.0]])
    assert_allclose(smoothed(z, 0.5), [[0.0, 0.5, 0.75]])
    assert_allclose(trailing_mean(z, 2), [[np.nan, 0.5, 1.0]])
    point, residuals = least_squares(np.array([[[1.0], [2.0]]]), np.array([[2.0, 4.0]]), np.array([[3.0]]))
    assert_allclose(point, [6.0])
    assert_allclose(residuals, 0.0, atol=1e-12)


@pytest.mark.parametrize("name", [*SIMPLE])
def test_a_method_shifts_with_the_level(tension: Tension, name: str) -> None:
    """Adding a constant to all logarithms moves a forecast by as much, whatever the method."""
    known = tension.until(ORIGIN)
    up = dataclasses.replace(known, z=known.z + 2.0)
    for p, q in zip(SIMPLE[name](known, 3).quantiles([0.1, 0.5, 0.9]),
                    SIMPLE[name](up, 3).quantiles([0.1, 0.5, 0.9]), strict=True):  # fmt: skip
        assert_allclose(q, p + 2.0, atol=1e-6)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 100), horizon=st.sampled_from(HORIZONS))
def test_later_months_change_no_forecast(seed: int, horizon: int) -> None:
    rng = np.random.default_rng(seed)
    months = pd.date_range("1985-01-01", "2012-12-01", freq="MS")
    whole = Tension(months, ("AAA", "BBB", "WLD"), rng.normal(size=(3, len(months))).cumsum(axis=1) * 0.1)
    changed = whole.z.copy()
    changed[:, months > ORIGIN] += rng.normal(size=changed[:, months > ORIGIN].shape)
    other = dataclasses.replace(whole, z=changed)
    for name, method in SIMPLE.items():
        one, two = method(whole.until(ORIGIN), horizon), method(other.until(ORIGIN), horizon)
        assert_array_equal(one.values, two.values, err_msg=name)
        assert_array_equal(one.weights, two.weights, err_msg=name)


def test_analogues_favour_months_that_looked_alike(tension: Tension) -> None:
    known = tension.until(ORIGIN)
    narrow = analogues(lambda z: [z], width=0.2, own=1.0)(known, 1)
    wide = analogues(lambda z: [z], width=50.0, own=1.0)(known, 1)
    assert_allclose(narrow.weights.sum(axis=1), 1.0)
    concentration = (narrow.weights**2).sum(axis=1) / (wide.weights**2).sum(axis=1)
    assert (concentration > 2).all()
    assert_allclose(wide.weights, wide.weights[0, 0], rtol=0.05)


def test_robust_slope_disregards_a_wild_pair() -> None:
    x = np.linspace(-1, 1, 41)[:, None]
    y = 2.0 * x[:, 0] + 0.01 * np.sin(50 * x[:, 0])
    y[-1] += 100.0
    assert_allclose(robust_slope(x, y), [2.0], atol=0.05)


def test_quantile_average_of_shifted_copies_keeps_the_spread(tension: Tension) -> None:
    known = tension.until(ORIGIN)

    def shifted(by: float) -> object:
        return lambda k, h: dataclasses.replace(har_local(k, h), values=har_local(k, h).values + by)

    found = quantile_average(shifted(-1.0), shifted(1.0))(known, 3)
    own = har_local(known, 3)
    assert_allclose(found.quantiles([0.1, 0.5, 0.9]), own.quantiles([0.1, 0.5, 0.9]), atol=0.02)
    pooled = mixture([shifted(-1.0)(known, 3), shifted(1.0)(known, 3)])
    assert (np.ptp(pooled.quantiles([0.1, 0.9]), axis=1) > np.ptp(found.quantiles([0.1, 0.9]), axis=1)).all()


# --- pool


def test_matrix_gives_the_crps_of_every_pool() -> None:
    rng = np.random.default_rng(2)
    outcome = rng.normal(size=3)
    parts = [
        Predictive.equal(rng.normal(m, s, size=(3, n))) for m, s, n in ((0, 1, 9), (1, 2, 14), (-2, 0.5, 5))
    ]
    matrix = crps_matrix(parts, outcome)
    for w in (np.array([1.0, 0, 0]), np.array([0.2, 0.3, 0.5]), np.full(3, 1 / 3)):
        assert_allclose(np.einsum("skl,k,l->s", matrix, w, w), mixture(parts, w).crps(outcome), atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_other_weights_on_the_simplex_do_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(4, 3))
    form = root @ root.T + 0.1 * np.ones((4, 4))
    found = simplex_weights(form)
    assert found.min() >= 0
    assert_allclose(found.sum(), 1.0)
    others = rng.dirichlet(np.full(4, 0.5), size=500)
    assert found @ form @ found <= np.einsum("nk,kl,nl->n", others, form, others).min() + 1e-6


def test_weights_are_equal_at_first_and_then_earned() -> None:
    good_first = np.array([[[1.0, 0.0], [0.0, 100.0]]])
    assert_array_equal(earned_weights([good_first] * 10, 2), [0.5, 0.5])
    few, many = (earned_weights([good_first] * n, 2)[0] for n in (36, 360))
    assert 0.5 < few < many < 1.0
    ridge = PRIOR_ORIGINS / 360
    assert_allclose(many, (100.0 + ridge) / (101.0 + 2 * ridge), atol=1e-4)


def test_pool_weights_know_no_outcome_after_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Targets within the horizon before the origin count, none later."""
    used: list[pd.Timestamp] = []

    def matrices(setting: Setting, origin: pd.Timestamp) -> dict[int, np.ndarray]:
        used.append(origin)
        return {horizon: np.ones((1, len(POOLED), len(POOLED))) for horizon in HORIZONS}

    monkeypatch.setattr(task_module, "_past_matrices", matrices)
    pool_weights(Setting(), ORIGIN, 6)
    assert max(used) == ORIGIN - pd.DateOffset(months=6)


# --- what is known


def test_real_time_inputs_are_those_published(whole_store: Store) -> None:
    origin = pd.Timestamp("2025-06-01")
    late = whole_store.observations["published_at"] > origin + pd.Timedelta(days=61)
    values = whole_store.observations["value"].mask(late, 99.0)
    altered = dataclasses.replace(whole_store, observations=whole_store.observations.assign(value=values))
    own = known_tension(whole_store, origin, real_time=True)
    assert_array_equal(known_tension(altered, origin, real_time=True).z, own.z)
    revised = known_tension(whole_store, origin)
    assert revised.z.shape == own.z.shape
    assert 0 < np.abs(revised.z - own.z).max() < 0.5  # revised since, but not another series


def test_last_revised_figures_stand_on_their_first_day(whole_store: Store) -> None:
    revised = as_revised(whole_store)
    assert_array_equal(read_tension(revised).z, read_tension(whole_store).z)
    early = read_tension(revised.as_of("2025-07-10"))
    assert early.months[-1] == pd.Timestamp("2025-06-01")
    assert_array_equal(early.z, read_tension(whole_store).until(early.months[-1]).z)


def test_the_joint_model_reads_each_series_once(whole_store: Store) -> None:
    own = by_series(whole_store)
    press = own.indicators[own.indicators["series"] == "gpr_country"]
    assert sorted(press["units"]) == sorted(SERIES)
    assert len(own.indicators) == len(whole_store.indicators) - 3 + len(SERIES)
    with pytest.raises(DataError, match="did you mean `FIN`"):
        by_series(whole_store, ["FIM"])


@pytest.fixture(scope="module")
def joint_panel(whole_store: Store) -> Panel:
    return panel_at(by_series(without_stocks(whole_store)), ORIGIN)


@pytest.fixture(scope="module")
def joint_draws(joint_panel: Panel, priors: Priors) -> xr.Dataset:
    return draw_posterior(build_model(joint_panel, priors), chains=2, draws=6, seed=5)


def test_without_errors_the_press_reads_the_latent(
    joint_panel: Panel, joint_draws: xr.Dataset, priors: Priors
) -> None:
    quiet = with_values(joint_draws, news_noise=1e-12, news_persistence=0.0)
    found = press_paths(joint_panel, quiet, priors, SERIES, seed=1)
    assert found.values.shape == (len(SERIES), len(HORIZONS), 12 * REPEATS)
    item = joint_panel.items["reading"].loc["news_ukr"]
    month = joint_panel.months[joint_panel.now + 6]
    eta = quiet["eta"].sel(latent="ukraine_nato", month=month).to_numpy().ravel()
    slope = quiet["news_loading"].sel(loaded_news="news_ukr").to_numpy().ravel()
    base = quiet["news_intercept"].sel(news="news_ukr").to_numpy().ravel()
    expected = (base + slope * eta) * item["sd"] + item["mean"]
    at = found.at(6).values[SERIES.index("UKR")].reshape(12, REPEATS)
    assert_allclose(at, np.repeat(expected[:, None], REPEATS, axis=1), atol=1e-8)


def test_an_error_that_lasts_starts_from_the_newest_figure(
    joint_panel: Panel, joint_draws: xr.Dataset, priors: Priors, tension: Tension
) -> None:
    """With a flat latent the gap to the mean halves each month, as far as persistence may go."""
    still = {"news_noise": 1e-12, "news_persistence": 1.0, "news_intercept": 0.0}
    flat = with_values(joint_draws, **still, eta=1e-12 * joint_draws["eta"])
    found = press_paths(joint_panel, flat, priors, SERIES, seed=1)
    item = joint_panel.items["reading"].loc["news_kor"]
    newest = tension.value("KOR", ORIGIN)
    for horizon in HORIZONS:
        expected = item["mean"] + 0.5**horizon * (newest - item["mean"])
        assert_allclose(found.at(horizon).values[SERIES.index("KOR")], expected, atol=1e-8)


@pytest.mark.slow
def test_joint_model_forecasts_a_month() -> None:
    task = TensionTask.of(models=["joint"], at="2009-05")
    result = task.run(task.cells()[0], seed=1)
    assert len(result.cases) == len(SERIES) * len(HORIZONS)
    assert result.cases["crps"].mean() < 0.6
    assert result.diagnostics["r_hat"] < 1.1


def test_missing_series_and_months_are_named(whole_store: Store, tension: Tension) -> None:
    with pytest.raises(DataError, match=r"KOA.*did you mean `KOR`"):
        read_tension(whole_store, ["KOA"])
    with pytest.raises(DataError, match="1984-12 is not in the data"):
        tension.until(pd.Timestamp("1984-12-01"))


# --- task and report


def test_cell_of_a_month_has_its_cases_and_quantiles() -> None:
    task = TensionTask.of(models=["pool", "har", REFERENCE], at="2007-03")
    assert [cell.model for cell in task.cells()] == ["pool", "har", REFERENCE]
    result = task.run(task.cells()[0], seed=1)
    assert len(result.cases) == len(SERIES) * len(HORIZONS)
    assert result.cases["crps"].gt(0).all()
    assert result.draws is not None
    assert (result.draws["quantile"].diff("level") >= 0).all()
    assert_array_equal(result.draws["weight"], np.full((1, len(HORIZONS), len(POOLED)), 0.5))


def test_targets_beyond_the_data_have_no_case(whole_store: Store, tension: Tension) -> None:
    task = TensionTask.of(models=["har"], at="2025-12")
    cases = task.run(task.cells()[0], seed=1).cases
    assert sorted(cases["horizon"].unique()) == [1, 3]
    assert cases["outcome"].notna().all()


def test_any_state_of_the_data_can_be_forecast() -> None:
    task = TensionTask.of(models=["har_local"], at="2015-06", series=["POL", "KOR"])
    cases = task.run(task.cells()[0], seed=1).cases
    assert list(cases["series"].unique()) == ["POL", "KOR"]


def test_orders_that_make_no_sense_are_refused() -> None:
    with pytest.raises(DataError, match="did you mean `har_local`"):
        TensionTask.of(models=["har_locl"])
    for at in ("1999", "2009-13", "yesterday", "40"):
        with pytest.raises(DataError, match=r"origin"):
            TensionTask.of(at=at)
    assert len(TensionTask.of().cells()) == 21 * len(MODELS)
    assert [c.origin for c in TensionTask.of(models=["har"], at="3").cells()] == ["2005", "2015", "2025"]
    assert TensionTask.of().sampled(Cell("tension", "joint", "2005"))


def test_figures_published_later_are_not_used_with_a_vintages_file(
    tmp_path: Path, whole_store: Store
) -> None:
    """A revision of 2009 that came out in 2015 changes forecasts from 2015 on and none before."""
    rows = whole_store.latest("gpr_country", "KOR")
    row = rows[rows["period_start"] == ORIGIN].assign(
        value=30.0, release="2015-09-15", published_at=pd.Timestamp("2015-09-15")
    )
    path = tmp_path / "revised.csv"
    row.to_csv(path, index=False)
    medians = {}
    for vintages in (None, path):
        task = TensionTask.of(
            models=["har"], at="2009-05,2015-10", real_time=True, source=Source(vintages=vintages)
        )
        for cell in task.cells():
            cases = task.run(cell, seed=1).cases
            medians[vintages, cell.origin] = cases[cases["series"] == "KOR"]["median"].to_numpy()
    assert TensionTask.of(at="2009-05", source=Source(vintages=path)).setting.real_time
    assert_array_equal(medians[None, "2009-05"], medians[path, "2009-05"])
    assert (medians[None, "2015-10"] != medians[path, "2015-10"]).any()


def made_up_cases() -> pd.DataFrame:
    rows = [
        {"origin": f"{year}-{month:02d}", "horizon": h, "series": s, "model": model,
         "crps": crps * (1 + (s == "B")), "abs_error": crps, "inside": 1.0}
        for year in range(2005, 2025) for month in (1, 7) for h in (1, 3) for s in "AB"
        for model, crps in (("own", 0.9 if year < 2018 else 1.1), (REFERENCE, 1.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_report_of_known_skill() -> None:
    cases = made_up_cases()
    table = report(cases).set_index(["model", "horizon"])
    share = 13 / 20
    expected = 1.0 - (0.9 * share + 1.1 * (1.0 - share))
    assert_allclose(table.loc[("own", 3), "skill"], expected)
    assert_allclose(table.loc[("own", 3), "skill_later"], -0.1)
    assert table.loc[("own", 3), "low"] < expected < table.loc[("own", 3), "high"]
    assert_allclose(skill_by_series(cases, "own").to_numpy(), expected)
    later = cases[cases["origin"] < "2018"]
    found = tension_skill(later[later["horizon"] == 1], "own")
    assert_allclose([found["low"], found["high"]], 0.1)
    with pytest.raises(DataError, match="No case"):
        report(cases.iloc[:0])
