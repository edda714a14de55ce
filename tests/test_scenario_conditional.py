"""Figures to come as if known: their densities, what they move, what they ask for, and what is refused."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy.integrate import quad
from scipy.stats import norm

from escalation_forecast import pipeline
from escalation_forecast.draws import Draws
from escalation_forecast.fit import Settings
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.model import build_model, swapped
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.scenario import again, answers, conditional, densities
from escalation_forecast.scenario.again import wide_panel, with_rows
from escalation_forecast.scenario.conditional import by_weights
from escalation_forecast.scenario.figures import Figure, announced, figures, reading_of
from escalation_forecast.scenario.futures import Futures, learned
from escalation_forecast.scenario.observed import Observed, read_observed
from escalation_forecast.scenario.plausibility import check_support, coin, plausibility
from escalation_forecast.scenario.programmes import replaced, superseded
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from escalation_forecast.update.result import Refit
from escalation_forecast.update.weights import weighted_mean
from prior_fit import Evaluate
from whole_run import mixed, stand_in

DAY = dt.date(2026, 6, 15)
MORE = ("tension-exceeds", "troops-exceed")
TROOPS = "dprk_troops_in_russia"


def seen(kind: str, of: str, *months: int, **more: Any) -> Observed:
    return Observed(kind=kind, of=of, months=months, **more)  # type: ignore[arg-type]


def futures_of(updater: Updater, observed: list[Observed]) -> tuple[Futures, Any]:
    placed = figures(updater, observed)
    given = (updater.posterior, updater.priors, updater.paths, updater.seed)
    return Futures.of(updater.panel, announced(updater, placed), *given), placed


def with_draws(updater: Updater, **values: Any) -> Updater:
    """The same run with some parameters set to a value that broadcasts over chain and draw."""
    twin = replace(updater)
    twin.__dict__.update(updater.__dict__)
    posterior = updater.posterior.assign({k: updater.posterior[k] * 0.0 + v for k, v in values.items()})
    twin.__dict__.update(posterior=posterior, draws=Draws(posterior))
    return twin


# --- densities ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide(updater: Updater) -> Panel:
    return wide_panel(updater)


@pytest.fixture(scope="module")
def wide_model(wide: Panel) -> pm.Model:
    return build_model(wide, Priors.default())


@pytest.fixture(scope="module")
def evaluate(wide_model: pm.Model) -> Evaluate:
    return Evaluate(wide_model)


@pytest.fixture(scope="module")
def point(evaluate: Evaluate) -> dict[str, np.ndarray]:
    """A point drawn from the priors, with a body that reports what is supposed without a house effect."""
    at = evaluate.at_prior_draw(seed=3)
    at["stock_body"] = np.array([*at["stock_body"][:-1], 0.0])
    return at


def potentials(evaluate: Evaluate, panel: Panel, point: dict[str, np.ndarray]) -> dict[str, float]:
    """Log densities of the model's blocks at a point, on the rows of a panel."""
    for name, values in swapped(panel).items():
        evaluate.model[name].set_value(values)
    found = evaluate(point)
    return {str(p.name): float(np.sum(found[str(p.name)])) for p in evaluate.model.potentials}


def at_point(model: pm.Model, point: dict[str, np.ndarray]) -> Draws:
    kept = {}
    for variable in model.unobserved_RVs:
        dims = model.named_vars_to_dims.get(variable.name) or ()
        kept[variable.name] = (("chain", "draw", *dims), np.asarray(point[variable.name], float)[None, None])
    return Draws(xr.Dataset(kept))


SUPPOSED = {
    "readings": seen("indicator", "news_taiwan", 1, 2, value=0.4),
    "counts": seen("indicator", "pla_vessels", 1, 2, value=300),
    "shares": seen("indicator", "sanctions_rus", 2, value=3),
    "ladder": seen("ladder", "taiwan", 2, value=3),
    "stocks": seen("troops", TROOPS, 2, value=14000),
    "budgets": Observed(kind="budget", of="AUS", years_ahead=0, value=9.0),
}


