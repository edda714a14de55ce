"""How far a backtest is: a bar on a terminal, a line per cell elsewhere, nothing when asked for silence."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from escalation_forecast.score.cells import Cell

Seconds = Mapping[tuple[str, str], Sequence[float]]
"""Seconds of finished cells by task and model."""


class Teller(Protocol):
    """Told what happens."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin(self, total: int, ready: int) -> None:
        """Cells in all, and those that need not run."""

    def cell(self, cell: Cell, state: str, seconds: float, error: str | None, left: float | None) -> None:
        """A cell ended; ``left`` seconds remain by the reckoning of `time_left`."""

    def say(self, sentence: str) -> None:
        """Something else that the user should know."""


def teller(progress: bool | None) -> Teller:
    """A bar on a terminal and lines elsewhere; silence for False."""
    if progress is False:
        return Silent()
    return Bar() if sys.stderr.isatty() else Lines()


def time_left(waiting: Sequence[Cell], seconds: Seconds, workers: int) -> float | None:
    """Seconds until all cells are finished, each taken to last as long as the mean of its model.

    A model without a finished cell is taken to last as long as the mean over models; None before any
    cell is finished.
    """
    means = {model: sum(known) / len(known) for model, known in seconds.items() if known}
    if not means:
        return None
    usual = sum(means.values()) / len(means)
    return sum(means.get((cell.task, cell.model), usual) for cell in waiting) / max(workers, 1)


def in_words(seconds: float | None) -> str:
    """``47 s``, ``12 min`` or ``3.4 h``."""
    if seconds is None or math.isnan(seconds):
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Silent:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def begin(self, total: int, ready: int) -> None:
        return None

    def cell(self, cell: Cell, state: str, seconds: float, error: str | None, left: float | None) -> None:
        return None

    def say(self, sentence: str) -> None:
        return None


class Lines(Silent):
    """A line per cell on stderr."""

    def __init__(self) -> None:
        self._total, self._ended = 0, 0

    def begin(self, total: int, ready: int) -> None:
        self._total, self._ended = total, ready
        if ready:
            self.say(f"{ready} of {total} cells need not run.")

    def cell(self, cell: Cell, state: str, seconds: float, error: str | None, left: float | None) -> None:
        self._ended += 1
        what = f"failed, {error}" if error else state
        end = f", {in_words(left)} left" if left else ""
        self.say(
            f"{self._ended}/{self._total} {cell.task} {cell.model} {cell.origin}: {what} in "
            f"{in_words(seconds)}{end}"
        )

    def say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)


class Bar:
    """A bar on a terminal; failures and notes stay above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("backtest"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[last]}", markup=False),
            console=Console(stderr=True),
        )
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, total: int, ready: int) -> None:
        self._task = self._bar.add_task("", total=total, completed=ready, left="", last="")

    def cell(self, cell: Cell, state: str, seconds: float, error: str | None, left: float | None) -> None:
        what = f"{cell.model} {cell.origin}"
        self._bar.update(
            self._task,
            advance=1,
            left=f"{in_words(left)} left" if left else "",
            last=f"{what} {in_words(seconds)}",
        )
        if error:
            self.say(f"{cell.task} {what} failed: {error}")

    def say(self, sentence: str) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False)
