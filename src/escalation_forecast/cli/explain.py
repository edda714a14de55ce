"""``explain``: why the answers of a run differ from those of an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from escalation_forecast.cli.common import (
    NOT_CONVERGED,
    NOT_WRITTEN,
    DataDir,
    Indicators,
    Json,
    Observations,
    QuestionsFile,
    read_questions,
    read_store,
    stop,
)
from escalation_forecast.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from escalation_forecast.explain import Explanation

FEW: Final = 12  # answers listed when none is named


def explain(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of the run, or its folder.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Earlier run; by default the one published before."),
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option("--question", metavar="ID", help="Question or answer to show; may be given again."),
    ] = None,
    refit: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="Fit where weights of neither run reach: `auto` (twice at most) or `never`."
        ),
    ] = "auto",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for a waterfall of each answer shown (PNG)."),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="ESCALATION_FORECAST_ARCHIVE",
            help="Database of the archive that has the runs; the explanation is kept there.",
        ),
    ] = None,
    files: Annotated[str, typer.Option(metavar="DIR", help="Where run folders lie.")] = "runs",
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Show why a run's answers moved since an earlier run.

    The change is split into what the date did, figures revised, figures new, priors, configuration and the
    model, and what is left to sampling; the parts add up. Give the data and questions that the runs were made
    with where they were not the embedded ones.
    """
    from escalation_forecast.explain import explain as find
    from escalation_forecast.fit import ConvergenceError
    from escalation_forecast.ledger import Ledger

    own = any(one is not None for one in (data, observations, indicators))
    given: dict[str, Any] = {
        "store": read_store(data, observations, indicators) if own else None,
        "questions": read_questions(questions) if questions else None,
        "refit": cast(Literal["auto", "never"], refit),
    }
    try:
        if archive is None:
            found = find(files, run, since, **given)
        else:
            with Ledger.open(archive, files) as ledger:
                found = find(ledger, run, since, **given)
                ledger.put("explanations", found.rows())
    except ConvergenceError as error:
        stop(error, NOT_CONVERGED)
    names = _asked(found, question)
    if plot is not None:
        _save(found, names, plot)
    if json:
        record = found.record()
        if question:
            record["answers"] = [one for one in record["answers"] if one["id"] in names]
        print_json(record)
        return
    _show(found, names, bool(question))


def _asked(found: Explanation, names: list[str] | None) -> list[str]:
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    if not names:
        return [why.answer for why in found.largest(FEW)]
    known = [why.answer for why in found.answers]
    chosen: list[str] = []
    for name in names:
        mine = [one for one in known if one == name or one.partition("/")[0] == name]
        if not mine:
            raise DataError(f"The runs have no answer `{name}` in common{nearest(name, known)}.")
        chosen += [one for one in mine if one not in chosen]
    return chosen


def _show(found: Explanation, names: list[str], each: bool) -> None:
    from escalation_forecast.explain.words import HEADINGS, kinds_of, moved_by, shown

    kinds = kinds_of(found)
    rows = []
    for name in names:
        why = found[name]
        parts = why.by_kind()
        rows.append(
            (
                name,
                shown(why, why.before),
                shown(why, why.after),
                moved_by(why, why.change).removesuffix(" points"),
                *(moved_by(why, parts.get(kind, 0.0)).removesuffix(" points") for kind in kinds),
            )
        )
    caption = f"{len(rows)} answers" if each else f"the {len(rows)} probabilities that moved most"
    header = (f"as of {found.previous_as_of}", f"as of {found.as_of}", "change")
    print_rows(("answer", *header, *(HEADINGS[kind] for kind in kinds)), rows, f"{caption}; in points")
    for name in names if each else names[:1]:
        typer.echo(f"\n{found.text(name)}\n\n{found.words(name)}")
    for note in found.notes:
        typer.echo(f"\n{note}")


def _save(found: Explanation, names: list[str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            found.plot(name).save(folder / f"{name.replace('/', '-')}.png")
    except OSError as error:
        stop(f"The plots could not be written to {folder} ({error.strerror}); check the path.", NOT_WRITTEN)
