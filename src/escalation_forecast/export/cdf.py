"""A distribution function on an axis that keeps a site's bounds on its steps.

The rules are those of Metaculus: ``inbound_outcome_count + 1`` points, every step at least
0.01 / inbound_outcome_count and at most 0.2 * 200 / inbound_outcome_count, 0 and 1 exactly at a closed
bound, at least 0.001 outside an open one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escalation_forecast.schema import DataError

POINTS: Final = 201
DEFAULT_COUNT: Final = POINTS - 1
LEAST_INSIDE: Final = 0.01
MOST: Final = 0.2
LEAST_OUTSIDE: Final = 0.001
DECIMALS: Final = 10
# The site rounds to ten decimals before it compares; two roundings of a step are inside this margin.
MARGIN: Final = 1e-9


@dataclass(frozen=True)
class Axis:
    """What a continuous question may resolve to.

    Attributes
    ----------
    low, high : the bounds of the range, in the unit of the question.
    open_low, open_high : whether it may resolve outside of them.
    count : number of bins between the points; 200 unless the question is discrete.
    zero_point : where a logarithmic axis has its zero; None for a linear one.
    """

    low: float
    high: float
    open_low: bool = True
    open_high: bool = True
    count: int = DEFAULT_COUNT
    zero_point: float | None = None

    def __post_init__(self) -> None:
        if not self.low < self.high or not np.isfinite([self.low, self.high]).all():
            raise DataError(
                f"An axis from {self.low} to {self.high} has no room; give two numbers, lower first."
            )
        if self.count < 1:
            raise DataError(f"An axis of {self.count} bins holds nothing; give at least one.")
        if self.zero_point is not None and self.low <= self.zero_point <= self.high:
            raise DataError(
                f"The zero point {self.zero_point} lies between {self.low} and {self.high}; put it outside."
            )

    @property
    def least(self) -> float:
        """Least step between two points."""
        return LEAST_INSIDE / self.count

    @property
    def most(self) -> float:
        """Largest step between two points."""
        return min(MOST * DEFAULT_COUNT / self.count, 1.0)

    @property
    def points(self) -> np.ndarray:
        """Where the function is given, in the unit of the question."""
        where = np.linspace(0, 1, self.count + 1)
        width = self.high - self.low
        if self.zero_point is None:
            return np.asarray(self.low + width * where)
        ratio = (self.high - self.zero_point) / (self.low - self.zero_point)
        return np.asarray(self.low + width * (ratio**where - 1) / (ratio - 1))

    def as_dict(self) -> dict[str, Any]:
        return {
            "range_min": self.low,
            "range_max": self.high,
            "open_lower_bound": self.open_low,
            "open_upper_bound": self.open_high,
            "inbound_outcome_count": self.count,
            "zero_point": self.zero_point,
        }


def empirical(draws: np.ndarray, axis: Axis) -> np.ndarray:
    """Share of draws at or below each point; what lies beyond a closed bound counts at it."""
    draws = np.sort(np.asarray(draws, float).ravel())
    if not len(draws) or not np.isfinite(draws).all():
        raise DataError("A distribution needs draws that are all numbers; leave missing ones out.")
    shares = np.searchsorted(draws, axis.points, side="right") / len(draws)
    if not axis.open_low:
        shares[0] = 0.0
    if not axis.open_high:
        shares[-1] = 1.0
    return shares


def closest(shares: np.ndarray, axis: Axis) -> np.ndarray:
    """The admissible function whose largest distance from `shares` is smallest.

    Functions with steps in [a, b] are closed under minimum, maximum and mean. The lower envelope
    ``min_j F_j + d(j, i)`` and the upper envelope ``max_j F_j - d(i, j)``, with d the most that such a
    function can rise, are two of them, and their mean is a best one in the supremum norm (after McShane
    1934). It is F where no rule binds. The bounds at the ends are put on by clipping between two admissible
    functions.
    """
    n = axis.count
    least, most = axis.least + MARGIN, axis.most - MARGIN if axis.most < 1 else 1.0
    gap = np.arange(n + 1)[:, None] - np.arange(n + 1)[None, :]
    rise = np.where(gap > 0, most * gap, least * gap)
    lower, upper = (shares[None, :] + rise).min(axis=1), (shares[:, None] - rise).max(axis=0)
    function = (lower + upper) / 2
    outside = LEAST_OUTSIDE + MARGIN
    where = np.arange(n + 1)
    low = np.array([outside, 1.0]) if axis.open_low else np.zeros(2)
    high = np.array([0.0, 1 - outside]) if axis.open_high else np.ones(2)
    floor = np.maximum(low[0] + least * where, high[0] - most * (n - where))
    roof = np.minimum(low[1] + most * where, high[1] - least * (n - where))
    return np.asarray(np.round(np.maximum(floor, np.minimum(roof, function)), DECIMALS))


def continuous_cdf(draws: np.ndarray, axis: Axis) -> np.ndarray:
    """The draws' distribution function at the points of the axis, within the site's rules.

    Returns
    -------
    numpy.ndarray
        ``axis.count + 1`` probabilities, to ten decimals. Where no rule binds they are the draws' own.
    """
    return closest(empirical(draws, axis), axis)


def broken_rules(values: np.ndarray, axis: Axis) -> list[tuple[str, str]]:
    """Rules that a function breaks, each with what is wrong; as the site's own check reads them."""
    values = np.round(np.asarray(values, float), DECIMALS)
    if len(values) != axis.count + 1:
        return [("cdf-points", f"it has {len(values)} points, not {axis.count + 1}")]
    if not np.isfinite(values).all():
        return [("cdf-points", "a point is missing or not finite")]
    found = []
    steps = np.round(np.diff(values), DECIMALS)
    least, most = round(axis.least, DECIMALS), round(axis.most, DECIMALS)
    if steps.min() < least:
        found.append(("cdf-least-step", f"it rises by {steps.min():.10g} somewhere, less than {least:.10g}"))
    if steps.max() > most:
        found.append(("cdf-most-step", f"it rises by {steps.max():.10g} somewhere, more than {most:.10g}"))
    if axis.open_low and values[0] < LEAST_OUTSIDE:
        found.append(("cdf-open-bound", f"it begins at {values[0]:.10g} below an open bound, under 0.001"))
    if not axis.open_low and values[0] != 0:
        found.append(("cdf-closed-bound", f"it begins at {values[0]:.10g} at a closed bound, not 0"))
    if axis.open_high and values[-1] > 1 - LEAST_OUTSIDE:
        found.append(("cdf-open-bound", f"it ends at {values[-1]:.10g} before an open bound, over 0.999"))
    if not axis.open_high and values[-1] != 1:
        found.append(("cdf-closed-bound", f"it ends at {values[-1]:.10g} at a closed bound, not 1"))
    return found
