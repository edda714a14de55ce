"""The consolidated list of financial sanctions of the European Union, XML or CSV, by first publication."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from escalation_forecast.sources.live import markup
from escalation_forecast.sources.live._lists import Listing, counted
from escalation_forecast.sources.live._reading import Found, checked_day, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.markup import Node, attribute
from escalation_forecast.sources.live.text import day_of, has_heading, table

SENDER: Final = "EUU"
COLUMNS: Final = (
    "fileGenerationDate", "Entity_LogicalId", "Entity_DesignationDate", "Entity_Regulation_PublicationDate",
    "Entity_Regulation_Programme",
)  # fmt: skip
PUBLISHED: Final = "_Regulation_PublicationDate"
SPACE: Final = "http://eu.europa.ec/fpi/fsd/export"
FORMATS: Final = ("%Y-%m-%d", "%d/%m/%Y")
# Programmes begin with the target's code; those about Ukraine are aimed at Russia.
TARGETS: Final[dict[str, str]] = {
    "UKR": "RUS",
    "RUS": "RUS",
    "BLR": "BLR",
    "PRK": "PRK",
    "IRN": "IRN",
    "CHN": "CHN",
}
AGAIN: Final = "download it again from the European Commission"


class Part(NamedTuple):
    """What one row or element says of an entry."""

    where: str
    entry: str
    programme: str
    days: list[str]


def recognises(given: Source | Node) -> bool:
    """Whether it is the export of the list, as XML or as CSV."""
    if isinstance(given, Node):
        return given.name == "export" and SPACE in given.attributes.values()
    return has_heading(given, COLUMNS, ";")


def read(source: Source, received: dt.date) -> Found:
    """Rows of the `sanctions_*` series with the EU as the sender.

    Raises
    ------
    DataError
        Naming line or entry of whatever is not as published.
    """
    return counted([listing(source, received)])


def listing(source: Source, received: dt.date) -> Listing:
    """Names by target and month of listing.

    The regulation printed with an entry may be a later amendment, so the earliest day of publication
    of anything in the entry counts.
    """
    generated, parts = _xml(source) if source.kind == "xml" else _csv(source)
    first: dict[str, dt.date] = {}
    programmes: dict[str, str] = {}
    day: dt.date | None = None
    for part in parts:
        day = day or _generated(source, generated, received)
        programmes.setdefault(part.entry, part.programme)
        for text in filter(None, part.days):
            published = day_of(text[:10], *FORMATS)
            if published is None:
                raise source.fault(part.where, f"'{text[:40]}' is no day", AGAIN)
            first[part.entry] = min(first.get(part.entry, published), published)
    if day is None:
        raise source.fault("", "it holds no entry", AGAIN)
    names: Counter[tuple[str, str]] = Counter()
    others = ahead = 0
    for entry, published in first.items():
        state = TARGETS.get(programmes[entry].strip().upper()[:3])
        if state is None:
            others += 1
        elif published > day:
            ahead += 1
        else:
            names[state, f"{published:%Y-%m}"] += 1
    said = [f"Not counted: {plural(others, 'name')} under programmes about other targets."]
    if undated := len(programmes) - len(first):
        said.append(f"Not counted: {plural(undated, 'name')} without a day.")
    if ahead:
        said.append(f"Not counted: {plural(ahead, 'name')} dated after the list.")
    said.append("Vessels and firms under export controls are not on this list.")
    return Listing(SENDER, day, names, tuple(said))


def _generated(source: Source, dates: list[str], received: dt.date) -> dt.date:
    day = day_of(dates[0][:10], *FORMATS) if dates else None
    if day is None:
        raise source.fault("", f"the list is dated '{dates[0][:40] if dates else ''}'", AGAIN)
    return checked_day(source, day, received)


def _xml(source: Source) -> tuple[list[str], Iterator[Part]]:
    return [attribute(markup.root_of(source), "generationDate")], _elements(source)


def _elements(source: Source) -> Iterator[Part]:
    seen: set[str] = set()
    for node in markup.records(source, "sanctionEntity"):
        entry = attribute(node, "logicalId")
        if not entry or entry in seen:
            what = "the number is blank or stands there twice"
            raise source.fault(f"entry '{entry[:40]}'", what, AGAIN)
        seen.add(entry)
        days = [attribute(node, "designationDate")]
        days += [attribute(part, "publicationDate") for part in _descendants(node)]
        yield Part(f"entry {entry}", entry, attribute(node.find("regulation"), "programme"), days)


def _descendants(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _descendants(child)


def _csv(source: Source) -> tuple[list[str], Iterator[Part]]:
    dates: list[str] = []
    return dates, _rows(source, dates)


def _rows(source: Source, dates: list[str]) -> Iterator[Part]:
    body = table(source, COLUMNS, delimiter=";", ragged=True)
    published = [name for name in body.columns if name.endswith(PUBLISHED)]
    width = len(body.columns)
    for row in body.rows:
        entry = body.cell(row, "Entity_LogicalId")
        if not entry:
            if any(cell.strip() for cell in row.cells):
                raise source.fault(f"line {row.line}", "it has no Entity_LogicalId", AGAIN)
            continue
        where = f"line {row.line}"
        if not entry.isdecimal() or len(row.cells) > width + 1:
            what = f"entry '{entry[:40]}' in {len(row.cells)} cells where the heading has {width}"
            raise source.fault(where, what, AGAIN)
        if not dates:
            dates.append(body.cell(row, "fileGenerationDate"))
        days = [body.cell(row, name) for name in ("Entity_DesignationDate", *published)]
        yield Part(where, entry, body.cell(row, "Entity_Regulation_Programme"), days)