@pytest.mark.parametrize("block", SUPPOSED)
def test_densities_are_those_of_the_model(
    block: str,
    updater: Updater,
    wide: Panel,
    wide_model: pm.Model,
    evaluate: Evaluate,
    point: dict[str, np.ndarray],
) -> None:
    """The potential of the model with the row of the figure less that without."""
    placed = figures(updater, [SUPPOSED[block]])
    *before, last = placed
    spending = [announced(updater, some, wide.years) for some in (placed, before)]
    rows = [with_rows(replace(wide, spending=s), f) for s, f in zip(spending, (placed, before), strict=True)]
    apart = [potentials(evaluate, panel, point) for panel in rows]
    difference = {name: apart[0][name] - apart[1][name] for name in apart[0]}
    assert {name for name, value in difference.items() if abs(value) > 1e-12} == {block}

    draws, month = at_point(wide_model, point), int(wide.months.get_indexer([last.month])[0])
    if block == "stocks":
        place = int(wide.stock_months.get_indexer([last.month])[0])
        miss = point["stock_miss"] * point["stock_miss_innovation"][0, place]
        centre, noise = point["log_stock"][0, place] + miss, point["stock_noise"]
        mine = densities.interval(np.log(last.low), np.log(last.high), centre, noise)
    elif block == "budgets":
        slot = last.month.year - wide.spending.last_printed - 1
        print_ = point["first_print"][[wide.spending.states.index("AUS")], slot]
        reading = reading_of(spending[0], last)
        mine = densities.budget(wide, draws, Priors.default(), "AUS", reading.value, reading.doubt, print_)
    else:
        now = updater.panel.now
        futures, _ = futures_of(updater, [SUPPOSED[block]])
        eta = np.asarray(point["eta"], float)[None, :, now : now + 13]
        one = {name: np.full((1, 13), 1.0) for name in futures.levels}
        here = replace(futures, panel=wide, draws=draws, eta=eta, levels=one)
        assert month == now + last.ahead
        for figure in before:
            here.levels[figure.of][:, figure.ahead] = figure.value
        mine = here.density(last)
    assert float(np.sum(mine)) == pytest.approx(difference[block], abs=1e-8)


def test_a_budget_takes_the_place_of_a_programme(
    updater: Updater,
    wide: Panel,
    wide_model: pm.Model,
    evaluate: Evaluate,
    point: dict[str, np.ndarray],
) -> None:
    """What the model no longer reads is what the weights take off."""
    budget = Figure("budget", "JPN", 0, pd.Timestamp(2027, 1, 1), 8.0)
    before, after = (announced(updater, some, wide.years) for some in ([], [budget]))
    ((i, year, value),) = replaced(before, after)
    assert (before.states[i], year) == ("JPN", 2027)
    blocks = [potentials(evaluate, replace(wide, spending=sp), point)["programmes"] for sp in (before, after)]
    slot, column = year - before.last_printed - 1, year - before.years[0]
    unrest = point["growth_scale"][i, column] / point["growth_noise"][i]
    given = (value, point["first_print"][[i], slot], np.array([unrest]))
    mine = densities.programme(at_point(wide_model, point), Priors.default(), i, *given)
    assert float(mine[0]) == pytest.approx(blocks[0] - blocks[1], abs=1e-8)
    futures, _ = futures_of(updater, [seen("ladder", "korea", 1, value=0)])
    assert not superseded(updater, futures).any()
    with np.errstate(all="ignore"):  # scales that no sampler made may be below zero
        taken = superseded(updater, replace(futures, announced=announced(updater, [budget])))
    weight = updater.run.summary["spending_weight"]
    assert np.mean(taken != 0.0) == pytest.approx(weight, abs=0.02)


@pytest.mark.parametrize(("low", "high"), [(9000.0, 11000.0), (20000.0, np.inf), (-np.inf, 5000.0)])
def test_shared_miss_of_reports_is_integrated_out(low: float, high: float) -> None:
    drawn = {"stock_miss": 0.1, "stock_noise": 0.08}
    draws = Draws(xr.Dataset({k: (("chain", "draw"), np.array([[v]])) for k, v in drawn.items()}))
    centre = np.log(12000.0)

    def report(z: float) -> float:
        bounds = np.log(max(low, 1e-9)), np.log(high)
        return float(np.exp(densities.interval(*bounds, centre + 0.1 * z, np.float64(0.08)))) * norm.pdf(z)

    by_hand = np.log(quad(report, -8.0, 8.0, epsabs=1e-12)[0])
    assert densities.troops(draws, low, high, np.array([centre]))[0] == pytest.approx(by_hand, abs=1e-4)


