"""Rules that decide a question: small pure functions over joint paths, registered by name.

A rule looks at one path at a time, so the same function gives a probability on the draws of a
forecast and the answer on the one path that happened. It returns, by ``chain`` and ``draw``,
1 or 0 (or a count, or a number), and NaN where the path does not settle it.

Add a rule with one function::

    class WithinParams(Params):
        theatre: Theatre

    @register("my-rule", window="months", params=WithinParams)
    def my_rule(paths, params, months): ...

A rule for years gets one year at a time, a rule for months a `pandas.DatetimeIndex`. The rules about
war are in `war_rules`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import pandas as pd
import xarray as xr
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.tables import nearest

Kind = Literal["binary", "count", "continuous"]
WindowKind = Literal["years", "months"]
Missing = Literal["does_not_qualify", "stays_open", "passed_over"]
RuleFunction = Callable[[xr.Dataset, Any, Any], xr.DataArray]
Reference = Callable[[Any, int, dt.date], tuple[int, int, str] | None]

LADDER_FORCE: Final = 4


def _one_of(what: str, known: Sequence[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"unknown {what} `{value}`{nearest(value, list(known))}")
        return value

    return AfterValidator(check)


def _check_dyad(value: str) -> str:
    sides = value.split("-")
    if len(sides) != 2 or sides[0] == sides[1]:
        raise ValueError(f"`{value}` is not a dyad of two states such as `CHN-JPN`")
    for side in sides:
        if side not in STATES:
            raise ValueError(f"unknown state `{side}` in dyad `{value}`{nearest(side, list(STATES))}")
    return value


State = Annotated[str, _one_of("state", STATES)]
Theatre = Annotated[str, _one_of("theatre", THEATRES)]
Dyad = Annotated[str, AfterValidator(_check_dyad)]


class Params(BaseModel):
    """Parameters of a rule; a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Mean(Params):
    """A mean of growth over `span` years against a threshold in per cent."""

    threshold: float
    span: int = Field(default=3, ge=1, le=6)


class StatesGrow(Mean):
    states: tuple[State, ...] = Field(min_length=1)
    at_least: int = Field(ge=1)

    @model_validator(mode="after")
    def _reachable(self) -> StatesGrow:
        if self.at_least > len(self.states):
            raise ValueError(f"at_least = {self.at_least} is more than the {len(self.states)} states")
        return self


class StatesCount(Mean):
    states: tuple[State, ...] = Field(min_length=1)


class DyadGrows(Mean):
    dyad: Dyad


class DyadsEveryYear(Params):
    dyads: tuple[Dyad, ...] = Field(min_length=1)
    threshold: float
    consecutive: int = Field(default=3, ge=1, le=6)


class StatesAccelerate(Params):
    states: tuple[State, ...] = Field(min_length=1)
    at_least: int = Field(ge=1)


class StateGrowth(Params):
    state: State


class LadderReaches(Params):
    theatre: Theatre
    level: int = Field(default=LADDER_FORCE, ge=1, le=5)


class IndicatorExceeds(Params):
    """`threshold` is filled in from the history known at the as-of date when it is left out."""

    indicator: str
    percentile: float = Field(default=95.0, gt=0, lt=100)
    threshold: float | None = None


class TroopsExceed(Params):
    above: float = Field(ge=0)


@dataclass(frozen=True)
class Rule:
    """A registered rule.

    Attributes
    ----------
    kind : what one path gives: yes or no, a count, or a number.
    window : whether it is asked of a year or of a run of months.
    first_trial : first year that counts in the base rate of a rule for years.
    no_base_rate : why there is no history to count; empty where there is.
    missing : what a missing figure does: it does not qualify, leaves a "no" open, or is passed over.
    shows : the figures compared, by one labelled dim; what a resolution reports.
    top : for a count, the largest possible.
    reference : counts the base rate where the paths hold no history to count it in; gets the parameters,
        the months of the window and the as-of date, and gives events, trials and the reference class.
    begins_with : variable of the paths, by parameters, that is there only once something has been
        reported; before that nobody could have asked, and a forecast leaves the question out.
    reads : for a rule for months, the series and unit it reads; an empty series means an indicator.
    """

    name: str
    kind: Kind
    window: WindowKind
    params: type[Params]
    function: RuleFunction
    shows: RuleFunction
    missing: Missing
    first_trial: int = 1992
    no_base_rate: str = ""
    top: Callable[[Any], int] = lambda _: 1
    reads: Callable[[Any], tuple[str, str]] | None = None
    begins_with: Callable[[Any], str] = lambda _: ""
    reference: Reference | None = None


_RULES: dict[str, Rule] = {}


