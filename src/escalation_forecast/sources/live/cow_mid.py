"""Disputes of the Correlates of War (MIDA, MIDB, dyadic): checked, though no series is made of them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

from escalation_forecast.schema import empty_observations
from escalation_forecast.sources.live._reading import Found, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.text import has_heading, table

# What tells each table, then its columns of years and of hostility.
TABLES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...], str]]] = {
    "MIDA": (("dispnum", "styear", "endyear", "hostlev", "numa", "numb"), ("styear", "endyear"), "hostlev"),
    "MIDB": (("dispnum", "ccode", "styear", "endyear", "sidea", "hostlev"), ("styear", "endyear"), "hostlev"),
    "dyadic": (("disno", "statea", "stateb", "strtyr", "endyear", "hihost"), ("strtyr", "endyear"), "hihost"),
}
LEVELS: Final = range(1, 6)
NO_HOSTILITY: Final = ("0", "-9")
FIRST: Final = 1816
AGAIN: Final = "download it again from the Correlates of War"


def recognises(source: Source) -> bool:
    """Whether a heading holds the columns of one of the three tables."""
    return any(has_heading(source, needed) for needed, _, _ in TABLES.values())


def read(source: Source, received: dt.date) -> Found:
    """No figures; the sentences say what is in the table and why none is used.

    Raises
    ------
    DataError
        Naming line and column of a row that is not as published.
    """
    name = next(name for name, (needed, _, _) in TABLES.items() if has_heading(source, needed))
    needed, years, hostility = TABLES[name]
    body = table(source, needed)
    rows, first, last, keys = 0, received.year, FIRST, set()
    versions: set[str] = set()
    for row in body.rows:
        span = []
        for column in years:
            text = body.cell(row, column)
            if not re.fullmatch(r"\d{4}", text) or not FIRST <= int(text) <= received.year:
                where = f"line {row.line}, column '{column}'"
                raise source.fault(where, f"'{text[:40]}' is no year from {FIRST} on", AGAIN)
            span.append(int(text))
        level = body.cell(row, hostility)
        if level not in NO_HOSTILITY and not (level.isdecimal() and int(level) in LEVELS):
            where = f"line {row.line}, column '{hostility}'"
            raise source.fault(where, f"'{level[:40]}' is no level of hostility, 1 to 5", AGAIN)
        if span[0] > span[1]:
            raise source.fault(f"line {row.line}", "the dispute ends before it begins", AGAIN)
        keys.add(body.cell(row, needed[0]))
        rows, first, last = rows + 1, min(first, span[0]), max(last, span[1])
        if "version" in body.columns:
            versions.add(body.cell(row, "version"))
    if not rows:
        raise source.fault("", "it holds no dispute", AGAIN)
    said = (
        f"{plural(len(keys), 'dispute')} in {plural(rows, 'row')} of {first} to {last}: no series of the "
        "catalogue, because the ladder is read from incidents; disputes make the tables of history.",
    )
    version = f"{name} {'/'.join(sorted(versions)) or 'without a version'}"
    return Found(empty_observations(), version, received, said)
