"""Candidate events of the Uppsala Conflict Data Program: checked, though no series is made of them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Final

from escalation_forecast.schema import empty_observations
from escalation_forecast.sources.live._reading import Found, checked_day, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.text import day_of, has_heading, table

COLUMNS: Final = (
    "id", "type_of_violence", "dyad_name", "side_a", "side_b", "country", "date_start", "date_end", "best",
    "low", "high",
)  # fmt: skip
VIOLENCE: Final = ("1", "2", "3")
GOVERNMENT: Final = "Government of"
AGAIN: Final = "download it again from UCDP as CSV"


def recognises(source: Source) -> bool:
    """Whether a heading holds the columns of events."""
    return has_heading(source, COLUMNS)


def read(source: Source, received: dt.date) -> Found:
    """No figures; the sentences say how many events of which months there are, and why none is used.

    Raises
    ------
    DataError
        Naming line and column of an event that is not as published.
    """
    body = table(source, COLUMNS)
    months: Counter[str] = Counter()
    between: Counter[str] = Counter()
    deaths: Counter[str] = Counter()
    seen: set[str] = set()
    for row in body.rows:
        key = body.cell(row, "id")
        if not key.isdecimal() or key in seen:
            raise source.fault(f"line {row.line}, column 'id'", f"'{key[:40]}' is no number, or twice", AGAIN)
        seen.add(key)
        days = [_day(source, row.line, name, body.cell(row, name)) for name in ("date_start", "date_end")]
        low, best, high = (body.number(row, name) for name in ("low", "best", "high"))
        if (
            body.cell(row, "type_of_violence") not in VIOLENCE
            or days[0] > days[1]
            or min(low, best, high) < 0
        ):
            what = "type of violence, days or deaths are not possible"
            raise source.fault(f"line {row.line}", what, AGAIN)
        months[f"{days[0]:%Y-%m}"] += 1
        sides = (body.cell(row, "side_a"), body.cell(row, "side_b"))
        if body.cell(row, "type_of_violence") == "1" and all(GOVERNMENT in side for side in sides):
            between[body.cell(row, "dyad_name")] += 1
            deaths[body.cell(row, "dyad_name")] += int(best)
        checked_day(source, days[1], received)
    if not months:
        raise source.fault("", "it holds no event", AGAIN)
    edition = f"events of {min(months)} to {max(months)}"
    said = [
        f"{plural(len(seen), 'event')}: no series of the catalogue, because they are candidates that are "
        "revised later, and the war's intensity is read from The Economist and the General Staff."
    ]
    said += [
        f"Between governments: {name}, {plural(number, 'event')} with {deaths[name]:,} deaths (best)."
        for name, number in between.most_common(5)
    ]
    return Found(empty_observations(), edition, received, tuple(said))


def _day(source: Source, line: int, column: str, text: str) -> dt.date:
    day = day_of(text.split(" ")[0].split("T")[0], "%Y-%m-%d")
    if day is None:
        raise source.fault(f"line {line}, column '{column}'", f"'{text[:40]}' is no day", AGAIN)
    return day
