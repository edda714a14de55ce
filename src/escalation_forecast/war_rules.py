"""Rules about clashes, wars and joining; see `rules` for how a rule is made.

On simulated paths a rule answers for every future of a draw, and the draw gets the share of its futures
that say yes; on what happened there is one.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final, Literal

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import AfterValidator, Field

from escalation_forecast import history_rates
from escalation_forecast.history.today import open_dyads
from escalation_forecast.rules import Params, any_of, register, variable, within
from escalation_forecast.schema import THEATRES
from escalation_forecast.tables import nearest
from escalation_forecast.war_chain import JOINERS, dyad_groups
from escalation_forecast.war_paths import FATAL, MATERIAL, MONTH, WAR

Route = Literal["any", "joining", "war", "two-theatres"]
BY_DEATHS: Final = {1: FATAL, 25: MATERIAL}


@cache
def dyad_theatres() -> dict[str, str]:
    """Theatre of each dyad of the simulation."""
    history = history_rates.embedded()
    groups, dyads = dyad_groups(history), open_dyads(history)
    return {groups[dyad]: str(theatre) for dyad, theatre in zip(dyads["dyad"], dyads["theatre"], strict=True)}


def _known_dyad(value: str) -> str:
    if value not in dyad_theatres():
        raise ValueError(f"unknown dyad `{value}`{nearest(value, list(dyad_theatres()))}")
    return value


def _known_joiner(value: str) -> str:
    if value not in JOINERS:
        raise ValueError(f"unknown joiner `{value}`{nearest(value, list(JOINERS))}")
    return value


TheatreDyad = Annotated[str, AfterValidator(_known_dyad)]
Joiner = Annotated[str, AfterValidator(_known_joiner)]


class FatalClash(Params):
    """`deaths` is 1, or 25 for a material clash."""

    dyad: TheatreDyad
    deaths: Literal[1, 25] = 1


class InterstateWar(Params):
    dyad: TheatreDyad


class WarJoining(Params):
    states: tuple[Joiner, ...] = Field(min_length=1)


class WiderWar(Params):
    """`gap` is the number of months that two material clashes may lie apart."""

    route: Route = "any"
    states: tuple[Joiner, ...] = JOINERS
    gap: int = Field(default=6, ge=1, le=24)


def _months(array: xr.DataArray, months: pd.DatetimeIndex) -> xr.DataArray:
    array = array.rename({MONTH: "month"}) if MONTH in array.dims else array
    at = array.indexes["month"].get_indexer(months)
    if at[0] >= 0 and np.array_equal(at, np.arange(at[0], at[0] + len(at))):
        return array.isel(month=slice(int(at[0]), int(at[-1]) + 1))
    return array.reindex(month=months)


def _settled(answers: xr.DataArray) -> xr.DataArray:
    return answers.mean("future") if "future" in answers.dims else answers


def _simulated(levels: xr.DataArray) -> bool:
    """Whether nothing can be unknown: bytes of a simulation, in which asking costs more than the answer."""
    return levels.dtype.kind == "u"


def _clash(paths: xr.Dataset, params: Any, months: pd.DatetimeIndex) -> xr.DataArray:
    return _months(variable(paths, "clash").sel(dyad=params.dyad), months)


def _reached(levels: xr.DataArray, least: int, dims: Any) -> xr.DataArray:
    if _simulated(levels):
        return (levels.max(dims) >= least).astype(float)
    return within(levels >= least, levels.notnull(), dims)


@register(
    "fatal-clash",
    window="months",
    params=FatalClash,
    shows=_clash,
    reads=lambda params: ("ladder", dyad_theatres()[params.dyad]),
)
def fatal_clash(paths: xr.Dataset, params: FatalClash, months: pd.DatetimeIndex) -> xr.DataArray:
    """A clash of the dyad in which a member of a state's forces dies by direct fire."""
    return _settled(_reached(_clash(paths, params, months), BY_DEATHS[params.deaths], "month"))


@register("interstate-war", window="months", params=InterstateWar, reference=history_rates.war)
def interstate_war(paths: xr.Dataset, params: InterstateWar, months: pd.DatetimeIndex) -> xr.DataArray:
    """A clash of the dyad that becomes a war; the war counts from the month of that clash."""
    return _settled(_reached(_clash(paths, params, months), WAR, "month"))


@register(
    "war-joining",
    window="months",
    params=WarJoining,
    begins_with=lambda _: "joined",
    reference=history_rates.joining,
)
def war_joining(paths: xr.Dataset, params: WarJoining, months: pd.DatetimeIndex) -> xr.DataArray:
    """One of the states joins the war that goes on."""
    return _settled(_joined(paths, params.states, months))


@register(
    "wider-war",
    window="months",
    params=WiderWar,
    begins_with=lambda params: "joined" if params.route == "joining" else "",
    reference=history_rates.wider,
)
def wider_war(paths: xr.Dataset, params: WiderWar, months: pd.DatetimeIndex) -> xr.DataArray:
    """The war is joined, a dyad of a theatre goes to war, or two theatres have material clashes at once."""
    routes = []
    clash = _months(variable(paths, "clash"), months)
    if params.route in ("any", "joining") and "joined" in paths:
        routes.append(_joined(paths, params.states, months))
    if params.route in ("any", "war"):
        routes.append(_reached(clash, WAR, ["dyad", "month"]))
    if params.route in ("any", "two-theatres"):
        routes.append(_two_theatres(clash, params.gap))
    if not routes:
        routes.append(xr.zeros_like(_reached(clash, WAR, ["dyad", "month"])))
    if len(routes) == 1:
        return _settled(routes[0])
    return _settled(any_of(xr.concat(routes, "route", coords="minimal", compat="override"), "route"))


def _joined(paths: xr.Dataset, states: tuple[str, ...], months: pd.DatetimeIndex) -> xr.DataArray:
    entered = variable(paths, "joined").sel(joiner=list(states))
    return _reached(_months(entered, months), 1, ["joiner", "month"])


def _two_theatres(clash: xr.DataArray, gap: int) -> xr.DataArray:
    """Material clashes in two theatres at most `gap` months apart, both within the months given."""
    theatres = dyad_theatres()
    of = np.array([THEATRES.index(theatres[str(dyad)]) for dyad in clash["dyad"].values])
    levels = clash.transpose(..., "dyad", "month")
    highest = np.stack(
        [np.fmax.reduce(levels.values[..., of == k, :], axis=-2) for k in np.unique(of)], axis=-2
    )
    # Few futures have such clashes in two theatres at all.
    both = (np.fmax.reduce(highest, axis=-1) >= MATERIAL).sum(axis=-1) > 1
    here = highest[both] >= MATERIAL
    lately = here.copy()
    for lag in range(1, min(gap + 1, here.shape[-1])):
        lately[..., lag:] |= here[..., :-lag]
    both[both] = (lately.sum(axis=-2) > 1).any(axis=-1)
    settled = True if _simulated(levels) else levels.notnull().values.all(axis=(-2, -1))
    frame = levels.isel(dyad=0, month=0, drop=True)
    return frame.copy(data=np.where(both, 1.0, np.where(settled, 0.0, np.nan)))
