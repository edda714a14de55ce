"""US personnel by host from the quarterly location report of the Defense Manpower Data Center."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, Final

from escalation_forecast.sources._common import period
from escalation_forecast.sources.live._reading import Found, checked_day, plural, stored
from escalation_forecast.sources.live.limits import HEADING_ROWS
from escalation_forecast.sources.live.workbook import Book, Sheet, Value, shown
from escalation_forecast.sources.us_troops import EUROPE, HOSTS, QUARTERLY_FROM

GROUP: Final = "ACTIVE DUTY"
TOTAL: Final = "TOTAL"
BRANCHES: Final = ("ARMY", "NAVY", "MARINE CORPS", "AIR FORCE")
AS_OF: Final = re.compile(r"as of ([a-z]+ \d{1,2},? \d{4})", re.IGNORECASE)
NAMES: Final[dict[str, str]] = {
    "JAPAN": "JPN", "KOREA, REPUBLIC OF": "KOR", "KOREA, SOUTH": "KOR", "SOUTH KOREA": "KOR", "GUAM": "GUM",
    "GERMANY": "DEU", "GERMANY, FEDERAL REPUBLIC OF": "DEU", "ITALY": "ITA", "UNITED KINGDOM": "GBR",
    "SPAIN": "ESP", "BELGIUM": "BEL", "TURKEY": "TUR", "TURKIYE": "TUR", "TÜRKIYE": "TUR",
}  # fmt: skip
START, MIDDLE, END = "UNITED STATES TOTAL", "OVERSEAS", "OVERSEAS TOTAL"
WITHHELD: Final = ("N/A", "NA", "*", "**", "***", "-")
# In eight of fifty-three quarters the printed total differs from its rows, by up to 0.4 per cent.
SLACK: Final = 0.01
LARGEST: Final = 600_000
AGAIN: Final = (
    "take the workbook as DMDC publishes it; if that is what you have, its layout changed: report it"
)


def recognises(book: Book) -> bool:
    """Whether a sheet has a group of columns for active duty and a total of hosts overseas."""
    return any(_group(sheet) is not None and _row_of(sheet, END) is not None for sheet in book.sheets)


def read(book: Book, received: dt.date) -> Found:
    """Rows of `us_troops` (persons) of one quarter; a host that is withheld is left out.

    The total of each host is held against its branches, and that of all against the printed one.

    Raises
    ------
    DataError
        Naming sheet and cell of whatever is not as published.
    """
    sheets = [sheet for sheet in book.sheets if _group(sheet) is not None and _row_of(sheet, END)]
    if len(sheets) != 1:
        book_sheets = f"{len(sheets)} sheets hold hosts and active duty"
        raise book.source.fault("", book_sheets, AGAIN)
    sheet = sheets[0]
    day, branches, total = _as_of(book, sheet), *_columns(book, sheet)
    name, end = _row_of(sheet, END) or (0, 0)
    first = max((row for row in range(end) if sheet.text(row, name).upper() in (START, MIDDLE)), default=-1)
    if first < 0:
        raise book.fault(sheet, end, name, f"no row '{START}' or '{MIDDLE}' comes before", AGAIN)
    found: dict[str, float] = {}
    withheld, summed, others, before = [], 0.0, 0, ""
    for row in range(first + 1, end):
        label = sheet.text(row, name).upper().strip("* ")
        value = _total(book, sheet, row, branches, total)
        summed += value or 0.0
        host = NAMES.get(label)
        if host is None:
            others += bool(label)
            continue
        if host in found or host in withheld or label < before:
            what = f"{label} stands there twice or below {before}, and hosts are in alphabetical order"
            raise book.fault(sheet, row, name, what, AGAIN)
        before = label
        if value is None:
            withheld.append(host)
        else:
            found[host] = value
    if lacking := [host for host in (*HOSTS, *EUROPE) if host not in found and host not in withheld]:
        names = " or ".join(repr(label) for label, host in NAMES.items() if host == lacking[0])
        raise book.fault(sheet, first, name, f"no row below is named {names}", AGAIN)
    printed = _number(sheet.at(end, total))
    if printed is not None and abs(printed - summed) > SLACK * max(printed, 1.0):
        what = f"the hosts add up to {summed:,.0f}, not to {printed:,.0f}"
        raise book.fault(sheet, end, total, what, AGAIN)
    published = checked_day(book.source, None, received)
    checked_day(book.source, day, received)
    rows = _rows(found, day, published)
    said = [f"{plural(others, 'row')} of other hosts: no series of the catalogue."]
    if withheld:
        without = ", so that there is no sum of Europe" if set(withheld) & set(EUROPE) else ""
        said.append(f"No figure of {', '.join(withheld)}: withheld, which is not a zero{without}.")
    return Found(stored(rows), f"as of {day}", published, tuple(said))


def _rows(found: dict[str, float], day: dt.date, published: dt.date) -> list[dict[str, Any]]:
    start, end = period(day.year, quarter=(day.month + 2) // 3)
    figures: dict[str, float] = {host: found[host] for host in HOSTS if host in found}
    if all(host in found for host in EUROPE):
        figures["EUR"] = sum(found[host] for host in EUROPE)
    return [
        {
            "series": "us_troops",
            "unit": unit,
            "period_start": start,
            "period_end": end,
            "value": value,
            "unit_of_measure": "persons",
            "source": "us-dmdc",
            "release": f"dmdc-{day:%Y-%m}",
            "published_at": published,
            "quality": "reported",
            "note": "sum of " + " ".join(EUROPE) if unit == "EUR" else "",
        }
        for unit, value in figures.items()
    ]


def _group(sheet: Sheet) -> tuple[int, int] | None:
    for row in range(min(HEADING_ROWS, len(sheet.rows))):
        for column in range(len(sheet.rows[row])):
            if sheet.text(row, column).upper() == GROUP:
                return row, column
    return None


def _row_of(sheet: Sheet, label: str) -> tuple[int, int] | None:
    """Column and row of a label in the first columns."""
    for row in range(len(sheet.rows)):
        for column in range(min(3, len(sheet.rows[row]))):
            if sheet.text(row, column).upper() == label:
                return column, row
    return None


def _as_of(book: Book, sheet: Sheet) -> dt.date:
    for row in range(min(HEADING_ROWS, len(sheet.rows))):
        for column in range(len(sheet.rows[row])):
            if match := AS_OF.search(sheet.text(row, column)):
                text = match.group(1).replace(",", "")
                for form in ("%B %d %Y", "%b %d %Y"):
                    try:
                        day = dt.datetime.strptime(text, form).date()  # noqa: DTZ007
                    except ValueError:
                        continue
                    if day.month % 3 or day.year < QUARTERLY_FROM:
                        what = f"{day} is not in the last month of a quarter from {QUARTERLY_FROM} on"
                        raise book.fault(sheet, row, column, what, AGAIN)
                    return day
    raise book.fault(sheet, 0, 0, "no cell says 'As of MONTH DAY, YEAR'", AGAIN)


def _columns(book: Book, sheet: Sheet) -> tuple[list[int], int]:
    """Columns of the branches on active duty, and of their total: the first one to the right."""
    row, column = _group(sheet) or (0, 0)
    names: list[tuple[int, str]] = []
    for place in range(column, len(sheet.rows[row + 1]) if row + 1 < len(sheet.rows) else 0):
        if place > column and sheet.at(row, place) is not None:
            break
        names.append((place, sheet.text(row + 1, place).upper().strip("* ")))
    totals = [place for place, name in names if name == TOTAL]
    lacking = [branch for branch in BRANCHES if not any(branch in name for _, name in names)]
    if len(totals) != 1 or lacking or any(not name for place, name in names if place < totals[0]):
        what = f"below '{GROUP}' stand {', '.join(name or 'blank' for _, name in names)[:120]}"
        raise book.fault(sheet, row + 1, column, what, AGAIN)
    return [place for place, _ in names if place < totals[0]], totals[0]


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _total(book: Book, sheet: Sheet, row: int, branches: list[int], total: int) -> float | None:
    """Persons on active duty, None where the report withholds them."""
    cells = [sheet.at(row, column) for column in (*branches, total)]
    for place, value in zip((*branches, total), cells, strict=True):
        withheld = value is None or (isinstance(value, str) and value.strip().upper() in WITHHELD)
        number = _number(value)
        if not withheld and (number is None or not 0 <= number <= LARGEST or number % 1):
            what = f"{shown(value)} where a number of persons is expected"
            raise book.fault(sheet, row, place, what, AGAIN)
    printed, parts = _number(cells[-1]), [_number(value) for value in cells[:-1]]
    if printed is None:
        if cells[-1] is None and any(part is not None for part in parts):
            raise book.fault(sheet, row, total, "the total is blank beside figures of branches", AGAIN)
        return None
    known = [part for part in parts if part is not None]
    if known and sum(known) != printed:
        what = f"{printed:g} is not the sum of the branches, {sum(known):g}"
        raise book.fault(sheet, row, total, what, AGAIN)
    return printed
