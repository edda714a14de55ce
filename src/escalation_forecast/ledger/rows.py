"""From a run's summary to rows of the archive, refused where it is not what a run says of itself."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from escalation_forecast import archive
from escalation_forecast.ledger.files import Stored, checked_id
from escalation_forecast.ledger.schema import DRAFT, PUBLISHED
from escalation_forecast.schema import DataError

Row = dict[str, Any]
MOST_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True)
class Rows:
    """All that a run puts into the archive, but for when and by whom."""

    run: Row
    summary: Row
    files: list[Row]
    questions: list[Row]
    probabilities: list[Row]


def rows_of(summary: Mapping[str, Any], files: Sequence[Stored]) -> Rows:
    """Rows of a finished run.

    Raises
    ------
    DataError
        When the summary lacks what a run has, or did not pass its gates and is no draft.
    """
    identity = checked_id(summary.get("run_id", ""))
    draft = bool(summary.get("draft"))
    if not draft:
        _passed(summary, identity)
    head = heading(summary)
    entries = summary.get("questions") or []
    answers = [_answer(identity, k, entry) for k, entry in enumerate(entries)]
    if len({row["answer"] for _, row in answers}) < len(answers):
        raise DataError(f"Run {identity} answers a question twice; make its questions unique and run again.")
    run = {
        **head,
        "state": DRAFT if draft else PUBLISHED,
        "data_hash": text(_in(summary, "data").get("content_hash", ""), "data.content_hash"),
        "settings": archive.canonical(summary.get("settings") or {}),
        "versions": archive.canonical(summary.get("versions") or {}),
        "n_answers": len(answers),
        "size": sum(file.size for file in files),
    }
    return Rows(
        run=run,
        summary={"run_id": identity, "content": content(summary)},
        files=[
            {"run_id": identity, "name": text(f.name, "file"), "size": f.size, "sha256": f.sha256}
            for f in files
        ],
        questions=list({wording["wording"]: wording for wording, _ in answers}.values()),
        probabilities=[row for _, row in answers],
    )


def _passed(summary: Mapping[str, Any], identity: str) -> None:
    if summary.get("published") is not True:
        raise DataError(
            f"Run {identity} is not published by its own summary, so it is not taken; run it again."
        )
    if _in(summary, "diagnostics").get("passed") is not True:
        raise DataError(f"Run {identity} did not pass its gates, so it is not taken; see its diagnostics.")


def heading(summary: Mapping[str, Any]) -> Row:
    """What a passed and a failed run both have."""
    identity = checked_id(summary.get("run_id", ""))
    return {
        "run_id": identity,
        "as_of": day(summary.get("as_of"), "as_of"),
        "created_at": moment(summary.get("created_at"), "created_at"),
        "horizon_months": _whole(summary.get("horizon_months"), "horizon_months"),
        "seed": _whole(summary.get("seed"), "seed"),
        "model_version": text(str(summary.get("model_version", "")), "model_version"),
    }


def content(summary: Mapping[str, Any]) -> str:
    """JSON in ASCII: characters that a database does not take are escaped."""
    return json.dumps(archive.plain(summary), sort_keys=True, ensure_ascii=True, allow_nan=False)


def _answer(identity: str, position: int, entry: Mapping[str, Any]) -> tuple[Row, Row]:
    if not isinstance(entry, Mapping):
        raise DataError(
            f"Answer {position} of run {identity} is no table; the summary is damaged, run again."
        )
    rate = entry.get("base_rate") or {}
    spread = entry.get("distribution")
    answer = text(entry.get("id"), "id of an answer")
    wording = {
        "answer": answer,
        **{
            name: text(entry.get(name) or "", f"{name} of {answer}")
            for name in ("question", "target", "kind", "title", "resolves_on")
        },
        "reference_class": text(rate.get("reference_class") or "", f"reference class of {answer}"),
    }
    wording["wording"] = hashlib.sha256(archive.canonical(wording).encode()).hexdigest()[:32]
    row = {
        "run_id": identity,
        "answer": answer,
        "position": position,
        "wording": wording["wording"],
        "base_rate": number(rate.get("rate"), f"base rate of {answer}"),
        **{
            name: number(entry.get(name), f"{name} of {answer}")
            for name in ("probability", "mcse", "ess", "r_hat")
        },
        "mean": _mean(entry["kind"], spread) if spread else None,
        **{name: number((spread or {}).get(name), f"{name} of {answer}") for name in ("low", "high")},
        "prior_share": _json(entry.get("prior_share")),
        "distribution": _json(spread),
        "note": text(entry.get("note") or "", f"note of {answer}"),
    }
    p = number(entry.get("probability"), f"probability of {answer}")
    if p is not None and not 0 <= p <= 1:
        raise DataError(f"The probability of {answer} is {p}, not within 0 and 1; run again.")
    return wording, row


def _json(value: Any) -> str | None:
    return archive.canonical(archive.plain(value)) if value else None


def _mean(kind: str, spread: Mapping[str, Any]) -> float | None:
    if kind == "count":
        return math.fsum(float(value) * float(share or 0) for value, share in spread.items())
    return number(spread.get("mean"), "mean")


def text(value: Any, what: str) -> str:
    """Text that every database takes.

    Raises
    ------
    DataError
    """
    if not isinstance(value, str):
        raise DataError(f"The {what} is {value!r:.80} and not text; correct it and try again.")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise DataError(f"The {what} has a character that no database takes ({value!r:.80}); remove it.")
    return value


def number(value: Any, what: str) -> float | None:
    """A number or nothing; what is not finite is nothing."""
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"The {what} is {value!r:.80} and no number; correct it and try again.") from None
    return found if math.isfinite(found) else None


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_INTEGER:
        raise DataError(f"The summary's {what} is {value!r:.80} and no whole number from 0; run it again.")
    return value


def day(value: Any, what: str) -> dt.date:
    """A day from a date or ISO text."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.datetime.fromisoformat(value).date()
    except (TypeError, ValueError):
        raise DataError(f"The {what} is {value!r:.80} and no date; write it as YYYY-MM-DD.") from None


def moment(value: Any, what: str) -> dt.datetime:
    """A moment in UTC from a datetime or ISO text; without a zone it is UTC already."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, dt.datetime):
        raise DataError(f"The {what} is no date with a time; write it as YYYY-MM-DDTHH:MM:SS+00:00.")
    # pandas' Timestamp is a datetime with more digits than a database keeps.
    found: dt.datetime = value.to_pydatetime() if hasattr(value, "to_pydatetime") else value
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)


def _in(summary: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = summary.get(name)
    return found if isinstance(found, Mapping) else {}
