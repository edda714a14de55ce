"""Use of force and war under other weights: what follows from the posterior, and what only the chain reads.

A forecast moves its ladder to the pooled chance of use of force, in which the posterior is one voice of
several. Under other weights that chance is another, so the events of the stored paths are weighted by how
much likelier they have become, draw by draw; the same numbers are used throughout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import forecast
from escalation_forecast.draws import Draws
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.indicator_paths import force_chance
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Item
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.force_targets import force_targets
from escalation_forecast.score.ladder_history import Past, past_of
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.update.density import NotReweightableError, log_ratio
from escalation_forecast.war_chain import (
    HISTORY,
    LOOSENED,
    ClashChain,
    JoiningChain,
    PriorDraws,
    War,
    clash_chain,
    joining_chain,
    ongoing_war,
)
from escalation_forecast.war_paths import Chains, tilt

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

FORCE: Final = 4.0  # ladder level
# Read by the forecast and not by the sampler; constants among them have no density.
CHAIN_CONSTANTS: Final = ("history_weight", "joining_reference_age")
HAZARD: Final = "dyad_force_logit"  # speaks in the pool only
CHAIN: Final = (*HISTORY, *(name for names in LOOSENED.values() for name in names), *CHAIN_CONSTANTS)

Targets = dict[str, dict[int, float]]


class Recorded(PriorDraws):
    """Draws of the chain's priors that are kept, with their coords."""

    def __init__(self, priors: Priors, n: int, seed: int) -> None:
        super().__init__(priors, n, seed)
        self.kept: dict[str, tuple[np.ndarray, dict[str, list[str]]]] = {}

    def __call__(self, name: str, coords: Mapping[str, Sequence[str]] | None = None) -> np.ndarray:
        values = super().__call__(name, coords)
        labels = coords or self.priors[name].labels
        self.kept[name] = values, {dim: [str(one) for one in labels[dim]] for dim in labels}
        return values


@dataclass(frozen=True, eq=False)
class WarState:
    """The chain at the as-of date with the draws of its priors.

    Attributes
    ----------
    kept : draws (n, *dims) of every prior that the chain reads, and the labels of the dims.
    own, anything : (n, theatre, month ahead) chance of use of force, and of anything, by the ladder alone.
    targets, force : the pooled chances, and ``own`` moved to them.
    latents : (n, latent, month ahead).
    since : (n, latent) mean since the war that goes on began, if there is one.
    past : what the history of the dyads says of the chance of use of force so far.
    """

    history: History
    kept: dict[str, tuple[np.ndarray, dict[str, list[str]]]]
    own: np.ndarray
    anything: np.ndarray
    targets: Targets
    force: np.ndarray
    latents: np.ndarray
    since: np.ndarray | None
    clash: ClashChain
    joining: JoiningChain | None
    months: pd.DatetimeIndex
    day: pd.Timestamp
    past: Past


def war_state(updater: Updater) -> WarState:
    """The chain of a run, simulated again from its posterior and seed."""
    panel, priors, seed = updater.panel, updater.priors, updater.seed
    draws = Draws(updater.whole_posterior())
    months = forecast.month_axis(panel, updater.horizon)
    first = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    eta = forecast.extend_latents(panel, draws, priors, len(months), first)
    ahead = eta[:, :, panel.now + 1 : len(months)].copy()
    own = force_chance(draws, ahead)
    # Were force certain whenever anything happens, its chance would be that of anything.
    sure = draws.posterior.assign(ladder_force=xr.ones_like(draws.posterior["ladder_force"]))
    anything = force_chance(Draws(sure), ahead)
    history, day = load_history(), panel.as_of
    war = ongoing_war(history, day)
    since = None
    if war is not None:
        begin = panel.months.get_loc(war.start.to_period("M").to_timestamp())
        since = eta[:, :, begin : panel.now + 1].mean(axis=2)
    recorded = Recorded(priors, draws.n, seed)
    clash, joining = _chains(recorded, history, war, day, since)
    past = past_of(history, updater.known, day)
    targets = force_targets(updater.known, day, own, history, priors, load_pool(), past)
    return WarState(
        history=history,
        kept=recorded.kept,
        own=own,
        anything=anything,
        targets=targets,
        force=moved(own, targets, None),
        latents=ahead,
        since=since,
        clash=clash,
        joining=joining,
        months=months[panel.now + 1 :],
        day=day,
        past=past,
    )


def _chains(
    draws: PriorDraws, history: History, war: War | None, day: pd.Timestamp, since: np.ndarray | None
) -> tuple[ClashChain, JoiningChain | None]:
    clash = clash_chain(draws, history, day)
    if war is None or since is None:
        return clash, None
    return clash, joining_chain(draws, history, war, day, since)


