"""Month labels of the raw tables turned into rows of the store."""

from __future__ import annotations

from typing import Any

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import period


def month_bounds(label: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a month written ``YYYY-MM``."""
    try:
        year, month = label.split("-")
        return period(int(year), int(month))
    except ValueError:
        raise DataError(f"'{label}' is not a month; write it as YYYY-MM in the raw table.") from None


def month_row(
    label: str,
    value: float,
    *,
    lag_days: int,
    covered_to: pd.Timestamp | None = None,
    **cells: Any,
) -> dict[str, Any]:
    """One observation of a month, published `lag_days` after the last day it covers.

    A month that the source covers only to `covered_to` ends on that day, so that nobody
    takes it for a whole month.
    """
    start, end = month_bounds(label)
    if covered_to is not None and start <= covered_to < end:
        end = covered_to
    return {
        "period_start": start,
        "period_end": end,
        "value": float(value),
        "published_at": end + pd.Timedelta(days=lag_days),
        "note": "",
        **cells,
    }
