"""Answers that were given, held against what happened: stored once, corrected only with a reason."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from escalation_forecast.records.archived import Forecast, archived, asked, check_names, forecasts
from escalation_forecast.records.windows import Judge, Span, by_hand_only, span
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger
    from escalation_forecast.question_file import Question
    from escalation_forecast.questions import Resolution
    from escalation_forecast.store import Store

Status = Literal["true", "false", "resolved"]

# The archive has one row for an answer and a day; a correction is a row of its own, `answer~2` and on.
VERSION: Final = "~"
FIGURES: Final = 60
LONGEST: Final = 4000
SOURCE: Final = re.compile(r"https?://[^\s/@]+(/\S*)?")


@dataclass(frozen=True)
class Resolved:
    """What came of an answer given as of a day.

    Attributes
    ----------
    value : 1 or 0 of a yes-or-no answer, else the count or number.
    source : what the question named, or the page given by hand.
    evidence : ``by`` (program or hand), ``window``, ``figures`` (label, period, value), ``text``,
        ``published_at`` of the release that decided, and ``corrects``, the reason for a correction.
    version : 1, or more for a correction.
    """

    answer: str
    as_of: dt.date
    question: str
    status: Status
    value: float | None
    source: str
    release: str
    evidence: Mapping[str, Any]
    resolved_on: dt.date
    version: int = 1

    def row(self) -> dict[str, Any]:
        """As in the archive's table of resolutions."""
        name = self.answer if self.version == 1 else f"{self.answer}{VERSION}{self.version}"
        return {
            "answer": name,
            "as_of": self.as_of,
            "question": self.question,
            "status": self.status,
            "value": self.value,
            "source": self.source,
            "release": self.release,
            "evidence": json.dumps(self.evidence, ensure_ascii=False, sort_keys=True),
            "resolved_on": self.resolved_on,
        }

    @property
    def window(self) -> Span | None:
        """Of what was asked, if it is known."""
        given = self.evidence.get("window")
        if not given:
            return None
        first, last = (dt.date.fromisoformat(text) for text in given[:2])
        return Span(first, last, bool(given[2]))

    @property
    def by_hand(self) -> bool:
        return self.evidence.get("by") == "hand"

    @property
    def outcome(self) -> str:
        """Yes, no, or the number."""
        if self.status == "resolved":
            return "-" if self.value is None else f"{self.value:.4g}"
        return "yes" if self.status == "true" else "no"

    def __str__(self) -> str:
        return f"{self.answer} as of {self.as_of}: {self.outcome}"


@dataclass(frozen=True)
class Conflict:
    """An outcome that is not the stored one."""

    stored: Resolved
    found: str

    def __str__(self) -> str:
        return (
            f"{self.stored}, stored on {self.stored.resolved_on}, but now {self.found}. Find out which is "
            f"right; `questions resolve {self.stored.answer} --correct REASON` adds the other if the stored "
            "one is wrong."
        )


