"""Why did it move: the answers of a run against those of an earlier one, step by step."""

from escalation_forecast.explain.explain import explain
from escalation_forecast.explain.result import Explanation, Part, Why

__all__ = ["Explanation", "Part", "Why", "explain"]
