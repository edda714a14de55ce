"""Each block's log density against SciPy on the raw figures, and the latent against a plain loop.

The oracles go from the store's figures by calendar labels and know nothing of the panel's arrays.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import comb, expit, gammaln, logit

from by_hand import Point, risk_by_month, risk_by_year, t_logpdf
from escalation_forecast.history.stored import read_stored
from escalation_forecast.model import SPILLOVERS, build_model, unit_t
from escalation_forecast.panel import STOCKS, Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import Store
from escalation_forecast.war_chain import HISTORY, LOOSENED
from prior_fit import Evaluate, plain


def three_years_before(at: Point, panel: Panel, latent: str, year: int) -> float:
    yearly = risk_by_year(at, panel, latent)
    return float(yearly.loc[year - 3 : year - 1].mean())


def catalogue(known: Store, *families: str) -> pd.DataFrame:
    frame = known.indicators
    return frame[frame["family"].isin(families)].reset_index(drop=True)


def monthly_figures(known: Store, row: Any, combine: Any) -> pd.Series:
    """Newest figure by first day of the period, within the catalogue's window."""
    units = row.units.split("+")
    parts = [known.latest(row.series, unit).set_index("period_start") for unit in units]
    if "drop=" in row.options:
        parts = [part[~part["quality"].str.contains(row.options.split("drop=")[1])] for part in parts]
    table = pd.concat([part["value"] for part in parts], axis=1, keys=units).dropna()
    values = combine(table)
    end = pd.Timestamp(row.end) if row.end else None
    return values.loc[max(pd.Timestamp(row.start), pd.Timestamp("1990-01-01")) : end]


def total(table: pd.DataFrame) -> pd.Series:
    return table.sum(axis=1)


def log_shares(table: pd.DataFrame) -> pd.Series:
    logs = np.log(table.to_numpy() + 0.01)
    if logs.shape[1] > 1:
        logs = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    return pd.Series(logs.mean(axis=1), index=table.index)


def standardised(values: pd.Series) -> pd.Series:
    return (values - values.mean()) / values.std(ddof=0)


def linked_readings(y: pd.Series, mean: pd.Series, rho: float, noise: float, df: float, months: int) -> float:
    """Quasi-differenced where the step before is there, else the stationary density."""
    error = y - mean
    out = 0.0
    for date in y.index:
        before = date - pd.DateOffset(months=months)
        if before in error.index:
            out += t_logpdf(error[date] - rho * error[before], noise, df)
        else:
            out += t_logpdf(error[date], noise / np.sqrt(1.0 - rho**2), df)
    return out


def news_density(at: Point, panel: Panel, known: Store) -> float:
    out, n_anchors, n_loaded = 0.0, 0, 0
    for k, row in enumerate(catalogue(known, "news").itertuples()):
        y = standardised(monthly_figures(known, row, log_shares))
        if "anchor" in row.options:
            slope = at["anchor_loading"][n_anchors]
            n_anchors += 1
        else:
            slope = at["news_loading"][n_loaded]
            n_loaded += 1
        mean = at["news_intercept"][k] + slope * risk_by_month(at, panel, row.theatre).loc[y.index]
        out += linked_readings(y, mean, 0.5 * at["news_persistence"][k], at["news_noise"][k], 5.0, 1)
    return out


def annual_density(at: Point, panel: Panel, known: Store) -> float:
    out = 0.0
    for k, row in enumerate(catalogue(known, "annual").itertuples()):
        y = standardised(np.log(monthly_figures(known, row, total)))
        sign = -1.0 if "sign=-1" in row.options else 1.0
        risk = risk_by_year(at, panel, row.theatre).loc[y.index.year].to_numpy()
        mean = at["annual_intercept"][k] + sign * at["annual_loading"][k] * risk
        rho, noise = 0.5 * at["annual_persistence"][k], at["annual_noise"][k]
        out += linked_readings(y, pd.Series(mean, index=y.index), rho, noise, 5.0, 12)
    return out


def transfer_density(at: Point, panel: Panel, known: Store) -> tuple[float, float]:
    """Value of deliveries given that there are any, and whether there are any."""
    value = hurdle = 0.0
    for k, row in enumerate(catalogue(known, "transfer").itertuples()):
        figures = monthly_figures(known, row, total)
        before = np.array([three_years_before(at, panel, row.theatre, d.year) for d in figures.index])
        some = (figures > 0).to_numpy()
        chance = expit(at["hurdle_intercept"][k] + at["hurdle_loading"] * before)
        hurdle += stats.bernoulli.logpmf(some, chance).sum()
        logs = np.log(figures[some])
        mean = at["transfer_intercept"][k] + at["transfer_loading"] * before[some]
        value += t_logpdf(logs - logs.mean() - mean, at["transfer_noise"][k], 5.0).sum()
    return value, hurdle


