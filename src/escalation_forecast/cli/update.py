"""``priors update`` and ``priors sensitivity``: what other priors would have said, from a run at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from escalation_forecast.cli.common import (
    NOT_CONVERGED,
    DataDir,
    Indicators,
    Json,
    Observations,
    QuestionsFile,
    read_questions,
    read_store,
    stop,
)
from escalation_forecast.cli.elicit import app
from escalation_forecast.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from escalation_forecast.update import Sensitivity, Update, Updater

__all__ = ["app"]

FEW: Final = 12  # answers listed when none is named

RunFolder = Annotated[
    Path, typer.Option("--run", metavar="FOLDER", help="Folder of the run, such as runs/0123456789abcdef.")
]
Ask = Annotated[
    list[str] | None,
    typer.Option("--question", metavar="ID", help="Question or answer to show; may be given again."),
]


@app.command()
def update(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Priors to change (TOML); the rest stay.")],
    run: RunFolder,
    refit: Annotated[
        str,
        typer.Option(metavar="WHEN", help="Fit again `auto` (when weights fail), `never` or `always`."),
    ] = "auto",
    question: Ask = None,
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Show how a run's answers move under your priors.

    The run's draws are weighted, which takes a second; where that does not do, it says so and fits again.
    Data and questions are those of the run, so give them again where they were not the embedded ones.
    """
    from escalation_forecast.fit import ConvergenceError

    updater = read_updater(run, questions, data, observations, indicators)
    priors = updater.priors.replace(file)
    _known(updater, question)
    try:
        found = updater.update(priors, refit=cast(Any, refit), progress=not json)
    except ConvergenceError as error:
        stop(error, NOT_CONVERGED)
    if json:
        print_json(_only(found.record(), question))
        return
    _show_update(found, question)


@app.command()
def sensitivity(
    run: RunFolder,
    question: Ask = None,
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Show on which priors each answer rests.

    Prior and likelihood are raised to a power near one. `prior` and `data` are how much the answer moves when
    that power doubles; 0.05 or more counts. The five priors that move an answer most are moved by one of
    their own standard deviations each.
    """
    updater = read_updater(run, questions, data, observations, indicators)
    _known(updater, question)
    found = updater.sensitivity(questions=question)
    if json:
        print_json(_record(found))
        return
    _show_sensitivity(found, bool(question))


def read_updater(
    run: Path, questions: Path | None, data: Path | None, observations: Path | None, indicators: Path | None
) -> Updater:
    from escalation_forecast.archive import load_run
    from escalation_forecast.update import Updater

    stored = load_run(run)
    own = any(one is not None for one in (data, observations, indicators))
    return Updater.of(
        stored,
        store=read_store(data, observations, indicators) if own else None,
        questions=read_questions(questions) if questions else None,
    )


def _known(updater: Updater, names: list[str] | None) -> None:
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    entries = updater.run.summary["questions"]
    known = {entry[key] for entry in entries for key in ("id", "question")}
    for name in names or []:
        if name not in known:
            raise DataError(f"The run has no answer `{name}`{nearest(name, known)}; see questions.csv in it.")


def _only(record: dict[str, Any], names: list[str] | None) -> dict[str, Any]:
    if names:
        record["answers"] = [row for row in record["answers"] if _asked(row["id"], names)]
    return record


def _asked(answer: str, names: list[str]) -> bool:
    return answer in names or answer.partition("/")[0] in names


def _show_update(found: Update, names: list[str] | None) -> None:
    for change in found.changes:
        typer.echo(str(change))
    chosen = [one for one in found.answers if names and _asked(one.item.id, names)] or found.largest(FEW)
    rows = [
        (
            one.item.id,
            _percent(one.before),
            _percent(one.after),
            _points(one.change),
            _points(one.change_mcse, ""),
        )
        for one in chosen
        if one.item.rule.kind == "binary" and (names or one.change)
    ]
    if rows:
        print_rows(("answer", "before", "after", "change", "its MC error"), rows, _counted(len(rows), names))
    typer.echo(found.verdict)


def _counted(n: int, names: list[str] | None) -> str:
    return f"{n} answers" if names else f"the {n} answers that move most; --question for others"


def _show_sensitivity(found: Sensitivity, moves: bool) -> None:
    rows = [
        (
            str(name),
            f"{row['prior']:.3f}",
            f"{row['likelihood']:.3f}",
            "-" if row["prior_share"] != row["prior_share"] else f"{100 * row['prior_share']:.0f} %",
            _points(row["prior_slope"]),
            str(row["label"]),
        )
        for name, row in found.answers.iterrows()
    ]
    print_rows(
        ("answer", "prior", "data", "prior share", "prior doubled", "label"), rows, f"{len(rows)} answers"
    )
    if not moves:
        typer.echo("Name a question with --question to see which priors move it.")
        return
    for name in found.answers.index:
        top = found.top(str(name)).to_dict("records")
        if not top:
            typer.echo(f"{name}: no prior moves it beyond Monte Carlo error.")
        else:
            moved = [
                (one["prior"], _points(one["up"]), _points(one["down"]), f"{one['k']:.2f}") for one in top
            ]
            print_rows(("prior", "one sd up", "one sd down", "k"), moved, str(name))


def _record(found: Sensitivity) -> dict[str, Any]:
    return {
        "draws": found.draws,
        "answers": [
            {
                "id": str(name),
                **row.to_dict(),
                "top": found.top(str(name)).drop(columns="id").to_dict("records"),
            }
            for name, row in found.answers.iterrows()
        ],
        "parameters": [{"name": str(name), **row.to_dict()} for name, row in found.parameters.iterrows()],
    }


def _percent(p: float | None) -> str:
    return "-" if p is None else f"{100 * p:.3g} %"


def _points(p: float | None, sign: str = "+") -> str:
    return "-" if p is None else f"{100 * p:{sign}.2f}"
