"""A Dask scheduler and workers as real processes on 127.0.0.1, always ended by process id."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
START_SECONDS = 60.0
QUIET = {
    "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False",
}


def dask_setup(worker: Any) -> None:
    """Called in each worker, which preloads this file."""
    forget_the_source()


def forget_the_source() -> None:
    """Leave the digest of the source out of the versions: a file saved in mid-test is no mismatch."""
    from escalation_forecast.score import cluster

    versions = {name: v for name, v in cluster.own_versions().items() if name != "escalation_forecast"}
    cluster.own_versions = lambda: versions  # type: ignore[assignment]


class Cluster:
    """Started empty; workers are added and killed by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> Self:
        described = self.folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
            "--scheduler-file", str(described),
        )  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while not described.exists() or not described.stat().st_size:
            if self.scheduler.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError("the scheduler did not start")
            time.sleep(0.05)
        import json

        self.address = str(json.loads(described.read_text())["address"])
        return self

    def worker(self, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        """A worker without a nanny, so that what is killed is the worker itself."""
        threads = () if "--nthreads" in options else ("--nthreads", "1")
        return self._start(
            "worker", self.address, "--host", "127.0.0.1", *threads, "--no-nanny", "--no-dashboard",
            "--local-directory", str(self.folder), "--preload", __file__, *options, **environment,
        )  # fmt: skip

    def wait_for(self, workers: int) -> None:
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)

    def _start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{arguments[0]}-{len(self.processes)}.log").open("wb")
        path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={**os.environ, **QUIET, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
        )
        log.close()
        self.processes.append(process)
        return process

    def __exit__(self, *_: Any) -> None:
        for process in reversed(self.processes):
            with suppress(ProcessLookupError):
                process.kill()
        for process in self.processes:
            process.wait(10)
