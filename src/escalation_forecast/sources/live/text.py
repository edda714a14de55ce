"""Tables as text: one row at a time, in bounded memory."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from escalation_forecast.sources.live.files import UTF8_BOM, Source
from escalation_forecast.sources.live.limits import HEADING_ROWS, MAX_COLUMNS, MAX_LINE_BYTES, MAX_LINES

AGAIN: Final = "download it again, and do not save it from a spreadsheet program"


@dataclasses.dataclass(frozen=True)
class Row:
    """The cells of one row and the line on which it ends."""

    line: int
    cells: list[str]


def text_rows(
    source: Source, *, delimiter: str = ",", encodings: Sequence[str] = ("utf-8",)
) -> Iterator[Row]:
    """Rows of a table; blank lines are passed over.

    Raises
    ------
    DataError
        Naming the line: not in one of `encodings`, too long, unbalanced quotation marks.
    """
    reader = csv.reader(_lines(source, encodings), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if len(cells) > MAX_COLUMNS:
                raise source.fault(f"line {reader.line_num}", f"more than {MAX_COLUMNS:,} columns", AGAIN)
            if cells:
                yield Row(reader.line_num, cells)
    except csv.Error as error:
        reason = "a quotation mark is not closed" if "field larger" in str(error) else str(error)
        raise source.fault(f"line {reader.line_num}", f"it is no readable table ({reason})", AGAIN) from None


def _lines(source: Source, encodings: Sequence[str]) -> Iterator[str]:
    number = 0
    with source.path.open("rb") as stream:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if number == 1:
                line = line.removeprefix(UTF8_BOM)
            if len(line) > MAX_LINE_BYTES or number > MAX_LINES:
                raise source.fault(
                    f"line {number}", f"longer than {MAX_LINE_BYTES:,} bytes or {MAX_LINES:,} lines", AGAIN
                )
            if b"\0" in line:
                raise source.fault(f"line {number}", "it holds bytes that are no text", AGAIN)
            yield _decoded(source, number, line, encodings)


def _decoded(source: Source, number: int, line: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings:
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise source.fault(
        f"line {number}", f"the text is not {' or '.join(encodings).upper()}", "save it as UTF-8"
    )


@dataclasses.dataclass(frozen=True)
class Table:
    """A table below a heading: the lines before it, the place of each column, and its rows."""

    source: Source
    preamble: list[str]
    columns: dict[str, int]
    heading_line: int
    rows: Iterator[Row]

    def cell(self, row: Row, column: str) -> str:
        """Text of a cell without spaces around it, empty when the row is too short."""
        place = self.columns[column]
        return row.cells[place].strip() if place < len(row.cells) else ""

    def number(self, row: Row, column: str) -> float:
        """A finite number.

        Raises
        ------
        DataError
            Naming line and column.
        """
        text = self.cell(row, column)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < float("inf") or "_" in text:
            raise self.source.fault(
                f"line {row.line}, column '{column}'", f"'{text[:40]}' is not a number", AGAIN
            )
        return value


def head_lines(source: Source) -> list[str]:
    """The first lines as they stand, in letters that cannot fail, to see what table it is."""
    lines = (line.strip() for line in _lines(source, ("utf-8", "latin-1")))
    return list(itertools.islice(lines, HEADING_ROWS))


def has_heading(source: Source, needed: Sequence[str], delimiter: str = ",") -> bool:
    """Whether one of the first lines holds all of `needed` as cells."""
    cells = ({cell.strip().strip('"') for cell in line.split(delimiter)} for line in head_lines(source))
    return any(names.issuperset(needed) for names in cells)


def day_of(text: str, *formats: str) -> dt.date | None:
    """A day in one of `formats`, None when it is in none of them."""
    for form in formats:
        try:
            return dt.datetime.strptime(text.strip(), form).date()  # noqa: DTZ007
        except ValueError:
            continue
    return None


def table(
    source: Source,
    needed: Sequence[str],
    *,
    delimiter: str = ",",
    encodings: Sequence[str] = ("utf-8",),
    ragged: bool = False,
) -> Table:
    """The table whose heading holds all of `needed`, wherever it stands among the first lines.

    Raises
    ------
    DataError
        No such heading, naming the columns that the nearest one lacks; a column twice; later, a row
        that is wider or narrower than the heading (unless `ragged`).
    """
    rows = text_rows(source, delimiter=delimiter, encodings=encodings)
    preamble: list[str] = []
    best: tuple[int, list[str]] = (-1, list(needed))
    for row in rows:
        names = [cell.strip() for cell in row.cells]
        lacking = [name for name in needed if name not in names]
        if not lacking:
            twice = sorted({name for name in needed if names.count(name) > 1})
            if twice:
                raise source.fault(f"line {row.line}", f"column '{twice[0]}' stands there twice", AGAIN)
            columns = {name: place for place, name in reversed(list(enumerate(names)))}
            width = len(row.cells)
            body = rows if ragged else _even(source, rows, width)
            return Table(source, preamble, columns, row.line, body)
        if len(needed) - len(lacking) > best[0]:
            best = (len(needed) - len(lacking), lacking)
        preamble.append(delimiter.join(row.cells).strip())
        if len(preamble) >= HEADING_ROWS:
            break
    raise source.fault(
        "heading", f"no line holds column(s) {', '.join(repr(name) for name in best[1])}",
        "its layout changed: keep the file and report it",
    )  # fmt: skip


def _even(source: Source, rows: Iterator[Row], width: int) -> Iterator[Row]:
    for row in rows:
        if len(row.cells) != width:
            if not any(cell.strip() for cell in row.cells):
                continue
            raise source.fault(
                f"line {row.line}", f"{len(row.cells)} cells where the heading has {width}", AGAIN
            )
        yield row
