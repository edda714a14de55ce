"""The parts of the work that a job calls, each of which can be replaced: read, identify, fit, explain."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from escalation_forecast.archive import Run
from escalation_forecast.fit import Settings
from escalation_forecast.job.config import Config
from escalation_forecast.job.content import Asked, Identity
from escalation_forecast.schema import DataError
from escalation_forecast.tables import figure_files

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger, RunRecord
    from escalation_forecast.store import Store


class Ids(Protocol):
    """The id of a run by the settings of its sampler."""

    answers: int

    def of(self, settings: Settings) -> str: ...


Fit = Callable[[Asked, Settings, Path], Run]
"""Fits what is asked with these settings and keeps the run under the folder; ConvergenceError if it fails."""


@dataclass(frozen=True)
class Tools:
    """What a job works with."""

    read: Callable[[Config], Asked]
    identify: Callable[[Asked], Ids]
    fit: Fit
    explain: Callable[[Ledger, RunRecord, RunRecord, Asked, Literal["auto", "never"]], str]
    late: Callable[[Asked], list[Any]]
    """Alerts of series that are late."""
    answered: Callable[[Ledger, Asked], list[Any]]
    """Alerts of questions of earlier runs that the figures answer now."""

    @classmethod
    def default(cls) -> Tools:
        """Those of the program."""
        return cls(read=read, identify=Identity, fit=fit, explain=explain, late=late, answered=answered)


def read(config: Config) -> Asked:
    """The figures, priors and questions of a configuration, checked.

    Raises
    ------
    DataError
    """
    from escalation_forecast.prior_labels import check_labels
    from escalation_forecast.priors import Priors
    from escalation_forecast.question_file import load_questions
    from escalation_forecast.store import Store

    try:
        store = Store.load(config.data.dir) if config.data.dir else Store.embedded()
        if config.data.observations or config.data.indicators:
            store = store.with_files(observations=config.data.observations, indicators=config.data.indicators)
        base = store
        if config.data.incoming and (files := _incoming(config.data.incoming)):
            store = store.with_files(observations=files)
        priors = Priors.default()
        if config.run.priors:
            priors = priors.override(config.run.priors)
            check_labels(priors, store)
        questions = load_questions(config.run.questions)
    except OSError as error:
        raise DataError(
            f"{error.filename or 'A file'} cannot be read ({error.strerror}); check the path."
        ) from error
    day = config.run.as_of or dt.date.today()
    return Asked(
        store=store.as_of(day),
        as_of=day,
        horizon=config.run.horizon,
        seed=config.run.seed,
        priors=priors,
        questions=questions,
        draft=config.run.draft,
        settings=Settings.draft() if config.run.draft else Settings.default(),
        start_from_last=config.run.start_from_last,
        earlier=partial(_as_received, base, config.data.incoming) if config.data.incoming else None,
    )


def _as_received(base: Store, folder: Path, moment: dt.datetime) -> Store:
    from escalation_forecast.intake import as_received

    return as_received(folder, base, moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _incoming(folder: Path) -> Path | None:
    """The folder, if there is something in it."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; make it, or take `incoming` out of [data].")
    return folder if figure_files(folder) else None


def fit(asked: Asked, settings: Settings, out: Path) -> Run:
    """`pipeline.run_forecast` of what is asked."""
    from escalation_forecast.pipeline import run_forecast

    return run_forecast(
        asked.store,
        as_of=asked.as_of,
        horizon=asked.horizon,
        seed=asked.seed,
        priors=asked.priors,
        questions=asked.questions,
        out=out,
        draft=asked.draft,
        progress=False,
        settings=settings,
        # A second attempt is for a longer search for scales.
        start_from_last=asked.start_from_last and settings == asked.settings,
    )


def longer(settings: Settings, warm_up: float, target_accept: float) -> Settings:
    """Settings of the fit after one that did not pass."""
    return dataclasses.replace(
        settings,
        tune=round(settings.tune * warm_up),
        target_accept=max(settings.target_accept, target_accept),
    )


def explain(
    ledger: Ledger, run: RunRecord, previous: RunRecord, asked: Asked, refit: Literal["auto", "never"]
) -> str:
    """Why answers moved since the previous run, into the archive; what moved most, in a sentence.

    What is in the archive already is not found out again: it may take a fit.
    """
    if len(ledger.table("explanations", run_id=run.run_id, previous_id=previous.run_id)):
        return "was there already"
    from escalation_forecast.explain import explain as explained

    given: dict[str, Any] = {"store": asked.store, "questions": list(asked.questions), "refit": refit}
    try:
        found = explained(ledger, run.run_id, previous.run_id, **given)
    except DataError:
        if asked.earlier is None:
            raise
        # Figures that came in later on the day of the earlier run are not what it was made from.
        before = asked.earlier(previous.created_at)
        found = explained(ledger, run.run_id, previous.run_id, previous_store=before, **given)
    ledger.put("explanations", found.rows())
    most = found.largest(1)
    return found.words(most[0].answer) if most else f"{len(found.answers)} answers, none of them moved"


def late(asked: Asked) -> list[Any]:
    """Series that should have come and have not."""
    from escalation_forecast import alerts

    return list(alerts.stale(asked.store, asked.as_of))


def answered(ledger: Ledger, asked: Asked) -> list[Any]:
    """Answer archived forecasts whose named source has come, and what there is to tell of it."""
    from escalation_forecast import alerts, records

    found = records.resolve(
        ledger, asked.store, questions=list(asked.questions), propose=False, today=asked.as_of
    )
    return alerts.resolved([one.row() for one in found.new])