def moved(own: np.ndarray, targets: Targets, weights: np.ndarray | None) -> np.ndarray:
    """Chances of use of force moved to the targets, which hold for the weighted draws."""
    out = own.copy()
    for theatre, wanted in targets.items():
        k = THEATRES.index(theatre)
        out[:, k] = tilt(out[:, k], wanted, weights)
    return out


def new_targets(updater: Updater, weights: np.ndarray, priors: Priors) -> Targets:
    """Pooled chances of use of force when the draws have weights (n,), under other priors.

    The pool is linear and only one of its voices has changed, unless the hazards of history have too.
    """
    state = updater.war
    if not state.targets:
        return {}
    if any(priors[name] != updater.priors[name] for name in (HAZARD, "history_weight")):
        mean = mean_hazard(state.own, weights)
        return force_targets(updater.known, state.day, mean, state.history, priors, load_pool(), state.past)
    share = load_pool().weights["joint_model"]
    old, new = mean_hazard(state.own, None), mean_hazard(state.own, weights)
    return {
        theatre: {
            h: before + float(share[h]) * (_by(new, theatre, h) - _by(old, theatre, h))
            for h, before in wanted.items()
        }
        for theatre, wanted in state.targets.items()
    }


def mean_hazard(force: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """One path (1, theatre, month) whose chances of any force so far are the weighted means of the draws'."""
    quiet = np.average(np.cumprod(1.0 - force, axis=2), axis=0, weights=weights)
    before = np.concatenate([np.ones((len(quiet), 1)), quiet[:, :-1]], axis=1)
    return np.asarray(1.0 - quiet / before)[None]


def _by(force: np.ndarray, theatre: str, months: int) -> float:
    return float(1.0 - np.prod(1.0 - force[0, THEATRES.index(theatre), :months]))


def ladder_ratio(updater: Updater, item: Item, force: np.ndarray) -> np.ndarray:
    """Log (chain, draw) of how much likelier the item's own months of a path have become."""
    state, theatre = updater.war, item.params.theatre
    k = THEATRES.index(theatre)
    here = np.flatnonzero(state.months.isin(item.months))
    levels = updater.paths["ladder"].sel(theatre=theatre, month=state.months[here])
    hit = levels.transpose("chain", "draw", "month").to_numpy() >= item.params.level
    before, after = (chance[:, k][:, here] for chance in (state.force, force))
    if item.params.level < FORCE:
        least = state.anything[:, k][:, here]
        before, after = np.maximum(before, least), np.maximum(after, least)
    shape = hit.shape[:2]
    flat = hit.reshape(len(before), -1)
    terms = np.where(flat, np.log(after / before), np.log1p(-after) - np.log1p(-before))
    return np.asarray(terms.sum(axis=1)).reshape(shape)


def clash_ratio(updater: Updater, force: np.ndarray) -> np.ndarray:
    """Log (chain, draw, future) of how much likelier the deadly clashes of a future have become."""
    state = updater.war
    clash = updater.paths["clash"].transpose("chain", "draw", "future", "dyad", "future_month").to_numpy()
    shape = clash.shape[:3]
    chance = [one * state.clash.fatal[:, :, None] for one in (state.force, force)]
    quiet = np.log1p(-chance[1]) - np.log1p(-chance[0])
    deadly = np.log(chance[1] / chance[0]) - quiet
    flat = clash.reshape(-1, *clash.shape[3:])
    out = np.repeat(quiet.sum(axis=(1, 2)), shape[2])
    future, dyad, month = np.nonzero(flat)
    np.add.at(out, future, deadly[future // shape[2], state.clash.theatre[dyad], month])
    return np.asarray(out).reshape(shape)


def chain_ratio(updater: Updater, priors: Priors, names: Sequence[str]) -> np.ndarray:
    """Log (n,) of new over old density at the draws of the chain's priors.

    Raises
    ------
    NotReweightableError
        When the draws cannot speak for the new priors.
    """
    state = updater.war
    if "joining_reference_age" in names:
        raise NotReweightableError("joining_reference_age is a constant of the chain")
    if "history_weight" in names:
        names = [*{**dict.fromkeys(names), **dict.fromkeys(HISTORY)}]
    powers = [float(one["history_weight"].array("value")) for one in (updater.priors, priors)]
    found = np.zeros(updater.draws.n)
    for name in names:
        if name not in state.kept:
            continue  # read by the pool, or only while there is a war to join
        values, coords = state.kept[name]
        power = (powers[0], powers[1]) if name in HISTORY else (1.0, 1.0)
        found += log_ratio(updater.priors[name], priors[name], values, None, coords, power)
    return found


def simulated(updater: Updater, priors: Priors, force: np.ndarray) -> Chains:
    """The chains under other priors, from the same posterior draws and seed."""
    state = updater.war
    draws = PriorDraws(priors, updater.draws.n, updater.seed)
    war = ongoing_war(state.history, state.day)
    clash, joining = _chains(draws, state.history, war, state.day, state.since)
    return Chains(state.months, force, state.latents, clash, joining, updater.seed)
