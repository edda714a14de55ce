"""The database itself refuses to change or delete what was archived."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEPT = ("runs", "summaries", "questions", "probabilities", "failures")
SAYS = "archived rows are never changed"
PUBLISHED = "(SELECT state FROM runs WHERE runs.run_id = OLD.run_id) = 'published'"
FIXED = ("run_id", "name", "size", "sha256")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def _sqlite() -> None:
    def refuse(name: str, event: str, table: str, when: str = "") -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} {when} BEGIN SELECT RAISE(ABORT, '{SAYS}'); END"
        )

    for table in KEPT:
        refuse(f"{table}_not_changed", "UPDATE", table)
        refuse(f"{table}_not_deleted", "DELETE", table)
    refuse("files_not_changed", f"UPDATE OF {', '.join(FIXED)}", "files")
    refuse("files_not_pruned", "UPDATE OF pruned_at", "files", f"WHEN {PUBLISHED}")
    refuse("files_not_deleted", "DELETE", "files")


def _postgresql() -> None:
    op.execute(
        "CREATE FUNCTION archived_not_changed() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '{SAYS}' USING ERRCODE = 'restrict_violation'; END $$"
    )

    def refuse(name: str, event: str, table: str, when: str = "", each: str = "ROW") -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH {each} {when} "
            "EXECUTE FUNCTION archived_not_changed()"
        )

    for table in (*KEPT, "files"):
        refuse(f"{table}_not_deleted", "DELETE", table)
        refuse(f"{table}_not_emptied", "TRUNCATE", table, each="STATEMENT")
    for table in KEPT:
        refuse(f"{table}_not_changed", "UPDATE", table)
    op.execute(
        "CREATE FUNCTION files_only_pruned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF ({', '.join(f'OLD.{name}' for name in FIXED)}) IS DISTINCT FROM "
        f"({', '.join(f'NEW.{name}' for name in FIXED)}) OR {PUBLISHED} THEN "
        f"RAISE EXCEPTION '{SAYS}' USING ERRCODE = 'restrict_violation'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER files_not_changed BEFORE UPDATE ON files FOR EACH ROW "
        "EXECUTE FUNCTION files_only_pruned()"
    )
