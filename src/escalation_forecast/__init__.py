"""Bayesian forecasts of escalation risk and of an arms race in East Asia.

The objects that a notebook needs, loaded when first used::

    from escalation_forecast import Priors, Store, run_forecast

    known = Store.embedded().as_of("2024-11-30")
    run = run_forecast(known, draft=True)
    run.summary["questions"]
    Updater.of(run).update(Priors.default().replace(ladder_slope={"parameters": {"mu": -0.5}}))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from escalation_forecast.archive import Run, load_run
    from escalation_forecast.card import model_card
    from escalation_forecast.explorer import explore
    from escalation_forecast.pipeline import run_forecast
    from escalation_forecast.priors import Priors
    from escalation_forecast.questions import load_questions, resolve
    from escalation_forecast.scenario import Scenarios
    from escalation_forecast.schema import DataError
    from escalation_forecast.store import Store
    from escalation_forecast.update import Updater

__all__ = [
    "DataError", "Priors", "Run", "Scenarios", "Store", "Updater", "explore", "load_questions", "load_run",
    "model_card", "resolve", "run_forecast",
]  # fmt: skip

_HOME = {
    "DataError": "schema",
    "Priors": "priors",
    "Run": "archive",
    "Scenarios": "scenario",
    "Store": "store",
    "Updater": "update",
    "explore": "explorer",
    "load_questions": "questions",
    "load_run": "archive",
    "model_card": "card",
    "resolve": "questions",
    "run_forecast": "pipeline",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