def register(
    name: str,
    *,
    window: WindowKind,
    params: type[Params],
    kind: Kind = "binary",
    shows: RuleFunction | None = None,
    missing: Missing | None = None,
    first_trial: int = 1992,
    no_base_rate: str = "",
    top: Callable[[Any], int] = lambda _: 1,
    reads: Callable[[Any], tuple[str, str]] | None = None,
    begins_with: Callable[[Any], str] = lambda _: "",
    reference: Reference | None = None,
) -> Callable[[RuleFunction], RuleFunction]:
    """Make a function over paths available to ``questions.toml`` under `name`.

    See `Rule` for the parameters. A rule for months has a base rate only if `shows` is given.
    """

    def add(function: RuleFunction) -> RuleFunction:
        if name in _RULES:
            raise ValueError(f"A rule named `{name}` is registered already; choose another name.")
        _RULES[name] = Rule(
            name=name,
            kind=kind,
            window=window,
            params=params,
            function=function,
            shows=shows or function,
            missing=missing or ("does_not_qualify" if window == "years" else "stays_open"),
            first_trial=first_trial,
            no_base_rate=no_base_rate,
            top=top,
            reads=reads,
            begins_with=begins_with,
            reference=reference,
        )
        return function

    return add


def names() -> tuple[str, ...]:
    """Names of the rules at hand."""
    return tuple(_RULES)


def get(name: str) -> Rule:
    """The rule of that name.

    Raises
    ------
    DataError
        For an unknown name, with the nearest one.
    """
    if name in _RULES:
        return _RULES[name]
    raise DataError(f"unknown rule `{name}`{nearest(name, list(_RULES))}")


