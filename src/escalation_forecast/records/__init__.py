"""What came of past forecasts: resolutions, the running score, and the probabilities of others."""

from __future__ import annotations

from escalation_forecast.records.crowd import import_crowd
from escalation_forecast.records.resolutions import (
    Conflict,
    Outcome,
    Resolved,
    resolve,
    resolve_by_hand,
    stored,
)
from escalation_forecast.records.scores import Score, running_score

__all__ = [
    "Conflict", "Outcome", "Resolved", "Score", "import_crowd", "resolve", "resolve_by_hand", "running_score",
    "stored",
]  # fmt: skip
