"""What runs cells, seen from the runner: workers that take one cell at a time and hand it back."""

from __future__ import annotations

import os
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from escalation_forecast.score.cell_files import Failure
from escalation_forecast.score.cells import CASE_COLUMNS, CORES, Cell, CellResult, Task


@dataclass(frozen=True)
class Ran:
    """The end of a cell: a result, or why there is none.

    Attributes
    ----------
    seconds : wall time in the worker.
    lost : the worker went away with the cell; it may run elsewhere.
    """

    cell: Cell
    seconds: float
    result: CellResult | None = None
    failure: Failure | None = None
    worker: str = ""
    lost: bool = False


class Pool(Protocol):
    """Workers, each with one cell at a time."""

    def free(self) -> list[str]:
        """Names of the workers that could take a cell now."""

    def room(self, cell: Cell) -> bool:
        """Whether the cores that the cell needs are free."""

    def start(self, worker: str, cell: Cell) -> None:
        """Give a cell to a free worker."""

    def wait(self, seconds: float) -> list[Ran]:
        """Cells that ended, as soon as there is one; none after ``seconds``."""

    def workers(self) -> int:
        """How many workers there are, busy or free."""

    def notes(self) -> list[str]:
        """Sentences for the user since the last call: workers that came, went or cannot be used."""

    def close(self) -> None:
        """Let go of everything; cells that are running are given up."""


def run_cell(task: Task, cell: Cell, seed: int, cores: int, worker: str = "") -> Ran:
    """Run a cell here; an error becomes a `Failure`."""
    os.environ[CORES] = str(cores)
    return made_cell(lambda own: task.run(own, seed), cell, worker)


def made_cell(make: Callable[[Cell], CellResult], cell: Cell, worker: str = "here") -> Ran:
    """The end of a cell that a function makes; an error becomes a `Failure`."""
    started = time.perf_counter()
    try:
        result = make(cell)
        check_result(cell, result)
    except (Exception, SystemExit) as error:
        failure = Failure(type(error).__name__, str(error), traceback.format_exc())
        return Ran(cell, time.perf_counter() - started, failure=failure, worker=worker)
    return Ran(cell, time.perf_counter() - started, result, worker=worker)


def check_result(cell: Cell, result: CellResult) -> None:
    """Check that cases have the columns that every task has, and the task and model of their cell.

    Not its origin: a cell may hold several, a year of months for one.
    """
    if missing := [name for name in CASE_COLUMNS if name not in result.cases]:
        raise ValueError(f"the cases lack the columns {', '.join(missing)}")
    for name in ("task", "model"):
        if (odd := result.cases[name] != getattr(cell, name)).any():
            found = result.cases.loc[odd, name].iloc[0]
            raise ValueError(
                f"cases of the cell {name} {getattr(cell, name)!r} are labelled {name} {found!r}"
            )


@dataclass
class Queue:
    """Cells that wait, and who has run what.

    A worker goes on with the model it has compiled; then it takes one that no other worker has; then
    it helps out. A single worker keeps the order of the task.
    """

    pending: list[Cell]
    seen: dict[str, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> Self:
        return cls(list(cells))

    def take(self, worker: str, pool: Pool) -> Cell | None:
        """The next cell for a worker, None if none has room."""
        taken = set().union(*self.seen.values()) if self.seen else set()

        def rank(cell: Cell) -> int:
            own = (cell.task, cell.model)
            return 0 if own in self.seen[worker] else 1 if own not in taken else 2

        fitting = [cell for cell in self.pending if pool.room(cell)]
        if not fitting:
            return None
        chosen = fitting[0] if pool.workers() == 1 else min(fitting, key=rank)
        self.pending.remove(chosen)
        self.seen[worker].add((chosen.task, chosen.model))
        return chosen


class Here:
    """This process itself as the only worker: for a debugger, and for tests."""

    def __init__(self, tasks: Mapping[str, Task], seed: int, cores: int) -> None:
        self._tasks, self._seed, self._cores = tasks, seed, cores
        self._cell: Cell | None = None

    def free(self) -> list[str]:
        return [] if self._cell else ["here"]

    def room(self, cell: Cell) -> bool:
        return True

    def start(self, worker: str, cell: Cell) -> None:
        self._cell = cell

    def wait(self, seconds: float) -> list[Ran]:
        if (cell := self._cell) is None:
            return []
        self._cell = None
        before = os.environ.get(CORES)
        try:
            return [run_cell(self._tasks[cell.task], cell, self._seed, self._cores, "here")]
        finally:
            if before is None:
                os.environ.pop(CORES, None)
            else:
                os.environ[CORES] = before

    def workers(self) -> int:
        return 1

    def notes(self) -> list[str]:
        return []

    def close(self) -> None:
        return None
