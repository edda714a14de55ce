"""Questions on joint paths: probabilities with their error and base rate, and resolution.

``bind`` turns the questions of a file into items with concrete years, months and thresholds at an as-of
date; ``evaluate`` gives each its probability on the draws; ``resolve`` applies the same rule to what
happened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import arviz as az
import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import realised, rules
from escalation_forecast.question_file import Question, Window, load_questions
from escalation_forecast.question_items import Item, bind, bind_absolute, draws, month_range
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store

__all__ = [
    "Answer", "BaseRate", "Item", "Question", "Resolution", "Window", "base_rate", "bind", "draws",
    "evaluate", "load_questions", "resolve", "resolve_item",
]  # fmt: skip

INTERVAL: Final = (0.1, 0.5, 0.9)
# Reports on a month keep coming for a while; a "no" that passes over gaps waits for them.
GRACE: Final = pd.Timedelta(days=60)
MIN_DRAWS: Final = 4
UNIT_TOLERANCE: Final = 0.01


@dataclass(frozen=True)
class BaseRate:
    """How often the same rule held before: `events` of `trials`, and of what."""

    events: int
    trials: int
    reference_class: str

    @property
    def rate(self) -> float:
        return self.events / self.trials

    def as_dict(self) -> dict[str, Any]:
        return {
            "rate": self.rate,
            "events": self.events,
            "trials": self.trials,
            "reference_class": self.reference_class,
        }


@dataclass(frozen=True)
class Answer:
    """What the draws say about an item.

    Attributes
    ----------
    probability : share of draws that say yes; None for a count or a number.
    mcse : Monte Carlo standard error of the probability, of a count's mean or of a number's median; the
        rule-of-three upper bound when all draws agree.
    distribution : of a count the probability of each value; of a number its median, central 80 % interval
        (low, high) and mean.
    """

    item: Item
    probability: float | None
    mcse: float | None
    ess: float | None
    r_hat: float | None
    distribution: dict[str, float] | None
    base_rate: BaseRate | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """The entry of ``summary.json``."""
        return {
            "id": self.item.id,
            "question": self.item.question.id,
            "kind": self.item.rule.kind,
            "title": self.item.question.title,
            "target": self.item.target,
            "probability": self.probability,
            "mcse": self.mcse,
            "ess": self.ess,
            "r_hat": self.r_hat,
            "distribution": self.distribution,
            "base_rate": self.base_rate.as_dict() if self.base_rate else None,
            "resolves_on": self.item.resolves_on,
            "note": self.note,
        }


@dataclass(frozen=True)
class Resolution:
    """The answer of what happened.

    Attributes
    ----------
    status : true or false, ``resolved`` for a count or number (see `value`), or unresolved.
    releases : the named releases that decided it.
    published_at : when the last of them came out.
    figures : label, period and value of each figure compared.
    """

    item: Item
    status: Literal["true", "false", "resolved", "unresolved"]
    value: float | None
    releases: tuple[str, ...]
    published_at: dt.date | None
    figures: tuple[tuple[str, str, float], ...]

    def __str__(self) -> str:
        found = ", ".join(f"{label} {period} {value:.4g}" for label, period, value in self.figures)
        where = f" on release {', '.join(self.releases)}" if self.releases else ""
        return f"{self.item.id}: {self.status}{where}" + (f" ({found})" if found else "")


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if np.isfinite(number) else None


def _error(values: np.ndarray, item: Item) -> tuple[float | None, float | None, float | None, str]:
    """Monte Carlo error, effective sample size, R-hat and a note, for an array (chain, draw)."""
    kind, n = item.rule.kind, values.size
    if item.decided:
        return 0.0, None, None, "released before the as-of date"
    if np.all(values == values.flat[0]):
        if kind == "continuous":
            return 0.0, None, None, "the same in every draw"
        what = {0.0: "no", 1.0: "yes"}[float(values.flat[0])] if kind == "binary" else "the same count"
        return (
            3 / n,
            None,
            None,
            f"{what} in all {n:,} draws; mcse is the upper bound 3/{n:,} (rule of three)",
        )
    method = "median" if kind == "continuous" else "mean"
    if values.shape[1] < MIN_DRAWS:
        return float(values.std() / np.sqrt(n)), None, None, "too few draws for an effective sample size"
    with np.errstate(all="ignore"):
        mcse, ess = _finite(az.mcse(values, method=method)), _finite(az.ess(values, method=method))
        r_hat = _finite(az.rhat(values)) if values.shape[0] > 1 else None
    return mcse, ess, r_hat, ""


def _answer(item: Item, paths: xr.Dataset, rate: BaseRate | None) -> Answer:
    values = draws(item, paths).to_numpy().astype(float)
    kind = item.rule.kind
    empty = Answer(item, None, None, None, None, None, rate, "")
    if np.isnan(values).all() and kind == "continuous":
        return replace(empty, note="no forecast: the state has no figures")
    if np.isnan(values).any():
        raise DataError(
            f"The paths do not settle `{item.id}` in {int(np.isnan(values).sum()):,} of {values.size:,} "
            "draws; let them cover the whole window without gaps."
        )
    mcse, ess, r_hat, note = _error(values, item)
    notes = [note, item.rule.no_base_rate and f"base rate: {item.rule.no_base_rate}"]
    if isinstance(item.params, rules.IndicatorExceeds):
        notes.append(f"threshold {item.params.threshold:.4g}")
    answer = replace(empty, mcse=mcse, ess=ess, r_hat=r_hat, note="; ".join(filter(None, notes)))
    if kind == "binary":
        return replace(answer, probability=float(values.mean()))
    if kind == "count":
        top = item.rule.top(item.params)
        shares = {str(k): float((values == k).mean()) for k in range(top + 1)}
        return replace(answer, distribution=shares)
    low, median, high = (float(q) for q in np.quantile(values, INTERVAL))
    return replace(
        answer, distribution={"median": median, "low": low, "high": high, "mean": float(values.mean())}
    )


def _check_units(item: Item, paths: xr.Dataset, history: xr.Dataset) -> None:
    """A threshold in the indicator's own unit means nothing on paths in another."""
    name = item.params.indicator
    if name not in paths["indicator_level"]["indicator"].values:
        return
    ours = history["indicator_level"].sel(indicator=name).isel(chain=0, draw=0).dropna("month")
    ours = ours[ours["month"] < np.datetime64(item.months[0])]
    theirs = paths["indicator_level"].sel(indicator=name).isel(chain=0, draw=0)
    theirs = theirs.reindex(month=ours["month"])
    apart = float(abs(theirs - ours).max() / ours.std()) if len(ours) else 0.0
    if apart > UNIT_TOLERANCE:
        raise DataError(
            f"The history of `{name}` on the paths is not the one of the store; give indicator_level in the "
            "series' own unit (see realised.indicator_history)."
        )