@dataclass(frozen=True)
class Outcome:
    """What a round of resolution came to.

    Attributes
    ----------
    new : stored now.
    conflicts : outcomes that differ from stored ones; nothing was changed.
    proposed : what the program finds where the question leaves the decision to people.
    waiting : number of forecasts that cannot be decided yet.
    notes : forecasts that the program cannot judge, and why.
    """

    new: tuple[Resolved, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    proposed: tuple[Resolved, ...] = ()
    waiting: int = 0
    notes: tuple[str, ...] = ()


def stored(ledger: Ledger) -> dict[tuple[str, dt.date], Resolved]:
    """The answers in force: of each forecast the newest version."""
    found: dict[tuple[str, dt.date], Resolved] = {}
    for row in ledger.table("resolutions").to_dict("records"):
        one = _of_row(row)
        key = (one.answer, one.as_of)
        if key not in found or found[key].version < one.version:
            found[key] = one
    return found


def _of_row(row: Mapping[Any, Any]) -> Resolved:
    answer, _, version = str(row["answer"]).partition(VERSION)
    value = row["value"]
    return Resolved(
        answer=answer,
        as_of=pd.Timestamp(row["as_of"]).date(),
        question=str(row["question"]),
        status=row["status"],
        value=None if value is None or value != value else float(value),
        source=str(row["source"] or ""),
        release=str(row["release"] or ""),
        evidence=json.loads(row["evidence"] or "{}"),
        resolved_on=pd.Timestamp(row["resolved_on"]).date(),
        version=int(version or 1),
    )


def resolve(
    ledger: Ledger,
    store: Store,
    *,
    questions: Iterable[Question] | None = None,
    answers: Sequence[str] = (),
    check: bool = False,
    propose: bool = True,
    confirm: str = "",
    source: str = "",
    correct: str = "",
    today: dt.date | None = None,
) -> Outcome:
    """Answer archived forecasts by the rule of their question, on figures known today.

    A forecast is answered once: when its window is over and covered, or as soon as it is settled. Questions
    whose sheet leaves the decision to the maintainers are proposed, and stored only when confirmed.

    Parameters
    ----------
    answers : ids of answers or questions; by default all.
    check : also decide anew what is stored. Named answers always are.
    propose : also judge what only the maintainers may decide; a job has no use for it.
    confirm : the maintainers' words on what was checked, for the answers named; `source` is the page.
    correct : why a stored outcome is wrong; the other one is added and holds from now on.
    today : by default the day of the store's cut, or of the clock.

    Raises
    ------
    DataError
        For unknown answers, and for a confirmation or correction that names none.
    """
    from escalation_forecast.question_file import load_questions

    if (confirm or correct) and not answers:
        raise DataError("A confirmation or correction is of certain answers; name them.")
    confirm, correct = words(confirm, "confirmation"), words(correct, "reason")
    source = checked_source(source)
    frame = archived(ledger)
    check_names(frame, answers)
    day = today or store.as_of_date or dt.date.today()
    judge = Judge(store, load_questions() if questions is None else questions, day)
    old = stored(ledger)
    new: dict[tuple[str, dt.date], Resolved] = {}
    proposed: dict[tuple[str, dt.date], Resolved] = {}
    conflicts, notes, waiting = [], [], 0
    for forecast in forecasts(frame):
        key = (forecast.answer, forecast.as_of)
        if answers and not asked(forecast.answer, answers):
            continue
        before = old.get(key)
        if key in new or (before is not None and not (check or answers)):
            continue
        try:
            item = judge.item(forecast)
        except DataError as error:
            if before is None:
                notes.append(str(error))
            continue
        hand = by_hand_only(item) and not confirm
        if hand and not propose:
            waiting += before is None
            continue
        found, wait = judge.decide(item)
        if before is not None and (hand or (before.by_hand and (wait or before.version > 1))):
            continue
        if wait:
            waiting += before is None
            if before is not None:
                conflicts.append(Conflict(before, f"it is open ({wait})"))
            continue
        one = _resolved(forecast, found, day, confirm, source)
        if before is None:
            (proposed if hand else new)[key] = one
        elif not _same(before, one):
            if correct:
                new[key] = _corrected(one, before, correct)
            else:
                conflicts.append(Conflict(before, f"the figures say {one.outcome}"))
    _keep(ledger, new.values())
    return Outcome(tuple(new.values()), tuple(conflicts), tuple(proposed.values()), waiting, tuple(notes))


def resolve_by_hand(
    ledger: Ledger,
    store: Store,
    answer: str,
    yes: bool,
    *,
    evidence: str,
    source: str,
    as_of: dt.date | None = None,
    questions: Iterable[Question] | None = None,
    correct: str = "",
    today: dt.date | None = None,
) -> Outcome:
    """Answer every forecast of one window as people decided it.

    Parameters
    ----------
    as_of : date of one of the forecasts; needed where forecasts of the answer have several windows.
    evidence, source : what shows it, in words, and the page (http or https) that says so.
    correct : why a stored outcome, or what the figures say, is wrong.

    Raises
    ------
    DataError
        When the program decides it itself and otherwise, when another outcome is stored, when the answer is
        no and the window not over, or when it is not a yes-or-no answer.
    """
    from escalation_forecast.question_file import load_questions

    text, source, correct = words(evidence, "evidence"), checked_source(source), words(correct, "reason")
    if not text or not source:
        raise DataError("An answer by hand needs evidence in words and the page that shows it; give both.")
    frame = archived(ledger)
    check_names(frame, [answer])
    day = today or store.as_of_date or dt.date.today()
    judge = Judge(store, load_questions() if questions is None else questions, day)
    given = forecasts(frame[frame["answer"] == answer])
    old, new = stored(ledger), []
    for forecast, window in _of_one_window(judge, given, answer, as_of):
        _check_window(judge, forecast, window, yes, correct)
        one = Resolved(
            answer=answer,
            as_of=forecast.as_of,
            question=forecast.question,
            status="true" if yes else "false",
            value=float(yes),
            source=source,
            release="",
            evidence={"by": "hand", "text": text, "window": _as_list(window)},
            resolved_on=day,
        )
        before = old.get((answer, forecast.as_of))
        if before is None:
            new.append(one)
        elif not _same(before, one):
            if not correct:
                raise DataError(str(Conflict(before, f"you say {one.outcome}")))
            new.append(_corrected(one, before, correct))
    _keep(ledger, new)
    return Outcome(new=tuple(new))


def _of_one_window(
    judge: Judge, given: list[Forecast], answer: str, as_of: dt.date | None
) -> list[tuple[Forecast, Span | None]]:
    """Forecasts whose window is that of the one named; None for what is no longer asked so."""
    if not given:
        raise DataError(f"`{answer}` is a question and no answer; name one of its answers.")
    if given[0].kind != "binary":
        raise DataError(f"`{answer}` is no yes-or-no question; correct the figures it is read from instead.")
    windows: list[Span | None] = []
    for forecast in given:
        try:
            windows.append(span(judge.item(forecast)))
        except DataError:
            windows.append(None)
    kinds = [(window, forecast.resolves_on) for forecast, window in zip(given, windows, strict=True)]
    days = [forecast.as_of for forecast in given]
    if as_of is None and len(set(kinds)) > 1:
        some = ", ".join(map(str, sorted(set(days))[:3]))
        raise DataError(
            f"Forecasts of `{answer}` have several windows; give the date of one with --as-of, such as "
            f"{some}."
        )
    if as_of is not None and as_of not in days:
        near = min(days, key=lambda day: abs(day - as_of))
        raise DataError(f"There is no forecast of `{answer}` as of {as_of}; the nearest is of {near}.")
    wanted = {kind for day, kind in zip(days, kinds, strict=True) if as_of in (None, day)}
    return [
        (forecast, window)
        for forecast, window, kind in zip(given, windows, kinds, strict=True)
        if kind in wanted
    ]


def _check_window(judge: Judge, forecast: Forecast, window: Span | None, yes: bool, correct: str) -> None:
    """Refuse what cannot be known yet, and what the figures contradict."""
    if window is None:
        return  # no longer asked so: only people can decide it
    if not yes and judge.today <= window.last:
        raise DataError(
            f"`{forecast.answer}` cannot be a no before its window is over on {window.last}; wait."
        )
    if yes and window.relative and judge.today < window.first:
        raise DataError(f"The window of `{forecast.answer}` begins on {window.first}; wait.")
    item = judge.item(forecast)
    found, wait = judge.decide(item)
    if not (wait or correct or by_hand_only(item)) and found.status != ("true" if yes else "false"):
        raise DataError(
            f"The figures say {found.status} of `{forecast.answer}` as of {forecast.as_of} "
            f"(release {', '.join(found.releases)}); give the reason with --correct if they are wrong."
        )


def _resolved(forecast: Forecast, found: Resolution, day: dt.date, confirm: str, source: str) -> Resolved:
    figures = [list(figure) for figure in found.figures]
    evidence: dict[str, Any] = {
        "by": "hand" if confirm else "program",
        "window": _as_list(span(found.item)),
        "figures": figures[:FIGURES],
        "published_at": None if found.published_at is None else found.published_at.isoformat(),
    }
    if len(figures) > FIGURES:
        evidence["figures_left_out"] = len(figures) - FIGURES
    if confirm:
        evidence["text"] = confirm
    if found.status == "unresolved":
        raise AssertionError(f"{forecast.answer} is open")
    return Resolved(
        answer=forecast.answer,
        as_of=forecast.as_of,
        question=forecast.question,
        status=found.status,
        value=found.value,
        source=source or forecast.resolves_on,
        release=", ".join(found.releases),
        evidence=evidence,
        resolved_on=day,
    )


def _as_list(window: Span | None) -> list[Any] | None:
    return None if window is None else [window.first.isoformat(), window.last.isoformat(), window.relative]


def _same(one: Resolved, other: Resolved) -> bool:
    if one.status != other.status:
        return False
    if one.status != "resolved" or one.value is None or other.value is None:
        return True
    return abs(one.value - other.value) <= 1e-9 * max(1.0, abs(one.value))


def _corrected(one: Resolved, before: Resolved, reason: str) -> Resolved:
    evidence = {**one.evidence, "corrects": reason}
    return replace(one, evidence=evidence, version=before.version + 1)


def _keep(ledger: Ledger, new: Iterable[Resolved]) -> None:
    ledger.put("resolutions", [one.row() for one in new])


def words(text: str, what: str) -> str:
    """Text for the archive: without control characters, not too long.

    Raises
    ------
    DataError
    """
    clean = text.strip()
    if len(clean) > LONGEST:
        raise DataError(
            f"The {what} has {len(clean):,} characters; say it in {LONGEST:,}, and link the rest."
        )
    if any(not (letter.isprintable() or letter in "\n\t") for letter in clean):
        raise DataError(f"The {what} has a character that cannot be printed; write it as plain text.")
    return clean


def checked_source(url: str) -> str:
    """A public page: http or https, without a user or password in it.

    Raises
    ------
    DataError
    """
    clean = words(url, "source")
    if clean and not SOURCE.fullmatch(clean):
        raise DataError(f"The source {clean!r:.80} is no page; give an address such as https://ucdp.uu.se/.")
    return clean
