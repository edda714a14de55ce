"""What an archived forecast was about: its item as bound on its as-of date, its window, what decides it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast import realised
from escalation_forecast.question_items import Item, bind
from escalation_forecast.questions import Resolution, resolve_item
from escalation_forecast.rules import IndicatorExceeds
from escalation_forecast.schema import THEATRES, DataError

if TYPE_CHECKING:
    import xarray as xr

    from escalation_forecast.question_file import Question
    from escalation_forecast.records.archived import Forecast
    from escalation_forecast.store import Store

# A spending edition counts as it stands on 1 June after its release (text of the questions).
EDITION_SETTLES: Final = (6, 1)
MAINTAINERS: Final = "The maintainers"


@dataclass(frozen=True)
class Span:
    """First and last day of a window; `relative` to the as-of date, or named in the answer's id."""

    first: dt.date
    last: dt.date
    relative: bool

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def span(item: Item) -> Span:
    """The window of an item."""
    if item.start is None or item.end is None:
        return Span(dt.date(item.years[0], 1, 1), dt.date(item.years[-1], 12, 31), False)
    return Span(item.start.date(), (item.end + pd.offsets.MonthEnd(0)).date(), True)


def by_hand_only(item: Item) -> bool:
    """Whether the question's sheet leaves the decision to people."""
    return item.question.resolver.startswith(MAINTAINERS)