def test_latents_of_the_paths_are_those_of_the_forecast(updater: Updater) -> None:
    """Told on the reference scale and back; what a run keeps of its posterior has fewer digits."""
    futures, _ = futures_of(updater, [seen("ladder", "korea", 1, value=0)])
    assert np.allclose(futures.eta[:, :, 1:], updater.war.latents, atol=0.01)
    assert list(futures.months[1:]) == list(updater.war.months)


# --- what figures move --------------------------------------------------------------------------------


def test_what_is_certain_moves_nothing(updater: Updater) -> None:
    found = by_weights(updater, [seen("troops", TROOPS, 4, low=1e-3, high=1e9)])
    assert np.ptp(found.weights) < 1e-9  # type: ignore[arg-type]
    assert np.allclose(found.inferred["change"], 0.0, atol=1e-9)
    for answer in found.answers:
        if answer.item.rule.kind == "binary":
            assert answer.after == pytest.approx(answer.before, abs=1e-9)
    assert found.plausibility.verdict == "ordinary"
    assert found.plausibility.coin == pytest.approx(0.5, abs=1e-4)


def test_cut_arrow_gives_even_weights(updater: Updater) -> None:
    """An indicator that nothing loads on, and whose own parameters are known, teaches nothing."""
    cut = with_draws(updater, share_loading=0.0, share_intercept=-1.0, share_concentration=8.0)
    found = by_weights(cut, [seen("indicator", "sanctions_rus", 1, 2, value=3)])
    assert np.isneginf(found.k)
    assert np.ptp(found.weights) == 0.0  # type: ignore[arg-type]
    assert (found.inferred["change"] == 0.0).all()
    assert {answer.way for answer in found.answers} == {"unchanged"}
    assert all(answer.after == answer.before for answer in found.answers)
    joined = with_draws(updater, share_loading=1.0, share_intercept=-1.0, share_concentration=8.0)
    assert np.ptp(by_weights(joined, [seen("indicator", "sanctions_rus", 1, 2, value=3)]).weights) > 0.0


def test_many_sanctions_raise_the_inferred_risk(updater: Updater) -> None:
    def moved(value: int) -> pd.Series[float]:
        loaded = with_draws(updater, share_loading=1.0, share_intercept=-1.0, share_concentration=8.0)
        rows = by_weights(loaded, [seen("indicator", "sanctions_rus", 2, value=value)]).inferred
        return rows.set_index(["latent", "ahead"]).loc[("ukraine_nato", 2)]

    many, none = moved(4), moved(0)
    assert many["change"] > 5.0 * many["mcse"] > 0.0
    assert none["change"] < -5.0 * none["mcse"]


def test_weights_are_the_futures_in_which_it_happens(updater: Updater) -> None:
    """The draws whose simulated figure is the one supposed say the same, if more noisily."""
    month = updater.war.months[1]
    levels = updater.paths["indicator_level"].sel(indicator="sanctions_rus", month=month)
    happens = levels.transpose("chain", "draw").to_numpy() == 3.0
    assert happens.sum() > 30
    found = by_weights(updater, [seen("indicator", "sanctions_rus", 2, value=3)])
    rows = found.inferred.set_index(["latent", "ahead"])
    for latent in ("ukraine_nato", "korea"):
        row = rows.loc[(latent, 2)]
        risk = updater.paths["risk"].sel(theatre=latent, month=month).transpose("chain", "draw").to_numpy()
        kept = weighted_mean(risk.astype(float), happens.astype(float))
        assert row["after"] == pytest.approx(kept.value, abs=4.0 * np.hypot(kept.mcse, row["after_mcse"]))
    moved = rows.loc[("ukraine_nato", 2)]
    assert abs(moved["change"]) > 3.0 * moved["mcse"]


def test_order_does_not_matter(updater: Updater) -> None:
    one = [
        seen("indicator", "news_taiwan", 3, 1, percentile=80),
        seen("ladder", "korea", 2, value=3),
        seen("indicator", "news_taiwan", 2, percentile=70),
        Observed(kind="budget", of="AUS", years_ahead=0, value=9.0),
    ]
    first, second = (by_weights(updater, some) for some in (one, one[::-1]))
    assert [str(figure) for figure in first.figures] == [str(figure) for figure in second.figures]
    assert np.array_equal(first.weights, second.weights)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(first.table(), second.table())


