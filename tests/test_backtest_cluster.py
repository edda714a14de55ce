"""The same cells on a Dask scheduler and workers that are real processes on 127.0.0.1."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from dask_cluster import Cluster, forget_the_source
from escalation_forecast.score import cluster
from escalation_forecast.score.cluster import ClusterError, inspect_worker, objection
from escalation_forecast.score.runner import cell_status, run_backtest
from toy_task import ToyTask

# A worker that is killed leaves connections for the garbage collector to close.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
ORIGINS = tuple(str(2000 + k) for k in range(10))


@pytest.fixture
def dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(cluster, "own_versions", cluster.own_versions)  # put back at the end
    forget_the_source()
    with Cluster(tmp_path) as started:
        yield started


def started(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def seconds_per_cell(log: Path, workers: int) -> float:
    """Mean time between starts, from the first start of the worker that came last."""
    starts: dict[str, list[float]] = {}
    for _, _, process, _, at in started(log):
        starts.setdefault(process, []).append(float(at))
    assert len(starts) == workers, "not every worker took part"
    begun = max(min(own) for own in starts.values())
    after = sorted(at for own in starts.values() for at in own if at >= begun)
    return (after[-1] - after[0]) / (len(after) - 1)


def test_two_workers_halve_the_time_and_one_killed_loses_nothing(dask: Cluster, tmp_path: Path) -> None:
    """Cells that sleep, so that other work on the machine does not decide the times."""
    pace = {}
    for n in (1, 2):
        dask.worker()
        dask.wait_for(n)
        task = ToyTask(models=("sleep",), origins=ORIGINS, seconds=0.4, setting=n, log=tmp_path / f"log-{n}")
        run = run_backtest(task, tmp_path / "out", dask=dask.address, progress=False)
        assert run.counts()["done"] == len(ORIGINS)
        pace[n] = seconds_per_cell(tmp_path / f"log-{n}", n)
    assert pace[2] < 0.6 * pace[1], pace

    first, second = dask.processes[1:]
    task = ToyTask(models=("sleep-a", "sleep-b"), origins=ORIGINS[:6], seconds=0.4, log=tmp_path / "log")
    finished: list[str] = []

    def kill_one() -> None:
        while not {first.pid, second.pid} <= {
            int(process) for _, _, process, *_ in started(tmp_path / "log")
        }:
            time.sleep(0.02)
        while not finished:
            status = cell_status(task, tmp_path / "out")
            finished.extend(status.loc[status["state"] == "finished", "origin"])
        first.kill()

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    run = run_backtest(task, tmp_path / "out", dask=dask.address, progress=False)
    killer.join(1)
    assert first.poll() is not None, "no worker was killed"
    assert run.counts() == {"done": 12, "skipped": 0, "failed": 0, "left": 0}
    runs = Counter((model, origin) for model, origin, *_ in started(tmp_path / "log"))
    assert sum(runs.values()) <= 13, "only the cell that was on the killed worker runs twice"
    again = run_backtest(task, tmp_path / "out", executor="here", progress=False)
    assert again.counts()["skipped"] == 12
    plain = run_backtest(replace(task, seconds=0.0), tmp_path / "plain", executor="here", progress=False)
    assert_frame_equal(run.cases(task), plain.cases(task))


@pytest.mark.slow
def test_a_cell_that_kills_its_workers_is_given_up_and_the_rest_goes_on(
    dask: Cluster, tmp_path: Path
) -> None:
    for _ in range(4):
        dask.worker()
    task = ToyTask(models=("die", "mean", "raise"), origins=("2001",))
    run = run_backtest(task, tmp_path / "out", dask=dask.address, progress=False)
    found = run.status.set_index("model")
    assert found["state"].to_dict() == {"die": "failed", "mean": "done", "raise": "failed"}
    assert found.loc["die", "error"].startswith("WorkerLost: ")
    assert found.loc["raise", "error"] == "ValueError: the third number is odd"
    time.sleep(1.0)
    assert sum(worker.poll() is not None for worker in dask.processes[1:]) == 3, "tried once and twice more"


@pytest.mark.slow
def test_workers_that_cannot_be_used_are_named_and_the_wait_ends(
    dask: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dask.worker("--nthreads", "2")
    with pytest.raises(ClusterError, match=r"No usable worker at tcp://.* start workers with .*--nthreads 1"):
        run_backtest(ToyTask(), tmp_path / "out", dask=dask.address, timeout=8)
    said = capsys.readouterr().err
    assert "is left out: it runs 2 threads; start it with --nthreads 1" in said
    assert "waiting for one, at most 8 seconds" in said


@pytest.mark.slow
def test_the_wait_ends_when_a_worker_comes(dask: Cluster, tmp_path: Path) -> None:
    late = threading.Timer(3.0, dask.worker)
    late.start()
    run = run_backtest(ToyTask(), tmp_path / "out", dask=dask.address, progress=False, timeout=60)
    assert run.counts()["done"] == 6


def test_without_a_scheduler_the_address_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ClusterError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9 "):
        run_backtest(ToyTask(), tmp_path, dask="tcp://127.0.0.1:9", progress=False)


# --- what is said of workers


def test_other_packages_data_or_threads_are_said_in_words() -> None:
    own = inspect_worker({"toy": ToyTask()}, 1)
    assert objection(own, own) is None
    assert "4 threads" in str(objection(own, own, threads=4))
    versions = {**own["versions"], "numpy": "1.0", "escalation_forecast": "source 00000000"}
    del versions["pymc"]
    said = str(objection({**own, "versions": versions}, own))
    assert "numpy 1.0 instead of" in said
    assert "pymc missing instead of" in said
    assert "source 00000000 instead of" in said
    other = inspect_worker({"toy": ToyTask(setting=2)}, 1)
    assert "task toy has other data or settings there" in str(objection(other, own))
    unread = {**own, "faults": {"toy": "DataError: no such folder"}}
    assert "cannot read its data there (DataError: no such folder)" in str(objection(unread, own))
