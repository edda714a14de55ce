"""Tables of the archive. Rows are inserted and never changed, but for `Latest` and columns still empty."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Names of constraints are part of the schema: a later migration has to find them.
NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
PUBLISHED: Final = "published"
DRAFT: Final = "draft"
FAILED: Final = "failed"
RUN_ID_LENGTH: Final = 16


class Moment(TypeDecorator[dt.datetime]):
    """A point in time, UTC; SQLite keeps no zone, so it is added again."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """All tables of the archive."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012
        str: Text,
        int: Integer,
        float: Float(53),
        bool: Boolean,
        dt.date: Date,
        dt.datetime: Moment,
    }


class Run(Base):
    """A finished run; that it has a row is what makes it visible."""

    __tablename__ = "runs"
    __table_args__ = (
        CheckConstraint(f"length(run_id) = {RUN_ID_LENGTH}", name="run_id"),
        CheckConstraint(f"state IN ('{PUBLISHED}', '{DRAFT}')", name="state"),
        Index("ix_runs_listing", "as_of", "created_at"),
    )

    run_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    as_of: Mapped[dt.date]
    created_at: Mapped[dt.datetime]
    published_at: Mapped[dt.datetime]
    publication: Mapped[str] = mapped_column(unique=True)
    """Drawn anew by each attempt to publish, so that one whose answer was lost knows its own row."""
    job: Mapped[str]
    horizon_months: Mapped[int]
    seed: Mapped[int] = mapped_column(BigInteger)
    model_version: Mapped[str]
    data_hash: Mapped[str]
    settings: Mapped[str]
    versions: Mapped[str]
    n_answers: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)


class Summary(Base):
    """What `summary.json` says; apart from `Run`, so that listing does not read it."""

    __tablename__ = "summaries"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    content: Mapped[str]


class File(Base):
    """A file of a run."""

    __tablename__ = "files"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    pruned_at: Mapped[dt.datetime | None]


class Question(Base):
    """An answer as it was asked for, once per wording; ``wording`` is its hash."""

    __tablename__ = "questions"

    wording: Mapped[str] = mapped_column(primary_key=True)
    answer: Mapped[str] = mapped_column(index=True)
    question: Mapped[str]
    target: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str]
    resolves_on: Mapped[str]
    reference_class: Mapped[str]


class Probability(Base):
    """An answer of a run."""

    __tablename__ = "probabilities"
    __table_args__ = (
        UniqueConstraint("run_id", "position"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        Index("ix_probabilities_wording", "wording"),
    )

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    answer: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    wording: Mapped[str] = mapped_column(ForeignKey("questions.wording"))
    probability: Mapped[float | None]
    mean: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    mcse: Mapped[float | None]
    ess: Mapped[float | None]
    r_hat: Mapped[float | None]
    prior_share: Mapped[str | None]
    base_rate: Mapped[float | None]
    distribution: Mapped[str | None]
    note: Mapped[str]


class Latest(Base):
    """Which published run is the newest; one row, moved forward only."""

    __tablename__ = "latest"
    __table_args__ = (CheckConstraint("place = 1", name="place"),)

    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    as_of: Mapped[dt.date]
    created_at: Mapped[dt.datetime]


class Failure(Base):
    """A fit that did not pass its gates; the same run may fail, and later be published."""

    __tablename__ = "failures"
    __table_args__ = (CheckConstraint(f"length(run_id) = {RUN_ID_LENGTH}", name="run_id"),)

    run_id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date]
    job: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)
    model_version: Mapped[str]
    horizon_months: Mapped[int]
    reasons: Mapped[str]
    content: Mapped[str]


class Explanation(Base):
    """A step of why an answer moved from ``previous_id`` to ``run_id``; change and mcse as probability."""

    __tablename__ = "explanations"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    previous_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    answer: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    label: Mapped[str]
    change: Mapped[float | None]
    mcse: Mapped[float | None]


class Alert(Base):
    """Something a person should hear of; ``sent_at`` is empty until it was sent."""

    __tablename__ = "alerts"

    run_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    severity: Mapped[str]
    message: Mapped[str]
    created_at: Mapped[dt.datetime]
    sent_at: Mapped[dt.datetime | None]


class Resolution(Base):
    """What came of an answer given as of a day."""

    __tablename__ = "resolutions"

    answer: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date] = mapped_column(primary_key=True)
    question: Mapped[str]
    status: Mapped[str]
    value: Mapped[float | None]
    source: Mapped[str | None]
    release: Mapped[str | None]
    evidence: Mapped[str | None]
    resolved_on: Mapped[dt.date | None]


class Score(Base):
    """How good a resolved answer of a run was by a rule, beside the reference forecast's score."""

    __tablename__ = "scores"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    answer: Mapped[str] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[float | None]
    reference: Mapped[float | None]


class Crowd(Base):
    """Somebody else's probability."""

    __tablename__ = "crowd"

    answer: Mapped[str] = mapped_column(primary_key=True)
    as_of: Mapped[dt.date] = mapped_column(primary_key=True)
    forecaster: Mapped[str] = mapped_column(primary_key=True)
    probability: Mapped[float]
    source: Mapped[str | None]


class Step(Base):
    """A state that a step of a job came to; each is a row of its own."""

    __tablename__ = "steps"

    job: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[dt.datetime] = mapped_column(primary_key=True)
    finished_at: Mapped[dt.datetime | None]
    note: Mapped[str | None]


SMALL: Final[dict[str, Any]] = {
    model.__tablename__: model for model in (Explanation, Alert, Resolution, Score, Crowd, Step)
}