def troop_density(at: Point, panel: Panel, known: Store) -> float:
    out = 0.0
    for k, row in enumerate(catalogue(known, "troops").itertuples()):
        frame = known.latest(row.series, row.units)
        frame = frame[frame["period_end"] >= pd.Timestamp(row.start)]
        levels = pd.Series(frame["value"].to_numpy(), index=pd.PeriodIndex(frame["period_end"], freq="Q"))
        change = np.log(levels).diff()[[q - 1 in levels.index for q in levels.index]] / 0.05
        risk = risk_by_year(at, panel, row.theatre).loc[[q.year - 1 for q in change.index]].to_numpy()
        mean = at["troop_intercept"][k] + at["troop_loading"][k] * risk
        out += t_logpdf(change - change.mean() - mean, at["troop_noise"][k], 4.0).sum()
    return out


def test_readings_are_student_t_with_an_error_of_their_own(at: Point, panel: Panel, known: Store) -> None:
    expected = (
        news_density(at, panel, known)
        + annual_density(at, panel, known)
        + transfer_density(at, panel, known)[0]
        + troop_density(at, panel, known)
    )
    assert_allclose(at["readings"], expected, rtol=1e-9)


def test_hurdle_is_bernoulli(at: Point, panel: Panel, known: Store) -> None:
    assert_allclose(at["hurdle"], transfer_density(at, panel, known)[1], rtol=1e-9)


def test_counts_are_negative_binomial_up_to_the_factorial(at: Point, panel: Panel, known: Store) -> None:
    expected = 0.0
    groups: list[str] = []
    for k, row in enumerate(catalogue(known, "count").itertuples()):
        options = dict(part.partition("=")[::2] for part in row.options.split(";"))
        group = options.get("group", row.indicator)
        groups += [] if group in groups else [group]
        y = monthly_figures(known, row, total)
        exposure = pd.Series(1.0, index=y.index)
        if row.exposure_series:
            exposure = known.latest(row.exposure_series, row.units).set_index("period_start")["value"]
            exposure = exposure.reindex(y.index)
            y, exposure = y[exposure > 0], exposure[exposure > 0]
        size, loading = at["count_dispersion"][k], at["count_loading"][groups.index(group)]
        base = at["count_intercept"][k] + np.log((y.sum() + 0.5) / (exposure.sum() + 1.0))
        risk = risk_by_month(at, panel, row.theatre)
        for date in y.index:
            log_rate = base + loading * risk[date]
            if "trend" in options:
                log_rate += at["count_trend"] * (date.year + (date.month - 0.5) / 12 - 2005) / 10
            before = date - pd.DateOffset(months=1)
            if "memory" in options and before in y.index:
                surprise = np.log((y[before] + 0.5) / exposure[before]) - base - loading * risk[before]
                log_rate += 0.5 * at["count_memory"] * surprise
            mean = exposure[date] * np.exp(log_rate)
            expected += stats.nbinom.logpmf(y[date], size, size / (size + mean)) + gammaln(y[date] + 1)
    assert_allclose(at["counts"], expected, rtol=1e-8)


def test_shares_are_beta_binomial_up_to_the_coefficient(at: Point, panel: Panel, known: Store) -> None:
    expected = 0.0
    for k, row in enumerate(catalogue(known, "share").itertuples()):
        hits = monthly_figures(known, row, total)
        trials = known.latest(row.exposure_series, row.units).set_index("period_start")["value"]
        trials = trials.reindex(hits.index)
        hits, trials = hits[trials > 0], trials[trials > 0]
        risk = risk_by_month(at, panel, row.theatre).loc[hits.index]
        p = expit(at["share_intercept"][k] + at["share_loading"][k] * risk)
        c = at["share_concentration"][k]
        rows = stats.betabinom.logpmf(hits, trials, c * p, c * (1 - p)) - np.log(comb(trials, hits))
        expected += rows.sum()
    assert_allclose(at["shares"], expected, rtol=1e-8)


def test_ladder_is_ordered_logit_with_rates_at_mean_risk(at: Point, panel: Panel, known: Store) -> None:
    expected = 0.0
    for row in catalogue(known, "ordinal").itertuples():
        k = THEATRES.index(row.theatre)
        level = monthly_figures(known, row, total)
        push = at["ladder_slope"][k] * risk_by_month(at, panel, row.theatre).loc[level.index].to_numpy()
        some, force = at["ladder_any"][k], at["ladder_any"][k] * at["ladder_force"][k]
        up_to_two = stats.logistic.cdf(-logit(some) - push)
        up_to_three = stats.logistic.cdf(-logit(force) - push)
        chance = np.where(
            level < 3, up_to_two, np.where(level == 3, up_to_three - up_to_two, 1 - up_to_three)
        )
        expected += np.log(chance).sum()
    assert_allclose(at["ladder"], expected, rtol=1e-6)


