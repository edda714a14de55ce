"""What the questions' answers are at a state, from draws of a fit with weights and the same random numbers.

Every part of a forecast that chance enters has a stream of its own, named after what it is of, so that a
figure more of one series leaves the chance events of all others as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import forecast, realised
from escalation_forecast.draws import Draws, student_t
from escalation_forecast.explain.likelihood import Likelihood
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.indicator_paths import LEVELS, STALE_MONTHS, force_chance
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET
from escalation_forecast.model import READING_DF
from escalation_forecast.prior_spec import PriorSpec
from escalation_forecast.questions import Item, bind, draws
from escalation_forecast.rules import Params
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.force_targets import force_targets
from escalation_forecast.score.ladder_history import Past, past_of
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.spending_paths import spending_paths
from escalation_forecast.update.updater import kind_of, war_values
from escalation_forecast.update.war import mean_hazard, moved
from escalation_forecast.war_paths import build_chains, war_paths

if TYPE_CHECKING:
    from escalation_forecast.explain.states import State

HIGHEST_LOG: Final = 20.0
LADDER: Final = ("ladder", "ladder_incidents")
Key = tuple[Any, ...]
PLAIN: Final = (int, float, str, bytes, tuple, pd.Timestamp, PriorSpec, Params)


@dataclass(eq=False)
class Sayings:
    """What draws of one fit say at one state after another; parts that stay the same are kept.

    Attributes
    ----------
    posterior : of the fit.
    items : parts of the questions at the state asked last, by id.
    """

    posterior: xr.Dataset
    items: dict[str, Item] = field(default_factory=dict)
    draws: Draws = field(init=False)
    _kept: dict[str, tuple[Key, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draws = Draws(self.posterior)

    def at(self, state: State, weights: np.ndarray) -> dict[str, np.ndarray]:
        """What each draw says about each part of the questions, (chain, draw).

        Parameters
        ----------
        weights : (chain, draw); they decide what the ladder is pooled to.

        Returns
        -------
        dict
            By id of the answer; of wars the share of the draw's futures. Parts that a state does not answer,
            or leaves open, are missing.
        """
        months = forecast.month_axis(state.panel, state.horizon)
        eta = self._latents(state, months)
        spending, ladder = self._spending(state, eta), self._ladder(state, eta, months, weights.ravel())
        attrs = {
            "as_of": f"{state.day:%Y-%m-%d}",
            "horizon": state.horizon,
            "first_forecast_month": f"{months[state.panel.now + 1]:%Y-%m}",
        }
        whole = spending.assign(ladder).assign_attrs(attrs)
        items = bind(state.questions, state.known, paths=whole)
        self.items = {item.id: item for item in items}
        wars = [item for item in items if kind_of(item) == "war" and _told(item, whole)]
        found = {name: v.mean(axis=2, dtype=float) for name, v in war_values(wars, whole).items()}
        for item in items:
            match kind_of(item), item.rule.name:
                case "war", _:
                    continue
                case "ladder", _:
                    values = _values(item, whole)
                case _, "indicator-exceeds":
                    values = self._of(item, self._news(state, eta, months, item.params.indicator))
                case _, "troops-exceed":
                    values = self._of(item, self._troops(state, eta, months))
                case _:
                    values = self._of(item, spending)
            if values is not None:
                found[item.id] = values
        return found

    def _of(self, item: Item, paths: xr.Dataset | None) -> np.ndarray | None:
        """What paths say about an item; the same as before while paths and item are."""
        if paths is None:
            return None
        key = (paths, item.params, item.years, item.combine, item.start, item.end)
        found: np.ndarray | None = self._keep(f"item {item.id}", key, lambda: _values(item, paths))
        return found

    def _keep(self, name: str, key: Key, make: Any) -> Any:
        """What was made last under that name if it was made from the same; ids are of what the key holds."""
        if name not in self._kept or not _same(self._kept[name][0], key):
            self._kept[name] = key, make()
        return self._kept[name][1]

    def _latents(self, state: State, months: pd.DatetimeIndex) -> np.ndarray:
        rng = np.random.default_rng(np.random.SeedSequence(state.seed).spawn(1)[0])
        spec = state.priors["innovation_df"]
        key = (len(months), state.seed, spec, len(state.panel.months))
        given = (state.panel, self.draws, state.priors, len(months), rng)
        eta: np.ndarray = self._keep("eta", key, lambda: forecast.extend_latents(*given))
        return eta

    def _spending(self, state: State, eta: np.ndarray) -> xr.Dataset:
        key = (state.panel.spending, eta, state.priors, state.horizon, state.day, state.seed)

        def make() -> xr.Dataset:
            rng = _stream(state, "spending")
            given = (state.panel, self.draws, state.priors, eta, state.horizon, rng)
            found = spending_paths(*given, state.spending_weight)
            lead = ("chain", "draw", "state", "year")
            coords = {
                "chain": self.posterior["chain"].values,
                "draw": self.posterior["draw"].values,
                "state": list(state.panel.spending.states),
                "year": found.years,
                "age": np.arange(found.prints.shape[3]),
            }
            both = {
                "growth_print": ((*lead, "age"), self.draws.unflatten(found.prints).astype(np.float32)),
                "growth_true": (lead, self.draws.unflatten(found.true).astype(np.float32)),
            }
            return realised.with_growth_base(xr.Dataset(both, coords=coords), state.known)

        found: xr.Dataset = self._keep("spending", (*key, state.spending_weight), make)
        return found

    def _ladder(
        self, state: State, eta: np.ndarray, months: pd.DatetimeIndex, weights: np.ndarray
    ) -> xr.Dataset:
        """The ladder and what comes of it; its chances follow the pool, which reads the weighted draws."""
        panel, history = state.panel, history_tables()
        own = self._keep(
            "own", (eta, panel.now), lambda: force_chance(self.draws, eta[:, :, panel.now + 1 : len(months)])
        )
        past = _past(state)
        mean = mean_hazard(own, weights)
        targets = force_targets(state.known, state.day, mean, history, state.priors, load_pool(), past)
        force = moved(own, targets, weights)
        ahead = months[panel.now + 1 :]
        chains = build_chains(panel, self.draws, state.priors, history, eta, force, ahead, state.seed)
        levels = self._levels(state, eta, months, force)
        ladder = xr.DataArray(
            self.draws.unflatten(levels),
            {"theatre": list(THEATRES), "month": months},
            dims=("chain", "draw", "theatre", "month"),
        )
        return war_paths(chains, self.posterior).assign(ladder=ladder)

    def _levels(
        self, state: State, eta: np.ndarray, months: pd.DatetimeIndex, force: np.ndarray
    ) -> np.ndarray:
        """Ladder (n, theatre, month) as `indicator_paths.ladder_paths`, a stream to each theatre."""
        panel, n = state.panel, self.draws.n
        out = np.full((n, len(THEATRES), len(months)), np.nan, np.float32)
        some, most = self.draws["ladder_any"], self.draws["ladder_any"] * self.draws["ladder_force"]
        slope = self.draws["ladder_slope"]
        for name, theatre in panel.items["ordinal"]["theatre"].drop_duplicates().items():
            k = THEATRES.index(theatre)
            rows = panel.history[panel.history["indicator"] == name]
            at = months.get_indexer(pd.DatetimeIndex(rows["month"]))
            out[:, k, at] = rows["value"].to_numpy()
            first = int(at.max()) + 1 if len(at) else panel.now + 1
            for t in range(max(first, panel.now - 11), len(months)):
                push = slope[:, k] * eta[:, k, t]
                to_force = _logit(most[:, k]) + push
                if t > panel.now:
                    to_force = _logit(force[:, k, t - panel.now - 1])
                to_any = np.maximum(_logit(some[:, k]) + push, to_force)
                shock = _stream(state, f"ladder {theatre}", months[t]).logistic(size=n)
                out[:, k, t] = LEVELS[(shock < to_any).astype(int) + (shock < to_force)]
        return out

    def _troops(self, state: State, eta: np.ndarray, months: pd.DatetimeIndex) -> xr.Dataset | None:
        """North Korean troops in Russia; nothing before the first report."""

        def make() -> xr.Dataset | None:
            given = (state.panel, self.draws, eta, months, _stream(state, "stocks"))
            found = forecast.extend_stocks(*given)
            return None if found is None else self._dataset("dprk_troops", found, month=months)

        found: xr.Dataset | None = self._keep(
            "stocks", (eta, state.seed, state.day, len(state.tables["stock"]) > 0), make
        )
        return found

    def _dataset(self, name: str, values: np.ndarray, **coords: Any) -> xr.Dataset:
        array = xr.DataArray(self.draws.unflatten(values), coords, dims=("chain", "draw", *coords))
        return xr.Dataset({name: array})

    def _news(self, state: State, eta: np.ndarray, months: pd.DatetimeIndex, name: str) -> xr.Dataset | None:
        """A monthly news item as `indicator_paths.indicator_paths`, a stream to each; nothing if stale."""
        panel, n = state.panel, self.draws.n
        rows = panel.history[panel.history["indicator"] == name]
        if rows.empty:
            return None
        at = months.get_indexer(pd.DatetimeIndex(rows["month"]))
        first, known = int(at.max()) + 1, rows["value"].to_numpy(float)
        if panel.now - first >= STALE_MONTHS:
            return None
        item: Any = panel.items["reading"].loc[name]
        key = (eta, state.seed, months[-1], known.tobytes(), float(item["mean"]), float(item["sd"]))

        def make() -> xr.Dataset:
            out = np.full((n, len(months)), np.nan, np.float32)
            out[:, at] = known
            likelihood = Likelihood(self.draws, panel, state.priors)
            intercept, slope, rho, noise = likelihood.reading_parameters(name)
            k = LATENTS.index(str(item["theatre"]))
            last = np.log(known[-1] + LOG_OFFSET) if item["log"] else known[-1]
            error = (last - item["mean"]) / item["sd"] - intercept - slope * eta[:, k, first - 1]
            for t in range(first, len(months)):
                shock = student_t(_stream(state, name, months[t]), READING_DF["news"], (n,))
                error = rho * error + noise * shock
                y = (intercept + slope * eta[:, k, t] + error) * item["sd"] + item["mean"]
                level = np.maximum(np.exp(np.minimum(y, HIGHEST_LOG)) - LOG_OFFSET, 0.0)
                out[:, t] = level if item["log"] else y
            return self._dataset("indicator_level", out[:, None], indicator=[name], month=months)

        found: xr.Dataset = self._keep(f"news {name}", key, make)
        return found


def _stream(state: State, name: str, month: pd.Timestamp | None = None) -> np.random.Generator:
    """Random numbers of one thing, in one month: the same whatever else is known, and on another day."""
    when = [] if month is None else [12 * month.year + month.month]
    return np.random.default_rng([state.seed, crc32(name.encode()), *when])


@cache
def history_tables() -> History:
    """The embedded tables of history, read once."""
    return load_history()


def _past(state: State) -> Past:
    """What the history of the ladder says on the day; the same until the ladder gets a figure."""
    rows = state.known.observations
    ladder = rows[rows["series"].isin(LADDER)]
    key = (state.day, int(pd.util.hash_pandas_object(ladder, index=False).sum()))
    if key not in _PASTS:
        _PASTS.clear()
        _PASTS[key] = past_of(history_tables(), state.known, state.day)
    return _PASTS[key]


_PASTS: Final[dict[Key, Past]] = {}


def _same(first: Key, second: Key) -> bool:
    """Whether two keys are; what is no plain value counts by what it is and not by what it holds."""
    pairs = zip(first, second, strict=True)
    return all(a is b or (isinstance(b, PLAIN) and isinstance(a, PLAIN) and a == b) for a, b in pairs)


def _told(item: Item, paths: xr.Dataset) -> bool:
    begins = item.rule.begins_with(item.params)
    return not begins or begins in paths


def _values(item: Item, paths: xr.Dataset) -> np.ndarray | None:
    values = draws(item, paths).to_numpy().astype(float)
    return values if np.isfinite(values).all() else None


def _logit(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(p) - np.log1p(-p))
