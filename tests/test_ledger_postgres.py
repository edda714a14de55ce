"""The archive on a real PostgreSQL server: races, restarts, kills, and a role that may do little."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from escalation_forecast.ledger import Ledger, LedgerError, LockedError, database
from postgres_server import PostgresServer
from run_folder import RUN, answer, count, quantity, run_folder, summary_of
from test_ledger_migrations import check_first, differences, fill_first

pytestmark = pytest.mark.slow
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["escalation_forecast.ledger.ledger", "alembic.command", "psycopg", "h5py", "xarray"]
)
OTHER = "fedcba9876543210"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.database()


@pytest.fixture
def ledger(url: str, tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(url, str(tmp_path / "files")) as opened:
        yield opened


def test_everything_comes_back(ledger: Ledger, tmp_path: Path) -> None:
    answers = [
        answer("'; DROP TABLE runs; --", 0.25, note="<script>%s :id</script>"),
        count("arms-race-count/2026", {"0": 0.25, "2": 0.75}),
        quantity("spending-growth/CHN/2026", 7.0),
    ]
    assert ledger.publish(run_folder(tmp_path / "made", answers=answers), job="morning")
    assert not ledger.publish(tmp_path / "made" / RUN)
    table = ledger.probabilities(RUN)
    assert table["id"].tolist() == [entry["id"] for entry in answers]
    assert table["note"].iloc[0] == "<script>%s :id</script>"
    record = ledger.latest()
    assert record is not None
    assert record.created_at.isoformat() == "2026-11-27T03:39:14+00:00"
    ledger.publish(run_folder(tmp_path / "made", OTHER, as_of="2026-11-26"))
    assert ledger.latest() == record
    ledger.fail(summary_of("1" * 16, (), diagnostics={"reasons": ["stuck"]}))
    assert ledger.runs()["state"].tolist() == ["published", "failed", "published"]
    assert ledger.runs(limit=1)["latest"].tolist() == [True]
    assert ledger.runs(state="failed")["reason"].tolist() == ["stuck"]
    assert ledger.history("'; DROP TABLE runs; --")["probability"].tolist() == [0.25]
    ledger.add(run_folder(tmp_path / "made", "2" * 16, draft=True, published=False))
    assert len(ledger.prune(0)) == 2
    row = {"answer": "a", "as_of": "2026-11-27", "forecaster": "crowd", "probability": 0.2}
    assert (ledger.put("crowd", [row, row]), ledger.put("crowd", [row])) == (1, 0)
    alert = {
        "run_id": RUN,
        "kind": "k",
        "key": "a",
        "severity": "s",
        "message": "m",
        "created_at": "2026-11-27",
    }
    ledger.put("alerts", [alert])
    filled = [ledger.fill("alerts", {"key": "a"}, sent_at="2026-11-28") for _ in range(2)]
    assert filled == [1, 0]
    assert ledger.verify() == []
    assert ledger.load(RUN).summary["run_id"] == RUN


def test_database_itself_refuses_to_change_what_is_archived(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish(run_folder(tmp_path))
    ledger.fail(summary_of(OTHER, diagnostics={"reasons": ["stuck"]}))
    for table in ("runs", "summaries", "questions", "probabilities", "files", "failures"):
        column = "wording" if table == "questions" else "run_id"
        set_it = (
            f"UPDATE {table} SET {column} = {column}" if table != "files" else "UPDATE files SET size = 1"
        )
        for change in (set_it, f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            with (
                pytest.raises(exc.IntegrityError, match="archived rows are never changed"),
                database.writing(ledger.engine) as connection,
            ):
                connection.execute(sa.text(change))


def race(url: str, files: str, folders: list[Path], locked: bool, barrier: Any, told: Any) -> None:
    """One of several processes that open the archive and publish, with the lock or without."""
    if not locked:
        Ledger.lock = lambda *_, **__: nullcontext()  # type: ignore[method-assign, assignment]
    barrier.wait()
    with Ledger.open(url, files) as ledger:
        told.put([ledger.publish(folder) for folder in folders])


def raced(url: str, files: Path, folders: list[list[Path]], locked: bool = True) -> list[list[bool]]:
    barrier, told = CONTEXT.Barrier(len(folders)), CONTEXT.Queue()
    started = [
        CONTEXT.Process(target=race, args=(url, str(files), part, locked, barrier, told)) for part in folders
    ]
    for process in started:
        process.start()
    found = [told.get(timeout=60) for _ in started]
    for process in started:
        process.join()
    return found


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
@pytest.mark.parametrize(("processes", "locked"), [(2, True), (8, True), (8, False)])
def test_of_many_processes_one_publishes(
    server: PostgresServer, url: str, tmp_path: Path, processes: int, locked: bool, isolation: str
) -> None:
    name = sa.make_url(url).database
    server.run(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
    folder = run_folder(tmp_path / "made")
    found = raced(url, tmp_path / "files", [[folder]] * processes, locked)
    assert sorted(found) == [[False]] * (processes - 1) + [[True]]
    with Ledger.open(url, str(tmp_path / "files")) as ledger:
        assert ledger.runs()["run_id"].tolist() == [RUN]
        assert ledger.verify() == []


def test_latest_is_the_newest_whoever_comes_last(url: str, tmp_path: Path) -> None:
    folders = [
        run_folder(
            tmp_path / "made", f"{k:016x}", as_of=f"2026-10-{k + 1:02d}", answers=[answer(f"q/{k % 3}")]
        )
        for k in range(24)
    ]
    order = np.random.default_rng(0).permutation(24)
    parts = [[folders[k] for k in order[start::8]] for start in range(8)]
    assert all(all(one) for one in raced(url, tmp_path / "files", parts, locked=False))
    with Ledger.open(url, str(tmp_path / "files")) as ledger:
        latest = ledger.latest()
        assert latest is not None
        assert latest.run_id == f"{23:016x}"
        assert len(ledger.runs()) == 24
        assert ledger.verify() == []


def test_archive_of_the_first_revision_opens(url: str, tmp_path: Path) -> None:
    fill_first(database._engine(sa.make_url(url)), tmp_path / "files")
    with Ledger.open(url, str(tmp_path / "files")) as ledger:
        check_first(ledger)
        assert differences(ledger.engine) == []


def test_restart_between_two_calls_is_not_noticed(
    server: PostgresServer, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.publish(run_folder(tmp_path))
    server.restart()
    assert ledger.latest() is not None
    server.restart()
    assert ledger.publish(run_folder(tmp_path, OTHER))


def test_server_that_goes_down_in_the_middle_is_waited_for(
    server: PostgresServer, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from escalation_forecast.ledger import ledger as module

    plain, broken = module._move_latest, []

    def killed(connection: sa.Connection, run: Any) -> None:
        plain(connection, run)
        if not broken:
            broken.append(1)
            server.kill()
            threading.Timer(1.0, server.start).start()

    monkeypatch.setattr(module, "_move_latest", killed)
    assert ledger.publish(run_folder(tmp_path))
    assert broken
    record = ledger.latest()
    assert record is not None
    assert record.run_id == RUN
    assert ledger.verify() == []


def test_what_was_published_survives_a_kill_of_the_server(
    server: PostgresServer, ledger: Ledger, tmp_path: Path
) -> None:
    ledger.publish(run_folder(tmp_path))
    server.kill()
    with pytest.raises(LedgerError, match="does not answer or refuses"):
        ledger.latest()
    server.start()
    assert ledger.runs()["run_id"].tolist() == [RUN]
    assert ledger.verify() == []


def hold(url: str, files: str, held: Any) -> None:
    with Ledger.open(url, files) as ledger, ledger.lock("job"):
        held.set()
        time.sleep(60)


def test_lock_ends_with_a_killed_owner(ledger: Ledger, url: str, tmp_path: Path) -> None:
    held = CONTEXT.Event()
    owner = CONTEXT.Process(target=hold, args=(url, str(tmp_path), held))
    owner.start()
    assert held.wait(30)
    with pytest.raises(LockedError), ledger.lock("job"):
        pass
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    with ledger.lock("job", wait=10):
        pass
    with ledger.lock("job"):
        pass
    owner.join()


def test_role_with_least_privileges(server: PostgresServer, url: str, tmp_path: Path) -> None:
    """The statements are those of docs/archive.md."""
    text = (Path(__file__).parents[1] / "docs" / "archive.md").read_text(encoding="utf-8")
    granted = text.split("<!-- grants -->")[1].split("```sql\n")[1].split("```")[0]
    name = str(sa.make_url(url).database)
    server.run("DROP ROLE IF EXISTS forecaster", "CREATE ROLE forecaster LOGIN")
    with Ledger.open(url, str(tmp_path)):
        pass
    statements = [line for line in granted.replace("escalation", name).split(";\n") if line.strip()]
    server.run(*statements, name=name)
    as_role = server.url(name, "forecaster")
    with Ledger.open(as_role, str(tmp_path)) as ledger:
        assert ledger.publish(run_folder(tmp_path), job="morning")
        assert ledger.publish(run_folder(tmp_path, OTHER, as_of="2026-12-01"))
        ledger.fail(summary_of("1" * 16, diagnostics={"reasons": ["stuck"]}))
        ledger.add(run_folder(tmp_path, "2" * 16, draft=True, published=False))
        assert len(ledger.prune(0)) == 2
        alert = {"run_id": RUN, "kind": "k", "key": "a", "severity": "s", "message": "m"}
        ledger.put("alerts", [alert | {"created_at": "2026-11-27"}])
        assert ledger.fill("alerts", {"key": "a"}, sent_at="2026-11-28") == 1
        with ledger.lock("job"):
            assert ledger.latest() == ledger.get(OTHER)
        assert ledger.verify() == []
        for change in (
            "DELETE FROM alerts",
            "UPDATE runs SET job = 'x'",
            "DROP TABLE latest",
            "CREATE TABLE x ()",
        ):
            with (
                pytest.raises(exc.ProgrammingError, match=r"permission denied|must be owner"),
                database.writing(ledger.engine) as connection,
            ):
                connection.execute(sa.text(change))


def publish_all(url: str, files: str, folders: list[Path], going: Any) -> None:
    with Ledger.open(url, files) as ledger:
        going.set()
        for folder in folders:
            ledger.publish(folder)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_process_killed_anywhere_leaves_whole_runs(kind: str, server: PostgresServer, tmp_path: Path) -> None:
    place = server.database() if kind == "postgresql" else f"sqlite:///{tmp_path / 'archive.sqlite'}"
    files, rng = tmp_path / "files", np.random.default_rng(1)
    folders = [
        run_folder(tmp_path / "made", f"{k:016x}", as_of=f"2026-10-{k % 28 + 1:02d}") for k in range(200)
    ]
    done, seen = 0, []
    for _ in range(30):
        going = CONTEXT.Event()
        worker = CONTEXT.Process(target=publish_all, args=(place, str(files), folders, going))
        worker.start()
        assert going.wait(60)
        time.sleep(float(rng.uniform(0, 0.15)))
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        with Ledger.open(place, str(files)) as ledger:
            # Half runs are all that a kill may leave; a folder without its row is taken up next time.
            assert {fault.kind for fault in ledger.verify()} <= {"half run", "no row"}
            runs = ledger.runs()
            assert len(runs) >= done
            done = len(runs)
            seen.append(done)
            for run_id in runs["run_id"]:
                assert len(ledger.probabilities(run_id)) == 2
    assert len(set(seen)) > 3
    with Ledger.open(place, str(files)) as ledger:
        for folder in folders:
            ledger.publish(folder)
        assert len(ledger.runs()) == 200
        assert {fault.kind for fault in ledger.verify()} <= {"half run"}
