"""Copies of runs: what is loaded, what is exported, and draws that are given up."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from escalation_forecast import archive
from escalation_forecast.ledger import database
from escalation_forecast.ledger.files import FileStore, Stored
from escalation_forecast.ledger.schema import DRAFT, File, Run
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger.ledger import Ledger

DRAWS: Final = (archive.POSTERIOR, "draws_theatres.parquet", "draws_spending.parquet")


def registered(ledger: Ledger, run_id: str) -> dict[str, Stored]:
    """Files of a run as they were published, without those pruned since."""
    query = sa.select(File).where(File.run_id == run_id, File.pruned_at.is_(None)).order_by(File.name)
    with database.reading(ledger.engine) as connection:
        rows = connection.execute(query).mappings().all()
    return {row["name"]: Stored(row["name"], row["size"], row["sha256"]) for row in rows}


def loaded(ledger: Ledger, run_id: str) -> archive.Run:
    """A run from its place, or from the cache if that is elsewhere; its files are checked."""
    wanted = registered(ledger, run_id)
    if not wanted:
        raise DataError(f"Run {run_id} failed, so it has no draws; its reasons are in `runs show {run_id}`.")
    if ledger.files.local is not None:
        ledger.files.check(run_id, wanted)
        return archive.load_run(ledger.files.local / run_id)
    store = FileStore(str(cache_folder(ledger.files.place)))
    assert store.local is not None
    try:
        store.check(run_id, wanted)
    except DataError:
        shutil.rmtree(store.local / run_id, ignore_errors=True)
        with archive.partial(store.local, run_id) as half:
            ledger.files.fetch(run_id, wanted, half)
            archive.finish(half, store.local, run_id)
    return archive.load_run(store.local / run_id)


def cache_folder(place: str) -> Path:
    """Where copies of remote runs are kept: under XDG_CACHE_HOME, by the place they come from."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "escalation-forecast" / hashlib.sha256(place.encode()).hexdigest()[:16]


def export(ledger: Ledger, run_id: str, out: Path) -> Path:
    """Copy a run to ``out/<run id>/``; its files are checked on the way, and the folder appears whole.

    Raises
    ------
    DataError
        When a file is missing or damaged, or the folder is there already.
    """
    ledger.get(run_id)
    wanted = registered(ledger, run_id)
    if not wanted:
        raise DataError(f"Run {run_id} failed, so it has no files; its summary is in `runs show {run_id}`.")
    if (out / run_id).exists():
        raise DataError(f"{out / run_id} is there already and is not overwritten; give another --out.")
    with archive.partial(out, run_id) as half, archive.writing(out):
        ledger.files.fetch(run_id, wanted, half)
        return archive.finish(half, out, run_id)


def prune(ledger: Ledger, keep: int, *, dry_run: bool) -> list[str]:
    """Remove the draws of all drafts but the newest `keep`."""
    if keep < 0:
        raise DataError(f"{keep} drafts cannot be kept; give 0 or more.")
    old = (
        sa.select(Run.run_id)
        .where(Run.state == DRAFT)
        .order_by(Run.as_of.desc(), Run.created_at.desc(), Run.run_id)
        .offset(keep)
    )
    query = sa.select(File.run_id, File.name).where(File.name.in_(DRAWS), File.pruned_at.is_(None))
    with database.reading(ledger.engine) as connection:
        ids = set(connection.scalars(old.limit(-1 if connection.dialect.name == "sqlite" else None)))
        going = sorted(tuple(row) for row in connection.execute(query) if row.run_id in ids)
    if not dry_run:
        for run_id, name in going:
            # Marked first: a file that lies there although it was pruned does no harm.
            _mark(ledger, run_id, name)
            ledger.files.remove(run_id, name)
    return [f"{run_id}/{name}" for run_id, name in going]


def _mark(ledger: Ledger, run_id: str, name: str) -> None:
    pruned = sa.update(File).where(File.run_id == run_id, File.name == name)

    def work(connection: sa.Connection) -> None:
        connection.execute(pruned.values(pruned_at=dt.datetime.now(dt.UTC)))

    database.write(ledger.engine, work)