def variable(paths: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of the paths, or an error that names it."""
    if name not in paths:
        raise DataError(f"The paths hold no `{name}`; it is needed for this rule.")
    return paths[name]


def growth(paths: xr.Dataset, year: int, states: Sequence[str], years: int = 1) -> xr.DataArray:
    """Growth in per cent of the last years (dim age), as printed in the release that first covers `year`."""
    return variable(paths, "growth_print").sel(year=year, state=list(states), age=slice(0, years - 1))


def mean_growth(paths: xr.Dataset, year: int, states: Sequence[str], span: int) -> xr.DataArray:
    """Mean growth of the last `span` years by state; NaN as soon as one year is missing."""
    return growth(paths, year, states, span).mean("age", skipna=False)


def within(hits: xr.DataArray, known: xr.DataArray, dim: str) -> xr.DataArray:
    """1 where any is a hit, else NaN where any is unknown, else 0."""
    hit = (hits & known).any(dim)
    return hit.astype(float).where(hit | known.all(dim))


def any_of(answers: xr.DataArray, dim: str) -> xr.DataArray:
    """Three-valued "at least one" along `dim` of 1, 0 and NaN."""
    return within(answers == 1, answers.notnull(), dim)


def all_of(answers: xr.DataArray, dim: str) -> xr.DataArray:
    """Three-valued "every one" along `dim` of 1, 0 and NaN."""
    return 1.0 - any_of(1.0 - answers, dim)


def _select_months(array: xr.DataArray, months: pd.DatetimeIndex) -> xr.DataArray:
    return array.reindex(month=months)


def _states_mean(paths: xr.Dataset, params: Any, year: int) -> xr.DataArray:
    return mean_growth(paths, year, params.states, params.span)


def _dyad_mean(paths: xr.Dataset, params: DyadGrows, year: int) -> xr.DataArray:
    return mean_growth(paths, year, params.dyad.split("-"), params.span)


def _dyads_lowest(paths: xr.Dataset, params: DyadsEveryYear, year: int) -> xr.DataArray:
    states = sorted({side for dyad in params.dyads for side in dyad.split("-")})
    lowest = growth(paths, year, states, params.consecutive).min("age", skipna=False)
    pairs = [lowest.sel(state=dyad.split("-")).min("state", skipna=False) for dyad in params.dyads]
    return xr.concat(pairs, pd.Index(params.dyads, name="dyad"), coords="minimal", compat="override")


def _speeding_up(paths: xr.Dataset, params: StatesAccelerate, year: int) -> xr.DataArray:
    states = list(params.states)
    six = growth(paths, year, states, 6)
    earlier = variable(paths, "growth_base_mean").sel(year=year, state=states)
    count = variable(paths, "growth_base_count").sel(year=year, state=states)
    recent = six.mean("age", skipna=False)
    to_date = (earlier * count + six.sum("age", skipna=False)) / (count + 6)
    younger, older = (six.sel(age=ages).mean("age", skipna=False) for ages in (slice(0, 2), slice(3, 5)))
    return ((recent > to_date) & (younger > older)).astype(float)


def _ladder(paths: xr.Dataset, params: LadderReaches, months: pd.DatetimeIndex) -> xr.DataArray:
    return _select_months(variable(paths, "ladder").sel(theatre=params.theatre), months)


def _indicator(paths: xr.Dataset, params: IndicatorExceeds, months: pd.DatetimeIndex) -> xr.DataArray:
    levels = variable(paths, "indicator_level")
    if params.indicator not in levels["indicator"].values:
        known = [str(name) for name in levels["indicator"].values]
        raise DataError(
            f"The paths hold no indicator `{params.indicator}`{nearest(params.indicator, known)}."
        )
    return _select_months(levels.sel(indicator=params.indicator), months)


def _troops(paths: xr.Dataset, params: TroopsExceed, months: pd.DatetimeIndex) -> xr.DataArray:
    return _select_months(variable(paths, "dprk_troops"), months)


@register("states-grow", window="years", params=StatesGrow, shows=_states_mean)
def states_grow(paths: xr.Dataset, params: StatesGrow, year: int) -> xr.DataArray:
    """At least `at_least` states with mean growth over `span` years of the threshold or more."""
    return (states_count(paths, params, year) >= params.at_least).astype(float)


@register(
    "states-grow-count",
    window="years",
    params=StatesCount,
    kind="count",
    shows=_states_mean,
    top=lambda params: len(params.states),
)
def states_count(paths: xr.Dataset, params: StatesGrow | StatesCount, year: int) -> xr.DataArray:
    """How many states have mean growth over `span` years of the threshold or more."""
    return (_states_mean(paths, params, year) >= params.threshold).sum("state").astype(float)


@register("dyad-grows", window="years", params=DyadGrows, shows=_dyad_mean)
def dyad_grows(paths: xr.Dataset, params: DyadGrows, year: int) -> xr.DataArray:
    """Both sides with mean growth over `span` years of the threshold or more."""
    return (_dyad_mean(paths, params, year) >= params.threshold).all("state").astype(float)


@register("dyads-grow-every-year", window="years", params=DyadsEveryYear, shows=_dyads_lowest)
def dyads_grow_every_year(paths: xr.Dataset, params: DyadsEveryYear, year: int) -> xr.DataArray:
    """Some dyad with both sides at the threshold or more in each of the last years (Gibler et al. 2005)."""
    return (_dyads_lowest(paths, params, year) >= params.threshold).any("dyad").astype(float)


@register(
    "states-accelerate",
    window="years",
    params=StatesAccelerate,
    shows=_speeding_up,
    # In 1995 the last six years are the whole record.
    first_trial=1996,
)
def states_accelerate(paths: xr.Dataset, params: StatesAccelerate, year: int) -> xr.DataArray:
    """At least `at_least` states above their own mean growth to date and speeding up (after Horn 1987).

    Six-year mean above the mean since 1990, and the last three years' mean above the three before.
    """
    return (_speeding_up(paths, params, year).sum("state") >= params.at_least).astype(float)


@register(
    "growth",
    window="years",
    params=StateGrowth,
    kind="continuous",
    missing="stays_open",
    no_base_rate="a quantity has no rate; compare its interval with the state's past growth",
)
def state_growth(paths: xr.Dataset, params: StateGrowth, year: int) -> xr.DataArray:
    """First print of the year's growth in per cent."""
    return growth(paths, year, [params.state]).isel(state=0, age=0)


@register(
    "ladder-reaches",
    window="months",
    params=LadderReaches,
    shows=_ladder,
    reads=lambda params: ("ladder", params.theatre),
)
def ladder_reaches(paths: xr.Dataset, params: LadderReaches, months: pd.DatetimeIndex) -> xr.DataArray:
    """The ladder reaches `level` in some month; a month without a figure leaves a "no" open."""
    levels = _ladder(paths, params, months)
    return within(levels >= params.level, levels.notnull(), "month")


@register(
    "indicator-exceeds",
    window="months",
    params=IndicatorExceeds,
    shows=_indicator,
    reads=lambda params: ("", params.indicator),
)
def indicator_exceeds(paths: xr.Dataset, params: IndicatorExceeds, months: pd.DatetimeIndex) -> xr.DataArray:
    """The indicator is above its threshold in some month."""
    if params.threshold is None:
        raise DataError(
            f"The threshold of `{params.indicator}` is not set; bind the question to an as-of date."
        )
    levels = _indicator(paths, params, months)
    return within(levels > params.threshold, levels.notnull(), "month")


@register(
    "troops-exceed",
    window="months",
    params=TroopsExceed,
    shows=_troops,
    missing="passed_over",
    reads=lambda _: ("dprk_troops_in_russia", "PRK>RUS"),
    begins_with=lambda _: "dprk_troops",
    no_base_rate="none, since there was one such deployment and its size is the question",
)
def troops_exceed(paths: xr.Dataset, params: TroopsExceed, months: pd.DatetimeIndex) -> xr.DataArray:
    """More troops than `above` in some month; months without a report are passed over if one has a report."""
    troops = _troops(paths, params, months)
    known = troops.notnull()
    return within(troops > params.above, known | known.any("month"), "month")
