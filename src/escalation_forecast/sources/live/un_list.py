"""The consolidated list of the UN Security Council by day of listing."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Final

from escalation_forecast.sources.live import markup
from escalation_forecast.sources.live._lists import Listing, counted
from escalation_forecast.sources.live._reading import Found, checked_day, plural
from escalation_forecast.sources.live.files import Source
from escalation_forecast.sources.live.markup import Node, attribute
from escalation_forecast.sources.live.text import day_of

SENDER: Final = "UNO"
TARGETS: Final[dict[str, str]] = {"DPRK": "PRK", "1718": "PRK", "IRAN": "IRN", "1737": "IRN", "2231": "IRN"}
AGAIN: Final = "download it again from the United Nations"


def recognises(outer: Node) -> bool:
    """Whether the outermost element is the list's."""
    return outer.name == "CONSOLIDATED_LIST"


def read(source: Source, received: dt.date) -> Found:
    """Rows of the `sanctions_*` series with the UN as the sender.

    Raises
    ------
    DataError
        Naming the entry that is not as published.
    """
    return counted([listing(source, received)])


def listing(source: Source, received: dt.date) -> Listing:
    """Names by target and month of listing."""
    stated = attribute(markup.root_of(source), "dateGenerated")
    generated = day_of(stated.split("T")[0], "%Y-%m-%d")
    if generated is None:
        raise source.fault("", f"the list is dated '{stated[:40]}'", AGAIN)
    day = checked_day(source, generated, received)
    names: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    others = 0
    for node in markup.records(source, "INDIVIDUAL", "ENTITY"):
        key = node.value("DATAID")
        where = f"entry {key[:40] or 'without DATAID'}"
        text = node.value("LISTED_ON")
        listed = day_of(text[:10], "%Y-%m-%d")
        if not key or key in seen:
            raise source.fault(where, "the number is blank or stands there twice", AGAIN)
        if listed is None or listed > day:
            raise source.fault(where, f"'{text[:40]}' is no day of listing up to {day}", AGAIN)
        seen.add(key)
        state = TARGETS.get(node.value("UN_LIST_TYPE").upper())
        if state is None:
            others += 1
        else:
            names[state, f"{listed:%Y-%m}"] += 1
    if not seen:
        raise source.fault("", "it holds no name", AGAIN)
    said = f"Not counted: {plural(others, 'name')} on lists about other targets."
    return Listing(SENDER, day, names, (said,))
