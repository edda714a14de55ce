"""Run the cells of backtests: here on processes or on a cluster, each kept as soon as it is finished.

What is finished is not run again, what failed does not stop the rest and is tried again next time, and
a run that is stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.cell_files import (
    CellFolder,
    Failure,
    load_cases,
    load_cells,
    load_draws,
)
from escalation_forecast.score.cells import Cell, CellResult, Task, parts_of, usable_cores
from escalation_forecast.score.pools import Here, Pool, Queue, Ran, made_cell
from escalation_forecast.score.progress import Teller, teller, time_left

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BacktestRun",
    "Interrupted",
    "cell_status",
    "load_cases",
    "load_cells",
    "load_draws",
    "run_backtest",
]

Executor = Literal["processes", "here"]
WAIT_SECONDS: Final = 0.5
RETRIES: Final = 2
STATES: Final = ("done", "skipped", "failed", "left")
"""Of a cell: run now, finished earlier, failed now, not run because of a limit."""


class Interrupted(KeyboardInterrupt):
    """The run was stopped by Ctrl-C or SIGTERM; the message says what is kept and how to go on."""


@dataclass(frozen=True)
class BacktestRun:
    """What a run did.

    Attributes
    ----------
    folder : as given.
    tasks, seed : what was run.
    status : one row per cell: task, model, origin, state (one of `STATES`), seconds, error.
    """

    folder: Path
    tasks: tuple[Task, ...]
    seed: int
    status: pd.DataFrame

    @property
    def failed(self) -> pd.DataFrame:
        """Rows of the cells that failed."""
        return self.status[self.status["state"] == "failed"]

    def counts(self) -> dict[str, int]:
        """Number of cells by state."""
        found = self.status["state"].value_counts()
        return {state: int(found.get(state, 0)) for state in STATES}

    def path(self, task: Task) -> Path:
        """Folder of a task's cells."""
        return CellFolder.of(self.folder, task, self.seed).path

    def cases(self, task: Task) -> pd.DataFrame:
        """Scored cases of a task's finished cells."""
        return load_cases(self.folder, task, seed=self.seed)

    def draws(self, task: Task, cell: Cell) -> xr.Dataset:
        """Draws of one finished cell."""
        return load_draws(self.folder, task, cell, seed=self.seed)


def cell_status(tasks: Task | Sequence[Task], folder: Path, *, seed: int = 1) -> pd.DataFrame:
    """What a run would find: one row per cell with state ``finished``, ``failed`` or ``to do``.

    Nothing is run or written.
    """
    rows = []
    for task in _several(tasks):
        kept = CellFolder.of(folder, task, seed)
        for cell in task.cells():
            record = kept.finished(cell)
            earlier = record or kept.record(cell) or {}
            broken = not record and earlier.get("state") == "failed"
            rows.append(
                {
                    **asdict(cell),
                    "state": "finished" if record else "failed" if broken else "to do",
                    "seconds": earlier.get("seconds") if record or broken else None,
                    "error": f"{earlier['error']}: {earlier['message']}" if broken else None,
                }
            )
    return pd.DataFrame(rows, columns=["task", "model", "origin", "state", "seconds", "error"])


def run_backtest(
    tasks: Task | Sequence[Task],
    folder: Path | str,
    *,
    seed: int = 1,
    executor: Executor = "processes",
    workers: int | None = None,
    dask: str | None = None,
    progress: bool | None = None,
    limit: int | None = None,
    retries: int = RETRIES,
    timeout: float = 300.0,
) -> BacktestRun:
    """Run every cell of one or several tasks that is not finished yet.

    Cells that are made of others (a task's ``parts``) are made anew at the end, in this process, from what
    is finished then: they take seconds, and more origins may change them.

    Parameters
    ----------
    folder : a folder per task identity and seed is made in it; see ``docs/backtest.md``.
    executor : ``processes`` of this machine, or ``here``, in this process, for a debugger.
    workers : processes, and samplers at a time; see `processes.ProcessPool`.
    dask : address of a Dask scheduler, to run on its workers instead.
    progress : a bar on a terminal and a line per cell elsewhere by default; False for silence.
    limit : run at most so many cells now.
    retries : how often a cell is tried again after its cluster worker went away.
    timeout : seconds to wait while a cluster has no worker.

    Returns
    -------
    BacktestRun

    Raises
    ------
    DataError
        For a number of workers, a limit or a folder that cannot be.
    cluster.ClusterError
        When the cluster is out of reach; what was finished is kept.
    Interrupted
        On Ctrl-C or SIGTERM; what was finished is kept.
    """
    chosen, root = _several(tasks), Path(folder)
    _check(chosen, root, workers, limit)
    run = _Run(root, chosen, seed, retries)
    todo = run.prepare(limit)
    with _stoppable(run), teller(progress) as tell:
        tell.begin(run.total, len(run.state))
        if todo:
            pool = _pool(run.by_name, seed, executor, workers, dask, timeout)
            try:
                run.work(todo, pool, tell)
            finally:
                pool.close()
        run.combine(tell)
    return BacktestRun(root, tuple(chosen), seed, run.status())


