"""How a job ended, and which error stands for which end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from escalation_forecast.archive import ArchiveError
from escalation_forecast.job.budget import OverBudget, Terminated
from escalation_forecast.job.codes import Code
from escalation_forecast.ledger import LedgerError, LockedError
from escalation_forecast.schema import DataError


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    run_id : of the run it is about; empty if it came to none.
    new : whether this job made the run visible.
    seconds : of each step.
    """

    code: Code
    message: str
    job: str
    run_id: str
    new: bool
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "exit_code": int(self.code),
            "state": self.code.state,
            "message": self.message,
            "job": self.job,
            "run_id": self.run_id or None,
            "new": self.new,
            "seconds": dict(self.seconds),
        }


class GateError(Exception):
    """Neither fit passed; `run_id` is the last one's."""

    def __init__(self, run_id: str, reasons: tuple[str, ...]) -> None:
        super().__init__(" ".join(reasons))
        self.run_id, self.reasons = run_id, reasons


def meaning(error: BaseException, step: str) -> tuple[Code, str]:
    """The exit code of an error in a step, and a sentence."""
    message = " ".join(str(error).split())
    match error:
        case LockedError() if step == "lock":
            return Code.LOCKED, message
        case LedgerError() | ArchiveError():
            return Code.ARCHIVE, message
        case SQLAlchemyError():
            said = " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())
            return Code.ARCHIVE, f"The archive went away in step `{step}` ({said})."
        case DataError() if step == "archive":
            return Code.ARCHIVE, message
        case KeyboardInterrupt():
            return Code.INTERRUPTED, f"Interrupted in step `{step}`; the next job goes on."
        case Terminated():
            return Code.TERMINATED, f"Ended by SIGTERM in step `{step}`; the next job goes on."
        case GateError():
            return Code.GATE_FAILED, message
        case OverBudget():
            return Code.BUDGET, f"{message[:1].upper()}{message[1:]} by step `{step}`."
        case DataError():
            return Code.REFUSED, message
    return Code.OTHER, f"{type(error).__name__} in step `{step}`: {message}"
