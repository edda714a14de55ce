"""Forecast paths: shapes, seeds, history as observed, and limits with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit

from escalation_forecast import forecast, realised
from escalation_forecast.draws import Draws, student_t
from escalation_forecast.fit import diagnose
from escalation_forecast.forecast import extend_latents, reference_scale, simulate
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.model import SPILLOVERS, build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.questions import evaluate, load_questions
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import Store
from prior_fit import draw_posterior, repeated, with_values

HORIZON = 36
NOW = pd.Timestamp("2026-06-01")
GRID_END = pd.Timestamp("2026-12-01")


@pytest.fixture(scope="module")
def paths(panel: Panel, posterior: xr.Dataset, priors: Priors) -> xr.Dataset:
    return simulate(panel, posterior, priors, HORIZON, seed=1)


def ahead(paths: xr.Dataset) -> xr.Dataset:
    return paths.sel(month=slice(pd.Timestamp(paths.attrs["first_forecast_month"]), None))


# --- shape, seed, history


@pytest.mark.parametrize("horizon", [1, 36, 120])
def test_paths_are_finite_and_reach_the_horizon(
    panel: Panel, posterior: xr.Dataset, priors: Priors, horizon: int
) -> None:
    paths = simulate(panel, posterior, priors, horizon, seed=1)
    last = NOW + pd.DateOffset(months=horizon)
    assert paths.indexes["month"].equals(pd.date_range("1990-01-01", last, freq="MS"))
    expected = {"as_of": "2026-06-15", "horizon": horizon, "first_forecast_month": "2026-07"}
    assert paths.attrs == expected | {"spending_weight": 1.0}
    future = ahead(paths)
    for name in ("risk", "global_risk", "ladder", "indicator_level", "dprk_troops"):
        assert future[name].shape[:2] == (2, 12)
        assert future[name].sizes["month"] == horizon
        assert np.isfinite(future[name]).all(), name
    assert set(np.unique(future["ladder"])) <= {0.0, 3.0, 4.0}
    last_year = {1: 2025, 36: 2028, 120: 2035}[horizon]
    assert paths["year"].values.tolist() == list(range(2009, last_year + 1))
    assert paths["growth_print"].dims == ("chain", "draw", "state", "year", "age")
    open_years = paths["year"] > 2025
    core = paths["growth_print"].isel(year=open_years).sel(state=["CHN", "JPN", "KOR", "TWN"])
    assert np.isfinite(core).all()
    assert np.isfinite(paths["growth_true"]).all()
    quarters = future["us_troops"].isel(month=future["month"].dt.month % 3 == 0)
    assert np.isfinite(quarters).all()
    assert np.isfinite(paths["transfers"].sel(transfer_year=slice(2026, None))).all()


def test_paths_are_a_function_of_the_seed(
    panel: Panel, posterior: xr.Dataset, priors: Priors, paths: xr.Dataset
) -> None:
    xr.testing.assert_identical(paths, simulate(panel, posterior, priors, HORIZON, seed=1))
    other = ahead(simulate(panel, posterior, priors, HORIZON, seed=2))
    for name in ("ladder", "indicator_level", "dprk_troops", "risk"):
        assert not other[name].equals(ahead(paths)[name]), name
    assert not other["growth_print"].equals(paths["growth_print"])


def test_history_is_the_data(paths: xr.Dataset, panel: Panel, known: Store) -> None:
    behind = paths.sel(month=slice(None, NOW))
    spread = behind["indicator_level"].max(("chain", "draw")) - behind["indicator_level"].min(
        ("chain", "draw")
    )
    one = behind["indicator_level"].isel(chain=0, draw=0)
    for name in paths["indicator"].values:
        rows = panel.history[panel.history["indicator"] == name].set_index("month")["value"]
        assert_allclose(one.sel(indicator=name, month=rows.index), rows, rtol=1e-6)
        assert (spread.sel(indicator=name, month=rows.index) == 0).all()
        before = one.sel(indicator=name, month=slice(None, rows.index[0] - pd.Timedelta(days=1)))
        assert np.isnan(before).all()
    ladder = known.latest("ladder", "taiwan")
    ladder = ladder[~ladder["quality"].str.contains("uncertain")].set_index("period_start")["value"]
    found = behind["ladder"].sel(theatre="taiwan", month=ladder.index)
    assert_array_equal(found, np.broadcast_to(ladder, found.shape))
    assert np.isnan(behind["ladder"].sel(month=slice(None, "1992-12-31"))).all()


def test_released_prints_are_those_of_the_first_edition_held(paths: xr.Dataset, known: Store) -> None:
    # The resolver of questions reads the editions by code of its own.
    happened = realised.paths_from_store(known, vintage="first")["growth_print"]
    years = list(range(2009, 2026))
    found = paths["growth_print"].sel(year=years)
    assert (found.max(("chain", "draw")) - found.min(("chain", "draw"))).fillna(0.0).max() == 0
    mine = found.isel(chain=0, draw=0).sel(age=slice(0, 5))
    theirs = happened.isel(chain=0, draw=0).sel(year=years, state=mine["state"].values, age=slice(0, 5))
    both = np.isfinite(theirs.values)
    assert both.sum() > 1000
    assert_allclose(mine.values[both], theirs.values[both], rtol=1e-5, atol=1e-4)
    assert np.isnan(mine.values[~both]).all()


def test_risk_is_the_latent_on_the_frozen_scale(paths: xr.Dataset, posterior: xr.Dataset) -> None:
    scale = reference_scale()
    eta = posterior["eta"].sel(latent="taiwan", month=slice(None, GRID_END))
    expected = (eta - scale.loc["taiwan", "mean"]) / scale.loc["taiwan", "sd"]
    found = paths["risk"].sel(theatre="taiwan", month=slice(None, GRID_END))
    assert_allclose(found.transpose(*expected.dims), expected, rtol=1e-5, atol=1e-5)


def test_reference_scale_lacking_a_theatre_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (forecast.data_root() / "reference_scale.csv").read_text().replace("taiwan,", "mars,")
    (tmp_path / "reference_scale.csv").write_text(text)
    monkeypatch.setattr(forecast, "data_root", lambda: tmp_path)
    with pytest.raises(DataError, match=r"reference_scale\.csv: every theatre"):
        reference_scale()


# --- the latent beyond the grid


def future_latents(
    panel: Panel, posterior: xr.Dataset, priors: Priors, months: int = 60, seed: int = 1
) -> xr.DataArray:
    """Latents after the grid, (draw, latent, month); month 0 is the first after it."""
    n = len(panel.months)
    eta = extend_latents(panel, Draws(posterior), priors, n + months, np.random.default_rng(seed))
    return xr.DataArray(eta[:, :, n:], dims=("draw", "latent", "month"), coords={"latent": list(LATENTS)})


def test_white_theatre_without_slow_level_has_unit_variance(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(repeated(posterior, 4000), phi=0.0, slow_step=0.0, global_share=0.0)
    found = future_latents(panel, fixed, priors, 24).sel(latent="korea")
    centre = float(posterior["next_level"].isel(chain=0, draw=0).sel(theatre="korea"))
    centre -= float(posterior["centre"].isel(chain=0, draw=0).sel(latent="korea"))
    assert_allclose(found.mean(), centre, atol=0.02)
    assert_allclose(found.var("draw").mean(), 1.0, atol=0.05)


def test_persistent_theatre_forgets_at_the_rate_of_its_phi(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        repeated(posterior, 6000), phi=0.9, slow_step=0.0, global_share=0.0, centre=0.0, next_level=0.0,
        last_path=2.0,
    )  # fmt: skip
    found = future_latents(panel, fixed, priors, 24).sel(latent="korea")
    steps = np.arange(1, 25)
    assert_allclose(found.mean("draw"), 2.0 * 0.9**steps, atol=0.06)
    assert_allclose(found.var("draw"), 1.0 - 0.9 ** (2 * steps), atol=0.12)


def test_slow_level_walks_from_knot_to_knot(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(
        repeated(posterior, 4000), theatre_scale=0.0, slow_step=0.3, centre=0.0, next_level=1.5
    )
    found = future_latents(panel, fixed, priors, 48).sel(latent="taiwan")
    assert_allclose(found.isel(month=0), 1.5)
    for years in (1, 2, 3):
        assert_allclose(found.isel(month=12 * years).mean("draw"), 1.5, atol=0.03)
        assert_allclose(found.isel(month=12 * years).var("draw"), years * 0.3**2, rtol=0.08)
    # Linear between: half a year on, half the step.
    assert_allclose(found.isel(month=6), (found.isel(month=0) + found.isel(month=12)) / 2)


def test_global_factor_moves_all_theatres_alike(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(
        repeated(posterior, 50), global_share=1.0, slow_step=0.0, centre=0.0, next_level=0.0,
        theatre_scale=1.0,
    )  # fmt: skip
    found = future_latents(panel, fixed, priors, 12)
    for theatre in THEATRES:
        assert_allclose(found.sel(latent=theatre), found.sel(latent="global"))


def test_paths_join_the_grid_without_a_break(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    # With phi of 1 nothing moves any more, and spillover adds a part of the source's own level.
    fixed = with_values(
        posterior, phi=1.0, phi_global=1.0, slow_step=0.0, spillover=0.5, last_path=0.7, next_level=0.2,
        global_share=0.25, theatre_scale=1.0, centre=0.1,
    )  # fmt: skip
    found = future_latents(panel, fixed, priors, 24).isel(draw=3)
    own = np.sqrt(0.25) * 0.7 + np.sqrt(0.75) * 0.7 + 0.2
    expected = dict.fromkeys(THEATRES, own)
    for target, source in SPILLOVERS:
        expected[target] = own + 0.5 * expected[source]
    for theatre, level in expected.items():
        # The first months still look back at the made-up draws on the grid.
        assert_allclose(found.sel(latent=theatre).isel(month=slice(3, None)), level - 0.1, err_msg=theatre)
    korea = float(posterior["eta"].stack(d=("chain", "draw")).sel(latent="ukraine_nato").isel(month=-1, d=3))
    assert_allclose(found.sel(latent="korea").isel(month=0), own + 0.5 * (korea + 0.1) - 0.1, rtol=1e-6)


# --- indicators, ladder and stocks given the latent


def constant_risk(posterior: xr.Dataset, draws: int, level: float = 0.4) -> xr.Dataset:
    """One draw many times, with a latent that has stood still and goes on so."""
    return with_values(
        repeated(posterior, draws), eta=level, phi=1.0, phi_global=1.0, slow_step=0.0, spillover=0.0,
        last_path=0.0, next_level=level, centre=0.0,
    )  # fmt: skip


def test_noiseless_news_is_its_equation(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(
        constant_risk(posterior, 2), news_noise=0.0, news_persistence=0.0, news_intercept=0.3,
        news_loading=0.8,
    )  # fmt: skip
    found = ahead(simulate(panel, fixed, priors, 24, seed=1))["indicator_level"]
    item = panel.items["reading"].loc["news_korea"]
    level = np.exp((0.3 + 0.8 * 0.4) * item["sd"] + item["mean"]) - 0.01
    assert_allclose(found.sel(indicator="news_korea"), level, rtol=1e-5)
    assert_allclose(found.sel(indicator="news_ukraine_nato"), _standard(panel, 0.3 + 0.8 * 0.4), rtol=1e-4)


def _standard(panel: Panel, y: float) -> float:
    item = panel.items["reading"].loc["news_ukraine_nato"]
    return float(y * item["sd"] + item["mean"])


def test_news_returns_to_its_mean_at_the_rate_of_its_memory(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(constant_risk(posterior, 2), news_noise=0.0, news_persistence=1.0, news_intercept=0.0)
    found = simulate(panel, fixed, priors, 12, seed=1)["indicator_level"].isel(chain=0, draw=0)
    item = panel.items["reading"].loc["news_korea"]
    last = panel.last_period["news_korea"]
    scaled = (
        np.log(found.sel(indicator="news_korea", month=slice(last, None)) + 0.01) - item["mean"]
    ) / item["sd"]
    slope = float(fixed["news_loading"].sel(loaded_news="news_korea")[0, 0])
    error = scaled - slope * 0.4
    assert_allclose(error[1:], 0.5 ** np.arange(1, len(error)) * float(error[0]), rtol=1e-4, atol=1e-6)


def test_counts_ahead_have_the_mean_of_their_equation(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        constant_risk(posterior, 3000), count_dispersion=1e6, count_trend=0.0, count_memory=0.0,
        count_intercept=0.2, count_loading=0.5,
    )  # fmt: skip
    found = ahead(simulate(panel, fixed, priors, 8, seed=1))["indicator_level"]
    for name, exposure in (("vetoes", 1.0), ("pla_vessels", 31.0)):
        mean = exposure * np.exp(0.2 + panel.items["count"].loc[name, "log_mean"] + 0.5 * 0.4)
        values = found.sel(indicator=name)
        assert_allclose(values.mean(), mean, atol=4.0 * np.sqrt(mean / values.size))
        # Without overdispersion a Poisson count has a variance equal to its mean.
        assert_allclose(values.var(), mean, rtol=0.06)


def test_overdispersed_counts_have_the_variance_of_the_negative_binomial(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        constant_risk(posterior, 4000), count_dispersion=2.0, count_trend=0.0, count_memory=0.0,
        count_intercept=0.0, count_loading=0.0,
    )  # fmt: skip
    values = ahead(simulate(panel, fixed, priors, 6, seed=1))["indicator_level"].sel(indicator="pla_vessels")
    mean = 31.0 * np.exp(panel.items["count"].loc["pla_vessels", "log_mean"])
    assert_allclose(values.mean(), mean, rtol=0.03)
    assert_allclose(values.var(), mean + mean**2 / 2.0, rtol=0.1)


def test_trend_and_memory_reach_the_counts_that_have_them(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        constant_risk(posterior, 4000), count_dispersion=1e6, count_trend=1.0, count_memory=1.0,
        count_intercept=0.0, count_loading=0.0,
    )  # fmt: skip
    found = simulate(panel, fixed, priors, 3, seed=1)["indicator_level"]
    items = panel.items["count"]

    def mean_after_last(name: str) -> float:
        month = panel.last_period[name] + pd.DateOffset(months=1)
        return float(found.sel(indicator=name, month=month).mean())

    # Halfway back from the last rate per day to the mean rate, in logarithms.
    last = panel.last_period["pla_vessels"]
    value = float(found.sel(indicator="pla_vessels", month=last)[0, 0])
    rate = np.log((value + 0.5) / panel.exposures["pla_vessels"][last])
    expected = 31.0 * np.exp(0.5 * items.loc["pla_vessels", "log_mean"] + 0.5 * rate)
    assert_allclose(mean_after_last("pla_vessels"), expected, rtol=0.01)
    # Mid-month of the next month, in decades from 2005.
    after = panel.last_period["launches_prk"] + pd.DateOffset(months=1)
    decades = (after.year + (after.month - 0.5) / 12 - 2005) / 10
    expected = np.exp(items.loc["launches_prk", "log_mean"] + decades)
    assert_allclose(mean_after_last("launches_prk"), expected, rtol=0.05)
    # Neither trend nor memory.
    assert_allclose(mean_after_last("vetoes"), np.exp(items.loc["vetoes", "log_mean"]), rtol=0.15)


def test_shares_ahead_are_binomial_at_high_concentration(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        constant_risk(posterior, 3000), share_concentration=1e7, share_intercept=-0.5, share_loading=1.0
    )
    values = ahead(simulate(panel, fixed, priors, 6, seed=1))["indicator_level"].sel(
        indicator="sanctions_rus"
    )
    trials = float(panel.exposures["sanctions_rus"].iloc[-36:].max())
    p = expit(-0.5 + 0.4)
    assert_allclose(values.mean(), trials * p, rtol=0.02)
    assert_allclose(values.var(), trials * p * (1 - p), rtol=0.06)


def test_ladder_ahead_has_the_rates_of_its_equation(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(constant_risk(posterior, 3000), ladder_any=0.3, ladder_force=0.4, ladder_slope=0.5)
    future = ahead(simulate(panel, fixed, priors, 6, seed=1))["ladder"]

    def shifted(p: float) -> float:
        return float(expit(np.log(p / (1 - p)) + 0.5 * 0.4))

    for theatre in THEATRES:
        level = future.sel(theatre=theatre)
        assert_allclose((level >= 3).mean(), shifted(0.3), atol=0.015)
        assert_allclose((level >= 4).mean(), shifted(0.12), atol=0.015)


def test_ladder_ahead_meets_the_pooled_chance_of_force(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    targets = {"korea": {3: 0.15, 12: 0.4}, "taiwan": {3: 0.5, 12: 0.8}}
    paths = simulate(panel, repeated(posterior, 2000), priors, 12, seed=3, targets=targets)
    future = paths["ladder"].sel(month=slice(paths.attrs["first_forecast_month"], None)) >= 4
    for theatre, wanted in targets.items():
        for months, target in wanted.items():
            reached = future.sel(theatre=theatre).isel(month=slice(0, months)).any("month").mean()
            assert float(reached) == pytest.approx(target, abs=0.04), (theatre, months)


def test_stock_without_steps_grows_at_its_drift(panel: Panel, posterior: xr.Dataset, priors: Priors) -> None:
    fixed = with_values(
        constant_risk(posterior, 2), stock_step=0.0, stock_drift=0.02, log_stock=9.3, stock_threat=0.0
    )
    troops = simulate(panel, fixed, priors, 36, seed=1)["dprk_troops"].isel(chain=0, draw=0)
    assert_allclose(troops.sel(month=slice(None, "2024-09-30")), 0.0)
    assert_allclose(troops.sel(month=slice("2024-10-01", GRID_END)), np.exp(9.3), rtol=1e-5)
    later = troops.sel(month=slice("2027-01-01", None))
    assert_allclose(later, np.exp(9.3 + 0.02 * np.arange(1, len(later) + 1)), rtol=1e-5)


def test_a_threat_above_that_of_the_first_month_pushes_the_stock(
    panel: Panel, posterior: xr.Dataset, priors: Priors
) -> None:
    fixed = with_values(
        constant_risk(posterior, 2), stock_step=0.0, stock_drift=0.0, log_stock=9.0, stock_threat=0.1,
        next_level=1.0,
    )  # fmt: skip
    # The theatre stands at 0.4 on the grid and at 1.0 after it.
    troops = simulate(panel, fixed, priors, 36, seed=1)["dprk_troops"].isel(chain=0, draw=0)
    later = troops.sel(month=slice("2027-01-01", None))
    assert_allclose(np.diff(np.log(later)), 0.1 * (1.0 - 0.4), rtol=1e-3)
    assert_allclose(later[0], np.exp(9.0), rtol=1e-5)


def test_a_stale_indicator_is_not_forecast(paths: xr.Dataset) -> None:
    names = set(paths["indicator"].values)
    assert "pla_aircraft_adiz" not in names
    assert {"pla_aircraft_all", "news_world", "sanctions_rus", "launches_prk"} <= names


def test_coverage_that_falls_at_the_edge_comes_back(panel: Panel) -> None:
    from escalation_forecast.indicator_paths import future_exposure

    months = pd.date_range("1990-01-01", "2028-12-01", freq="MS")
    short = panel.exposures["pla_vessels"].copy()
    short.iloc[-1] = 9.0
    edge = replace(panel, exposures={**panel.exposures, "pla_vessels": short})
    position = list(panel.items["count"].index).index("pla_vessels")
    found = pd.Series(future_exposure(edge, "count", position, months), index=months)
    assert found[short.index[-1]] == 9.0
    assert (found[short.index[-1] + pd.DateOffset(months=1) :] == 31.0).all()


# --- other dates


@pytest.fixture(scope="module")
def fit_at(whole_store: Store, priors: Priors) -> Callable[[str], tuple[Store, Panel, xr.Dataset]]:
    def build(date: str) -> tuple[Store, Panel, xr.Dataset]:
        store = whole_store.as_of(date)
        panel = build_panel(store, pd.Timestamp(date))
        return store, panel, draw_posterior(build_model(panel, priors), chains=2, draws=6, seed=2)

    return build


def test_before_the_troop_reports_questions_still_have_answers(
    fit_at: Callable[[str], tuple[Store, Panel, xr.Dataset]], priors: Priors
) -> None:
    store, panel, posterior = fit_at("2024-05-31")
    paths = simulate(panel, posterior, priors, 36, seed=1)
    assert "dprk_troops" not in paths
    answers = evaluate(load_questions(), paths, store)
    assert len({answer.item.question.id for answer in answers}) > 8
    with_number = [a.probability for a in answers if a.probability is not None]
    assert len(with_number) > 20
    assert all(0 <= p <= 1 for p in with_number)


def test_an_early_date_runs_to_the_end(
    fit_at: Callable[[str], tuple[Store, Panel, xr.Dataset]], priors: Priors
) -> None:
    _, panel, posterior = fit_at("2012-06-30")
    paths = simulate(panel, posterior, priors, 36, seed=1)
    assert paths["year"].values.tolist() == [*range(2009, 2015)]
    # 2011 is the last printed year, from the one release that serves as every vintage.
    printed = paths["growth_print"].sel(year=2011)
    assert float((printed.max(("chain", "draw")) - printed.min(("chain", "draw"))).max()) == 0
    assert float(paths["growth_print"].sel(year=2012, age=0).std(("chain", "draw")).min()) > 0
    assert np.isfinite(ahead(paths)["risk"]).all()
    # The stocks have no month yet: nothing to gate, nothing to fail on.
    flags = {name: (("chain", "draw"), np.zeros((2, 6))) for name in ("diverging", "energy")}
    found = diagnose(posterior, xr.Dataset(flags), paths)
    assert found.r_hat_max is not None
    assert "log_stock" not in " ".join(found.reasons)


def test_a_horizon_that_ends_before_any_delivery_is_kept_has_none(
    fit_at: Callable[[str], tuple[Store, Panel, xr.Dataset]], priors: Priors
) -> None:
    _, panel, posterior = fit_at("2002-06-30")
    paths = simulate(panel, posterior, priors, 12, seed=1)
    assert paths.sizes["transfer_year"] == 0
    assert "joined" not in paths
    assert np.isfinite(ahead(paths)["risk"]).all()


def test_numbers_of_unit_variance_have_it() -> None:
    values = student_t(np.random.default_rng(1), 5.0, (200_000,), unit_variance=True)
    assert_allclose(values.var(), 1.0, atol=0.05)
    plain = student_t(np.random.default_rng(1), 5.0, (200_000,))
    assert_allclose(plain.var(), 5.0 / 3.0, rtol=0.05)
