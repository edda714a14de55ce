"""The spending block's log density by hand, and data of other days in one program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import comb

from by_hand import Point, risk_by_year, t_logpdf
from escalation_forecast.model import build_model, swapped
from escalation_forecast.model_parts import mixed_t
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import STATES, THEATRES
from escalation_forecast.score.spending_joint import ablated
from escalation_forecast.score.spending_task import VARIANTS
from escalation_forecast.spending_block import build_spending_model
from escalation_forecast.spending_panel import YEARS_AHEAD, SpendingPanel
from escalation_forecast.store import Store
from prior_fit import Evaluate, plain

DAYS = ("2003-04-30", "2014-04-30", "2018-05-02", "2026-06-15")


def constant(priors: Priors, name: str) -> float:
    return float(priors[name].parameters["value"])


@pytest.fixture(scope="module")
def panels(whole_store: Store, panel: Panel) -> Callable[[str], Panel]:
    """The panel of a day."""
    held = {DAYS[-1]: panel}

    def of(day: str) -> Panel:
        if day not in held:
            held[day] = build_panel(whole_store, pd.Timestamp(day))
        return held[day]

    return of


def threat_of(at: Point, panel: Panel) -> np.ndarray:
    """(state, year) risk of the year in the theatres that a state is exposed to."""
    sp = panel.spending
    yearly = np.array([risk_by_year(at, panel, theatre).reindex(sp.years) for theatre in THEATRES])
    # The model knows no risk beyond its grid.
    return sp.exposure @ np.nan_to_num(yearly)


def walks(at: Point, sp: SpendingPanel, priors: Priors) -> tuple[np.ndarray, np.ndarray]:
    """Level and scale of growth (state, year), year by year from their innovations."""
    memory = constant(priors, "growth_noise_memory")
    level, scale = np.empty(sp.growth.shape), np.empty(sp.growth.shape)
    for i in range(len(sp.states)):
        place, width = [at["growth_level_innovation"][i, 0]], [at["growth_scale_innovation"][i, 0]]
        for y in range(1, len(sp.years)):
            place.append(place[-1] + at["growth_level_innovation"][i, y])
            width.append(memory * width[-1] + at["growth_scale_innovation"][i, y])
        own = sp.printed[i]
        drift, noise = at["growth_drift"], at["growth_noise"][i]
        level[i] = at["growth_mean"][i] + drift * noise * (np.array(place) - np.mean(np.array(place)[own]))
        wide = np.array(width) - np.mean(np.array(width)[own])
        scale[i] = noise * np.exp(at["growth_noise_step"] * wide)
    return level, scale


def growth_known(at: Point, sp: SpendingPanel) -> np.ndarray:
    """True growth (state, year) of the years printed, the level where a state has no print."""
    n = sp.last_printed - int(sp.years[0]) + 1
    growth = np.where(sp.printed[:, :n], sp.growth[:, :n], at["growth_level"][:, :n])
    newest = sp.printed[:, n - 1]
    growth[newest, n - 1] += at["revision"][newest]
    return growth


def expected_growth(
    at: Point, sp: SpendingPanel, growth: np.ndarray, threat: np.ndarray | None, i: int, y: int
) -> float:
    gap = growth[:, y - 1] - at["growth_level"][:, y - 1]
    push = at["threat_slope"][i] * threat[i, y - 1] if threat is not None else 0.0
    return float(
        at["growth_level"][i, y]
        + at["growth_persistence"][i] * gap[i]
        + push
        + at["reaction"] * sum(sp.rivals[i, j] * gap[j] for j in range(len(sp.states)))
        + at["gdp_slope"] * sp.gdp[i, y - 1]
    )


def step_density(
    at: Point, sp: SpendingPanel, priors: Priors, threat: np.ndarray | None
) -> tuple[float, int]:
    """Log density of the steps between printed years, and how many there are."""
    growth, scale = growth_known(at, sp), walks(at, sp, priors)[1]
    out, steps = 0.0, 0
    for i in range(len(sp.states)):
        for y in range(1, growth.shape[1]):
            if sp.printed[i, y] and sp.printed[i, y - 1]:
                error = growth[i, y] - expected_growth(at, sp, growth, threat, i, y)
                out += t_logpdf(error, scale[i, y], constant(priors, "growth_df"))
                steps += 1
    return out, steps


def test_growth_steps_follow_threat_rivals_and_income(at: Point, panel: Panel, priors: Priors) -> None:
    expected, steps = step_density(at, panel.spending, priors, threat_of(at, panel))
    assert steps > 400
    assert_allclose(at["growth_steps"], expected, rtol=1e-9)


def test_level_and_scale_are_walks_centred_on_each_states_printed_years(
    at: Point, panel: Panel, priors: Priors
) -> None:
    sp = panel.spending
    level, scale = walks(at, sp, priors)
    assert_allclose(at["growth_level"], level, rtol=1e-9, atol=1e-9)
    assert_allclose(at["growth_scale"], scale, rtol=1e-9)
    # Viet Nam has a gap in its years.
    assert not sp.printed[STATES.index("VNM"), : sp.n_printed].all()
    for i, own in enumerate(sp.printed):
        assert_allclose(at["growth_level"][i, own].mean(), at["growth_mean"][i], atol=1e-9)
        assert_allclose(np.log(at["growth_scale"][i, own]).mean(), np.log(at["growth_noise"][i]), atol=1e-9)
    assert np.ptp(np.log(at["growth_scale"]), axis=1).min() > 0.05


def test_years_ahead_go_on_from_the_revised_print(at: Point, panel: Panel, priors: Priors) -> None:
    sp, threat = panel.spending, threat_of(at, panel)
    growth, scale, n = growth_known(at, sp), walks(at, sp, priors)[1], sp.n_printed
    surprise = at["growth_innovation"] / np.sqrt(at["growth_precision_innovation"])
    for step in range(YEARS_AHEAD):
        column = [
            expected_growth(at, sp, growth, threat, i, n + step) + scale[i, n + step] * surprise[i, step]
            for i in range(len(sp.states))
        ]
        growth = np.column_stack([growth, column])
    assert at["growth"].shape == (len(STATES), 3)
    assert_allclose(at["growth"], growth[:, n:], rtol=1e-9)
    revision = at["forward_revision_innovation"] / np.sqrt(at["forward_revision_precision_innovation"])
    by_state = (at["revision_scale"] * at["revision_state"])[:, None]
    assert_allclose(at["first_print"], growth[:, n:] - by_state * revision, rtol=1e-9)
    newest = at["revision_innovation"] / np.sqrt(at["revision_precision_innovation"])
    assert_allclose(at["revision"], newest * by_state[:, 0], rtol=1e-9)


def test_states_differ_from_their_common_value_on_the_unbounded_scale(at: Point, priors: Priors) -> None:
    pooled = [name for name in ("growth_mean", "growth_persistence") if priors[name].pooling == "partial"]
    for name in pooled:
        steps = priors[name].spread * at[f"{name}_innovation"]
        assert_allclose(at[name], at[f"{name}_common"] + steps)
    steps = priors["growth_noise"].spread * at["growth_noise_innovation"]
    assert_allclose(at["growth_noise"], at["growth_noise_common"] * np.exp(steps))


@pytest.mark.parametrize("df", [3.0, 5.0])
def test_normal_over_root_of_gamma_is_student_t(df: float) -> None:
    with pm.Model(coords={"row": range(100_000)}) as model:
        pm.Deterministic("x", mixed_t("x_part", df, ("row",)))
        drawn = pm.draw(model["x"], random_seed=1, mode=plain())
    assert stats.kstest(drawn, stats.t(df).cdf).pvalue > 0.01
    # The test tells degrees of freedom apart.
    assert stats.kstest(drawn, stats.t(2 * df).cdf).pvalue < 1e-3


def test_revisions_are_students_and_late_ones_rare(at: Point, panel: Panel, priors: Priors) -> None:
    sp, df = panel.spending, constant(priors, "revision_df")
    scale = (at["revision_scale"] * at["revision_state"])[sp.revisions["state"]]
    assert len(scale) > 50
    assert_allclose(at["first_revisions"], t_logpdf(sp.revisions["step"], scale, df).sum(), rtol=1e-9)
    late = sp.late_revisions
    chance = stats.binom.logpmf(late["changed"], late["trials"], at["late_revision_chance"])
    chance -= np.log(comb(late["trials"], late["changed"]))
    assert_allclose(at["late_revisions"], chance.sum(), rtol=1e-9)
    sizes = t_logpdf(late["size"], at["late_revision_size"], df)
    assert_allclose(at["late_sizes"], sizes.sum(), rtol=1e-9)


def announcement_density(at: Point, sp: SpendingPanel, priors: Priors, kind: str) -> tuple[float, int, int]:
    """Log density of budgets or programmes; how many read a printed year, and how many one ahead."""
    rows = sp.budgets if kind == "budget" else sp.programmes
    out, printed, ahead = 0.0, 0, 0
    for k in range(len(rows["state"])):
        i, year = rows["state"][k], sp.years[rows["year"][k]]
        step = year - sp.last_printed - 1
        if step >= YEARS_AHEAD or (step < 0 and np.isnan(rows["first_print"][k])):
            continue
        target = at["first_print"][i, step] if step >= 0 else rows["first_print"][k]
        printed, ahead = printed + (step < 0), ahead + (step >= 0)
        scale = at[f"{kind}_noise"][i]
        if kind == "budget":
            scale = np.hypot(scale * (1 + rows["doubt"][k]), rows["half_width"][k])
        else:
            scale *= at["growth_scale"][i, rows["year"][k]] / at["growth_noise"][i]
        error = rows["value"][k] - target - at[f"{kind}_bias"][i]
        out += t_logpdf(error, scale, constant(priors, "announcement_df"))
    return out, printed, ahead


def test_budgets_of_all_states_read_the_first_print(at: Point, panel: Panel, priors: Priors) -> None:
    expected, printed, ahead = announcement_density(at, panel.spending, priors, "budget")
    assert printed > 100
    assert ahead >= 4
    assert_allclose(at["budgets"], expected, rtol=1e-9)
    # Figures from memory, and of states whose definitions differ, are doubted; some are ranges.
    rows = panel.spending.budgets
    assert {0.0, 0.5, 1.0} <= set(rows["doubt"])
    assert (rows["half_width"] > 0).any()


def test_programmes_read_years_whose_budget_is_still_to_come(at: Point, panel: Panel, priors: Priors) -> None:
    expected, printed, ahead = announcement_density(at, panel.spending, priors, "programme")
    assert printed > 10
    assert ahead >= 1
    assert_allclose(at["programmes"], expected, rtol=1e-9)


@pytest.fixture(scope="module")
def alone(panel: Panel, priors: Priors) -> pm.Model:
    return build_spending_model(panel.spending, priors)


@pytest.fixture(scope="module")
def evaluate(alone: pm.Model) -> Evaluate:
    """One program for every day."""
    return Evaluate(alone)


@pytest.fixture(scope="module")
def point(alone: pm.Model) -> Point:
    drawn = pm.draw(alone.free_RVs, random_seed=8, mode=plain())
    return {str(rv.name): np.asarray(value) for rv, value in zip(alone.free_RVs, drawn, strict=True)}


def given(model: pm.Model, panel: Panel) -> None:
    """Put a panel's data into a model."""
    for name, values in swapped(panel).items():
        if name in model.named_vars:
            model[name].set_value(values)


