"""The reader of the Geopolitical Risk export, on workbooks made up in its layout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from escalation_forecast.schema import DataError
from escalation_forecast.sources.gpr import STATES
from escalation_forecast.sources.live import detect, gpr, read
from escalation_forecast.sources.live.workbook import Sheet
from originators import RECEIVED, gpr_book, grid, set_cell

Edit = Callable[[Sheet], None]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpr_book(tmp_path_factory.mktemp("gpr") / "export.xlsx")


def test_months_and_states_stand_under_their_headings(plain: Path) -> None:
    assert detect(plain) == "gpr"
    reading = read(plain, received=RECEIVED)
    frame, sheet = reading.observations, grid(plain).sheets[0]
    assert (reading.edition, reading.published_at) == ("to 2020-06", RECEIVED)
    assert set(frame["unit"]) == {"WLD", *STATES}
    column = sheet.rows[0].index("GPRC_TWN")
    taiwan = frame[frame["unit"] == "TWN"].set_index("period_start")["value"]
    assert taiwan.index.min().strftime("%Y-%m") == "1985-01"
    for row in (3, 200, 428):
        assert taiwan[sheet.at(row, 0)] == pytest.approx(sheet.at(row, column), abs=1e-5)
    assert set(frame["release"]) == {"2026-11-20"}
    assert "before 1985-01" in " ".join(reading.skipped)


def test_a_later_file_with_one_more_column_and_more_months_is_read(tmp_path: Path) -> None:
    path = gpr_book(tmp_path / "next.xlsx", last="2021-12", extra="GPR_NEW")
    reading = read(path, received=RECEIVED)
    assert reading.edition == "to 2021-12"
    assert len(reading.observations) == 11 * 12 * 37


def at(place: str, value: Any) -> Edit:
    return lambda sheet: set_cell(sheet, place, value)


def insert(row: int, column: int) -> Edit:
    return lambda sheet: sheet.rows[row - 1].insert(column - 1, None)


def every(column: str, factor: float) -> Edit:
    def edit(sheet: Sheet) -> None:
        place = sheet.rows[0].index(column)
        for cells in sheet.rows[1:]:
            if len(cells) > place and isinstance(value := cells[place], float):
                cells[place] = value * factor

    return edit


def exchange(one: str, other: str) -> Edit:
    """The headings of two columns, and their names in the list of variables."""

    def edit(sheet: Sheet) -> None:
        for cells in sheet.rows:
            cells[:] = [{one: other, other: one}.get(cell, cell) if cell else cell for cell in cells]

    return edit


def remove(row: int) -> Edit:
    return lambda sheet: sheet.rows.__delitem__(row - 1)


def repeat(row: int) -> Edit:
    return lambda sheet: sheet.rows.insert(row, list(sheet.rows[row - 1]))


@pytest.mark.parametrize(
    ("edit", "place", "what"),
    [
        (at("B100", "n/a"), "cell B100", "'n/a' where GPR is a number before"),
        (at("B100", None), "cell B100", "nothing where GPR"),
        (at("B100", 250.0), "cell B100", "is not 35.12 times SHARE_GPR"),
        (at("A100", dt.datetime(1993, 2, 2)), "cell A100", "where 1993-01 is expected"),  # noqa: DTZ001
        (at("A100", "January 1993"), "cell A100", "'January 1993' where 1993-01"),
        (at("E1", "GPRC_XXX"), "cell A1", "no column is headed 'GPRC_CHN'"),
        (at("F1", "GPRC_CHN"), "cell F1", "the heading 'GPRC_CHN' stands there twice"),
        (at("E200", 140.0), "cell E200", "where GPRC_CHN from 0 to 100"),
        (insert(200, 6), "cell AA200", "is no name of a column"),
        (insert(1, 6), "cell AB2", "where the list of variables should name 'month'"),
        (remove(100), "cell A100", "1993-02-01"),
        (repeat(100), "cell A101", "where 1993-02 is expected"),
        (exchange("GPRC_CHN", "GPRC_JPN"), "cell E1", "resembles GPRHC_CHN (0.99), not GPRHC_JPN"),
        (every("GPRC_TWN", 1000.0), "", "where GPRC_TWN from 0 to 100"),
        (every("GPRC_TWN", 0.01), "cell L1", "0.01 times as high as GPRHC_TWN"),
        (every("GPR", 0.5), "cell B1", "the mean of 1985-01 to 2019-12 is 50"),
    ],
)  # fmt: skip
def test_what_is_not_as_published_is_refused_with_its_place(
    plain: Path, edit: Edit, place: str, what: str
) -> None:
    book = grid(plain)
    edit(book.sheets[0])
    with pytest.raises(DataError) as caught:
        gpr.read(book, RECEIVED)
    message = str(caught.value)
    assert place in message
    assert what in message
    assert "sheet 'Sheet1'" in message


def test_a_file_from_the_future_is_refused(plain: Path) -> None:
    with pytest.raises(DataError, match="it reaches 2020-06, after the day of receipt"):
        read(plain, received=dt.date(2020, 3, 1))
