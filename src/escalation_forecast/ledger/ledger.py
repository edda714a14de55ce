"""The archive of runs: a database of what was forecast, with the files of each run beside it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from escalation_forecast import archive
from escalation_forecast.ledger import database, notes, queries
from escalation_forecast.ledger.files import FileStore, check_posterior, checked_id, measure
from escalation_forecast.ledger.locks import PUBLICATION, lock
from escalation_forecast.ledger.records import Fault, RunRecord
from escalation_forecast.ledger.rows import Rows, heading, rows_of, text
from escalation_forecast.ledger.rows import content as summary_text
from escalation_forecast.ledger.schema import (
    PUBLISHED,
    Failure,
    File,
    Latest,
    Probability,
    Question,
    Run,
    Summary,
)
from escalation_forecast.schema import DataError

DEFAULT_URL: Final = "sqlite:///runs/archive.sqlite"
DEFAULT_FILES: Final = "runs"
PUBLICATION_SECONDS: Final = 900.0


class Ledger:
    """Runs that are kept for good. Open one with `Ledger.open`."""

    def __init__(self, engine: sa.Engine, files: FileStore) -> None:
        self.engine, self.files = engine, files

    @classmethod
    def open(cls, url: str = DEFAULT_URL, files: str = DEFAULT_FILES) -> Ledger:
        """Open an archive; it is made if there is none, and brought to the newest schema.

        Parameters
        ----------
        url : of the database, ``sqlite:///FILE`` or ``postgresql+psycopg://...``.
        files : where run folders are, a folder or a URL that fsspec knows.

        Raises
        ------
        LedgerError
            When it cannot be reached, or is of a newer version than this program.
        """
        store = FileStore(str(files))
        return cls(database.connect(url), store)

    def close(self) -> None:
        """Let go of the database's connections."""
        self.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Ledger {database.shown(self.engine.url)}, files in {self.files.place}>"

    # Runs ---------------------------------------------------------------------------------------------

    def publish(self, folder: Path | str, *, job: str = "") -> bool:
        """Take a finished run into the archive; from then on it is visible and never changed.

        Its folder is copied to ``<files>/<run id>/`` if it does not lie there. What is registered is what
        lies there afterwards.

        Returns
        -------
        True if this call made the run visible, False if it was already.

        Raises
        ------
        DataError
            When the folder holds no run that passed its gates, or its posterior is no netCDF.
        LedgerError, ArchiveError
            When the database or the files cannot be written.
        """
        if _summary(Path(folder)).get("draft"):
            raise DataError(f"{folder} is a draft, which is never published; register it with `runs add`.")
        return self.add(folder, job=job)

    def add(self, folder: Path | str, *, job: str = "") -> bool:
        """As `publish`, but a draft is taken too, as one: it is never ``latest``."""
        folder, job = Path(folder), text(job, "name of the job")
        identity = checked_id(_summary(folder).get("run_id", ""))
        if self._known(identity):
            return False
        with self.lock(PUBLICATION, wait=PUBLICATION_SECONDS):
            if self._known(identity):
                return False
            _read(folder)
            self.files.put(folder, identity)
            lying = folder if self.files.local is None else self.files.local / identity
            rows = _read(lying)
            if rows.run["run_id"] != identity:
                raise DataError(f"{lying} holds run {rows.run['run_id']} and not its own; move it elsewhere.")
            return self._insert(rows, job)

    def _known(self, identity: str) -> bool:
        with database.reading(self.engine) as connection:
            return queries.known(connection, identity)

    def _insert(self, rows: Rows, job: str) -> bool:
        publication = uuid.uuid4().hex
        own = {"published_at": dt.datetime.now(dt.UTC), "publication": publication, "job": job}

        def work(connection: sa.Connection) -> bool:
            inserted = connection.execute(
                notes.absent(connection, Run).values(rows.run | own).returning(Run.run_id)
            ).all()
            if not inserted:
                # An earlier attempt may have gone through and only the answer was lost.
                kept = sa.select(Run.publication).where(Run.run_id == rows.run["run_id"])
                return connection.scalar(kept) == publication
            connection.execute(sa.insert(Summary), rows.summary)
            connection.execute(sa.insert(File), rows.files)
            if rows.questions:
                ordered = sorted(rows.questions, key=lambda row: str(row["wording"]))
                connection.execute(notes.absent(connection, Question), ordered)
                connection.execute(sa.insert(Probability), rows.probabilities)
            if rows.run["state"] == PUBLISHED:
                _move_latest(connection, rows.run)
            return True

        return database.write(self.engine, work)

    def fail(self, summary: Mapping[str, Any], *, job: str = "") -> None:
        """Keep a fit that did not pass, with its reasons; it is never ``latest``."""
        health = summary.get("diagnostics")
        reasons = health.get("reasons", []) if isinstance(health, Mapping) else []
        row = {
            **heading(summary),
            "job": text(job, "name of the job"),
            "reasons": json.dumps([str(reason) for reason in reasons]),
            "content": summary_text(summary),
        }

        def work(connection: sa.Connection) -> None:
            connection.execute(notes.absent(connection, Failure).values(row))

        database.write(self.engine, work)

    def latest(self) -> RunRecord | None:
        """The newest published run: of the latest ``as_of``, and of those the one made last."""
        with database.reading(self.engine) as connection:
            found = connection.scalar(sa.select(Latest.run_id))
            return None if found is None else queries.record(connection, found)

    def get(self, run_id: str) -> RunRecord:
        """A run by its id; one that only failed comes back as such.

        Raises
        ------
        DataError
            When there is none, with the nearest id.
        """
        with database.reading(self.engine) as connection:
            return queries.record(connection, checked_id(run_id))

    def runs(self, *, limit: int | None = None, state: str | None = None) -> pd.DataFrame:
        """All runs, newest ``as_of`` first.

        Parameters
        ----------
        state : ``published``, ``draft`` or ``failed``; by default all.

        Returns
        -------
        pandas.DataFrame
            run_id, state, latest, as_of, created_at, published_at, job, seed, model_version, horizon_months,
            n_answers, size (bytes), reason (the first why it failed).
        """
        with database.reading(self.engine) as connection:
            return queries.listing(connection, limit, state)

    def probabilities(self, run_id: str) -> pd.DataFrame:
        """Answers of a run, in their order.

        Returns
        -------
        pandas.DataFrame
            id, question, target, kind, probability, mcse, ess, low, high, base_rate, resolves_on, title,
            mean, r_hat, prior_share, reference_class, distribution (dict or None), note. For a count or a
            quantity ``probability`` is missing, and mean, low, high and mcse are in its own unit.
        """
        self.get(run_id)
        with database.reading(self.engine) as connection:
            return queries.answers(connection, run_id)

    def history(self, answer: str) -> pd.DataFrame:
        """One answer over all published runs, oldest first.

        Returns
        -------
        pandas.DataFrame
            run_id, as_of, created_at, probability, mean, low, high, mcse, ess, base_rate.

        Raises
        ------
        DataError
            When no run has that answer, with the nearest one.
        """
        with database.reading(self.engine) as connection:
            return queries.history(connection, answer)

    def load(self, run_id: str) -> archive.Run:
        """A run with its draws, after its files were found to be what was published.

        Files that lie elsewhere are copied once to the user's cache.

        Raises
        ------
        DataError
            When a file is missing or damaged.
        """
        from escalation_forecast.ledger.copies import loaded

        self.get(run_id)
        return loaded(self, run_id)

    def verify(self, *, fast: bool = False) -> list[Fault]:
        """What is missing, damaged, orphaned or half; nothing when all is well.

        Parameters
        ----------
        fast : compare sizes only, not checksums.
        """
        from escalation_forecast.ledger.verify import faults

        return faults(self, fast=fast)

    def prune(self, keep: int, *, dry_run: bool = False) -> list[str]:
        """Remove draws of old drafts; their summaries stay, and published runs are never touched.

        Parameters
        ----------
        keep : how many of the newest drafts keep their draws.
        dry_run : only say what would go.

        Returns
        -------
        ``<run id>/<file>`` of what was removed.
        """
        from escalation_forecast.ledger.copies import prune

        return prune(self, keep, dry_run=dry_run)

    # Small tables of other parts ----------------------------------------------------------------------

    def put(self, table: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows of a small table whose natural key is not there yet.

        Parameters
        ----------
        table : explanations, alerts, resolutions, scores, crowd or steps.

        Returns
        -------
        Number of rows that were new; those that were there stay as they were.
        """
        return notes.put(self.engine, table, rows)

    def fill(self, table: str, where: Mapping[str, Any], **values: Any) -> int:
        """Fill columns of rows that are still empty (``sent_at``); returns how many rows were filled."""
        return notes.fill(self.engine, table, where, values)

    def table(self, table: str, **where: Any) -> pd.DataFrame:
        """Rows of a small table; ``where`` has a value, or a list of values, by column."""
        return notes.read(self.engine, table, where)

    @contextmanager
    def lock(self, name: str, *, wait: float = 0.0) -> Iterator[None]:
        """Be the only one that does `name` on this archive.

        Raises
        ------
        LockedError
            When another process holds it after `wait` seconds.
        """
        with lock(self.engine, name, wait=wait):
            yield


def _summary(folder: Path) -> Mapping[str, Any]:
    summary: object = archive.load_run(folder).summary
    if not isinstance(summary, dict):
        raise DataError(f"{folder / archive.SUMMARY} holds no run; give a folder runs/<id>.")
    return summary


def _read(folder: Path) -> Rows:
    """Rows of a folder, its files looked at."""
    summary = _summary(folder)
    check_posterior(folder / archive.POSTERIOR)
    return rows_of(summary, measure(folder))


def _move_latest(connection: sa.Connection, run: Mapping[str, Any]) -> None:
    to = {name: run[name] for name in ("run_id", "as_of", "created_at")}
    connection.execute(notes.absent(connection, Latest).values(place=1, **to))
    newer = sa.or_(
        Latest.as_of < to["as_of"],
        sa.and_(Latest.as_of == to["as_of"], Latest.created_at < to["created_at"]),
    )
    connection.execute(sa.update(Latest).where(newer).values(**to))
