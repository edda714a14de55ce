"""Hazard of joining with war effects, who joins, the scores, and the priors that they leave."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.special import expit, logsumexp
from scipy.stats import norm

from escalation_forecast.history import hazard as hz
from escalation_forecast.history.choice import Choices, choices, fit_choice, model, shares
from escalation_forecast.history.joining import (
    BELLIGERENTS,
    REFERENCE_DAY,
    choice_priors,
    fit_hazards,
    fit_months,
    hazard_priors,
    reference,
)
from escalation_forecast.history.joining_scores import (
    HAZARD,
    age_band,
    hazard_by_age,
    leave_one_out,
    log_score,
    predict,
    score_tables,
)
from escalation_forecast.history.sampling import sample_small
from escalation_forecast.history.stored import read_stored
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.history.ties import TIES, candidates, ties
from escalation_forecast.history.wars import SETS, war_months
from escalation_forecast.schema import DataError


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


def simulated(n_wars: int, seed: int, spread: float = 0.8) -> tuple[pd.DataFrame, np.ndarray]:
    """Months of made-up wars, and the parameters: intercept, age, present, major, era, log spread."""
    rng = np.random.default_rng(seed)
    truth = np.array([-2.5, -0.8, 0.7, 0.5, 0.3, np.log(spread)])
    parts = []
    for war in range(n_wars):
        age = np.arange(int(rng.integers(4, 60)))
        flags = rng.integers(0, 2, 2)
        parts.append(
            pd.DataFrame(
                {
                    "war": war, "age": age, "present": int(rng.integers(2, 8)), "major": flags[0],
                    "year": 1900 + 80 * flags[1], "recent": 0, "joined": 0, "participants": 2,
                    "ends": (age == age[-1]).astype(int),
                }
            )
        )  # fmt: skip
    months = pd.concat(parts, ignore_index=True)
    effect = spread * rng.standard_normal(n_wars)
    chance = expit(hz.design(months) @ truth[:-1] + effect[months["war"]])
    return months.assign(joined=(rng.random(len(months)) < chance).astype(int)), truth


# --- the likelihood


def test_effect_of_a_war_is_integrated_out() -> None:
    months, theta = simulated(3, seed=4)
    hazard = hz.Hazard.of(months, "joined")
    logits = hazard.X @ theta[:-1]
    sign = 2 * hazard.y - 1

    def density(z: float, rows: np.ndarray) -> float:
        return float(norm.pdf(z) * np.prod(expit(sign[rows] * (logits[rows] + np.exp(theta[-1]) * z))))

    exact = [np.log(quad(density, -8, 8, args=(hazard.war == war,))[0]) for war in range(3)]
    np.testing.assert_allclose(hz.by_war(hazard, theta), exact, atol=5e-3)


@pytest.mark.parametrize("effects", [True, False])
def test_gradient_is_that_of_the_likelihood(effects: bool) -> None:
    months, truth = simulated(12, seed=5)
    hazard = hz.Hazard.of(months, "joined", effects=effects)
    theta = truth[: hazard.n_parameters] + 0.1
    error = check_grad(
        lambda t: hz.by_war(hazard, t).sum(), lambda t: hz.with_gradient(hazard, t)[1].sum(axis=0), theta
    )
    assert error < 1e-3


def test_posterior_finds_the_parameters_of_made_up_wars() -> None:
    months, truth = simulated(200, seed=6)
    found = hz.posterior(hz.Hazard.of(months, "joined"))
    weights = np.exp(found.log_weights)
    mean = weights @ found.draws
    sd = np.sqrt(weights @ (found.draws - mean) ** 2)
    assert found.effective > 500
    assert (np.abs(mean - truth) < 3 * sd).all()
    assert (sd[1:-1] < 0.3).all()


# --- leaving a war out


def test_war_left_out_does_not_inform_its_own_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hz, "DRAWS", 200)
    months, _ = simulated(7, seed=7)
    changed = months.copy()
    out = changed["war"] == 3
    changed.loc[out, "joined"] = 1 - changed.loc[out, "joined"]
    before, after = (predict(frame, refit_below=1.0).monthly for frame in (months, changed))
    first = (out & (months["age"] == 0)).to_numpy()
    np.testing.assert_allclose(after[first], before[first], rtol=1e-5)
    others = (~out & (months["age"] == 0)).to_numpy()
    assert np.abs(after[others] / before[others] - 1).min() > 1e-3


def test_weights_agree_with_a_proposal_made_without_the_war() -> None:
    months, _ = simulated(8, seed=8)
    quick, exact = predict(months).monthly, predict(months, refit_below=1.0).monthly
    np.testing.assert_allclose(quick, exact, rtol=0.1)


def test_own_months_inform_later_ones() -> None:
    months, _ = simulated(40, seed=9)
    hazard = hz.Hazard.of(months, "joined")
    known = hz.posterior(hazard)
    quiet = dataclasses.replace(hazard, y=np.zeros_like(hazard.y))
    busy = dataclasses.replace(hazard, y=np.where(months["age"] < 3, 1.0, 0.0))
    war = int(months.groupby("war").size().idxmax())
    p_quiet, p_busy = hz.sequential(quiet, war, known)[0], hz.sequential(busy, war, known)[0]
    assert p_quiet[0] == pytest.approx(p_busy[0])
    assert (p_busy[3:10] > 1.2 * p_quiet[3:10]).all()


def test_sequential_chances_multiply_to_the_likelihood_of_the_war() -> None:
    months, _ = simulated(20, seed=10)
    hazard = hz.Hazard.of(months, "joined")
    war, known = next(iter(hz.left_out(hazard)))
    p, _ = hz.sequential(hazard, war, known)
    y = hazard.y[hazard.war == war]
    whole = logsumexp(known.log_weights + [hz.by_war(hazard, draw)[war] for draw in known.draws])
    assert np.log(np.where(y == 1, p, 1 - p)).sum() == pytest.approx(whole)


# --- scores on the real wars


def test_scores_of_simple_methods_and_bars_of_the_hazard(history: History) -> None:
    pytest.importorskip("sklearn")
    monthly, window = score_tables(history, ("gml_1946",))
    for table in (monthly, window):
        known = table.dropna(subset="reference")
        np.testing.assert_allclose(known["score"], known["reference"], atol=2e-5)
    found = monthly.set_index("method")
    assert found.loc[HAZARD, "score"] <= 0.161
    assert found.loc[["age_band", "logit_logage_nbel_maj"], "gain_se"].tolist() == pytest.approx(
        [14.63062, 17.23944], abs=1e-3
    )
    assert window.set_index("method").loc[HAZARD, "score"] < 0.46193


def test_bars_on_the_inter_state_wars(history: History) -> None:
    months = war_months(history, SETS["cow"])
    chances = predict(months)
    assert chances.effective > 100
    y = months["joined"].to_numpy(float)
    assert log_score(y, chances.monthly).mean() <= 0.108
    assert log_score(y, leave_one_out(months, age_band)).mean() == pytest.approx(0.11890, abs=1e-5)
    assert len(chances.window) == 232


@pytest.mark.slow
def test_all_scores(history: History) -> None:
    monthly, window = score_tables(history)
    for table in (monthly, window):
        known = table.dropna(subset="reference")
        # The independent code takes great powers a little differently in two of the sets.
        np.testing.assert_allclose(known["score"], known["reference"], atol=2e-3)
        wide = table.pivot(index="set", columns="method", values="score")
        assert (wide[HAZARD] < wide.drop(columns=HAZARD).min(axis=1)).all()
    assert window[(window["set"] == "cow") & (window["method"] == HAZARD)]["score"].item() <= 0.343


def test_hazard_falls_with_age_in_every_coding(history: History) -> None:
    for wars in SETS.values():
        table = hazard_by_age(war_months(history, wars)).set_index("age")["hazard"]
        assert table["24+"] < table["1-5"]


# --- ties and candidates


def test_candidates_of_the_present_war(history: History) -> None:
    frame = candidates(history, REFERENCE_DAY, BELLIGERENTS)
    assert not set(BELLIGERENTS) & set(frame.index)
    assert frame.loc["POL"].tolist() == [1, 0, 0, 0, 0, 1, 1]
    assert frame.loc["BLR"].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert frame.loc["USA"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert frame.loc["CHN"].tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert frame.loc["KOR"].tolist() == [1, 0, 0, 0, 1, 1, 0]
    assert frame.loc["SWE", "nato"] == 1
    assert {"BRA", "AUS", "ZAF"}.isdisjoint(frame.index)


def test_pact_and_membership_hold_from_their_day(history: History) -> None:
    sides = ["RUS", "UKR"]
    before, after = (candidates(history, pd.Timestamp(day), sides) for day in ("2024-03-01", "2024-07-01"))
    assert (before.loc["PRK", "defence_pact"], after.loc["PRK", "defence_pact"]) == (0, 1)
    assert (before.loc["PRK", "against_nuclear"], after.loc["PRK", "against_nuclear"]) == (1, 0)
    assert (before.loc["SWE", "nato"], after.loc["SWE", "nato"]) == (0, 1)


def test_nobody_is_against_nuclear_weapons_where_no_belligerent_has_any(history: History) -> None:
    frame = candidates(history, pd.Timestamp("1998-06-01"), ["ETH", "ERI"])
    assert len(frame) > 5
    assert frame["against_nuclear"].sum() == 0


def test_unknown_belligerent_is_named(history: History) -> None:
    with pytest.raises(DataError, match=r"Belligerent `RUZ` is no state on 2026-11-22 \(did you mean `RUS`"):
        candidates(history, REFERENCE_DAY, ["RUZ", "UKR"])


def test_border_of_the_day_decides(history: History) -> None:
    cold_war = ties(history, pd.Timestamp("1980-01-01"), [365])
    assert cold_war.loc[290, "land_border"] == 1  # Poland and the Soviet Union
    assert 369 not in cold_war.index  # no Ukraine yet


# --- the choice


def test_joiner_is_in_its_choice_set_and_belligerents_are_not(history: History) -> None:
    data = choices(history)
    assert data.covered == len(data.chosen) == 172
    assert (data.uncovered, data.outside) == (70, 31)
    assert data.there[np.arange(data.covered), data.chosen].all()
    assert data.weight.sum() == pytest.approx(172 / 3)


def made_up_choices(weights: np.ndarray, n: int, seed: int) -> Choices:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (n, 12, len(TIES))).astype(float)
    x[..., 2] = x[..., 0] * x[..., 1]
    there = np.arange(12) < rng.integers(4, 13, n)[:, None]
    x[~there] = 0
    score = np.where(there, x @ weights + rng.gumbel(size=(n, 12)), -np.inf)
    return Choices(x, there, score.argmax(axis=1), np.ones(n), n, 0, 0)


def test_likelihood_of_the_choice_is_the_logarithm_of_the_share() -> None:
    weights = np.array([0.5, 1.0, -0.3, 0.8, 1.2])
    data = made_up_choices(weights, 30, seed=2)
    built = model(data)
    prior = norm.logpdf(weights, 0, 1.5).sum()
    found = built.compile_logp()({"joining_ties": weights}) - prior
    expected = 0.0
    for x, there, chosen in zip(data.ties, data.there, data.chosen, strict=True):
        share = shares(pd.DataFrame(x[there], columns=list(TIES)), weights)
        expected += np.log(share.iloc[chosen])
    assert found == pytest.approx(expected)


@pytest.mark.slow
def test_weights_of_made_up_choices_are_recovered() -> None:
    weights = np.array([0.5, 1.0, -0.3, 0.8, 1.2])
    posterior, _ = sample_small(model(made_up_choices(weights, 600, seed=3)))
    draws = posterior["joining_ties"]
    mean, sd = draws.mean(("chain", "draw")).to_numpy(), draws.std(("chain", "draw")).to_numpy()
    assert (np.abs(mean - weights) < 3 * sd).all()
    assert (sd < 0.3).all()


# --- the priors


def test_stored_priors_are_stated_for_the_war_as_it_stands(history: History) -> None:
    stored, at = read_stored(), reference(fit_months(history)).iloc[0]
    assert (at["age"], at["present"], at["major"]) == (56, 3, 1)
    assert int((REFERENCE_DAY - pd.Timestamp("2022-02-24")).days // 30.4375) == 56
    assert stored.priors["joining_reference_age"].array("value") == 56
    assert tuple(stored.priors["joining_ties"].labels["tie"]) == TIES
    assert stored.fits["joining"].events == fit_months(history)["joined"].sum()
    chance = expit(stored.priors["joining_logit"].array("mu"))
    assert 0.002 < chance < 0.03


@pytest.mark.slow
def test_stored_hazards_are_the_posterior_and_agree_with_quadrature(history: History) -> None:
    fitted, stored = hazard_priors(history), read_stored()
    for spec in fitted.specs:
        for key, value in spec.parameters.items():
            assert stored.priors[spec.name].array(key) == pytest.approx(value, rel=0.02)
    fit = fit_hazards(history)
    known = hz.posterior(hz.Hazard.of(fit.months, "joined"))
    mean = np.exp(known.log_weights) @ known.draws
    sampled = [*fit.joining["coefficients"].mean(("chain", "draw")).to_numpy()]
    np.testing.assert_allclose(mean[:-1], sampled, atol=0.1)


@pytest.mark.slow
def test_stored_ties_are_the_posterior(history: History) -> None:
    (spec,) = choice_priors(history).specs
    draws = fit_choice(history)[0]["joining_ties"]
    stored = read_stored().priors["joining_ties"]
    for key, value in (("mu", draws.mean(("chain", "draw"))), ("sigma", draws.std(("chain", "draw")))):
        np.testing.assert_allclose(spec.array(key), value, rtol=1e-6)
        np.testing.assert_allclose(stored.array(key), value, rtol=1e-3)
