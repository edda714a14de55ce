"""What a reader hands over, and rows of it in the precision of the store."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from escalation_forecast.schema import NUMBER_COLUMNS
from escalation_forecast.sources._common import observation_frame, text_of
from escalation_forecast.sources.live.files import Source


@dataclasses.dataclass(frozen=True, eq=False)
class Reading:
    """Figures of one file, and what of it was left out.

    Attributes
    ----------
    source : key of `LAYOUTS`.
    observations : figures in the schema of the store, every period that the file has.
    originator : who publishes the file.
    edition : release or range as the file states it.
    published_at : the day stated by the file, else the day it was received.
    skipped : sentences on rows and columns left out, and why.
    checksum : SHA-256 of the file; of two or more, of their checksums in order.
    """

    source: str
    observations: pd.DataFrame
    originator: str
    edition: str
    published_at: dt.date
    skipped: tuple[str, ...]
    checksum: str


@dataclasses.dataclass(frozen=True)
class Found:
    """What a reader makes of a file; `read` adds the rest."""

    rows: pd.DataFrame
    edition: str
    published_at: dt.date
    skipped: tuple[str, ...]


def stored(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Observations with six significant digits, as the store writes them, so that equal figures are equal."""
    frame = observation_frame(rows)
    for name in NUMBER_COLUMNS:
        known = frame[name].notna()
        frame.loc[known, name] = frame.loc[known, name].map(lambda value: float(text_of(value)))
    return frame


def checked_day(source: Source, stated: dt.date | None, received: dt.date) -> dt.date:
    """The day that the file states, or `received`.

    Raises
    ------
    DataError
        When the file says it was made after it was received.
    """
    if stated is not None and stated > received:
        raise source.fault(
            "", f"it is dated {stated}, after the {received} on which it was received",
            "correct the day of receipt",
        )  # fmt: skip
    return stated or received


def plural(number: int, one: str, many: str = "") -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
