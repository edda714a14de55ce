"""Connections to the archive: SQLite or PostgreSQL, brought to the newest schema, and transactions."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc

from escalation_forecast.ledger.errors import LedgerError
from escalation_forecast.ledger.locks import MIGRATION, lock

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_SECONDS: Final = 60.0
ATTEMPTS: Final = 8
# Serialization failure, deadlock; https://www.postgresql.org/docs/15/errcodes-appendix.html
AGAIN: Final = ("40001", "40P01")
# A server that is gone without a word is found out within a minute, not in two hours.
PATIENCE: Final = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
}
# A server that is starting, stopping or out of connections will take the next attempt.
SHUT: Final = ("57P01", "57P02", "57P03", "53300")


def connect(url: str) -> sa.Engine:
    """An engine for the archive, at the newest revision of the schema.

    Raises
    ------
    LedgerError
        When the archive cannot be reached, is of a newer version, or the URL names no database for it.
    """
    parsed = _checked(url)
    try:
        engine = _engine(parsed)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    except exc.SQLAlchemyError as error:
        raise unreachable(parsed, error) from error
    except OSError as error:
        raise LedgerError(
            f"The archive {shown(parsed)} cannot be opened ({error.strerror or error}); check the path and "
            "its permissions."
        ) from error
    return engine


def shown(url: sa.URL) -> str:
    """The URL without its password."""
    return url.render_as_string(hide_password=True)


def unreachable(url: sa.URL, error: Exception) -> LedgerError:
    """What the database said, in one sentence."""
    reason = str(getattr(error, "orig", None) or error).strip()
    line = " ".join(reason.split())[:300].rstrip(".")
    return LedgerError(
        f"The archive {shown(url)} does not answer or refuses ({line}); check the URL, that the server runs, "
        "and what the role may do (docs/archive.md)."
    )


def _checked(url: str) -> sa.URL:
    from sqlalchemy.engine import make_url

    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise LedgerError(
            "The archive's URL cannot be read; write sqlite:///runs/archive.sqlite or "
            "postgresql+psycopg://user@host/database."
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise LedgerError(
            f"`{parsed.drivername}` is no database for the archive; write sqlite:///runs/archive.sqlite or "
            "postgresql+psycopg://user@host/database."
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise LedgerError("An archive in memory would be lost; name a file, sqlite:///runs/archive.sqlite.")
    return parsed


def _engine(url: sa.URL) -> sa.Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    try:
        own = {name: value for name, value in PATIENCE.items() if name not in url.query}
        return sa.create_engine(url, pool_pre_ping=True, connect_args=own)
    except ModuleNotFoundError:
        raise LedgerError(
            "PostgreSQL needs the package psycopg; install the extra: pip install "
            "'escalation-forecast[postgres]'."
        ) from None


def _sqlite(url: sa.URL) -> sa.Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    # No pool: a connection must not be carried into a forked process.
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": BUSY_SECONDS})

    def opened(raw: Any, _: Any) -> None:
        # Transactions begin where `begun` says, and not where the driver guesses.
        raw.isolation_level = None
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "trusted_schema = OFF"):
            raw.execute(f"PRAGMA {pragma}")

    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", opened)
    sa.event.listen(engine, "begin", begun)
    return engine


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that writes."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction that reads; what the database says becomes one sentence."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except exc.DBAPIError as error:
        raise unreachable(engine.url, error) from error


def write[Result](engine: sa.Engine, work: Callable[[sa.Connection], Result]) -> Result:
    """Do the work in one transaction, again if the connection or the race was lost.

    The work must give the same result when its first commit went through and only the answer was lost.
    """
    for attempt in range(ATTEMPTS):
        try:
            with writing(engine) as connection:
                return work(connection)
        except exc.IntegrityError:
            raise
        except exc.DBAPIError as error:
            if not _passing(error) or attempt == ATTEMPTS - 1:
                raise unreachable(engine.url, error) from error
        time.sleep(min(4.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable")


def _passing(error: exc.DBAPIError) -> bool:
    """Whether the same may go through in a moment."""
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # SQLite, or no server at the other end
        return error.connection_invalidated or _unconnected(error)
    return state in AGAIN or state in SHUT or state.startswith("08")


def _unconnected(error: exc.DBAPIError) -> bool:
    text = str(error.orig)
    return "connection" in text or "server closed" in text or "database is locked" in text


def _migrate(engine: sa.Engine) -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(MIGRATIONS))
    head = script.get_current_head()
    if _at(engine, script) == head:
        return
    with lock(engine, MIGRATION, wait=BUSY_SECONDS):
        if _at(engine, script) != head:
            upgrade(engine)


def _at(engine: sa.Engine, script: Any) -> str | None:
    """The archive's revision; None of an empty one."""
    from alembic.runtime.migration import MigrationContext

    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        raise LedgerError(
            f"The archive {shown(engine.url)} is of a newer version ({found}) than this program; update "
            "escalation-forecast, or name another archive."
        )
    return found


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the schema to a revision."""
    from alembic import command
    from alembic.config import Config

    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # Kept in the file: readers do not wait for the one that writes.
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA journal_mode = WAL")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