def test_ladder_at_mean_risk_has_the_rates_of_its_priors(at: Point) -> None:
    some, force = at["ladder_any"], at["ladder_any"] * at["ladder_force"]
    assert_allclose(stats.logistic.sf(-logit(some)), some)
    assert_allclose(stats.logistic.sf(-logit(force)), force)


def test_stock_reports_are_intervals_with_house_effects(at: Point, panel: Panel) -> None:
    rows = {name: panel.data[f"stock_{name}"] for name in ("stock", "month", "source", "low", "high")}
    miss = 0.1 * at["stock_miss_innovation"]
    expected = 0.0
    for stock, month, source, low, high in zip(*rows.values(), strict=True):
        centre = at["log_stock"][stock, month] + miss[stock, month] + at["stock_body"][source]
        bounds = (np.array([low, high]) - centre) / at["stock_noise"]
        # Both tails by symmetry: the interval's mass is lost in 1 - cdf far out.
        bounds = np.sort(-bounds) if bounds[0] > 0 else bounds
        expected += stats.logistic.logcdf(bounds[1]) + np.log1p(
            -np.exp(stats.logistic.logcdf(bounds[0]) - stats.logistic.logcdf(bounds[1]))
        )
    assert_allclose(at["stocks"], expected, rtol=1e-8)


def test_stock_is_a_walk_with_drift_that_the_war_pushes(at: Point, panel: Panel) -> None:
    risk = risk_by_month(at, panel, "ukraine_nato").loc[panel.stock_months].to_numpy()
    for k in range(len(STOCKS)):
        level = [float(at["stock_start"][k])]
        for t in range(1, len(panel.stock_months)):
            push = at["stock_threat"][k] * (risk[t - 1] - risk[0])
            level.append(
                level[-1] + at["stock_step"][k] * at["stock_innovation"][k, t] + at["stock_drift"][k] + push
            )
        assert_allclose(at["log_stock"][k], level, rtol=1e-9)


def latent_by_loop(at: Point, panel: Panel) -> np.ndarray:
    """Latents before centring, month by month."""
    phi = np.append(at["phi"], at["phi_global"])
    path = np.empty((6, len(panel.months)))
    path[:, 0] = at["innovation"][:, 0]
    for t in range(1, len(panel.months)):
        path[:, t] = phi * path[:, t - 1] + np.sqrt(1 - phi**2) * at["innovation"][:, t]
    knots = at["slow_step"] * np.cumsum(at["slow_innovation"], axis=1)
    scale = np.append(1.0, at["theatre_scale"])
    theatre = np.empty((5, len(panel.months)))
    for k in range(5):
        share = at["global_share"][k]
        slow = np.interp(np.arange(len(panel.months)), 12 * np.arange(knots.shape[1]), knots[k])
        theatre[k] = scale[k] * (np.sqrt(share) * path[5] + np.sqrt(1 - share) * path[k]) + slow
    for strength, (target, source) in zip(at["spillover"], SPILLOVERS, strict=True):
        k, j = THEATRES.index(target), THEATRES.index(source)
        theatre[k] += strength * theatre[j][np.maximum(np.arange(len(panel.months)) - 1, 0)]
    return np.vstack([theatre, path[5:]])


def test_latent_is_the_recursion_it_says_it_is(at: Point, panel: Panel) -> None:
    raw = latent_by_loop(at, panel)
    centre = raw[:, panel.months < "2015-01-01"].mean(axis=1)
    assert_allclose(at["centre"], centre, atol=1e-10)
    assert_allclose(at["eta"], raw - centre[:, None], atol=1e-9)


def test_spillover_adds_last_months_risk_of_the_neighbour(panel: Panel, priors: Priors) -> None:
    linked = priors.override({"spillover": {"parameters": {"value": 0.5}}})
    at = Evaluate(build_model(panel, linked)).at_prior_draw(seed=4)
    raw = latent_by_loop(at, panel)
    assert_allclose(at["eta"] + at["centre"][:, None], raw, atol=1e-9)


def test_innovations_have_unit_variance(model: pm.Model) -> None:
    drawn = pm.draw(model["innovation"], draws=60, random_seed=1, mode=plain())
    assert_allclose(drawn.var(), 1.0, atol=0.05)


