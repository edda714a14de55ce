"""The reader of SIPRI's military expenditure workbook, on workbooks made up in its layout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.styles import Font

from escalation_forecast.schema import OBSERVATION_COLUMNS, STATES, DataError
from escalation_forecast.sources.live import detect, read, sipri_milex
from escalation_forecast.sources.live.workbook import Formula
from originators import RECEIVED, grid, milex_book, set_cell, sheet_of

SHEET = "Constant (2024) US$"
Edit = Callable[[Any], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return milex_book(tmp_path_factory.mktemp("milex") / "workbook.xlsx")


def edited(plain: Path, tmp_path: Path, edit: Edit) -> Path:
    book = load_workbook(plain)
    edit(book)
    path = tmp_path / "edited.xlsx"
    book.save(path)
    return path


def row_of(page: Any, name: str) -> int:
    return next(row for row in range(1, page.max_row + 1) if page.cell(row, 1).value == name)


def test_every_state_and_year_stands_under_its_heading(plain: Path) -> None:
    assert detect(plain) == "sipri-milex"
    reading = read(plain, received=RECEIVED)
    frame = reading.observations
    assert list(frame.columns) == list(OBSERVATION_COLUMNS)
    assert set(frame["unit"]) == set(STATES)
    page = load_workbook(plain)[SHEET]
    heading = {page.cell(6, column).value: column for column in range(1, page.max_column + 1)}
    assert int(frame["period_start"].dt.year.min()) == 1988
    for unit, name in (("CHN", "China"), ("KOR", "Korea, South"), ("RUS", "Russia")):
        for line in frame[frame["unit"] == unit].itertuples():
            cell = page.cell(row_of(page, name), heading[line.period_start.year]).value
            assert line.value == pytest.approx(cell, rel=1e-5)
    assert frame.loc[frame["unit"] == "RUS", "period_start"].dt.year.min() == 1992
    assert frame.loc[frame["unit"] == "VNM", "period_start"].dt.year.min() == 1990


def test_colours_are_qualities_and_the_base_year_is_noted(plain: Path) -> None:
    frame = read(plain, received=RECEIVED).observations
    old = frame["period_start"].dt.year < 2000
    assert set(frame.loc[frame["unit"] == "CHN", "quality"]) == {"estimate"}
    assert set(frame.loc[(frame["unit"] == "VNM") & old, "quality"]) == {"uncertain"}
    assert set(frame.loc[(frame["unit"] == "VNM") & ~old, "quality"]) == {"reported"}
    assert set(frame["note"]) == {"constant 2024 USD"}


def test_a_known_release_has_its_own_day_and_a_later_one_the_day_of_receipt(
    plain: Path, tmp_path: Path
) -> None:
    known = read(plain, received=RECEIVED)
    assert (known.edition, known.published_at) == ("2026", dt.date(2026, 4, 27))
    later = milex_book(tmp_path / "next.xlsx", base=2025, last=2026, heading=9, extra="Added column")
    reading = read(later, received=dt.date(2027, 4, 28))
    assert (reading.edition, reading.published_at) == ("2027", dt.date(2027, 4, 28))
    frame = reading.observations
    assert set(frame["note"]) == {"constant 2025 USD"}
    assert set(frame["release"]) == {"2027"}
    assert frame["period_start"].dt.year.max() == 2026


def test_what_is_left_out_is_said(plain: Path) -> None:
    said = " ".join(read(plain, received=RECEIVED).skipped)
    assert "'Share of GDP'" in said
    assert "other states" in said
    assert "before 1988" in said


def at(place: str, value: Any, name: str = SHEET) -> Edit:
    return lambda book: set_cell(sheet_of(book, name), place, value)


def rename(old: str, new: str) -> Edit:
    def edit(book: Any) -> None:
        sheet_of(book, old).name = new

    return edit


def drop(*, column: int = 0, row: int = 0) -> Edit:
    def edit(book: Any) -> None:
        rows = sheet_of(book, SHEET).rows
        if row:
            del rows[row - 1]
        for cells in rows if column else []:
            del cells[column - 1 : column]

    return edit


@pytest.mark.parametrize(
    ("edit", "place", "what"),
    [
        (at("S18", "n/a"), "sheet 'Constant (2024) US$', cell S18", "'n/a' where a figure of 2001"),
        (at("S18", "3412.5"), "cell S18", "'3412.5' where"),
        (at("S18", None), "cell S18", "nothing where"),
        (at("S18", -4.0), "cell S18", "'-4.0' where"),
        (at("S18", True), "cell S18", "'True' where"),
        (at("S18", Formula("=HYPERLINK(1)")), "cell S18", "the formula"),
        (at("S18", 12e6), "cell S18", "'12000000.0' where"),
        (at("S18", 99_000.0), "cell S18", "a change by over 5"),
        (at("AP18", 13_000.0), "sheet 'Current US$', cell AO18", "where in constant dollars"),
        (at("H6", 1991), "cell H6", "the heading is 1991 where 1990 should follow"),
        (at("H6", float("inf")), "cell I6", "the heading is 1991 where 1990 should follow"),
        (at("H6", None), "cell I6", "the heading is 1991 where 1990 should follow"),
        (at("A6", "State"), "cell A1", "0 rows among the first 40 begin with 'Country'"),
        (at("AR17", 5.0), "cell AR17", "stands below no heading"),
        (at("A1", "X in constant (2024) US$ b., 1986–2025 © SIPRI 2026"), "cell A1", "no title"),
        (at("A1", "X in constant (2023) US$ m., 1986–2025 © SIPRI 2026"), "cell A1", "constant (2023)"),
        (at("A1", "X in constant (2024) US$ m., 1986–2025 © SIPRI 2024"), "cell A1", "copyright is 2024"),
        (at("A1", "X in constant (2024) US$ m., 1985–2025 © SIPRI 2026"), "cell D6", "1986 where 1985"),
        (at("A1", "X in constant (2024) US$ m., 1986–2024 © SIPRI 2025"), "cell AQ6", "end at 2025"),
        (rename(SHEET, "Constant (2023) US$"), "cell A1", "the sheet's name (2023)"),
        (rename(SHEET, "Constant prices"), "", "0 sheets are named 'Constant (YEAR) US$'"),
        (rename("Current US$", "Now"), "", "0 sheets are named 'Current US$'"),
        (drop(column=10), "cell J6", "the heading is 1993 where 1992 should follow"),
        (drop(row=27), "cell A6", "no row is named 'Thailand'"),
        (at("A18", "China"), "cell A18", "China stands there again, after row 17"),
        (at("A20", "Korea, Rep."), "cell A6", "no row is named 'Korea, South' or 'South Korea'"),
    ],
)  # fmt: skip
def test_what_is_not_as_published_is_refused_with_its_place(
    plain: Path, edit: Edit, place: str, what: str
) -> None:
    book = grid(plain)
    edit(book)
    with pytest.raises(DataError) as caught:
        sipri_milex.read(book, RECEIVED)
    message = str(caught.value)
    assert place in message
    assert what in message
    assert "\n" not in message
    assert "File 'workbook.xlsx'" in message


def test_unknown_colours_and_units_are_refused(plain: Path, tmp_path: Path) -> None:
    def green(book: Any) -> None:
        book[SHEET].cell(18, 20).font = Font(color="FF00FF00")

    with pytest.raises(DataError, match=r"cell T18: the figure is in an unknown colour \(00FF00\)"):
        read(edited(plain, tmp_path, green), received=RECEIVED)
    book = grid(plain)
    for name in (SHEET, "Current US$"):
        for cells in sheet_of(book, name).rows[7:]:
            cells[:] = [cell / 1000 if isinstance(cell, int | float) else cell for cell in cells]
    with pytest.raises(DataError, match="which cannot be US"):
        sipri_milex.read(book, RECEIVED)


def test_a_formula_that_is_not_read_does_not_matter(plain: Path, tmp_path: Path) -> None:
    def link(book: Any) -> None:
        book[SHEET]["C18"] = '=HYPERLINK("#Footnotes!A1","7")'

    path = edited(plain, tmp_path, link)
    same = read(path, received=RECEIVED).observations.equals(read(plain, received=RECEIVED).observations)
    assert same


def test_another_source_and_a_day_before_publication_are_refused(plain: Path) -> None:
    with pytest.raises(DataError, match="it is a file of `sipri-milex`, not of `gpr`"):
        read(plain, "gpr", received=RECEIVED)
    with pytest.raises(DataError, match=r"Unknown source `sipri-milx` \(did you mean `sipri-milex`\?\)"):
        read(plain, "sipri-milx", received=RECEIVED)
    with pytest.raises(DataError, match="dated 2026-04-27, after the 2026-01-01 on which it was received"):
        read(plain, received=dt.date(2026, 1, 1))
