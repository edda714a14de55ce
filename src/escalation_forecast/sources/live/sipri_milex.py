"""The military expenditure workbook of SIPRI: the constant-dollar sheet, held against the current one."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from escalation_forecast.sources._common import period
from escalation_forecast.sources.live._reading import Found, checked_day, plural, stored
from escalation_forecast.sources.live.limits import HEADING_ROWS
from escalation_forecast.sources.live.workbook import Book, Sheet, Value, cell_name, shown
from escalation_forecast.sources.sipri_milex import FIRST_YEAR, PUBLISHED

SHEET: Final = re.compile(r"Constant \((\d{4})\) US(?:\$|D)", re.IGNORECASE)
CURRENT: Final = re.compile(r"Current US(?:\$|D)", re.IGNORECASE)
TITLE: Final = re.compile(r"in constant \((\d{4})\) US\$ ?m\.,? (\d{4})\s*[–—-]\s*(\d{4})")
EDITION: Final = re.compile(r"(?:©|\(c\)) ?SIPRI (\d{4})", re.IGNORECASE)
NAMES: Final[dict[str, str]] = {
    "Australia": "AUS", "China": "CHN", "China, P. R.": "CHN", "India": "IND", "Indonesia": "IDN",
    "Japan": "JPN", "Korea, South": "KOR", "South Korea": "KOR", "Malaysia": "MYS", "Philippines": "PHL",
    "Russia": "RUS", "USSR/Russia": "RUS", "Russian Federation": "RUS", "Singapore": "SGP", "Taiwan": "TWN",
    "Thailand": "THA", "United States of America": "USA", "USA": "USA", "United States": "USA",
    "Viet Nam": "VNM", "Vietnam": "VNM",
}  # fmt: skip
STATES: Final = tuple(sorted(set(NAMES.values())))
MISSING: Final = frozenset({"...", ". .", "..", "…", "xxx"})
QUALITY: Final[dict[str, str]] = {"": "reported", "blue": "estimate", "red": "uncertain"}
# In the base year constant and current dollars are the same figure, so a shifted row, column or unit shows.
SAME: Final = 1e-6
# The greatest change of any of these states in a year since 1988 is by 1.7.
LARGEST_STEP: Final = 5.0
# The United States have spent 0.3 to 1.2 million millions since 1949, in any price base.
USA_RANGE: Final = (200_000.0, 3_000_000.0)
# The release comes in the spring that follows its last year.
LAG_YEARS: Final = 1
AGAIN: Final = (
    "take the workbook as SIPRI publishes it; if that is what you have, its layout changed: report it"
)


def recognises(book: Book) -> bool:
    """Whether a sheet is named after constant dollars of a year."""
    return any(SHEET.fullmatch(sheet.name.strip()) for sheet in book.sheets)


def read(book: Book, received: dt.date) -> Found:
    """Rows of `milex_constant` from 1988 on (US$ mn in the workbook's own price base).

    Raises
    ------
    DataError
        Naming sheet and cell of whatever is not as published.
    """
    sheet, base = _one(book, SHEET)
    current, _ = _one(book, CURRENT)
    first, last, edition = _title(book, sheet, base)
    heading, columns = _years(book, sheet, first, last)
    figures = _figures(book, sheet, heading, columns)
    _hold_against(book, sheet, figures, current, int(base))

    published = checked_day(book.source, _published(book, edition), received)
    rows: list[dict[str, Any]] = []
    for state, (row, values) in figures.items():
        for year, value in values.items():
            start, end = period(year)
            colour = sheet.colours.get((row, columns[year]), "")
            rows.append(
                {
                    "series": "milex_constant",
                    "unit": state,
                    "period_start": start,
                    "period_end": end,
                    # The table that the store was compiled from holds four decimals.
                    "value": round(value, 4),
                    "unit_of_measure": "usd_mn",
                    "source": "sipri-milex",
                    "release": str(edition),
                    "published_at": published,
                    "quality": QUALITY[colour],
                    "note": f"constant {base} USD",
                }
            )
    return Found(stored(rows), str(edition), published, tuple(_skipped(book, sheet, heading, columns)))


def _published(book: Book, edition: int) -> dt.date | None:
    if edition in PUBLISHED:
        return dt.date.fromisoformat(PUBLISHED[edition])
    return None


def _one(book: Book, pattern: re.Pattern[str]) -> tuple[Sheet, str]:
    found = [(sheet, match) for sheet in book.sheets if (match := pattern.fullmatch(sheet.name.strip()))]
    if len(found) != 1:
        names = ", ".join(f"'{sheet.name}'" for sheet in book.sheets[:12])
        wanted = "'Constant (YEAR) US$'" if pattern is SHEET else "'Current US$'"
        raise book.source.fault("", f"{len(found)} sheets are named {wanted} (there are {names})", AGAIN)
    sheet, match = found[0]
    return sheet, match.group(1) if match.groups() else ""


def _title(book: Book, sheet: Sheet, base: str) -> tuple[int, int, int]:
    """First and last year of the figures and the edition, from the sheet's title."""
    for row in range(HEADING_ROWS):
        text = sheet.text(row, 0)
        if not (title := TITLE.search(text)):
            continue
        edition = EDITION.search(text)
        if title.group(1) != base:
            what = f"the title says constant ({title.group(1)}), the sheet's name ({base})"
            raise book.fault(sheet, row, 0, what, AGAIN)
        if edition is None or int(edition.group(1)) != int(title.group(3)) + LAG_YEARS:
            what = f"the title says to {title.group(3)} and its copyright is {edition and edition.group(1)}"
            raise book.fault(sheet, row, 0, what, AGAIN)
        assert edition is not None
        return int(title.group(2)), int(title.group(3)), int(edition.group(1))
    raise book.fault(
        sheet, 0, 0, "no title 'in constant (YEAR) US$ m., YEAR-YEAR' with a © SIPRI year", AGAIN
    )


def _years(book: Book, sheet: Sheet, first: int, last: int) -> tuple[int, dict[int, int]]:
    """Row of the heading, and the column of each year: every year of the title, once, in order."""
    headings = [row for row in range(HEADING_ROWS) if sheet.text(row, 0) == "Country"]
    if len(headings) != 1:
        what = f"{len(headings)} rows among the first {HEADING_ROWS} begin with 'Country'"
        raise book.fault(sheet, headings[1] if headings else 0, 0, what, AGAIN)
    row = headings[0]
    columns: dict[int, int] = {}
    for column in range(1, len(sheet.rows[row])):
        year = _year(sheet.at(row, column))
        if year is None:
            continue
        expected = max(columns, default=first - 1) + 1
        if year != expected or (columns and column != columns[year - 1] + 1):
            what = f"the heading is {year} where {expected} should follow without a gap"
            raise book.fault(sheet, row, column, what, AGAIN)
        columns[year] = column
    if not columns or max(columns) != last:
        what = f"the headings end at {max(columns, default='none')} where the title says {last}"
        raise book.fault(sheet, row, len(sheet.rows[row]) - 1, what, AGAIN)
    return row, columns


def _year(value: Value) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{4}", value.strip()):
        return int(value)
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 1900 <= value < 2200
        and not value % 1
    ):
        return int(value)
    return None


