"""Figures of a user in the columns of the store."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

from escalation_forecast.schema import (
    DATE_COLUMNS,
    FIGURE_KEY,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    QUALITIES,
)
from escalation_forecast.sources.live._reading import Found, checked_day, stored
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.text import Row, Table, has_heading, table

OPTIONAL: Final = (*NUMBER_COLUMNS, "note")
# A spreadsheet that opens the store's tables would run such a cell.
RUNS: Final = re.compile(r"[=+@\t\r]|-(?!\d)")
AGAIN: Final = "correct the cell"


def recognises(source: Source) -> bool:
    """Whether a heading holds every column of the store."""
    return has_heading(source, OBSERVATION_COLUMNS)


def read(source: Source, received: dt.date) -> Found:
    """Every row of the file, typed; whether the catalogue has the series is for the store to say.

    Raises
    ------
    DataError
        Naming line and column of the first cell that is no date, number or text as expected.
    """
    body = table(source, OBSERVATION_COLUMNS)
    extra = [name for name in body.columns if name not in OBSERVATION_COLUMNS]
    if extra:
        raise source.fault(f"line {body.heading_line}", f"unknown column '{extra[0][:40]}'", "delete it")
    rows: list[dict[str, Any]] = []
    lines: dict[tuple[Any, ...], int] = {}
    for row in body.rows:
        cells = _cells(body, row)
        before = lines.setdefault(tuple(cells[name] for name in (*FIGURE_KEY, "release")), row.line)
        if before != row.line:
            what = f"the same figure and release as on line {before}"
            raise source.fault(f"line {row.line}", what, "delete one of them or give another release")
        rows.append(cells)
    if not rows:
        raise source.fault("", "it holds no figure", "add rows below the heading")
    published = max(row["published_at"] for row in rows)
    checked_day(source, published, received)
    releases = sorted({row["release"] for row in rows})
    edition = (
        releases[0] if len(releases) == 1 else f"{len(releases)} releases, {releases[0]} to {releases[-1]}"
    )
    return Found(stored(rows), edition, published, ())


def _cells(body: Table, row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for column in OBSERVATION_COLUMNS:
        text, where = body.cell(row, column), f"line {row.line}, column '{column}'"
        if not text:
            if column not in OPTIONAL:
                raise body.source.fault(where, "the cell is blank", "fill it in")
            continue
        if column in DATE_COLUMNS:
            cells[column] = _day(body, where, text)
        elif column in NUMBER_COLUMNS:
            cells[column] = body.number(row, column)
        elif RUNS.match(text):
            raise body.source.fault(where, f"'{text[:40]}' begins like a formula", AGAIN)
        else:
            cells[column] = text
    where = f"line {row.line}"
    if not any(name in cells for name in NUMBER_COLUMNS):
        raise body.source.fault(where, "value, low and high are blank", "give one of them or delete the row")
    if cells["period_end"] < cells["period_start"]:
        raise body.source.fault(where, "the period ends before it starts", AGAIN)
    if unknown := set(cells["quality"].split(";")) - set(QUALITIES):
        what = f"'{min(unknown)[:40]}' is no quality"
        raise body.source.fault(f"{where}, column 'quality'", what, f"use {', '.join(QUALITIES)}")
    return cells


def _day(body: Table, where: str, text: str) -> dt.date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise body.source.fault(where, f"'{text[:40]}' is not a date", "write it as YYYY-MM-DD")
