"""Use of force on the monthly ladder as cases to score: indicator, origins, windows, outcomes, scores.

A case is a theatre, an origin month and a horizon h; its outcome is whether the ladder reaches 4 in
at least one of the h months after the origin month.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import pandas as pd

from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.store import Store

HORIZONS: Final = (1, 3, 6, 12)
FORCE: Final = 4
FIRST_MONTH: Final = pd.Timestamp("1993-01-01")
FIRST_ORIGIN: Final = pd.Timestamp("2002-12-01")
# The dispute data end here; what follows was coded by another hand from other pages.
LAST_MONTH: Final = pd.Timestamp("2014-12-01")
CLIP: Final = (0.001, 0.999)
CASE: Final = ("theatre", "origin", "horizon")
BLOCK_YEARS: Final = 2


@dataclass(frozen=True)
class Ladder:
    """Highest level and number of incidents by month; a month that nobody coded is missing.

    Attributes
    ----------
    months : pandas.DatetimeIndex
        First days of months, without gaps.
    level, incidents : numpy.ndarray
        (theatre, month), NaN where unknown; theatres in the order of ``schema.THEATRES``.
    """

    months: pd.DatetimeIndex
    level: np.ndarray
    incidents: np.ndarray

    @property
    def force(self) -> np.ndarray:
        """(theatre, month) 1 where level 4 was reached, 0 where not, NaN where unknown."""
        return np.where(np.isnan(self.level), np.nan, (self.level >= FORCE).astype(float))

    def until(self, origin: pd.Timestamp) -> Self:
        """What was on record up to and including a month; months without a record are unknown."""
        months = pd.date_range(self.months[0], origin, freq="MS")
        if not len(months):
            raise DataError(f"The ladder starts in {self.months[0]:%Y-%m}, after {origin:%Y-%m}.")
        n, kept = len(months), min(len(months), len(self.months))
        level, incidents = (np.full((len(THEATRES), n), np.nan) for _ in range(2))
        level[:, :kept], incidents[:, :kept] = self.level[:, :kept], self.incidents[:, :kept]
        return replace(self, months=months, level=level, incidents=incidents)


def read_ladder(store: Store, last: pd.Timestamp = LAST_MONTH) -> Ladder:
    """The ladder of a store from 1993 to a month.

    Unknown are months without a row, months marked ``uncertain`` (few pages were searched, and they
    stayed because something was found, so they lean upwards) and months coded in part.

    Parameters
    ----------
    store : as known at the day of the forecast, or whole.
    last : last month, its first day.
    """
    months = pd.date_range(FIRST_MONTH, last, freq="MS")
    parts = {}
    for series in ("ladder", "ladder_incidents"):
        frame = store.latest(series)
        whole = frame["period_end"] == frame["period_start"] + pd.offsets.MonthEnd(0)
        frame = frame[whole & ~frame["quality"].str.split(";").map(lambda words: "uncertain" in words)]
        wide = frame.pivot(index="unit", columns="period_start", values="value")
        parts[series] = wide.reindex(index=list(THEATRES), columns=months).to_numpy(float)
    return Ladder(months, parts["ladder"], parts["ladder_incidents"])


def windows(ladder: Ladder, horizon: int) -> np.ndarray:
    """(theatre, month) whether force is used within ``horizon`` months after each month.

    NaN where the window is not complete, or has an unknown month: leaving only those without an event
    out would make events look common.
    """
    force = ladder.force
    out = np.full(force.shape, np.nan)
    n = force.shape[1] - horizon
    for start in range(max(n, 0)):
        out[:, start] = force[:, start + 1 : start + 1 + horizon].max(axis=1)
    return out


def origins(
    horizon: int, first: pd.Timestamp = FIRST_ORIGIN, last: pd.Timestamp = LAST_MONTH
) -> list[pd.Timestamp]:
    """Origin months with a complete window of ``horizon`` months, to ``last``."""
    return list(pd.date_range(first, last - pd.DateOffset(months=horizon), freq="MS"))


def outcomes(ladder: Ladder, horizons: tuple[int, ...] = HORIZONS) -> pd.DataFrame:
    """Every case with a known outcome.

    Returns
    -------
    pandas.DataFrame
        theatre, origin, horizon, y (0 or 1), sorted by horizon, origin and theatre.
    """
    parts = []
    for horizon in horizons:
        known = windows(ladder, horizon)
        for origin in origins(horizon, last=ladder.months[-1]):
            y = known[:, ladder.months.get_loc(origin)]
            parts.append(pd.DataFrame({"theatre": THEATRES, "origin": origin, "horizon": horizon, "y": y}))
    return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)


def brier(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared difference between probability and outcome, by case."""
    return np.asarray((p - y) ** 2)


