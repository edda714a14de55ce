"""The steps from tension to war: within bounds, rising with tension, and what each prior does."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from escalation_forecast.draws import prior_sample
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.war_chain import (
    JOINERS,
    NATO_DYAD,
    PriorDraws,
    clash_chain,
    dyad_groups,
    joining_chain,
    ongoing_war,
)
from war_case import make_chains

NOW = pd.Timestamp("2026-11-22")


@pytest.fixture(scope="module")
def history() -> History:
    return load_history()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), level=st.floats(-10.0, 10.0), rise=st.floats(0.0, 10.0))
def test_war_and_joining_rise_with_tension_and_stay_chances(seed: int, level: float, rise: float) -> None:
    chains = make_chains(n=6, months=4, seed=seed)
    clash, joining = chains.clash, chains.joining
    assert joining is not None
    draw = np.arange(6)
    for dyad in range(len(clash.dyads)):
        low, high = (clash.war_chance(np.full(6, dyad), draw, np.full(6, x)) for x in (level, level + rise))
        assert np.all((low >= 0) & (high <= 1) & (low <= high))
    for moved in [*np.eye(len(THEATRES) + 1), np.ones(len(THEATRES) + 1)]:
        calm = np.full(chains.latents.shape, level)
        tense = calm + rise * moved[None, :, None]
        low, high = joining.joins(calm), joining.joins(tense)
        assert np.isfinite(high).all()
        assert np.all((low >= 0) & (high <= 1) & (low <= high + 1e-15))


def test_a_clash_becomes_a_war_at_its_logit_times_the_restraint() -> None:
    chain = make_chains(n=5, seed=3).clash
    draw, dyad, risk = np.arange(5), np.full(5, len(chain.dyads) - 1), np.linspace(-2, 2, 5)
    restraint = chain.restraint[:, -1]
    assert np.all(restraint != 1.0)
    plain = 1.0 / (1.0 + np.exp(-chain.war - chain.slope * risk))
    assert_allclose(chain.war_chance(dyad, draw, risk), np.minimum(plain * restraint, 1.0), rtol=1e-12)
    assert_allclose(chain.war_chance(0 * dyad, draw, risk), plain, rtol=1e-12)


def test_the_steps_of_a_joiner_multiply_at_the_tension_of_the_war_so_far() -> None:
    chain = make_chains(n=5, months=3, seed=1).joining
    assert chain is not None
    steady = np.repeat(chain.since[:, :, None], 3, axis=2)
    anybody = chain.anybody(3)
    expected = 1.0 - (1.0 - anybody[:, None]) ** chain.restrained[:, :, None]
    assert_allclose(chain.joins(steady), expected, rtol=1e-9)
    # Named or not, with no restraint all joiners together are anybody.
    alone = dataclasses.replace(chain, restrained=np.eye(1, len(JOINERS)).repeat(5, axis=0))
    assert_allclose(alone.joins(steady)[:, 0], anybody, rtol=1e-9)


def test_an_older_war_is_read_at_its_age() -> None:
    chain = make_chains(n=5, months=3, seed=2).joining
    assert chain is not None
    first = 1.0 / (1.0 + np.exp(-chain.logit - chain.by_age * np.log(59.0 / 58.0)))
    assert_allclose(chain.anybody(1)[:, 0], first, rtol=1e-12)


def test_power_of_a_prior_widens_it_and_leaves_its_centre(priors: Priors) -> None:
    rng = np.random.default_rng(0)
    spec = priors["joining_logit"]
    full, half = (prior_sample(rng, spec, 60_000, power=a) for a in (1.0, 0.25))
    assert_allclose(half.std() / full.std(), 2.0, rtol=0.03)
    assert_allclose(half.mean(), full.mean(), atol=0.03 * half.std())
    counts = priors["war_given_fatal"]
    exact = prior_sample(rng, counts, 60_000, power=0.25)
    a, b = (0.25 * float(counts.array(k)) for k in ("alpha", "beta"))
    assert_allclose(exact.mean(), a / (a + b), rtol=0.03)
    with pytest.raises(DataError, match="nuclear_restraint"):
        prior_sample(rng, priors["nuclear_restraint"], 5, power=0.5)


@pytest.mark.parametrize(
    ("loosen", "name"), [("discount", "nuclear_restraint"), ("slope", "war_slope"), ("base", "joining_logit")]
)
def test_loosening_widens_one_kind_of_prior_and_keeps_the_numbers_of_the_others(
    loosen: Any, name: str, priors: Priors
) -> None:
    plain, loose = PriorDraws(priors, 4000, 3), PriorDraws(priors, 4000, 3, loosen)
    others = {"nuclear_restraint", "war_slope", "joining_own", "joining_logit"} - {name}
    if loosen == "slope":
        others -= {"joining_own"}
    for other in others:
        assert_allclose(loose(other), plain(other))
    transform = np.asarray if loosen == "base" else np.log
    spread = np.std(transform(loose(name))) / np.std(transform(plain(name)))
    assert_allclose(spread, np.sqrt(2.0) if loosen == "base" else 2.0, rtol=1e-6)
    assert_allclose(np.median(loose(name)), np.median(plain(name)), rtol=0.05)


def test_dyads_of_russia_with_nato_are_one_and_shares_add_to_one(history: History, priors: Priors) -> None:
    groups = dyad_groups(history)
    assert "RUS-UKR" not in groups
    assert {label for label, group in groups.items() if group == NATO_DYAD} >= {"RUS-POL", "RUS-USA"}
    chain = clash_chain(PriorDraws(priors, 50, 1), history, NOW)
    assert chain.dyads.count(NATO_DYAD) == 1
    for k in range(len(THEATRES)):
        assert_allclose(chain.share[:, chain.theatre == k].sum(axis=1), 1.0)
    restrained = {d for d, column in zip(chain.dyads, chain.restraint.T, strict=True) if np.any(column != 1)}
    assert restrained == {NATO_DYAD, "CHN-USA", "USA-PRK"}


def test_before_its_test_north_korea_is_not_restrained(history: History, priors: Priors) -> None:
    chain = clash_chain(PriorDraws(priors, 5, 1), history, pd.Timestamp("2005-06-30"))
    assert np.all(chain.restraint[:, chain.dyads.index("USA-PRK")] == 1.0)


def test_belligerents_are_those_of_the_day(history: History) -> None:
    assert ongoing_war(history, pd.Timestamp("2022-01-31")) is None
    early, late = (ongoing_war(history, pd.Timestamp(day)) for day in ("2023-01-31", "2025-01-31"))
    assert early is not None
    assert late is not None
    assert set(early.belligerents) == {"RUS", "UKR"}
    assert set(late.belligerents) == {"RUS", "UKR", "PRK"}
    assert late.start == pd.Timestamp("2022-02-24")


def test_nuclear_discount_and_shares_of_joiners(history: History, priors: Priors) -> None:
    war = ongoing_war(history, NOW)
    assert war is not None
    chain = joining_chain(PriorDraws(priors, 400, 2), history, war, NOW, np.zeros((400, 6)))
    assert chain.age == 56
    share = dict(zip(JOINERS, chain.share.mean(axis=0), strict=True))
    assert 0.2 < sum(share.values()) < 1.0
    assert share["NATO"] > share["USA"] > 0
    left = chain.restrained / chain.share
    # China would fight beside Russia, where no nuclear power is opposed.
    assert_allclose(left[:, JOINERS.index("CHN")], 1.0)
    assert np.median(left[:, JOINERS.index("USA")]) == pytest.approx(0.4, rel=0.1)


def test_yearly_chance_of_war_under_the_priors_is_one_that_could_be_believed(
    history: History, priors: Priors
) -> None:
    """Prior predictive: 0.0005 to 0.05 a year in each theatre, over the stationary path of tension."""
    n = 4000
    draws = PriorDraws(priors, n, 5)
    chain = clash_chain(draws, history, NOW)
    rng = np.random.default_rng(6)
    coords = {"theatre": list(THEATRES)}
    any_, force_, slope = (draws(name, coords) for name in ("ladder_any", "ladder_force", "ladder_slope"))
    risk = rng.standard_t(5, size=(n, len(THEATRES))) * np.sqrt(3 / 5)
    rate = any_ * force_
    force = 1.0 / (1.0 + np.exp(-np.log(rate / (1 - rate)) - slope * risk))
    every = np.arange(n)
    for k, theatre in enumerate(THEATRES):
        here = np.flatnonzero(chain.theatre == k)
        war = sum(
            chain.share[:, d] * chain.war_chance(np.full(n, d), every, risk[:, k]) for d in here.tolist()
        )
        yearly = 1.0 - (1.0 - force[:, k] * chain.fatal[:, k] * war) ** 12
        assert 0.0005 < yearly.mean() < 0.05, theatre
