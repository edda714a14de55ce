"""One at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy import exc

from escalation_forecast.ledger.errors import LockedError
from escalation_forecast.schema import DataError

MIGRATION: Final = "schema"
PUBLICATION: Final = "publish"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
PAUSE_SECONDS: Final = 0.05


@contextmanager
def lock(engine: sa.Engine, name: str, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of that name in this archive.

    SQLite: ``flock`` on a file beside the database; PostgreSQL: a session's advisory lock. Both end when the
    process that holds them does.

    Raises
    ------
    LockedError
        When another holds it after `wait` seconds.
    """
    if not NAME.fullmatch(name):
        raise DataError(f"`{name!r}` is no name of a lock; use small letters, digits, - and _.")
    held = _file_lock if engine.dialect.name == "sqlite" else _advisory_lock
    with held(engine, name, wait):
        yield


@contextmanager
def _file_lock(engine: sa.Engine, name: str, wait: float) -> Iterator[None]:
    file = Path(f"{engine.url.database}.{name}.lock")
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def taken() -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    try:
        _patient(taken, name, wait, lambda: os.pread(handle, 32, 0).decode(errors="replace"))
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        # The file stays: were it removed, two could hold locks on two files of one name.
        yield
    finally:
        os.close(handle)


@contextmanager
def _advisory_lock(engine: sa.Engine, name: str, wait: float) -> Iterator[None]:
    digest = hashlib.sha256(f"escalation-forecast/{name}".encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    # A connection of its own, that no pool hands on with the lock still held.
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.detach()

    def taken() -> bool:
        return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key))))

    try:
        _patient(taken, name, wait, lambda: "")
        try:
            yield
        finally:
            # Closing would do, a moment later.
            with suppress(exc.DBAPIError):
                connection.scalar(sa.select(sa.func.pg_advisory_unlock(key)))
    finally:
        connection.close()


def _patient(taken: Callable[[], bool], name: str, wait: float, holder: Callable[[], str]) -> None:
    until = time.monotonic() + wait
    while not taken():
        if time.monotonic() >= until:
            who = f" by process {found}" if (found := holder().strip()) else ""
            raise LockedError(
                f"`{name}` is locked{who}; wait until that one is done, or end it: the lock ends with it."
            )
        time.sleep(min(PAUSE_SECONDS, max(0.0, until - time.monotonic())))