def log_score(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Minus the logarithm of the probability given to what happened, clipped, by case."""
    p = np.clip(p, *CLIP)
    return np.asarray(-np.log(np.where(y == 1, p, 1.0 - p)))


def auc(p: np.ndarray, y: np.ndarray) -> float:
    """Chance that an event has a higher probability than a non-event, ties half; NaN without a pair."""
    from scipy.stats import rankdata

    events, others = float((y == 1).sum()), float((y == 0).sum())
    if not events * others:
        return float("nan")
    above = rankdata(p)[y == 1].sum() - events * (events + 1.0) / 2.0
    return float(above / (events * others))


def auc_within_theatre(p: np.ndarray, y: np.ndarray, theatre: np.ndarray) -> float:
    """Mean of the theatres' own AUCs, weighted by their event x non-event pairs."""
    total, pairs = 0.0, 0.0
    for name in np.unique(theatre):
        own = theatre == name
        weight = float((y[own] == 1).sum() * (y[own] == 0).sum())
        if weight:
            total += weight * auc(p[own], y[own])
            pairs += weight
    return total / pairs if pairs else float("nan")


def score_table(probabilities: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Scores of each method and horizon over the cases that have an outcome.

    Parameters
    ----------
    probabilities : theatre, origin, horizon, method, p.
    truth : as from `outcomes`.

    Returns
    -------
    pandas.DataFrame
        method, horizon, n_cases, n_events, brier, log_score, auc (within theatre).
    """
    rows = []
    for (method, horizon), part in probabilities.merge(truth, on=list(CASE)).groupby(["method", "horizon"]):
        p, y = part["p"].to_numpy(), part["y"].to_numpy()
        rows.append(
            {
                "method": method,
                "horizon": horizon,
                "n_cases": len(part),
                "n_events": int(y.sum()),
                "brier": float(brier(p, y).mean()),
                "log_score": float(log_score(p, y).mean()),
                "auc": auc_within_theatre(p, y, part["theatre"].to_numpy(str)),
            }
        )
    return pd.DataFrame(rows)


def brier_skill(
    probabilities: pd.DataFrame,
    truth: pd.DataFrame,
    method: str,
    reference: str,
    *,
    replicates: int = 2000,
    seed: int = 1,
) -> pd.DataFrame:
    """Brier skill of a method against another, with a 90 % interval by block bootstrap.

    Blocks are two calendar years of origins, so that overlapping windows stay together.

    Returns
    -------
    pandas.DataFrame
        horizon, skill, low, high.
    """
    rng = np.random.default_rng(seed)
    wide = probabilities.pivot_table(index=list(CASE), columns="method", values="p")[[method, reference]]
    cases = wide.dropna().reset_index().merge(truth, on=list(CASE))
    rows = []
    for horizon, part in cases.groupby("horizon"):
        y = part["y"].to_numpy()
        losses = np.stack([brier(part[name].to_numpy(), y) for name in (method, reference)])
        block = (part["origin"].dt.year.to_numpy() - FIRST_ORIGIN.year) // BLOCK_YEARS
        sums = np.stack([losses[:, block == b].sum(axis=1) for b in np.unique(block)], axis=1)
        drawn = rng.integers(sums.shape[1], size=(replicates, sums.shape[1]))
        resampled = sums[:, drawn].sum(axis=2)
        low, high = np.quantile(1.0 - resampled[0] / resampled[1], [0.05, 0.95])
        total = sums.sum(axis=1)
        rows.append({"horizon": horizon, "skill": 1.0 - total[0] / total[1], "low": low, "high": high})
    return pd.DataFrame(rows)
