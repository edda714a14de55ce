"""What every reader needs: dates, rows in the store's schema, stable CSV text, errors for people."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from escalation_forecast.schema import (
    DATE_COLUMNS,
    FIGURE_KEY,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    QUALITIES,
    DataError,
    empty_observations,
)

SORT_KEY = ("series", "unit", "period_start", "published_at", "release", "period_end", "source")


def month_end(ts: pd.Timestamp | str) -> pd.Timestamp:
    """Last day of the month that `ts` falls in."""
    return (pd.Timestamp(ts).normalize() + pd.offsets.MonthEnd(0)).as_unit("us")


def period(
    year: int, month: int | None = None, *, quarter: int | None = None
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a year, or of its `month` (1-12) or `quarter` (1-4)."""
    if month is not None and quarter is not None:
        raise ValueError("give a month or a quarter, not both")
    if quarter is not None:
        if not 1 <= quarter <= 4:
            raise ValueError(f"quarter {quarter} is not 1-4")
        first, last = 3 * quarter - 2, 3 * quarter
    elif month is not None:
        first = last = month
    else:
        first, last = 1, 12
    start = pd.Timestamp(year=year, month=first, day=1).as_unit("us")
    return start, month_end(pd.Timestamp(year=year, month=last, day=1))


def observation_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame with the store's columns and dtypes, sorted by `SORT_KEY`.

    `low`, `high` and `note` may be left out. Rows whose value and bounds are all missing
    are an error, because a blank must never become a figure.
    """
    records = list(rows)
    if not records:
        return empty_observations()
    unknown = sorted({name for row in records for name in row} - set(OBSERVATION_COLUMNS))
    if unknown:
        raise ValueError(f"unknown observation columns {unknown}")
    frame = pd.DataFrame(records, columns=list(OBSERVATION_COLUMNS))
    for name in DATE_COLUMNS:
        frame[name] = pd.to_datetime(frame[name]).astype("datetime64[us]")
    for name in NUMBER_COLUMNS:
        frame[name] = frame[name].astype("float64")
    text = [name for name in OBSERVATION_COLUMNS if name not in DATE_COLUMNS + NUMBER_COLUMNS]
    for name in text:
        frame[name] = frame[name].astype("object").fillna("").astype("str")
    _check(frame)
    return frame.sort_values(list(SORT_KEY), kind="stable", ignore_index=True)


def _check(frame: pd.DataFrame) -> None:
    """Raise DataError for rows that the store would refuse."""

    def refuse(bad: pd.Series, what: str) -> None:
        if bad.any():
            row = frame.loc[bad, ["series", "unit", "period_start", "release"]].iloc[0].tolist()
            raise DataError(f"{what} in {bad.sum()} row(s), first {row}; correct the raw table or reader.")

    refuse(frame[list(NUMBER_COLUMNS)].isna().all(axis=1), "No value and no bounds")
    refuse(frame[list(DATE_COLUMNS)].isna().any(axis=1), "A date is missing")
    refuse(frame["period_end"] < frame["period_start"], "The period ends before it starts")
    required = ["series", "unit", "unit_of_measure", "source", "release", "quality"]
    refuse((frame[required] == "").any(axis=1), "An empty text cell")
    known = set(QUALITIES)
    refuse(~frame["quality"].map(lambda q: set(q.split(";")) <= known), "Unknown quality")
    refuse(frame.duplicated([*FIGURE_KEY, "release"]), "The same figure and release twice")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dictionaries."""
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def text_of(value: float) -> str:
    """Shortest plain decimal text: whole numbers exactly, others to six significant digits."""
    if np.isnan(value):
        return ""
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return np.format_float_positional(float(f"{value:.6g}"), trim="-")


def write_observations(frame: pd.DataFrame, path: Path) -> None:
    """Write `frame` as CSV (UTF-8, LF, sorted); the old file stays until the new one is complete."""
    table = frame.loc[:, list(OBSERVATION_COLUMNS)].sort_values(list(SORT_KEY), kind="stable")
    for name in DATE_COLUMNS:
        table[name] = table[name].dt.strftime("%Y-%m-%d")
    for name in NUMBER_COLUMNS:
        table[name] = table[name].map(text_of)
    write_text(table, path)


def write_text(table: pd.DataFrame, path: Path) -> None:
    """Write cells of text as CSV (UTF-8, LF); the old file stays until the new one is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            table.to_csv(stream, index=False, lineterminator="\n")
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write typed columns in the given order of rows: dates as YYYY-MM-DD, numbers as plain decimals."""
    table = frame.copy()
    for name in table.columns:
        if pd.api.types.is_datetime64_any_dtype(table[name]):
            table[name] = table[name].dt.strftime("%Y-%m-%d")
        elif pd.api.types.is_float_dtype(table[name]):
            table[name] = table[name].astype("float64").map(text_of)
    write_text(table, path)


def read_table(
    raw: Path,
    folder: str,
    file: str,
    columns: Sequence[str],
    *,
    text: Sequence[str] = (),
) -> pd.DataFrame:
    """Read `raw/folder/file`; blanks become missing, columns in `text` stay text.

    Raises
    ------
    DataError
        If the folder, the file or one of `columns` is missing.
    """
    place = raw / folder
    if not place.is_dir():
        raise DataError(f"Raw folder '{folder}' is missing in {raw}; copy it there or give another folder.")
    path = place / file
    if not path.is_file():
        raise DataError(
            f"File '{folder}/{file}' is missing in {raw}; restore it from the originator's release."
        )
    frame = pd.read_csv(path, dtype=dict.fromkeys(text, "str"), keep_default_na=False, na_values=[""])
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise DataError(
            f"File '{folder}/{file}' lacks column(s) {', '.join(absent)}; "
            "its layout changed, so restore the old names or adapt the reader."
        )
    return frame
