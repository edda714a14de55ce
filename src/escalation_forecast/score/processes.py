"""Workers as processes of this machine, each started afresh and kept for many cells.

Started afresh (``spawn``), never forked: a fork of a process with threads or compiled programs can
hang. Each worker imports and compiles once and keeps what it compiled.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Final

from escalation_forecast.score.cell_files import Failure
from escalation_forecast.score.cells import Cell, Task, is_sampled, usable_cores
from escalation_forecast.score.pools import Ran, run_cell

# Threads of the linear algebra would compete with the other workers' and change last digits.
SINGLE_THREAD: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
GRACE_SECONDS: Final = 5.0


@dataclass
class _Worker:
    process: Any
    pipe: connection.Connection[Any, Any]
    cell: Cell | None = None
    cores: int = 0
    started: float = 0.0


class ProcessPool:
    """Processes that share the cores of this machine.

    A sampled cell takes the cores of one sampler, any other cell one core. By default one sampler has
    all cores, so that sampled cells run one after the other and simple ones side by side; with
    ``workers`` that many samplers run at a time and share the cores equally.

    Parameters
    ----------
    tasks : by name; sent to each worker once.
    workers : processes; by default as many as cores.
    """

    def __init__(self, tasks: Mapping[str, Task], seed: int, workers: int | None = None) -> None:
        total = usable_cores()
        self._sampler = max(1, total // workers) if workers else total
        self._count = workers or total
        self._total = max(total, self._count)
        self._tasks, self._seed = dict(tasks), seed
        self._context = mp.get_context("spawn")
        self._workers: dict[str, _Worker] = {}
        self._notes: list[str] = []

    def workers(self) -> int:
        return self._count

    def free(self) -> list[str]:
        names = [str(number) for number in range(1, self._count + 1)]
        return [name for name in names if name not in self._workers or self._workers[name].cell is None]

    def _cost(self, cell: Cell) -> int:
        return self._sampler if is_sampled(self._tasks[cell.task], cell) else 1

    def room(self, cell: Cell) -> bool:
        used = sum(worker.cores for worker in self._workers.values())
        return used + self._cost(cell) <= self._total

    def start(self, worker: str, cell: Cell) -> None:
        # One that died unnoticed while it was idle is replaced.
        if worker in self._workers and not self._workers[worker].process.is_alive():
            self._drop(worker)
        if worker not in self._workers:
            self._workers[worker] = self._launch(worker)
        chosen = self._workers[worker]
        chosen.cell, chosen.cores, chosen.started = cell, self._cost(cell), time.perf_counter()
        with suppress(OSError):  # its end is seen in `wait`
            chosen.pipe.send((cell, chosen.cores))

    def _launch(self, name: str) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_serve, args=(theirs, self._tasks, self._seed, name), name=f"backtest-{name}", daemon=True
        )
        with _single_threaded():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def wait(self, seconds: float) -> list[Ran]:
        busy = {worker.pipe: name for name, worker in self._workers.items() if worker.cell}
        if not busy:
            return []
        return [self._collect(busy[pipe]) for pipe in connection.wait(list(busy), seconds)]  # type: ignore[index]

    def _collect(self, name: str) -> Ran:
        worker = self._workers[name]
        cell, seconds = worker.cell, time.perf_counter() - worker.started
        assert cell is not None
        worker.cell, worker.cores = None, 0
        try:
            found = worker.pipe.recv()
            assert isinstance(found, Ran)
            return found
        except (EOFError, OSError):
            code = self._drop(name)
        except Exception as error:  # a result that this process cannot read is the cell's fault
            failure = Failure(type(error).__name__, f"the result cannot be read: {error}")
            return Ran(cell, seconds, failure=failure, worker=name)
        killed = code is not None and code < 0
        said = f"was ended by signal {-(code or 0)}" if killed else f"ended with exit code {code}"
        guess = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
        message = f"the process of the cell {said}{guess}; it is tried again next time"
        return Ran(cell, seconds, failure=Failure("WorkerLost", message), worker=name)

    def _drop(self, name: str) -> int | None:
        worker = self._workers.pop(name)
        worker.pipe.close()
        worker.process.join(GRACE_SECONDS)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        code: int | None = worker.process.exitcode
        worker.process.close()
        return code

    def notes(self) -> list[str]:
        return []

    def close(self) -> None:
        for worker in self._workers.values():
            worker.process.terminate()
        for name in list(self._workers):
            self._drop(name)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """The environment that a new process inherits; what the user has set stays."""
    added = [name for name in SINGLE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _serve(pipe: Any, tasks: dict[str, Task], seed: int, name: str) -> None:
    """Life of a worker: one cell after the other until the pipe closes or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            cell, cores = pipe.recv()
        except (EOFError, OSError):
            return
        ran = run_cell(tasks[cell.task], cell, seed, cores, name)
        try:
            pipe.send(ran)
        except OSError:
            return
        except Exception as error:  # a result that cannot be sent is the cell's fault
            failure = Failure(type(error).__name__, f"the result cannot be sent: {error}")
            pipe.send(Ran(cell, ran.seconds, failure=failure, worker=name))


def _end_with_parent() -> None:
    """A killed client leaves no sampler behind that nobody waits for."""
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