def test_without_the_latent_nothing_else_changes(
    evaluate: Evaluate, point: Point, panel: Panel, priors: Priors
) -> None:
    given(evaluate.model, panel)
    found = evaluate(point)
    assert_allclose(found["growth_steps"], step_density(found, panel.spending, priors, None)[0], rtol=1e-9)
    for kind in ("budget", "programme"):
        expected = announcement_density(found, panel.spending, priors, kind)[0]
        assert_allclose(found[f"{kind}s"], expected, rtol=1e-9)


def test_what_was_cut_from_a_later_release_has_no_revision_to_come(
    evaluate: Evaluate, point: Point, panel: Panel
) -> None:
    given(evaluate.model, replace(panel, spending=replace(panel.spending, revisable=False)))
    found = evaluate(point)
    assert (found["revision"] == 0).all()
    assert_allclose(found["first_print"], found["growth"])
    given(evaluate.model, panel)
    found = evaluate(point)
    assert (found["revision"] != 0).all()
    assert (found["first_print"] != found["growth"]).all()


@pytest.mark.parametrize(
    ("day", "variant"),
    [*((day, "joint") for day in DAYS), *((day, v) for v in VARIANTS[1:] for day in DAYS[1::2])],
)
def test_swapped_data_of_another_day_are_the_model_of_that_day(
    evaluate: Evaluate,
    point: Point,
    panels: Callable[[str], Panel],
    priors: Priors,
    day: str,
    variant: str,
) -> None:
    other = panels(day)
    other = replace(other, spending=ablated(other.spending, variant))
    given(evaluate.model, other)
    found = evaluate(point)
    built = Evaluate(build_spending_model(other.spending, priors))(point)
    for name in evaluate.names:
        assert_allclose(found[name], built[name], rtol=1e-12, atol=1e-12, err_msg=name)
    assert_allclose(found["growth_steps"], step_density(found, other.spending, priors, None)[0], rtol=1e-9)


