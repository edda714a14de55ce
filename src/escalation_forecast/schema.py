"""Names and types that every other module speaks in.

A figure is identified by ``FIGURE_KEY``; a later ``release`` of the same figure is a
revision, never an overwrite.
"""

from __future__ import annotations

from typing import Final, Literal

import pandas as pd

THEATRES: Final[tuple[str, ...]] = (
    "korea",
    "taiwan",
    "east_china_sea",
    "south_china_sea",
    "ukraine_nato",
)
GLOBAL: Final = "global"

THEATRE_LABELS: Final[dict[str, str]] = {
    "korea": "Korean Peninsula",
    "taiwan": "Taiwan Strait",
    "east_china_sea": "East China Sea",
    "south_china_sea": "South China Sea",
    "ukraine_nato": "Ukraine-NATO",
    "global": "Global factor",
}

STATES: Final[tuple[str, ...]] = (
    "CHN", "JPN", "KOR", "TWN", "PHL", "VNM", "IDN", "MYS", "SGP", "THA", "AUS", "IND", "RUS", "USA",
)  # fmt: skip
CORE_FOUR: Final[tuple[str, ...]] = ("CHN", "JPN", "KOR", "TWN")

Family = Literal["news", "count", "share", "ordinal", "annual", "transfer", "troops"]
FAMILIES: Final[tuple[str, ...]] = ("news", "count", "share", "ordinal", "annual", "transfer", "troops")

OBSERVATION_COLUMNS: Final[tuple[str, ...]] = (
    "series",
    "unit",
    "period_start",
    "period_end",
    "value",
    "low",
    "high",
    "unit_of_measure",
    "source",
    "release",
    "published_at",
    "quality",
    "note",
)
DATE_COLUMNS: Final[tuple[str, ...]] = ("period_start", "period_end", "published_at")
NUMBER_COLUMNS: Final[tuple[str, ...]] = ("value", "low", "high")
FIGURE_KEY: Final[tuple[str, ...]] = ("series", "unit", "period_start", "period_end", "source")

QUALITIES: Final[tuple[str, ...]] = (
    "reported",  # printed by the body that counts
    "estimate",  # the originator's own estimate
    "uncertain",  # flagged highly uncertain by the originator
    "claimed",  # said by one party only
    "coded",  # coded by hand from a code book
    "modelled",  # output of somebody's model
    "recalled",  # background knowledge without a page
    "pseudo_vintage",  # published_at is a typical lag, not the true date
)

INDICATOR_COLUMNS: Final[tuple[str, ...]] = (
    "indicator",
    "family",
    "series",
    "units",
    "theatre",
    "exposure_series",
    "options",
    "start",
    "end",
    "note",
)


class DataError(ValueError):
    """A table or a configuration file is wrong; the message says where and what to do."""


def empty_observations() -> pd.DataFrame:
    """An observation table without rows, with the dtypes of the store."""
    frame = pd.DataFrame({name: pd.Series(dtype="str") for name in OBSERVATION_COLUMNS})
    for name in DATE_COLUMNS:
        frame[name] = pd.Series(dtype="datetime64[us]")
    for name in NUMBER_COLUMNS:
        frame[name] = pd.Series(dtype="float64")
    return frame


def as_observations(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame with the columns and dtypes of the store; blank text is empty."""
    out = frame[list(OBSERVATION_COLUMNS)].copy()
    for name in OBSERVATION_COLUMNS:
        if name in DATE_COLUMNS:
            out[name] = pd.to_datetime(out[name]).astype("datetime64[us]")
        elif name in NUMBER_COLUMNS:
            out[name] = pd.to_numeric(out[name]).astype("float64")
        else:
            out[name] = out[name].fillna("").astype("str")
    return out
