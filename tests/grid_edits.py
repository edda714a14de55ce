"""Random edits of a workbook, as careless saving makes them, and what a reader may then say.

An edit either moves, doubles or spoils cells, after which only the same figures or a refusal will do, or
it overwrites one figure, which may show exactly there.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live.workbook import Book, Sheet

Reader = Callable[[Book, dt.date], Any]
Key = tuple[str, str, Any]
Figures = dict[Key, float]


def figures(reader: Reader, book: Book, received: dt.date) -> Figures:
    frame = reader(book, received).rows
    keys = zip(frame["series"], frame["unit"], frame["period_start"], strict=True)
    return dict(zip(keys, frame["value"], strict=True))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Edits:
    """Edits drawn from one generator; each changes a copy of the book and says what it did."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def one(self, book: Book) -> tuple[Book, str, bool]:
        """The edited copy, the name of the edit, and whether it overwrote a single cell."""
        edited = Book(
            book.source, [Sheet(s.name, [list(r) for r in s.rows], copy.copy(s.colours)) for s in book.sheets]
        )
        names = [name for name in dir(self) if name.startswith("edit_")]
        name = names[self.rng.integers(len(names))]
        sheets = [sheet for sheet in edited.sheets if sum(map(len, sheet.rows)) > 100]
        sheet = sheets[0] if self.rng.random() < 0.75 else sheets[self.rng.integers(len(sheets))]
        getattr(self, name)(edited, sheet)
        for page in edited.sheets:
            for cells in page.rows:
                while cells and cells[-1] is None:
                    cells.pop()
        return edited, name.removeprefix("edit_"), name in ("edit_value", "edit_text_in_cell")

    def cell(self, sheet: Sheet) -> tuple[int, int]:
        """A cell that holds a number, more often a late one."""
        while True:
            row = int(self.rng.integers(len(sheet.rows)))
            if cells := sheet.rows[row]:
                column = int(self.rng.integers(len(cells)))
                if is_number(cells[column]):
                    return row, column

    def heading(self, sheet: Sheet) -> int:
        names = {"Country", "month", "LOCATION"}
        return next((row for row, cells in enumerate(sheet.rows) if names & set(map(str, cells))), 0)

    def edit_row_shifted_right(self, book: Book, sheet: Sheet) -> None:
        row, column = self.cell(sheet)
        sheet.rows[row].insert(column, None)

    def edit_row_shifted_left(self, book: Book, sheet: Sheet) -> None:
        row, column = self.cell(sheet)
        del sheet.rows[row][column]

    def edit_column_shifted_down(self, book: Book, sheet: Sheet) -> None:
        self._column(sheet, *self.cell(sheet), down=True)

    def edit_column_shifted_up(self, book: Book, sheet: Sheet) -> None:
        self._column(sheet, *self.cell(sheet), down=False)

    def _column(self, sheet: Sheet, row: int, column: int, *, down: bool) -> None:
        width = max(map(len, sheet.rows))
        full = [cells + [None] * (width - len(cells)) for cells in sheet.rows]
        cells = [line[column] for line in full]
        cells[row:] = [None, *cells[row:-1]] if down else [*cells[row + 1 :], None]
        for line, value in zip(full, cells, strict=True):
            line[column] = value
        sheet.rows[:] = full

    def edit_all_columns_shifted(self, book: Book, sheet: Sheet) -> None:
        """A blank column: wherever it stands, headings and figures move together."""
        column = int(self.rng.integers(0, 6))
        for cells in sheet.rows:
            if len(cells) > column:
                cells.insert(column, None)

    def edit_heading_shifted(self, book: Book, sheet: Sheet) -> None:
        cells = sheet.rows[self.heading(sheet)]
        column = int(self.rng.integers(1, max(2, len(cells))))
        cells[column : column + 1] = [None, *cells[column : column + 1]] if self.rng.random() < 0.5 else []

    def edit_heading_merged(self, book: Book, sheet: Sheet) -> None:
        cells = sheet.rows[self.heading(sheet)]
        column = int(self.rng.integers(1, max(2, len(cells))))
        for place in range(column, min(len(cells), column + int(self.rng.integers(1, 4)))):
            cells[place] = None

    def edit_headings_exchanged(self, book: Book, sheet: Sheet) -> None:
        cells = sheet.rows[self.heading(sheet)]
        if len(cells) < 3:
            return
        one, other = self.rng.choice(np.arange(1, len(cells)), 2, replace=False)
        cells[one], cells[other] = cells[other], cells[one]

    def edit_heading_moved_down(self, book: Book, sheet: Sheet) -> None:
        at = int(self.rng.integers(0, self.heading(sheet) + 1))
        for _ in range(int(self.rng.integers(1, 4))):
            sheet.rows.insert(at, [])

    def edit_labels_exchanged(self, book: Book, sheet: Sheet) -> None:
        first = self.heading(sheet) + 1
        filled = [
            row for row in range(first, len(sheet.rows)) if sheet.rows[row] and len(sheet.rows[row]) > 5
        ]
        one, other = self.rng.choice(filled or [0, 1], 2, replace=False)
        if not (sheet.rows[one] and sheet.rows[other]):
            return
        sheet.rows[one][0], sheet.rows[other][0] = sheet.rows[other][0], sheet.rows[one][0]

    def edit_column_missing(self, book: Book, sheet: Sheet) -> None:
        _, column = self.cell(sheet)
        for cells in sheet.rows:
            del cells[column : column + 1]

    def edit_row_missing(self, book: Book, sheet: Sheet) -> None:
        del sheet.rows[self.cell(sheet)[0]]

    def edit_row_doubled(self, book: Book, sheet: Sheet) -> None:
        row, _ = self.cell(sheet)
        sheet.rows.insert(int(self.rng.integers(row, len(sheet.rows))), list(sheet.rows[row]))

    def edit_column_doubled(self, book: Book, sheet: Sheet) -> None:
        _, column = self.cell(sheet)
        for cells in sheet.rows:
            if len(cells) > column:
                cells.insert(column, cells[column])

    def edit_sheet_names_exchanged(self, book: Book, sheet: Sheet) -> None:
        if len(book.sheets) > 1:
            one, other = self.rng.choice(len(book.sheets), 2, replace=False)
            a, b = book.sheets[one], book.sheets[other]
            a.name, b.name = b.name, a.name

    def edit_sheets_exchanged(self, book: Book, sheet: Sheet) -> None:
        self.rng.shuffle(book.sheets)  # type: ignore[arg-type]

    def edit_rows_cut_off(self, book: Book, sheet: Sheet) -> None:
        del sheet.rows[int(self.rng.integers(len(sheet.rows) // 2, len(sheet.rows))) :]

    def edit_unit_of_all(self, book: Book, sheet: Sheet) -> None:
        factor = float(self.rng.choice([1e-6, 1e-3, 0.01, 100.0, 1e3, 1e6]))
        first = self.heading(sheet) + 1
        for cells in sheet.rows[first:]:
            cells[:] = [cell * factor if is_number(cell) else cell for cell in cells]

    def edit_unit_of_row(self, book: Book, sheet: Sheet) -> None:
        row, _ = self.cell(sheet)
        factor = float(self.rng.choice([1e-3, 1e3]))
        sheet.rows[row] = [cell * factor if is_number(cell) else cell for cell in sheet.rows[row]]

    def edit_unit_of_column(self, book: Book, sheet: Sheet) -> None:
        _, column = self.cell(sheet)
        factor = float(self.rng.choice([1e-3, 1e3]))
        for cells in sheet.rows[self.heading(sheet) + 1 :]:
            if len(cells) > column and is_number(cells[column]):
                cells[column] *= factor  # type: ignore[operator]

    def edit_text_in_cell(self, book: Book, sheet: Sheet) -> None:
        row, column = self.cell(sheet)
        value = sheet.rows[row][column]
        texts = ["n/a", f"{value}", f"{value:,.1f}", "#REF!", " ", "1e400", "see note", "12 345"]
        sheet.rows[row][column] = texts[self.rng.integers(len(texts))]

    def edit_value(self, book: Book, sheet: Sheet) -> None:
        row, column = self.cell(sheet)
        sheet.rows[row][column] *= float(self.rng.uniform(0.9, 1.1))  # type: ignore[operator]


def outcomes(reader: Reader, book: Book, received: dt.date, *, edits: int, seed: int) -> Counter[str]:
    """How often a reader gave the same figures, refused, or gave one figure that was overwritten.

    A workbook of which the last months are cut off is what it was some months earlier; it counts apart.

    Raises
    ------
    AssertionError
        When an edit changed figures that it did not overwrite: a silent wrong figure.
    """
    plain = figures(reader, book, received)
    rng = np.random.default_rng(seed)
    tally: Counter[str] = Counter()
    for number in range(edits):
        edited, name, single = Edits(rng).one(book)
        try:
            after = figures(reader, edited, received)
        except DataError as error:
            tally["refused" if "sheet" in str(error) else "refused without a place"] += 1
            continue
        moved = difference(plain, after)
        if not moved:
            tally["identical"] += 1
            continue
        if name == "rows_cut_off" and cut_short(plain, after):
            tally["cut short"] += 1
            continue
        assert single, (
            f"edit {number} ({name}) changed {len(moved)} figures silently, first {next(iter(moved))}"
        )
        assert len(moved) == 1, f"edit {number} ({name}) overwrote one cell and changed {len(moved)} figures"
        tally["as overwritten"] += 1
    return tally


def cut_short(plain: Figures, after: Figures) -> bool:
    """Whether the last periods are missing of every series, and nothing else: the file of an earlier day."""
    last = max(start for _, _, start in after)
    return after == {key: value for key, value in plain.items() if key[2] <= last}


def difference(plain: Mapping[Key, float], after: Mapping[Key, float]) -> dict[Key, tuple[Any, Any]]:
    keys = plain.keys() | after.keys()
    return {key: (plain.get(key), after.get(key)) for key in keys if plain.get(key) != after.get(key)}
