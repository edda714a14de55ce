"""What is asked of the archive."""

from __future__ import annotations

import json
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from escalation_forecast.ledger.records import RunRecord
from escalation_forecast.ledger.schema import FAILED, Failure, Latest, Probability, Question, Run, Summary
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

STATES: Final = ("published", "draft", FAILED)


def known(connection: sa.Connection, run_id: str) -> bool:
    """Whether the run is visible."""
    return connection.scalar(sa.select(Run.run_id).where(Run.run_id == run_id)) is not None


def record(connection: sa.Connection, run_id: str) -> RunRecord:
    """A finished run, or the last failure of that id; `DataError` if there is neither."""
    query = sa.select(Run, Summary.content).join(Summary).where(Run.run_id == run_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is not None:
        names = RunRecord.__dataclass_fields__.keys() - {"reasons"}
        return RunRecord(**{name: row[name] for name in names})
    newest = sa.select(Failure).where(Failure.run_id == run_id).order_by(Failure.created_at.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    if row is None:
        ids = connection.scalars(sa.union(sa.select(Run.run_id), sa.select(Failure.run_id))).all()
        raise DataError(f"The archive has no run {run_id}{nearest(run_id, ids)}; see `runs list`.")
    data = json.loads(row["content"]).get("data") or {}
    return RunRecord(
        **{name: row[name] for name in row if name != "reasons"},
        state=FAILED,
        published_at=None,
        data_hash=str(data.get("content_hash", "")),
        reasons=tuple(json.loads(row["reasons"])),
    )


def listing(connection: sa.Connection, limit: int | None, state: str | None) -> pd.DataFrame:
    """Runs, newest first; a failure of a run that was published later is left out."""
    if state is not None and state not in STATES:
        raise DataError(f"{state!r:.80} is no state of a run{nearest(str(state), STATES)}.")
    if limit is not None and limit < 1:
        raise DataError(f"A list of {limit} runs is empty; give a limit of at least 1.")
    latest = sa.select(Latest.run_id).scalar_subquery()
    nothing: Any = sa.null()
    finished = sa.select(
        Run.run_id, Run.state, (Run.run_id == sa.func.coalesce(latest, "")).label("latest"), Run.as_of,
        Run.created_at, Run.published_at, Run.job, Run.seed, Run.model_version, Run.horizon_months,
        Run.n_answers, Run.size, sa.literal("[]").label("reasons"),
    )  # fmt: skip
    failed = sa.select(
        Failure.run_id, sa.literal(FAILED).label("state"), sa.false().label("latest"), Failure.as_of,
        Failure.created_at, sa.cast(nothing, Run.published_at.type).label("published_at"), Failure.job,
        Failure.seed, Failure.model_version, Failure.horizon_months, sa.literal(0).label("n_answers"),
        sa.literal(0).label("size"), Failure.reasons,
    )  # fmt: skip
    failed = failed.where(~sa.exists().where(Run.run_id == Failure.run_id))
    if state == FAILED:
        chosen: Any = failed.subquery()
    elif state is not None:
        chosen = finished.where(Run.state == state).subquery()
    else:
        chosen = sa.union_all(finished, failed).subquery()
    c = chosen.c
    rows = connection.execute(
        sa.select(chosen).order_by(c.as_of.desc(), c.created_at.desc(), c.run_id).limit(limit)
    ).all()
    frame = pd.DataFrame([tuple(row) for row in rows], columns=list(c.keys()))
    first = [(json.loads(text) or [""])[0] for text in frame.pop("reasons")]
    frame["latest"] = frame["latest"].astype(bool)
    return frame.assign(reason=first)


def answers(connection: sa.Connection, run_id: str) -> pd.DataFrame:
    """Answers of a run, in their order."""
    p, q = Probability, Question
    query = (
        sa.select(
            p.answer.label("id"), q.question, q.target, q.kind, p.probability, p.mcse, p.ess, p.low, p.high,
            p.base_rate, q.resolves_on, q.title, p.mean, p.r_hat, p.prior_share, q.reference_class,
            p.distribution, p.note,
        )
        .join(q, q.wording == p.wording)
        .where(p.run_id == run_id)
        .order_by(p.position)
    )  # fmt: skip
    result = connection.execute(query)
    frame = pd.DataFrame([tuple(row) for row in result.all()], columns=list(result.keys()))
    for name in ("prior_share", "distribution"):
        found = [json.loads(text) if isinstance(text, str) else None for text in frame[name]]
        frame[name] = pd.Series(found, index=frame.index, dtype=object)
    return _numbers(frame)


def history(connection: sa.Connection, answer: str) -> pd.DataFrame:
    """One answer over published runs, oldest first."""
    p = Probability
    query = (
        sa.select(
            Run.run_id, Run.as_of, Run.created_at, p.probability, p.mean, p.low, p.high, p.mcse, p.ess,
            p.base_rate,
        )
        .join(p, p.run_id == Run.run_id)
        .join(Question, Question.wording == p.wording)
        .where(Question.answer == answer, Run.state == "published")
        .order_by(Run.as_of, Run.created_at, Run.run_id)
    )  # fmt: skip
    result = connection.execute(query)
    frame = pd.DataFrame([tuple(row) for row in result.all()], columns=list(result.keys()))
    if frame.empty:
        ids = connection.scalars(sa.select(Question.answer).distinct()).all()
        raise DataError(f"No published run answers {answer!r:.80}{nearest(answer, ids)}.")
    return _numbers(frame)


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    numbers = {"probability", "mean", "low", "high", "mcse", "ess", "r_hat", "base_rate"}
    return frame.astype({name: float for name in frame if name in numbers})
