"""What the sections of the page are made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.page.words import Summary, indicator_words, place
from escalation_forecast.question_file import Question
from escalation_forecast.schema import DataError
from escalation_forecast.store import Store

PRESS: Final = "gpr_"


@dataclass(frozen=True)
class Material:
    """A run and what explains it.

    Attributes
    ----------
    folder : of the run; None of one that failed or lies elsewhere.
    store : as known on the run's as-of day.
    questions : with their wording.
    """

    summary: Mapping[str, Any]
    folder: Path | None
    store: Store
    questions: Sequence[Question]

    @property
    def as_of(self) -> dt.date:
        return dt.date.fromisoformat(str(self.summary["as_of"]))

    @cached_property
    def answers(self) -> dict[str, Summary]:
        """Answers by id, in order."""
        return {str(entry["id"]): entry for entry in self.summary.get("questions") or []}

    @cached_property
    def described(self) -> dict[str, str]:
        """What each indicator is, by name."""
        found = {}
        for row in self.store.indicators.to_dict("records"):
            words = indicator_words(str(row["note"]))
            if str(row["series"]).startswith(PRESS) and "press" not in words.lower():
                # What it is made of is no name.
                words = f"Press tension, {place(str(row['theatre']))}"
            if words:
                found[str(row["indicator"])] = words
        return found

    @cached_property
    def wording(self) -> dict[str, Question]:
        """Questions by id."""
        return {question.id: question for question in self.questions}

    def table(self, name: str) -> pd.DataFrame | None:
        """A table of the run's folder; None if the run has none.

        Raises
        ------
        DataError
            When the file is damaged.
        """
        file = self.folder / f"{name}.parquet" if self.folder is not None else None
        if file is None or not file.is_file():
            return None
        try:
            return pd.read_parquet(file)
        except ValueError as error:
            raise DataError(f"{file} is damaged ({error}); restore it, or make the run again.") from None


def parts_of(answer: str) -> tuple[str, tuple[str, ...], str]:
    """Question, parts and window of the id of an answer."""
    first, *rest = answer.split("/")
    return first, tuple(rest[:-1]), rest[-1] if rest else ""
