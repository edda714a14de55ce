"""The future under decisions: the forecast's own draws and chance events, with what the decisions add.

The arrow into a lever is cut: that it was decided says nothing about the latent, which keeps its posterior.
From there on the model's equations run forward with the effects added. Wherever an equation is linear in what
is added (the latent, the logarithm of news, growth) the stored paths are moved exactly; the chances of the
ladder are computed draw by draw; wars are simulated again with the same random numbers. What is not touched
stays what it was to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit, logit

from escalation_forecast import forecast
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET
from escalation_forecast.questions import Item, draws
from escalation_forecast.scenario.effects import Shifts, hidden_shifts
from escalation_forecast.scenario.response import Slope, hidden_slope
from escalation_forecast.scenario.windows import with_shorter
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.update.subjects import states_of
from escalation_forecast.update.updater import kind_of, war_values
from escalation_forecast.war_chain import JOINERS
from escalation_forecast.war_paths import Chains, Pushes, war_paths

if TYPE_CHECKING:
    from escalation_forecast.draws import Draws
    from escalation_forecast.panel import Panel
    from escalation_forecast.update.updater import Updater

FORCE: Final = 4.0  # ladder level
DISPLAY: Final = 3.0
TROOPS: Final = "dprk_troops"
HIDDEN_SD: Final = 0.25  # of the hidden moves that tipping points are measured with


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a scenario makes of the future.

    Attributes
    ----------
    values : what each draw says about each question, (draw,); only of those that something moves.
    pushes : (draw, push) of the quantity that a question is about, where it is growth, news or troops.
    latents : (draw, latent, month ahead) what is added, coupling included.
    force, anything : (draw, theatre, month ahead) chance of use of force, and of any threat, display or use.
    growth : (draw, state, year) points of growth added, from the first year ahead on.
    """

    values: dict[str, np.ndarray]
    pushes: dict[str, np.ndarray]
    latents: np.ndarray
    force: np.ndarray
    anything: np.ndarray
    growth: np.ndarray


