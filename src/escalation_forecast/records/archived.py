"""Forecasts of the archive, one row for each answer of each published run."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd
import sqlalchemy as sa

from escalation_forecast.ledger.schema import PUBLISHED, Probability, Question, Run
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from escalation_forecast.ledger import Ledger

COLUMNS: Final = (
    "run_id", "as_of", "created_at", "horizon", "answer", "question", "kind", "probability", "base_rate",
    "resolves_on", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Forecast:
    """An answer as it was given as of a day, by whichever runs.

    Attributes
    ----------
    resolves_on, note : as published; they say which window and threshold were meant.
    horizon : months ahead that the run covered.
    """

    answer: str
    as_of: dt.date
    question: str
    kind: str
    horizon: int
    resolves_on: str
    note: str


def archived(ledger: Ledger) -> pd.DataFrame:
    """All answers of published runs, columns `COLUMNS`, oldest first."""
    from escalation_forecast.ledger.database import reading

    query = (
        sa.select(
            Run.run_id, Run.as_of, Run.created_at, Run.horizon_months, Probability.answer, Question.question,
            Question.kind, Probability.probability, Probability.base_rate, Question.resolves_on,
            Probability.note,
        )
        .join(Probability, Probability.run_id == Run.run_id)
        .join(Question, Question.wording == Probability.wording)
        .where(Run.state == PUBLISHED)
        .order_by(Run.as_of, Run.created_at, Run.run_id, Probability.position)
    )  # fmt: skip
    with reading(ledger.engine) as connection:
        rows = connection.execute(query).all()
    return pd.DataFrame([tuple(row) for row in rows], columns=list(COLUMNS))


def forecasts(frame: pd.DataFrame) -> list[Forecast]:
    """The distinct forecasts behind the rows of `archived`."""
    names = ["answer", "as_of", "question", "kind", "horizon", "resolves_on", "note"]
    columns = [frame[name].tolist() for name in names]
    return list(dict.fromkeys(Forecast(*values) for values in zip(*columns, strict=True)))


def asked(answer: str, names: Iterable[str]) -> bool:
    """Whether an answer is named, by its own id or by its question's."""
    return any(name in (answer, answer.partition("/")[0]) for name in names)


def check_names(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse names that no published forecast has.

    Raises
    ------
    DataError
        With the nearest id.
    """
    known = {*frame["answer"], *frame["question"]}
    for name in names:
        if name not in known:
            raise DataError(
                f"No published forecast answers {name!r:.80}{nearest(name, known)}; see `runs show` for ids."
            )
