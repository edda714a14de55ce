"""Files as their originators publish them, read as they are: recognised by content, refused when in doubt.

``read(file, received=day)`` gives the figures of one file that correspond to series of the catalogue.
Nothing is evaluated, followed or executed, and a file that does not hold together is refused with the
place where it does not.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import importlib
from pathlib import Path
from typing import Any, Final

from escalation_forecast.schema import DataError
from escalation_forecast.sources.live import markup
from escalation_forecast.sources.live._reading import Found, Reading
from escalation_forecast.sources.live.files import Source, checksum, open_source
from escalation_forecast.sources.live.workbook import Book, open_book

__all__ = ["LAYOUTS", "Layout", "Reading", "detect", "read"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """A file that is understood: who publishes it, where to get it, and on what terms.

    `reader` is the module of `sources.live`; `kinds` are the ways in which the file comes.
    """

    id: str
    title: str
    originator: str
    url: str
    kinds: tuple[str, ...]
    terms: str
    reader: str


LAYOUTS: Final[dict[str, Layout]] = {
    layout.id: layout
    for layout in (
        Layout(
            "sipri-milex", "Military Expenditure Database: the workbook of all countries", "SIPRI",
            "https://www.sipri.org/databases/milex", ("xlsx",),
            "Non-commercial, under 10 per cent of the data set, SIPRI named", "sipri_milex",
        ),
        Layout(
            "gpr", "Geopolitical Risk index: monthly export, world and countries", "Caldara and Iacoviello",
            "https://www.matteoiacoviello.com/gpr.htm", ("xls", "xlsx"), "Free with citation", "gpr",
        ),
    )
}  # fmt: skip


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
    return Reading(
        source=layout.id,
        observations=found.rows,
        originator=layout.originator,
        edition=found.edition,
        published_at=found.published_at,
        skipped=found.skipped,
        checksum=checksum(opened.source.path),
    )


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
        titles = "; ".join(f"{layout.title} ({layout.originator})" for layout in candidates)
        raise source.fault(
            "", f"it is none of the {source.kind} files that are understood", f"these are: {titles or 'none'}"
        )
    return fits[0]


def _module(layout: Layout) -> Any:
    return importlib.import_module(f"{__name__}.{layout.reader}")
