"""What a person should hear of after a run: rules that say so, and their delivery.

``check`` looks at what a job came to and gives alerts; ``deliver`` keeps them in the archive and sends those
that were not sent yet.
"""

from __future__ import annotations

from escalation_forecast.alerts.rules import (
    Alert,
    Limits,
    check,
    gate_failed,
    input_refused,
    moved,
    over_budget,
    resolved,
)
from escalation_forecast.alerts.send import Delivery, deliver
from escalation_forecast.alerts.stale import Overdue, overdue, stale

__all__ = [
    "Alert", "Delivery", "Limits", "Overdue", "check", "deliver", "gate_failed", "input_refused", "moved",
    "over_budget", "overdue", "resolved", "stale",
]  # fmt: skip
