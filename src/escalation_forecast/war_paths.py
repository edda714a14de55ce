"""Simulated clashes, wars and joiners on the draws of the latent, several futures to a draw.

Wars are rare, so one future per draw would answer in whole draws of six thousand. Each draw of the
latent and of the chain's parameters gets several futures with their own chance events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.history.tables import History
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.war_chain import (
    JOINERS,
    ClashChain,
    JoiningChain,
    Loosen,
    PriorDraws,
    clash_chain,
    joining_chain,
    ongoing_war,
)

NONE, FATAL, MATERIAL, WAR = range(4)
FUTURES: Final = 32_000  # at least so many in all
MONTH: Final = "future_month"


@dataclass(frozen=True, eq=False)
class Pushes:
    """What decisions add to log hazards in the months ahead.

    Attributes
    ----------
    war : (draw, theatre, month), that a fatal clash becomes a war.
    joining : (draw, joiner, month), that a state joins the war that goes on.
    """

    war: np.ndarray | None = None
    joining: np.ndarray | None = None


@dataclass(frozen=True)
class Chains:
    """The chains of a run with the latent paths that drive them.

    Attributes
    ----------
    force : (draw, theatre, month), chance of use of force in each month ahead.
    latents : (draw, latent, month), the same months on the model's scale.
    seed : of the chance events, the same whatever prior is loosened or push is added.
    """

    months: pd.DatetimeIndex
    force: np.ndarray
    latents: np.ndarray
    clash: ClashChain
    joining: JoiningChain | None
    seed: int
    pushes: Pushes = Pushes()


def build_chains(
    panel: Panel,
    draws: Draws,
    priors: Priors,
    history: History,
    eta: np.ndarray,
    force: np.ndarray,
    months: pd.DatetimeIndex,
    seed: int,
    loosen: Loosen = "",
) -> Chains:
    """The chains at the as-of date of a panel.

    Parameters
    ----------
    eta : (draw, latent, month) from 1990, on the model's scale, to the last month of `months` at least.
    force : (draw, theatre, month), chance of use of force by month of `months`.
    months : months ahead.
    """
    day = panel.as_of
    own = PriorDraws(priors, draws.n, seed, loosen)
    first = panel.now + 1
    war = ongoing_war(history, day)
    joining = None
    if war is not None:
        since = eta[:, :, panel.months.get_loc(war.start.to_period("M").to_timestamp()) : first].mean(axis=2)
        joining = joining_chain(own, history, war, day, since)
    return Chains(
        months=months,
        force=force,
        latents=eta[:, :, first : first + len(months)],
        clash=clash_chain(own, history, day),
        joining=joining,
        seed=seed,
    )


def war_paths(chains: Chains, posterior: xr.Dataset) -> xr.Dataset:
    """Simulated futures.

    Returns
    -------
    xarray.Dataset
        ``clash`` (chain, draw, future, dyad, future_month): 0 nothing, 1 a fatal clash, 2 one of 25
        deaths or more, 3 the month in which one becomes a war. ``joined`` (chain, draw, future,
        joiner, future_month): 1 in the month of joining; absent while there is no war to join.
    """
    lead = (posterior.sizes["chain"], posterior.sizes["draw"])
    n = lead[0] * lead[1]
    futures = -(-FUTURES // n)
    rng = np.random.default_rng(chains.seed)
    clash = simulate_clashes(chains, futures, rng)
    coords = {
        "chain": posterior.coords["chain"].to_numpy(),
        "draw": posterior.coords["draw"].to_numpy(),
        "future": np.arange(futures),
        "dyad": list(chains.clash.dyads),
        MONTH: chains.months,
    }
    dims = ("chain", "draw", "future")
    found = {"clash": ((*dims, "dyad", MONTH), clash.reshape(*lead, futures, *clash.shape[1:]))}
    if chains.joining is not None:
        joined = simulate_joining(chains.joining, chains.latents, futures, rng, chains.pushes.joining)
        coords["joiner"] = list(JOINERS)
        found["joined"] = ((*dims, "joiner", MONTH), joined.reshape(*lead, futures, *joined.shape[1:]))
    return xr.Dataset(found, coords=coords)


def simulate_clashes(chains: Chains, futures: int, rng: np.random.Generator) -> np.ndarray:
    """Highest clash (draw x future, dyad, month) as in `war_paths`, unsigned bytes.

    Each month of each future has its own random numbers, needed or not, so that chains that differ a little
    give futures that differ a little.
    """
    chain, push = chains.clash, chains.pushes.war
    n, n_months = chains.force.shape[0] * futures, len(chains.months)
    out = np.zeros((n, len(chain.dyads), n_months), np.uint8)
    for k in range(len(THEATRES)):
        here = np.flatnonzero(chain.theatre == k)
        chance = chains.force[:, k] * chain.fatal[:, [k]]
        # One number each for use of force and for a death: their product decides.
        fatal = rng.random((n, n_months)) < np.repeat(chance, futures, axis=0)
        path, month = np.nonzero(fatal)
        draw = path // futures
        edges = np.cumsum(chain.share[:, here], axis=1)[draw]
        u_dyad, u_war, u_material, u_opens = _at(rng, n, n_months, path, month)
        dyad = here[np.minimum((u_dyad[:, None] > edges).sum(axis=1), len(here) - 1)]
        # The later months of an episode are no new chance of a war.
        first = u_opens < chain.opens[draw]
        chance_of_war = chain.war_chance(dyad, draw, chains.latents[draw, k, month])
        if push is not None:
            chance_of_war = pushed(chance_of_war, push[draw, k, month])
        war = first & (u_war < chance_of_war)
        material = first & (u_material < chain.material[draw])
        out[path, dyad, month] = np.where(war, WAR, np.where(material, MATERIAL, FATAL))
    return out


def _at(rng: np.random.Generator, n: int, n_months: int, path: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Four numbers (4, place) of the months of futures named, of those that every month has."""
    return np.stack([rng.random((n, n_months), np.float32)[path, month] for _ in range(4)])


