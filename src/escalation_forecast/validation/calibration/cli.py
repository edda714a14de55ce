"""``python -m escalation_forecast.validation.calibration``: make the fits over Dask, then the page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from escalation_forecast.score.runner import Interrupted, load_cases, load_cells, run_backtest
from escalation_forecast.validation.calibration.task import CalibrationTask, workbench

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m escalation_forecast.validation.calibration", description=__doc__
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of calibration.md and images/")
    parser.add_argument(
        "--cells", type=Path, default=Path("runs/calibration"), help="finished fits are kept here"
    )
    parser.add_argument("--fits", type=int, default=200, help="number of fits")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="Dask workers of one thread on this machine")
    parser.add_argument("--dask", help="address of a Dask scheduler, in the place of workers here")
    parser.add_argument("--no-page", action="store_true", help="make the fits and print the tables only")
    chosen = parser.parse_args(arguments)
    task = CalibrationTask(chosen.fits)
    started = time.perf_counter()
    # Once, before several workers find nothing on disk and all compile the same.
    _ = workbench().program
    try:
        with _scheduler(chosen.dask, chosen.workers) as address:
            run = run_backtest(task, chosen.cells, seed=chosen.seed, dask=address)
    except Interrupted as stopped:
        print(stopped, file=sys.stderr)
        return 130
    counts = run.counts()
    print(f"{counts}, {time.perf_counter() - started:.0f} s", file=sys.stderr)
    cases, cells = (
        load_cases(chosen.cells, task, seed=chosen.seed),
        load_cells(chosen.cells, task, seed=chosen.seed),
    )
    from escalation_forecast.validation.calibration.page import write_page

    if chosen.no_page:
        import tempfile

        with tempfile.TemporaryDirectory() as spare:
            tables = write_page(task, cases, cells, Path(spare))
        print("\n\n".join(tables.values()))
    else:
        write_page(task, cases, cells, chosen.out)
    return 1 if counts["failed"] else 0


@contextmanager
def _scheduler(address: str | None, workers: int) -> Iterator[str]:
    if address:
        yield address
        return
    from distributed import LocalCluster

    with LocalCluster(n_workers=workers, threads_per_worker=1, host=HOST, dashboard_address=":0") as cluster:
        yield str(cluster.scheduler_address)
