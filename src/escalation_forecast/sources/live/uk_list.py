"""The UK Sanctions List, and the consolidated list of OFSI that it replaced, by day of designation."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import Final

from escalation_forecast.sources.live._lists import Listing, counted
from escalation_forecast.sources.live._reading import Found, checked_day, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.text import day_of, has_heading, table

SENDER: Final = "GBR"
# Columns of key, regime and days, the first of which that is filled counts.
LIST: Final = ("Unique ID", "Regime Name", "Date Designated")
OFSI: Final = ("Group ID", "Regime", "UK Sanctions List Date Designated", "Listed On")
MADE: Final = re.compile(r"(?:Report Date:\s*|Last Updated,)\"?(\d{1,2}[-/ ]\w{2,9}[-/ ]\d{4})")
FORMATS: Final = ("%d/%m/%Y", "%Y-%m-%d")
TARGETS: Final[dict[str, str]] = {
    "PRK": r"democratic people.s republic of korea|north korea|\bdprk\b",
    "RUS": r"\brussia\b",
    "BLR": r"\bbelarus\b",
    "IRN": r"\biran\b",
    "CHN": r"\bchina\b|hong kong",
}
AGAIN: Final = "download it again from the FCDO as CSV"


def recognises(source: Source) -> bool:
    """Whether a heading holds the columns of either list."""
    return has_heading(source, LIST) or has_heading(source, OFSI)


def read(source: Source, received: dt.date) -> Found:
    """Rows of the `sanctions_*` series with the United Kingdom as the sender.

    Raises
    ------
    DataError
        Naming line and column of whatever is not as published.
    """
    return counted([listing(source, received)])


def listing(source: Source, received: dt.date) -> Listing:
    """Names by target and month of designation; further names of the same subject do not count."""
    needed = LIST if has_heading(source, LIST) else OFSI
    body = table(source, needed)
    made = next((match.group(1) for line in body.preamble if (match := MADE.search(line))), "")
    generated = day_of(made, "%d-%b-%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %B %Y", "%d %b %Y")
    if generated is None:
        raise source.fault("", "no line before the heading says when the list was made", AGAIN)
    day = checked_day(source, generated, received)
    key, regime, *dates = needed
    first: dict[str, dt.date] = {}
    regimes: dict[str, str] = {}
    for row in body.rows:
        subject, where = body.cell(row, key), f"line {row.line}"
        if not subject or not body.cell(row, regime):
            raise source.fault(where, f"'{key}' or '{regime}' is blank", AGAIN)
        regimes.setdefault(subject, body.cell(row, regime))
        text, column = next(((text, name) for name in dates if (text := body.cell(row, name))), ("", ""))
        if not text:
            continue
        listed = day_of(text, *FORMATS)
        if listed is None or listed > day:
            what = f"'{text[:40]}' is no day (DD/MM/YYYY) up to {day}"
            raise source.fault(f"{where}, column '{column}'", what, AGAIN)
        first[subject] = min(first.get(subject, listed), listed)
    if not first:
        raise source.fault("", "it holds no name with a day", AGAIN)
    names: Counter[tuple[str, str]] = Counter()
    others = 0
    for subject, listed in first.items():
        states = [state for state, words in TARGETS.items() if re.search(words, regimes[subject].lower())]
        others += not states
        for state in states:
            names[state, f"{listed:%Y-%m}"] += 1
    said = [f"Not counted: {plural(others, 'name')} under regimes about other targets."]
    if undated := len(regimes) - len(first):
        said.append(f"Not counted: {plural(undated, 'name')} without a day.")
    return Listing(SENDER, day, names, tuple(said))
