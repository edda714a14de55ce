"""The account of where a probability of war comes from, and how it is printed."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from rich.console import Console
from typer.testing import CliRunner

from escalation_forecast.cli import app
from escalation_forecast.history.tables import load_history
from escalation_forecast.priors import Priors
from escalation_forecast.question_file import load_questions
from escalation_forecast.questions import Answer, evaluate
from escalation_forecast.report.war_text import one_in, print_war
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.force_targets import force_targets
from escalation_forecast.score.ladder_cases import HORIZONS
from escalation_forecast.score.ladder_pool import Pool, load_pool
from escalation_forecast.store import Store
from escalation_forecast.war_paths import Chains
from escalation_forecast.war_summary import joining_steps, label, prior_shares, theatre_steps, war_findings
from war_case import make_chains, simulated

QUESTIONS = [
    q for q in load_questions() if q.id in ("wider-war", "interstate-war", "war-joining", "fatal-clash")
]


@pytest.fixture(scope="module")
def chains() -> Chains:
    return make_chains(n=400, months=36, seed=7)


@pytest.fixture(scope="module")
def paths(chains: Chains) -> xr.Dataset:
    return simulated(chains)


@pytest.fixture(scope="module")
def answers(paths: xr.Dataset) -> list[Answer]:
    return evaluate(QUESTIONS, paths, Store.embedded().as_of("2026-11-22"))


def test_steps_lead_from_force_to_war(chains: Chains, paths: xr.Dataset) -> None:
    for step in theatre_steps(chains, paths):
        assert step["months"] == 12
        assert step["force"] >= step["fatal"] >= step["material"] >= step["war"] > 0
        # Several clashes in a year, and draws that have both more of them and riskier ones, make it more
        # than the product of the two; months that open no episode make it less.
        assert 0.6 < step["war"] / (step["fatal"] * step["war_given_fatal"]) < 1.8, step["theatre"]


def test_joining_is_the_share_and_the_restraint_of_anybody(chains: Chains, paths: xr.Dataset) -> None:
    steps = joining_steps(chains, paths)
    assert steps is not None
    assert 0 < steps["joins"] < steps["anybody"] < 1
    assert chains.joining is not None
    calm = dataclasses.replace(chains, latents=np.repeat(chains.joining.since[:, :, None], 36, axis=2))
    still = joining_steps(calm, simulated(calm))
    assert still is not None
    expected = still["anybody"] * still["share"] * still["restraint"]
    assert still["joins"] == pytest.approx(expected, rel=0.25)
    assert joining_steps(dataclasses.replace(chains, joining=None), paths) is None


def test_prior_share_is_the_probability_with_a_prior_loosened(
    answers: list[Answer], chains: Chains, paths: xr.Dataset
) -> None:
    other = simulated(dataclasses.replace(chains, force=np.minimum(1.5 * chains.force, 0.99)))
    found = prior_shares(answers, lambda name: other if name == "slope" else paths)
    assert set(found) == {answer.item.id for answer in answers}
    for answer in answers:
        share = found[answer.item.id]
        assert share["discount"] == share["base"] == pytest.approx(answer.probability)
        if answer.item.id.startswith("interstate-war") and answer.probability:
            assert share["slope"] > answer.probability
            assert share["change"] == pytest.approx(share["slope"] / answer.probability - 1)
    assert prior_shares([], lambda _: paths) == {}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (0.0, "data-driven"),
        (0.09, "data-driven"),
        (0.2, "mixed"),
        (0.5, "prior-driven"),
        (None, "prior-driven"),
    ],
)
def test_label_of_a_change(change: float | None, word: str) -> None:
    assert label(change) == word


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "1 in 2"), (0.025, "1 in 40"), (0.00061, "1 in 1,600"), (0.7, ""), (0.0, ""), (None, "")],
)
def test_one_in(p: float | None, text: str) -> None:
    assert one_in(p) == text


def test_printed_table_has_routes_horizons_and_every_reason(
    answers: list[Answer], chains: Chains, paths: xr.Dataset
) -> None:
    shares = prior_shares(answers, lambda _: paths)
    summary = {
        "questions": [a.as_dict() | {"prior_share": shares[a.item.id]} for a in answers],
        "war": war_findings(chains, paths),
    }
    screen = io.StringIO()
    print_war(summary, Console(file=screen, width=150))
    text = screen.getvalue()
    pieces = (
        "The war widens (any route)",
        "36 months",
        "1 in ",
        "RUS-NATO war",
        "NATO joins the war",
        "KOR-PRK deadly clash, 25 deaths",
        "of 62 years",
        "data-driven",
        "Monte Carlo error: at most ± ",
        "Joining, 12 months",
        "Taiwan Strait",
    )
    for piece in pieces:
        assert piece in text, piece
    print_war({"questions": [], "war": None}, Console(file=screen))
    assert screen.getvalue() == text


def test_targets_of_force_are_the_pool_of_the_models_ladder_and_the_simple_methods() -> None:
    day, history, store = pd.Timestamp("2026-11-22"), load_history(), Store.embedded()
    force = np.full((10, len(THEATRES), 12), 0.1)
    found = force_targets(store, day, force, history, Priors.default(), load_pool())
    assert set(found) == set(THEATRES)
    for by_horizon in found.values():
        values = [by_horizon[h] for h in HORIZONS]
        assert values == sorted(values)
        assert 0 < values[0] < values[-1] < 1
    names = load_pool().weights.columns
    alone = pd.DataFrame(0.0, index=load_pool().weights.index, columns=names)
    alone["joint_model"] = 1.0
    own = force_targets(store, day, force, history, Priors.default(), Pool(alone, {}))
    assert_allclose(own["korea"][12], 1 - 0.9**12, rtol=1e-9)
    early = pd.Timestamp("1999-12-31")
    assert force_targets(store, early, force, history, Priors.default(), load_pool()) == {}


@pytest.mark.parametrize("day", ["2003-06-30", "2012-06-30", "2016-06-30"])
def test_targets_of_a_past_day_know_nothing_later(day: str) -> None:
    as_of, history, store = pd.Timestamp(day), load_history(), Store.embedded()
    later = history.clashes["published_at"] > as_of
    other = dataclasses.replace(history, clashes=history.clashes[~later])
    force = np.full((10, len(THEATRES), 12), 0.1)
    found, again = (
        force_targets(store, as_of, force, h, Priors.default(), load_pool()) for h in (history, other)
    )
    assert found == again
    assert set(found) == set(THEATRES)


def test_belief_about_a_pair_moves_the_chance_of_force_in_its_theatre() -> None:
    day, history, store = pd.Timestamp("2026-11-22"), load_history(), Store.embedded()
    force = np.full((10, len(THEATRES), 12), 0.1)
    mine = Priors.default().override({"dyad_force_logit": {"parameters": {"mu": {"CHN-TWN": 0.0}}}})
    before, after = (
        force_targets(store, day, force, history, p, load_pool()) for p in (Priors.default(), mine)
    )
    assert after["taiwan"][12] > before["taiwan"][12] + 0.02
    # The expected number of onsets in all theatres sets how many months of force one stands for.
    assert after["korea"][12] == pytest.approx(before["korea"][12], rel=0.02)


def test_sheet_of_the_question_has_edge_cases_source_and_fallback() -> None:
    done = CliRunner().invoke(app, ["questions", "show", "wider-war"])
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    pieces = (
        "edge cases",
        "North Korea is a belligerent already",
        "Belarus",
        "Taiwan is a state for the purpose",
        "fallback",
        "UCDP/PRIO",
        "Combat is fire",
    )
    for piece in pieces:
        assert piece in text, piece
