"""Reading the CSV tables of a data folder as typed frames; every complaint names file, row and remedy."""

from __future__ import annotations

import csv
import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import (
    DATE_COLUMNS,
    INDICATOR_COLUMNS,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    DataError,
    as_observations,
)

SERIES_COLUMNS: Final = (
    "series", "unit_of_measure", "frequency", "kind", "published_before_end", "min", "max", "description",
)  # fmt: skip
SOURCE_COLUMNS: Final = (
    "source", "title", "originator", "citation", "terms",
    "url_or_repository", "retrieved", "coverage", "caveats",
)  # fmt: skip
FREQUENCIES: Final = ("D", "M", "Q", "A")
KINDS: Final = ("level", "count", "share", "growth", "ordinal", "report")
SHOWN: Final = 5
OWN_CATALOGUE: Final = "indicators.csv"  # in a user's folder of figures
CHUNK: Final = 200_000  # rows read at once


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong in one place. `row` is the spreadsheet row (header is 1), 0 for the whole file."""

    file: str
    row: int
    column: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}, row {self.row}" if self.row else self.file
        return f"{place}: {self.message}; {self.remedy}."


@dataclasses.dataclass(frozen=True)
class Tables:
    """The tables of a data folder with `file` and `row` beside every row, and what reading them met."""

    root: Path
    observations: pd.DataFrame
    indicators: pd.DataFrame
    series: pd.DataFrame
    sources: pd.DataFrame
    problems: tuple[Problem, ...]


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean `x`?)``, or nothing when no known name resembles `name`."""
    folded, by_letters = name.casefold(), {other.casefold(): other for other in known}
    near = difflib.get_close_matches(folded, list(by_letters), n=9, cutoff=0.6)

    def likeness(other: str) -> tuple[float, int]:
        # of equally near names the one with more letters in place is meant: RUZ is RUS, not UZB
        in_place = sum(a == b for a, b in zip(other, folded, strict=False))
        return difflib.SequenceMatcher(None, other, folded).ratio(), in_place

    return f" (did you mean `{by_letters[max(near, key=likeness)]}`?)" if near else ""


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise `DataError` with the first few problems and their number, if there are any."""
    if not problems:
        return
    lines = [str(problem) for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN} more ({len(problems)} problems in all).")
    raise DataError("\n".join(lines))


def read_csv(path: Path, label: str, columns: Sequence[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """Every cell as text, with `file` and `row`; wholly empty rows are left out."""
    header: list[str] | None = None
    parts: list[pd.DataFrame] = []
    problem, problems = None, list[Problem]()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            if (header := next(reader, None)) is not None:
                problems = _header_problems(header, label, columns)
            if header and not problems:
                for part, found in _chunks(reader, label, header, columns):
                    parts.append(part)
                    problems += found
    except FileNotFoundError:
        problem = Problem(label, 0, "", "the file does not exist", "create it or correct the path")
    except UnicodeDecodeError:
        problem = Problem(label, 0, "", "the text is not UTF-8", "save it as CSV UTF-8")
    except csv.Error as error:
        problem = Problem(
            label, 0, "", f"it is not a readable CSV file ({error})", "check the quotation marks"
        )
    if header is None and problem is None:
        problem = Problem(label, 1, "", "the file is empty", f"start it with the header {','.join(columns)}")
    if problem or not parts:
        empty = pd.DataFrame({name: pd.Series(dtype="str") for name in (*columns, "file")})
        return empty.assign(row=np.zeros(0, dtype="int64")), [problem] if problem else problems
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0], problems


def _chunks(
    reader: Iterator[list[str]], label: str, header: list[str], columns: Sequence[str]
) -> Iterator[tuple[pd.DataFrame, list[Problem]]]:
    """Frames of so many rows each: as lists of words, five million rows would need ten times the memory."""
    width, first = len(header), 2
    while rows := list(islice(reader, CHUNK)):
        kept, numbers, problems = [], [], []
        for number, cells in enumerate(rows, start=first):
            if len(cells) == width:
                kept.append(cells)
                numbers.append(number)
            elif any(cells):
                message = f"{len(cells)} cells where the header has {width}"
                problems.append(Problem(label, number, "", message, "quote cells that hold a comma"))
        first += len(rows)
        by_name = dict(zip(header, zip(*kept, strict=True), strict=True)) if kept else {}
        frame = pd.DataFrame(
            {name: pd.Series(by_name.get(name, ()), dtype="str").str.strip() for name in columns}
        )
        frame["file"] = pd.Series(label, index=frame.index, dtype="str")
        frame["row"] = np.array(numbers, dtype="int64")
        yield frame[(frame[list(columns)] != "").any(axis=1)], problems


def _header_problems(given: list[str], label: str, columns: Sequence[str]) -> list[Problem]:
    remedy = f"the columns are {','.join(columns)}"
    if len(given) == 1 and len(columns) > 1:
        return [
            Problem(
                label, 1, "", "the header has one cell, perhaps split by semicolons", "save it with commas"
            )
        ]
    extra = [name for name in given if name not in columns]
    missing = [name for name in columns if name not in given]
    twice = sorted({name for name in given if given.count(name) > 1})
    problems = [
        Problem(label, 1, name, f"column `{name}` is missing{nearest(name, extra)}", remedy)
        for name in missing
    ]
    problems += [Problem(label, 1, name, f"column `{name}` stands there twice", remedy) for name in twice]
    if not problems:
        problems = [Problem(label, 1, name, f"unknown column `{name}`", remedy) for name in extra]
    return problems


NOT_A_NUMBER: Final = ("is not a number", "write plain digits with a decimal point, or leave it blank")


def _as_numbers(raw: pd.Series[Any]) -> tuple[pd.Series[Any], pd.Series[bool]]:
    numbers = pd.to_numeric(raw, errors="coerce").astype("float64")
    finite = pd.Series(np.isfinite(numbers), index=raw.index)
    return numbers.where(finite), (raw != "") & ~finite


def _cell_problems(
    frame: pd.DataFrame, column: str, bad: pd.Series[Any], what: str, remedy: str
) -> list[Problem]:
    places = frame.loc[bad.index]
    rows: list[int] = places["row"].to_list()
    return [
        Problem(str(file), row, column, f"{column} `{text}` {what}", remedy)
        for text, file, row in zip(bad, places["file"], rows, strict=True)
    ]


def _typed_observations(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Text cells as dates and numbers. A row with a bad cell is left out, so that it is reported once."""
    problems: list[Problem] = []
    bad_rows = pd.Series(False, index=frame.index)
    typed = frame.copy()
    for column in DATE_COLUMNS:
        raw = frame[column]
        typed[column] = pd.to_datetime(raw, format="%Y-%m-%d", errors="coerce").astype("datetime64[us]")
        bad = (raw != "") & typed[column].isna()
        bad_rows |= bad
        problems += _cell_problems(frame, column, raw[bad], "is not a date", "write it as YYYY-MM-DD")
    for column in NUMBER_COLUMNS:
        typed[column], bad = _as_numbers(frame[column])
        bad_rows |= bad
        problems += _cell_problems(frame, column, frame.loc[bad, column], *NOT_A_NUMBER)
    return typed[~bad_rows], problems


