"""Other priors on a whole run whose posterior stands in for a fit: nothing is sampled."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from escalation_forecast.cli import app
from escalation_forecast.elicit.page import group_of
from escalation_forecast.priors import Priors
from escalation_forecast.questions import draws
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater, power_scaling, update, war
from escalation_forecast.update import refit as refit_module
from escalation_forecast.update.density import log_density
from escalation_forecast.update.likelihood import model_priors
from escalation_forecast.update.moves import moves
from escalation_forecast.update.subjects import SUBJECTS, speaks
from escalation_forecast.update.updater import kind_of
from escalation_forecast.update.weights import smooth
from escalation_forecast.war_paths import war_paths
from whole_run import CHAINS, DRAWS


def changed(updater: Updater, **changes: Any) -> Priors:
    return updater.priors.replace(changes)


def test_nothing_changed_changes_nothing_to_the_last_digit(updater: Updater) -> None:
    for priors in (updater.priors, changed(updater, phi={"reason": "another reason"})):
        found = updater.update(priors)
        stored = {entry["id"]: entry for entry in updater.run.summary["questions"]}
        assert {a.item.id for a in found.answers} == set(stored)
        for answer in found.answers:
            entry = stored[answer.item.id]
            assert answer.after == answer.before
            assert answer.mcse == entry["mcse"]
            if entry["probability"] is not None:
                assert answer.after == entry["probability"]
        assert not found.needs_refit


def test_answers_are_means_weighted_by_the_ratio_of_densities(updater: Updater) -> None:
    new = changed(updater, growth_drift={"parameters": {"mu": -1.6}})
    found = updater.update(new)
    values = updater.draws["growth_drift"]
    ratio = log_density(new["growth_drift"], values) - log_density(updater.priors["growth_drift"], values)
    weights = smooth(ratio.reshape(CHAINS, DRAWS)).values
    assert (found.k, found.needs_refit) == (smooth(ratio.reshape(CHAINS, DRAWS)).k, False)
    for answer in found.answers:
        if answer.item.question.id == "arms-race-annual":
            by_hand = float((weights * draws(answer.item, updater.paths).to_numpy()).sum())
            assert answer.after == pytest.approx(by_hand, abs=1e-12)
            assert answer.way == "reweighted"
            assert answer.after != answer.before


def test_use_of_force_follows_the_pool(updater: Updater) -> None:
    """Weighted chances of the ladder move to where the pool puts them, a quarter of the model's own move."""
    new = changed(updater, ladder_force={"parameters": {"alpha": 2.4}})
    found = updater.update(new)
    assert found.weights is not None
    flat = found.weights.ravel()
    targets = war.new_targets(updater, flat, new)
    state, mean = updater.war, war.mean_hazard(updater.war.own, flat)
    by_hand = war.force_targets(updater.known, state.day, mean, state.history, new, war.load_pool())
    for theatre, wanted in targets.items():
        assert wanted == pytest.approx(by_hand[theatre], abs=1e-9)
    force = war.moved(updater.war.own, targets, flat)
    quiet = np.prod(1.0 - force[:, 0, :12], axis=1)
    assert 1.0 - flat @ quiet == pytest.approx(targets["korea"][12], abs=1e-6)
    answer = found["use-of-force/korea/12m"]
    assert answer.after == pytest.approx(targets["korea"][12], abs=4 * (answer.mcse or 0.0))
    assert found["use-of-force/korea/12m"].after != answer.before


def test_ratios_of_events_have_mean_one(updater: Updater) -> None:
    """Whatever the chances move to, the weights of what was simulated with the old ones add up."""
    targets = {t: {h: 1.15 * p for h, p in wanted.items()} for t, wanted in updater.war.targets.items()}
    force = war.moved(updater.war.own, targets, None)
    clash = np.exp(war.clash_ratio(updater, force))
    assert clash.mean() == pytest.approx(1.0, abs=4 * clash.std() / np.sqrt(CHAINS * DRAWS))
    for item in updater.items:
        if kind_of(item) == "ladder":
            ratio = np.exp(war.ladder_ratio(updater, item, force))
            assert ratio.mean() == pytest.approx(1.0, abs=5 * ratio.std() / np.sqrt(ratio.size))
    same = war.clash_ratio(updater, updater.war.force)
    assert np.all(same == 0.0)


