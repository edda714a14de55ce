"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT, FLOAT, DAY, MOMENT = sa.Text(), sa.Float(53), sa.Date(), sa.DateTime(timezone=True)
RUN = "runs.run_id"


def key(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def maybe(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def reference(table: str, column: str = "run_id", to: str = RUN) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [to], name=f"fk_{table}_{column}")


def primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def upgrade() -> None:
    op.create_table(
        "runs",
        *(key(name, TEXT) for name in ("run_id", "state")),
        key("as_of", DAY), key("created_at", MOMENT), key("published_at", MOMENT),
        *(key(name, TEXT) for name in ("publication", "job")),
        key("horizon_months", sa.Integer()), key("seed", sa.BigInteger()),
        *(key(name, TEXT) for name in ("model_version", "data_hash", "settings", "versions")),
        key("n_answers", sa.Integer()), key("size", sa.BigInteger()),
        primary("runs", "run_id"),
        sa.UniqueConstraint("publication", name="uq_runs_publication"),
        sa.CheckConstraint("length(run_id) = 16", name=op.f("ck_runs_run_id")),
        sa.CheckConstraint("state IN ('published', 'draft')", name=op.f("ck_runs_state")),
    )  # fmt: skip
    op.create_table(
        "summaries", key("run_id", TEXT), key("content", TEXT), primary("summaries", "run_id"),
        reference("summaries"),
    )  # fmt: skip
    op.create_table(
        "files", key("run_id", TEXT), key("name", TEXT), key("size", sa.BigInteger()), key("sha256", TEXT),
        primary("files", "run_id", "name"), reference("files"),
    )  # fmt: skip
    names = ("wording", "answer", "question", "target", "kind", "title", "resolves_on", "reference_class")
    op.create_table("questions", *(key(name, TEXT) for name in names), primary("questions", "wording"))
    op.create_index("ix_questions_answer", "questions", ["answer"])
    numbers = ("probability", "mean", "low", "high", "mcse", "ess", "r_hat", "base_rate")
    op.create_table(
        "probabilities", key("run_id", TEXT), key("answer", TEXT), key("position", sa.Integer()),
        key("wording", TEXT), *(maybe(name, FLOAT) for name in numbers),
        maybe("prior_share", TEXT), maybe("distribution", TEXT),
        key("note", TEXT),
        primary("probabilities", "run_id", "answer"), reference("probabilities"),
        reference("probabilities", "wording", "questions.wording"),
        sa.UniqueConstraint("run_id", "position", name="uq_probabilities_run_id_position"),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_probabilities_probability")),
    )  # fmt: skip
    op.create_table(
        "latest", sa.Column("place", sa.Integer(), nullable=False, autoincrement=False), key("run_id", TEXT),
        key("as_of", DAY), key("created_at", MOMENT), primary("latest", "place"), reference("latest"),
        sa.CheckConstraint("place = 1", name=op.f("ck_latest_place")),
    )  # fmt: skip
    op.create_table(
        "failures", key("run_id", TEXT), key("created_at", MOMENT), key("as_of", DAY), key("job", TEXT),
        key("seed", sa.BigInteger()), key("model_version", TEXT), key("horizon_months", sa.Integer()),
        key("reasons", TEXT), key("content", TEXT), primary("failures", "run_id", "created_at"),
        sa.CheckConstraint("length(run_id) = 16", name=op.f("ck_failures_run_id")),
    )  # fmt: skip
    _small()


def _small() -> None:
    op.create_table(
        "explanations", *(key(name, TEXT) for name in ("run_id", "previous_id", "answer")),
        sa.Column("step", sa.Integer(), nullable=False, autoincrement=False), key("kind", TEXT),
        key("label", TEXT), maybe("change", FLOAT), maybe("mcse", FLOAT),
        primary("explanations", "run_id", "previous_id", "answer", "step"),
        reference("explanations"), reference("explanations", "previous_id"),
    )  # fmt: skip
    op.create_table(
        "alerts", *(key(name, TEXT) for name in ("run_id", "kind", "key", "severity", "message")),
        key("created_at", MOMENT), maybe("sent_at", MOMENT), primary("alerts", "run_id", "kind", "key"),
    )  # fmt: skip
    op.create_table(
        "resolutions", key("answer", TEXT), key("as_of", DAY), key("question", TEXT), key("status", TEXT),
        maybe("value", FLOAT), maybe("source", TEXT), maybe("release", TEXT), maybe("evidence", TEXT),
        maybe("resolved_on", DAY), primary("resolutions", "answer", "as_of"),
    )  # fmt: skip
    op.create_table(
        "scores", *(key(name, TEXT) for name in ("run_id", "answer", "rule")), maybe("score", FLOAT),
        maybe("reference", FLOAT), primary("scores", "run_id", "answer", "rule"), reference("scores"),
    )  # fmt: skip
    op.create_table(
        "crowd", key("answer", TEXT), key("as_of", DAY), key("forecaster", TEXT), key("probability", FLOAT),
        maybe("source", TEXT), primary("crowd", "answer", "as_of", "forecaster"),
    )  # fmt: skip
    op.create_table(
        "steps", *(key(name, TEXT) for name in ("job", "run_id", "step", "state")),
        key("started_at", MOMENT), maybe("finished_at", MOMENT), maybe("note", TEXT),
        primary("steps", "job", "run_id", "step", "state", "started_at"),
    )  # fmt: skip