@dataclass
class _Run:
    """State of a run: what became of each cell so far."""

    root: Path
    tasks: list[Task]
    seed: int
    retries: int
    folders: dict[str, CellFolder] = field(default_factory=dict)
    state: dict[Cell, tuple[str, float, str | None]] = field(default_factory=dict)
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    total: int = 0
    combined: list[Cell] = field(default_factory=list)

    @property
    def by_name(self) -> dict[str, Task]:
        return {task.name: task for task in self.tasks}

    def prepare(self, limit: int | None) -> list[Cell]:
        """Folders, what is finished, and the cells that are to run."""
        todo: list[Cell] = []
        for task in self.tasks:
            kept = CellFolder.of(self.root, task, self.seed)
            kept.prepare(task, self.seed)
            self.folders[task.name] = kept
            for cell in task.cells():
                self.total += 1
                if parts_of(task, cell):
                    self.combined.append(cell)
                elif record := kept.finished(cell):
                    self._note(cell, "skipped", float(record["seconds"]))
                else:
                    todo.append(cell)
        for cell in todo[limit:] if limit is not None else []:
            self.state[cell] = ("left", float("nan"), None)
        return todo[:limit]

    def work(self, todo: Sequence[Cell], pool: Pool, tell: Teller) -> None:
        """Hand out cells and keep what comes back, until none is left."""
        queue, lost = Queue.of(todo), dict.fromkeys(todo, 0)
        running: set[Cell] = set()
        while queue.pending or running:
            for worker in pool.free():
                if cell := queue.take(worker, pool):
                    pool.start(worker, cell)
                    running.add(cell)
            for ran in pool.wait(WAIT_SECONDS):
                running.remove(ran.cell)
                if ran.lost and lost[ran.cell] < self.retries:
                    lost[ran.cell] += 1
                    queue.pending.insert(0, ran.cell)
                    tell.say(
                        f"Worker {ran.worker} lost {ran.cell.model} at {ran.cell.origin}; it runs again."
                    )
                    continue
                self.keep(ran)
                left = time_left([*queue.pending, *running], self.seconds, pool.workers())
                tell.cell(ran.cell, *self.state[ran.cell], left)
            for note in pool.notes():
                tell.say(note)

    def combine(self, tell: Teller) -> None:
        """Make the cells that are made of others; without all parts one is left, or failed if a part did."""
        makers: dict[str, Callable[[Cell], CellResult]] = {}
        for cell in self.combined:
            task, kept = self.by_name[cell.task], self.folders[cell.task]
            missing = [part for part in parts_of(task, cell) if kept.finished(part) is None]
            if any(self.state.get(part, ("",))[0] == "left" for part in missing):
                self.state[cell] = ("left", float("nan"), None)
                continue
            if missing:
                names = " and ".join(part.model for part in missing)
                self.keep(Ran(cell, 0.0, failure=Failure("DataError", f"{names} are not finished")))
            else:
                if cell.task not in makers:
                    makers[cell.task] = task.combiner(kept.draws)  # type: ignore[attr-defined]
                self.keep(made_cell(makers[cell.task], cell))
            tell.cell(cell, *self.state[cell], None)

    def keep(self, ran: Ran) -> None:
        """Write the end of a cell; a result that cannot be written is a failure like any other."""
        kept, failure = self.folders[ran.cell.task], ran.failure
        if ran.result is not None:
            try:
                kept.write(ran.cell, ran.result, ran.seconds, ran.worker)
            except OSError:
                raise  # no space or no permission: the next cell would not fare better
            except Exception as error:
                failure = Failure(type(error).__name__, f"the result cannot be written: {error}")
        if failure is None:
            self._note(ran.cell, "done", ran.seconds)
        else:
            kept.write_failure(ran.cell, failure, ran.seconds, ran.worker)
            self.state[ran.cell] = ("failed", ran.seconds, failure.line)

    def _note(self, cell: Cell, state: str, seconds: float) -> None:
        self.state[cell] = (state, seconds, None)
        self.seconds.setdefault((cell.task, cell.model), []).append(seconds)

    def status(self) -> pd.DataFrame:
        rows = [(*asdict(cell).values(), *self.state[cell]) for task in self.tasks for cell in task.cells()]
        return pd.DataFrame(rows, columns=["task", "model", "origin", "state", "seconds", "error"])


def _several(tasks: Task | Sequence[Task]) -> list[Task]:
    return list(tasks) if isinstance(tasks, Sequence) else [tasks]


def _check(tasks: Sequence[Task], root: Path, workers: int | None, limit: int | None) -> None:
    names = [task.name for task in tasks]
    if len({*names}) < len(names):
        raise DataError(f"Two tasks are called {max(names, key=names.count)}; run them one after the other.")
    for what, number in (("workers", workers), ("cells", limit)):
        if number is not None and number < 1:
            raise DataError(f"{number} {what} are too few; choose 1 or more.")
    if root.exists() and not root.is_dir():
        raise DataError(f"{root} is a file, so no cell can be kept in it; give a folder.")


def _pool(
    tasks: Mapping[str, Task],
    seed: int,
    executor: Executor,
    workers: int | None,
    dask: str | None,
    timeout: float,
) -> Pool:
    # Imported when chosen: Dask is an extra.
    if dask:
        from escalation_forecast.score.cluster import DaskPool

        return DaskPool(dask, tasks, seed, timeout)
    if executor == "here":
        return Here(tasks, seed, usable_cores())
    from escalation_forecast.score.processes import ProcessPool

    return ProcessPool(tasks, seed, workers)


@contextmanager
def _stoppable(run: _Run) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Interrupted`; only the main thread can hear signals."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    heard = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, stop) if heard else None
    try:
        yield
    except KeyboardInterrupt:
        finished = sum(state in ("done", "skipped") for state, _, _ in run.state.values())
        raise Interrupted(
            f"Stopped: {finished} of {run.total} cells are finished and kept in {run.root}; run the same "
            "command again to go on."
        ) from None
    finally:
        if heard:
            signal.signal(signal.SIGTERM, before)