def test_chain_to_war_is_weighted_or_simulated_again(updater: Updater) -> None:
    near = updater.update(changed(updater, war_slope={"parameters": {"mu": -0.8}}))
    assert near["wider-war/war/12m"].way == "reweighted"
    assert near.chain_k is not None
    assert near["arms-race-annual/2026"].way == "unchanged"
    assert near["arms-race-annual/2026"].after == near["arms-race-annual/2026"].before
    assert not near.needs_refit

    new = changed(updater, nuclear_restraint={"parameters": {"mu": -4.0}})
    far = updater.update(new)
    assert far["wider-war/any/12m"].way == "simulated again"
    assert far["wider-war/any/12m"].after < far["wider-war/any/12m"].before  # type: ignore[operator]
    paths = war_paths(war.simulated(updater, new, updater.war.force), updater.posterior)
    paths = paths.assign_attrs(updater.paths.attrs)
    for name in ("wider-war/any/12m", "wider-war/joining/12m"):
        item = far[name].item
        assert far[name].after == pytest.approx(float(draws(item, paths).mean()), abs=1e-6)


def test_constants_of_the_model_need_a_fit(updater: Updater) -> None:
    found = updater.update(changed(updater, growth_df={"parameters": {"value": 6}}), refit="never")
    assert found.needs_refit
    assert "growth_df is a constant of the model" in found.verdict
    assert all(answer.after is None and answer.way == "not known" for answer in found.answers)
    assert found.table()["after"].isna().all()


def test_high_k_leads_to_a_fit(updater: Updater, trace: xr.DataTree, monkeypatch: pytest.MonkeyPatch) -> None:
    far = changed(updater, phi={"parameters": {"alpha": 80, "beta": 60}})
    said = updater.update(far, refit="never")
    assert said.needs_refit
    assert "Fit again" in said.verdict

    asked: list[Any] = []
    monkeypatch.setattr(refit_module, "_program", lambda _, priors: (asked.append(priors), False))
    monkeypatch.setattr(refit_module, "sample", lambda *_: trace)
    made = updater.update(far)
    assert asked == [far]
    assert made.refit is not None
    assert not made.needs_refit
    assert {answer.way for answer in made.answers} == {"refitted"}
    near = updater.update(changed(updater, growth_drift={"parameters": {"mu": -1.75}}))
    assert near.refit is None
    assert len(asked) == 1
    # The same draws with the same priors and seed are the same forecast.
    again = updater.update(updater.priors, refit="always")
    for answer in again.answers:
        assert answer.after == pytest.approx(answer.before, abs=1e-9), answer.item.id