def test_what_is_supposed_is_so_in_every_future(updater: Updater) -> None:
    quiet = by_weights(updater, [seen("ladder", "taiwan", 1, 2, 3, value=0)])
    assert quiet["use-of-force/taiwan/3m"].after == 0.0
    assert quiet["use-of-force/taiwan/6m"].after > 0.0  # type: ignore[operator]
    tense = [seen("ladder", "korea", 3, value=5), seen("indicator", "news_taiwan", 2, percentile=99)]
    found = by_weights(updater, tense)
    assert found["use-of-force/korea/3m"].after == 1.0
    assert found["tension-exceeds/news_taiwan/3m"].after == 1.0
    assert found["tension-exceeds/news_taiwan/1m"].after < 1.0  # type: ignore[operator]
    assert found["fatal-clash/1/KOR-PRK/12m"].way == "simulated again"
    assert found["fatal-clash/1/KOR-PRK/12m"].change > 0.0  # type: ignore[operator]
    with pytest.raises(DataError, match="did you mean `use-of-force/korea/3m`"):
        _ = found["use-of-force/korea/33m"]


def test_reports_of_troops_are_the_number_or_bound_it(updater: Updater) -> None:
    futures, (point,) = futures_of(updater, [seen("troops", TROOPS, 2, value=16000)])
    paths = answers.put(updater.paths, futures.with_figure(point), [point], ahead_only=True)["dprk_troops"]
    assert (paths.sel(month=point.month) == 16000).all()
    before = updater.paths["dprk_troops"].sel(month=futures.months)
    assert np.allclose(paths.drop_sel(month=point.month), before.drop_sel(month=point.month))
    _, (bound,) = futures_of(updater, [seen("troops", TROOPS, 2, low=1.5)])
    inside = futures.with_figure(bound).troops
    assert inside is not None
    assert futures.troops is not None
    assert np.array_equal(inside[:, 2], np.maximum(futures.troops[:, 2], 1.5))


def test_errors_of_news_are_carried_over(updater: Updater) -> None:
    """Later months move by what the month moved, less each month by the persistence of the error."""
    futures, (figure,) = futures_of(updater, [seen("indicator", "news_taiwan", 2, percentile=90)])
    given = learned(futures, [figure])[1].levels["news_taiwan"]
    y, z = (
        densities.news_scale(updater.panel, "news_taiwan", one)
        for one in (futures.levels["news_taiwan"], given)
    )
    rho = densities.news_parameters(updater.panel, futures.draws, "news_taiwan")[2]
    inside = (futures.levels["news_taiwan"][:, 2:4] > 1e-3).all(axis=1) & (given[:, 3] > 1e-3)
    assert inside.sum() > 50
    assert np.allclose((z - y)[inside, 3], (rho * (z - y)[:, 2])[inside], atol=1e-4)
    assert np.array_equal(futures.levels["news_taiwan"][:, :2], given[:, :2])


def test_pool_follows_the_weighted_ladder(updater: Updater) -> None:
    from escalation_forecast.update import war

    found = by_weights(updater, [seen("indicator", "news_taiwan", 1, percentile=90)])
    assert found.weights is not None
    flat = found.weights.ravel()
    targets = war.new_targets(updater, flat, updater.priors)
    answer = found["use-of-force/taiwan/6m"]
    assert answer.after == pytest.approx(targets["taiwan"][6], abs=4 * (answer.mcse or 0.0))


# --- what figures ask for -----------------------------------------------------------------------------


def test_rarity_is_the_share_of_futures(updater: Updater) -> None:
    level = updater.paths["indicator_level"].sel(indicator="news_world")
    month = updater.war.months[1]
    values = level.sel(month=month).to_numpy().ravel()
    for q, side in ((0.9, 1), (0.1, -1)):
        value = float(np.quantile(values, q))
        found = by_weights(updater, [seen("indicator", "news_world", 2, value=value)]).plausibility
        share = np.mean(values >= value) if side > 0 else np.mean(values <= value)
        assert (found.figures[0].tail, found.figures[0].side) == (pytest.approx(share), side)
        assert found.joint == pytest.approx(share, abs=0.004)
        assert "of futures" in found.text


