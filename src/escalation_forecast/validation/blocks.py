"""Take a block's observations away from the model, or permute them in time.

Both work on the long-form arrays of a panel and leave every other block as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.panel import Panel

Data = dict[str, np.ndarray]


@dataclass(frozen=True)
class Block:
    """Part of the observations: whole arrays, or the rows of some items of one array family.

    Attributes
    ----------
    arrays : first part of the names of its arrays.
    family : of the readings, the family; of the others all rows.
    items : only items whose name starts with this.
    """

    arrays: str
    family: str = ""
    items: str = ""

    def positions(self, panel: Panel) -> np.ndarray:
        """Numbers of the items that belong to it."""
        if not (self.family or self.items):
            return np.unique(panel.data[f"{self.arrays}_{'stock' if self.arrays == 'stock' else 'item'}"])
        items = panel.items[self.arrays]
        mine = np.ones(len(items), bool)
        if self.family:
            mine &= (items["family"] == self.family).to_numpy()
        if self.items:
            mine &= items.index.str.startswith(self.items)
        return np.flatnonzero(mine)


BLOCKS: Final[dict[str, tuple[Block, ...]]] = {
    "news": (Block("reading", "news"),),
    "voting distance": (Block("reading", "annual"),),
    "transfers, volume": (Block("reading", "transfer"),),
    "transfers, any": (Block("hurdle"),),
    "US forces": (Block("reading", "troops"),),
    "counts": (Block("count"),),
    "sanctions, senders": (Block("share"),),
    "ladder": (Block("ordinal"),),
    "reported stocks": (Block("stock"),),
}
GROUPS: Final[dict[str, tuple[Block, ...]]] = {
    "all troop presence": (*BLOCKS["US forces"], *BLOCKS["reported stocks"]),
    "all sanctions": (*BLOCKS["sanctions, senders"], Block("count", items="designations")),
    "all transfers": (*BLOCKS["transfers, volume"], *BLOCKS["transfers, any"]),
}


def drop(panel: Panel, blocks: Iterable[Block]) -> Data:
    """The panel's arrays without the rows of the blocks; arrays may end up empty."""
    data = dict(panel.data)
    for block in blocks:
        gone = block.positions(panel)
        if block.arrays == "count":
            keep = ~np.isin(data["count_item"], gone)
            kept = {n: v[keep] for n, v in data.items() if _rows(n) == "count"}
            data |= kept | _unique_counts(kept["count_item"], kept["count_y"], data)
            continue
        for part in {_rows(name) for name in data if name.partition("_")[0] == block.arrays}:
            names = [name for name in data if _rows(name) == part]
            label = next(n for n in names if n.removeprefix(f"{part}_") in ("item", "stock"))
            keep = ~np.isin(data[label], gone)
            data |= {name: data[name][keep] for name in names}
    return data


def permute(panel: Panel, blocks: Iterable[Block], seed: int) -> Data:
    """The panel's arrays with the figures of each item of the blocks in random order of time."""
    rng = np.random.default_rng(seed)
    data = dict(panel.data)
    for block in blocks:
        data |= _PERMUTE[block.arrays](data, block.positions(panel), rng)
    return data


def _rows(name: str) -> str:
    """What counts the rows of an array: its block, or within it ``unique`` and ``total``."""
    block, _, column = name.partition("_")
    part = column.partition("_")[0]
    return f"{block}_{part}" if part in ("unique", "total") else block


def _unique_counts(item: np.ndarray, y: np.ndarray, like: Mapping[str, np.ndarray]) -> Data:
    pairs = pd.DataFrame({"item": item, "y": y}).groupby(["item", "y"]).size().reset_index(name="weight")
    return {
        f"count_unique_{name}": pairs[name].to_numpy().astype(like[f"count_unique_{name}"].dtype)
        for name in ("item", "y", "weight")
    }


def _order(item: np.ndarray, positions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, shuffled within each of the items and as they are elsewhere."""
    order = np.arange(len(item))
    for position in positions:
        rows = np.flatnonzero(item == position)
        order[rows] = rng.permutation(rows)
    return order


def _readings(data: Data, positions: np.ndarray, rng: np.random.Generator) -> Data:
    y = data["reading_y"][_order(data["reading_item"], positions, rng)]
    linked = data["reading_has_previous"] > 0
    mine = np.isin(data["reading_item"], positions)
    before = np.where(linked, np.roll(y, 1), 0.0)
    return {"reading_y": y, "reading_y_previous": np.where(mine, before, data["reading_y_previous"])}


def _counts(data: Data, positions: np.ndarray, rng: np.random.Generator) -> Data:
    # A count moves with its exposure.
    order = _order(data["count_item"], positions, rng)
    y, exposure = data["count_y"][order], data["count_log_exposure"][order]
    linked = data["count_has_previous"] > 0
    mine = np.isin(data["count_item"], positions)
    before = np.where(linked, np.roll(np.log(y + 0.5) - exposure, 1), 0.0)
    return {
        "count_y": y,
        "count_log_exposure": exposure,
        "count_log_rate_previous": np.where(mine, before, data["count_log_rate_previous"]),
    }


def _shares(data: Data, positions: np.ndarray, rng: np.random.Generator) -> Data:
    # The rows of a month, one per sender, move together.
    index = data["share_index"].copy()
    for position in positions:
        rows = np.flatnonzero(data["share_item"] == position)
        months, month = np.unique(index[rows], return_inverse=True)
        index[rows] = rng.permutation(months)[month]
    return {"share_index": index}


def _column(label: str, *columns: str) -> Callable[[Data, np.ndarray, np.random.Generator], Data]:
    def permuted(data: Data, positions: np.ndarray, rng: np.random.Generator) -> Data:
        order = _order(data[label], positions, rng)
        return {name: data[name][order] for name in columns}

    return permuted


_PERMUTE: Final[dict[str, Callable[[Data, np.ndarray, np.random.Generator], Data]]] = {
    "reading": _readings,
    "count": _counts,
    "share": _shares,
    "ordinal": _column("ordinal_item", "ordinal_level"),
    "hurdle": _column("hurdle_item", "hurdle_z"),
    "stock": _column("stock_stock", "stock_month"),
}
