"""A whole stored run whose posterior stands in for a fit: nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from escalation_forecast import pipeline
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.questions import load_questions
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from test_update import stand_in


def whole_run(known: Store, panel: Panel, out: Path, wanted: Sequence[str], horizon: int) -> Updater:
    """An updater of a draft run on draws from the priors, read back from its folder."""
    trace = stand_in(panel, Priors.default())
    questions = [question for question in load_questions() if question.id in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("escalation_forecast.compile.compile_model", lambda _: None)
        patch.setattr("escalation_forecast.report.plots.save_plots", lambda *_: [])
        patch.setattr(pipeline, "sample", lambda *_: trace)
        day: Any = known.as_of_date
        run = pipeline.run_forecast(
            known, as_of=day, out=out, draft=True, horizon=horizon, questions=questions
        )
    return Updater.of(run.folder, store=known, questions=questions)
