"""What if: levers that somebody could decide, and observations to come, on a finished forecast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from escalation_forecast.scenario.levers import Book, Effect, Lever, Scenario, Step, load_scenarios
from escalation_forecast.scenario.observed import Observed

if TYPE_CHECKING:
    from escalation_forecast.scenario.result import ScenarioResult
    from escalation_forecast.scenario.study import Scenarios

__all__ = [
    "Book", "Effect", "Lever", "Observed", "Scenario", "ScenarioResult", "Scenarios", "Step",
    "load_scenarios",
]  # fmt: skip

# Reading the file of levers needs none of what running them does.
_HOME = {"ScenarioResult": "result", "Scenarios": "study"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
