"""Jobs that are killed, at every boundary and at any moment; disks that are full, servers that go away."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from escalation_forecast.archive import POSTERIOR, SUMMARY
from escalation_forecast.job import Code, Outcome, run_job
from escalation_forecast.job.work import longer
from escalation_forecast.ledger import Ledger
from job_stand_in import Fit, Ids, config, ended, forked, read, tools
from postgres_server import PostgresServer

STEPS = (
    "lock", "data", "compare", "panel", "fit", "gates",
    "archive", "explain", "export", "report", "resolve", "alert", "done",
)  # fmt: skip
WELL = (Code.PUBLISHED, Code.UNCHANGED)
SLOW_FIT = 0.05


class KilledAt:
    """A log's stream that kills its own process when a step has come to a state."""

    def __init__(self, step: str, state: str) -> None:
        self.mark = f" {step}: {state}"

    def write(self, text: str) -> int:
        if self.mark in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return len(text)

    def flush(self) -> None:
        pass


class PausedAt(KilledAt):
    """One that waits there until a file is removed."""

    def __init__(self, step: str, state: str, file: Path) -> None:
        super().__init__(step, state)
        self.file = file

    def write(self, text: str) -> int:
        if self.mark in text:
            self.file.touch()
            while self.file.exists():
                time.sleep(0.01)
        return len(text)


@dataclass
class Bench:
    """An archive that jobs are killed on, and what has been seen of it.

    Attributes
    ----------
    rounds : contents that were asked for; each has to be published exactly once.
    """

    root: Path
    archive: dict[str, Any] = field(default_factory=dict)
    rounds: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    rng: random.Random = field(default_factory=lambda: random.Random(1))

    def ask(self) -> None:
        """New figures."""
        self.rounds.append(f"figures {len(self.rounds)}")
        (self.root / "figures.txt").write_text(self.rounds[-1])

    def job(self, stream: Any = None) -> Outcome:
        # Every fifth content passes its gates on the retry only.
        fit = Fit(self.root / "count", failures=300 * (len(self.rounds) % 5 == 0), slow=SLOW_FIT)
        given = config(self.root, archive=self.archive)
        return run_job(given, tools=tools(fit), stream=stream)

    def open(self) -> Ledger:
        given = config(self.root, archive=self.archive).archive
        return Ledger.open(given.url, given.files)

    def killed(self, after: float | None = None, at: tuple[str, str] | None = None) -> None:
        """Start a job on new figures and kill it after a while, or where it says something."""
        self.ask()
        child = forked(lambda: self.job(KilledAt(*at) if at else None).code)
        if after is not None:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
        code = ended(child)
        self.seen["killed" if code == -signal.SIGKILL else f"had ended with {code}"] += 1
        if code != -signal.SIGKILL:
            assert code in (*WELL, Code.ARCHIVE)

    def next_job_ends_well(self, *, thorough: bool = False) -> None:
        asked = read(config(self.root))
        retried = len(self.rounds) % 5 == 0
        settings = longer(asked.settings, 2.0, 0.95) if retried else asked.settings
        wanted = Ids(asked).of(settings)
        finished = (self.root / "runs" / wanted / SUMMARY).is_file()
        with self.open() as ledger:
            visible = wanted in set(ledger.runs(state="published")["run_id"])
        before = self.fits()
        outcome = self.job()
        assert outcome.code in WELL, outcome.message
        assert outcome.run_id == wanted
        self.seen["next job: " + self._did(visible, finished, outcome)] += 1
        if finished:
            assert self.fits() == before
        self.check(thorough=thorough)

    @staticmethod
    def _did(visible: bool, finished: bool, outcome: Outcome) -> str:
        if outcome.code == Code.UNCHANGED:
            return "nothing to do"
        return "went on after publication" if visible else "took up the fit" if finished else "fitted"

    def fits(self) -> int:
        file = self.root / "count"
        return len(file.read_text().splitlines()) if file.is_file() else 0

    def check(self, *, thorough: bool) -> None:
        """Nothing half, nothing lost, nothing twice."""
        with self.open() as ledger:
            assert ledger.verify(fast=not thorough) == []
            rows = ledger.runs(state="published")
            latest = ledger.latest()
            assert latest is not None
            assert rows.iloc[0]["run_id"] == latest.run_id
            assert set(rows["n_answers"]) == {2}
            assert len(ledger.probabilities(latest.run_id)) == 2
            steps = ledger.table("steps", state="done")
        # One run for each content, although every job could have made one.
        assert len(rows) == len(self.rounds)
        contents = steps[steps["step"].isin(["id", "retry"]) & steps["run_id"].isin(rows["run_id"])]
        assert contents.groupby("note")["run_id"].nunique().max() == 1
        assert not list((self.root / "runs").glob(".*partial*"))
        assert not list((self.root / "exports").glob(".*partial*"))

    def report(self) -> None:
        print(f"\n{len(self.rounds)} rounds, {self.fits()} fits")
        for name, count in sorted(self.seen.items()):
            print(f"  {count:4d} {name}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.ask()
    assert bench.job().code == Code.PUBLISHED
    return bench


def typical(bench: Bench) -> float:
    """Seconds that a job takes here, with the fork."""
    bench.ask()
    started = time.monotonic()
    assert ended(forked(lambda: bench.job().code)) == Code.PUBLISHED
    return time.monotonic() - started


@pytest.mark.slow
def test_two_hundred_jobs_killed_at_every_boundary_and_at_any_moment(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    for step in STEPS:
        for state in ("started", "done"):
            bench.killed(at=(step, state))
            bench.next_job_ends_well()
    assert bench.seen["killed"] == 2 * len(STEPS)
    longest, number = 0.0, 0
    while bench.seen["killed"] < 200:
        if number % 20 == 0:
            longest = 0.95 * typical(bench)
        number += 1
        bench.killed(after=bench.rng.uniform(0, longest))
        bench.next_job_ends_well(thorough=number % 40 == 0)
        assert number < 400
    bench.check(thorough=True)
    # The kills have found every place that a job can be in.
    for what in ("fitted", "took up the fit", "went on after publication"):
        assert bench.seen[f"next job: {what}"] > 0
    with capsys.disabled():
        bench.report()
        print(f"  {time.monotonic() - started:.0f} s")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.mark.slow
def test_kills_on_a_server_that_goes_away_and_comes_back(
    tmp_path: Path, server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(tmp_path, {"url": server.database(), "patience": 30})
    bench.ask()
    assert bench.job().code == Code.PUBLISHED
    longest = typical(bench)
    for number in range(60):
        if number % 3 == 0:
            # The server goes during the job, and comes back; the job waits, or leaves the rest to the next.
            bench.ask()
            child = forked(lambda: bench.job().code)
            time.sleep(bench.rng.uniform(0, longest))
            (server.kill if number % 6 else server.stop)()
            server.start()
            code = ended(child)
            assert code in (*WELL, Code.ARCHIVE)
            bench.seen[f"server went away, job ended with {code}"] += 1
        else:
            bench.killed(after=bench.rng.uniform(0, longest))
        bench.next_job_ends_well()
    bench.check(thorough=True)
    with capsys.disabled():
        bench.report()


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 8])
def test_of_jobs_at_once_on_a_server_exactly_one_publishes(
    tmp_path: Path, server: PostgresServer, number: int
) -> None:
    bench = Bench(tmp_path, {"url": server.database(), "patience": 5})
    with bench.open():
        pass
    bench.ask()
    children = [forked(lambda: 1 if (o := bench.job()).new else o.code) for _ in range(number)]
    codes = [ended(child) for child in children]
    assert codes.count(1) == 1
    assert set(codes) <= {1, Code.LOCKED, Code.UNCHANGED}
    bench.check(thorough=True)
    assert bench.fits() == 1


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk of that size at the folder; the test is skipped where nothing may be mounted."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mount") is None or os.geteuid() != 0, reason="mounting needs root")
def test_disk_that_is_full_loses_and_publishes_nothing(tmp_path: Path) -> None:
    """With less and less room, so that it runs out in the fit, in the archive and in what follows."""
    bench = Bench(tmp_path / "disk")
    seen = set()
    with small_disk(bench.root, "8m"):
        bench.ask()
        assert bench.job().code == Code.PUBLISHED
        for kib in (0, 4, 12, 20, 28, 36, 44, 60, 76, 92, 120, 160, 200, 280, 400):
            bench.ask()
            filler = bench.root / "filler"
            room = os.statvfs(bench.root)
            filler.write_bytes(bytes(max(0, room.f_bavail * room.f_frsize - kib * 1024)))
            code = ended(forked(lambda: bench.job().code))
            filler.unlink()
            assert code in (Code.PUBLISHED, Code.ARCHIVE, Code.NOT_WRITTEN)
            seen.add(code)
            bench.next_job_ends_well()
        bench.check(thorough=True)
    assert {Code.ARCHIVE, Code.PUBLISHED} <= seen


