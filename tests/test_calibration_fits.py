"""Real fits to simulated data: true values rank uniformly, and do not where simulator and model disagree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from escalation_forecast import replicate
from escalation_forecast.fit import Settings
from escalation_forecast.score.runner import run_backtest
from escalation_forecast.validation.calibration import observe as observing
from escalation_forecast.validation.calibration import truth as truths
from escalation_forecast.validation.calibration.task import ALL, CalibrationTask, fit_and_rank, workbench
from escalation_forecast.validation.calibration.uniform import Places, alarm, exact_tests

pytestmark = pytest.mark.slow

SHORT = Settings(tune=150, draws=200, chains=1, cores=1, extra_doublings=1)
FITS, FEW = 20, 10
RARE = 1e-4  # chance of a false alarm


def fitted_places(fits: int, seed: int) -> Places:
    """Places of parameters, latents and the log density in so many fits, without a forecast."""
    bench, parts = workbench(), []
    for k in range(fits):
        rng = np.random.default_rng([seed, k])
        truth = truths.draw_truth(bench.template, bench.priors, bench.coords, rng)
        panel, _ = observing.observe(bench.template, truth, bench.priors, bench.coords, rng)
        found = fit_and_rank(bench, truth, panel, SHORT, k, rng)
        parts.append(found.table.reset_index().assign(origin=k))
    return Places.of(pd.concat(parts, ignore_index=True))


def test_true_values_rank_uniformly_and_outcomes_too(tmp_path: Path) -> None:
    task = CalibrationTask(FITS, SHORT)
    run = run_backtest(task, tmp_path, executor="here", progress=False)
    assert run.counts()["done"] == FITS, run.failed
    cases = run.cases(task)
    places = Places.of(cases)
    assert len(places.pit.columns) > 350
    assert {"log density", "reaction", "eta[korea, 2026-10]", "use-of-force/korea/12m", ALL} <= set(
        places.pit
    )
    assert alarm(places) > RARE
    assert run_backtest(task, tmp_path, executor="here", progress=False).counts()["skipped"] == FITS


def worst(places: Places, name: str) -> float:
    """The smaller p-value of two exact tests of one quantity, times two."""
    found = exact_tests(places.pit[name].to_numpy())
    return 2.0 * min(found["kolmogorov"], found["tails"])


def test_a_spillover_of_the_other_sign_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = truths.with_spillovers
    monkeypatch.setattr(truths, "with_spillovers", lambda theatre, strength: right(theatre, -strength))
    # The prior has no preference for a sign, so that only what theatres do together tells.
    assert worst(fitted_places(FEW, seed=7), "log density") < RARE


def test_a_density_with_another_scale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = replicate.student_t
    monkeypatch.setattr(replicate, "student_t", lambda *given, **named: 1.5 * right(*given, **named))
    assert worst(fitted_places(FEW, seed=7), "news_noise[news_world]") < RARE
