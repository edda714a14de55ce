"""Probabilities of others, read from a file: checked by row, kept once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.records.archived import archived
from escalation_forecast.tables import Problem, nearest, raise_problems, read_csv

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

COLUMNS: Final = ("answer", "as_of", "forecaster", "probability", "source")
LONGEST: Final = 200


def import_crowd(ledger: Ledger, path: Path | str, *, today: dt.date | None = None) -> int:
    """Keep a file of probabilities: CSV with answer, as_of, forecaster, probability and source.

    Returns
    -------
    Number of rows. A file is taken whole or not at all.

    Raises
    ------
    DataError
        Naming file, row and remedy; also for a row that the archive or the file has already.
    """
    path = Path(path)
    frame, problems = read_csv(path, path.name, COLUMNS)
    day = today or dt.date.today()
    answers = archived(ledger)
    kinds = dict(zip(answers["answer"], answers["kind"], strict=True))
    kept = ledger.table("crowd")
    seen = {
        _key(answer, pd.Timestamp(as_of).date(), who): "the archive"
        for answer, as_of, who in zip(kept["answer"], kept["as_of"], kept["forecaster"], strict=True)
    }
    rows: list[dict[str, Any]] = []
    for record in frame.to_dict("records"):
        row, found = _read(record, kinds, day)
        problems += found
        if row is None:
            continue
        key = _key(row["answer"], row["as_of"], row["forecaster"])
        if key in seen:
            remedy = "leave it out; what is kept is not changed"
            problems.append(_problem(record, "forecaster", f"{seen[key]} has this forecast already", remedy))
        seen.setdefault(key, f"row {record['row']}")
        rows.append(row)
    if not rows and not problems:
        problems.append(Problem(path.name, 0, "", "the file has no row", "add one under the header"))
    raise_problems(sorted(problems))
    return ledger.put("crowd", rows)


def _key(answer: str, as_of: dt.date, forecaster: str) -> tuple[str, dt.date, str]:
    return answer, as_of, forecaster.casefold()


def _problem(record: dict[Any, Any], column: str, message: str, remedy: str) -> Problem:
    return Problem(str(record["file"]), int(record["row"]), column, message, remedy)


def _read(
    record: dict[Any, Any], kinds: dict[str, str], today: dt.date
) -> tuple[dict[str, Any] | None, list[Problem]]:
    """A row as the archive takes it, or what is wrong with it."""
    problems = []

    def wrong(column: str, message: str, remedy: str) -> None:
        problems.append(_problem(record, column, message, remedy))

    answer = record["answer"]
    if answer not in kinds:
        wrong(
            "answer",
            f"no forecast answers {answer!r:.80}{nearest(answer, kinds)}",
            "use an id of `runs show`",
        )
    elif kinds[answer] != "binary":
        wrong("answer", f"{answer!r:.80} is no yes-or-no question", "leave it out")
    as_of = _day(record["as_of"])
    if as_of is None:
        wrong("as_of", f"as_of {record['as_of']!r:.40} is not a date", "write it as YYYY-MM-DD")
    elif as_of > today:
        wrong("as_of", f"as_of {as_of} lies in the future", "give the day on which it was said")
    probability = _number(record["probability"])
    if not 0 <= probability <= 1:
        what = f"probability {record['probability']!r:.40} is no number from 0 to 1"
        wrong("probability", what, "write 12 per cent as 0.12")
    for column in ("forecaster", "source"):
        text = record[column]
        if not text or len(text) > LONGEST or not text.isprintable():
            what = f"{column} is empty, longer than {LONGEST} characters or not plain text"
            wrong(column, what, "say in a few words who said it and where")
    if problems or as_of is None:
        return None, problems
    own = {"forecaster": record["forecaster"], "source": record["source"]}
    return {"answer": answer, "as_of": as_of, "probability": probability, **own}, []


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
