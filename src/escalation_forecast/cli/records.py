"""``questions resolve``, ``questions score`` and ``questions crowd import``: what came of forecasts."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from escalation_forecast.cli.common import (
    DataDir,
    Indicators,
    Json,
    Observations,
    QuestionsFile,
    group,
    read_questions,
    read_store,
)
from escalation_forecast.cli.output import print_json, print_rows
from escalation_forecast.cli.runs import DEFAULT_ARCHIVE, DEFAULT_FILES, Archive, Files, opened

if TYPE_CHECKING:
    from escalation_forecast.records import Outcome, Resolved, Score

CONFLICT: Final = 1
SHOWN: Final = 40

crowd_app = group("Probabilities of others.")


def resolve(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Answers or questions; default all.")
    ] = None,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    check: Annotated[bool, typer.Option("--check", help="Also decide anew what is stored.")] = False,
    answer: Annotated[
        str | None, typer.Option(metavar="yes|no", help="Answer one forecast by hand; needs the two below.")
    ] = None,
    evidence: Annotated[str, typer.Option(metavar="TEXT", help="What shows it.")] = "",
    source: Annotated[str, typer.Option(metavar="URL", help="The page that shows it.")] = "",
    as_of: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Forecast to answer by hand; its window's others follow."),
    ] = None,
    confirm: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Store what is proposed for questions that the maintainers decide, and what was checked.",
        ),
    ] = "",
    correct: Annotated[
        str, typer.Option(metavar="TEXT", help="Why a stored answer is wrong; the new one is added to it.")
    ] = "",
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Answer archived forecasts by what happened.

    Each is answered once, by its question's rule, when its window is over and figures cover it, or when it is
    settled before. Another outcome later on is an error to be looked at, and ends with 1.
    """
    from escalation_forecast import records
    from escalation_forecast.schema import DataError

    given: dict[str, Any] = {
        "questions": read_questions(questions) if questions else None,
        "correct": correct,
    }
    if answer is None and (evidence or as_of):
        raise DataError("--evidence and --as-of go with --answer; add --answer yes or --answer no.")
    if answer is not None and (answer not in ("yes", "no") or len(ids or []) != 1 or confirm or check):
        raise DataError("--answer is yes or no, of one ID, without --confirm and --check.")
    with opened(archive, files) as ledger:
        store = read_store(data, observations, indicators)
        if answer is not None:
            day = None if as_of is None else _day(as_of)
            given |= {"evidence": evidence, "source": source, "as_of": day}
            found = records.resolve_by_hand(ledger, store, (ids or [])[0], answer == "yes", **given)
        else:
            given |= {"answers": ids or (), "check": check, "confirm": confirm, "source": source}
            found = records.resolve(ledger, store, **given)
    print_json(_record(found)) if json else _show(found)
    if found.conflicts:
        raise typer.Exit(CONFLICT)


def score(
    question: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Question to show; may be given again.")
    ] = None,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Score the forecasts that were answered.

    Beside them stand the base rates published with them, and what others said (`questions crowd import`).
    Brier score, and log score with probabilities no nearer to 0 or 1 than 0.005; less is better. Forecasts of
    the same item are averaged first. Skill is said from 10 items on, and its 90 % interval, a bootstrap of
    windows that do not overlap, from 5 of those.
    """
    from escalation_forecast import records

    with opened(archive, files) as ledger:
        found = records.running_score(ledger)
    found = [one for one in found if not question or one.question in question]
    print_json([one.record() for one in found]) if json else _show_scores(found)


@crowd_app.callback()
def crowd() -> None:
    """Probabilities of others."""


@crowd_app.command("import")
def crowd_import(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV: answer, as_of, forecaster, probability, source.")
    ],
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Keep a file of probabilities.

    They are scored by `questions score`. A file is taken whole or not at all.
    """
    from escalation_forecast import records

    with opened(archive, files) as ledger:
        kept = records.import_crowd(ledger, file)
    print_json({"rows": kept}) if json else typer.echo(f"{kept} probabilities kept")


def _day(text: str) -> dt.date:
    from escalation_forecast.cli.common import read_day

    day = read_day(text)
    assert day is not None
    return day


def _record(found: Outcome) -> dict[str, Any]:
    return {
        "new": [_resolved(one) for one in found.new],
        "proposed": [_resolved(one) for one in found.proposed],
        "conflicts": [{"stored": _resolved(one.stored), "found": one.found} for one in found.conflicts],
        "waiting": found.waiting,
        "notes": list(found.notes),
    }


def _resolved(one: Resolved) -> dict[str, Any]:
    return {**one.row(), "answer": one.answer, "version": one.version, "evidence": dict(one.evidence)}


def _show(found: Outcome) -> None:
    _show_answers(found.new, "stored")
    if found.proposed:
        _show_answers(found.proposed, "proposed; the maintainers decide them: --confirm TEXT --source URL")
    for note in found.notes[:SHOWN]:
        typer.echo(note, err=True)
    if len(found.notes) > SHOWN:
        typer.echo(f"and {len(found.notes) - SHOWN} more that cannot be judged; see --json", err=True)
    for conflict in found.conflicts:
        typer.echo(f"Error: {conflict}", err=True)
    typer.echo(
        f"{len(found.new)} answered, {found.waiting} open, {len(found.proposed)} proposed, "
        f"{len(found.conflicts)} in conflict, {len(found.notes)} that cannot be judged"
    )


def _show_answers(given: tuple[Resolved, ...], what: str) -> None:
    if not given:
        return
    rows = [(one.answer, str(one.as_of), one.outcome, _on(one), _window(one)) for one in given[:SHOWN]]
    more = f" ({SHOWN} shown; --json has all)" if len(given) > SHOWN else ""
    print_rows(("answer", "as of", "outcome", "on", "window"), rows, f"{len(given)} {what}{more}")


def _on(one: Resolved) -> str:
    text = one.release or one.source
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _window(one: Resolved) -> str:
    return "-" if one.window is None else str(one.window)


def _show_scores(found: list[Score]) -> None:
    if not found:
        typer.echo("No yes-or-no forecast has been answered yet; see `questions resolve`.")
        return
    rows = [
        (
            one.question,
            one.against,
            one.rule,
            str(one.forecasts),
            f"{one.items} ({one.events})",
            str(one.windows),
            f"{one.score:.3f}",
            f"{one.reference:.3f}",
            _skill(one),
            one.verdict,
        )
        for one in found
    ]
    header = (
        "question",
        "against",
        "score",
        "forecasts",
        "items (yes)",
        "windows",
        "own",
        "other",
        "skill",
        "",
    )
    caption = (
        "Less is better; log: probabilities no nearer to 0 or 1 than 0.005. Skill: 1 - own / other, with its "
        "90 % interval from drawing windows that do not overlap."
    )
    print_rows(header, rows, caption)


def _skill(one: Score) -> str:
    if one.skill is None:
        return "-"
    band = "" if one.low is None or one.high is None else f" ({100 * one.low:.0f} to {100 * one.high:.0f})"
    return f"{100 * one.skill:.0f} %{band}"
