"""Monthly press tension as cases to score: series, origins, targets, predictive distributions, scores.

A case is a series, an origin month and a horizon h; its truth is the logarithm of the index h months
after the origin month. Scores are in units of that logarithm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import pandas as pd

from escalation_forecast.indicator_rows import LOG_OFFSET
from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_backtest import store_at
from escalation_forecast.store import Store
from escalation_forecast.tables import nearest

SERIES: Final = ("CHN", "JPN", "KOR", "TWN", "RUS", "UKR")
WORLD: Final = "WLD"
HORIZONS: Final = (1, 3, 6, 12)
FIRST_MONTH: Final = pd.Timestamp("1985-01-01")
FIRST_ORIGIN: Final = pd.Timestamp("2005-01-01")
LAST_ORIGIN: Final = pd.Timestamp("2025-12-01")
INTERVAL: Final = 0.9


@dataclass(frozen=True)
class Tension:
    """Logarithms of the index by month, as known at one time.

    Attributes
    ----------
    months : pandas.DatetimeIndex
        First days of months, without gaps.
    series : tuple of str
        States, and ``WLD`` for the world, which comes last.
    z : numpy.ndarray
        (series, month): log of the world index, log(share + 0.01) of a state's per cent of articles.
    """

    months: pd.DatetimeIndex
    series: tuple[str, ...]
    z: np.ndarray

    def until(self, origin: pd.Timestamp) -> Self:
        """The months up to and including the origin."""
        n = int(self.months.searchsorted(origin, side="right"))
        if not n or self.months[n - 1] != origin:
            raise DataError(
                f"Press tension of {origin:%Y-%m} is not in the data, which run from {self.months[0]:%Y-%m} "
                f"to {self.months[-1]:%Y-%m}; choose an origin between."
            )
        return replace(self, months=self.months[:n], z=self.z[:, :n])

    def value(self, name: str, month: pd.Timestamp) -> float:
        """The logarithm of one series in one month, NaN where it is not known."""
        position = self.months.get_indexer(pd.DatetimeIndex([month]))[0]
        return float(self.z[self.series.index(name), position]) if position >= 0 else float("nan")


def read_tension(store: Store, series: Sequence[str] = SERIES) -> Tension:
    """Series of a store from 1985 to the last month that all of them have, and the world.

    Raises
    ------
    DataError
        When the store lacks a series, or a month of one.
    """
    states = store.latest("gpr_country")
    states = states.assign(z=np.log(states["value"] + LOG_OFFSET))
    world = store.latest("gpr_world", WORLD)
    figures = pd.concat([states, world.assign(z=np.log(world["value"]))], ignore_index=True)
    wide = figures.pivot_table(index="unit", columns="period_start", values="z", aggfunc="last")
    wanted = [*(name for name in series if name != WORLD), WORLD]
    if missing := [name for name in wanted if name not in wide.index]:
        known = [str(unit) for unit in wide.index]
        raise DataError(
            f"There is no press tension of {missing[0]}{nearest(missing[0], known)}; the data have "
            f"{', '.join(known)}, and more can be added as rows of gpr_country."
        )
    wide = wide.loc[wanted]
    last = wide.apply(lambda row: row.last_valid_index(), axis=1).min()
    months = pd.date_range(FIRST_MONTH, last, freq="MS")
    z = wide.reindex(columns=months).to_numpy(float)
    if np.isnan(z).any():
        row, column = np.argwhere(np.isnan(z))[0]
        raise DataError(
            f"Press tension of {wanted[row]} lacks {months[column]:%Y-%m}; add the row, or leave it out."
        )
    return Tension(months, tuple(wanted), z)


def known_tension(
    store: Store, origin: pd.Timestamp, series: Sequence[str] = SERIES, *, real_time: bool = False
) -> Tension:
    """What a forecaster may use at an origin: months up to it.

    Parameters
    ----------
    real_time : figures as published a month after the origin; else, as in the protocol, as last revised.
    """
    return read_tension(store_at(store, origin) if real_time else store, series).until(origin)


def origins(
    months: pd.DatetimeIndex, first: pd.Timestamp = FIRST_ORIGIN, last: pd.Timestamp = LAST_ORIGIN
) -> list[pd.Timestamp]:
    """Origin months of the protocol that the data reach."""
    return list(months[(months >= first) & (months <= last)])


@dataclass(frozen=True)
class Predictive:
    """Weighted draws of several series, so that a mixture needs no draws of its own.

    Attributes
    ----------
    values : numpy.ndarray
        (series, point), in any order.
    weights : numpy.ndarray
        (series, point), each row adding to one.
    """

    values: np.ndarray
    weights: np.ndarray

    @classmethod
    def equal(cls, values: np.ndarray) -> Self:
        """Points that weigh the same."""
        return cls(values, np.full(values.shape, 1.0 / values.shape[1]))

    def sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Points in order and the distribution function at each, both (series, point)."""
        order = np.argsort(self.values, axis=1)
        values = np.take_along_axis(self.values, order, axis=1)
        weights = np.take_along_axis(self.weights, order, axis=1)
        return values, np.minimum(np.cumsum(weights, axis=1), 1.0)

    def quantiles(self, levels: Sequence[float] | np.ndarray) -> np.ndarray:
        """Smallest point at which the distribution function reaches each level, (series, level)."""
        values, below = self.sorted()
        wanted = np.asarray(levels, float) - 1e-12
        last = values.shape[1] - 1
        return np.stack(
            [
                row[np.minimum(np.searchsorted(reached, wanted), last)]
                for row, reached in zip(values, below, strict=True)
            ]
        )

    def crps(self, truth: np.ndarray) -> np.ndarray:
        """Continuous ranked probability score E|X - y| - E|X - X'|/2, (series,), exact for the points."""
        values, below = self.sorted()
        spread = (below[:, :-1] * (1.0 - below[:, :-1]) * np.diff(values, axis=1)).sum(axis=1)
        distance = (self.weights * np.abs(self.values - truth[:, None])).sum(axis=1)
        return np.asarray(distance - spread)

    def pit(self, truth: np.ndarray) -> np.ndarray:
        """Probability integral transform, ties halved, (series,)."""
        below = (self.weights * (self.values < truth[:, None])).sum(axis=1)
        return np.asarray(below + 0.5 * (self.weights * (self.values == truth[:, None])).sum(axis=1))


