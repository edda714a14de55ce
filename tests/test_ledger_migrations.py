"""Schemas of earlier and later versions of the program."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from escalation_forecast.ledger import Ledger, LedgerError, database
from escalation_forecast.ledger.files import measure
from escalation_forecast.ledger.rows import content
from escalation_forecast.ledger.schema import Base
from run_folder import RUN, run_folder, summary_of

SCRIPT = ScriptDirectory(str(database.MIGRATIONS))
REVISIONS = [revision.revision for revision in SCRIPT.walk_revisions()][::-1]
FIRST = f"""
INSERT INTO runs VALUES ('{RUN}', 'published', '2026-11-27', '2026-11-27 03:39:14.000000',
  '2026-11-27 04:00:00.000000', 'p', 'morning', 36, 1, '3', 'ab', '{{}}', '{{}}', 1, 9);
INSERT INTO questions VALUES ('w', 'use-of-force/korea/12m', 'use-of-force', 'korea/12m', 'binary',
  'Whether', 'r', 'c');
INSERT INTO probabilities VALUES ('{RUN}', 'use-of-force/korea/12m', 0, 'w', 0.25, NULL, NULL, NULL, 0.004,
  4000, 1.0, 0.1, NULL, NULL, '');
INSERT INTO latest VALUES (1, '{RUN}', '2026-11-27', '2026-11-27 03:39:14.000000');
INSERT INTO scores VALUES ('{RUN}', 'use-of-force/korea/12m', 'brier', 0.06, 0.09);
"""


def fill_first(engine: sa.Engine, folder: Path) -> None:
    """Rows as the first schema had them; the engine is closed then."""
    run_folder(folder)
    database.upgrade(engine, "0001")
    with database.writing(engine) as connection:
        for statement in FIRST.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))
        summary = {"run_id": RUN, "content": content(summary_of())}
        connection.execute(sa.text("INSERT INTO summaries VALUES (:run_id, :content)"), summary)
        for file in measure(folder / RUN):
            values = {"run_id": RUN, **vars(file)}
            connection.execute(sa.text("INSERT INTO files VALUES (:run_id, :name, :size, :sha256)"), values)
    engine.dispose()


def check_first(ledger: Ledger) -> None:
    """What was in the archive of the first schema is there, and more can be added."""
    record = ledger.latest()
    assert record is not None
    assert (record.run_id, record.job) == (RUN, "morning")
    assert record.created_at.isoformat() == "2026-11-27T03:39:14+00:00"
    assert ledger.probabilities(RUN)["probability"].tolist() == [0.25]
    assert ledger.table("scores")["score"].tolist() == [0.06]
    assert ledger.load(RUN).summary["run_id"] == RUN
    assert ledger.verify() == []


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def test_archive_of_the_first_revision_opens(tmp_path: Path) -> None:
    url, files = f"sqlite:///{tmp_path / 'archive.sqlite'}", tmp_path / "files"
    fill_first(database._engine(sa.make_url(url)), files)
    with Ledger.open(url, str(files)) as ledger:
        check_first(ledger)
        assert ledger.publish(run_folder(tmp_path / "made", "1" * 16, as_of="2026-11-28"))
    assert len(REVISIONS) >= 2


def test_revisions_arrive_at_the_schema(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path)) as ledger:
        assert differences(ledger.engine) == []


def test_archive_of_a_newer_version_is_refused_in_one_sentence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.sqlite'}"
    with Ledger.open(url, str(tmp_path)) as ledger, database.writing(ledger.engine) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"of a newer version \(9999\) than this program; update [^.]+\.$"):
        Ledger.open(url, str(tmp_path))


def test_many_open_a_new_archive_at_once(tmp_path: Path) -> None:
    url, opened = f"sqlite:///{tmp_path / 'archive.sqlite'}", []

    def one() -> None:
        with Ledger.open(url, str(tmp_path)) as ledger:
            opened.append(len(ledger.runs()))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [0] * 8


def test_upgrade_that_breaks_off_leaves_the_old_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.sqlite'}"
    engine = database._engine(sa.make_url(url))
    fill_first(engine, tmp_path / "files")
    with database.writing(engine) as connection:
        # The last revision will find its place taken.
        connection.exec_driver_sql(
            "CREATE TRIGGER files_not_deleted BEFORE DELETE ON files BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    with pytest.raises(LedgerError, match="already exists"):
        Ledger.open(url, str(tmp_path / "files"))
    with database.writing(engine) as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"
        connection.exec_driver_sql("DROP TRIGGER files_not_deleted")
    with Ledger.open(url, str(tmp_path / "files")) as ledger:
        check_first(ledger)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "in memory would be lost"),
        ("sqlite:///:memory:", "in memory would be lost"),
        ("mysql://host/name", "is no database for the archive"),
        ("runs/archive.sqlite", "URL cannot be read"),
        ("sqlite:////proc/nowhere/archive.sqlite", "cannot be opened"),
        ("postgresql://user:secret@127.0.0.1:1/name", r"user:\*\*\*@127.* does not answer"),
    ],
)
def test_archive_that_cannot_be_is_refused_in_one_sentence(url: str, message: str) -> None:
    with pytest.raises(LedgerError, match=message) as error:
        Ledger.open(url)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_place_of_files_that_nothing_reaches_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"nowhere://runs cannot be reached \(.+\); check --files"):
        Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", "nowhere://runs")


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.sqlite").write_text("not a database, but long enough to look at" * 9)
    with pytest.raises(LedgerError, match="file is not a database"):
        Ledger.open(f"sqlite:///{tmp_path / 'archive.sqlite'}", str(tmp_path))
