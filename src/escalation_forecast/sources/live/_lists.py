"""Sanctions lists counted by sender, target and month of listing."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._monthly import month_bounds
from escalation_forecast.sources.live._reading import Found, plural, stored
from escalation_forecast.sources.sanctions import SERIES, TARGETS

# To here the store counts the lists of five senders, which one list must not replace.
COMPILED_TO: Final = "2026-07"
# The composite counts whom a sender named, not who is still named; a young month has lost few.
NOTE: Final = "names still listed on {day}; {senders}"


@dataclasses.dataclass(frozen=True)
class Listing:
    """What one sender's list says.

    Attributes
    ----------
    sender : USA, EUU, GBR or UNO.
    day : the day of the list; months that ended by then are covered.
    names : number of names by target and month (YYYY-MM) of listing.
    skipped : sentences on entries that are not counted.
    first : first month covered, when the list is a difference of two.
    """

    sender: str
    day: dt.date
    names: Counter[tuple[str, str]]
    skipped: tuple[str, ...]
    first: str = ""

    def months(self) -> list[str]:
        """Months after `COMPILED_TO` that the list covers to their end."""
        start = max(pd.Period(COMPILED_TO, "M") + 1, pd.Period(self.first or COMPILED_TO, "M"))
        whole = pd.Period(self.day + dt.timedelta(days=1), "M") - 1
        return [str(month) for month in pd.period_range(start, whole, freq="M")]


def counted(listings: Sequence[Listing]) -> Found:
    """Rows of the three `sanctions_*` series for the months that at least one list covers.

    A list alone gives one sender covered; several give as many, so that the share of senders that act
    keeps its meaning.
    """
    day = max(listing.day for listing in listings)
    rows: list[dict[str, Any]] = []
    for month in sorted({month for listing in listings for month in listing.months()}):
        covering = [listing for listing in listings if month in listing.months()]
        start, end = month_bounds(month)
        for target in TARGETS:
            names = {listing.sender: listing.names[target, month] for listing in covering}
            values = {
                "sanctions_senders_acting": sum(number > 0 for number in names.values()),
                "sanctions_senders_covered": len(names),
                "sanctions_designations": sum(names.values()),
            }
            rows += [
                {
                    "series": series,
                    "unit": target,
                    "period_start": start,
                    "period_end": end,
                    "value": values[series],
                    "unit_of_measure": measure,
                    "source": "sanctions",
                    "release": day.isoformat(),
                    "published_at": day,
                    "quality": "reported",
                    "note": NOTE.format(day=day, senders=" ".join(sorted(names))),
                }
                for series, (_, measure) in SERIES.items()
            ]
    said = [sentence for listing in listings for sentence in listing.skipped]
    before = sum(
        number for listing in listings for (_, month), number in listing.names.items() if month <= COMPILED_TO
    )
    said.append(
        f"Up to {COMPILED_TO}, where the series count five senders: {plural(before, 'name')} left out."
    )
    if not rows:
        said.append(f"No month after {COMPILED_TO} is covered to its end.")
    senders = " ".join(sorted({listing.sender for listing in listings}))
    return Found(stored(rows), f"{senders} {day}", day, tuple(said))