@dataclass(frozen=True, eq=False)
class Ground:
    """A finished forecast, laid out so that decisions can be put on it.

    Attributes
    ----------
    wanted : ids of the answers that are asked for; all if empty.
    """

    updater: Updater
    wanted: tuple[str, ...] = ()

    @property
    def panel(self) -> Panel:
        return self.updater.panel

    @property
    def draws(self) -> Draws:
        return self.updater.draws

    @property
    def months(self) -> pd.DatetimeIndex:
        """The months ahead."""
        return self.updater.war.months

    @property
    def latents(self) -> np.ndarray:
        """(draw, latent, month ahead) on the model's scale."""
        latents: np.ndarray = self.updater.war.latents
        return latents

    @cached_property
    def past(self) -> np.ndarray:
        """(draw, latent, month) on the grid of the panel."""
        eta = self.updater.whole_posterior()["eta"].transpose("chain", "draw", "latent", "month").to_numpy()
        return np.asarray(eta.reshape(self.draws.n, *eta.shape[2:]))

    @cached_property
    def anything(self) -> np.ndarray:
        """Chance of any threat, display or use of force (draw, theatre, month ahead)."""
        return np.asarray(np.maximum(self.updater.war.anything, self.updater.war.force))

    @cached_property
    def paths(self) -> xr.Dataset:
        """The stored paths that decisions can move, months ahead only."""
        stored = self.updater.paths
        names = [name for name in stored if str(name).startswith("growth_") and name != "growth_true"]
        kept = stored[[*names, *(name for name in ("indicator_level", TROOPS) if name in stored)]]
        return kept.sel(month=self.months).assign_attrs(stored.attrs).load()

    @cached_property
    def chains(self) -> Chains:
        """The chains to war as the forecast has them."""
        war = self.updater.war
        return Chains(war.months, war.force, war.latents, war.clash, war.joining, self.updater.seed)

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """What each draw says about each question without any decision, (draw,)."""
        war = self.updater.war
        ladder = self._ladder_values(war.force, self.anything)
        return ladder | self._path_values(self.paths, self.items) | self._war_values(self.chains)

    @cached_property
    def hidden(self) -> dict[str, Slope]:
        """Change of each answer per sd of a hidden move of each latent."""
        shifts = hidden_shifts(LATENTS, self.draws.n, len(self.months), self.updater.seed, HIDDEN_SD)
        return {
            name: hidden_slope(after - self.values[name], shifts.sizes)
            for name, after in self.outcome(shifts).values.items()
            if np.isfinite(after).all()
        }

    @property
    def items(self) -> tuple[Item, ...]:
        """Answers that are asked for, and shorter windows of those that reach too far."""
        chosen = [item for item in self.updater.items if not self.wanted or item.id in self.wanted]
        return with_shorter([item for item in chosen if not item.decided], self.months[0])

    def outcome(self, shifts: Shifts) -> Outcome:
        """The future with the shifts added."""
        war = self.updater.war
        added = self.added(shifts)
        moved = np.any(added, axis=(0, 2))
        force, anything = self._chances(shifts, added)
        growth = self.growth(shifts, added)
        values: dict[str, np.ndarray] = {}
        if not np.array_equal(force, war.force) or not np.array_equal(anything, self.anything):
            values |= self._ladder_values(force, anything)
        read, pushes = self._moved_paths(shifts, added, growth)
        values |= read
        if np.any(moved) or shifts.of("war") or shifts.of("joining"):
            chains = replace(
                self.chains,
                force=force,
                latents=self.latents + added if np.any(moved) else self.latents,
                pushes=Pushes(
                    war=_stacked(shifts.of("war"), THEATRES, self.draws.n, shifts.months),
                    joining=_stacked(shifts.of("joining"), JOINERS, self.draws.n, shifts.months),
                ),
            )
            values |= self._war_values(chains)
        return Outcome(values, pushes, added, force, anything, growth)

    # --- latents --------------------------------------------------------------------------------

    def added(self, shifts: Shifts) -> np.ndarray:
        """What is added to the latents (draw, latent, month ahead)."""
        out = np.zeros((self.draws.n, len(LATENTS), len(self.months)))
        for name, one in shifts.of("latent").items():
            out[:, LATENTS.index(name)] += one
        for name, one in shifts.of("coupling").items():
            out[:, THEATRES.index(name)] += self._coupled(THEATRES.index(name), one)
        return out

    @cached_property
    def _fast(self) -> np.ndarray:
        """Fast movements of own and global origin (draw, latent, month ahead), zero within the grid."""
        panel, updater = self.panel, self.updater
        beyond = len(forecast.month_axis(panel, updater.horizon)) - len(panel.months)
        out = np.zeros_like(self.latents)
        if beyond > 0:
            rng = np.random.default_rng(np.random.SeedSequence(updater.seed).spawn(1)[0])
            path = forecast.fast_paths(self.draws, updater.priors, -(-beyond // 12) * 12, rng)
            out[:, :, -beyond:] = path[:, :, :beyond]
        return out

    def _coupled(self, k: int, more: np.ndarray) -> np.ndarray:
        """What a theatre gains when more of its fast movements are those of the world."""
        share = self.draws["global_share"][:, [k]]
        scale = np.ones((self.draws.n, 1)) if k == 0 else self.draws["theatre_scale"][:, [k - 1]]
        new = np.clip(share + more, 0.0, 1.0)
        world, own = self._fast[:, -1], self._fast[:, k]
        gain = (np.sqrt(new) - np.sqrt(share)) * world + (np.sqrt(1.0 - new) - np.sqrt(1.0 - share)) * own
        return np.asarray(scale * gain)

    # --- ladder and wars ------------------------------------------------------------------------

    def _chances(self, shifts: Shifts, added: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Chance of use of force and of anything; the pool's correction of the forecast stays as it is."""
        war, slope = self.updater.war, self.draws["ladder_slope"]
        force, anything = war.force, self.anything
        incidents = shifts.of("incidents")
        for k, theatre in enumerate(THEATRES):
            push = slope[:, [k]] * added[:, k]
            if not np.any(push) and theatre not in incidents:
                continue
            if force is war.force:
                force, anything = force.copy(), anything.copy()
            if np.any(push):
                force[:, k] = expit(logit(war.force[:, k]) + push)
            lower = logit(war.anything[:, k]) + push + incidents.get(theatre, 0.0)
            anything[:, k] = np.maximum(expit(lower), force[:, k])
        return force, anything

    def _ladder_values(self, force: np.ndarray, anything: np.ndarray) -> dict[str, np.ndarray]:
        """Chance of at least one month at the level, draw by draw."""
        found = {}
        for item in self.items:
            if kind_of(item) != "ladder":
                continue
            here = np.flatnonzero(self.months.isin(item.months))
            chance = force if item.params.level >= FORCE else anything
            if item.params.level > FORCE or item.params.level <= DISPLAY - 1:
                raise DataError(
                    f"A scenario cannot tell `{item.id}`: the forecast has no chance of level "
                    f"{item.params.level:g} by itself; ask for level 3 or 4."
                )
            k = THEATRES.index(item.params.theatre)
            found[item.id] = 1.0 - np.prod(1.0 - chance[:, k][:, here], axis=1)
        return found

    def _war_values(self, chains: Chains) -> dict[str, np.ndarray]:
        asked = [item for item in self.items if kind_of(item) == "war"]
        if not asked:
            return {}
        paths = war_paths(chains, self.updater.posterior).assign_attrs(self.updater.paths.attrs)
        found = war_values(asked, paths)
        return {name: one.reshape(self.draws.n, -1).mean(axis=1, dtype=float) for name, one in found.items()}

    # --- spending -------------------------------------------------------------------------------

    def growth(self, shifts: Shifts, added: np.ndarray) -> np.ndarray:
        """Points of growth added (draw, state, year of the panel's spending years).

        Growth is linear in what pushes it: what is added one year is carried over to the next by
        persistence and by the reaction of rivals, and the drifting level stays.
        """
        sp, d = self.panel.spending, self.draws
        n, states, years = d.n, sp.states, sp.years
        out = np.zeros((n, len(states), len(years)))
        direct = self._by_year(shifts.of("spending"), states)
        output = self._by_year(shifts.of("gdp"), states)
        risk = np.einsum("ik,nkt->nit", sp.exposure, self._yearly(added[:, :-1]))
        push = d["threat_slope"][:, :, None] * risk + d["gdp_slope"][:, None, None] * output
        first = sp.last_printed + 1
        if not (np.any(direct) or np.any(push)):
            return out
        for year in range(first, int(years[-1]) + 1):
            t = year - int(years[0])
            before = out[:, :, t - 1]
            carried = d["growth_persistence"] * before + d["reaction"][:, None] * (before @ sp.rivals.T)
            out[:, :, t] = direct[:, :, t] + carried + push[:, :, t - 1]
        return out

    def _yearly(self, monthly: np.ndarray) -> np.ndarray:
        """Sums over the months ahead of each calendar year over twelve, (..., spending year)."""
        years = self.panel.spending.years
        out = np.zeros((*monthly.shape[:-1], len(years)))
        for t, year in enumerate(years):
            here = self.months.year == year
            if here.any():
                out[..., t] = monthly[..., here].sum(axis=-1) / 12.0
        return out

    def _by_year(self, moved: dict[str, np.ndarray], states: tuple[str, ...]) -> np.ndarray:
        out = np.zeros((self.draws.n, len(states), len(self.months)))
        for state, one in moved.items():
            if state not in states:
                raise DataError(f"The run has no spending of {state}; leave it out of the lever.")
            out[:, states.index(state)] = one
        return self._yearly(out)

    # --- stored paths ---------------------------------------------------------------------------

    def _moved_paths(
        self, shifts: Shifts, added: np.ndarray, growth: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Answers that read the stored paths, where these move, and the pushes behind them."""
        moved: dict[str, xr.DataArray] = {}
        if np.any(growth):
            moved["growth_print"] = self._prints(growth)
        gains = self.news_gain(shifts, added)
        levels = self._news(gains)
        if levels is not None:
            moved["indicator_level"] = levels
        if TROOPS in self.paths:
            gain = self.troops(shifts, added)
            if np.any(gain):
                stored = self.paths[TROOPS]
                moved[TROOPS] = stored * np.exp(self.draws.unflatten(gain)).astype(np.float32)
                gains[TROOPS] = gain
        if not moved:
            return {}, {}
        touched = [item for item in self.items if kind_of(item) == "paths" and _reads(item) in moved]
        pushes = {item.id: self._push(item, gains, growth) for item in touched}
        return self._path_values(self.paths.assign(moved), touched), pushes

    def _push(self, item: Item, gains: dict[str, np.ndarray], growth: np.ndarray) -> np.ndarray:
        """What an answer's own quantity gains (draw, push): the mean of its months, or growth by state."""
        sp = self.panel.spending
        if not item.years:
            name = TROOPS if _reads(item) == TROOPS else str(item.params.indicator)
            gain = gains.get(name, np.zeros((self.draws.n, len(self.months))))
            return np.asarray(gain[:, self.months.isin(item.months)].mean(axis=1, keepdims=True))
        until = item.years[-1] - int(sp.years[0]) + 1
        rows = [sp.states.index(state) for state in states_of(item.params) if state in sp.states]
        return np.asarray(growth[:, rows, :until].sum(axis=2))

    def _path_values(self, paths: xr.Dataset, items: tuple[Item, ...] | list[Item]) -> dict[str, np.ndarray]:
        asked = [item for item in items if kind_of(item) == "paths"]
        return {item.id: draws(item, paths).to_numpy().astype(float).ravel() for item in asked}

    def _prints(self, growth: np.ndarray) -> xr.DataArray:
        """Prints (chain, draw, state, year, age) with the points added to the years ahead."""
        stored, sp = self.paths["growth_print"], self.panel.spending
        values = stored.transpose("chain", "draw", "state", "year", "age").to_numpy().copy()
        extra = self.draws.unflatten(growth).astype(values.dtype)
        for position, year in enumerate(stored["year"].to_numpy()):
            if year <= sp.last_printed:
                continue
            for age in range(values.shape[-1]):
                more = extra[..., int(year) - age - int(sp.years[0])]
                old = values[..., position, age]
                values[..., position, age] = 100.0 * ((1.0 + old / 100.0) * np.exp(more / 100.0) - 1.0)
        return stored.transpose("chain", "draw", "state", "year", "age").copy(data=values)

    def news_gain(self, shifts: Shifts, added: np.ndarray) -> dict[str, np.ndarray]:
        """By monthly news indicator, what is added on the scale on which it is linear (draw, month)."""
        items = self.panel.items["reading"]
        news = items[items["family"] == "news"]
        anchors, loaded = list(news.index[news["anchor"]]), list(news.index[~news["anchor"]])
        direct, found = shifts.of("indicator"), {}
        for name in news.index:
            item = news.loc[name]
            group = ("anchor_loading", anchors) if item["anchor"] else ("news_loading", loaded)
            slope = float(item["sign"]) * self.draws[group[0]][:, group[1].index(name)] * float(item["sd"])
            gain = slope[:, None] * added[:, LATENTS.index(str(item["theatre"]))]
            gain = gain + direct.get(str(name), 0.0)
            if np.any(gain):
                found[str(name)] = gain
        return found

    def _news(self, gains: dict[str, np.ndarray]) -> xr.DataArray | None:
        stored = self.paths["indicator_level"]
        names = [name for name in gains if name in stored["indicator"].to_numpy()]
        if not names:
            return None
        log = self.panel.items["reading"]["log"]
        moved = stored.transpose("chain", "draw", "indicator", "month").copy()
        for name in names:
            gain = self.draws.unflatten(gains[name])
            old = moved.sel(indicator=name).to_numpy().astype(float)
            new = np.maximum((old + LOG_OFFSET) * np.exp(gain) - LOG_OFFSET, 0.0) if log[name] else old + gain
            moved.loc[{"indicator": name}] = new.astype(np.float32)
        return moved

    def troops(self, shifts: Shifts, added: np.ndarray) -> np.ndarray:
        """What is added to the log of North Korean troops in Russia (draw, month)."""
        threat = self.draws["stock_threat"][:, [0]]
        risk = added[:, THEATRES.index("ukraine_nato")]
        # A month's risk moves the number of the month after.
        before = np.concatenate([np.zeros((len(risk), 1)), risk[:, :-1]], axis=1)
        return np.asarray(threat * np.cumsum(before, axis=1) + shifts.of("stock").get(TROOPS, 0.0))


def _reads(item: Item) -> str:
    if item.years:
        return "growth_print"
    return TROOPS if item.rule.name == "troops-exceed" else "indicator_level"


def _stacked(moved: dict[str, np.ndarray], labels: tuple[str, ...], n: int, months: int) -> np.ndarray | None:
    """(draw, label, month); None where nothing moves."""
    if not moved:
        return None
    nothing = np.zeros((n, months))
    return np.stack([moved.get(label, nothing) for label in labels], axis=1)