def test_every_prior_is_read_by_the_sampler_or_the_chain_or_is_a_constant(updater: Updater) -> None:
    constants = {name for name, spec in updater.priors.items() if spec.family == "Fixed"}
    sampled = set(model_priors(updater))
    assert set(updater.war.kept) | {war.HAZARD, *war.CHAIN_CONSTANTS} == set(war.CHAIN)
    assert sampled | constants | set(war.CHAIN) == set(updater.priors)
    assert not sampled & set(war.CHAIN)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda u: update(u, u.priors, refit="maybe"), "choose one of never, auto, always"),
        (lambda u: u.update(u.priors)["wider-war/any/12"], "did you mean `wider-war/any/12m`"),
        (lambda u: u.update(Priors({n: s for n, s in u.priors.items() if n != "phi"})), "'phi' is missing"),
        (lambda u: u.sensitivity(questions=["wider-warr"]), "no question `wider-warr`"),
        (lambda u: Updater.of(u.run, store=Store.embedded().as_of("2024-01-31")), "cut at 2024-01-31"),
        (lambda u: Updater.of(u.run.folder.parent), "holds no summary.json"),
    ],
)
def test_hostile_input_gets_a_sentence(updater: Updater, what: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        what(updater)


def test_other_questions_are_noticed(updater: Updater, known: Store) -> None:
    questions = []
    for question in updater.questions:
        if question.id == "arms-race-annual":
            rule = {**question.model_dump(), "params": {**question.params, "threshold": 3.0}}
            question = type(question).model_validate(rule)
        questions.append(question)
    other = Updater.of(updater.run, store=known, questions=questions)
    with pytest.raises(DataError, match="not the one that it gave"):
        _ = other.values


@pytest.fixture
def sensitive(updater: Updater, monkeypatch: pytest.MonkeyPatch) -> power_scaling.Sensitivity:
    """The draws are of the prior, so that no data bear on them: the likelihood is noise."""
    noise = np.random.default_rng(1).normal(0.0, 0.2, (3, CHAINS * DRAWS))
    monkeypatch.setattr(power_scaling, "_likelihood", lambda _, places: noise[:, places])
    return updater.sensitivity()


def test_answers_from_the_prior_alone_are_prior_driven(sensitive: power_scaling.Sensitivity) -> None:
    answers = sensitive.answers
    assert answers["label"].isin(["prior-driven", "neither clearly"]).mean() > 0.9
    assert (answers["likelihood"] == 0.0).mean() > 0.9
    assert (answers["label"] == "prior-driven").sum() > 10
    parameters = sensitive.parameters
    assert parameters.loc["growth_drift", "prior"] > 0.05
    assert (parameters["label"] == "prior-driven").mean() > 0.7


def test_slopes_are_those_of_scaled_weights(updater: Updater) -> None:
    parts = power_scaling.log_priors(updater)
    values = updater.values["wider-war/any/12m"].mean(axis=2, dtype=float).ravel()
    slopes, errors = power_scaling._slopes(values, parts, 1.0)
    step = 1e-4
    for place in np.argsort(-abs(slopes / errors))[:3]:
        weights = np.exp(step * (parts[place] - parts[place].mean()))
        numeric = ((weights @ values) / weights.sum() - values.mean()) / np.log2(1.0 + step)
        assert slopes[place] == pytest.approx(numeric, rel=0.02)


def test_moved_priors_move_what_they_drive(updater: Updater, sensitive: power_scaling.Sensitivity) -> None:
    top = sensitive.top("wider-war/joining/12m", 6)
    assert {"joining_logit", "nuclear_restraint"} & set(top["prior"])
    chain = sensitive.moved[sensitive.moved["prior"].isin(war.CHAIN)].set_index(["id", "prior"])
    assert chain.loc[("wider-war/joining/12m", "joining_logit"), "up"] > 0
    assert (chain.loc[["arms-race-annual/2026"], "largest"] == 0.0).all()
    assert top["largest"].is_monotonic_decreasing
    moved = next(move for move in moves(updater) if move.name == "growth_drift")
    by_hand = (moved.weights.values * updater.values["arms-race-annual/2026"]).sum()
    mine = sensitive.moved.set_index(["id", "prior"]).loc[("arms-race-annual/2026", "growth_drift")]
    stored = updater.stored["arms-race-annual/2026"]["probability"]
    assert mine["mcse"] > 0
    assert mine["up"] == pytest.approx(by_hand - stored, abs=1e-9)
    table = sensitive.markdown(["wider-war/any/12m"])
    assert table.count("\n") == 2
    assert "`wider-war/any/12m`" in table


@pytest.fixture
def command(updater: Updater, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("escalation_forecast.cli.update.read_updater", lambda *_: updater)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, ["priors", *words, "--run", str(updater.run.folder)])


def test_command_shows_what_moves(command: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("[priors.growth_drift]\nparameters = { mu = -1.6 }\n")
    shown = command("update", str(mine))
    assert shown.exit_code == 0, shown.output
    assert "growth_drift" in shown.output
    assert "The draws at hand can tell" in shown.output
    record = json.loads(command("update", str(mine), "--json", "--question", "arms-race-annual").output)
    assert {row["id"].split("/")[0] for row in record["answers"]} == {"arms-race-annual"}
    assert record["needs_refit"] is False
    wrong = command("update", str(mine), "--question", "arms-race-annuall")
    assert (wrong.exit_code, "arms-race-annual" in wrong.output) == (2, True)
    mine.write_text("[priors.grow_drift]\nparameters = { mu = -1.6 }\n")
    assert command("update", str(mine)).exit_code == 2


def test_command_shows_sensitivity(command: Any, sensitive: Any) -> None:
    shown = command("sensitivity", "--question", "wider-war/joining/12m")
    assert shown.exit_code == 0, shown.output
    assert "one sd up" in shown.output
    record = json.loads(command("sensitivity", "--question", "wider-war/joining/12m", "--json").output)
    assert 1 <= len(record["answers"][0]["top"]) <= 5


def test_shows_itself_in_a_notebook(updater: Updater) -> None:
    found = updater.update(changed(updater, growth_drift={"parameters": {"mu": -1.6}}))
    assert "growth_drift" in repr(found)
    assert "<table>" in found._repr_html_()
    assert "Updater of run" in repr(updater)


@pytest.mark.parametrize(
    ("prior", "likelihood", "word"),
    [
        (0.01, 0.2, "data-driven"),
        (0.2, 0.2, "mixed"),
        (0.2, 0.01, "prior-driven"),
        (0.01, 0.01, "neither clearly"),
    ],
)
def test_labels(prior: float, likelihood: float, word: str) -> None:
    assert power_scaling.label(prior, likelihood) == word


def test_bar_is_silent_without_a_terminal() -> None:
    with refit_module._shown(True) as report:
        assert report is None
    told = SimpleNamespace(calls=0)

    def tell(*_: int) -> None:
        told.calls += 1

    with refit_module._shown(tell) as report:
        assert report is tell


def test_a_prior_speaks_to_answers_of_its_subject_theatre_and_states(updater: Updater) -> None:
    item = {one.id: one for one in updater.items}
    force, growth = item["use-of-force/korea/12m"], item["arms-race-annual/2026"]
    assert speaks("ladder_slope[korea]", force)
    assert speaks("phi_global", force)
    assert not speaks("ladder_slope[taiwan]", force)
    assert not speaks("budget_noise[KOR]", force)
    assert speaks("threat_slope[JPN]", growth)
    assert speaks("reaction", growth)
    assert not speaks("threat_slope[VNM]", growth)
    assert not speaks("joining_logit", growth)
    assert speaks("joining_logit", item["wider-war/any/12m"])
    assert speaks("ladder_force[taiwan]", item["wider-war/any/12m"])
    assert not speaks("budget_noise[KOR]", item["wider-war/any/12m"])
    # Every prior of the model has a group that some answer is about.
    subjects = {name for groups in SUBJECTS.values() for name in groups}
    assert {group_of(name) for name in updater.priors} <= subjects


def test_what_moves_an_answer_most_is_of_its_subject(sensitive: power_scaling.Sensitivity) -> None:
    everything = sensitive.moved.assign(clear=True)
    loud = dataclasses.replace(sensitive, moved=everything)
    top = loud.top("arms-race-annual/2026", 400)
    assert len(top) > 20
    assert not [name for name in top["prior"] if "[VNM]" in name or name.startswith("news_")]
    assert len(top) < (everything["id"] == "arms-race-annual/2026").sum()