def test_information_is_that_of_a_coin(updater: Updater) -> None:
    found = by_weights(updater, [seen("indicator", "news_world", 1, percentile=80)])
    assert found.weights is not None
    n = found.weights.size
    by_hand = float(np.sum(found.weights * np.log(n * found.weights)))
    assert found.plausibility.information == pytest.approx(by_hand)
    q = found.plausibility.coin
    assert -0.5 * np.log(4.0 * q * (1.0 - q)) == pytest.approx(by_hand)
    assert (coin(0.0), coin(100.0)) == (0.5, 1.0)
    moves = {move.latent: move for move in found.plausibility.moves}
    futures, _ = futures_of(updater, [seen("indicator", "news_world", 1, percentile=80)])
    k, at = LATENTS.index("global"), list(futures.months).index(moves["global"].month)
    eta = futures.eta[:, k, at]
    shift = float(found.weights.ravel() @ eta - eta.mean()) / eta.std()
    assert moves["global"].sds == pytest.approx(shift)


def test_ten_sd_out_is_refused_with_the_nearest(updater: Updater) -> None:
    """On the scale of the model; the value that the error names is taken."""
    item = updater.panel.items["reading"].loc["news_world"]
    far = float(np.exp(item["mean"] + 10.0 * item["sd"]))
    futures, _ = futures_of(updater, [seen("ladder", "korea", 1, value=0)])
    futures.levels["news_world"][:] = np.random.default_rng(1).lognormal(
        item["mean"], item["sd"], futures.levels["news_world"].shape
    )
    placed = figures(updater, [seen("indicator", "news_world", 1, value=far)])
    with pytest.raises(DataError, match=r"none of 400 futures, fewer than 1 in 1,000.*99\.9th") as error:
        check_support(futures, placed)
    nearest = float(str(error.value).split("that it can is ")[1].split(" ")[0].replace(",", ""))
    assert nearest == pytest.approx(futures.levels["news_world"][:, 1].max(), rel=1e-3)
    check_support(futures, [replace(placed[0], value=0.99 * nearest)])


def test_many_figures_together_can_be_too_far_out(updater: Updater) -> None:
    """Each comes in one of twenty futures, all of them, independent as they are here, in none."""
    futures, _ = futures_of(updater, [seen("ladder", "korea", 1, value=0)])
    level = np.random.default_rng(2).lognormal(size=futures.levels["news_world"].shape)
    futures.levels["news_world"][:] = level
    months = range(1, 9)
    values = np.quantile(level, 0.95, axis=0)
    one = [seen("indicator", "news_world", m, value=float(values[m])) for m in months]
    with pytest.raises(DataError, match=r"The figures together.*nearest that it can is news_world"):
        check_support(futures, figures(updater, one))
    assert check_support(futures, figures(updater, one[:1]))[1] == pytest.approx(0.05, abs=0.01)


def test_latents_that_would_have_to_go_too_far(updater: Updater) -> None:
    futures, _ = futures_of(updater, [seen("ladder", "korea", 1, value=0)])
    eta = np.random.default_rng(3).normal(size=futures.eta.shape)
    eta[0, 4] = 8.0
    far, even = np.zeros(400), np.full(400, 1.0 / 400)
    far[0] = 1.0
    with pytest.raises(DataError, match="Ukraine-NATO would have to move by"):
        plausibility(replace(futures, eta=eta), (), 0.5, far, even)


# --- hostile input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"kind": "indicator", "of": "x", "month": [1], "value": 1},
            "unknown key `month`.*did you mean `months`",
        ),
        ({"kind": "indicator", "of": "x", "months": [1]}, "exactly one of `value` and `percentile`"),
        ({"kind": "indicator", "of": "x", "months": [25], "value": 1}, "1 to 24"),
        ({"kind": "indicator", "of": "x", "months": [2, 2], "value": 1}, "given twice"),
        ({"kind": "indicator", "of": "x", "months": [1], "percentile": 101}, "`percentile` is 101"),
        ({"kind": "ladder", "of": "corea", "months": [1], "value": 4}, "did you mean `korea`"),
        ({"kind": "ladder", "of": "korea", "months": [1], "value": 6}, "level of the ladder, 0 to 5"),
        (
            {"kind": "troops", "of": TROOPS, "months": [1], "low": 5, "high": 4},
            "`low` has to be below `high`",
        ),
        ({"kind": "troops", "of": TROOPS, "months": [1]}, "either a `value` or bounds"),
        ({"kind": "budget", "of": "CHI", "year": 2027, "value": 7}, "unknown state `CHI`"),
        ({"kind": "budget", "of": "CHN", "value": 7}, "exactly one of `year` and `years_ahead`"),
        ({"kind": "budget", "of": "CHN", "year": 2027, "value": 700}, "-50 to 200"),
        ({"of": "korea", "months": [1], "value": 4}, "the key `kind` is missing"),
    ],
)
def test_tables_are_checked(table: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=rf"scenarios\.toml, scenario `x`, observed 1: .*{words}") as error:
        read_observed([table], "scenarios.toml, scenario `x`")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (seen("indicator", "sanctions_russia", 1, value=1), "did you mean `sanctions_rus`"),
        (seen("indicator", "sanctions_rus", 1, value=40), "are covered"),
        (seen("indicator", "launches_prk", 1, value=1.5), "whole number"),
        (seen("indicator", "pla_aircraft_adiz", 1, value=1), "is not forecast"),
        (seen("indicator", "news_ukraine_nato", 1, value=1), "give a `percentile`"),
        (seen("ladder", "korea", 13, value=3), "beyond the horizon of 12 months"),
        (Observed(kind="budget", of="CHN", year=2025, value=7), "known already"),
        (Observed(kind="budget", of="CHN", year=2026, value=7), "known already"),
        (Observed(kind="budget", of="CHN", year=2031, value=7), "beyond the years"),
    ],
)
def test_figures_that_cannot_be_are_refused(updater: Updater, observed: Observed, words: str) -> None:
    with pytest.raises(DataError, match=words):
        by_weights(updater, [observed])


