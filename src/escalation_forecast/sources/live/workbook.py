"""Excel workbooks, new and old, as plain grids: values, formulas and font colours; nothing is evaluated."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, Final

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.limits import (
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_MEMBERS,
    MAX_OTHER_BYTES,
    MAX_RATIO,
    MAX_SHEET_ROWS,
    MAX_SHEETS,
    MAX_UNZIPPED_BYTES,
    MIB,
)

CELL: Final = re.compile(rb"<(?:\w+:)?c[ >/]")
ROW: Final = re.compile(rb"<(?:\w+:)?row[ >/]")
AGAIN: Final = "download it again, and do not save it from a spreadsheet program"


@dataclasses.dataclass(frozen=True)
class Formula:
    """A cell that is computed, so that what it shows depends on other cells or files."""

    text: str


Value = str | float | bool | dt.datetime | Formula | None


@dataclasses.dataclass
class Sheet:
    """Rows of values without their empty tails; `colours` of numbers that are not plainly black."""

    name: str
    rows: list[list[Value]]
    colours: dict[tuple[int, int], str]

    def at(self, row: int, column: int) -> Value:
        """The value at zero-based row and column, None outside the filled part."""
        if row < 0 or column < 0 or row >= len(self.rows):
            return None
        cells = self.rows[row]
        return cells[column] if column < len(cells) else None

    def text(self, row: int, column: int) -> str:
        """The text of a cell with single spaces, empty when it holds none."""
        value = self.at(row, column)
        return " ".join(value.split()) if isinstance(value, str) else ""

    def place(self, row: int, column: int) -> str:
        """``sheet 'Name', cell C7``."""
        return f"sheet '{self.name}', cell {cell_name(row, column)}"


@dataclasses.dataclass
class Book:
    """The sheets of a workbook and the file that they come from."""

    source: Source
    sheets: list[Sheet]

    def fault(self, sheet: Sheet, row: int, column: int, what: str, remedy: str) -> DataError:
        """The error to raise, with file, sheet and cell."""
        return self.source.fault(sheet.place(row, column), what, remedy)


def cell_name(row: int, column: int) -> str:
    """Spreadsheet name of a zero-based place, such as ``C7``."""
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row + 1}"


def shown(value: Value) -> str:
    """A value as an error message quotes it."""
    if value is None:
        return "nothing"
    if isinstance(value, Formula):
        return f"the formula '{value.text[:40]}'"
    return f"'{str(value)[:40]}'"


def open_book(source: Source) -> Book:
    """Read a workbook as grids.

    Raises
    ------
    DataError
        Not a sound workbook, one that is made to exhaust memory, or with links to other files.
    """
    loader = _xlsx if source.kind == "xlsx" else _xls
    return Book(source, _guarded(source, lambda: loader(source)))


def _guarded(source: Source, load: Callable[[], list[Sheet]]) -> list[Sheet]:
    try:
        # Extensions of a spreadsheet program that openpyxl does not know hold no figures.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return load()
    except DataError:
        raise
    except Exception as error:
        # The two libraries raise whatever a broken file makes them meet: KeyError, struct.error, ...
        raise source.fault("", f"it is no sound Excel workbook ({type(error).__name__})", AGAIN) from None


class _Counter:
    """Cells so far; refuses the file when there are more than any published workbook has."""

    def __init__(self, source: Source) -> None:
        self.source, self.cells = source, 0

    def row(self, sheet: str, number: int, values: list[Value]) -> list[Value]:
        while values and values[-1] is None:
            values.pop()
        self.cells += len(values)
        where = f"sheet '{sheet}', row {number}"
        if len(values) > MAX_COLUMNS:
            raise self.source.fault(where, f"more than {MAX_COLUMNS:,} columns are filled", AGAIN)
        if self.cells > MAX_CELLS or number > MAX_SHEET_ROWS:
            raise self.source.fault(where, f"more than {MAX_CELLS:,} cells or {MAX_SHEET_ROWS:,} rows", AGAIN)
        return values


def _xlsx(source: Source) -> list[Sheet]:
    from openpyxl import load_workbook

    content = source.path.read_bytes()
    _inspect(source, content)
    book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
    counter = _Counter(source)
    sheets = []
    for page in book.worksheets:
        # What the file says of its own extent need not be true.
        page.reset_dimensions()
        sheet = Sheet(str(page.title), [], {})
        for number, cells in enumerate(_rows(page, counter, sheet.name), start=1):
            values = counter.row(sheet.name, number, [_xlsx_value(cell) for cell in cells])
            for column, value in enumerate(values):
                if isinstance(value, int | float) and (colour := _colour(cells[column])):
                    sheet.colours[number - 1, column] = colour
            sheet.rows.append(values)
        _trim(sheet)
        sheets.append(sheet)
    return sheets


def _rows(page: Any, counter: _Counter, sheet: str) -> Iterator[tuple[Any, ...]]:
    for number, cells in enumerate(page.iter_rows(), start=1):
        if len(cells) > MAX_COLUMNS:
            raise counter.source.fault(
                f"sheet '{sheet}', row {number}", f"more than {MAX_COLUMNS:,} columns", AGAIN
            )
        yield cells


def _inspect(source: Source, content: bytes) -> None:
    """Refuse an archive by its directory, then by the number of its cells, before anything is parsed."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    members = archive.infolist()
    names = {member.filename for member in members}
    if "[Content_Types].xml" not in names:
        raise source.fault("", "it is an archive, not a workbook", "unpack it and give the file inside")
    total = sum(member.file_size for member in members)
    packed = max(1, sum(member.compress_size for member in members))
    if len(members) > MAX_MEMBERS or len(names) < len(members):
        raise source.fault("", f"it holds {len(members):,} parts, some perhaps twice", AGAIN)
    if total > MAX_UNZIPPED_BYTES or total / packed > MAX_RATIO:
        raise source.fault(
            "", f"it would unpack to {total / MIB:,.0f} MiB ({total / packed:,.0f} times its size)", AGAIN
        )
    if any("externallink" in name.lower() for name in names):
        raise source.fault("", "it holds links to other files, which are never followed", AGAIN)
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise source.fault("", "it holds macros", AGAIN)
    parts = [name for name in names if name.startswith("xl/worksheets/") and name.endswith(".xml")]
    other = sum(member.file_size for member in members if member.filename not in parts)
    if other > MAX_OTHER_BYTES:
        raise source.fault("", f"styles and texts would unpack to {other / MIB:,.0f} MiB", AGAIN)
    if len(parts) > MAX_SHEETS:
        raise source.fault("", f"it has more than {MAX_SHEETS} sheets", AGAIN)
    # To count tags takes a hundredth of the time of parsing them.
    pages = [archive.read(name) for name in parts]
    cells = sum(1 for page in pages for _ in CELL.finditer(page))
    rows = max((sum(1 for _ in ROW.finditer(page)) for page in pages), default=0)
    if cells > MAX_CELLS or rows > MAX_SHEET_ROWS:
        raise source.fault("", f"more than {MAX_CELLS:,} cells or {MAX_SHEET_ROWS:,} rows", AGAIN)


