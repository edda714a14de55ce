"""Hypothetical figures at their places on a finished run, in the units in which they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from escalation_forecast.indicator_paths import future_exposure
from escalation_forecast.scenario.observed import TROOPS, Kind, Observed
from escalation_forecast.schema import DataError
from escalation_forecast.spending_panel import YEARS_AHEAD, SpendingPanel, build_spending
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.panel import Panel
    from escalation_forecast.update import Updater

OWN_YEARS: Final = 10  # of figures that a percentile is taken from
LEAST_FIGURES: Final = 24
POINT: Final = (0.95, 1.05)  # a reported number of troops is as good as this range, as in the panel
MONTHLY: Final = {"reading": "news", "count": "count", "share": "share"}  # family by block


@dataclass(frozen=True)
class Figure:
    """One hypothetical figure at its place.

    Attributes
    ----------
    ahead : months after that of the as-of date; 0 for a budget.
    month : first day; of a budget, of its year.
    value : in own unit; of bounds the middle, or the one that there is.
    low, high : of troops, with infinity for no bound.
    point : whether the value itself is supposed, and not only bounds.
    unit : what the value counts.
    """

    kind: Kind
    of: str
    ahead: int
    month: pd.Timestamp
    value: float
    low: float = np.nan
    high: float = np.nan
    point: bool = True
    unit: str = ""

    @property
    def when(self) -> str:
        """Month or year in digits."""
        return f"{self.month:%Y}" if self.kind == "budget" else f"{self.month:%Y-%m}"

    def __str__(self) -> str:
        return f"{self.of} {self.text} in {self.when}"

    @property
    def text(self) -> str:
        """Value in words."""
        value = f"{self.value:,.6g}"
        if not self.point:
            low, high = (f"{bound:,.0f}" for bound in (self.low, self.high))
            value = f"{low} to {high}"
            if np.isneginf(self.low):
                value = f"at most {high}"
            elif np.isinf(self.high):
                value = f"at least {low}"
        return f"{value} {self.unit}".strip()


def figures(updater: Updater, observed: Sequence[Observed], where: str = "scenario") -> tuple[Figure, ...]:
    """Every hypothetical figure at its place on a run, in order of time.

    Raises
    ------
    DataError
        For an unknown series, a figure that is known already, one beyond the horizon, one that the series
        cannot have, or one given twice.
    """
    found: dict[tuple[str, str, pd.Timestamp], Figure] = {}
    for number, one in enumerate(observed, start=1):
        try:
            placed = _PLACE[one.kind](updater, one)
        except DataError as error:
            raise DataError(f"{where}, observed {number}: {error}") from None
        for figure in placed:
            key = (figure.kind, figure.of, figure.month)
            if key in found:
                raise DataError(
                    f"{where}, observed {number}: {figure.of} in {figure.when} is given twice; keep one."
                )
            found[key] = figure
    if not found:
        raise DataError(f"{where} supposes nothing to be observed; add an [[observed]] table.")
    return tuple(found[key] for key in sorted(found, key=lambda key: (key[2], key[0], key[1])))


def _indicator(updater: Updater, one: Observed) -> list[Figure]:
    panel = updater.panel
    known = {str(name): block for block in MONTHLY for name in _names(panel, block)}
    if one.of not in known:
        raise DataError(
            f"there is no monthly indicator `{one.of}`{nearest(one.of, known)}; see data/indicators.csv."
        )
    simulated = [str(name) for name in updater.run.forecast["indicator"].to_numpy()]
    if one.of not in simulated:
        raise DataError(
            f"`{one.of}` has had no figures lately and is not forecast; use one of {', '.join(simulated)}."
        )
    block = known[one.of]
    own_unit = block != "reading" or bool(panel.items[block].loc[one.of, "log"])
    if one.value is not None and not own_unit:
        raise DataError(
            f"`{one.of}` is a mean of several units and has none of its own; give a `percentile`."
        )
    months = _months(updater, one)
    found = []
    for ahead, month in zip(one.months, months, strict=True):
        exposure = _exposure(panel, block, one.of, month)
        value = _from_percentile(panel, block, one, exposure) if one.value is None else one.value
        found.append(Figure(one.kind, one.of, ahead, month, _fits(block, one.of, value, exposure)))
    return found


def _fits(block: str, name: str, value: float, exposure: float) -> float:
    if block == "reading":
        return value
    if value < 0 or value != round(value):
        raise DataError(f"`{name}` is a count, so {value:g} cannot be; give a whole number.")
    if block == "share" and value > exposure:
        raise DataError(
            f"`{name}` counts senders that act and only {exposure:.0f} are covered; give at most that."
        )
    return value


def _from_percentile(panel: Panel, block: str, one: Observed, exposure: float) -> float:
    rows = panel.history[panel.history["indicator"] == one.of]
    rows = rows[rows["month"] > panel.months[panel.now] - pd.DateOffset(years=OWN_YEARS)]
    if len(rows) < LEAST_FIGURES:
        raise DataError(
            f"`{one.of}` has {len(rows)} figures in ten years, too few for a percentile; give a `value`."
        )
    assert one.percentile is not None
    values = rows["value"].to_numpy(float)
    if block == "reading":
        return float(np.percentile(values, one.percentile))
    rate = values / panel.exposures[one.of].reindex(rows["month"]).to_numpy(float)
    return float(np.round(np.percentile(rate, one.percentile) * exposure))


def _exposure(panel: Panel, block: str, name: str, month: pd.Timestamp) -> float:
    if block == "reading":
        return 1.0
    position = list(panel.items[block].index).index(name)
    return float(future_exposure(panel, block, position, pd.DatetimeIndex([month]))[0])


def _ladder(updater: Updater, one: Observed) -> list[Figure]:
    assert one.value is not None
    months = _months(updater, one)
    return [
        Figure(one.kind, one.of, ahead, month, one.value, unit="on the ladder")
        for ahead, month in zip(one.months, months, strict=True)
    ]


def _troops(updater: Updater, one: Observed) -> list[Figure]:
    if "dprk_troops" not in updater.run.forecast:
        raise DataError(f"no report of {TROOPS} had come by the as-of date, so there is no forecast of them.")
    months = _months(updater, one)
    if one.value is not None:
        low, high = (factor * one.value for factor in POINT)
        value, point = one.value, True
    else:
        low, high = one.low or -np.inf, one.high or np.inf
        inside = [bound for bound in (low, high) if np.isfinite(bound)]
        value, point = float(np.mean(inside)), False
    return [
        Figure(one.kind, one.of, ahead, month, value, low, high, point, "troops")
        for ahead, month in zip(one.months, months, strict=True)
    ]


def _budget(updater: Updater, one: Observed) -> list[Figure]:
    sp = updater.panel.spending
    year = one.year if one.year is not None else updater.panel.as_of.year + (one.years_ahead or 0)
    if one.of not in sp.states:
        raise DataError(f"{one.of} has no figures of military spending; use one of {', '.join(sp.states)}.")
    if year <= sp.last_printed:
        raise DataError(f"growth of {year} is known already; give a year after {sp.last_printed}.")
    known = sp.budgets["year"][sp.budgets["state"] == sp.states.index(one.of)] + sp.years[0]
    if year in known:
        raise DataError(f"the budget of {one.of} for {year} is known already; give a later year.")
    last = min(sp.last_printed + YEARS_AHEAD, int(updater.run.forecast["year"].max()))
    if year > last:
        raise DataError(
            f"{year} is beyond the years that the model reads a budget of; give {last} at the latest."
        )
    assert one.value is not None
    figure = Figure(one.kind, one.of, 0, pd.Timestamp(year, 1, 1), one.value, unit="% announced")
    reading_of(announced(updater, [figure]), figure)
    return [figure]


def announced(updater: Updater, figures: Sequence[Figure], years: np.ndarray | None = None) -> SpendingPanel:
    """Spending as known on the as-of date, with hypothetical budgets announced on it.

    Parameters
    ----------
    years : of the grid; by default those of the run.
    """
    if years is None and all(figure.kind != "budget" for figure in figures):
        return updater.panel.spending
    known, day = updater.known, updater.panel.as_of
    rows = known.observations
    budgets = rows[rows["series"] == "budget_growth"].iloc[-1:]
    added = [
        budgets.assign(
            unit=figure.of,
            period_start=figure.month,
            period_end=figure.month + pd.offsets.YearEnd(0),
            value=figure.value,
            low=np.nan,
            high=np.nan,
            release="hypothetical",
            published_at=day,
            quality="reported",
        )
        for figure in figures
        if figure.kind == "budget"
    ]
    both = pd.concat([rows, *added], ignore_index=True)
    where = pd.concat([known.where, *[known.where.iloc[-1:]] * len(added)], ignore_index=True)
    grid = updater.panel.years if years is None else years
    return build_spending(replace(known, observations=both, where=where), day, grid)


@dataclass(frozen=True)
class Reading:
    """A hypothetical budget as the model reads it: real growth, 100 x log, and what goes with it."""

    value: float
    doubt: float
    inflation: float


def reading_of(sp: SpendingPanel, figure: Figure) -> Reading:
    """How spending with hypothetical budgets reads one of them.

    Raises
    ------
    DataError
        Where no inflation is known to take off.
    """
    table = sp.budgets
    mine = (table["state"] == sp.states.index(figure.of)) & (table["year"] == figure.month.year - sp.years[0])
    if not mine.any():
        raise DataError(f"no inflation of {figure.of} is known, so its budget cannot be read; leave it out.")
    value, doubt = (float(table[name][mine][-1]) for name in ("value", "doubt"))
    return Reading(value, doubt, float(100.0 * np.log1p(figure.value / 100.0)) - value)


_PLACE: Final = {"indicator": _indicator, "ladder": _ladder, "troops": _troops, "budget": _budget}


def _months(updater: Updater, one: Observed) -> list[pd.Timestamp]:
    if max(one.months) > updater.horizon:
        raise DataError(
            f"month {max(one.months)} is beyond the horizon of {updater.horizon} months; give a nearer one."
        )
    now = updater.panel.months[updater.panel.now]
    months = [now + pd.DateOffset(months=ahead) for ahead in one.months]
    name = f"ladder_{one.of}" if one.kind == "ladder" else one.of
    last = updater.panel.last_period.get(name)
    if last is not None and min(months) <= last:
        raise DataError(f"{one.of} is known already up to {last:%Y-%m}; give a later month.")
    return months


def _names(panel: Panel, block: str) -> list[str]:
    items = panel.items[block]
    return list(items.index[items["family"] == MONTHLY[block]])
