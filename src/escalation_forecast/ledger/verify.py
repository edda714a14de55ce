"""What is wrong with an archive, and what to do about it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from escalation_forecast import archive
from escalation_forecast.ledger import database, queries
from escalation_forecast.ledger.files import RUN_ID, Stored, inside
from escalation_forecast.ledger.records import Fault
from escalation_forecast.ledger.schema import PUBLISHED, Failure, File, Latest, Run
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger.ledger import Ledger

HALF: Final = re.compile(rf"\.([0-9a-f]{{{archive.ID_LENGTH}}})(?:\.failed)?\.partial-(\d+)")
FAILED_FOLDER: Final = re.compile(rf"([0-9a-f]{{{archive.ID_LENGTH}}})\.failed")
RESTORE: Final = "restore it from a backup; the forecast itself is still in the database"


def faults(ledger: Ledger, *, fast: bool) -> list[Fault]:
    """All faults, by run and file."""
    with database.reading(ledger.engine) as connection:
        rows = connection.execute(sa.select(File)).mappings().all()
        ids = set(connection.scalars(sa.select(Run.run_id)))
        failed = set(connection.scalars(sa.select(Failure.run_id)))
    kept: dict[str, dict[str, Stored]] = {run_id: {} for run_id in ids}
    pruned: dict[str, set[str]] = {run_id: set() for run_id in ids}
    for row in rows:
        if row["pruned_at"] is None:
            kept[row["run_id"]][row["name"]] = Stored(row["name"], row["size"], row["sha256"])
        else:
            pruned[row["run_id"]].add(row["name"])
    found = [*_database(ledger, fast)]
    for run_id in sorted(ids):
        found += _run(ledger, run_id, kept[run_id], pruned[run_id], fast)
    for name in ledger.files.folders():
        found += _folder(ledger, name, ids, failed)
    return [*found, *_pointer(ledger)]


def _database(ledger: Ledger, fast: bool) -> Iterator[Fault]:
    """What SQLite finds wrong with its own file; PostgreSQL checks its pages as it reads them."""
    if ledger.engine.dialect.name != "sqlite":
        return
    with database.reading(ledger.engine) as connection:
        check = "quick_check" if fast else "integrity_check"
        told = list(connection.exec_driver_sql(f"PRAGMA {check}(10)").scalars())
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    for line in told if told != ["ok"] else []:
        yield Fault("database", "", "", f"The database is damaged ({line})", "restore it from a backup")
    for table in sorted({row[0] for row in orphans}):
        text = f"Rows of {table} point to rows that are gone"
        yield Fault("database", "", "", text, "restore the database from a backup")


def _run(
    ledger: Ledger, run_id: str, wanted: dict[str, Stored], pruned: set[str], fast: bool
) -> Iterator[Fault]:
    try:
        lying = ledger.files.listing(run_id)
    except DataError as error:
        yield Fault("unknown file", run_id, "", str(error).rstrip("."), "and run `runs verify` again")
        return
    if wanted and not lying:
        yield Fault("missing", run_id, "", f"All files of run {run_id} are missing", RESTORE)
        return
    for name, known in sorted(wanted.items()):
        if name not in lying:
            yield Fault("missing", run_id, name, f"{name} of run {run_id} is missing", RESTORE)
        elif lying[name] < known.size:
            cut = f"{name} of run {run_id} is cut short: {lying[name]:,} of {known.size:,} bytes"
            yield Fault("truncated", run_id, name, cut, RESTORE)
        elif lying[name] != known.size or not (fast or _same(ledger, run_id, known)):
            changed = f"{name} of run {run_id} is not what was published"
            yield Fault("damaged", run_id, name, changed, RESTORE)
    for name in sorted(lying.keys() - wanted.keys()):
        if name in pruned:
            again = f"{name} of run {run_id} was pruned and still lies there"
            yield Fault("leftover", run_id, name, again, "delete it")
        else:
            extra = f"{name} lies with run {run_id} and is not part of it"
            yield Fault("unknown file", run_id, name, extra, "move it elsewhere")


def _same(ledger: Ledger, run_id: str, known: Stored) -> bool:
    try:
        return ledger.files.measure(run_id, inside(known.name)) == known
    except FileNotFoundError:
        return False


def _folder(ledger: Ledger, name: str, ids: set[str], failed: set[str]) -> Iterator[Fault]:
    where = f"{ledger.files.place.rstrip('/')}/{name}"
    if half := HALF.fullmatch(name):
        if not archive.alive(int(half[2])) or _old(ledger, name):
            text = f"{where} is a run that was never finished"
            yield Fault("half run", half[1], "", text, "delete it, unless a job on another machine is at it")
    elif broken := FAILED_FOLDER.fullmatch(name):
        run_id = broken[1]
        if run_id in ids:
            text = f"{where} is an older failure of a run that passed since"
            yield Fault("leftover", run_id, "", text, "delete it")
        elif run_id not in failed:
            text = f"{where} is a fit that failed and the archive does not know of"
            yield Fault("failed run", run_id, "", text, f"register it with `runs add {where}`")
    elif RUN_ID.fullmatch(name) and name not in ids:
        with database.reading(ledger.engine) as connection:
            if queries.known(connection, name):  # published while we looked
                return
        if ledger.files.has(name, archive.SUMMARY):
            text = f"{where} is a run that the archive does not know of"
            yield Fault("no row", name, "", text, f"register it with `runs add {where}`, or delete it")
        else:
            text = f"{where} has no {archive.SUMMARY}, so it is half a run"
            yield Fault("half run", name, "", text, "delete it, unless a job is uploading it now")


def _old(ledger: Ledger, name: str) -> bool:
    if ledger.files.local is None:
        return True
    try:
        age = time.time() - (ledger.files.local / name).stat().st_mtime
    except FileNotFoundError:
        return False
    return age > archive.LEFTOVER_SECONDS


def _pointer(ledger: Ledger) -> Iterator[Fault]:
    newest = (
        sa.select(Run.run_id, Run.as_of, Run.created_at)
        .where(Run.state == PUBLISHED)
        .order_by(Run.as_of.desc(), Run.created_at.desc())
        .limit(1)
    )
    with database.reading(ledger.engine) as connection:
        best = connection.execute(newest).one_or_none()
        at = connection.execute(sa.select(Latest.run_id, Latest.as_of, Latest.created_at)).one_or_none()
    if best is not None and (at is None or (at.as_of, at.created_at) != (best.as_of, best.created_at)):
        text = f"The latest run is {best.run_id} of {best.as_of}, and the pointer says {at and at.run_id}"
        yield Fault(
            "latest", best.run_id, "", text, "the database was changed by hand; restore it from a backup"
        )
