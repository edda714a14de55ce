"""Whether a run was made with the questions and tables that come with the program today.

A run keeps its priors and the hash of its figures; of questions, histories and weights of pools it keeps only
what they did to its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalation_forecast import archive, forecast
from escalation_forecast.score.ladder_pool import load_pool

if TYPE_CHECKING:
    from escalation_forecast.explain.states import State
    from escalation_forecast.history.tables import History


def as_made_today(state: State, summary: dict[str, Any], history: History) -> bool:
    """Whether `pipeline.run_forecast` would give the run its id again."""
    panel = state.panel
    content = {
        "panel": panel.content_hash,
        "weights": [panel.spending.exposure.tolist(), panel.spending.rivals.tolist()],
        "reference_scale": forecast.reference_scale().to_dict(),
        "history": history.content_hash(),
        "pool": load_pool().weights.to_dict(),
        "spending_weight": state.spending_weight,
        "as_of": f"{state.day:%Y-%m-%d}",
        "priors": state.priors.canonical(),
        "questions": [question.model_dump(mode="json") for question in state.questions],
        "horizon": state.horizon,
        "settings": state.settings,
        "model_version": str(summary["model_version"]),
        "seed": state.seed,
        "draft": bool(summary["draft"]),
    }
    return str(summary["run_id"]) == archive.run_id(content)