Figures = dict[str, tuple[int, dict[int, float]]]


def _figures(book: Book, sheet: Sheet, heading: int, columns: Mapping[int, int]) -> Figures:
    """Row and figures by year of each state; cells that say there is none are left out."""
    found: Figures = {}
    last = max(columns.values())
    for row in range(heading + 1, len(sheet.rows)):
        _whole(book, sheet, row, columns)
        state = NAMES.get(sheet.text(row, 0))
        if state is None:
            continue
        if state in found:
            what = f"{sheet.text(row, 0)} stands there again, after row {found[state][0] + 1}"
            raise book.fault(sheet, row, 0, what, AGAIN)
        extra = next((c for c in range(last + 1, len(sheet.rows[row])) if sheet.at(row, c) is not None), None)
        if extra is not None and sheet.at(heading, extra) is None:
            raise book.fault(
                sheet, row, extra, f"{shown(sheet.at(row, extra))} stands below no heading", AGAIN
            )
        found[state] = (row, _row(book, sheet, row, columns))
    if lacking := [state for state in STATES if state not in found]:
        names = [name for name, state in NAMES.items() if state == lacking[0]]
        what = f"no row is named {' or '.join(repr(name) for name in names)} ({len(lacking)} states lack one)"
        raise book.fault(sheet, heading, 0, what, AGAIN)
    return found


