"""The id of a run: everything that decides its numbers, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from escalation_forecast import archive, forecast
from escalation_forecast.score.ladder_pool import load_pool

if TYPE_CHECKING:
    from escalation_forecast.history.tables import History
    from escalation_forecast.panel import Panel
    from escalation_forecast.priors import Priors
    from escalation_forecast.question_file import Question


def run_identity(
    panel: Panel,
    *,
    history: History,
    spending_weight: float | None,
    as_of: dt.date,
    priors: Priors,
    questions: Sequence[Question],
    horizon: int,
    settings: Mapping[str, float],
    model_version: str,
    seed: int,
    draft: bool,
) -> str:
    """The id under which `pipeline.run_forecast` keeps a run.

    Parameters
    ----------
    settings : of the sampler, as `fit.Settings.canonical` gives them.
    """
    return archive.run_id(
        {
            "panel": panel.content_hash,
            "weights": [panel.spending.exposure.tolist(), panel.spending.rivals.tolist()],
            "reference_scale": forecast.reference_scale().to_dict(),
            "history": history.content_hash(),
            "pool": load_pool().weights.to_dict(),
            "spending_weight": spending_weight,
            "as_of": as_of.isoformat(),
            "priors": priors.canonical(),
            "questions": [question.model_dump(mode="json") for question in questions],
            "horizon": horizon,
            "settings": dict(settings),
            "model_version": model_version,
            "seed": seed,
            "draft": draft,
        }
    )