def evaluate(questions: Iterable[Question], paths: xr.Dataset, store: Store) -> list[Answer]:
    """Probability of every part of the questions on the draws, with Monte Carlo error and base rate.

    Parameters
    ----------
    paths : joint forecast paths by chain and draw, with attribute ``as_of``.
    store : base rates and thresholds use only what it knew at the as-of date of the paths.

    Raises
    ------
    DataError
        When the paths lack a variable or a month that a question needs.
    """
    day = pd.Timestamp(paths.attrs["as_of"]).date()
    known = store if store.as_of_date is not None and store.as_of_date <= day else store.as_of(day)
    paths = realised.with_growth_base(paths, known)
    history = realised.paths_from_store(known, vintage="newest")
    rates: dict[tuple[Any, ...], BaseRate | None] = {}
    answers = []
    for item in bind(questions, known, paths=paths):
        begins = item.rule.begins_with(item.params)
        if begins and begins not in paths:
            continue
        key = (item.question.id, repr(item.params), item.combine, len(item.years), item.start, item.end)
        if key not in rates:
            rates[key] = base_rate(item, known, history)
            if isinstance(item.params, rules.IndicatorExceeds):
                _check_units(item, paths, history)
        answers.append(_answer(item, paths, rates[key]))
    return answers


def _as_draws(past: xr.Dataset, dim: str, labels: pd.Index, window: Sequence[Any]) -> xr.Dataset:
    """What happened, with each window of the past as a draw of the window asked about.

    Windows do not overlap and end with the last of `labels`; rules look at each draw by itself.
    """
    size = len(window)
    tail = labels[len(labels) % size :]
    names = [str(name) for name, array in past.data_vars.items() if dim in array.dims]
    real = past[names].isel(draw=0, drop=True).sel({dim: tail}).reset_coords(drop=True)
    return (
        real.drop_vars(dim)
        .coarsen({dim: size})
        .construct({dim: ("draw", dim)})
        .assign_coords({dim: list(window), "draw": range(len(tail) // size)})
    )


def base_rate(item: Item, store: Store, history: xr.Dataset | None = None) -> BaseRate | None:
    """How often the item's rule held before, in windows as long as its own that do not overlap.

    Parameters
    ----------
    store : cut at the as-of date.
    history : `realised.paths_from_store(store, vintage="newest")` if it is at hand.

    Returns
    -------
    None where the rule has no history to count; the rule's `no_base_rate` says why.
    """
    rule = item.rule
    if rule.no_base_rate:
        return None
    if rule.reference is not None:
        day = store.as_of_date or dt.date.today()
        counted = rule.reference(item.params, len(item.months), day)
        return BaseRate(*counted) if counted else None
    past = realised.paths_from_store(store, vintage="newest") if history is None else history
    labels: pd.Index[Any]
    window: list[Any]
    if rule.window == "years":
        labels, window = pd.Index([y for y in past["year"].values if y >= rule.first_trial]), list(item.years)
    else:
        everything = pd.DatetimeIndex(past["month"].values)
        shown = rule.shows(past, item.params, everything)
        if "month" not in shown.dims:
            return None
        seen = everything[shown.notnull().to_numpy().reshape(len(everything), -1).any(axis=1)]
        seen = seen[seen < item.months[0]]
        labels = month_range(seen[0], seen[-1]) if len(seen) else seen
        window = item.months.to_list()
    size = len(window)
    if len(labels) < size:
        return None
    trials = draws(item, _as_draws(past, rule.window[:-1], labels, window)).to_numpy().ravel()
    left_out = int(np.isnan(trials).sum())
    n, events = trials.size - left_out, round(float(np.nansum(trials)))
    if n == 0:
        return None
    first, last = labels[len(labels) % size], labels[-1]
    span = f"{first:%Y-%m} to {last:%Y-%m}" if rule.window == "months" else f"{first} to {last}"
    words = rule.window if size == 1 else f"windows of {size} {rule.window} that do not overlap,"
    if rule.kind == "count":
        n *= rule.top(item.params)
        words = "qualifying states among state-years"
    words = f"{words} {span} by the same rule"
    if rule.window == "years":
        words += f" on release {past['release'].values[-1]}"
    if left_out:
        words += f" ({left_out} without an event left out for months without a figure)"
    note = f"; {item.question.base_rate_note}" if item.question.base_rate_note else ""
    return BaseRate(events, n, f"{words}{note}")


def _figures(shown: xr.DataArray, period: str) -> list[tuple[str, str, float]]:
    """Label, period and value of what a rule compared on the one real path."""
    flat = shown.isel(chain=0, draw=0)
    if flat.ndim == 0:
        label = str(flat["state"].item()) if "state" in flat.coords else flat.name or ""
        return [(str(label), period, float(flat))]
    labels = flat[flat.dims[0]]
    if labels.dtype.kind == "M":
        name = next(
            (str(flat[c].item()) for c in ("theatre", "indicator") if c in flat.coords), str(flat.name or "")
        )
        known = flat.notnull().to_numpy()
        pairs = zip(labels.to_index()[known], flat.to_numpy()[known], strict=True)
        return [(name, f"{month:%Y-%m}", float(value)) for month, value in pairs]
    return [(str(label.item()), period, float(flat.sel({flat.dims[0]: label}))) for label in labels]


def _status(value: float, kind: rules.Kind) -> Literal["true", "false", "resolved", "unresolved"]:
    if np.isnan(value):
        return "unresolved"
    if kind != "binary":
        return "resolved"
    return "true" if value else "false"


def resolve_item(item: Item, store: Store, happened: xr.Dataset | None = None) -> Resolution:
    """Apply the item's rule to what the store knows to have happened.

    Growth comes from the earliest release held that covers each year. `happened` is
    ``realised.paths_from_store(store, scale_as_of=item.as_of)`` if it is at hand.
    """
    rule = item.rule
    scaled = isinstance(item.params, rules.IndicatorExceeds)
    past = happened
    if past is None:
        past = realised.paths_from_store(store, scale_as_of=item.as_of if scaled else None)
    value = float(draws(item, past)[0, 0])
    figures: list[tuple[str, str, float]] = []
    if rule.window == "years":
        covered = [year for year in item.years if year in past["year"].values]
        for year in covered:
            figures += _figures(rule.shows(past, item.params, year), str(year))
        part = past[["release", "first_published"]].sel(year=covered)
        releases = tuple(dict.fromkeys(str(name) for name in part["release"].values))
        published = part["first_published"].values.max() if covered else None
    else:
        figures = _figures(rule.shows(past, item.params, item.months), "")
        releases, published = _month_releases(item, store)
        known_until = pd.Timestamp(past.attrs["as_of"])
        window_end = item.months[-1] + pd.offsets.MonthEnd(0)
        if rule.missing == "passed_over" and value == 0 and known_until < window_end + GRACE:
            value = np.nan
    return Resolution(
        item=item,
        status=_status(value, rule.kind),
        value=None if np.isnan(value) else value,
        releases=releases,
        published_at=None if published is None else pd.Timestamp(published).date(),
        figures=tuple(figures),
    )


def _month_releases(item: Item, store: Store) -> tuple[tuple[str, ...], pd.Timestamp | None]:
    if item.rule.reads is None:
        return (), None
    series, unit = item.rule.reads(item.params)
    units: tuple[str, ...] = (unit,)
    if not series:
        series, units = realised.indicator_source(store, unit)
    frame = realised.rows(store, series)
    inside = frame["unit"].isin(units) & frame["period_start"].dt.to_period("M").dt.to_timestamp().isin(
        item.months
    )
    used = frame[inside]
    return tuple(sorted(set(used["release"]))), used["published_at"].max() if len(used) else None


def resolve(
    question: Question,
    store: Store,
    *,
    as_of: dt.date | str | None = None,
    years: Sequence[int] | None = None,
    horizon: int = 36,
) -> list[Resolution]:
    """Resolve every part of a question on real figures.

    Parameters
    ----------
    store : what is known now.
    as_of : when the question was asked; needed for windows relative to it.
    years : years to resolve instead of those of the question's window, for a rule for years.
    """
    if years is not None:
        window = question.window.model_copy(update={"years": tuple(years)})
        question = question.model_copy(update={"window": window})
    if as_of is not None:
        items = bind([question], store, as_of=as_of, horizon=horizon)
    else:
        items = bind_absolute(question)
    scaled = question.rule == "indicator-exceeds"
    happened = realised.paths_from_store(store, scale_as_of=items[0].as_of if scaled and items else None)
    return [resolve_item(item, store, happened) for item in items]
