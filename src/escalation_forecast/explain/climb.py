"""From the draws of one fit to those of another, step by step, by weights from both ends.

The posterior after a step is that before it times a ratio of densities, which the draws at hand can be given
as weights. Weights wear out: beyond a step at which those from the earlier fit no longer do, the later fit's
own draws, weighted backwards, take over; where they do not reach back so far either, a fit is made there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.explain.likelihood import Likelihood
from escalation_forecast.explain.rows import OtherDrawsError, check_draws, difference
from escalation_forecast.explain.states import State, Step
from escalation_forecast.prior_change import Change
from escalation_forecast.update.density import NotReweightableError, log_ratio
from escalation_forecast.update.war import CHAIN
from escalation_forecast.update.weights import Weights, smooth

if TYPE_CHECKING:
    from escalation_forecast.fit import Report, Settings

MOST_FITS: Final = 2

Fitter = Callable[[State], xr.Dataset]


@dataclass(frozen=True, eq=False)
class Base:
    """Draws of a fit made at one rung; rung 0 is the earlier run, rung k the state after step k.

    Attributes
    ----------
    name : ``earlier run``, ``later run``, or that of a fit in between.
    """

    posterior: xr.Dataset
    state: State
    rung: int
    name: str

    @cached_property
    def likelihood(self) -> Likelihood:
        """Densities at the draws."""
        return Likelihood(Draws(self.posterior), self.state.panel, self.state.priors)

    @cached_property
    def even(self) -> Weights:
        """Weights at the rung itself."""
        return smooth(np.zeros(self.likelihood.draws.shape))


@dataclass(frozen=True, eq=False)
class Stand:
    """The draws that speak at a rung, with their weights."""

    base: Base
    weights: Weights


@dataclass(frozen=True, eq=False)
class Climb:
    """Which draws speak at each rung.

    Attributes
    ----------
    stands : one by rung; None where neither weights nor a fit reach.
    reasons : by rung, why the weights from below did not do there.
    fits : rungs at which a fit was made.
    """

    stands: tuple[Stand | None, ...]
    reasons: dict[int, str]
    fits: tuple[int, ...]


def climb(old: Base, steps: Sequence[Step], new: Callable[[], Base], fitter: Fitter | None = None) -> Climb:
    """Find the draws that speak at each rung.

    Parameters
    ----------
    old : draws at rung 0.
    new : gives draws at the last rung; called only if they are needed.
    fitter : makes a fit at a state; without one, rungs that weights do not reach stay empty.
    """
    top = len(steps)
    stands: list[Stand | None] = [None] * (top + 1)
    reasons: dict[int, str] = {}
    fits: list[int] = []
    base, upper = old, None
    while True:
        reached = _upwards(base, steps, stands, reasons)
        if reached == top:
            break
        if upper is None:
            upper = new()
            down = _downwards(upper, steps, reached)
        lowest = min(down)
        if lowest <= reached + 1:
            for rung in range(reached + 1, top + 1):
                stands[rung] = down[rung]
            break
        if fitter is None or len(fits) == MOST_FITS:
            for rung in down:
                stands[rung] = down[rung]
            break
        rung = reached + 1
        state = steps[rung - 1].state
        base = Base(fitter(state), state, rung, f"fit at step {rung}")
        fits.append(rung)
    return Climb(tuple(stands), reasons, tuple(fits))


def _upwards(base: Base, steps: Sequence[Step], stands: list[Stand | None], reasons: dict[int, str]) -> int:
    """Fill the rungs that the weights of a base reach; returns the last one."""
    stands[base.rung] = Stand(base, base.even)
    logs, state = np.zeros(base.likelihood.draws.n), base.state
    for rung in range(base.rung + 1, len(steps) + 1):
        step = steps[rung - 1]
        try:
            logs = logs + log_step(base.likelihood, state, step.state, step.changes)
        except OtherDrawsError as error:
            reasons[rung] = str(error)
            return rung - 1
        weights = smooth(logs.reshape(base.likelihood.draws.shape))
        if weights.reasons:
            reasons[rung] = "; ".join(weights.reasons)
            return rung - 1
        stands[rung], state = Stand(base, weights), step.state
    return len(steps)


def _downwards(base: Base, steps: Sequence[Step], reached: int) -> dict[int, Stand]:
    """The rungs that the weights of the later run's draws reach, down to the one after ``reached``."""
    found = {base.rung: Stand(base, base.even)}
    logs = np.zeros(base.likelihood.draws.n)
    for rung in range(base.rung - 1, reached, -1):
        step = steps[rung]
        try:
            logs = logs - log_step(base.likelihood, steps[rung - 1].state, step.state, step.changes)
        except OtherDrawsError:
            break
        weights = smooth(logs.reshape(base.likelihood.draws.shape))
        if weights.reasons:
            break
        found[rung] = Stand(base, weights)
    return found


def log_step(likelihood: Likelihood, old: State, new: State, changes: Sequence[Change] = ()) -> np.ndarray:
    """Log (n,) of the density after a step over that before it, at draws.

    Raises
    ------
    OtherDrawsError
        When the draws cannot speak for one of the two.
    """
    out = np.zeros(likelihood.draws.n)
    if old.tables is not new.tables:
        check_draws(old.panel, new.panel)
        moved = difference(old.tables, new.tables)
        out += likelihood.total(moved)
        if "stock" in moved:
            # What reports of a month share binds them together: the month changes as a whole.
            months = moved["stock"][["stock", "month"]].drop_duplicates()
            for sign, tables in ((1.0, new.tables), (-1.0, old.tables)):
                out += sign * likelihood.stocks(tables["stock"].merge(months))
    for change in changes:
        out += _log_prior_step(likelihood.draws, change)
    return out


def _log_prior_step(draws: Draws, change: Change) -> np.ndarray:
    assert change.before is not None
    assert change.after is not None
    name = change.name
    if name in CHAIN:
        return np.zeros(draws.n)  # read by the simulation of wars alone
    if name not in draws:
        raise OtherDrawsError(f"{name} is a constant of the model")
    pooled = f"{name}_common"
    common = draws[pooled] if draws.posterior.get(pooled) is not None else None
    coords = {dim: draws.labels(dim) for dim in change.before.dims}
    try:
        return log_ratio(change.before, change.after, draws[name], common, coords)
    except NotReweightableError as error:
        raise OtherDrawsError(str(error)) from error


def fit_at(state: State, settings: Settings | None = None, progress: Report | None = None) -> xr.Dataset:
    """Posterior of the model at a state; the program comes from disk where its like was compiled before."""
    from escalation_forecast.compile import compile_model
    from escalation_forecast.fit import sample
    from escalation_forecast.model import build_model
    from escalation_forecast.prior_data import DataPriors
    from escalation_forecast.update.refit import SETTINGS

    program = compile_model(build_model(state.panel, DataPriors.of(state.priors)))
    return sample(program, settings or SETTINGS, state.seed, progress)["posterior"].to_dataset()


__all__ = ["Base", "Climb", "Stand", "climb", "fit_at", "log_step"]
