"""The archive: write-once, one `latest`, files that are what was published, and what it refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import exc

from escalation_forecast import archive
from escalation_forecast.ledger import Ledger, LockedError, database
from escalation_forecast.ledger.schema import Probability, Run
from escalation_forecast.schema import DataError
from run_folder import RUN, answer, count, quantity, run_folder, summary_of

OTHER = "fedcba9876543210"
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["escalation_forecast.ledger.ledger", "alembic.command", "h5py"])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(url(tmp_path), str(tmp_path / "files")) as opened:
        yield opened


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'archive.sqlite'}"


def number(k: int) -> str:
    return f"{k:016x}"


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_published_run_comes_back_whole(ledger: Ledger, tmp_path: Path) -> None:
    answers = [
        answer("use-of-force/korea/12m", 0.25, note="as coded", prior_share={"base": 0.2}),
        count("arms-race-count/2026", {"0": 0.25, "2": 0.75}),
        quantity("spending-growth/CHN/2026", 7.0),
    ]
    folder = run_folder(tmp_path / "made", answers=answers)
    assert ledger.publish(folder, job="morning")
    record = ledger.get(RUN)
    assert (record.state, record.job, record.as_of.isoformat()) == ("published", "morning", "2026-11-27")
    assert record.created_at.isoformat() == "2026-11-27T03:39:14+00:00"
    assert record.summary == json.loads((folder / "summary.json").read_text())
    assert ledger.latest() == record
    table = ledger.probabilities(RUN).set_index("id")
    assert list(table.index) == [entry["id"] for entry in answers]
    first = table.iloc[0]
    assert (first["probability"], first["mcse"], first["base_rate"]) == (0.25, 0.004, 0.1)
    assert (first["note"], first["prior_share"], first["target"]) == ("as coded", {"base": 0.2}, "korea/12m")
    assert table["mean"].tolist()[1:] == [1.5, 7.0]
    assert table.loc["arms-race-count/2026", "distribution"] == {"0": 0.25, "2": 0.75}
    assert (table["low"].iloc[2], table["high"].iloc[2]) == (5.0, 9.0)
    run = ledger.load(RUN)
    assert bytes_of(run.folder) == bytes_of(folder)
    assert run.posterior["posterior"]["phi"].shape == (2, 4)
    assert ledger.verify() == []


def test_second_time_is_a_no_op_whatever_it_brings(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.publish(run_folder(tmp_path / "first"))
    before = bytes_of(tmp_path / "files")
    changed = run_folder(tmp_path / "second", answers=[answer("use-of-force/korea/12m", 0.9)])
    assert not ledger.publish(changed)
    assert bytes_of(tmp_path / "files") == before
    assert ledger.probabilities(RUN)["probability"].tolist() == [0.25, 0.6]


def test_folder_that_lies_there_stays_and_counts(ledger: Ledger, tmp_path: Path) -> None:
    lying = run_folder(tmp_path / "files", answers=[answer("use-of-force/korea/12m", 0.25)])
    before = bytes_of(lying)
    other = run_folder(tmp_path / "made", answers=[answer("use-of-force/korea/12m", 0.9)])
    assert ledger.publish(other)
    assert ledger.probabilities(RUN)["probability"].tolist() == [0.25]
    assert bytes_of(lying) == before
    assert ledger.verify() == []


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_latest_moves_forward_only(ledger: Ledger, tmp_path: Path, order: tuple[int, ...]) -> None:
    days = ["2026-11-26", "2026-11-27", "2026-11-27", "2026-11-28"]
    hours = ["09", "08", "07", "01"]
    best: tuple[str, str] = ("", "")
    for k in order:
        made = f"2026-11-29T{hours[k]}:00:00+00:00"
        ledger.publish(run_folder(tmp_path, number(k), as_of=days[k], created_at=made))
        best = max(best, (days[k], made))
        latest = ledger.latest()
        assert latest is not None
        assert (latest.as_of.isoformat(), latest.created_at.isoformat()) == best
    assert ledger.runs()["run_id"].tolist() == [number(k) for k in (3, 1, 2, 0)]
    assert ledger.history("arms-race-regional/2026")["run_id"].tolist() == [number(k) for k in (0, 2, 1, 3)]


def test_drafts_and_failures_are_never_latest(ledger: Ledger, tmp_path: Path) -> None:
    draft = run_folder(
        tmp_path, as_of="2026-12-01", draft=True, published=False, diagnostics={"passed": False}
    )
    with pytest.raises(DataError, match="is a draft, which is never published"):
        ledger.publish(draft)
    assert ledger.add(draft)
    failed = summary_of(
        OTHER, (), published=False, diagnostics={"passed": False, "reasons": ["R-hat is 1.2."]}
    )
    for _ in range(2):
        ledger.fail(failed, job="morning")
    assert ledger.latest() is None
    assert ledger.get(OTHER).reasons == ("R-hat is 1.2.",)
    assert ledger.runs()[["run_id", "state"]].to_numpy().tolist() == [[RUN, "draft"], [OTHER, "failed"]]
    assert ledger.runs(state="failed")["reason"].tolist() == ["R-hat is 1.2."]
    with pytest.raises(DataError, match="failed, so it has no draws"):
        ledger.load(OTHER)
    with pytest.raises(DataError, match="No published run answers"):
        ledger.history("arms-race-regional/2026")
    assert ledger.publish(run_folder(tmp_path / "made", OTHER))
    assert ledger.runs(state="failed").empty
    assert ledger.get(OTHER).state == "published"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"published": False}, "is not published by its own summary"),
        ({"diagnostics": {"passed": False}}, "did not pass its gates"),
        ({"diagnostics": {}}, "did not pass its gates"),
        ({"as_of": "yesterday"}, "is 'yesterday' and no date"),
        ({"created_at": "noon"}, "no date with a time"),
        ({"seed": -1}, "no whole number"),
        ({"answers": [answer("a", 1.2)]}, "not within 0 and 1"),
        ({"answers": [answer("a"), answer("a")]}, "answers a question twice"),
        ({"answers": [answer("a", note="x\0y")]}, "a character that no database takes"),
        ({"answers": ["a"]}, "is no table"),
    ],
)
def test_what_is_no_good_run_is_refused(
    ledger: Ledger, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = run_folder(tmp_path / "made", **changes)
    with pytest.raises(DataError, match=message):
        ledger.publish(folder)
    assert ledger.runs().empty
    assert not (tmp_path / "files" / RUN).exists()


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("exploded",)


@pytest.mark.parametrize(
    "content",
    [b"", b"not a netCDF", b"CDF\x01" + bytes(64), b"\x89HDF\r\n\x1a\n" + bytes(200), pickle.dumps(Bomb())],
)
def test_posterior_that_is_none_is_refused_and_not_run(
    ledger: Ledger, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = run_folder(tmp_path / "made")
    (folder / "posterior.nc").write_bytes(content)
    with pytest.raises(DataError, match=r"posterior\.nc is (no netCDF file|damaged)"):
        ledger.publish(folder)
    assert ledger.runs().empty
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("kind", ["link", "dataset", "soft"])
def test_posterior_that_reads_other_files_is_refused(ledger: Ledger, tmp_path: Path, kind: str) -> None:
    folder = run_folder(tmp_path / "made")
    with h5py.File(folder / "posterior.nc", "a") as file:
        if kind == "link":
            file["posterior/stolen"] = h5py.ExternalLink("/etc/hostname", "/")
        elif kind == "soft":
            file["posterior/stolen"] = h5py.SoftLink("/prior")
        else:
            outside = [("/etc/hostname", 0, 8)]
            file.create_dataset("posterior/stolen", (8,), "i1", external=outside)
    with pytest.raises(DataError, match="takes `posterior/stolen` from another file"):
        ledger.publish(folder)


def test_links_are_refused(ledger: Ledger, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "made")
    (folder / "secret.txt").symlink_to("/etc/hostname")
    with pytest.raises(DataError, match="is no ordinary file"):
        ledger.publish(folder)


@pytest.mark.parametrize(
    "name",
    ["../etc", "0123456789ABCDEF", "0" * 15, "0" * 17, "0" * 16 + "\n", "'; DROP TABLE runs; --", "", 7],
)
def test_what_is_no_id_is_refused_everywhere(ledger: Ledger, tmp_path: Path, name: Any) -> None:
    for call in (ledger.get, ledger.load, ledger.probabilities):
        with pytest.raises(DataError, match="is no run id"):
            call(name)
    with pytest.raises(DataError, match="is no run id"):
        ledger.fail(summary_of(name))
    folder = run_folder(tmp_path / "made")
    (folder / "summary.json").write_text(json.dumps(summary_of(name)))
    with pytest.raises(DataError, match="is no run id"):
        ledger.publish(folder)


hostile = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["'; DROP TABLE runs; --", "<script>alert(1)</script>", "a\0b", "\ud800", "%s %(x)s :id ?"]
    ),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=hostile, note=hostile, title=hostile)
@example(name="'; DROP TABLE runs; --", note="<script>", title="\u202e")
def test_text_comes_back_as_it_was_or_is_refused(
    ledger: Ledger, tmp_path: Path, name: str, note: str, title: str
) -> None:
    identity = archive.run_id({"of": [ascii(name), ascii(note), ascii(title)]})
    if (tmp_path / identity).exists():
        return
    impossible = any(
        "\0" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in (name, note, title)
    )
    folder = run_folder(tmp_path, identity)
    entry = answer(name, note=note, title=title, question="q", target="t")
    # As ASCII: the summary's own writer refuses lone surrogates.
    (folder / "summary.json").write_text(json.dumps(summary_of(identity, [entry])), encoding="ascii")
    if impossible:
        with pytest.raises(DataError, match="a character that no database takes"):
            ledger.publish(folder)
        return
    assert ledger.publish(folder)
    assert ledger.probabilities(identity)[["id", "note", "title"]].to_numpy().tolist() == [
        [name, note, title]
    ]
    assert ledger.history(name)["run_id"].tolist().count(identity) == 1
    rows = [
        {
            "run_id": identity,
            "kind": "k",
            "key": name,
            "severity": "s",
            "message": note,
            "created_at": "2026-01-01",
        }
    ]
    assert (ledger.put("alerts", rows), ledger.put("alerts", rows)) == (1, 0)
    assert ledger.table("alerts", run_id=identity, key=name)["message"].tolist() == [note]


def test_database_itself_refuses_to_change_what_is_archived(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish(run_folder(tmp_path))
    ledger.fail(summary_of(OTHER, diagnostics={"reasons": ["stuck"]}))
    for table in ("runs", "summaries", "questions", "probabilities", "files", "failures"):
        column = "wording" if table == "questions" else "run_id"
        for change in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}"):
            with (
                pytest.raises(exc.IntegrityError, match="archived rows are never changed"),
                database.writing(ledger.engine) as connection,
            ):
                connection.execute(sa.text(change))
    with (
        pytest.raises(exc.IntegrityError, match="archived rows are never changed"),
        database.writing(ledger.engine) as connection,
    ):
        connection.execute(sa.text("UPDATE files SET pruned_at = '2026-01-01'"))


def test_commit_whose_answer_was_lost_counts_as_ours(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, lost = database.writing, []

    def answer_lost(engine: sa.Engine) -> Any:
        manager = plain(engine)
        if lost:
            return manager
        lost.append(1)
        leave = manager.__exit__

        class Manager:
            def __enter__(self) -> Any:
                return manager.__enter__()

            def __exit__(self, *error: Any) -> Any:
                leave(*error)
                raise exc.OperationalError("COMMIT", {}, OSError("server closed the connection"))

        return Manager()

    monkeypatch.setattr(database, "writing", answer_lost)
    assert ledger.publish(run_folder(tmp_path))
    assert len(ledger.runs()) == 1


def test_disk_error_while_writing_leaves_no_half_run(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    folder = run_folder(tmp_path / "made")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", full)
        with pytest.raises(archive.ArchiveError, match=r"^No space left on device: [^.]+\.$"):
            ledger.publish(folder)
    assert ledger.runs().empty
    assert ledger.verify() == []
    assert ledger.publish(folder)


def race(base: Path, barrier: Any, told: Any) -> None:
    """One of several processes that open the archive and publish the same two runs."""
    barrier.wait()
    with Ledger.open(url(base), str(base / "files")) as ledger:
        told.put(("locked", ledger.publish(base / "made" / RUN)))
        barrier.wait()
        # Without the lock the constraints and the rename must do.
        Ledger.lock = lambda *_, **__: nullcontext()  # type: ignore[method-assign, assignment]
        told.put(("bare", ledger.publish(base / "made" / OTHER)))


@pytest.mark.parametrize("processes", [pytest.param(2, marks=pytest.mark.slow), 8])
def test_of_many_processes_one_publishes(tmp_path: Path, processes: int) -> None:
    for identity in (RUN, OTHER):
        run_folder(tmp_path / "made", identity)
    barrier, told = CONTEXT.Barrier(processes), CONTEXT.Queue()
    started = [CONTEXT.Process(target=race, args=(tmp_path, barrier, told)) for _ in range(processes)]
    for process in started:
        process.start()
    found = [told.get(timeout=60) for _ in range(2 * processes)]
    for process in started:
        process.join()
    assert sorted(new for how, new in found if how == "locked") == [False] * (processes - 1) + [True]
    assert sorted(new for how, new in found if how == "bare") == [False] * (processes - 1) + [True]
    with Ledger.open(url(tmp_path), str(tmp_path / "files")) as ledger:
        assert ledger.runs()["run_id"].tolist() == [RUN, OTHER]
        assert ledger.verify() == []


def hold(base: Path, held: Any) -> None:
    with Ledger.open(url(base), str(base)) as ledger, ledger.lock("job"):
        held.set()
        time.sleep(60)


def test_lock_ends_with_a_killed_owner(ledger: Ledger, tmp_path: Path) -> None:
    held = CONTEXT.Event()
    owner = CONTEXT.Process(target=hold, args=(tmp_path, held))
    owner.start()
    assert held.wait(30)
    with pytest.raises(LockedError, match=f"locked by process {owner.pid}"), ledger.lock("job"):
        pass
    with ledger.lock("another"):
        pass
    assert owner.pid is not None
    os.kill(owner.pid, signal.SIGKILL)
    with ledger.lock("job", wait=10):
        pass
    owner.join()
    with pytest.raises(DataError, match="is no name of a lock"), ledger.lock("../job"):
        pass


def test_ten_thousand_runs_list_in_under_a_second(ledger: Ledger, tmp_path: Path) -> None:
    ledger.publish(run_folder(tmp_path))
    with database.reading(ledger.engine) as connection:
        run = dict(connection.execute(sa.select(Run.__table__)).mappings().one())
        row = dict(connection.execute(sa.select(Probability.__table__)).mappings().first() or {})
    ids = [number(k) for k in range(10_000)]
    with database.writing(ledger.engine) as connection:
        connection.execute(sa.insert(Run), [run | {"run_id": key, "publication": key} for key in ids])
        connection.execute(sa.insert(Probability), [row | {"run_id": key} for key in ids])
    for call in (ledger.runs, lambda: ledger.history(row["answer"])):
        start = time.perf_counter()
        assert len(call()) == 10_001
        assert time.perf_counter() - start < 1.0
    assert len(ledger.runs(limit=30)) == 30
