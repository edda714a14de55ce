"""How a job can end: one table of exit codes, which the docs and the command quote."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Code(IntEnum):
    """Exit codes of ``reforecast``; those below 10 are those of every command."""

    PUBLISHED = 0
    OTHER = 1
    BAD_OPTION = 2
    NOT_WRITTEN = 4
    UNCHANGED = 10
    GATE_FAILED = 20
    REFUSED = 30
    ARCHIVE = 40
    BUDGET = 50
    LOCKED = 60
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def state(self) -> str:
        """One word or two for logs."""
        return self.name.lower().replace("_", "-")


MEANINGS: Final[dict[Code, str]] = {
    Code.PUBLISHED: "published: this run is in the archive with all that follows from it",
    Code.OTHER: "any other failure; the log has the traceback",
    Code.BAD_OPTION: "bad option on the command line",
    Code.NOT_WRITTEN: "published, but the export or the report could not be written; the next job does",
    Code.UNCHANGED: "nothing changed since the latest run: nothing fitted, nothing written",
    Code.GATE_FAILED: "the fit did not pass its gates, twice; kept as failed, the latest run stays",
    Code.REFUSED: "the configuration or the data were refused; one sentence says what and where",
    Code.ARCHIVE: "the archive cannot be reached or written: database, folder or disk",
    Code.BUDGET: "over the budget of time or memory; stopped, the latest run stays",
    Code.LOCKED: "another job holds the lock",
    Code.INTERRUPTED: "interrupted (Ctrl-C)",
    Code.TERMINATED: "ended by SIGTERM, cleanly",
}
