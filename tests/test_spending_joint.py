"""The joint model at past origins: what it may know, what its variants lack, foreign states, a real fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal

from escalation_forecast.fit import Settings
from escalation_forecast.model import build_model, swapped
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import STATES, DataError
from escalation_forecast.score import spending_joint
from escalation_forecast.score.spending_cases import (
    KnownSpending,
    known_spending,
    select_origins,
    with_vintages,
)
from escalation_forecast.score.spending_joint import (
    BODIES,
    JointForecaster,
    ablated,
    forecast_draws,
    forecaster,
    panel_of,
)
from escalation_forecast.score.spending_task import VARIANTS, check_draws
from escalation_forecast.spending_block import build_spending_model
from escalation_forecast.store import Store
from prior_fit import Evaluate, draw_posterior, with_values
from vintage_table import foreign_growth, foreign_rows, vintage_file

TINY = Settings(tune=200, draws=200, chains=2, target_accept=0.85)


def at(store: Store, label: str) -> KnownSpending:
    (origin,) = select_origins(store, label)
    return known_spending(store, origin)


@pytest.fixture(scope="module")
def known_2018(whole_store: Store) -> KnownSpending:
    return at(whole_store, "2018")


@pytest.fixture(scope="module")
def panel_2018(known_2018: KnownSpending) -> Panel:
    return panel_of(known_2018)


@pytest.fixture(scope="module")
def foreign(whole_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("foreign")
    return with_vintages(whole_store, vintage_file(folder / "own.csv", foreign_rows()))


@pytest.fixture(scope="module")
def drawn_2018(panel_2018: Panel, priors: Priors) -> xr.Dataset:
    """Draws from the priors in the form of a fit."""
    return draw_posterior(build_spending_model(panel_2018.spending, priors), 2, 20, 4)


def scrambled(store: Store, day: pd.Timestamp) -> Store:
    """The same table with every figure published after a day made up anew."""
    rows = store.observations.copy()
    later = rows["published_at"] > day
    assert later.sum() > 1000
    rng = np.random.default_rng(2)
    for name in ("value", "low", "high"):
        rows.loc[later, name] = rows.loc[later, name] * rng.uniform(1.2, 3.0, later.sum())
    return replace(store, observations=rows)


@pytest.mark.parametrize("label", ["2009p", "2018"])
def test_figures_published_later_change_nothing(whole_store: Store, label: str) -> None:
    known = at(whole_store, label)
    other = at(scrambled(whole_store, known.origin.day), label)
    ours, theirs = swapped(panel_of(known)), swapped(panel_of(other))
    assert list(ours) == list(theirs)
    for name in ours:
        assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_figure_published_a_day_too_early_is_seen(
    whole_store: Store, known_2018: KnownSpending, panel_2018: Panel
) -> None:
    """So the test before can fail: what is known by the day does reach the arrays."""
    other = at(scrambled(whole_store, known_2018.origin.day - pd.Timedelta(days=1)), "2018")
    ours, theirs = (swapped(panel)["spending_growth"] for panel in (panel_2018, panel_of(other)))
    assert (ours != theirs).any()


def test_a_release_that_ends_elsewhere_is_refused(known_2018: KnownSpending) -> None:
    late = replace(known_2018, origin=replace(known_2018.origin, release_year=2019))
    with pytest.raises(DataError, match="At origin 2018 the newest release ends in 2017, not in 2018"):
        panel_of(late)


def test_bodies_have_room_for_those_to_come(panel_2018: Panel) -> None:
    assert len(panel_2018.bodies) == BODIES == len(set(panel_2018.bodies))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_lacks_one_thing(panel_2018: Panel, variant: str) -> None:
    whole = panel_2018.spending
    ours, theirs = whole.arrays(), ablated(whole, variant).arrays()
    changed = {name for name in ours if not np.array_equal(ours[name], theirs[name])}
    announced = {name for name in ours if name.startswith(("budget_", "programme_"))}
    assert (
        changed
        == {
            "joint": set(),
            "joint-no-latent": {"exposure"},
            "joint-no-reaction": {"rivals"},
            "joint-no-budgets": announced,
            "joint-no-revisions": {"revisable"},
        }[variant]
    )
    assert not any(np.any(theirs[name]) for name in changed)


def test_unknown_variant_is_named() -> None:
    with pytest.raises(DataError, match=r"no variant `joint-no-latnet` \(did you mean `joint-no-latent`\?\)"):
        forecaster("joint-no-latnet")


def test_draws_of_a_forecast_are_those_of_the_fit(
    known_2018: KnownSpending, panel_2018: Panel, drawn_2018: xr.Dataset, priors: Priors
) -> None:
    quiet = with_values(drawn_2018, late_revision_chance=0.0)
    sp = panel_2018.spending
    found = forecast_draws(known_2018, sp, quiet, priors, 1)
    assert list(found["state"].values) == list(known_2018.states)
    check_draws(found, known_2018, "joint-no-latent")

    def fit(name: str) -> np.ndarray:
        values = quiet[name].sel(state=list(known_2018.states)).stack(sample=("chain", "draw"))
        return np.asarray(values.transpose("sample", "state", ...).clip(-200, 200))

    assert_allclose(found["first_print"], fit("first_print"), rtol=1e-6, atol=1e-6)
    assert_allclose(found["settled"], fit("growth"), rtol=1e-6, atol=1e-6)
    window = found["window"]
    for h in (1, 2, 3):
        assert_allclose(window.sel(horizon=h, age=0), found["first_print"].sel(horizon=h))
        for age in range(1, min(h, 3)):
            assert_allclose(window.sel(horizon=h, age=age), found["settled"].sel(horizon=h - age))
    # The newest print with its revision, and a year that is settled.
    rows = [sp.states.index(state) for state in known_2018.states]
    newest = sp.growth[rows, sp.n_printed - 1] + fit("revision")
    assert_allclose(window.sel(horizon=1, age=1), newest, rtol=1e-6, atol=1e-6)
    before = np.broadcast_to(sp.growth[rows, sp.n_printed - 2], newest.shape)
    assert_allclose(window.sel(horizon=1, age=2), before, rtol=1e-6, atol=1e-6)


def test_without_revisions_prints_are_the_truth(
    known_2018: KnownSpending, panel_2018: Panel, priors: Priors
) -> None:
    sp = ablated(panel_2018.spending, "joint-no-revisions")
    drawn = with_values(draw_posterior(build_spending_model(sp, priors), 1, 5, 4), late_revision_chance=0.0)
    found = forecast_draws(known_2018, sp, drawn, priors, 1)
    assert_allclose(found["first_print"], found["settled"])


@pytest.mark.parametrize("alone", [True, False])
def test_foreign_states_have_a_density_and_a_forecast(foreign: Store, priors: Priors, alone: bool) -> None:
    known = at(foreign, "2012")
    panel = panel_of(known)
    assert panel.spending.states == ("DEU", "POL")
    model = build_spending_model(panel.spending, priors) if alone else build_model(panel, priors)
    logp = model.compile_fn(model.logp(sum=False), mode="FAST_COMPILE")
    assert all(np.isfinite(term).all() for term in logp(model.initial_point(random_seed=3)))
    found = Evaluate(model).at_prior_draw(seed=2)
    assert np.isfinite(found["growth_steps"])
    assert (found["budgets"], found["programmes"]) == (0, 0)
    if alone:
        drawn = forecast_draws(known, panel.spending, draw_posterior(model, 1, 10, 4), priors, 1)
        assert drawn.sizes == {"sample": 10, "state": 2, "horizon": 3, "age": 3}
        printed = drawn["window"].sel(horizon=1, age=2, state="POL").median()
        assert float(printed) == pytest.approx(foreign_growth("POL")[2010], abs=1e-3)


def test_foreign_and_own_states_answer_their_rivals(whole_store: Store, tmp_path: Path) -> None:
    path = vintage_file(tmp_path / "own.csv", foreign_rows(("POL", "JPN", "CHN")))
    sp = panel_of(at(with_vintages(whole_store, path), "2013")).spending
    assert sp.states == ("CHN", "JPN", "POL")
    assert_allclose(sp.rivals.sum(axis=1), [1, 1, 0])
    assert not set(sp.states) <= set(STATES)


def test_a_table_that_begins_late_has_a_program_with_the_latent(
    whole_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Constants date from a day on which nothing of the table had been published."""

    built = []

    def compiled(model: pm.Model) -> SimpleNamespace:
        built.append(model)
        return SimpleNamespace(data={})

    monkeypatch.setattr("escalation_forecast.compile.compile_model", compiled)
    monkeypatch.setattr(spending_joint, "_PROGRAMS", {})
    late = [row for row in foreign_rows() if row["period_start"] >= "2003"]
    known = at(with_vintages(whole_store, vintage_file(tmp_path / "own.csv", late)), "2013")
    forecaster("joint")._program(known, panel_of(known))
    assert list(built[0].coords["state"]) == ["DEU", "POL"]
    assert "eta" in built[0].named_vars


@pytest.mark.slow
def test_a_fit_to_foreign_states_serves_two_origins_with_one_program(foreign: Store) -> None:
    made = JointForecaster("joint-no-latent", settings=TINY)
    spending_joint._PROGRAMS.clear()
    found = [made(at(foreign, label), seed=1) for label in ("2012", "2013")]
    assert len(spending_joint._PROGRAMS) == 1
    for draws in found:
        assert list(draws["state"].values) == ["DEU", "POL"]
        assert np.isfinite(draws["window"]).all()
        assert draws.attrs["r_hat"] < 1.1
        assert draws.attrs["ess"] > 20
    # Growth of the made-up table is 4 on the mean.
    assert 0 < float(found[0]["settled"].median()) < 8
    again = made(at(foreign, "2012"), seed=1)
    assert_array_equal(again["first_print"], found[0]["first_print"])