def pushed(chance: np.ndarray, push: np.ndarray) -> np.ndarray:
    """A chance with the log of its hazard moved."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(np.log1p(-chance) * np.exp(push)))


def simulate_joining(
    chain: JoiningChain,
    latents: np.ndarray,
    futures: int,
    rng: np.random.Generator,
    push: np.ndarray | None = None,
) -> np.ndarray:
    """Whether a joiner enters in a month (draw x future, joiner, month), once each, unsigned bytes.

    Parameters
    ----------
    push : (draw, joiner, month), added to the log hazard.
    """
    n_months = latents.shape[2]
    n = latents.shape[0] * futures
    ended = rng.random((n, n_months)) < np.repeat(chain.ends(n_months), futures, axis=0)
    # A war that ends in a month could still be joined before it did.
    going = np.cumsum(ended, axis=1) - ended == 0
    chance = chain.joins(latents)
    if push is not None:
        chance = pushed(chance, push)
    out = np.zeros((n, len(JOINERS), n_months), np.uint8)
    for j in range(len(JOINERS)):
        enters = (rng.random((n, n_months)) < np.repeat(chance[:, j], futures, axis=0)) & going
        out[:, j] = enters & (np.cumsum(enters, axis=1) == 1)
    return out


def tilt(force: np.ndarray, targets: Mapping[int, float], weights: np.ndarray | None = None) -> np.ndarray:
    """Move monthly chances, on the log-odds scale, to given chances of at least one event by horizon.

    Parameters
    ----------
    force : (draw, month).
    targets : months -> mean chance over draws of an event within them. Between two horizons all months
        move by the same log-odds, as do those after the last. A target that would need a chance below
        zero or above one in between is met as nearly as possible.
    weights : (draw,), of the draws in that mean; by default all alike.

    Returns
    -------
    Array of the same shape; draws keep their order within a month.
    """
    out = force.copy()
    quiet = np.ones(len(force))
    start, shift = 0, 0.0
    for end in sorted(h for h in targets if h <= force.shape[1]):
        logit = np.log(force[:, start:end]) - np.log1p(-force[:, start:end])
        low, high = -12.0, 12.0
        for _ in range(50):
            shift = (low + high) / 2
            moved = 1.0 / (1.0 + np.exp(-logit - shift))
            reached = 1.0 - float(np.average(quiet * np.prod(1.0 - moved, axis=1), weights=weights))
            low, high = (shift, high) if reached < targets[end] else (low, shift)
        out[:, start:end] = moved
        quiet = quiet * np.prod(1.0 - moved, axis=1)
        start = end
    rest = force[:, start:]
    out[:, start:] = 1.0 / (1.0 + (1.0 - rest) / rest * np.exp(-shift))
    return out
