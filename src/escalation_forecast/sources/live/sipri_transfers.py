"""Arms transfers of SIPRI: the register by year of delivery, and tables of one state's exports or imports."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from escalation_forecast.sources._common import period
from escalation_forecast.sources.arms_transfers import (
    DYADS,
    FIRST_YEAR,
    NONE_FOUND,
    PUBLISHED,
    SUCCESSOR_FROM,
    SUCCESSORS,
    Figure,
)
from escalation_forecast.sources.live._reading import Found, checked_day, plural, stored
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.text import (
    Row,
    Table,
    day_of,
    has_heading,
    head_lines,
    table,
    text_rows,
)

REGISTER: Final = (
    "Supplier", "Recipient", "Numbers delivered", "Delivery year", "TIV deal unit", "TIV delivery values",
)  # fmt: skip
# The register as it was until 2024 gives several years to one sum, which cannot be divided.
OLD_REGISTER: Final = ("Recipient", "Supplier", "Year(s) of delivery", "SIPRI TIV of delivered weapons")
SCOPE: Final = re.compile(r"from (.+?) +to (.+?) *\. Deals with deliveries .*?'(\d{4})' to '(\d{4})'")
VALUES: Final = re.compile(r"TIV of arms (exports|imports) (?:from|to|of|by) (.+?), (\d{4})-(\d{4})")
GENERATED: Final = re.compile(r"(?:Data generated|Generated):\s*(\d{1,2} \w+ \d{4})")
EVERYBODY: Final = "All countries"
ENCODINGS: Final = ("utf-8", "cp1252")
NAMES: Final[dict[str, str]] = {
    "Australia": "AUS", "China": "CHN", "Germany": "DEU", "India": "IND", "Iran": "IRN", "Japan": "JPN",
    "North Korea": "PRK", "Korea, North": "PRK", "South Korea": "KOR", "Korea, South": "KOR",
    "Philippines": "PHL", "Poland": "POL", "Russia": "RUS", "Singapore": "SGP", "Taiwan": "TWN",
    "Ukraine": "UKR", "United Kingdom": "GBR", "United States": "USA", "Viet Nam": "VNM", "Vietnam": "VNM",
}  # fmt: skip
# Units are printed to two decimals; the sum of a delivery is not.
UNIT_ROUNDING: Final = 0.01
LARGEST: Final = 20_000.0
# The release of a year comes in the first half of March.
RELEASE_DAY: Final = (3, 15)
AGAIN: Final = "download it again from SIPRI as CSV"

Held = dict[tuple[str, str, int], Figure]


def recognises(source: Source) -> bool:
    """Whether it is a trade register, or a table of values of one state."""
    if has_heading(source, REGISTER) or has_heading(source, OLD_REGISTER):
        return True
    return any(VALUES.search(line) for line in head_lines(source))


def read(source: Source, received: dt.date) -> Found:
    """Rows of `arms_transfers` (millions of TIV) for the dyads that have a series.

    A dyad that the file covers and does not name has no delivery identified, which is a zero.

    Raises
    ------
    DataError
        Naming line and column of whatever is not as published.
    """
    if has_heading(source, REGISTER):
        held, lines, skipped = _register(source)
    elif has_heading(source, OLD_REGISTER):
        what = "the register gives several years of delivery to one sum, which cannot be divided"
        raise source.fault("heading", what, "download the register by year of delivery")
    else:
        held, lines, skipped = _values(source)
    generated = next((day for line in lines if (day := _generated(line))), None)
    if generated is None:
        raise source.fault("", "no line says when the data were generated", AGAIN)
    release = _release(generated, held)
    published = checked_day(source, _published(release, generated), received)
    late = [key for key in held if key[2] >= release]
    for key in late:
        if held[key].value > 0:
            what = f"a delivery of {key[2]} in data generated on {generated}"
            raise source.fault("", what, AGAIN)
        del held[key]
    rows = [_row(key, figure, release, published) for key, figure in held.items()]
    return Found(stored(rows), f"{release}, generated {generated}", published, tuple(skipped))


def _generated(line: str) -> dt.date | None:
    match = GENERATED.search(line)
    return day_of(match.group(1), "%d %b %Y", "%d %B %Y") if match else None


def _release(generated: dt.date, held: Held) -> int:
    """The release in force on a day; in the first half of March deliveries of the year before tell."""
    year = generated.year
    known = PUBLISHED.get(year)
    if known is not None:
        return year if generated >= dt.date.fromisoformat(known) else year - 1
    if (generated.month, generated.day) > RELEASE_DAY:
        return year
    fresh = any(key[2] == year - 1 and figure.value > 0 for key, figure in held.items())
    return year if generated.month == RELEASE_DAY[0] and fresh else year - 1


def _published(release: int, generated: dt.date) -> dt.date:
    return dt.date.fromisoformat(PUBLISHED[release]) if release in PUBLISHED else generated


def _row(key: tuple[str, str, int], figure: Figure, release: int, published: dt.date) -> dict[str, Any]:
    start, end = period(key[2])
    return {
        "series": "arms_transfers",
        "unit": f"{key[0]}>{key[1]}",
        "period_start": start,
        "period_end": end,
        "value": figure.value,
        "low": figure.low,
        "high": figure.high,
        "unit_of_measure": "tiv_mn",
        "source": "sipri-transfers",
        "release": str(release),
        "published_at": published,
        "quality": "estimate",
        "note": figure.note,
    }


def _register(source: Source) -> tuple[Held, list[str], list[str]]:
    """Sums of deliveries by dyad and year, the lines before the heading, and what was left out."""
    body = table(source, REGISTER, encodings=ENCODINGS)
    scope = next((match for line in body.preamble if (match := SCOPE.search(line))), None)
    if scope is None:
        raise source.fault("", "no line says from whom, to whom and for which years it is", AGAIN)
    suppliers, recipients = scope.group(1).strip(), scope.group(2).strip()
    years = range(int(scope.group(3)), int(scope.group(4)) + 1)
    sums: dict[tuple[str, str, int], float] = defaultdict(float)
    others, seen = 0, set()
    for row in body.rows:
        supplier, recipient = body.cell(row, "Supplier"), body.cell(row, "Recipient")
        year = _year(body, row, years)
        dyad = (NAMES.get(supplier, ""), NAMES.get(recipient, ""))
        if dyad not in DYADS:
            others += 1
            continue
        text = ",".join(row.cells)
        if text in seen and row.cells[0].strip():
            raise source.fault(f"line {row.line}", "the same delivery stands there twice", AGAIN)
        seen.add(text)
        sums[*dyad, year] += _delivery(body, row)
    covered = [
        (s, r)
        for s, r in DYADS
        if suppliers in (EVERYBODY, *_called(s)) and recipients in (EVERYBODY, *_called(r))
    ]
    if not covered:
        raise source.fault("", f"it is from {suppliers} to {recipients}, which no series is about", AGAIN)
    held = {key: Figure(value, "own sum of deal rows") for key, value in sums.items() if _told_apart(key)}
    for dyad in covered:
        for year in years:
            if year >= FIRST_YEAR and _told_apart((*dyad, year)):
                held.setdefault((*dyad, year), NONE_FOUND)
    left = f"{plural(others, 'delivery', 'deliveries')} between other states: no series of the catalogue."
    return held, body.preamble, [left] if others else []


def _called(state: str) -> list[str]:
    return [name for name, code in NAMES.items() if code == state]


def _told_apart(key: tuple[str, str, int]) -> bool:
    return key[2] >= (SUCCESSOR_FROM if set(key[:2]) & SUCCESSORS else FIRST_YEAR)


def _year(body: Table, row: Row, years: range) -> int:
    text = body.cell(row, "Delivery year")
    if not re.fullmatch(r"\d{4}", text) or int(text) not in years:
        what = f"'{text[:40]}' is no year from {years[0] if years else '?'} to {years[-1] if years else '?'}"
        raise body.source.fault(f"line {row.line}, column 'Delivery year'", what, AGAIN)
    return int(text)


def _delivery(body: Table, row: Row) -> float:
    value = body.number(row, "TIV delivery values")
    where = f"line {row.line}, column 'TIV delivery values'"
    if not 0 <= value < LARGEST:
        raise body.source.fault(where, f"{value:g} is no volume from 0 to {LARGEST:g} millions", AGAIN)
    if body.cell(row, "Numbers delivered") and body.cell(row, "TIV deal unit"):
        number, unit = body.number(row, "Numbers delivered"), body.number(row, "TIV deal unit")
        if abs(value - number * unit) > number * UNIT_ROUNDING + UNIT_ROUNDING * abs(value) + UNIT_ROUNDING:
            what = f"{value:g} is not {number:g} deliveries of {unit:g} each"
            raise body.source.fault(where, what, AGAIN)
    return value


def _values(source: Source) -> tuple[Held, list[str], list[str]]:
    """A table of one state: partners below each other, years beside each other, whole numbers."""
    rows = text_rows(source, encodings=ENCODINGS)
    lines: list[str] = []
    for row in rows:
        if len(row.cells) > 3 and not row.cells[0].strip() and re.fullmatch(r"\d{4}", row.cells[1].strip()):
            break
        lines.append(",".join(row.cells).strip().strip('"'))
    else:
        raise source.fault("heading", "no line begins with a blank cell and a year", AGAIN)
    title = next((match for line in lines if (match := VALUES.search(line))), None)
    if title is None:
        raise source.fault(
            "", "no line before the years says 'TIV of arms exports from STATE, YEAR-YEAR'", AGAIN
        )
    years = _heading(source, row, int(title.group(3)), int(title.group(4)))
    own = NAMES.get(title.group(2).strip(), "")
    side = 0 if title.group(1) == "exports" else 1
    pairs = {dyad[1 - side]: dyad for dyad in DYADS if dyad[side] == own}
    if not pairs:
        raise source.fault("", f"no series is about {title.group(1)} of {title.group(2)}", AGAIN)
    held, others = _partners(source, rows, years, pairs)
    left = f"{plural(others, 'row')} of other states: no series of the catalogue."
    return held, lines, [left] if others else []


def _heading(source: Source, row: Row, first: int, last: int) -> dict[int, int]:
    names = [cell.strip() for cell in row.cells]
    found = [int(name) for name in names if re.fullmatch(r"\d{4}", name)]
    if found != list(range(first, last + 1)) or names[len(found) + 1 : len(found) + 2] != ["Total"]:
        what = f"the years are not {first} to {last} and then Total, as the title says"
        raise source.fault(f"line {row.line}", what, AGAIN)
    return {year: place for place, year in enumerate(found, start=1)}


def _partners(
    source: Source, rows: Iterator[Row], years: Mapping[int, int], pairs: Mapping[str, tuple[str, str]]
) -> tuple[Held, int]:
    held: Held = {}
    sums: dict[int, float] = defaultdict(float)
    others = 0
    done: set[str] = set()
    for row in rows:
        name, cells = row.cells[0].strip(), [cell.strip() for cell in row.cells]
        values = {year: _whole(source, row, cells, place) for year, place in years.items()}
        total = _whole(source, row, cells, len(years) + 1) or 0.0
        expected = sums if name == "Total" else None
        spread = (len(done) if expected is not None else len(years)) / 2 + 1
        if expected is not None:
            off = next((y for y, v in values.items() if abs((v or 0.0) - sums[y]) > spread), None)
            if off is not None:
                what = f"{values[off] or 0:g} is not the sum of the column of {off}, {sums[off]:g}"
                raise source.fault(f"line {row.line}, column '{off}'", what, AGAIN)
            return _zeros(held, years, pairs), others
        if abs(sum(v or 0.0 for v in values.values()) - total) > spread:
            raise source.fault(f"line {row.line}", f"the years do not add up to {total:g}", AGAIN)
        if name in done:
            raise source.fault(f"line {row.line}", f"{name} stands there twice", AGAIN)
        done.add(name)
        for year, value in values.items():
            sums[year] += value or 0.0
        dyad = pairs.get(NAMES.get(name, ""))
        others += dyad is None
        for year, value in values.items():
            if dyad is not None and value is not None and _told_apart((*dyad, year)):
                held[*dyad, year] = (
                    Figure(value, "printed in whole numbers")
                    if value > 0
                    else Figure(0.25, "printed 0: some, but under 0.5", 0.0, 0.5)
                )
    raise source.fault("", "the last row is not Total, so the table is cut off", AGAIN)


def _zeros(held: Held, years: Mapping[int, int], pairs: Mapping[str, tuple[str, str]]) -> Held:
    for dyad in pairs.values():
        for year in years:
            if year >= FIRST_YEAR and _told_apart((*dyad, year)):
                held.setdefault((*dyad, year), NONE_FOUND)
    return held


def _whole(source: Source, row: Row, cells: list[str], place: int) -> float | None:
    text = cells[place] if place < len(cells) else ""
    if not text:
        return None
    if not re.fullmatch(r"\d{1,6}", text):
        where = f"line {row.line}, cell {place + 1}"
        raise source.fault(where, f"'{text[:40]}' is no whole number of millions", AGAIN)
    return float(text)
