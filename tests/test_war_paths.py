"""Simulated clashes and joiners against what the chain says they should be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from escalation_forecast.draws import Draws
from escalation_forecast.indicator_paths import force_chance
from escalation_forecast.war_chain import JOINERS
from escalation_forecast.war_paths import (
    FATAL,
    FUTURES,
    MATERIAL,
    WAR,
    Chains,
    simulate_clashes,
    simulate_joining,
    tilt,
    war_paths,
)
from war_case import DYADS, OF, make_chains, simulated


@pytest.fixture(scope="module")
def chains() -> Chains:
    return make_chains(n=400, months=12, seed=4)


def test_clashes_come_as_often_as_force_is_deadly(chains: Chains) -> None:
    clash = simulate_clashes(chains, 200, np.random.default_rng(1))
    seen = (clash > 0).reshape(400, 200, len(DYADS), 12).mean(axis=(0, 1))
    expected = ((chains.force * chains.clash.fatal[:, :, None])[:, OF] * chains.clash.share[:, :, None]).mean(
        axis=0
    )
    assert_allclose(seen, expected, atol=4 * np.sqrt(expected.max() / 80_000))


def test_clashes_that_open_an_episode_become_wars_and_cost_lives_at_their_rates(chains: Chains) -> None:
    clash = simulate_clashes(chains, 400, np.random.default_rng(2))[..., 0]
    fatal = np.argwhere(clash > 0)
    draw, dyad = fatal[:, 0] // 400, fatal[:, 1]
    opens, risk = chains.clash.opens[draw], chains.latents[draw, OF[dyad], 0]
    war = chains.clash.war_chance(dyad, draw, risk)
    level = clash[fatal[:, 0], dyad]
    assert_allclose((level == WAR).mean(), (opens * war).mean(), rtol=0.05)
    lives = war + (1 - war) * chains.clash.material[draw]
    assert_allclose((level >= MATERIAL).mean(), (opens * lives).mean(), rtol=0.05)


def test_a_month_that_opens_no_episode_is_only_deadly() -> None:
    chains = make_chains(n=50, months=24, seed=5, force=0.9)
    going_on = dataclasses.replace(chains.clash, opens=np.zeros(50))
    clash = simulate_clashes(dataclasses.replace(chains, clash=going_on), 20, np.random.default_rng(3))
    assert set(np.unique(clash)) == {0, FATAL}


def test_joiners_enter_once_and_never_after_the_war(chains: Chains) -> None:
    assert chains.joining is not None
    sure = dataclasses.replace(
        chains.joining, logit=np.full(400, 8.0), restrained=np.ones((400, len(JOINERS))),
        own=np.zeros(400), world=np.zeros(400), by_age=np.zeros(400),
    )  # fmt: skip
    joined = simulate_joining(sure, chains.latents, 3, np.random.default_rng(4))
    assert joined.sum(axis=2).max() == 1
    over = dataclasses.replace(chains.joining, end=np.full(400, 50.0), end_by_age=np.zeros(400))
    late = simulate_joining(over, chains.latents, 50, np.random.default_rng(5))
    assert late[..., 0].any()
    assert not late[..., 1:].any()


def test_joiners_come_at_their_chance(chains: Chains) -> None:
    assert chains.joining is not None
    joined = simulate_joining(chains.joining, chains.latents, 400, np.random.default_rng(6))[..., 0]
    expected = chains.joining.joins(chains.latents)[..., 0].mean(axis=0)
    assert_allclose(joined.mean(axis=0), expected, atol=4 * np.sqrt(expected.max() / joined.shape[0]))


def test_every_draw_has_several_futures_and_the_seed_decides_them(chains: Chains) -> None:
    paths, again = simulated(chains), simulated(chains)
    assert paths.sizes["chain"] * paths.sizes["draw"] * paths.sizes["future"] >= FUTURES
    xr.testing.assert_identical(paths, again)
    other = simulated(dataclasses.replace(chains, seed=99))
    assert not other["clash"].equals(paths["clash"])
    assert paths["clash"].dtype == paths["joined"].dtype == np.uint8


def test_without_a_war_nobody_joins(chains: Chains) -> None:
    posterior = xr.Dataset(coords={"chain": range(2), "draw": range(200)})
    assert "joined" not in war_paths(dataclasses.replace(chains, joining=None), posterior)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    steps=st.lists(st.floats(0.02, 0.3), min_size=4, max_size=4),
)
def test_tilt_meets_its_targets_and_keeps_the_order_of_draws(seed: int, steps: list[float]) -> None:
    force = np.random.default_rng(seed).beta(2, 8, size=(60, 36))
    horizons = (1, 3, 6, 12)
    targets = dict(zip(horizons, 1.0 - np.cumprod(1.0 - np.array(steps)), strict=True))
    moved = tilt(force, targets)
    assert np.all((moved > 0) & (moved < 1))
    for horizon, target in targets.items():
        reached = 1.0 - np.prod(1.0 - moved[:, :horizon], axis=1).mean()
        assert_allclose(reached, target, atol=1e-6)
    assert np.array_equal(np.argsort(moved, axis=0), np.argsort(force, axis=0))
    # After the last target the months stay moved by the same log-odds.
    shift = np.log(moved / (1 - moved)) - np.log(force / (1 - force))
    assert_allclose(shift[:, 12:], shift[0, 11], rtol=1e-6)


@pytest.mark.parametrize("level", [-10.0, 10.0])
@pytest.mark.parametrize("where", [[2], [0, 1, 2, 3, 4, 5]])
def test_tension_ten_deviations_out_gives_chances(level: float, where: list[int]) -> None:
    """In one theatre and in all, either way: no warning, no gap, and in order."""
    chains = make_chains(n=40, months=12, seed=8)
    draws = Draws(
        xr.Dataset(
            {
                "ladder_any": (("chain", "draw", "theatre"), np.full((2, 20, 5), 0.3)),
                "ladder_force": (("chain", "draw", "theatre"), np.full((2, 20, 5), 0.4)),
                "ladder_slope": (("chain", "draw", "theatre"), np.full((2, 20, 5), 4.0)),
            }
        )
    )
    found = []
    for push in (0.0, level):
        latents = chains.latents.copy()
        latents[:, where] += push
        force = force_chance(draws, latents)
        moved = np.stack([tilt(force[:, k], {3: 0.3, 12: 0.6}) for k in range(5)], axis=1)
        assert np.isfinite(moved).all()
        assert np.all((force > 0) & (force < 1))
        paths = simulated(dataclasses.replace(chains, latents=latents, force=force))
        found.append(float((paths["clash"].isel(dyad=OF == 2) == WAR).any("future_month").mean()))
        assert 0 <= found[-1] <= 1
    assert found[1] >= found[0] if level > 0 else found[1] <= found[0]


def test_a_horizon_beyond_the_paths_is_left_alone() -> None:
    force = np.full((5, 4), 0.1)
    assert_allclose(tilt(force, {12: 0.9}), force)
    assert_allclose(tilt(force, {}), force)