def _xlsx_value(cell: Any) -> Value:
    value = cell.value
    if value is None or isinstance(value, bool | int | float | dt.datetime):
        return value
    if cell.data_type == "f":
        return Formula(str(getattr(value, "text", None) or value))
    return str(value) or None


def _colour(cell: Any) -> str:
    """``blue``, ``red``, or the raw colour when it is neither these nor black; empty for black."""
    font = cell.font
    colour = font.color if font is not None else None
    if colour is None or colour.type in ("theme", "auto"):
        # Theme colours 0 and 1 are the window's own text and background.
        return "" if colour is None or colour.type == "auto" or colour.theme in (0, 1) else "theme colour"
    if colour.type == "indexed":
        return _named(INDEXED.get(colour.indexed, f"index {colour.indexed}"))
    return _named(str(colour.rgb)[-6:].upper())


# The palette of Excel: 0-7 repeat as 8-15, 64 is the window's text.
INDEXED: Final[dict[int, str]] = {
    0: "000000", 2: "FF0000", 4: "0000FF", 8: "000000", 10: "FF0000", 12: "0000FF", 64: "000000",
    32767: "000000",
}  # fmt: skip


def _named(rgb: str) -> str:
    return {"000000": "", "0000FF": "blue", "FF0000": "red"}.get(rgb, rgb)


def _xls(source: Source) -> list[Sheet]:
    import xlrd

    content = source.path.read_bytes()
    book = xlrd.open_workbook(
        file_contents=content, logfile=io.StringIO(), formatting_info=False, ragged_rows=True
    )
    if book.nsheets > MAX_SHEETS:
        raise source.fault("", f"it has more than {MAX_SHEETS} sheets", AGAIN)
    counter = _Counter(source)
    sheets = []
    for page in book.sheets():
        sheet = Sheet(str(page.name), [], {})
        for number in range(page.nrows):
            cells = zip(page.row_types(number), page.row_values(number), strict=True)
            values = [_xls_value(kind, value, book.datemode) for kind, value in cells]
            sheet.rows.append(counter.row(sheet.name, number + 1, values))
        _trim(sheet)
        sheets.append(sheet)
    return sheets


def _xls_value(kind: int, value: Any, datemode: int) -> Value:
    if kind in (0, 6):
        return None
    if kind == 3:
        return _excel_date(float(value), datemode)
    if kind == 4:
        return bool(value)
    if kind == 5:
        return f"#error {value}"
    return float(value) if kind == 2 else (str(value) or None)


def _excel_date(serial: float, datemode: int) -> Value:
    """Day of a serial number; Excel counts a 29 February 1900 that never was."""
    base = dt.datetime(1904, 1, 1) if datemode else dt.datetime(1899, 12, 30)  # noqa: DTZ001
    shift = 1 if not datemode and serial < 60 else 0
    try:
        return base + dt.timedelta(days=serial + shift)
    except (OverflowError, ValueError):
        return serial


def _trim(sheet: Sheet) -> None:
    while sheet.rows and not sheet.rows[-1]:
        sheet.rows.pop()
