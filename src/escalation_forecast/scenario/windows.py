"""Windows of answers against the longest time that anything is said about decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from escalation_forecast.questions import Item
from escalation_forecast.scenario.levers import LONGEST


def months_to(item: Item, first: pd.Timestamp) -> int:
    """Months from the as-of month to the end of what an item asks about.

    Parameters
    ----------
    first : the first month ahead.
    """
    end = pd.Timestamp(item.years[-1], 12, 1) if item.years else item.end
    assert end is not None
    return (end.year - first.year) * 12 + end.month - first.month + 1


def with_shorter(items: Sequence[Item], first: pd.Timestamp) -> tuple[Item, ...]:
    """Items, and after each of several years that ends too late the same of the years that do not.

    So that "in any of 2026 to 2028" is told for 2026 to 2027, under an id of its own.
    """
    found: list[Item] = []
    for item in items:
        found.append(item)
        if item.combine == "each" or months_to(item, first) <= LONGEST:
            continue
        years = item.years
        while years and months_to(replace(item, years=years), first) > LONGEST:
            years = years[:-1]
        if len(years) > 1:
            found.append(_of_years(item, years))
    return tuple(found)


def _of_years(item: Item, years: tuple[int, ...]) -> Item:
    old, new = (f"{span[0]}-{span[-1]}" for span in (item.years, years))
    return replace(item, id=item.id.replace(old, new), target=item.target.replace(old, new), years=years)