def test_years_of_another_day_move_with_its_last_print(
    evaluate: Evaluate, point: Point, panels: Callable[[str], Panel]
) -> None:
    """Swapping matters: at the same parameters each day has its own density and its own years ahead."""
    seen = []
    for day in DAYS:
        given(evaluate.model, panels(day))
        found = evaluate(point)
        seen.append((float(found["growth_steps"]), float(found["growth"][0, 0])))
    assert len(set(seen)) == len(DAYS)


@pytest.mark.parametrize("day", ["2003-04-30", "2014-04-30"])
def test_swapped_data_of_the_whole_model_are_those_of_the_day(
    model: pm.Model, at: Point, panels: Callable[[str], Panel], priors: Priors, day: str
) -> None:
    """Constants of the program stay behind in the counts alone: what their intercepts are centred on."""
    other = panels(day)
    theirs, ours = build_model(other, priors), build_model(panels(DAYS[-1]), priors)
    free = [str(rv.name) for rv in ours.free_RVs]
    assert free == [str(rv.name) for rv in theirs.free_RVs]
    given(ours, other)
    values = []
    for built in (ours, theirs):
        outputs = [built[name] for name in ("eta", "growth", "first_print", *_potentials(built))]
        program = pytensor.function(built.free_RVs, outputs, mode=plain(), on_unused_input="ignore")
        values.append(program(*(at[name] for name in free)))
    for name, here, there in zip(("eta", "growth", "first_print", *_potentials(ours)), *values, strict=True):
        assert_allclose(here, there, rtol=1e-9, err_msg=name)


def _potentials(built: Any) -> list[str]:
    return [str(p.name) for p in built.potentials if p.name != "counts"]