class Judge:
    """Decides archived forecasts by what is known on a day.

    Forecasts of the same window share an item and its resolution, so that years of daily forecasts cost
    hardly more than one a month.

    Parameters
    ----------
    store : cut at the day of judgement or not.
    questions : as the forecasts asked them.
    """

    def __init__(self, store: Store, questions: Iterable[Question], today: dt.date) -> None:
        self.today, self.store = today, store
        self.known = store.as_of(today)
        self.questions = {question.id: question for question in questions}
        self._items: dict[tuple[Any, ...], dict[str, Item]] = {}
        self._past: dict[dt.date | None, xr.Dataset] = {}
        self._found: dict[tuple[Any, ...], tuple[Resolution, str]] = {}
        self._last: dict[tuple[str, str], dt.date] | None = None
        self._news: pd.Series[pd.Timestamp] | None = None

    def item(self, forecast: Forecast) -> Item:
        """The item that was asked about.

        Raises
        ------
        DataError
            When today's questions or figures give another one than was asked then.
        """
        question = self.questions.get(forecast.question)
        if question is None:
            raise _unlike(forecast, f"there is no question `{forecast.question}` any more")
        item = self._bound(question, forecast).get(forecast.answer)
        if item is None:
            raise _unlike(forecast, f"today's `{forecast.question}` has no such part")
        if item.resolves_on != forecast.resolves_on:
            raise _unlike(
                forecast, f"it was to resolve on `{forecast.resolves_on}`, and now is on `{item.resolves_on}`"
            )
        if isinstance(item.params, IndicatorExceeds) and "threshold " in forecast.note:
            then, now = forecast.note.rpartition("threshold ")[2], f"{item.params.threshold:.4g}"
            if then != now:
                raise _unlike(forecast, f"its threshold was {then}, and now is {now}")
        return item

    def _bound(self, question: Question, forecast: Forecast) -> dict[str, Item]:
        if question.window.years:
            # The id names the years, so whenever it was asked it is the same item.
            known = self._items.setdefault((question.id,), {})
            if forecast.answer not in known:
                known.update(self._bind(question, forecast) | known)
            return known
        day = forecast.as_of
        vintage = self._vintage(day) if question.rule == "indicator-exceeds" else None
        key = (question.id, day.year, day.month, forecast.horizon, vintage)
        if key not in self._items:
            self._items[key] = self._bind(question, forecast)
        return self._items[key]

    def _bind(self, question: Question, forecast: Forecast) -> dict[str, Item]:
        known = self.store.as_of(forecast.as_of)
        items = bind([question], known, as_of=forecast.as_of, horizon=forecast.horizon)
        return {item.id: item for item in items}

    def _vintage(self, day: dt.date) -> pd.Timestamp:
        """The last release of a news indicator by a day: thresholds are the same until the next."""
        if self._news is None:
            indicators = realised.news_indicators(self.store)
            series = {realised.indicator_source(self.store, name)[0] for name in indicators}
            rows = self.store.observations
            self._news = rows.loc[rows["series"].isin(series), "published_at"].drop_duplicates()
        return self._news[self._news <= pd.Timestamp(day)].max()

    def decide(self, item: Item) -> tuple[Resolution, str]:
        """What came of it, and why that is not final yet (empty if it is)."""
        scale = item.as_of if self._is_scaled(item) else None
        key = (item.id, repr(item.params), item.years, item.combine, item.start, item.end, scale)
        if key not in self._found:
            self._found[key] = self._decided(item, scale)
        return self._found[key]

    def _is_scaled(self, item: Item) -> bool:
        """Whether the figures known on its day set the scale of what it compares."""
        if not isinstance(item.params, IndicatorExceeds):
            return False
        return len(realised.indicator_source(self.store, item.params.indicator)[1]) > 1

    def _decided(self, item: Item, scale: dt.date | None) -> tuple[Resolution, str]:
        window = span(item)
        if window.relative and window.first > self.today:
            nothing = Resolution(item, "unresolved", None, (), None, ())
            return nothing, f"its window begins on {window.first}"
        found = resolve_item(item, self.known, self._happened(scale))
        return found, self._waits(item, found, window)

    def _happened(self, scale: dt.date | None) -> xr.Dataset:
        if scale not in self._past:
            self._past[scale] = realised.paths_from_store(self.known, scale_as_of=scale)
        return self._past[scale]

    def _waits(self, item: Item, found: Resolution, window: Span) -> str:
        if found.status == "unresolved":
            return "what decides it is not published yet"
        if not window.relative:
            return self._edition_waits(found)
        if found.status != "false":
            return ""
        if self.today <= window.last:
            return f"its window ends on {window.last}"
        if item.rule.missing != "passed_over" and (last := self._covered(item)) < window.last:
            return f"figures reach to {last}, and its window to {window.last}"
        return ""

    def _edition_waits(self, found: Resolution) -> str:
        if found.published_at is None:
            return ""
        settles = dt.date(found.published_at.year, *EDITION_SETTLES)
        if found.published_at <= settles and self.today < settles:
            return f"the edition counts as it stands on {settles}"
        return ""

    def _covered(self, item: Item) -> dt.date:
        """Last day to which everything is reported that a "no" rests on; a month may have broken off."""
        pairs = list(_reads(item, self.known))
        if not pairs:
            return dt.date.max
        if self._last is None:
            ends = self.known.observations.groupby(["series", "unit"])["period_end"].max()
            keys = [(str(series), str(unit)) for series, unit in ends.index]
            self._last = {key: end.date() for key, end in zip(keys, ends, strict=True)}
        return min(self._last.get(pair, dt.date.min) for pair in pairs)


def _unlike(forecast: Forecast, how: str) -> DataError:
    return DataError(
        f"`{forecast.answer}` as of {forecast.as_of}: {how}; give questions and figures of that time "
        "(--questions, --data), or answer it by hand."
    )


def _reads(item: Item, store: Store) -> Iterable[tuple[str, str]]:
    """Series and units that an item's rule looks at."""
    if item.rule.reads is not None:
        series, unit = item.rule.reads(item.params)
        if series:
            return [(series, unit)]
        source, units = realised.indicator_source(store, unit)
        return [(source, one) for one in units]
    # Rules about war read the coded clashes, which are told by the ladder of their theatre.
    if hasattr(item.params, "dyad"):
        from escalation_forecast.war_rules import dyad_theatres

        return [(realised.LADDER, dyad_theatres()[item.params.dyad])]
    if getattr(item.params, "route", "joining") != "joining":
        return [(realised.LADDER, theatre) for theatre in THEATRES]
    return []