def read_observations(path: Path | str) -> pd.DataFrame:
    """Figures of one file, typed, with `schema.OBSERVATION_COLUMNS`; not held against the catalogue.

    Raises
    ------
    DataError
        Naming file and row of cells that are no date or number, or the missing column.
    """
    text, problems = read_csv(Path(path), str(path), OBSERVATION_COLUMNS)
    frame, found = _typed_observations(text)
    raise_problems([*problems, *found])
    return frame[list(OBSERVATION_COLUMNS)].reset_index(drop=True)


def _typed_series(path: Path, label: str) -> tuple[pd.DataFrame, list[Problem]]:
    frame, problems = read_csv(path, label, SERIES_COLUMNS)
    for column, allowed in (
        ("frequency", FREQUENCIES), ("kind", KINDS), ("published_before_end", ("true", "false")),
    ):  # fmt: skip
        odd = frame.loc[~frame[column].isin(allowed), column]
        problems += _cell_problems(frame, column, odd, "is unknown", f"use one of {', '.join(allowed)}")
    for column in ("min", "max"):
        numbers, bad = _as_numbers(frame[column])
        problems += _cell_problems(frame, column, frame.loc[bad, column], *NOT_A_NUMBER)
        frame[column] = numbers.fillna(-np.inf if column == "min" else np.inf)
    frame["published_before_end"] = frame["published_before_end"] == "true"
    return frame, problems


