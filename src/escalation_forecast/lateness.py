"""Series whose next figure is late by more than is usual for them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.store import Store

MIN_PERIODS: Final = 6
RECENT: Final = 12  # periods that say what is usual
USUAL: Final = 0.9
# Days of grace on top of the usual lag: where the day of publication is a stand-in, lags do not vary.
GRACE: Final = {"D": 14, "M": 14, "Q": 30, "A": 30}
IRREGULAR: Final = 1.5  # a gap of so many calendar periods: it comes when there is something to report


@dataclass(frozen=True)
class Overdue:
    """A period of a series whose figure should be there.

    Attributes
    ----------
    period : the newest period that is overdue, by its last day.
    due : when its figure would have come at the latest, by the series' own past.
    last : last day of the newest period there is.
    """

    series: str
    unit: str
    last: dt.date
    period: dt.date
    due: dt.date


def overdue(store: Store, day: dt.date | None = None) -> Iterator[Overdue]:
    """Units of series that are late on a day.

    The next period is the catalogue's frequency after the last, or the usual gap where figures come at
    irregular times; it is due after the usual lag (90 per cent) of the last 12 periods and days of grace.
    Left out are series that every indicator of the catalogue has ended, those with fewer than six periods,
    and those that have been silent for longer than they ever ran, which have ended too.
    """
    today = day or store.as_of_date or dt.date.today()
    known = store if store.as_of_date is not None and store.as_of_date <= today else store.as_of(today)
    frequency = dict(zip(known.series["series"], known.series["frequency"], strict=True))
    ended = _ended(known, today)
    figures = known.observations[["series", "unit", "period_end", "published_at"]]
    # A revision of an old figure says nothing about how late the figure was.
    first = figures.groupby(["series", "unit", "period_end"])["published_at"].min().reset_index()
    for (series, unit), rows in first.groupby(["series", "unit"], sort=True):
        if (series, unit) not in ended and len(rows) >= MIN_PERIODS:
            late = _overdue(str(series), str(unit), rows, str(frequency[series]), pd.Timestamp(today))
            if late is not None:
                yield late


def _overdue(
    series: str, unit: str, rows: pd.DataFrame, frequency: str, today: pd.Timestamp
) -> Overdue | None:
    ends = rows["period_end"].sort_values()
    last = ends.iloc[-1]
    if today - last > last - ends.iloc[0]:
        return None
    lags = (rows["published_at"] - rows["period_end"]).dt.days.iloc[-RECENT:]
    gap = float(ends.diff().dt.days.iloc[-RECENT:].quantile(USUAL))
    wait = pd.Timedelta(days=round(float(lags.quantile(USUAL))) + GRACE[frequency])
    period = None
    for end in _next_ends(last, frequency, gap):
        if end + wait >= today:
            break
        period = end
    if period is None:
        return None
    return Overdue(series, unit, last.date(), period.date(), (period + wait).date())


def _next_ends(last: pd.Timestamp, frequency: str, gap: float) -> Iterator[pd.Timestamp]:
    """Last days of the periods to come; a month that broke off is still to come."""
    calendar = {"M": "M", "Q": "Q", "A": "Y"}.get(frequency)
    days = {"M": 31, "Q": 92, "A": 366}.get(frequency, 0)
    if calendar is None or gap > IRREGULAR * days:
        step = pd.Timedelta(days=max(1, round(gap)))
        end = last + step
        while True:
            yield end
            end += step
    period = last.to_period(calendar)
    end = period.end_time.normalize()
    if end <= last:
        end = (period + 1).end_time.normalize()
    while True:
        yield end
        end = (end.to_period(calendar) + 1).end_time.normalize()


def _ended(store: Store, today: dt.date) -> set[tuple[str, str]]:
    """Series and units that only indicators use which have ended, or which others have followed."""
    going: set[tuple[str, str]] = set()
    gone: set[tuple[str, str]] = set()
    newest = store.observations.groupby(["series", "unit"])["period_end"].max().to_dict()
    rows = store.indicators.to_dict("records")
    for row in rows:
        over = (bool(row["end"]) and _last_day(row) < today) or _followed(row, rows, newest, today)
        units = str(row["units"]).split("+")
        pairs = {(str(series), unit) for series in (row["series"], row["exposure_series"]) for unit in units}
        (gone if over else going).update(pairs)
    return gone - going


def _followed(row: Any, rows: list[Any], newest: dict[Any, pd.Timestamp], today: dt.date) -> bool:
    """Whether a member of the same group took over: it begins after the newest figure there is of this one.

    A count whose definition changes goes on as another indicator that shares the loading (``group=``).
    """
    group = [part for part in row["options"].split(";") if part.startswith("group=")]
    last = newest.get((row["series"], row["units"]))
    if not group or last is None:
        return False
    same = ("family", "units", "theatre")
    starts = [
        _bound(other, "start")
        for other in rows
        if other["indicator"] != row["indicator"]
        and group[0] in other["options"].split(";")
        and all(other[name] == row[name] for name in same)
    ]
    return any(last < start.start_time and start.end_time.date() < today for start in starts)


def _last_day(row: dict[Any, Any]) -> dt.date:
    return _bound(row, "end").end_time.date()


def _bound(row: dict[Any, Any], column: str) -> pd.Period:
    text = str(row[column])
    try:
        return pd.Period(text, freq="M" if "-" in text else "Y")
    except ValueError:
        raise DataError(
            f"indicators: `{row['indicator']}` {column}s at `{text}`, which is no month or year; write "
            "YYYY-MM or YYYY."
        ) from None