def mixture(parts: Sequence[Predictive], weights: Sequence[float] | np.ndarray | None = None) -> Predictive:
    """Linear pool of forecasts; equal weights by default."""
    shares = np.full(len(parts), 1.0 / len(parts)) if weights is None else np.asarray(weights, float)
    kept = [(part, share) for part, share in zip(parts, shares, strict=True) if share > 0.0]
    return Predictive(
        np.concatenate([part.values for part, _ in kept], axis=1),
        np.concatenate([share * part.weights for part, share in kept], axis=1),
    )


def score_rows(
    predictive: Predictive, names: Sequence[str], truth: np.ndarray
) -> Iterator[dict[str, float | str]]:
    """One row for each series with a known outcome: outcome, median, crps, abs_error, pit, inside."""
    tail = (1.0 - INTERVAL) / 2.0
    low, median, high = predictive.quantiles([tail, 0.5, 1.0 - tail]).T
    crps, pit = predictive.crps(truth), predictive.pit(truth)
    for k, name in enumerate(names):
        if np.isfinite(truth[k]):
            yield {
                "series": name,
                "outcome": float(truth[k]),
                "median": float(median[k]),
                "crps": float(crps[k]),
                "abs_error": float(abs(median[k] - truth[k])),
                "pit": float(pit[k]),
                "inside": float(low[k] <= truth[k] <= high[k]),
            }
