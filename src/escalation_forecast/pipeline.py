"""From dated figures to a stored forecast: check, fit, simulate, judge, write.

Nothing is sampled before everything that was asked for has been checked, and a run that is already
there is returned as it is.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import pandas as pd
import xarray as xr

from escalation_forecast import archive
from escalation_forecast.archive import Run, load_run
from escalation_forecast.fit import Checking, ConvergenceError, Diagnostics, Settings, diagnose, sample
from escalation_forecast.identity import run_identity
from escalation_forecast.prior_data import DataPriors
from escalation_forecast.priors import Priors
from escalation_forecast.run_files import write_run
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.questions import Answer, Question
    from escalation_forecast.store import Store

__all__ = ["Run", "load_run", "run_forecast"]

DEFAULT_SEED: Final = 1
LONGEST_HORIZON: Final = 120
PACKAGES: Final = (
    "escalation-forecast", "pymc", "pytensor", "nutpie", "numba", "numpy", "scipy", "xarray", "pandas",
    "arviz",
)  # fmt: skip


def run_forecast(
    store: Store,
    *,
    as_of: dt.date | None = None,
    horizon: int = 36,
    seed: int = DEFAULT_SEED,
    priors: Priors | None = None,
    questions: Sequence[Question] | None = None,
    out: Path | str = Path("runs"),
    draft: bool = False,
    progress: bool = True,
    settings: Settings | None = None,
    pool_spending: bool = True,
    start_from_last: bool = False,
) -> Run:
    """Fit the model to what was known and keep the forecast under ``out/<id>/``.

    Parameters
    ----------
    store : cut at ``as_of`` or not.
    as_of : last day of publication that may be known; by default that of the store's cut, or today.
    horizon : months ahead, 1 to 120.
    draft : a short fit; its gates are reported but do not stop it, and it is never published.
    progress : show the steps, if on a terminal.
    pool_spending : pool the paths of spending with simple methods, with the weight that outcomes known on the
        day had earned (``data/spending_pool.toml``); otherwise they are the model's alone.
    start_from_last : start the sampler from the newest published run in ``out`` of the same version of the
        model, with half of the tuning. Draws then depend on that run too; the summary names it. A fit
        that does not pass its gates so is made again from the priors.

    Raises
    ------
    DataError
        For bad input, before anything is sampled.
    ConvergenceError
        When the fit does not pass its gates; the reasons are kept in ``out/<id>.failed/``.
    ArchiveError
        When the run cannot be written.
    """
    from escalation_forecast import forecast
    from escalation_forecast.card import source_records, write_card
    from escalation_forecast.history.tables import load_history
    from escalation_forecast.model import MODEL_VERSION, build_model
    from escalation_forecast.panel import build_panel
    from escalation_forecast.prior_labels import check_labels
    from escalation_forecast.push import push
    from escalation_forecast.questions import bind, evaluate, load_questions
    from escalation_forecast.score.force_targets import force_targets
    from escalation_forecast.score.ladder_pool import load_pool
    from escalation_forecast.score.spending_pool_file import load_spending_pool
    from escalation_forecast.skill.stored import lines, load_skill
    from escalation_forecast.war_paths import war_paths
    from escalation_forecast.war_summary import prior_shares, war_findings

    started, out = time.perf_counter(), Path(out)
    day = _checked_day(as_of, store)
    _check_numbers(horizon, seed)
    settings = settings or (Settings.draft() if draft else Settings.default())
    default_priors = Priors.default()
    priors = priors or default_priors
    questions = load_questions() if questions is None else list(questions)
    # Cut first: what a store without a cut holds of the future must not reach the model's dims.
    known = store.as_of(day)
    check_labels(priors, known)
    panel = build_panel(known, pd.Timestamp(day))
    bind(questions, known, as_of=day, horizon=horizon)
    history, pool = load_history(), load_pool()
    spending_weight = load_spending_pool().at(day) if pool_spending else 1.0
    identity = run_identity(
        panel, history=history, spending_weight=spending_weight, as_of=day, priors=priors,
        questions=questions, horizon=horizon, settings=settings.canonical(), model_version=MODEL_VERSION,
        seed=seed, draft=draft,
    )  # fmt: skip
    asked = [question.rule for question in questions]
    measured = lines(load_skill(), asked, MODEL_VERSION, pooled_spending=pool_spending)
    if (finished := archive.find(out, identity)) is not None:
        return finished
    summary: dict[str, Any] = {
        "schema_version": archive.SUMMARY_VERSION,
        "run_id": identity,
        "as_of": day.isoformat(),
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "draft": draft,
        "published": False,
        "horizon_months": horizon,
        "seed": seed,
        "model_version": MODEL_VERSION,
        "settings": settings.canonical(),
        "versions": _versions(),
        "priors_changed": priors.changed(default_priors),
        "spending_weight": spending_weight,
        "data": {
            "content_hash": panel.content_hash,
            "last_month": {k: f"{v:%Y-%m}" for k, v in sorted(panel.last_period.items())},
            "n_observations": panel.n_observations,
            "sources": source_records(known),
        },
        "theatres": [],
        "questions": [],
        "skill": measured,
        "spending": [],
        "war": None,
    }
    with archive.partial(out, identity) as folder, _Steps(progress) as step, ExitStack() as stack:

        def judged(trace: xr.DataTree) -> _Judged:
            """What follows from draws. Whether they may be published is found out meanwhile."""
            posterior, stats = trace["posterior"].to_dataset(), trace["sample_stats"].to_dataset()
            checking = stack.enter_context(Checking(posterior, day))
            with step("Simulating the future"):
                given = (panel, posterior, priors, horizon, seed)
                own = forecast.war_chains(*given, history=history).force
                wanted = force_targets(known, pd.Timestamp(day), own, history, priors, pool)
                moved: dict[str, Any] = {"history": history, "targets": wanted}
                paths = forecast.simulate(*given, **moved, spending_weight=spending_weight)
                answers = evaluate(questions, paths, known)
                pushed = push(panel, posterior)
            with step("Tracing the wider war"):
                war = war_findings(forecast.war_chains(*given, **moved), paths)
                shares = prior_shares(
                    answers,
                    lambda loosen: war_paths(forecast.war_chains(*given, **moved, loosen=loosen), posterior),
                )
            return _Judged(posterior, stats, paths, answers, pushed, war, shares, checking)

        def checked(found: _Judged) -> Diagnostics:
            with step("Checking the fit"):
                return diagnose(found.posterior, found.stats, found.paths, found.answers, found.checking)

        try:
            with step("Compiling the model"):
                # Here and not above: the model is the slow import.
                from escalation_forecast.compile import compile_model

                # Numbers of priors are data, so that a fit with others finds this program on disk.
                compiled = compile_model(build_model(panel, DataPriors.of(priors)))
            start = archive.newest_start(out, MODEL_VERSION, day) if start_from_last else None
            report = step.report if step.shown else None
            found = diagnostics = None
            if start is not None:
                with suppress(ConvergenceError):
                    with step("Sampling"):
                        trace = sample(compiled.start_at(start[1]), settings.warm(), seed, report)
                    found = judged(trace)
                    diagnostics = checked(found)
                if diagnostics is None or not (draft or diagnostics.passed):
                    start = found = diagnostics = None
            if found is None:
                with step("Sampling"):
                    trace = sample(compiled, settings, seed, report)
                found = judged(trace)
        except ConvergenceError as error:
            nothing = Diagnostics(None, None, None, 0, None, (str(error),))
            summary["diagnostics"] = _health(nothing, step.seconds, started)
            archive.fail(out, identity, summary)
            raise
        findings = _findings(found.paths, found.answers, found.pushed, found.shares)
        result = summary | {"published": not draft, **findings, "war": found.war}
        result["started_from"] = start[0] if start else None
        try:
            with step("Writing the run"), archive.writing(out):
                write_run(folder, result, found.paths, panel, found.posterior, found.stats, priors, seed)
                if "start" in trace.children:
                    archive.write_start(trace["start"].to_dataset(), folder / archive.START)
        except (ArithmeticError, TypeError, ValueError):
            # What cannot be plotted or tabulated is most likely of a bad fit, and then that is what to say.
            diagnostics = diagnostics or checked(found)
            if draft or diagnostics.passed:
                raise
        diagnostics = diagnostics or checked(found)
        health = _health(diagnostics, step.seconds, started)
        if not (diagnostics.passed or draft):
            kept = archive.fail(out, identity, summary | {"diagnostics": health})
            reasons = " ".join(diagnostics.reasons)
            raise ConvergenceError(f"{reasons} Reasons are kept in {kept}.", diagnostics)
        result["diagnostics"] = health
        with archive.writing(out):
            archive.write_summary(result, folder)
            write_card(folder, result, known)
        target = archive.finish(folder, out, identity)
    return Run(target, load_run(target).summary, found.paths)


def _checked_day(as_of: dt.date | None, store: Store) -> dt.date:
    today = dt.date.today()
    day = as_of or store.as_of_date or today
    if isinstance(day, dt.datetime):
        day = day.date()
    if day > today:
        raise DataError(
            f"The as-of date {day} lies in the future, where nothing is known yet; give today or earlier."
        )
    return day


def _check_numbers(horizon: int, seed: int) -> None:
    if not 1 <= horizon <= LONGEST_HORIZON:
        raise DataError(f"A horizon of {horizon} months is out of range; choose 1 to {LONGEST_HORIZON}.")
    if not 0 <= seed < 2**63:
        raise DataError(f"A seed of {seed} is out of range; choose a number from 0 to 2^63 - 1.")


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _health(diagnostics: Diagnostics, seconds: Mapping[str, float], started: float) -> dict[str, Any]:
    return {
        **diagnostics.as_dict(),
        "compile_seconds": seconds.get("Compiling the model"),
        "sampling_seconds": seconds.get("Sampling"),
        "total_seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10))


def _findings(
    paths: xr.Dataset,
    answers: Sequence[Answer],
    pushed: Mapping[str, list[dict[str, Any]]],
    shares: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    from escalation_forecast.report.tables import spending_summaries, theatre_summaries

    return {
        "theatres": [
            {**entry, "pushed_by": list(pushed.get(entry["theatre"], []))}
            for entry in theatre_summaries(paths)
        ],
        "questions": [answer.as_dict() | {"prior_share": shares.get(answer.item.id)} for answer in answers],
        "spending": spending_summaries(paths),
    }


class _Judged(NamedTuple):
    """What follows from the draws of a fit."""

    posterior: xr.Dataset
    stats: xr.Dataset
    paths: xr.Dataset
    answers: list[Answer]
    pushed: Mapping[str, list[dict[str, Any]]]
    war: Any
    shares: Mapping[str, Mapping[str, Any]]
    checking: Checking


class _Steps:
    """Times the steps and shows them on a terminal, silent elsewhere."""

    def __init__(self, wanted: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self.shown = wanted and console.is_terminal
        self.seconds: dict[str, float] = {}
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not self.shown,
        )
        self._task = self._bars.add_task("Reading", total=None, visible=False, note="")

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        self._task = self._bars.add_task(name, total=None, note="")
        yield
        self._bars.update(self._task, total=1, completed=1)
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - start, 1)

    def report(self, done: int, total: int, divergences: int) -> None:
        """How far the sampler is."""
        note = f"{done:,} of {total:,} draws"
        if divergences:
            note += f", {divergences} diverged"
        self._bars.update(self._task, completed=done, total=total, note=note)