@pytest.mark.slow
def test_files_that_may_not_grow_are_an_unavailable_archive(bench: Bench) -> None:
    """As under a quota: every write past the limit fails."""

    def limited() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        return bench.job().code

    bench.ask()
    assert ended(forked(limited)) == Code.ARCHIVE
    bench.next_job_ends_well(thorough=True)


def test_posterior_cut_short_after_publication_is_found(bench: Bench) -> None:
    with bench.open() as ledger:
        latest = ledger.latest()
        assert latest is not None
        file = bench.root / "runs" / latest.run_id / POSTERIOR
        os.truncate(file, file.stat().st_size // 2)
        (fault,) = ledger.verify()
    assert (fault.kind, fault.run_id, fault.file) == ("truncated", latest.run_id, POSTERIOR)


def test_posterior_cut_short_before_publication_is_never_visible(bench: Bench) -> None:
    """A power cut, say: the folder is there and its file is not whole."""
    bench.killed(at=("gates", "done"))
    asked = read(config(bench.root))
    folder = bench.root / "runs" / Ids(asked).of(asked.settings)
    os.truncate(folder / POSTERIOR, (folder / POSTERIOR).stat().st_size // 2)
    outcome = bench.job()
    assert outcome.code == Code.ARCHIVE
    assert POSTERIOR in outcome.message
    with bench.open() as ledger:
        assert folder.name not in set(ledger.runs()["run_id"])
    shutil.rmtree(folder)
    bench.next_job_ends_well(thorough=True)


def test_killed_at_a_few_boundaries(bench: Bench) -> None:
    """The short form of the slow test."""
    for step, state in (("fit", "started"), ("fit", "done"), ("archive", "done"), ("alert", "started")):
        bench.killed(at=(step, state))
        bench.next_job_ends_well(thorough=True)
    assert bench.seen["killed"] == 4


def test_second_job_leaves_while_the_first_lives(bench: Bench) -> None:
    bench.ask()
    paused = bench.root / "paused"
    child = forked(lambda: bench.job(PausedAt("fit", "started", paused)).code)
    until = time.monotonic() + 20
    while not paused.exists() and time.monotonic() < until:
        time.sleep(0.01)
    second = bench.job()
    paused.unlink()
    assert second.code == Code.LOCKED
    assert ended(child) == Code.PUBLISHED