def test_a_figure_twice_and_none_at_all(updater: Updater) -> None:
    one = seen("ladder", "korea", 1, value=3)
    with pytest.raises(DataError, match="observed 2: korea in 2026-07 is given twice"):
        by_weights(updater, [one, one])
    with pytest.raises(DataError, match="supposes nothing"):
        by_weights(updater, [])


def test_later_is_as_many_months_on() -> None:
    assert seen("ladder", "korea", 1, 3, value=3).later(2).months == (3, 5)
    budget = Observed(kind="budget", of="CHN", years_ahead=1, value=7)
    assert budget.later(13).years_ahead == 2
    with pytest.raises(DataError, match="24 at most"):
        seen("ladder", "korea", 20, value=3).later(5)


def test_shows_itself(updater: Updater) -> None:
    found = by_weights(updater, [seen("ladder", "korea", 1, value=3)])
    assert "if we learn that" in repr(found)
    assert "korea 3 on the ladder in 2026-07" in repr(found)
    record = found.record()
    assert record["way"] in ("reweighted", "not known")
    assert len(record["answers"]) == len(updater.items)


# --- fits ---------------------------------------------------------------------------------------------


def test_wide_grid_leaves_the_default_alone(updater: Updater, wide: Panel) -> None:
    panel = updater.panel
    again = build_panel(updater.known, panel.as_of)
    assert (len(again.months), again.content_hash) == (len(panel.months), panel.content_hash)
    assert list(wide.months[: len(panel.months)]) == list(panel.months)
    assert wide.months[-1] == pd.Timestamp(2028, 12, 1)
    assert (wide.now, wide.content_hash) == (panel.now, panel.content_hash)
    for name in ("reading_y", "count_y", "share_step", "ordinal_level", "stock_low"):
        assert np.array_equal(wide.data[name], panel.data[name])


