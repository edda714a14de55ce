"""What a job says: lines of JSON for machines, and a line on stderr for people."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
NAMED: Final = {number: name for name, number in LEVELS.items()}


class Log:
    """A job's log.

    Parameters
    ----------
    job : its name.
    file : JSON lines are appended to it; none if None.
    level : of the least that is kept.
    hide : takes secrets out of a text.
    stream : for people; stderr by default, None for nobody.
    """

    def __init__(
        self,
        job: str,
        file: Path | None = None,
        level: str = "info",
        *,
        hide: Callable[[str], str] = str,
        stream: TextIO | None = sys.stderr,
    ) -> None:
        self.job, self.file, self.least, self.hide, self.stream = job, file, LEVELS[level], hide, stream
        self.run_id = ""
        self._broken = False

    def __call__(
        self, step: str, state: str, message: str = "", *, seconds: float | None = None, level: str = "info"
    ) -> None:
        """Say that a step has come to a state."""
        if LEVELS[level] < self.least:
            return
        message = self.hide(message)
        now = dt.datetime.now(dt.UTC)
        self._write(
            {
                "time": now.isoformat(timespec="milliseconds"),
                "level": level,
                "job": self.job,
                "run_id": self.run_id or None,
                "step": step,
                "state": state,
                "seconds": None if seconds is None else round(seconds, 3),
                "message": message,
            }
        )
        took = "" if seconds is None else f" ({seconds:.1f} s)"
        mark = "" if LEVELS[level] < LEVELS["warning"] else f"{level.upper()} "
        self._say(f"{now:%H:%M:%S} {mark}{step}: {state}{took}{f' - {message}' if message else ''}")

    def _write(self, record: dict[str, Any]) -> None:
        if self.file is None or self._broken:
            return
        line = json.dumps(record, ensure_ascii=False) + "\n"
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # One write of one line: those of jobs at the same time do not mix.
            handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(handle, line.encode())
            finally:
                os.close(handle)
        except OSError as error:
            # A log that cannot be written is no reason to publish nothing.
            self._broken = True
            self._say(f"WARNING log: {self.file} cannot be written ({error.strerror}); it goes on without.")

    def _say(self, line: str) -> None:
        if self.stream is not None:
            print(line, file=self.stream, flush=True)


class Bridge(logging.Handler):
    """Takes what other parts of the program log into the job's."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        level = NAMED[min(max(record.levelno // 10 * 10, 10), 40)]
        self.log(record.name.rpartition(".")[2], "said", record.getMessage(), level=level)
