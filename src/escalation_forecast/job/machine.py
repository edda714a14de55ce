"""One unattended reforecast, from the lock to the alerts. Every step can be done again without harm.

The expensive step is the fit. A finished fit is a whole folder under the id of what was asked, so a job that
is killed anywhere is taken up by the next one where it ended.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import pandas as pd
from sqlalchemy.exc import SQLAlchemyError

from escalation_forecast import archive
from escalation_forecast.archive import Run
from escalation_forecast.fit import ConvergenceError, Settings
from escalation_forecast.job import after, recovery, work
from escalation_forecast.job.budget import OverBudget, Terminated, Watch, guarded
from escalation_forecast.job.codes import Code
from escalation_forecast.job.config import Config
from escalation_forecast.job.content import Asked
from escalation_forecast.job.log import Bridge, Log
from escalation_forecast.job.outcome import GateError, Outcome, meaning
from escalation_forecast.job.trail import DONE, FAILED, Trail, job_name
from escalation_forecast.job.work import Tools
from escalation_forecast.ledger import Ledger, LedgerError
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger import RunRecord

LOCK: Final = "reforecast"
SQLITE: Final = "sqlite:///"


def run_job(
    config: Config,
    *,
    tools: Tools | None = None,
    dry_run: bool = False,
    again: bool = False,
    stream: TextIO | None = sys.stderr,
) -> Outcome:
    """Reforecast if anything changed, and say how it ended; nothing is raised.

    Parameters
    ----------
    tools : what reads, identifies and fits; the program's own by default.
    dry_run : say what would be done and write nothing.
    again : fit although the same content did not pass before.
    stream : for people; None for nobody.
    """
    name = job_name()
    log = Log(name, None if dry_run else config.log.file, config.log.level, hide=config.hide, stream=stream)
    watch = Watch(config.budget.minutes, config.budget.memory_gb)
    job = _Job(config, tools or Tools.default(), Trail(name, log, watch, config.archive.patience), again)
    logger, bridge = logging.getLogger("escalation_forecast"), Bridge(log)
    level = logger.level
    logger.addHandler(bridge)
    logger.setLevel(logging.INFO)
    try:
        with guarded(watch):
            outcome = job.dry() if dry_run else job.run()
    except (OverBudget, Terminated, KeyboardInterrupt) as error:
        # While the job was ending already.
        outcome = job.ended(error)
    finally:
        logger.setLevel(level)
        logger.removeHandler(bridge)
    grave = "info" if outcome.code in (Code.PUBLISHED, Code.UNCHANGED) else "error"
    log("end", outcome.code.state, outcome.message, seconds=watch.seconds, level=grave)
    return outcome


class _Job:
    def __init__(self, config: Config, tools: Tools, trail: Trail, again: bool) -> None:
        self.config, self.tools, self.trail, self.again = config, tools, trail, again
        self.log, self.new = trail.log, False
        self.asked: Asked | None = None
        self.unwritten: list[str] = []

    # How it begins and ends ---------------------------------------------------------------------------

    def run(self) -> Outcome:
        with ExitStack() as stack:
            try:
                with self.trail("lock"):
                    ledger = Ledger.open(self.config.archive.url, self.config.archive.files)
                    stack.callback(_quietly, ledger.close)
                    held = ledger.lock(LOCK)
                    held.__enter__()
                    stack.callback(_quietly, held.__exit__, None, None, None)
                    self.trail.ledger = ledger
                return self._work(ledger)
            except BaseException as error:
                return self.ended(error)

    def dry(self) -> Outcome:
        """What would be done, as far as that can be known without writing."""
        with ExitStack() as stack:
            try:
                asked, digest = self._read()
                ledger = self._existing()
                if ledger is not None:
                    stack.callback(_quietly, ledger.close)
                    latest = self._standing(ledger, asked, digest)
                    if latest is not None and self._finished(ledger, latest):
                        return self._unchanged(latest)
                with self.trail("panel"):
                    identity = self.tools.identify(asked)
                self.log.run_id = identity.of(asked.settings)
                said = f"would fit run {self.log.run_id} as of {asked.as_of}, {identity.answers} answers"
                return self._outcome(Code.PUBLISHED, f"Dry run: {said}; nothing was written.")
            except BaseException as error:
                return self.ended(error)

    def ended(self, error: BaseException) -> Outcome:
        """The outcome that an error stands for; whoever has to hear of it does."""
        step = self.trail.step
        code, message = meaning(error, step)
        if isinstance(error, GateError):
            self._tell(error, error.run_id)
        elif code in (Code.BUDGET, Code.REFUSED):
            self._tell(error)
        elif code == Code.OTHER:
            self.log(step, "traceback", "".join(traceback.format_exception(error)), level="error")
        return self._outcome(code, message)

    def _outcome(self, code: Code, message: str) -> Outcome:
        trail, hidden = self.trail, self.config.hide(message)
        return Outcome(code, hidden, trail.name, self.log.run_id, self.new, dict(trail.seconds))

    def _tell(self, error: BaseException, run_id: str = "") -> None:
        """Alert of a failure; one that does not get through is no further failure."""
        ledger = self.trail.ledger
        if ledger is None or not self.config.alerts.enabled:
            return
        self.trail.keep(wait=False)
        try:
            from escalation_forecast import alerts

            today, step = dt.date.today(), self.trail.step
            found: list[Any]
            if isinstance(error, OverBudget):
                out = self.log.run_id if self.new else ""
                found = [alerts.over_budget(error.what, error.used, error.limit, step, today, out)]
            elif isinstance(error, GateError):
                as_of = str(self.asked.as_of) if self.asked is not None else None
                found = alerts.gate_failed({"passed": False, "reasons": error.reasons}, {"as_of": as_of})
            else:
                found = [alerts.input_refused(self.config.hide(str(error)), today)]
            self.log("alert", DONE, after.alert(ledger, run_id, found, self.config))
        except Exception as fault:
            # How the job ends does not depend on who hears of it.
            self.log("alert", FAILED, f"{type(fault).__name__}: {fault}", level="warning")

    # What it does -------------------------------------------------------------------------------------

    def _work(self, ledger: Ledger) -> Outcome:
        out = ledger.files.local or self.config.archive.work
        self._recover(ledger, out)
        asked, digest = self._read()
        standing = self._standing(ledger, asked, digest)
        if standing is not None and self._finished(ledger, standing):
            self._late(ledger, asked)
            return self._unchanged(standing)
        self.trail.keep()
        if standing is None:
            run = self._fitted(ledger, asked, digest, out)
            self._archive(ledger, run, digest)
            standing = ledger.get(str(run.summary["run_id"]))
        self.log.run_id = standing.run_id
        self._follow(ledger, standing, asked)
        said = "published" if standing.state == "published" else "kept as a draft"
        if not self.new:
            said += " before; what follows from it is done now"
        said = f"Run {standing.run_id} as of {standing.as_of} {said}"
        if self.unwritten:
            lacking = "; ".join(self.unwritten)
            return self._outcome(Code.NOT_WRITTEN, f"{said}, but this could not be written: {lacking}.")
        return self._outcome(Code.PUBLISHED, f"{said}.")

    def _recover(self, ledger: Ledger, out: Path) -> None:
        gone = recovery.remove_halves(out) + recovery.remove_halves(self.config.export.out)
        if gone:
            self.log("recover", DONE, f"removed {', '.join(gone)}")
        self.trail.step = "archive"
        for identity in recovery.take_in(ledger, out, self.trail.name, self.trail.keep):
            self.new = self.new or not identity.endswith(".failed")
            self.log("recover", DONE, f"{identity} was finished by an earlier job and is in the archive now")

    def _read(self) -> tuple[Asked, str]:
        with self.trail("data") as step:
            try:
                self.asked = asked = self.tools.read(self.config)
            except DataError:
                self.trail.keeping = True
                raise
            digest = asked.digest()
            step.note = f"as of {asked.as_of}, content {digest[:12]}"
        return asked, digest

    def _standing(self, ledger: Ledger, asked: Asked, digest: str) -> RunRecord | None:
        """The run that already answers what is asked: the latest one, or a draft."""
        with self.trail("compare") as step:
            mine = list(self._begun(ledger, digest)["run_id"])
            latest = ledger.latest()
            if not asked.draft:
                found = latest if latest is not None and latest.run_id in mine else None
            else:
                drafts = set(ledger.runs(state="draft")["run_id"])
                found = next((ledger.get(one) for one in mine if one in drafts), None)
            since = "nothing" if found is not None else "something"
            step.note = f"{since} changed since run {latest.run_id}" if latest else "the first run"
        return found

    @staticmethod
    def _begun(ledger: Ledger, digest: str) -> pd.DataFrame:
        """Ids under which jobs have begun to fit that content, the newest first."""
        rows = ledger.table("steps", step=list(recovery.IDENTIFIED), state=DONE, note=digest)
        return rows.sort_values("started_at", ascending=False)

    @staticmethod
    def _finished(ledger: Ledger, run: RunRecord) -> bool:
        return len(ledger.table("steps", run_id=run.run_id, step="done", state=DONE)) > 0

    def _unchanged(self, run: RunRecord) -> Outcome:
        self.log.run_id = run.run_id
        return self._outcome(
            Code.UNCHANGED, f"Nothing changed since run {run.run_id} as of {run.as_of}; nothing was fitted."
        )

    def _fitted(self, ledger: Ledger, asked: Asked, digest: str, out: Path) -> Run:
        """A run that passed its gates, of the first fit or of the one retry."""
        with self.trail("panel"):
            identity = self.tools.identify(asked)
        retry = self.config.retry
        attempts = [("id", asked.settings)]
        if retry.enabled and not asked.draft:
            longer = work.longer(asked.settings, retry.warm_up, retry.target_accept)
            attempts.append(("retry", longer))
        begun = self._begun(ledger, digest)
        reasons: tuple[str, ...] = ()
        failures = ledger.runs(state="failed").set_index("run_id")
        for name, settings in attempts:
            tried = [one for one in begun.loc[begun["step"] == name, "run_id"] if one in failures.index]
            if tried and not self.again:
                self.log.run_id, reasons = tried[0], ledger.get(tried[0]).reasons
                self.trail.skip("fit", f"the same content did not pass before: {' '.join(reasons)}")
                continue
            self.log.run_id = identity.of(settings)
            self.trail.row(name, DONE, dt.datetime.now(dt.UTC), digest)
            try:
                return self._fit(asked, settings, out)
            except ConvergenceError as error:
                reasons = error.diagnostics.reasons if error.diagnostics else (str(error),)
                self._failure(ledger, asked, settings, out, reasons)
        raise GateError(self.log.run_id, reasons)

    def _fit(self, asked: Asked, settings: Settings, out: Path) -> Run:
        with self.trail("fit") as step:
            step.note = f"{settings.tune} tuning draws, target acceptance {settings.target_accept:g}"
            run = self.tools.fit(asked, settings, out)
        with self.trail("gates"):
            if not asked.draft:
                # What the fit says of itself is looked at once more before anybody sees it.
                health = run.summary.get("diagnostics") or {}
                if run.summary.get("published") is not True or health.get("passed") is not True:
                    said = tuple(health.get("reasons") or ("The run says that it is not published.",))
                    raise ConvergenceError(" ".join(said))
        return run

    def _failure(
        self, ledger: Ledger, asked: Asked, settings: Settings, out: Path, reasons: tuple[str, ...]
    ) -> None:
        """Keep a fit that failed, from the folder that it left or from what is known of it here."""
        folder = out / f"{self.log.run_id}.failed"
        summary: Mapping[str, Any]
        if (folder / archive.SUMMARY).is_file():
            summary = archive.load_run(folder).summary
        else:
            from escalation_forecast.job.content import model_version

            summary = {
                "run_id": self.log.run_id,
                "as_of": asked.as_of.isoformat(),
                "created_at": dt.datetime.now(dt.UTC).isoformat(),
                "horizon_months": asked.horizon,
                "seed": asked.seed,
                "model_version": model_version(),
                "settings": settings.canonical(),
                "diagnostics": {"passed": False, "reasons": list(reasons)},
            }
        self.trail.patient(lambda: ledger.fail(summary, job=self.trail.name))

    def _archive(self, ledger: Ledger, run: Run, digest: str) -> None:
        own = str(run.summary["run_id"])
        if own != self.log.run_id:
            # Should the two ever differ, the run's own counts, and the next job has to know it.
            self.log.run_id = own
            self.trail.row("id", DONE, dt.datetime.now(dt.UTC), digest)
        with self.trail("archive") as step:
            put = ledger.add if run.summary.get("draft") else ledger.publish
            self.new = self.trail.patient(lambda: put(run.folder, job=self.trail.name))
            step.note = "visible now" if self.new else "was there already"

    def _follow(self, ledger: Ledger, run: RunRecord, asked: Asked) -> None:
        previous = after.before(ledger, run) if run.state == "published" else None
        self._explain(ledger, run, previous, asked)
        if self.config.export.kinds:
            self._write("export", lambda: after.export(ledger, run, self.config))
        else:
            self.trail.skip("export", "none is wanted")
        if self.config.report.enabled:
            self._write("report", lambda: after.report(run, self.config))
        else:
            self.trail.skip("report", "turned off")
        told = self._answered(ledger, asked)
        if self.config.alerts.enabled:
            with self.trail("alert") as step:
                found = [*after.moved(run, previous, self.config), *self.tools.late(asked), *told]
                self._send(ledger, run.run_id, found, step)
        else:
            self.trail.skip("alert", "turned off")
        if not self.unwritten:
            with self.trail("done"):
                pass

    def _write(self, name: str, write: Callable[[], str]) -> None:
        """Do a step whose failure is no reason to keep alerts back; the next job does it again."""
        with self.trail(name) as step:
            try:
                step.note = write()
            except (LedgerError, SQLAlchemyError):
                raise
            except Exception as error:
                step.state, step.note = FAILED, f"{type(error).__name__}: {error}"
                self.unwritten.append(f"{name} ({error})")

    def _answered(self, ledger: Ledger, asked: Asked) -> list[Any]:
        """Questions of earlier runs that were answered; a contradiction waits for people."""
        told: list[Any] = []
        with self.trail("resolve") as step:
            try:
                told = self.tools.answered(ledger, asked)
                step.note = f"{len(told)} questions answered"
            except (LedgerError, SQLAlchemyError):
                raise
            except Exception as error:
                step.state, step.note = FAILED, f"{type(error).__name__}: {error}"
        return told

    def _explain(self, ledger: Ledger, run: RunRecord, previous: RunRecord | None, asked: Asked) -> None:
        if not self.config.explain.enabled:
            self.trail.skip("explain", "turned off")
        elif previous is None:
            self.trail.skip("explain", "there is no earlier run")
        else:
            with self.trail("explain") as step:
                try:
                    step.note = self.tools.explain(ledger, run, previous, asked, self.config.explain.refit)
                except (LedgerError, SQLAlchemyError):
                    raise
                except Exception as error:
                    # The forecast stands without; `explain` can be asked again by hand.
                    step.state, step.note = FAILED, f"{type(error).__name__}: {error}"

    def _late(self, ledger: Ledger, asked: Asked) -> None:
        """On a day without change a series may still turn out to be late."""
        if self.config.alerts.enabled:
            with self.trail("alert") as step:
                self._send(ledger, "", self.tools.late(asked), step)

    def _send(self, ledger: Ledger, run_id: str, found: list[Any], step: Any) -> None:
        try:
            step.note = after.alert(ledger, run_id, found, self.config)
        except DataError as error:
            # A target out of reach never fails the job; what was not sent goes with the next one.
            step.state, step.note = FAILED, str(error)

    def _existing(self) -> Ledger | None:
        """The archive if there is one: to make one would be to write."""
        url = self.config.archive.url
        if url.startswith(SQLITE) and not Path(url.removeprefix(SQLITE)).is_file():
            return None
        return Ledger.open(url, self.config.archive.files)


def _quietly(call: Any, *given: Any) -> None:
    """Let go of something whose other end may be gone."""
    try:
        call(*given)
    except Exception:
        return
