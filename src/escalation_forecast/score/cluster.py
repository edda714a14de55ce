"""Workers of a Dask cluster, on one machine or many, reached through the address of its scheduler.

The client hands each worker one cell at a time and writes what comes back at once, so a worker that is
killed costs the cell it had and nothing else; that cell goes to another worker.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast.schema import DataError
from escalation_forecast.score.cell_files import Failure
from escalation_forecast.score.cells import CORES, Cell, Task, identity_hash, usable_cores
from escalation_forecast.score.pools import Ran, run_cell

if TYPE_CHECKING:
    from distributed import Client, Future

# What decides the numbers, or how cells travel; other packages may differ.
PACKAGES: Final = (
    "dask", "distributed", "cloudpickle", "numpy", "pandas", "xarray", "scipy", "numba", "pytensor",
    "pymc", "nutpie",
)  # fmt: skip
CONNECT_SECONDS: Final = 20.0
LOOK_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 0.1
# One cell at a time in a process, whatever its number of threads: programs share their buffers.
_ONE = threading.Lock()


class ClusterError(RuntimeError):
    """The cluster is out of reach, or has no worker that can be used."""


@cache
def own_versions() -> dict[str, str]:
    """Python, packages and a digest of this package's source, as installed here."""
    import platform

    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    found["escalation_forecast"] = f"source {digest.hexdigest()[:8]}"
    return found


def inspect_worker(tasks: Mapping[str, Task], seed: int) -> dict[str, Any]:
    """What a worker has, said by itself: versions, and the identity of each task with its own data."""
    identities, faults = {}, {}
    for name, task in tasks.items():
        try:
            identities[name] = identity_hash(task, seed)
        except Exception as error:
            faults[name] = f"{type(error).__name__}: {error}"
    return {"versions": own_versions(), "identities": identities, "faults": faults}


def objection(found: Mapping[str, Any], expected: Mapping[str, Any], threads: int = 1) -> str | None:
    """Why a worker cannot be used, as the end of a sentence; None if it can.

    Parameters
    ----------
    found, expected : as from `inspect_worker`, of the worker and of the client.
    threads : of the worker.
    """
    if threads != 1:
        return f"it runs {threads} threads; start it with --nthreads 1, so that one cell has its cores"
    here, there = expected["versions"], found["versions"]
    odd = [
        f"{name} {there.get(name, 'missing')} instead of {version}"
        for name, version in here.items()
        if there.get(name) != version
    ]
    if odd:
        return f"it has {', '.join(odd)}; install the same environment there and restart it"
    for name, fault in found["faults"].items():
        return f"task {name} cannot read its data there ({fault}); put the data at the same path"
    for name, digest in expected["identities"].items():
        if found["identities"].get(name) != digest:
            return f"task {name} has other data or settings there; put the same files at the same path"
    return None


