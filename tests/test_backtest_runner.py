"""Cells on disk and on processes: nothing finished is lost, nothing broken is believed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from escalation_forecast.schema import DataError
from escalation_forecast.score.cell_files import RECORD_COLUMNS, CellFolder
from escalation_forecast.score.cells import (
    CASE_COLUMNS,
    Cell,
    CellResult,
    Task,
    choose,
    identity_hash,
    usable_cores,
)
from escalation_forecast.score.pools import Queue
from escalation_forecast.score.processes import ProcessPool
from escalation_forecast.score.progress import in_words, time_left
from escalation_forecast.score.runner import (
    STATES,
    cell_status,
    load_cases,
    load_cells,
    load_draws,
    run_backtest,
)
from toy_task import ToyTask

TASK = ToyTask()
HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs" / "backtest.md"


def log_of(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


# --- labels, keys, identity


@given(st.lists(st.text(min_size=1, max_size=12), min_size=6, max_size=6))
def test_keys_are_file_names_and_no_two_cells_share_one(labels: list[str]) -> None:
    one, other = Cell(*labels[:3]), Cell(*labels[3:])
    assert (one.key == other.key) == (one == other)
    assert not set(one.key) & set("/\\:* \0")
    assert one.key.isascii()


def test_a_toy_is_a_task() -> None:
    assert isinstance(TASK, Task)


def test_the_digest_follows_settings_and_seed_but_not_the_choice_of_cells() -> None:
    same = identity_hash(TASK, 1)
    assert identity_hash(replace(TASK, models=("mean",), origins=("1999",)), 1) == same
    assert len({same, identity_hash(TASK, 2), identity_hash(replace(TASK, setting=2), 1)}) == 3


def test_a_misspelt_label_names_the_one_it_resembles() -> None:
    assert choose(None, ("joint", "ewma"), "model") == ["joint", "ewma"]
    assert choose(("ewma", "joint", "ewma"), ("joint", "ewma"), "model") == ["ewma", "joint"]
    with pytest.raises(DataError, match=r"no model `jiont` \(did you mean `joint`\?\); choose from joint"):
        choose(["jiont"], ("joint", "ewma"), "model")


# --- one run


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ToyTask]:
    """A run in processes in which some cells fail in every way there is."""
    folder = tmp_path_factory.mktemp("mixed")
    task = ToyTask(models=("mean", "raise", "die", "leave", "wrong"), origins=("2001", "2002"))
    run = run_backtest(task, folder, progress=False)
    assert run.counts() == {"done": 2, "skipped": 0, "failed": 8, "left": 0}
    return folder, task


def test_failed_cells_do_not_sink_the_rest(mixed: tuple[Path, ToyTask]) -> None:
    folder, task = mixed
    found = cell_status(task, folder).set_index(["model", "origin"])
    assert (found.loc["mean", "state"] == "finished").all()
    said = found["error"].xs("2001", level="origin")
    assert said["raise"].startswith("ValueError: the third number is odd")
    assert "signal 9, perhaps for want of memory" in said["die"]
    assert "exit code 7" in said["leave"]
    assert "labelled model 'other'" in said["wrong"]


def test_a_failure_is_kept_with_its_traceback(mixed: tuple[Path, ToyTask]) -> None:
    folder, task = mixed
    kept = CellFolder.of(folder, task, 1)
    record = kept.record(Cell("toy", "raise", "2001"))
    assert record is not None
    assert (record["state"], record["error"]) == ("failed", "ValueError")
    text = (kept.path / "cells" / record["traceback"]).read_text()
    assert "toy_task.py" in text
    assert "the third number is odd" in text


def test_cases_draws_and_diagnostics_come_back_as_they_were(mixed: tuple[Path, ToyTask]) -> None:
    folder, task = mixed
    cell = Cell("toy", "mean", "2002")
    fresh = task.run(cell, 1)
    cases = load_cases(folder, task)
    assert_frame_equal(cases[cases["origin"] == "2002"].reset_index(drop=True), fresh.cases)
    draws = load_draws(folder, task, cell)
    assert fresh.draws is not None
    xr.testing.assert_allclose(draws, fresh.draws, rtol=1e-6)
    assert draws.attrs == fresh.draws.attrs
    times = load_cells(folder, task).set_index("origin").loc["2002"]
    assert times["r_hat"] == fresh.diagnostics["r_hat"]
    assert np.isnan(times["ess"])
    assert times["seconds"] > 0.0
    with pytest.raises(DataError, match="raise at 2001 of toy is not finished"):
        load_draws(folder, task, Cell("toy", "raise", "2001"))


def test_a_failed_cell_is_tried_again_and_its_error_forgotten(tmp_path: Path) -> None:
    task = ToyTask(models=("flaky",), origins=("2001",), marker=tmp_path / "marker")
    first = run_backtest(task, tmp_path, executor="here", progress=False)
    assert list(first.failed["error"]) == ["OSError: not there yet"]
    (tmp_path / "marker").touch()
    again = run_backtest(task, tmp_path, executor="here", progress=False)
    assert again.counts()["done"] == 1
    assert not list(again.path(task).rglob("*.txt"))


def test_a_result_that_cannot_be_written_fails_alone(tmp_path: Path) -> None:
    kept = CellFolder.of(tmp_path, TASK, 1)
    kept.prepare(TASK, 1)
    cell = TASK.cells()[0]
    result = TASK.run(cell, 1)
    assert result.draws is not None
    odd = CellResult(result.cases, result.draws.assign_attrs(settings={"a": 1}))
    with pytest.raises(TypeError):
        kept.write(cell, odd, 1.0)
    assert kept.finished(cell) is None
    assert not list(tmp_path.rglob("*.partial*"))


# --- resuming


def test_finished_cells_are_not_run_again(tmp_path: Path) -> None:
    task = replace(TASK, log=tmp_path / "log")
    run_backtest(task, tmp_path, executor="here", progress=False, limit=2)
    status = cell_status(task, tmp_path)["state"]
    assert list(status) == ["finished"] * 2 + ["to do"] * 4
    second = run_backtest(task, tmp_path, executor="here", progress=False)
    assert second.counts() == {"done": 4, "skipped": 2, "failed": 0, "left": 0}
    more = replace(task, origins=("2001", "2002", "2003", "2004"))
    assert run_backtest(more, tmp_path, executor="here", progress=False).counts()["done"] == 2
    assert set(Counter((model, origin) for model, origin, *_ in log_of(tmp_path / "log")).values()) == {1}


def test_other_settings_or_seed_go_to_a_folder_of_their_own(tmp_path: Path) -> None:
    runs = [
        run_backtest(task, tmp_path, seed=seed, executor="here", progress=False)
        for task, seed in ((TASK, 1), (TASK, 2), (replace(TASK, setting=2), 1))
    ]
    assert all(run.counts()["done"] == 6 for run in runs)
    paths = {run.path(run.tasks[0]) for run in runs}
    assert len(paths) == 3
    told = [json.loads((path / "identity.json").read_text()) for path in paths]
    assert {(item["seed"], item["identity"]["setting"]) for item in told} == {(1, 1), (2, 1), (1, 2)}


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def foreign(path: Path) -> None:
    """The files of another cell under this one's name."""
    path.write_bytes((path.parent / path.name.replace("2001", "2002")).read_bytes())


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [
        *((suffix, harm) for suffix in (".parquet", ".nc") for harm in (torn, flipped, foreign, Path.unlink)),
        *((".json", harm) for harm in (torn, empty, foreign, Path.unlink)),
    ],
)
def test_a_harmed_file_is_noticed_and_its_cell_run_again(suffix: str, harm, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    task = replace(TASK, models=("mean",), origins=("2001", "2002"))
    whole = run_backtest(task, tmp_path, executor="here", progress=False).cases(task)
    kept, cell = CellFolder.of(tmp_path, task, 1), task.cells()[0]
    harm(kept.file(cell, suffix))
    assert kept.finished(cell) is None
    again = run_backtest(task, tmp_path, executor="here", progress=False)
    assert again.counts() == {"done": 1, "skipped": 1, "failed": 0, "left": 0}
    assert_frame_equal(again.cases(task), whole)


CLIENT = """
import sys
from pathlib import Path
from toy_task import ToyTask
from escalation_forecast.score.runner import Interrupted, run_backtest

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    origins = tuple(str(2000 + k) for k in range(8))
    task = ToyTask(models=("sleep",), origins=origins, seconds=0.4, log=folder / "log")
    try:
        run_backtest(task, folder, workers=2)
    except Interrupted as stopped:
        print(stopped)
        sys.exit(130)
"""
INTERRUPTED = ToyTask(models=("sleep",), origins=tuple(str(2000 + k) for k in range(8)), seconds=0.4)


def start_client(folder: Path) -> subprocess.Popen[str]:
    """A client in a process of its own, which has finished at least two cells when this returns."""
    script = folder / "client.py"
    script.write_text(CLIENT)
    client = subprocess.Popen(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while len(finished(folder)) < 2:
        assert client.poll() is None, client.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    return client


def finished(folder: Path) -> list[str]:
    status = cell_status(INTERRUPTED, folder)
    return list(status.loc[status["state"] == "finished", "origin"])


def alive(process: int) -> bool:
    """Whether a process runs; one that ended and waits to be read does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    "by", [signal.SIGKILL, signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_client_goes_on_where_it_was(by: signal.Signals, tmp_path: Path) -> None:
    client = start_client(tmp_path)
    client.send_signal(by)
    said, _ = client.communicate(timeout=30)
    kept = finished(tmp_path)
    assert 2 <= len(kept) < 8
    if by != signal.SIGKILL:
        assert client.returncode == 130
        assert said.startswith(
            f"Stopped: {len(kept)} of 8 cells are finished and kept in {tmp_path}; run the"
        )
    workers = {int(process) for _, _, process, *_ in log_of(tmp_path / "log")}
    end = time.monotonic() + 10
    while any(alive(process) for process in workers):
        assert time.monotonic() < end, "a worker outlived its client"
        time.sleep(0.05)
    run = run_backtest(replace(INTERRUPTED, seconds=0.0), tmp_path, executor="here", progress=False)
    assert run.counts() == {"done": 8 - len(kept), "skipped": len(kept), "failed": 0, "left": 0}
    assert len(run.cases(INTERRUPTED)) == 24


# --- workers


def test_any_process_gives_the_same_numbers(tmp_path: Path) -> None:
    here = run_backtest(TASK, tmp_path / "a", executor="here", progress=False).cases(TASK)
    there = run_backtest(TASK, tmp_path / "b", workers=2, progress=False).cases(TASK)
    assert_frame_equal(here, there)


def test_a_worker_stays_and_keeps_its_model(tmp_path: Path) -> None:
    task = ToyTask(models=("sleep-a", "sleep-b"), origins=tuple("123456"), seconds=0.15, log=tmp_path / "log")
    run_backtest(task, tmp_path, workers=2, progress=False)
    by_model: dict[str, list[str]] = {}
    for model, _, process, *_ in log_of(tmp_path / "log"):
        by_model.setdefault(model, []).append(process)
    most = [Counter(processes).most_common(1)[0] for processes in by_model.values()]
    assert len({process for process, _ in most}) == 2
    # a worker that is first to end helps the other out
    assert all(count >= 4 for _, count in most)


def test_samplers_share_the_cores_and_simple_cells_take_one(tmp_path: Path) -> None:
    cores = usable_cores()
    task = ToyTask(models=("mean", "sleep"), origins=("1", "2"), many_cores=("sleep",), log=tmp_path / "log")
    run_backtest(task, tmp_path / "all", progress=False)
    given = {(model, int(n)) for model, _, _, n, _ in log_of(tmp_path / "log")}
    assert given == {("mean", 1), ("sleep", cores)}
    pool = ProcessPool({"toy": task}, 1, workers=2 * cores)
    simple, sampled = task.cells()[:2]
    assert pool.room(simple)
    assert pool.room(sampled)
    alone = ProcessPool({"toy": task}, 1)
    assert alone._cost(sampled) == cores
    assert alone._cost(simple) == 1


@pytest.mark.skipif(usable_cores() < 2, reason="needs two cores")
def test_a_sampler_with_all_cores_runs_alone(tmp_path: Path) -> None:
    task = ToyTask(models=("sleep",), origins=("1", "2", "3"), seconds=0.3, many_cores=("sleep",))
    started = time.perf_counter()
    run_backtest(task, tmp_path, progress=False)
    assert time.perf_counter() - started > 3 * 0.3


class FreePool:
    """Says that there is always room."""

    def __init__(self, n: int) -> None:
        self.n = n

    def workers(self) -> int:
        return self.n

    def room(self, cell: Cell) -> bool:
        return True


def test_a_single_worker_keeps_the_order_of_the_task() -> None:
    queue = Queue.of(TASK.cells())
    assert [queue.take("1", FreePool(1)) for _ in range(6)] == TASK.cells()  # type: ignore[arg-type]
    assert queue.take("1", FreePool(1)) is None  # type: ignore[arg-type]


# --- reckoning and input


def test_time_left_is_the_mean_of_each_model_over_the_workers() -> None:
    waiting = [Cell("t", "slow", "1"), Cell("t", "fast", "1"), Cell("t", "new", "1")]
    seconds = {("t", "slow"): [90.0, 110.0], ("t", "fast"): [2.0]}
    assert time_left(waiting, seconds, 2) == pytest.approx((100.0 + 2.0 + 51.0) / 2)
    assert time_left(waiting, {}, 2) is None
    assert [in_words(s) for s in (0.04, 47.2, 700.0, 12240.0, None)] == [
        "0.0 s",
        "47 s",
        "12 min",
        "3.4 h",
        "?",
    ]


def test_a_line_per_cell_without_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_backtest(replace(TASK, models=("mean", "raise"), origins=("2001",)), tmp_path, executor="here")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("1/2 toy mean 2001: done in ")
    assert lines[1].startswith("2/2 toy raise 2001: failed, ValueError: the third number is odd in ")
    assert len(lines) == 2


def test_input_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="0 workers are too few"):
        run_backtest(TASK, tmp_path, workers=0)
    with pytest.raises(DataError, match="Two tasks are called toy"):
        run_backtest([TASK, TASK], tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file, so no cell can be kept"):
        run_backtest(TASK, tmp_path / "file")
    with pytest.raises(DataError, match="No cell of toy is finished"):
        load_cases(tmp_path, TASK)


def test_two_tasks_run_together(tmp_path: Path) -> None:
    other = replace(TASK, name="other", setting=3)
    run = run_backtest([TASK, other], tmp_path, executor="here", progress=False)
    assert run.counts()["done"] == 12
    assert set(run.cases(other)["task"]) == {"other"}


# --- the document


def test_the_document_names_what_is_written(mixed: tuple[Path, ToyTask]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name in (*CASE_COLUMNS, *RECORD_COLUMNS, *STATES):
        assert f"`{name}`" in text, name
    folder, task = mixed
    kept = CellFolder.of(folder, task, 1)
    record = kept.record(Cell("toy", "mean", "2001")) or {}
    failure = kept.record(Cell("toy", "raise", "2001")) or {}
    for name in {*record, *failure}:
        assert f"`{name}`" in text, name
    suffixes = {path.suffix for path in kept.path.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".parquet", ".nc", ".txt"}
    for suffix in suffixes:
        assert f"<key>{suffix}" in text, suffix
    assert isinstance(pd.read_parquet(kept.file(Cell("toy", "mean", "2001"), ".parquet")), pd.DataFrame)
