"""Parts of questions, fixed at an as-of date, and what each draw says about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import realised, rules
from escalation_forecast.question_file import Combine, Question, Window
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store


def month_range(first: pd.Timestamp, last: pd.Timestamp) -> pd.DatetimeIndex:
    """First days of the months from `first` to `last`."""
    months: pd.DatetimeIndex = pd.date_range(first, last, freq="MS", unit="ns")
    return months


@dataclass(frozen=True)
class Item:
    """One part of a question, fixed at an as-of date.

    Attributes
    ----------
    params : parameters of the rule, with every threshold a number.
    years, combine : for a rule for years.
    start, end : first and last month of the window, for a rule for months.
    decided : all its years had been released at the as-of date.
    """

    question: Question
    id: str
    target: str
    params: Any
    as_of: dt.date | None
    years: tuple[int, ...] = ()
    combine: Combine = "each"
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    decided: bool = False

    @property
    def rule(self) -> rules.Rule:
        return rules.get(self.question.rule)

    @property
    def months(self) -> pd.DatetimeIndex:
        if self.start is None or self.end is None:
            return pd.DatetimeIndex([])
        return month_range(self.start, self.end)

    @property
    def resolves_on(self) -> str:
        years = self.years or (0,)
        label = str(years[0]) if len(years) == 1 else f"{years[0]}-{years[-1]}"
        return self.question.resolves_on.format(
            year=label,
            first_year=years[0],
            last_year=years[-1],
            release_year=years[-1] + 1,
            end="" if self.end is None else f"{self.end:%Y-%m}",
        )


def _slug(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _year_items(base: Item, name: str, window: Window, years: Sequence[int], released: int) -> list[Item]:
    items = []
    span = f"{years[0]}-{years[-1]}" if len(years) > 1 else str(years[0])
    for combine in window.combine:
        groups = [(year,) for year in years] if combine == "each" else [tuple(years)]
        for group in groups:
            label = str(group[0]) if combine == "each" else f"{combine} {span}"
            items.append(
                replace(
                    base,
                    id=f"{base.id}/{label.replace(' ', '-')}",
                    target=f"{name} {label}".strip(),
                    years=group,
                    combine=combine,
                    decided=group[-1] <= released,
                )
            )
    return items


def _month_items(
    base: Item, name: str, window: Window, first: pd.Timestamp, last: pd.Timestamp
) -> list[Item]:
    ends = [
        (first + pd.DateOffset(months=n - 1), f"{n}m", f"{n} month" + "s" * (n > 1))
        for n in window.within_months
    ]
    for day in window.by:
        month = pd.Timestamp(day).to_period("M").to_timestamp()
        ends.append((month, f"by-{month:%Y-%m}", f"by {month:%Y-%m}"))
    return [
        replace(base, id=f"{base.id}/{slug}", target=f"{name}, {label}".lstrip(", "), start=first, end=end)
        for end, slug, label in ends
        if first <= end <= last
    ]


def forecast_years(store: Store, as_of: dt.date, horizon: int) -> tuple[int, tuple[int, ...]]:
    """The last year released at the as-of date, and the years first printed within the horizon."""
    released = int(realised.releases_of_years(store).index.max())
    end = pd.Timestamp(as_of) + pd.DateOffset(months=horizon)
    # SIPRI prints year y in late April of y + 1.
    last = end.year - 1 if end.month >= 4 else end.year - 2
    return released, tuple(range(released + 1, last + 1))


def _with_threshold(params: Any, question: Question, store: Store) -> Any:
    if not isinstance(params, rules.IndicatorExceeds):
        return params
    try:
        history = realised.indicator_history(store, params.indicator)
    except DataError as error:
        raise DataError(f"question `{question.id}`: {error}; correct the questions file.") from None
    if params.threshold is not None:
        return params
    if history.empty:
        raise DataError(
            f"question `{question.id}`: no figure of `{params.indicator}` is known at the as-of date, so it "
            "has no percentile; choose a later date or give a threshold."
        )
    return params.model_copy(update={"threshold": float(np.percentile(history, params.percentile))})


def _parts(question: Question, as_of: dt.date | None) -> Iterator[tuple[Item, str]]:
    for own, params in question.parts():
        slug = "/".join([question.id, *(_slug(value) for _, value in own)])
        name = " ".join(value if isinstance(value, str) else f"{key} {_slug(value)}" for key, value in own)
        yield Item(question, slug, "", params, as_of), name


def bind(
    questions: Iterable[Question],
    store: Store,
    *,
    as_of: dt.date | str | None = None,
    horizon: int = 36,
    paths: xr.Dataset | None = None,
) -> list[Item]:
    """Fix years, months and thresholds at an as-of date.

    Parts that reach beyond the horizon are left out. Thresholds come from what was known at the date.

    Parameters
    ----------
    as_of : by default the date at which the store is cut, or that of the paths.
    paths : forecast paths; their first forecast month and last year take precedence.
    """
    attrs = {} if paths is None else paths.attrs
    date = as_of or attrs.get("as_of") or store.as_of_date
    if date is None:
        raise DataError("The questions need an as-of date; pass as_of or cut the store by as_of.")
    stamp = pd.Timestamp(date).normalize()
    day: dt.date = stamp.date()
    known = store if store.as_of_date is not None and store.as_of_date <= day else store.as_of(day)
    released, years = forecast_years(known, day, int(attrs.get("horizon", horizon)))
    if paths is not None and "year" in paths.coords:
        years = tuple(int(year) for year in paths["year"].values if year > released)
    first = (stamp.to_period("M") + 1).to_timestamp()
    if "first_forecast_month" in attrs:
        first = pd.Timestamp(attrs["first_forecast_month"])
    last = (stamp.to_period("M") + int(attrs.get("horizon", horizon))).to_timestamp()
    if paths is not None and "month" in paths.coords:
        last = pd.Timestamp(paths["month"].values.max())

    items: list[Item] = []
    for question in questions:
        window = question.window
        wanted = years if window.years == "forecast" else tuple(sorted(window.years or ()))
        wanted = tuple(year for year in wanted if year <= max((released, *years)))
        for base, name in _parts(question, day):
            if window.years:
                items += _year_items(base, name, window, wanted, released) if wanted else []
            else:
                fixed = replace(base, params=_with_threshold(base.params, question, known))
                items += _month_items(fixed, name, window, first, last)
    return items


def bind_absolute(question: Question) -> list[Item]:
    """The parts of a question whose window names years, without an as-of date.

    Raises
    ------
    DataError
        When the window is relative.
    """
    years = question.window.years
    if not isinstance(years, tuple):
        raise DataError(f"question `{question.id}` is relative to an as-of date; pass as_of to resolve it.")
    return [
        item
        for base, name in _parts(question, None)
        for item in _year_items(base, name, question.window, sorted(years), 0)
    ]


def _combine(answers: list[xr.DataArray], how: Combine) -> xr.DataArray:
    stacked = xr.concat(answers, "part", coords="minimal", compat="override")
    if how == "each":
        return stacked.isel(part=0)
    return rules.any_of(stacked, "part") if how == "any" else rules.all_of(stacked, "part")


def draws(item: Item, paths: xr.Dataset) -> xr.DataArray:
    """The item on every path: 1 or 0, a count or a number by chain and draw; NaN where it is open."""
    rule = item.rule
    if rule.window == "months":
        return rule.function(paths, item.params, item.months).transpose("chain", "draw")
    at_hand = set(paths["year"].values.tolist())
    answers = []
    for year in item.years:
        if year in at_hand:
            answers.append(
                rule.function(paths, item.params, year).drop_vars(["year", "age"], errors="ignore")
            )
        else:
            open_ = xr.DataArray(
                np.nan, coords={"chain": paths["chain"], "draw": paths["draw"]}, dims=("chain", "draw")
            )
            answers.append(open_)
    return _combine(answers, item.combine).transpose("chain", "draw")