def _whole(book: Book, sheet: Sheet, row: int, columns: Mapping[int, int]) -> None:
    """A state has a cell in every year and a region in none: what is between has slipped from another row."""
    places = [column for year, column in columns.items() if year >= FIRST_YEAR]
    filled = [column for column in places if sheet.at(row, column) is not None]
    if filled and (len(filled) < len(places) / 2 or not sheet.text(row, 0)):
        cell = shown(sheet.at(row, filled[0]))
        what = f"{cell} stands in a row without a state" if not sheet.text(row, 0) else f"{cell} stands alone"
        raise book.fault(sheet, row, filled[0], f"{what}, so the column may have slipped", AGAIN)


def _row(book: Book, sheet: Sheet, row: int, columns: Mapping[int, int]) -> dict[int, float]:
    values: dict[int, float] = {}
    before: float | None = None
    for year, column in columns.items():
        if year < FIRST_YEAR:
            continue
        cell = sheet.at(row, column)
        if isinstance(cell, str) and cell.strip() in MISSING:
            before = None
            continue
        if isinstance(cell, bool) or not isinstance(cell, int | float) or not 0 < cell < USA_RANGE[1]:
            what = f"{shown(cell)} where a figure of {year} in US$ m. or '...' is expected"
            raise book.fault(sheet, row, column, what, AGAIN)
        value = float(cell)
        if before is not None and not 1 / LARGEST_STEP < value / before < LARGEST_STEP:
            what = f"{value:g} in {year} after {before:g} the year before, a change by over {LARGEST_STEP:g}"
            raise book.fault(sheet, row, column, what, AGAIN)
        if (colour := sheet.colours.get((row, column), "")) not in QUALITY:
            what = f"the figure is in an unknown colour ({colour}), neither black, blue nor red"
            raise book.fault(sheet, row, column, what, AGAIN)
        values[year] = before = value
    return values


def _hold_against(book: Book, sheet: Sheet, figures: Figures, current: Sheet, base: int) -> None:
    """Refuse a sheet whose base year differs from current dollars, or whose unit is not millions."""
    heads = [row for row in range(HEADING_ROWS) if current.text(row, 0) == "Country"]
    places = [c for row in heads for c in range(len(current.rows[row])) if _year(current.at(row, c)) == base]
    if len(places) != 1:
        what = f"{len(places)} columns are headed {base}, the base year to compare with"
        raise book.fault(current, heads[0] if heads else 0, 0, what, AGAIN)
    compared = 0
    for row in range(heads[0] + 1, len(current.rows)):
        state = NAMES.get(current.text(row, 0))
        other = current.at(row, places[0])
        own = figures[state][1].get(base) if state else None
        if state is None or (own is None and isinstance(other, str) and other.strip() in MISSING):
            continue
        if own is None or not isinstance(other, int | float) or abs(other / own - 1) > SAME:
            expected = "there is no figure" if own is None else f"the figure is {own:g}"
            what = (
                f"{shown(other)} where in constant dollars of the same year and state {expected} "
                f"(sheet '{sheet.name}', row {figures[state][0] + 1})"
            )
            raise book.fault(current, row, places[0], what, AGAIN)
        compared += 1
    usa_row, usa = figures["USA"]
    low, high = USA_RANGE
    odd = next((year for year, value in usa.items() if not low < value < high), None)
    if odd is not None or compared < len(STATES) - 1:
        what = (
            f"the United States spent {usa[odd]:g} in {odd}, which cannot be US$ m."
            if odd is not None
            else f"only {plural(compared, 'state')} could be compared with current dollars of {base}"
        )
        raise book.fault(sheet, usa_row, 0, what, AGAIN)


def _skipped(book: Book, sheet: Sheet, heading: int, columns: Mapping[int, int]) -> list[str]:
    other = [page.name for page in book.sheets if page is not sheet]
    rest = sum(
        any(isinstance(sheet.at(row, column), int | float) for column in columns.values())
        for row in range(heading + 1, len(sheet.rows))
        if sheet.text(row, 0) not in NAMES
    )
    said = [f"Sheet(s) {', '.join(repr(name) for name in other)}: no series of the catalogue."]
    if rest:
        said.append(f"{plural(rest, 'row')} of other states: no series of the catalogue.")
    if min(columns) < FIRST_YEAR:
        said.append(f"Figures before {FIRST_YEAR} are left out: the series begins then.")
    after = [c for c in range(max(columns.values()) + 1, len(sheet.rows[heading])) if sheet.at(heading, c)]
    said += [f"Column {cell_name(heading, c)} ({shown(sheet.at(heading, c))}) is no year." for c in after]
    return said
