"""Rules about the core four together: is it an arms race when k of 4 grow by c per cent over w years?

A rule is evaluated draw by draw on simple growth in per cent. Its outcome comes from one release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.score.spending_cases import (
    FIRST_PRINT,
    HORIZONS,
    KnownSpending,
    SpendingOrigin,
    origin_levels,
)
from escalation_forecast.score.spending_vintages import level_grid, newest_label, spending_levels
from escalation_forecast.store import Store

__all__ = [
    "COUNT", "RULES", "SIMPLE", "Rule", "count_probabilities", "has_core_four", "rule_outcomes",
    "rule_probabilities", "simple_probabilities",
]  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """At least ``states`` of the core four have mean growth of ``per_cent`` or more over ``years``."""

    states: int
    per_cent: float
    years: int

    def qualifies(self, growth: np.ndarray) -> np.ndarray:
        """Number of states that qualify.

        Parameters
        ----------
        growth : (..., state, age) simple growth in per cent, the target year first.
        """
        mean = growth[..., : self.years].mean(axis=-1)
        return np.asarray((mean >= self.per_cent).sum(axis=-1))


RULES: Final[dict[str, Rule]] = {
    "rc": Rule(3, 5.0, 3), "RC4": Rule(3, 4.0, 3), "RC3": Rule(3, 3.0, 3), "R1_2of4_1y5": Rule(2, 5.0, 1),
}  # fmt: skip
COUNT: Final = "count"
"""The question how many of the four have a three-year mean of 5 % or more."""
COUNT_RULE: Final = RULES["rc"]
SIMPLE: Final = ("base_rate", "persistence", "markov")
FIRST_YEAR: Final = 1992
STAYS: Final = 0.9


def has_core_four(states: Any) -> bool:
    """Whether all four states of the rules are among those forecast."""
    return set(CORE_FOUR) <= {str(state) for state in states}


def _windows(draws: xr.Dataset) -> np.ndarray:
    """(draw, horizon, state, age) simple growth in per cent of the core four."""
    logs = draws["window"].sel(state=list(CORE_FOUR)).transpose("sample", "horizon", "state", "age")
    return np.asarray(100.0 * np.expm1(logs.values / 100.0))


def rule_probabilities(draws: xr.Dataset, rule: Rule) -> np.ndarray:
    """(horizon,) share of draws in which a rule holds in the horizon's year."""
    return np.asarray((rule.qualifies(_windows(draws)) >= rule.states).mean(axis=0))


def count_probabilities(draws: xr.Dataset) -> np.ndarray:
    """(horizon, 5) probabilities that 0, ..., 4 states have a three-year mean of 5 % or more."""
    counts = COUNT_RULE.qualifies(_windows(draws))
    return np.stack([(counts == k).mean(axis=0) for k in range(len(CORE_FOUR) + 1)], axis=-1)


def simple_growth(levels: np.ndarray) -> np.ndarray:
    """Simple growth in per cent along the second last axis, one year shorter."""
    # this order of operations keeps a rise from 100 to 105 at exactly 5.0
    before, after = levels[..., :-1, :], levels[..., 1:, :]
    return np.asarray(100.0 * (after - before) / before)


def counts_by_year(growth: np.ndarray, first_year: int, rule: Rule) -> dict[int, int]:
    """Number of states that qualify in each year whose window is complete for all four.

    Parameters
    ----------
    growth : (year, state) simple growth in per cent.
    first_year : of its first row.
    """
    if len(growth) < rule.years:
        return {}
    # (year, state, age), the youngest year first
    windows = np.lib.stride_tricks.sliding_window_view(growth, rule.years, axis=0)[..., ::-1]
    whole = np.isfinite(windows).all(axis=(1, 2))
    counts = rule.qualifies(windows)
    first = first_year + rule.years - 1
    return {first + int(k): int(counts[k]) for k in np.flatnonzero(whole)}


def simple_probabilities(known: KnownSpending, rule: Rule) -> dict[str, np.ndarray]:
    """Forecasts from the rule's own record in the origin's release, (horizon,) by method.

    ``base_rate``: (events since 1992 + .5) / (years + 1). ``persistence``: .9 if the rule held in the last
    year, else .1. ``markov``: a chain with P(stay on) = (n11 + 1) / (n1 + 2) and P(switch on) = (n01 + .5) /
    (n0 + 1). Empty where the last year's window is not complete for all four.
    """
    last = known.origin.release_year - 1
    first = FIRST_YEAR - rule.years
    grid = level_grid(origin_levels(known), CORE_FOUR, first, last)
    counts = counts_by_year(simple_growth(grid.values)[0], first + 1, rule)
    if last not in counts:
        return {}
    y = np.array([count >= rule.states for count in counts.values()], int)
    stay = (np.sum(y[:-1] * y[1:]) + 1.0) / (np.sum(y[:-1]) + 2.0)
    switch = (np.sum((1 - y[:-1]) * y[1:]) + 0.5) / (np.sum(1 - y[:-1]) + 1.0)
    chain, p = [], float(y[-1])
    for _ in HORIZONS:
        p = float(p * stay + (1.0 - p) * switch)
        chain.append(p)
    flat = np.ones(len(HORIZONS))
    return {
        "base_rate": flat * (y.sum() + 0.5) / (len(y) + 1.0),
        "persistence": flat * (STAYS if y[-1] else 1.0 - STAYS),
        "markov": np.array(chain),
    }


def rule_outcomes(store: Store, origin: SpendingOrigin) -> pd.DataFrame:
    """Whether each rule held, and how many states qualified.

    The first print is that of the earliest release with all four states in the target year.

    Returns
    -------
    pandas.DataFrame
        question (rule or ``count``), horizon, truth, target_year, truth_release, strict, outcome.
    """
    levels = spending_levels(store)
    real = levels[~levels["pseudo"] & (levels["release_year"] > origin.release_year)]
    base = origin.release_year - 1
    # three years of growth before the first target year
    first = base - COUNT_RULE.years
    grid = level_grid(real, CORE_FOUR, first, base + max(HORIZONS))
    growth = simple_growth(grid.values)
    newest = newest_label(store)
    rows = []
    for question, rule in {**RULES, COUNT: COUNT_RULE}.items():
        counts = [counts_by_year(table, first + 1, rule) for table in growth]
        for horizon in HORIZONS:
            target = base + horizon
            whole = [r for r, found in enumerate(counts) if target in found]
            settled = [r for r in whole if f"release_{grid.releases[r]}" == newest]
            prints = dict(zip((FIRST_PRINT, newest), (*whole[:1], *settled), strict=False))
            for truth, r in prints.items():
                count = counts[r][target]
                rows.append(
                    {
                        "question": question, "horizon": horizon, "truth": truth, "target_year": target,
                        "truth_release": grid.releases[r],
                        "strict": int(grid.release_years[r]) == target + 1,
                        "outcome": float(count if question == COUNT else count >= rule.states),
                    }
                )  # fmt: skip
    columns = ["question", "horizon", "truth", "target_year", "truth_release", "strict", "outcome"]
    return pd.DataFrame(rows, columns=columns)
