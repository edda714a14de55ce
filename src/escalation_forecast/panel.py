"""The panel known at ``as_of``, as the arrays that the model takes.

Everything is long form on one fixed month grid: a row exists only where a figure exists, so no
array that the model observes has a missing value, and another ``as_of`` changes the rows and not
the program. Scales come from the as-of figures alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from escalation_forecast.indicator_rows import (
    BLOCK_OF,
    BUILDERS,
    GRID_START,
    Columns,
    Grid,
    hurdle_rows,
    indicator_figures,
)
from escalation_forecast.spending_panel import SpendingPanel, build_spending
from escalation_forecast.store import Store

GRID_END_YEAR = 2026
_NO_HISTORY = pd.DataFrame(
    {
        "indicator": pd.Series(dtype="str"),
        "month": pd.Series(dtype="datetime64[us]"),
        "value": pd.Series(dtype=float),
    }
)
STOCKS: tuple[str, ...] = ("dprk_troops_in_russia", "dprk_containers")
FIRST_DEPLOYMENT = pd.Timestamp("2024-10-01")
REAR_SHARE = 1.35  # upper bound of the whole force against what is counted at the front
STOCK_START = pd.Timestamp("2023-07-01")


@dataclass(frozen=True)
class Panel:
    """What the model sees.

    Attributes
    ----------
    as_of : pandas.Timestamp
    months : pandas.DatetimeIndex
        First days of the months of the grid, January 1990 to a December.
    years : numpy.ndarray
        Calendar years of the grid.
    items : dict of str to pandas.DataFrame
        Indicators by block (``reading, count, share, ordinal, transfer``), indexed by name, with
        theatre, transform and scale.
    data : dict of str to numpy.ndarray
        Long-form arrays, named ``<block>_<column>``.
    spending : SpendingPanel
    history : pandas.DataFrame
        The figures of the monthly indicators in their own units: indicator, month, value.
    troop_levels, transfers : pandas.DataFrame
        The same for headcounts and arms deliveries.
    exposures : dict of str to pandas.Series
        Exposure by month, by indicator.
    last_period : dict of str to pandas.Timestamp
        Last period with a figure, by indicator.
    """

    as_of: pd.Timestamp
    months: pd.DatetimeIndex
    years: np.ndarray
    items: dict[str, pd.DataFrame]
    data: dict[str, np.ndarray]
    spending: SpendingPanel
    history: pd.DataFrame
    troop_levels: pd.DataFrame
    transfers: pd.DataFrame
    exposures: dict[str, pd.Series[float]]
    last_period: dict[str, pd.Timestamp]
    n_observations: int
    content_hash: str
    stock_months: pd.DatetimeIndex
    bodies: list[str]

    @property
    def now(self) -> int:
        """Position of the month of ``as_of`` on the grid."""
        return int(self.months.searchsorted(self.as_of.to_period("M").to_timestamp()))


def build_panel(
    store: Store, as_of: pd.Timestamp, spending: SpendingPanel | None = None, *, until: int | None = None
) -> Panel:
    """Cut the store at ``as_of`` and lay it out for the model.

    Parameters
    ----------
    store : Store
    as_of : pandas.Timestamp
        Last publication date that may be known.
    spending : SpendingPanel, optional
        In the place of the store's own.
    until : int, optional
        Last year of the grid, where it has to hold months after that of ``as_of``.

    Raises
    ------
    DataError
        If nothing had been published by then.
    """
    known = store.as_of(as_of)
    last_year = max(GRID_END_YEAR, as_of.year, until or 0)
    months = pd.date_range(GRID_START, f"{last_year}-12-01", freq="MS")
    grid = Grid(months, np.arange(GRID_START.year, last_year + 1))

    figures = {str(row.indicator): indicator_figures(known, row) for row in known.indicators.itertuples()}
    blocks: dict[str, pd.DataFrame] = {}
    data: dict[str, np.ndarray] = {}
    for block, builder in BUILDERS.items():
        rows = known.indicators[known.indicators["family"].map(BLOCK_OF) == block]
        blocks[block], arrays = builder(rows, figures, grid)
        data |= {f"{block}_{name}": values for name, values in arrays.items()}
    transfers = known.indicators[known.indicators["family"] == "transfer"]
    data |= hurdle_rows(transfers, figures, grid)
    stock_months = months[months >= STOCK_START]
    data |= _stocks(known, stock_months, stock_sources(store))

    used = {name: frame for name, frame in figures.items() if len(frame)}
    family = known.indicators.set_index("indicator")["family"]

    def history(*families: str) -> pd.DataFrame:
        chosen = [frame.assign(indicator=name) for name, frame in used.items() if family[name] in families]
        return pd.concat([_NO_HISTORY, *chosen], ignore_index=True)[["indicator", "month", "value"]]

    return Panel(
        as_of=as_of,
        months=months,
        years=grid.years,
        items=blocks,
        data=data,
        spending=spending or build_spending(known, as_of, grid.years),
        history=history("news", "count", "share", "ordinal"),
        troop_levels=history("troops"),
        transfers=history("transfer"),
        exposures={name: frame.set_index("month")["exposure"] for name, frame in used.items()},
        last_period={name: frame["month"].max() for name, frame in used.items()},
        n_observations=sum(len(frame) for frame in figures.values()),
        content_hash=known.content_hash(),
        stock_months=stock_months,
        bodies=stock_sources(store),
    )


def _stocks(store: Store, stock_months: pd.DatetimeIndex, bodies: list[str]) -> dict[str, np.ndarray]:
    """Dated reports of a stock as intervals of its logarithm, with the position of the reporting body."""
    out = Columns("stock", "month", "source", "low", "high")
    for position, series in enumerate(STOCKS):
        frame = store.releases(series)
        month = frame["period_start"].dt.to_period("M").dt.to_timestamp()
        frame = frame.assign(month=month)
        frame = frame[(frame["month"] >= STOCK_START) & ~(frame["value"] == 0)]
        value, low, high = (frame[name].to_numpy(float) for name in ("value", "low", "high"))
        # A count at the front is most of the force, save while it was still arriving.
        part = frame["note"].str.contains("kursk|border", case=False).to_numpy(bool)
        arriving = (frame["month"] == FIRST_DEPLOYMENT).to_numpy(bool)
        floor = np.where(np.isnan(low), value, low)
        point = np.isnan(low) & np.isnan(high)
        low = np.where(part, floor, np.where(point, 0.95 * value, low))
        rear = np.where(arriving, np.nan, REAR_SHARE * np.fmax(high, value))
        high = np.where(part, rear, np.where(point, 1.05 * value, high))
        narrow = low >= high
        low, high = np.where(narrow, 0.95 * low, low), np.where(narrow, 1.05 * high, high)
        out.append(
            stock=np.full(len(frame), position, np.int32),
            month=stock_months.get_indexer(pd.DatetimeIndex(frame["month"])).astype(np.int32),
            source=frame["source"].map(bodies.index).to_numpy(np.int32),
            low=np.where(np.isnan(low), -50.0, np.log(np.maximum(low, 1e-9))),
            high=np.where(np.isnan(high), 50.0, np.log(np.maximum(high, 1e-9))),
        )
    return {f"stock_{name}": values for name, values in out.arrays().items()}


def stock_sources(store: Store) -> list[str]:
    """Bodies that ever reported one of the stocks, in a fixed order."""
    rows = store.observations
    reports = rows[rows["series"].isin(STOCKS) & (rows["source"] != "structural-zero")]
    return sorted(reports["source"].unique()) or ["none"]
