"""The SDN list of OFAC: the advanced XML by day of listing, and SDN.CSV by the difference of two copies."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from typing import Final

from escalation_forecast.schema import empty_observations
from escalation_forecast.sources.live import markup
from escalation_forecast.sources.live._lists import Listing, counted
from escalation_forecast.sources.live._reading import Found, checked_day, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.markup import Node, attribute
from escalation_forecast.sources.live.text import head_lines, text_rows

SENDER: Final = "USA"
# Programmes by target, as the store's own counts assign them.
PROGRAMMES: Final[dict[str, str]] = {
    "PRK": r"DPRK",
    "RUS": r"UKRAINE|RUSSIA|CAATSA ?- ?RUSSIA|MAGNIT|ELECTION-EO13848|PEESA",
    "IRN": r"IRAN|IFSR|IRGC|IFCA|HRIT-IR",
    "BLR": r"BELARUS",
    "CHN": r"HK-EO13936",
}
# Under the programme on weapons of mass destruction the remarks say whom it is about.
WEAPONS: Final = "NPWMD"
NORTH_KOREA: Final = re.compile(r"north korea|\bdprk\b", re.IGNORECASE)
CELLS: Final = 12
NOTHING: Final = "-0-"
# Copies are compared over one month, which they enclose by no more than so many days.
EDGE_DAYS: Final = 3
AGAIN: Final = "download it again from OFAC"

Entries = dict[str, tuple[str, ...]]


def recognises(given: Source | Node) -> bool:
    """Whether it is the advanced list, or rows of twelve cells that begin with a number."""
    if isinstance(given, Node):
        return given.name == "Sanctions"
    lines = [line for line in head_lines(given) if line][:3]
    return bool(lines) and all(re.match(r'"?\d+"?,', line) and NOTHING in line for line in lines)


def read(source: Source, received: dt.date) -> Found:
    """Rows of the `sanctions_*` series from the advanced XML; SDN.CSV alone prints no dates.

    Raises
    ------
    DataError
        Naming line or entry of whatever is not as published.
    """
    if source.kind == "text":
        entries = copy_of(source)
        said = (
            f"{plural(len(entries), 'entry', 'entries')} without dates: SDN.CSV does not say when a name was "
            "listed; compare two copies, or give the advanced XML.",
        )
        return Found(empty_observations(), f"received {received}", received, said)
    return counted([listing(source, received)])


def targets(programmes: str, remarks: str = "") -> tuple[str, ...]:
    """States that the programmes of an entry are about."""
    found = [
        state for state, codes in PROGRAMMES.items() if re.search(rf"(?:^|[\[\] ])(?:{codes})", programmes)
    ]
    if WEAPONS in programmes and "PRK" not in found and NORTH_KOREA.search(remarks):
        found.append("PRK")
    return tuple(found)


def listing(source: Source, received: dt.date) -> Listing:
    """Names of the advanced list by target and month of their first entry."""
    names: Counter[tuple[str, str]] = Counter()
    day: dt.date | None = None
    undated = others = entries = 0
    seen: set[str] = set()
    for node in markup.records(source, "DateOfIssue", "SanctionsEntry"):
        if node.name == "DateOfIssue":
            day = _date(node)
            continue
        entries += 1
        key = attribute(node, "ProfileID")
        if not key or key in seen:
            raise source.fault(
                f"entry {attribute(node, 'ID')}", f"the profile '{key}' is blank or twice", AGAIN
            )
        seen.add(key)
        codes = " ".join(comment.text.strip() for comment in node.all("Comment"))
        dates = [found for event in node.all("EntryEvent") if (found := _date(event.find("Date")))]
        if not dates:
            undated += 1
            continue
        if day is not None and min(dates) > day:
            what = f"it was listed on {min(dates)}, after the list's own {day}"
            raise source.fault(f"entry {attribute(node, 'ID')}", what, AGAIN)
        others += not (states := targets(codes))
        for state in states:
            names[state, f"{min(dates):%Y-%m}"] += 1
    if day is None or not entries:
        raise source.fault("", "it has no date of issue or no entry", AGAIN)
    checked_day(source, day, received)
    said = [f"Not counted: {plural(others, 'entry', 'entries')} under programmes about other targets."]
    if undated:
        said.append(f"Not counted: {plural(undated, 'entry', 'entries')} without a date.")
    return Listing(SENDER, day, names, tuple(said))


def _date(node: Node | None) -> dt.date | None:
    try:
        parts = [int(node.value(name)) for name in ("Year", "Month", "Day")] if node else []
        return dt.date(*parts) if parts else None
    except (ValueError, OverflowError):
        return None


def copy_of(source: Source) -> Entries:
    """Targets of each entry of SDN.CSV by its number.

    Raises
    ------
    DataError
        Naming the line that has not twelve cells, or repeats a number.
    """
    entries: Entries = {}
    for row in text_rows(source, encodings=("utf-8", "cp1252")):
        cells = [cell.strip() for cell in row.cells]
        # The file ends with the sign that ended files on a computer of 1980.
        if cells == ["\x1a"]:
            continue
        if len(cells) != CELLS or not cells[0].isdecimal():
            what = f"{plural(len(cells), 'cell')} where {CELLS} are expected, of which the first is a number"
            raise source.fault(f"line {row.line}", what, AGAIN)
        if cells[0] in entries:
            raise source.fault(f"line {row.line}", f"entry {cells[0]} stands there twice", AGAIN)
        entries[cells[0]] = targets(cells[3], f"{cells[1]} {cells[11]}")
    return entries


def difference(old: Source, new: Source, days: tuple[dt.date, dt.date]) -> Found:
    """Names that the newer copy of SDN.CSV has and the older lacks, for the month between them.

    Raises
    ------
    DataError
        When the copies do not enclose one month closely.
    """
    start, end = days
    middle = start + (end - start) / 2
    first = middle.replace(day=1)
    last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    edges = (first - start).days, (end - last).days
    if not all(0 <= edge <= EDGE_DAYS for edge in edges):
        what = (
            f"the copies are of {start} and {end}, and SDN.CSV does not say on which day between a name came"
        )
        raise new.fault("", what, "compare copies of just before a month and just after it")
    before, after = copy_of(old), copy_of(new)
    added = [entry for entry in after if entry not in before]
    names = Counter((state, f"{first:%Y-%m}") for entry in added for state in after[entry])
    gone = sum(entry not in after for entry in before)
    said = (
        f"{plural(len(added), 'entry', 'entries')} added and {gone:,} removed between the copies; "
        "additions are counted by programme.",
    )
    return counted([Listing(SENDER, end, names, said, first=f"{first:%Y-%m}")])
