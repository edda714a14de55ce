"""A whole stored run whose posterior stands in for a fit: nothing is sampled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from escalation_forecast import pipeline, run_files
from escalation_forecast.archive import Run
from escalation_forecast.model import build_model
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Question, load_questions
from escalation_forecast.store import Store

CHAINS, DRAWS = 2, 200
FUTURES = 16_000
"""In the place of `war_paths.FUTURES`, when the run is made and whenever its wars are simulated again."""


def stand_in(panel: Any, priors: Priors) -> xr.DataTree:
    """Draws of the priors under every name that the joint model keeps."""
    model, rng = build_model(panel, priors), np.random.default_rng(0)
    index = {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}
    kept = {}
    for variable in model.unobserved_RVs:
        name = str(variable.name)
        if name.endswith("innovation"):
            continue
        coords = {dim: np.asarray(model.coords[dim]) for dim in model.named_vars_to_dims.get(name) or ()}
        shape = (CHAINS, DRAWS, *(len(labels) for labels in coords.values()))
        kept[name] = xr.DataArray(rng.normal(size=shape), index | coords, dims=(*index, *coords))
    posterior = xr.Dataset(kept)
    drawn = run_files.prior_draws(posterior, priors, 0)
    for name in drawn.data_vars:
        values = drawn[name].values[0, : CHAINS * DRAWS].reshape(posterior[name].shape)
        posterior[name] = posterior[name].dims, values
        if f"{name}_common" in posterior:
            posterior[f"{name}_common"] = ("chain", "draw"), np.median(values, axis=-1)
    shape = (CHAINS, DRAWS)
    health = {"energy": rng.normal(size=shape), "diverging": np.zeros(shape, bool)}
    stats = xr.Dataset({name: (("chain", "draw"), values) for name, values in health.items()}, coords=index)
    return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})


def mixed(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """In the place of diagnostics of draws that no sampler made."""
    return tuple(np.full(len(values), one) for one in (1.0, 1e3, 1e3))


def asked(wanted: Sequence[str]) -> list[Question]:
    return [question for question in load_questions() if question.id in wanted]


def whole_run(known: Store, trace: xr.DataTree, out: Path, wanted: Sequence[str], horizon: int) -> Run:
    """A draft run on draws that stand in for those of a fit."""
    day: Any = known.as_of_date
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("escalation_forecast.compile.compile_model", lambda _: None)
        patch.setattr("escalation_forecast.report.plots.save_plots", lambda *_: [])
        patch.setattr(pipeline, "sample", lambda *_: trace)
        patch.setattr("escalation_forecast.war_paths.FUTURES", FUTURES)
        patch.setattr("escalation_forecast.mixing.mixing", mixed)
        patch.setattr("escalation_forecast.mixing._begun", lambda *_: None)
        return pipeline.run_forecast(
            known, as_of=day, out=out, draft=True, horizon=horizon, questions=asked(wanted)
        )