def read_tables(root: Path) -> Tables:
    """All tables of a data folder; raises `DataError` when there is no such folder."""
    if not (root / "observations").is_dir():
        raise DataError(
            f"There is no data folder with `observations` at {root}; give the folder that holds it."
        )
    problems: list[Problem] = []
    parts: list[pd.DataFrame] = []
    for path in sorted((root / "observations").glob("*.csv")):
        text, found = read_csv(path, f"{root.name}/observations/{path.name}", OBSERVATION_COLUMNS)
        parts.append(text)
        problems += found
    if not parts:
        raise DataError(f"{root / 'observations'} holds no CSV file; add one with the observation columns.")
    observations, found = _typed_observations(pd.concat(parts, ignore_index=True))
    problems += found
    series, found = _typed_series(root / "series.csv", f"{root.name}/series.csv")
    problems += found
    indicators, found = read_csv(root / "indicators.csv", f"{root.name}/indicators.csv", INDICATOR_COLUMNS)
    problems += found
    sources, found = read_csv(root / "sources.csv", f"{root.name}/sources.csv", SOURCE_COLUMNS)
    problems += found
    return Tables(root, observations, indicators, series, sources, tuple(problems))


def figure_files(path: Path) -> list[Path]:
    """The file itself, or the CSV files of a folder that hold figures, in order of name.

    A file whose name begins with a dot is still being written.
    """
    if not path.is_dir():
        return [path]
    return sorted(f for f in path.glob("*.csv") if not f.name.startswith(".") and f.name != OWN_CATALOGUE)


def add_files(tables: Tables, observations: Path | str | None, indicators: Path | str | None) -> Tables:
    """Tables with a user's rows appended; a new series that their indicators name is registered."""
    problems = list(tables.problems)
    parts, catalogues = [], [Path(indicators)] if indicators is not None else []
    if observations is not None:
        files = figure_files(Path(observations))
        if not files:
            message = "the folder cannot be read as figures, because it holds no CSV file"
            remedy = "give a file, or the folder that holds them"
            problems.append(Problem(str(observations), 0, "", message, remedy))
        for file in files:
            text, found = read_csv(file, str(file), OBSERVATION_COLUMNS)
            parts.append(text)
            problems += found
        if (own := Path(observations) / OWN_CATALOGUE).is_file():
            catalogues = [own, *(file for file in catalogues if file.resolve() != own.resolve())]
    mine, bad = _typed_observations(pd.concat(parts, ignore_index=True)) if parts else (None, [])
    rows = None
    for file in catalogues:
        more, found = read_csv(file, str(file), INDICATOR_COLUMNS)
        rows = more if rows is None else pd.concat([rows, more], ignore_index=True)
        problems += found
    return _added(dataclasses.replace(tables, problems=(*problems, *bad)), mine, rows)


def add_rows(
    tables: Tables, figures: pd.DataFrame, label: str, indicators: pd.DataFrame | None = None
) -> Tables:
    """`add_files` of frames; rows are numbered as if they stood in a file `label`."""

    def placed(frame: pd.DataFrame) -> pd.DataFrame:
        label_column = pd.Series(label, index=frame.index, dtype="str")
        return frame.assign(file=label_column, row=np.arange(2, len(frame) + 2))

    rows = None if indicators is None else placed(indicators)
    return _added(tables, placed(as_observations(figures)), rows)


def _added(tables: Tables, mine: pd.DataFrame | None, rows: pd.DataFrame | None) -> Tables:
    figures, catalogue, series = tables.observations, tables.indicators, tables.series
    if mine is not None and len(mine):
        figures = pd.concat([figures, mine], ignore_index=True)
    if rows is not None and len(rows):
        catalogue = pd.concat([catalogue, rows], ignore_index=True)
    if mine is not None and rows is not None:
        extra = [_register(mine[mine["series"] == name], rows) for name in _new_series(mine, rows, series)]
        series = pd.concat([series, *extra], ignore_index=True)
    return dataclasses.replace(tables, observations=figures, indicators=catalogue, series=series)


def _new_series(mine: pd.DataFrame, rows: pd.DataFrame, series: pd.DataFrame) -> list[str]:
    named = {*rows["series"], *rows["exposure_series"]} - {""}
    return sorted((named & set(mine["series"])) - set(series["series"]))


def _register(figures: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    name = str(figures["series"].iloc[0])
    users = rows[(rows["series"] == name) | (rows["exposure_series"] == name)].iloc[0]
    days = (figures["period_end"] - figures["period_start"]).dt.days.median()
    kind = {"count": "count", "share": "count", "ordinal": "ordinal"}.get(str(users["family"]), "level")
    record = {
        "series": name, "unit_of_measure": str(figures["unit_of_measure"].iloc[0]),
        "frequency": "D" if days < 7 else "M" if days < 32 else "Q" if days < 93 else "A",
        "kind": kind, "published_before_end": False, "min": -np.inf, "max": np.inf,
        "description": str(users["note"]) or f"Added with {users['file']}",
        "file": str(users["file"]), "row": int(users["row"]),
    }  # fmt: skip
    return pd.DataFrame([record])