def run_on_worker(task: Task, cell: Cell, seed: int, share: int, worker: str) -> Ran:
    """A cell on a worker of the cluster; a worker has an equal share of its machine's cores.

    The environment variable `cells.CORES` of the worker says otherwise.
    """
    with _ONE:
        return run_cell(task, cell, seed, _worker_cores(max(1, usable_cores() // share)), worker)


@cache
def _set_by_user() -> str:
    return os.environ.get(CORES, "")


def _worker_cores(share: int) -> int:
    return int(_set_by_user()) if _set_by_user().isdigit() else share


class DaskPool:
    """Workers of a Dask scheduler, one cell at a time on each.

    Parameters
    ----------
    address : of the scheduler, ``tcp://host:port``.
    timeout : seconds to go on without any usable worker.

    Raises
    ------
    ClusterError
        When the scheduler is out of reach, or no worker can be used for ``timeout`` seconds.
    """

    def __init__(self, address: str, tasks: Mapping[str, Task], seed: int, timeout: float = 300.0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise DataError("A cluster needs dask; install the package with its extra `backtest`.") from None
        self._address, self._timeout, self._seed = address, timeout, seed
        self._tasks = dict(tasks)
        self._expected = inspect_worker(self._tasks, seed)
        self._notes: list[str] = []
        self._said: set[str] = set()
        self._usable: dict[str, str] = {}  # address -> host
        self._refused: dict[str, str] = {}
        self._asked: dict[str, Future] = {}
        self._running: dict[str, tuple[Cell, Future, float]] = {}
        self._ended: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._there: dict[str, Any] = {}
        self._looked, self._alone_since = 0.0, time.monotonic()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "(?s).*Mismatched versions")  # `objection` says it
                self._client: Client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(
                f"No Dask scheduler answers at {address} ({str(error).splitlines()[0]}); start one with "
                "`dask scheduler` and give the address it prints."
            ) from error

    # --- what the runner asks for

    def workers(self) -> int:
        return len(self._usable)

    def free(self) -> list[str]:
        self._look()
        return [address for address in self._usable if address not in self._running]

    def room(self, cell: Cell) -> bool:
        return True

    def start(self, worker: str, cell: Cell) -> None:
        share = Counter(self._usable.values())[self._usable[worker]]
        future = self._client.submit(
            run_on_worker,
            self._tasks[cell.task],
            cell,
            self._seed,
            share,
            worker,
            workers=[worker],
            pure=False,
            key=f"{cell.key}-{time.monotonic_ns()}",
        )
        self._running[worker] = (cell, future, time.monotonic())
        future.add_done_callback(lambda _: self._ended.put(worker))

    def wait(self, seconds: float) -> list[Ran]:
        ended: list[Ran] = []
        with suppress(queue.Empty):
            ended += self._collect(
                self._ended.get(timeout=seconds if self._running else min(seconds, IDLE_SECONDS))
            )
        self._look()
        return ended + [self._lost(worker) for worker in list(self._running) if worker not in self._usable]

    def notes(self) -> list[str]:
        said, self._notes = self._notes, []
        return said

    def close(self) -> None:
        with suppress(Exception):  # the scheduler may be gone, and what is kept is on disk
            self._client.cancel([future for _, future, _ in self._running.values()], force=True)
        with suppress(Exception):
            self._client.close(timeout=5)

    # --- cells that end

    def _collect(self, worker: str) -> list[Ran]:
        if worker not in self._running or not self._running[worker][1].done():
            return []  # of a cell that was given up
        cell, future, started = self._running[worker]
        del self._running[worker]
        try:
            found = _answer(future)
            assert isinstance(found, Ran)
            return [found]
        except Exception as error:
            # Errors of the cell come back as a result; what is raised is the cluster's. The worker is
            # asked again before it gets another cell.
            self._usable.pop(worker, None)
            why = f"the cell was lost on {worker} ({type(error).__name__}: {error})"
            failure = Failure("WorkerLost", why)
            return [Ran(cell, time.monotonic() - started, failure=failure, worker=worker, lost=True)]
        finally:
            future.release()

    def _lost(self, worker: str) -> Ran:
        cell, future, started = self._running.pop(worker)
        with suppress(Exception):
            self._client.cancel([future], force=True)
        failure = Failure("WorkerLost", f"the worker {worker} went away while it ran the cell")
        return Ran(cell, time.monotonic() - started, failure=failure, worker=worker, lost=True)

    # --- workers that come and go

    def _look(self) -> None:
        """Take in who is there now; the scheduler is asked at most once a second."""
        if (now := time.monotonic()) - self._looked >= LOOK_SECONDS:
            self._looked, self._there = now, self._present()
            for address in [a for a in self._usable if a not in self._there]:
                del self._usable[address]
            for address in [a for a in self._asked if a not in self._there]:
                self._asked.pop(address).release()
            for address in self._there:
                if address not in {*self._usable, *self._refused, *self._asked}:
                    self._asked[address] = self._client.submit(
                        inspect_worker, self._tasks, self._seed, workers=[address], pure=False
                    )
        for address in [a for a, answer in self._asked.items() if answer.done()]:
            self._admit(address, self._there[address], self._asked.pop(address))
        self._keep_waiting(now)

    def _present(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._client.scheduler_info()["workers"]
        except Exception:
            found = {}
        if self._client.status in ("closed", "closing"):
            raise ClusterError(
                f"The scheduler at {self._address} is gone; start it and its workers and run the same "
                "command again."
            )
        return found

    def _admit(self, address: str, worker: Mapping[str, Any], answer: Future) -> None:
        try:
            why = objection(_answer(answer), self._expected, int(worker["nthreads"]))
        except Exception as error:
            if answer.status == "cancelled":
                return  # it went away; if it comes back it is asked again
            why = f"it cannot run this package ({type(error).__name__}: {error}); install the same there"
        finally:
            answer.release()
        if why is None:
            self._usable[address] = str(worker.get("host", address))
        else:
            self._refused[address] = why
            self._notes.append(f"Worker {address} is left out: {why}.")

    def _keep_waiting(self, now: float) -> None:
        if self._usable:
            self._alone_since = now
            self._said.clear()
            return
        waited = now - self._alone_since
        if waited >= self._timeout:
            left_out = [f"{address}: {why}" for address, why in self._refused.items()]
            raise ClusterError(
                f"No usable worker at {self._address} for {waited:.0f} seconds; start workers with "
                f"`dask worker {self._address} --nthreads 1` and run the same command again."
                + (f" Left out: {_together(left_out)}." if left_out else "")
            )
        if waited >= 2 * LOOK_SECONDS and not self._asked and "waiting" not in self._said:
            self._said.add("waiting")
            self._notes.append(
                f"No usable worker is connected to {self._address}; waiting for one, at most "
                f"{self._timeout:.0f} seconds."
            )


def _answer(future: Future) -> Any:
    """The result of a future that is done; raises what it raised."""
    # Not `result` for all: on an error it leaves a task behind that complains when the program ends.
    if future.status == "error":
        raise future.exception(timeout=GATHER_SECONDS)
    if future.status != "finished":
        raise ClusterError(f"the cluster says {future.status}")
    return future.result(timeout=GATHER_SECONDS)


def _together(sentences: Sequence[str]) -> str:
    shown = list(sentences[:3])
    return "; ".join(shown) + (f"; and {len(sentences) - 3} more" if len(sentences) > 3 else "")
