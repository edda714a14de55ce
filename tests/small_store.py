"""A part of the embedded data, where its whole would only take time."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import pandas as pd

from escalation_forecast.store import Store


def part_of(store: Store, figures: Collection[tuple[str, str]], indicators: Collection[str]) -> Store:
    """Only the figures of some series and units, spending of Japan, and some indicators."""
    pairs = pd.MultiIndex.from_frame(store.observations[["series", "unit"]])
    keep = pairs.isin([*figures, ("milex_constant", "JPN")])
    return dataclasses.replace(
        store,
        observations=store.observations[keep].reset_index(drop=True),
        where=store.where[keep].reset_index(drop=True),
        indicators=store.indicators[store.indicators["indicator"].isin(indicators)].reset_index(drop=True),
    )
