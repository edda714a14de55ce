"""A new fit with other priors: their numbers are data of the program, so it is compiled once."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast import forecast
from escalation_forecast.fit import Checking, Report, Settings, diagnose, sample
from escalation_forecast.history.tables import load_history
from escalation_forecast.prior_data import PREFIX, DataPriors, swapped_priors
from escalation_forecast.priors import Priors
from escalation_forecast.questions import evaluate
from escalation_forecast.score.force_targets import force_targets
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.update.result import Refit

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

SETTINGS: Final = dataclasses.replace(Settings.default(), draws=600)
"""Some half of the draws of a published fit: enough for a percent of Monte Carlo error."""
# The program of the panel seen last, by what is part of it.
_PROGRAMS: Final[dict[str, tuple[Any, dict[str, list[Any]]]]] = {}


def refit(
    updater: Updater,
    priors: Priors,
    *,
    settings: Settings | None = None,
    progress: Report | bool = False,
) -> Refit:
    """Fit the model of a run with other priors and answer its questions.

    Parameters
    ----------
    progress : show a bar if on a terminal, or be told draws done, draws to do and divergences.

    Raises
    ------
    ConvergenceError
        When the sampler finds no place to start from. Gates that are not passed are in ``diagnostics``.
    """
    started = time.perf_counter()
    panel, horizon, seed = updater.panel, updater.horizon, updater.seed
    program, fresh = _program(updater, priors)
    compile_seconds = time.perf_counter() - started
    with _shown(progress) as report:
        trace = sample(program, settings or SETTINGS, seed, report)
    posterior, stats = trace["posterior"].to_dataset(), trace["sample_stats"].to_dataset()
    history = load_history()
    given = (panel, posterior, priors, horizon, seed)
    with Checking(posterior, panel.as_of) as checking:
        own = forecast.war_chains(*given, history=history).force
        targets = force_targets(updater.known, panel.as_of, own, history, priors, load_pool())
        pooled = {"spending_weight": updater.run.summary["spending_weight"]} if _pools(updater) else {}
        paths = forecast.simulate(*given, history=history, targets=targets, **pooled)
        answers = evaluate(updater.questions, paths, updater.known)
        health = diagnose(posterior, stats, paths, answers, checking)
    seconds = time.perf_counter() - started
    return Refit(posterior, paths, answers, health, seconds, fresh, compile_seconds)


def _pools(updater: Updater) -> bool:
    return updater.run.summary.get("spending_weight") is not None


def _program(updater: Updater, priors: Priors) -> tuple[Any, bool]:
    """The program with the numbers of these priors, and whether it had to be compiled."""
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model

    key = json.dumps([updater.panel.content_hash, *_structure(priors)])
    fresh = key not in _PROGRAMS
    if fresh:
        model = build_model(updater.panel, DataPriors.of(priors))
        _PROGRAMS.clear()
        _PROGRAMS[key] = compile_model(model), {name: list(labels) for name, labels in model.coords.items()}
    program, coords = _PROGRAMS[key]
    read = set(program.data)
    data = {name: values for name, values in swapped_priors(priors, coords).items() if name in read}
    unknown = {name for name in read if name.startswith(PREFIX)} - set(data)
    assert not unknown, unknown
    return program.with_data(**data), fresh


def _structure(priors: Priors) -> list[Any]:
    """What of the priors is part of the program: families, pooling and constants."""
    return [
        [name, spec.family, spec.pooling, str(dict(spec.parameters)) if spec.family == "Fixed" else ""]
        for name, spec in priors.items()
    ]


@contextmanager
def _shown(progress: Report | bool) -> Iterator[Report | None]:
    if callable(progress) or not (progress and sys.stderr.isatty()):
        yield progress if callable(progress) else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task("Fitting again", total=None, note="")

        def tell(done: int, total: int, divergences: int) -> None:
            note = f"{done:,} of {total:,} draws" + (f", {divergences} diverged" if divergences else "")
            bars.update(task, completed=done, total=total, note=note)

        yield tell
