"""What if: levers that somebody could decide, and observations to come, on a finished forecast."""

from escalation_forecast.scenario.levers import Book, Effect, Lever, Scenario, Step, load_scenarios
from escalation_forecast.scenario.observed import Observed
from escalation_forecast.scenario.result import ScenarioResult
from escalation_forecast.scenario.study import Scenarios

__all__ = [
    "Book", "Effect", "Lever", "Observed", "Scenario", "ScenarioResult", "Scenarios", "Step",
    "load_scenarios",
]  # fmt: skip
