"""Series whose next figure is late by more than is usual for them, as alerts."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from escalation_forecast.alerts.rules import Alert, plain
from escalation_forecast.lateness import Overdue, overdue

if TYPE_CHECKING:
    from escalation_forecast.store import Store

__all__ = ["Overdue", "overdue", "stale"]

SHOWN: Final = 6


def stale(store: Store, day: dt.date | None = None) -> list[Alert]:
    """One alert for each series and overdue period, whichever units are late.

    Parameters
    ----------
    day : today, by default that of the store's cut or of the clock.
    """
    found: dict[tuple[str, dt.date], list[Overdue]] = {}
    for one in overdue(store, day):
        found.setdefault((one.series, one.period), []).append(one)
    return [_alert(late) for late in found.values()]


def _alert(late: list[Overdue]) -> Alert:
    first = late[0]
    names = [one.unit for one in late]
    units = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    newest = sorted({one.last for one in late})
    span = str(newest[0]) if len(newest) == 1 else f"{newest[0]} to {newest[-1]}, by unit"
    message = (
        f"{first.series} ({units}) is late: nothing of the period to {first.period}, due by {first.due} "
        f"going by its past; the newest figure is of {span}."
    )
    return Alert("stale", f"{first.series}/{first.period}", "warning", plain(message))