def test_a_fit_holds_the_figures(updater: Updater, wide: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast after a fit, with draws from the priors in the place of the sampler's."""
    asked: list[Panel] = []
    whole = stand_in(wide, Priors.default())
    parts = {name: whole[name].to_dataset().isel(draw=slice(40)) for name in ("posterior", "sample_stats")}
    trace = xr.DataTree.from_dict(parts)
    monkeypatch.setattr(again, "_program", lambda _, panel, __: (asked.append(panel), False))
    monkeypatch.setattr(again, "sample", lambda *_: trace)
    monkeypatch.setattr("escalation_forecast.mixing.mixing", mixed)
    monkeypatch.setattr("escalation_forecast.mixing._begun", lambda *_: None)
    observed = [seen("ladder", "korea", 3, value=4), seen("indicator", "news_taiwan", 2, value=90.0)]
    asks = [q for q in updater.questions if q.id in ("use-of-force", "tension-exceeds")]
    fewer = replace(updater, questions=tuple(asks))
    made = again.fit_again(fewer, figures(updater, observed), conditional.SETTINGS)
    (panel,) = asked
    assert len(panel.data["ordinal_level"]) == len(wide.data["ordinal_level"]) + 1
    found = {answer.item.id: answer.probability for answer in made.answers}
    assert found["use-of-force/korea/3m"] == 1.0
    assert found["tension-exceeds/news_taiwan/3m"] == 1.0
    deadly = (made.paths["clash"].sel(dyad="KOR-PRK") > 0).mean(("chain", "draw", "future"))
    assert float(deadly[2]) > float(deadly[3])


def test_weights_that_do_not_do_lead_to_a_fit(updater: Updater, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def made(_: Updater, placed: Any, *__: Any) -> Refit:
        asked.append(placed)
        stored = [updater.stored[item.id] for item in updater.items]
        told = [
            type("Told", (), {"item": i, "as_dict": lambda _, e=e: e})()
            for i, e in zip(updater.items, stored, strict=True)
        ]
        return Refit(updater.posterior, updater.paths, told, None, 1.0, True)  # type: ignore[arg-type]

    monkeypatch.setattr("escalation_forecast.scenario.again.fit_again", made)
    near = [seen("troops", TROOPS, 1, low=1e-9)]
    assert conditional.conditional(updater, near, refit="auto").way == "reweighted"
    assert not asked
    found = conditional.conditional(updater, near, refit="always")
    assert (found.way, len(asked)) == ("refitted", 1)
    assert {answer.way for answer in found.answers} == {"refitted"}
    with pytest.raises(DataError, match="choose one of never, auto, always"):
        conditional.conditional(updater, near, refit="maybe")  # type: ignore[arg-type]


HEADLINES = ("arms-race-regional", "wider-war", "use-of-force", "tension-exceeds")
SETTINGS = Settings.default()
SETS = {
    "taiwan": [
        seen("indicator", "news_taiwan", 1, 2, percentile=80),
        seen("indicator", "pla_vessels", 2, percentile=85),
        seen("ladder", "korea", 3, value=4),
    ],
    "russia": [
        seen("indicator", "sanctions_rus", 1, 2, 3, value=4),
        seen("ladder", "ukraine_nato", 1, 2, value=3),
        seen("troops", TROOPS, 4, value=14000),
    ],
}


@pytest.mark.slow
def test_weights_say_what_a_refit_says(tmp_path: Path) -> None:
    """Where weights are trusted, answers and inferred risk agree within three combined errors."""
    store = Store.embedded().as_of(DAY)
    run = pipeline.run_forecast(store, out=tmp_path, draft=True, progress=False, settings=SETTINGS)
    updater, rows = Updater.of(run, store=store), []
    for name, observed in SETS.items():
        weighed = by_weights(updater, observed)
        fitted = conditional.by_refit(updater, observed, settings=SETTINGS)
        assert fitted.refit is not None
        # Chains that have not mixed have errors larger than they say.
        assert fitted.refit.diagnostics.passed, fitted.refit.diagnostics.reasons
        assert fitted.refit.compiled == (name == next(iter(SETS)))
        print(name, weighed.verdict, fitted.verdict, fitted.refit.diagnostics.reasons, sep="\n  ")
        seconds = (weighed.seconds, fitted.seconds, fitted.refit.compile_seconds)
        print("  {:.1f} s, {:.0f} s, of which {:.0f} s to compile".format(*seconds))
        pairs = [
            (a.item.id, a.before, a.after, fitted[a.item.id].after, a.mcse, fitted[a.item.id].mcse)
            for a in weighed.answers
            if a.item.question.id in HEADLINES
        ]
        both = weighed.inferred.merge(fitted.inferred, on=["latent", "ahead"], suffixes=("", "_fit"))
        pairs += [
            (f"risk {r.latent} +{r.ahead}", r.before, r.after, r.after_fit, r.after_mcse, r.after_mcse_fit)
            for r in both.itertuples()
        ]
        for label, before, after, fit, mine, its in pairs:
            error = np.hypot(mine or 0.0, its or 0.0)
            apart = (after - fit) / error if error else 0.0 if after == fit else np.inf
            rows.append((name, label, before, after, fit, error, apart, weighed.needs_refit))
    columns = ["set", "answer", "before", "weights", "fit", "error", "apart", "refused"]
    table = pd.DataFrame(rows, columns=columns)
    print(table.round(4).to_string())
    trusted = table[~table["refused"]]
    assert set(trusted["set"]) == set(SETS)
    # Neighbouring months and horizons are one comparison many times over, so a share and not each.
    assert (abs(trusted["apart"]) < 3.0).mean() > 0.98
    moved = trusted[abs(trusted["weights"] - trusted["before"]) > 4.0 * trusted["error"]]
    assert len(moved) > 20