BUMPED = {
    "news_loading": (1,),
    "news_persistence": (2,),
    "news_noise": (0,),
    "annual_loading": (0,),
    "transfer_loading": (),
    "innovation": (1, 300),
    "phi": (0,),
    "phi_global": (),
    "slow_innovation": (3, 20),
    "count_dispersion": (3,),
    "share_concentration": (1,),
    "ladder_any": (4,),
    "stock_threat": (0,),
    "growth_persistence_innovation": (2,),
    "growth_noise_common": (),
    "growth_drift": (),
    "growth_level_innovation": (1, 20),
    "growth_scale_innovation": (0, 7),
    "revision_precision_innovation": (6,),
    "growth_precision_innovation": (0, 0),
    "budget_bias": (1,),
}


@pytest.fixture(scope="module")
def gradients(model: pm.Model) -> Any:
    outputs = pytensor.gradient.grad(sum(model.potentials), [model[name] for name in BUMPED])
    return pytensor.function(model.free_RVs, outputs, mode=plain(), on_unused_input="ignore")


def test_gradient_of_all_potentials_is_the_finite_difference(
    model: pm.Model, at: Point, gradients: Any
) -> None:
    evaluate = Evaluate(model)
    point = {str(rv.name): np.array(at[str(rv.name)], float) for rv in model.free_RVs}
    found = gradients(*point.values())
    names = [str(potential.name) for potential in model.potentials]
    for gradient, (name, index) in zip(found, BUMPED.items(), strict=True):
        step = 1e-5
        values = []
        for sign in (1.0, -1.0):
            bumped = {**point, name: point[name].copy()}
            bumped[name][index] += sign * step
            result = evaluate(bumped)
            values.append(np.array([result[potential] for potential in names]))
        slope = (values[0] - values[1]).sum() / (2 * step)
        assert_allclose(gradient[index], slope, rtol=1e-4, atol=1e-3, err_msg=name)


def test_density_is_finite_where_sampling_starts(model: pm.Model) -> None:
    start = model.initial_point()
    for seed in range(3):
        found = Evaluate(model).at_prior_draw(seed)
        assert all(np.isfinite(found[str(potential.name)]) for potential in model.potentials)
    assert all(np.isfinite(value).all() for value in start.values())


def test_every_prior_is_used_and_every_parameter_has_one(model: pm.Model, priors: Priors) -> None:
    used = {str(v.name) for v in [*model.free_RVs, *model.deterministics]}
    constants = {"innovation_df", "growth_df", "growth_noise_memory", "revision_df", "announcement_df"}
    # What history taught, and what weighs it, enters after the fit.
    after = {*HISTORY, *chain.from_iterable(LOOSENED.values()), "history_weight", "joining_reference_age"}
    assert set(priors) - used - after == constants
    assert set(read_stored().priors) <= after
    innovations = {name for name in used if name.endswith("innovation")}
    results = {
        "eta", "centre", "last_path", "next_level", "growth", "first_print", "revision", "growth_level",
        "growth_scale", "log_stock",
    }  # fmt: skip
    pooled = {f"{name}_common" for name, spec in priors.items() if spec.pooling != "none"}
    assert used - set(priors) == innovations | results | pooled


def test_a_prior_that_must_be_a_number_says_so(panel: Panel, priors: Priors) -> None:
    free = priors.override({"growth_df": {"family": "Uniform", "parameters": {"lower": 3, "upper": 9}}})
    with pytest.raises(DataError, match=r"prior 'growth_df' is Uniform.*needs a constant.*\"Fixed\""):
        build_model(panel, free)


def test_a_freed_prior_becomes_a_parameter(panel: Panel, priors: Priors) -> None:
    free = priors.override({"slow_step": {"family": "HalfNormal", "parameters": {"sigma": 0.2}}})
    model = build_model(panel, free)
    assert "slow_step" in {str(rv.name) for rv in model.free_RVs}


def test_innovations_are_student_t_of_unit_variance() -> None:
    with pm.Model(coords={"latent": range(3), "month": range(400)}) as model:
        z = unit_t("z", 5.0, ("latent", "month"))
    x = np.random.default_rng(1).standard_t(5, size=(3, 400))
    expected = stats.t.logpdf(x, 5.0, scale=np.sqrt(0.6)).sum()
    assert_allclose(model.compile_logp(mode=plain())({"z": x}), expected, rtol=1e-8)
    drawn = pm.draw(z, 50, random_seed=1)
    assert drawn.shape == (50, 3, 400)
    assert abs(drawn.std() - 1.0) < 0.03
