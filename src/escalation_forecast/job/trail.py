"""The steps of a job: timed, logged, and kept in the archive as soon as there is something to keep."""

from __future__ import annotations

import datetime as dt
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from escalation_forecast.job.budget import Watch
from escalation_forecast.job.log import Log

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

STARTED: Final = "started"
DONE: Final = "done"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
# That they have begun is kept too: it shows where a job was killed.
SLOW: Final = ("fit", "explain")
LONGEST_PAUSE: Final = 10.0
LONGEST_NOTE: Final = 2000

Result = TypeVar("Result")


def job_name() -> str:
    """A name that no other job has: machine, process, time."""
    now = dt.datetime.now(dt.UTC)
    return f"{socket.gethostname()}-{os.getpid()}-{now:%Y%m%dT%H%M%S.%fZ}"


@dataclass
class Step:
    """What a step wants to say when it ends."""

    note: str = ""
    state: str = DONE


class Trail:
    """Where the job is, and where it has been.

    Parameters
    ----------
    patience : seconds to wait for an archive that went away.

    Attributes
    ----------
    keeping : whether steps go to the archive; those before that are kept back and follow, so that a job that
        finds nothing to do leaves nothing.
    """

    def __init__(self, name: str, log: Log, watch: Watch, patience: float = 0.0) -> None:
        self.name, self.log, self.watch, self.patience = name, log, watch, patience
        self.ledger: Ledger | None = None
        self.keeping = False
        self.step = ""
        self.seconds: dict[str, float] = {}
        self._held: list[dict[str, Any]] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[Step]:
        """Do a step; the budget is looked at before and after it."""
        self.step = name
        self.watch.check()
        started, clock, step = dt.datetime.now(dt.UTC), time.monotonic(), Step()
        self.log(name, STARTED, level="debug")
        if name in SLOW:
            self.row(name, STARTED, started)
        try:
            yield step
            self.watch.check()
        except BaseException as error:
            took = time.monotonic() - clock
            self.log(name, FAILED, _said(error), seconds=took, level="error")
            self.row(name, FAILED, started, _said(error), wait=False)
            raise
        took = time.monotonic() - clock
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        self.log(
            name, step.state, step.note, seconds=took, level="warning" if step.state == FAILED else "info"
        )
        self.row(name, step.state, started, step.note)

    def skip(self, name: str, why: str) -> None:
        """Leave a step out and say why."""
        self.log(name, SKIPPED, why)
        self.row(name, SKIPPED, dt.datetime.now(dt.UTC), why)

    def row(self, step: str, state: str, started: dt.datetime, note: str = "", *, wait: bool = True) -> None:
        """Note a state of a step under the run at hand."""
        self._held.append(
            {
                "job": self.name,
                "run_id": self.log.run_id,
                "step": step,
                "state": state,
                "started_at": started,
                "finished_at": None if state == STARTED else dt.datetime.now(dt.UTC),
                "note": self.log.hide(note)[:LONGEST_NOTE] or None,
            }
        )
        if self.keeping:
            self.keep(wait=wait)

    def keep(self, *, wait: bool = True) -> None:
        """Put all that was held back into the archive, and from now on everything at once."""
        from escalation_forecast.ledger import LedgerError

        self.keeping = True
        if self.ledger is None:
            return
        rows, ledger = list(self._held), self.ledger
        try:
            self.patient(lambda: ledger.put("steps", rows), wait=wait)
        except LedgerError:
            if wait:
                raise
            return
        del self._held[: len(rows)]

    def patient(self, work: Callable[[], Result], *, wait: bool = True) -> Result:
        """Do it again for a while when the database does not answer."""
        from escalation_forecast.ledger import LedgerError

        until, pause = time.monotonic() + (self.patience if wait else 0.0), 0.25
        while True:
            try:
                return work()
            except LedgerError as error:
                if time.monotonic() + pause > until:
                    raise
                self.log(self.step, "waiting", str(error), level="warning")
            time.sleep(pause)
            self.watch.check()
            pause = min(2 * pause, LONGEST_PAUSE)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
