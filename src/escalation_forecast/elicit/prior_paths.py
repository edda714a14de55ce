"""Futures from the priors alone, by the project's own simulators; no sampler is needed.

The growth of printed years and the calendar are those of the panel; nothing else of it is used.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.forecast import simulate, war_chains
from escalation_forecast.history.tables import History
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import CORE_FOUR, STATES, THEATRE_LABELS, THEATRES
from escalation_forecast.store import Store
from escalation_forecast.war_paths import WAR

HORIZON: Final = 36
BUILD_UP: Final = 5.0  # per cent a year over three years, by three of the four
FLOATS: Final = ("chain", "draw")


@dataclass(frozen=True)
class PriorPaths:
    """Draws from the priors.

    Attributes
    ----------
    posterior
        Every variable that a fit keeps, (chain, draw, ...), drawn from the priors.
    paths
        What `forecast.simulate` makes of them.
    force
        (draw, theatre, month), chance of use of force in the months ahead.
    """

    panel: Panel
    posterior: xr.Dataset
    paths: xr.Dataset
    force: np.ndarray

    @property
    def n(self) -> int:
        """Number of draws."""
        return int(self.posterior.sizes["draw"])

    @property
    def ahead(self) -> xr.Dataset:
        """The paths in the months after that of the as-of date."""
        return self.paths.isel(month=slice(self.panel.now + 1, None))


def panel_today() -> Panel:
    """The embedded data as known today."""
    return build_panel(Store.embedded(), pd.Timestamp(dt.date.today()))


def prior_paths(
    priors: Priors,
    panel: Panel | None = None,
    *,
    draws: int = 500,
    seed: int = 6,
    history: History | None = None,
) -> PriorPaths:
    """Simulate ``HORIZON`` months from the priors.

    Parameters
    ----------
    panel
        For the calendar and the printed years; by default the embedded data as known today.
    """
    panel = panel or panel_today()
    posterior = prior_posterior(panel, priors, draws, seed)
    paths = simulate(panel, posterior, priors, HORIZON, seed, history=history)
    chains = war_chains(panel, posterior, priors, HORIZON, seed, history=history)
    return PriorPaths(panel, posterior, paths, chains.force)


def prior_posterior(panel: Panel, priors: Priors, n: int, seed: int) -> xr.Dataset:
    """Draws of everything that a fit keeps, (1, n, ...), from the priors alone."""
    import pymc as pm

    from escalation_forecast.model import build_model

    model = build_model(panel, priors)
    kept = [v for v in model.unobserved_RVs if not str(v.name).endswith("innovation")]
    drawn = pm.draw(kept, draws=n, random_seed=seed, mode="FAST_COMPILE")
    found, coords = {}, {"chain": [0], "draw": np.arange(n)}
    for variable, values in zip(kept, drawn, strict=True):
        dims = model.named_vars_to_dims.get(str(variable.name)) or ()
        found[str(variable.name)] = ((*FLOATS, *dims), np.asarray(values, float)[None])
        coords |= {str(dim): list(model.coords[dim]) for dim in dims}
    return xr.Dataset(found, coords=coords)


Draws = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """Something that bounds can be set on.

    Attributes
    ----------
    words, unit
        What it is.
    reads
        The priors that move it most: where to look when a bound is broken.
    compute
        Draws by label; a label is a state, a theatre or the like.
    """

    name: str
    words: str
    unit: str
    reads: tuple[str, ...]
    compute: Callable[[PriorPaths], Draws]


QUANTITIES: Final[dict[str, Quantity]] = {}


def quantity(
    name: str, words: str, unit: str, reads: tuple[str, ...]
) -> Callable[[Callable[[PriorPaths], Draws]], Callable[[PriorPaths], Draws]]:
    """Register a function; the arguments are the fields of `Quantity`."""

    def register(compute: Callable[[PriorPaths], Draws]) -> Callable[[PriorPaths], Draws]:
        QUANTITIES[name] = Quantity(name, words, unit, reads, compute)
        return compute

    return register


def _by_label(values: xr.DataArray, dim: str, names: Mapping[str, str] | None = None) -> Draws:
    """All draws of each label in one row; what is missing is left out."""
    found = {}
    for label in values[dim].values:
        flat = values.sel({dim: label}).to_numpy().ravel()
        flat = flat[np.isfinite(flat)]
        if len(flat):
            found[(names or {}).get(str(label), str(label))] = flat
    return found


def _years_ahead(made: PriorPaths) -> np.ndarray:
    years = made.paths["year"].to_numpy()
    return years[years > made.panel.spending.last_printed]


@quantity(
    "growth", "first print of a state's real growth, the years ahead", "% a year",
    ("growth_mean", "growth_drift", "growth_noise", "growth_noise_step", "growth_persistence"),
)  # fmt: skip
def growth(made: PriorPaths) -> Draws:
    first = made.paths["growth_print"].sel(age=0, year=_years_ahead(made), state=list(STATES))
    return _by_label(first, "state")


@quantity(
    "build_up", "three of China, Japan, South Korea and Taiwan build up for three years", "%",
    ("growth_mean", "growth_noise", "growth_drift"),
)  # fmt: skip
def build_up(made: PriorPaths) -> Draws:
    ages = made.paths["growth_print"].sel(year=_years_ahead(made), state=list(CORE_FOUR), age=[0, 1, 2])
    grows = (ages.mean("age") >= BUILD_UP).sum("state") >= 3
    return {"any year ahead": 100.0 * grows.any("year").to_numpy().ravel()}


@quantity(
    "force_month", "chance of use of force in a month", "%",
    ("ladder_any", "ladder_force", "ladder_slope"),
)  # fmt: skip
def force_month(made: PriorPaths) -> Draws:
    return {THEATRE_LABELS[name]: 100.0 * made.force[:, k].mean(axis=1) for k, name in enumerate(THEATRES)}


@quantity(
    "force_year", "chance of use of force at least once in a year", "%",
    ("ladder_any", "ladder_force", "ladder_slope"),
)  # fmt: skip
def force_year(made: PriorPaths) -> Draws:
    none = np.log1p(-made.force[:, :, :12]).sum(axis=2)
    return {THEATRE_LABELS[name]: -100.0 * np.expm1(none[:, k]) for k, name in enumerate(THEATRES)}


def _wars(made: PriorPaths) -> xr.DataArray:
    """Whether a war breaks out, (draw, future, dyad)."""
    return (made.paths["clash"] == WAR).any("future_month").isel(chain=0)


@quantity(
    "war_theatre_year", "chance in a year of a war in a theatre", "%",
    ("ladder_force", "fatal_given_force", "war_given_fatal", "nuclear_restraint", "history_weight"),
)  # fmt: skip
def war_theatre_year(made: PriorPaths) -> Draws:
    from escalation_forecast.history.tables import load_history
    from escalation_forecast.history.today import open_dyads
    from escalation_forecast.war_chain import NATO_DYAD

    theatre = dict(open_dyads(load_history())[["dyad", "theatre"]].itertuples(index=False)) | {
        NATO_DYAD: "ukraine_nato"
    }
    wars = _wars(made)
    found = {}
    for name in THEATRES:
        dyads = [dyad for dyad in wars["dyad"].to_numpy() if theatre.get(str(dyad)) == name]
        within = wars.sel(dyad=dyads).any("dyad").mean("future").to_numpy()
        # A constant rate that gives the chance over the whole horizon.
        found[THEATRE_LABELS[name]] = 100.0 * -np.expm1(
            np.log1p(-np.minimum(within, 1.0 - 1e-9)) * 12 / HORIZON
        )
    return found


@quantity(
    "war_36", "chance within 36 months of a war in any of the theatres", "%",
    ("ladder_force", "fatal_given_force", "war_given_fatal", "nuclear_restraint", "history_weight"),
)  # fmt: skip
def war_36(made: PriorPaths) -> Draws:
    return {"any theatre": 100.0 * _wars(made).any("dyad").mean("future").to_numpy()}


@quantity(
    "joining_36", "chance within 36 months that a named state joins the war in Ukraine", "%",
    ("joining_logit", "joining_age", "war_end_logit", "joining_own", "joining_world", "history_weight"),
)  # fmt: skip
def joining_36(made: PriorPaths) -> Draws:
    if "joined" not in made.paths:
        return {}
    joined = (made.paths["joined"] > 0).any(["future_month", "joiner"]).isel(chain=0)
    return {"any of them": 100.0 * joined.mean("future").to_numpy()}


@quantity("half_life", "months until half of a spike of tension is gone", "months", ("phi", "phi_global"))
def half_life(made: PriorPaths) -> Draws:
    names = THEATRE_LABELS
    months = np.log(0.5) / np.log(made.posterior["phi"].clip(1e-6, 1.0 - 1e-9))
    world = np.log(0.5) / np.log(made.posterior["phi_global"].clip(1e-6, 1.0 - 1e-9))
    return {**_by_label(months, "theatre", names), names["global"]: world.to_numpy().ravel()}


@quantity(
    "tension", "tension in the last three years, from its mean since 1990", "units",
    ("phi", "global_share", "theatre_scale", "slow_step", "innovation_df"),
)  # fmt: skip
def tension(made: PriorPaths) -> Draws:
    latents = made.posterior["eta"].sel(latent=list(THEATRES))
    past = latents.isel(month=slice(made.panel.now + 1))
    return _by_label(past.isel(month=slice(-HORIZON, None)) - past.mean("month"), "latent", THEATRE_LABELS)


@quantity(
    "count_ratio", "a month's count as a multiple of the highest ever seen", "times",
    ("count_intercept", "count_loading", "count_dispersion", "count_trend"),
)  # fmt: skip
def count_ratio(made: PriorPaths) -> Draws:
    found = {}
    for name in made.panel.items["count"].index:
        if name not in made.paths["indicator"].to_numpy():
            continue
        seen = made.panel.history.loc[made.panel.history["indicator"] == name, "value"].max()
        months = made.ahead["indicator_level"].sel(indicator=name)
        found[str(name)] = months.to_numpy().ravel() / float(seen)
    return found


@quantity(
    "troops_ratio", "North Korean troops in Russia a year on, as a multiple of those now", "times",
    ("stock_drift", "stock_step", "stock_threat"),
)  # fmt: skip
def troops_ratio(made: PriorPaths) -> Draws:
    if "dprk_troops" not in made.paths:
        return {}
    troops: Any = made.paths["dprk_troops"].isel(month=[made.panel.now, made.panel.now + 12]).to_numpy()
    return {"": (troops[..., 1] / troops[..., 0]).ravel()}
