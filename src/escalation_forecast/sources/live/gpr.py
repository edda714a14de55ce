"""The export of the Geopolitical Risk index: the world and ten states by month, from xls or xlsx."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.sources._monthly import month_bounds
from escalation_forecast.sources.gpr import FIRST_MONTH, STATES
from escalation_forecast.sources.live._reading import Found, checked_day, plural, stored
from escalation_forecast.sources.live.limits import HEADING_ROWS
from escalation_forecast.sources.live.workbook import Book, Sheet, shown

WORLD: Final = "GPR"
# Columns that hold no figures.
LABELS: Final = ("month", "var_name", "var_label")
SHARE: Final = "SHARE_GPR"
# The index is scaled so that its mean over these months is 100.
NORMAL: Final = ("1985-01", "2019-12")
MEAN: Final = 100.0
SAME: Final = 1e-4
# Held against the historical index of the same state, which other papers give: in the edition of
# June 2026 the two correlate by 0.85 to 0.97 and differ in level by a factor of up to two.
LEAST_CORRELATION: Final = 0.7
LEVEL: Final = 5.0
MONTH: Final = re.compile(r"(\d{4})[-mM](\d{1,2})")
# Its lowest month since 1985 is 39.
LOWEST: Final = 10.0
HIGHEST: Final = 2_000.0
AGAIN: Final = (
    "take the file as its authors publish it; if that is what you have, its layout changed: report it"
)


def recognises(book: Book) -> bool:
    """Whether a sheet has a heading with a month, the index and indices of countries."""
    return any(_heading(sheet) is not None for sheet in book.sheets)


def read(book: Book, received: dt.date) -> Found:
    """Rows of `gpr_world` (index) and `gpr_country` (per cent of articles), monthly from 1985.

    The file does not say when it was made, so its figures are dated by the day of receipt.

    Raises
    ------
    DataError
        Naming sheet and cell of whatever is not as published.
    """
    sheets = [sheet for sheet in book.sheets if _heading(sheet) is not None]
    if len(sheets) != 1:
        raise book.source.fault("", f"{len(sheets)} sheets hold the index", AGAIN)
    sheet = sheets[0]
    heading = _heading(sheet)
    assert heading is not None
    columns = _columns(book, sheet, heading)
    _described(book, sheet, heading, columns)
    months = _months(book, sheet, heading, columns["month"])
    _filled(book, sheet, columns, months)
    values = {
        name: np.array([_number(book, sheet, row, columns[name], name) for row in months.values()])
        for name in [WORLD, SHARE, *_country_columns()]
    }
    _hold_together(book, sheet, heading, columns, months, values)

    published = checked_day(book.source, None, received)
    wanted = {WORLD: "WLD"} | {f"GPRC_{state}": state for state in STATES}
    spans = [month_bounds(month) for month in months]
    rows: list[dict[str, Any]] = []
    for name, unit in wanted.items():
        for (start, end), value in zip(spans, values[name], strict=True):
            rows.append(
                {
                    "series": "gpr_world" if unit == "WLD" else "gpr_country",
                    "unit": unit,
                    "period_start": start,
                    "period_end": end,
                    # The tables that the store was compiled from hold five decimals.
                    "value": round(float(value), 5),
                    "unit_of_measure": "index" if unit == "WLD" else "percent_of_articles",
                    "source": "gpr",
                    "release": published.isoformat(),
                    "published_at": published,
                    "quality": "reported",
                }
            )
    last = list(months)[-1]
    if pd.Timestamp(received) < month_bounds(last)[0]:
        raise book.source.fault(
            "", f"it reaches {last}, after the day of receipt", "correct the day of receipt"
        )
    others = [name for name in columns if name not in wanted and name != "month"]
    skipped = (
        f"{plural(len(others), 'column')} ({', '.join(others[:4])}, ...): no series of the catalogue.",
        f"Months before {FIRST_MONTH} are left out: the series begin then.",
    )
    return Found(stored(rows), f"to {last}", published, skipped)


def _country_columns() -> list[str]:
    return [f"GPRC_{state}" for state in STATES]


def _heading(sheet: Sheet) -> int | None:
    for row in range(min(HEADING_ROWS, len(sheet.rows))):
        names = {sheet.text(row, column) for column in range(len(sheet.rows[row]))}
        if "month" in names and (WORLD in names or any(name.startswith("GPRC_") for name in names)):
            return row
    return None


def _columns(book: Book, sheet: Sheet, heading: int) -> dict[str, int]:
    columns: dict[str, int] = {}
    for column in range(len(sheet.rows[heading])):
        name = sheet.text(heading, column)
        if name in columns:
            raise book.fault(sheet, heading, column, f"the heading '{name}' stands there twice", AGAIN)
        if name:
            columns[name] = column
    for name in ["month", WORLD, SHARE, *_country_columns()]:
        if name not in columns:
            raise book.fault(sheet, heading, 0, f"no column is headed '{name}'", AGAIN)
    return columns


def _described(book: Book, sheet: Sheet, heading: int, columns: Mapping[str, int]) -> None:
    """The list of variables beside the figures says which columns there are, and nothing stands past it."""
    filled = max((len(row) for row in sheet.rows), default=0)
    if filled > len(sheet.rows[heading]):
        row = next(number for number, cells in enumerate(sheet.rows) if len(cells) == filled)
        column = filled - 1
        raise book.fault(sheet, row, column, f"{shown(sheet.at(row, column))} stands below no heading", AGAIN)
    if (column := columns.get("var_name", -1)) < 0:
        return
    names = [name for name in columns if name not in LABELS[1:]]
    for place, name in enumerate(names):
        if (row := heading + 1 + place) < len(sheet.rows) and sheet.text(row, column) != name:
            what = f"{shown(sheet.at(row, column))} where the list of variables should name '{name}'"
            raise book.fault(sheet, row, column, what, AGAIN)
    for row in range(heading + 1 + len(names), len(sheet.rows)):
        if sheet.at(row, column) is not None:
            raise book.fault(
                sheet, row, column, f"{shown(sheet.at(row, column))} is no name of a column", AGAIN
            )


def _months(book: Book, sheet: Sheet, heading: int, column: int) -> dict[str, int]:
    """Row of each month from the first of the series on; months follow each other without a gap."""
    months: dict[str, int] = {}
    before: pd.Period | None = None
    for row in range(heading + 1, len(sheet.rows)):
        month = _month(sheet, row, column)
        if month is None or (before is not None and month != before + 1):
            what = f"{shown(sheet.at(row, column))} where {before + 1 if before else 'a month'} is expected"
            raise book.fault(sheet, row, column, what, AGAIN)
        before = month
        if str(month) >= FIRST_MONTH:
            months[str(month)] = row
    if not months or next(iter(months)) != FIRST_MONTH or str(before) < NORMAL[1]:
        what = f"the months end at {before} and should reach from {FIRST_MONTH} at least to {NORMAL[1]}"
        raise book.fault(sheet, heading, column, what, AGAIN)
    return months


def _month(sheet: Sheet, row: int, column: int) -> pd.Period | None:
    value = sheet.at(row, column)
    if isinstance(value, dt.datetime) and value.day == 1:
        return pd.Period(year=value.year, month=value.month, freq="M")
    if isinstance(value, str) and (match := MONTH.match(value.strip())):
        year, month = int(match.group(1)), int(match.group(2))
        if year >= 1900 and 1 <= month <= 12:
            return pd.Period(year=year, month=month, freq="M")
    return None


def _filled(book: Book, sheet: Sheet, columns: Mapping[str, int], months: Mapping[str, int]) -> None:
    """Once a column has begun it goes on to the last month: a gap shows that cells have moved."""
    for name, column in columns.items():
        if name in LABELS:
            continue
        cells = [sheet.at(row, column) for row in months.values()]
        begun = next((place for place, cell in enumerate(cells) if cell is not None), len(cells))
        for place, cell in enumerate(cells[begun:], start=begun):
            if isinstance(cell, bool) or not isinstance(cell, int | float):
                row = list(months.values())[place]
                raise book.fault(sheet, row, column, f"{shown(cell)} where {name} is a number before", AGAIN)


def _number(book: Book, sheet: Sheet, row: int, column: int, name: str) -> float:
    value = sheet.at(row, column)
    low, high = (LOWEST, HIGHEST) if name == WORLD else (0.0, 100.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        what = f"{shown(value)} where {name} from {low:g} to {high:g} is expected"
        raise book.fault(sheet, row, column, what, AGAIN)
    return float(value)


def _hold_together(
    book: Book, sheet: Sheet, heading: int, columns: Mapping[str, int], months: Mapping[str, int],
    values: Mapping[str, np.ndarray],
) -> None:  # fmt: skip
    """Refuse columns that are not what their headings say."""
    index, share = values[WORLD], values[SHARE]
    normal = np.array([NORMAL[0] <= month <= NORMAL[1] for month in months])
    scale = float(np.median(index / np.where(share > 0, share, np.nan)))
    off = ~(np.abs(index - scale * share) <= SAME * np.maximum(index, 1.0))
    if off.any():
        row = list(months.values())[int(off.argmax())]
        what = f"{index[off.argmax()]:g} is not {scale:.4g} times {SHARE}, as in the other months"
        raise book.fault(sheet, row, columns[WORLD], what, AGAIN)
    if abs(float(index[normal].mean()) - MEAN) > MEAN * SAME:
        what = f"the mean of {NORMAL[0]} to {NORMAL[1]} is {index[normal].mean():.6g} and should be 100"
        raise book.fault(sheet, heading, columns[WORLD], what, AGAIN)
    historical = [name for name in columns if name.startswith("GPRHC_")]
    past = {
        name: np.array([_loose(sheet, row, columns[name]) for row in months.values()]) for name in historical
    }
    for state in STATES:
        name, own = f"GPRC_{state}", values[f"GPRC_{state}"]
        if f"GPRHC_{state}" not in past:
            raise book.fault(
                sheet, heading, columns[name], f"there is no GPRHC_{state} to hold it against", AGAIN
            )
        likeness = {other: _correlation(own, series) for other, series in past.items()}
        nearest = max(likeness, key=lambda other: likeness[other])
        level = own.mean() / max(float(np.nanmean(past[f"GPRHC_{state}"])), 1e-12)
        if nearest != f"GPRHC_{state}" or likeness[nearest] < LEAST_CORRELATION:
            what = f"the column resembles {nearest} ({likeness[nearest]:.2f}), not GPRHC_{state}"
            raise book.fault(sheet, heading, columns[name], what, AGAIN)
        if not 1 / LEVEL < level < LEVEL:
            what = f"the column is {level:.2g} times as high as GPRHC_{state}"
            raise book.fault(sheet, heading, columns[name], what, AGAIN)


def _loose(sheet: Sheet, row: int, column: int) -> float:
    value = sheet.at(row, column)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < len(one) / 2 or not (one[both].std() > 0 and other[both].std() > 0):
        return 0.0
    return float(np.corrcoef(one[both], other[both])[0, 1])
