"""The panel as plain tables: what someone who writes the model again would start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from escalation_forecast.model import READING_DF, SHORT_MEMORY, SPILLOVERS
from escalation_forecast.panel import Panel
from escalation_forecast.schema import THEATRES

MONTHS = 12
CENTRED_MONTHS = 300


@dataclass(frozen=True)
class Rows:
    """Arrays that every reference reads, beside ``panel.data``.

    Attributes
    ----------
    sign, df : of a reading's item.
    memory : upper bound of the persistence of an item's own error.
    anchor_first : position of a news item in the list of anchors and then of the others.
    count_group, count_log_mean : of a count's item.
    share_item, share_index, share_k, share_n : one row per month with senders, k of n act.
    links : (target, source) of the named links.
    level_weights : (knot, month) linear interpolation of the slow level.
    before : (year, 3) positions of the three years before.
    """

    sign: np.ndarray
    df: np.ndarray
    n_family: dict[str, int]
    memory: float
    anchor_first: np.ndarray
    count_group: np.ndarray
    count_log_mean: np.ndarray
    share_item: np.ndarray
    share_index: np.ndarray
    share_k: np.ndarray
    share_n: np.ndarray
    links: tuple[tuple[int, int], ...]
    level_weights: np.ndarray
    before: np.ndarray


def rows_of(panel: Panel) -> Rows:
    """The tables of a panel."""
    items, counts = panel.items["reading"], panel.items["count"]
    anchor = items.loc[items["family"] == "news", "anchor"].to_numpy(bool)
    shares = _shares(panel.data)
    years = len(panel.years)
    return Rows(
        sign=items["sign"].to_numpy(float),
        df=items["family"].map(READING_DF).to_numpy(float),
        n_family={family: int((items["family"] == family).sum()) for family in READING_DF},
        memory=SHORT_MEMORY,
        anchor_first=np.argsort(np.concatenate([np.flatnonzero(anchor), np.flatnonzero(~anchor)])),
        count_group=counts["group_index"].to_numpy(int),
        count_log_mean=counts["log_mean"].to_numpy(float),
        share_item=shares["item"].to_numpy(np.int32),
        share_index=shares["index"].to_numpy(np.int32),
        share_k=shares["k"].to_numpy(np.int64),
        share_n=shares["n"].to_numpy(np.int64),
        links=tuple((THEATRES.index(target), THEATRES.index(source)) for target, source in SPILLOVERS),
        level_weights=_interpolation(years),
        before=np.maximum(np.arange(years)[:, None] - [1, 2, 3], 0),
    )


def _shares(data: dict[str, np.ndarray]) -> pd.DataFrame:
    """Back from factors of rising factorials to k of n."""
    table = pd.DataFrame({name: data[f"share_{name}"] for name in ("item", "index", "sign")})
    table["k"] = (table["sign"] > 0).astype(int)
    groups = table.groupby(["item", "index"])["k"]
    return groups.agg(k="sum", n="size").reset_index()


def _interpolation(years: int) -> np.ndarray:
    months = np.arange(years * MONTHS)
    year, part = months // MONTHS, months % MONTHS / MONTHS
    weights = np.zeros((years + 1, len(months)))
    weights[year, months] = 1.0 - part
    weights[year + 1, months] = part
    return weights


def spending_tables(panel: Panel) -> dict[str, Any]:
    """Arrays of the spending block and which steps of growth are seen from one print to the next."""
    data: dict[str, Any] = dict(panel.spending.arrays())
    printed = data["printed"]
    seen = (printed[:, 1:] * printed[:, :-1]).astype(bool)
    data["step_state"], data["step_year"] = np.nonzero(seen)
    first = int(panel.spending.years[0] - panel.years[0])
    data["first_year"], data["later_years"] = first, int(panel.spending.years[-1] - panel.years[-1])
    data["weight"] = printed / np.maximum(printed.sum(axis=1, keepdims=True), 1.0)
    data["n_printed"] = int(data["n_printed"])
    return data
