"""Weights against fits: the same edits both ways, on the whole model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalation_forecast.fit import Settings
from escalation_forecast.model import build_model
from escalation_forecast.pipeline import run_forecast
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from escalation_forecast.update.likelihood import log_likelihood, model_priors
from escalation_forecast.update.moves import shifted

EDITS = 10
HEADLINES = ("arms-race-regional", "wider-war")
SETTINGS = Settings(tune=300, draws=1000)
SHORT = Settings(tune=200, draws=300)
"""Of the fits: their error is the larger part of what separates them from weights, and is counted."""


def random_edit(updater: Updater, rng: np.random.Generator) -> dict[str, Any]:
    """Three priors of the model, each moved by up to one of its own standard deviations."""
    changes: dict[str, Any] = {}
    for name in rng.permutation(model_priors(updater)):
        spec = updater.priors[str(name)]
        try:
            numbers = shifted(spec.family, spec.at(), float(rng.uniform(-1, 1)))
        except DataError:  # by label
            continue
        changes[spec.name] = {"parameters": numbers}
        if len(changes) == 3:
            break
    return changes


@pytest.mark.slow
def test_weights_say_what_fits_say(tmp_path: Path) -> None:
    """Ten random edits; where weights are trusted, headlines agree within three combined errors."""
    store = Store.embedded().as_of("2026-06-15")
    run = run_forecast(store, out=tmp_path, draft=True, progress=False, settings=SETTINGS)
    updater, rng = Updater.of(run, store=store), np.random.default_rng(11)
    rows = []
    for edit in range(EDITS):
        changes = random_edit(updater, rng)
        priors = updater.priors.replace(changes)
        weighed = updater.update(priors)
        fitted = updater.update(priors, refit="always", settings=SHORT)
        assert fitted.refit is not None
        assert fitted.refit.compiled == (edit == 0)
        for answer in weighed.answers:
            if answer.item.question.id not in HEADLINES or answer.after is None:
                continue
            other = fitted[answer.item.id]
            error = np.hypot(answer.mcse or 0.0, other.mcse or 0.0)
            apart = (answer.after - (other.after or 0.0)) / error
            values = (answer.before, answer.after, other.after, error, apart)
            rows.append((edit, "+".join(changes), answer.item.id, *values, weighed.k, weighed.needs_refit))
    columns = ["edit", "priors", "answer", "before", "weights", "fit", "error", "apart", "k", "refused"]
    table = pd.DataFrame(rows, columns=columns)
    print(table.round(4).to_string())
    trusted = table[~table["refused"]]
    assert trusted["edit"].nunique() >= EDITS // 2
    # Of some 250 comparisons one in 370 lies beyond three errors by chance.
    assert (abs(trusted["apart"]) < 3.0).mean() > 0.98


@pytest.mark.slow
def test_likelihood_of_draws_is_that_of_the_model(tmp_path: Path) -> None:
    """At draws with all their innovations: the density of the model less that of its priors."""
    from escalation_forecast.panel import build_panel
    from prior_fit import Evaluate, draw_posterior

    day = pd.Timestamp("2026-06-15")
    panel = build_panel(Store.embedded().as_of(day), day)
    model = build_model(panel, Priors.default())
    posterior = draw_posterior(model, chains=1, draws=3, seed=5)
    found = log_likelihood(model, posterior, np.arange(3))
    kept = [str(p.name) for p in model.potentials if p.name != "stocks"]
    at = Evaluate(model).at_prior_draw(seed=3)
    assert found.shape == (len(kept), 3)
    single = posterior.isel(draw=[0]).copy()
    for name in single.data_vars:
        if name in at:
            single[name] = single[name].dims, np.asarray(at[str(name)])[None, None]
    again = log_likelihood(model, single, np.arange(1))
    for position, name in enumerate(kept):
        assert again[position, 0] == pytest.approx(float(np.sum(at[name])), rel=1e-6), name
