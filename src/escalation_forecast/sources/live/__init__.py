"""Files as their originators publish them, read as they are: recognised by content, refused when in doubt.

``read(file, received=day)`` gives the figures of one file that correspond to series of the catalogue.
Nothing is evaluated, followed or executed, and a file that does not hold together is refused with the
place where it does not.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import markup
from escalation_forecast.sources.live._layouts import LAYOUTS, Layout
from escalation_forecast.sources.live._lists import Listing, counted
from escalation_forecast.sources.live._reading import Found, Reading
from escalation_forecast.sources.live.files import Source, checksum, open_source
from escalation_forecast.sources.live.workbook import Book, open_book

__all__ = ["LAYOUTS", "LISTS", "Layout", "Reading", "detect", "read", "read_lists", "read_pair"]


# Layouts whose files print when each name was listed.
LISTS: Final = ("us-ofac", "un-list", "eu-list", "uk-list")


def read(file: Path, source: str | None = None, *, received: dt.date) -> Reading:
    """The figures of a file that correspond to series of the catalogue.

    Parameters
    ----------
    file : as downloaded.
    source : key of `LAYOUTS` when the file must be of that layout; recognised by content by default.
    received : the day it was downloaded; the day of publication of files that state none.

    Raises
    ------
    DataError
        The file is not understood or does not hold together; the message names the sheet and cell, or
        the line, what was expected there, and what to do.
    """
    if source is not None and source not in LAYOUTS:
        near = difflib.get_close_matches(source, LAYOUTS, n=1)
        hint = f" (did you mean `{near[0]}`?)" if near else ""
        raise DataError(f"Unknown source `{source}`{hint}; use one of {', '.join(LAYOUTS)}.")
    opened = _open(Path(file))
    layout = _recognise(opened)
    if source is not None and layout.id != source:
        raise opened.source.fault(
            "", f"it is a file of `{layout.id}`, not of `{source}`", "give the other file"
        )
    found: Found = _module(layout).read(opened.book or opened.source, received)
    return _reading(layout.id, layout.originator, found, [opened.source])


def read_lists(files: Sequence[Path], *, received: dt.date) -> Reading:
    """The `sanctions_*` series from several lists at once, one of each sender.

    A month counts the senders whose list covers it; one list alone is one sender covered.

    Raises
    ------
    DataError
        As `read`; a file that is no dated list of sanctions, or two of one sender.
    """
    listings: list[Listing] = []
    used: list[Source] = []
    for file in files:
        opened = _open(Path(file))
        layout = _recognise(opened)
        if layout.id not in LISTS or (layout.id == "us-ofac" and opened.source.kind == "text"):
            raise opened.source.fault(
                "", f"it is a file of `{layout.id}`, no list of sanctions with dates", "leave it out"
            )
        listing: Listing = _module(layout).listing(opened.source, received)
        if listing.sender in {other.sender for other in listings}:
            raise opened.source.fault("", f"it is a second list of {listing.sender}", "give the newest only")
        listings.append(listing)
        used.append(opened.source)
    if not listings:
        raise DataError("No list of sanctions is given; give one file or more.")
    return _reading("sanctions-lists", "the senders of the lists", counted(listings), used)


def read_pair(old: Path, new: Path, *, received: tuple[dt.date, dt.date]) -> Reading:
    """The `sanctions_*` series of one month from two copies of SDN.CSV, which prints no dates.

    Parameters
    ----------
    old, new : copies of just before the month (or its first day) and just after it (or its last day).
    received : the days on which they were downloaded.

    Raises
    ------
    DataError
        As `read`; a copy that is not SDN.CSV, or copies that do not enclose one month.
    """
    sources = []
    for file in (old, new):
        opened = _open(Path(file))
        layout = _recognise(opened)
        if layout.id != "us-ofac" or opened.source.kind != "text":
            what = f"it is of `{layout.id}` ({opened.source.kind}); only copies of SDN.CSV are compared"
            raise opened.source.fault("", what, "read it on its own")
        sources.append(opened.source)
    found: Found = _module(LAYOUTS["us-ofac"]).difference(sources[0], sources[1], received)
    return _reading("us-ofac", LAYOUTS["us-ofac"].originator, found, sources)


def _reading(source: str, originator: str, found: Found, files: Sequence[Source]) -> Reading:
    sums = [checksum(file.path) for file in files]
    joined = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
    return Reading(source, found.rows, originator, found.edition, found.published_at, found.skipped, joined)


def detect(file: Path) -> str:
    """Key of `LAYOUTS` of a file, by its content.

    Raises
    ------
    DataError
        When no layout fits, with those that could have.
    """
    return _recognise(_open(Path(file))).id


@dataclasses.dataclass(frozen=True)
class _Opened:
    source: Source
    book: Book | None


def _open(path: Path) -> _Opened:
    source = open_source(path)
    return _Opened(source, open_book(source) if source.kind in ("xlsx", "xls") else None)


def _recognise(opened: _Opened) -> Layout:
    source = opened.source
    candidates = [layout for layout in LAYOUTS.values() if source.kind in layout.kinds]
    if source.kind == "xml":
        outer = markup.root_of(source)
        fits = [one for one in candidates if _module(one).recognises(outer)]
    else:
        fits = [one for one in candidates if _module(one).recognises(opened.book or source)]
    if len(fits) != 1:
        names = ", ".join(layout.id for layout in candidates)
        raise source.fault(
            "", f"it is none of the {source.kind} files that are understood", f"these are {names or 'none'}"
        )
    return fits[0]


def _module(layout: Layout) -> Any:
    return importlib.import_module(f"{__name__}.{layout.reader}")
