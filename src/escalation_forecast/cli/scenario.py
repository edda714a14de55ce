"""``scenario``: what if, on a run at hand."""

from __future__ import annotations

from collections.abc import Sequence
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
    stop,
)
from escalation_forecast.cli.output import print_frame, print_json, print_rows, records

if TYPE_CHECKING:
    from escalation_forecast.scenario import Book, ScenarioResult, Scenarios

app = group("Ask what a decision or a piece of news would change, and how sure that is.")
NO_TABLE: Final = 5

Files = Annotated[
    list[Path] | None,
    typer.Option("--scenarios", metavar="FILE", help="Levers and scenarios of your own (TOML), on top."),
]
RunFolder = Annotated[
    Path, typer.Option("--run", metavar="FOLDER", help="Folder of the run, such as runs/0123456789abcdef.")
]
Ask = Annotated[
    list[str] | None,
    typer.Option("--question", metavar="ID", help="Question or answer to show; may be given again."),
]


@app.command("list")
def list_(scenarios: Files = None, json: Json = False) -> None:
    """List levers and scenarios."""
    book = _book(scenarios)
    rows: list[dict[str, Any]] = [
        {"scenario": name, "label": _label(book, name), "seen": bool(book.observed(one)), "title": one.title}
        for name, one in book.scenarios.items()
    ]
    if json:
        print_json(rows)
        return
    shown = [(r["scenario"], r["label"], "yes" if r["seen"] else "", r["title"]) for r in rows]
    print_rows(
        ("scenario", "label", "C beside it", "title"),
        shown,
        "S: if somebody decides; P: an input from outside is fixed; C: once it is learned",
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME")], scenarios: Files = None, json: Json = False
) -> None:
    """Show a scenario: its levers, the sizes of their effects, the evidence, and what would be seen."""
    from escalation_forecast.scenario.levers import UNITS

    book = _book(scenarios)
    scenario = book[name]
    steps = book.steps(scenario)
    if json:
        levers = {own: lever.model_dump(mode="json") for own, lever, _ in steps}
        print_json({"scenario": scenario.model_dump(mode="json"), "levers": levers})
        return
    typer.echo(f"{name}: {scenario.title}\n{scenario.text}".strip())
    for own, lever, step in steps:
        typer.echo(f"\n{own}, from month {step.from_month}, scale {step.scale:g}: {lever.text}")
        typer.echo(f"Evidence: {lever.evidence}\nSource: {lever.source}")
        typer.echo(f"Why news of it is no effect: {lever.why_not_conditional}.")
        rows = [
            (
                str(number),
                *(e.channel, " ".join(e.of), f"{e.mu:+.3g}", f"{e.sigma:.3g}"),
                *(
                    f"{e.lag[0]:g}-{e.lag[1]:g}",
                    f"{e.ramp:g}",
                    "stays" if e.half_life is None else f"{e.half_life:g}",
                ),
                "after a reversal" if e.after_reversal else UNITS[e.channel],
            )
            for number, e in enumerate(lever.effects, start=1)
        ]
        head = ("", "channel", "of", "mean", "sd", "begins, month", "ramp", "half-life", "unit")
        print_rows(head, rows, f"Effects, elicited; undone with chance {lever.reversal:g} a year")
    seen = book.observed(scenario)
    if seen:
        typer.echo("What would be seen:")
        for one in seen:
            typer.echo(f"  {one.model_dump(mode='json', exclude_defaults=True)}")


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default all.")] = None,
    *,
    folder: RunFolder,
    question: Ask = None,
    refit: Annotated[
        bool, typer.Option("--refit", help="Fit again for the C number where weights do not do.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep tables and plots there.")] = None,
    scenarios: Files = None,
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Run scenarios on a finished forecast.

    S numbers come with an 80 % interval over the elicited sizes of the effects; an interval that covers zero
    settles nothing. C numbers are news, not effects. Nothing is said beyond 24 months.
    """
    at = _scenarios(folder, scenarios, questions, data, observations, indicators)
    chosen = names or list(at.names)
    for name in chosen:
        at.book[name]
    found = [at.run(name, refit="auto" if refit else "never") for name in chosen]
    _known(found, question)
    if out is not None:
        from escalation_forecast.scenario.files import write_results

        write_results(found, out)
    if json:
        print_json([_record(one, question) for one in found])
        return
    for one in found:
        _print(one, question)
    if out is not None:
        typer.echo(f"Tables and plots kept in {out}")


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    grid: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE=A,B,C", help="Such as mediation.scale=0,0.5,1 or mediation.1.mu=-0.4,0."
        ),
    ],
    *,
    folder: RunFolder,
    question: Ask = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of finished points; they are kept.")
    ] = Path("runs/sweep"),
    table: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table there (CSV or Parquet).")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Processes.")] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to run on, tcp://HOST:PORT.")
    ] = None,
    scenarios: Files = None,
    json: Json = False,
) -> None:
    """Run a scenario over a grid of numbers, here or on a cluster.

    Finished points are kept, so a sweep that was stopped goes on with the same command.
    """
    from escalation_forecast.scenario.sweep import sweep as run_sweep
    from escalation_forecast.score.cluster import ClusterError
    from escalation_forecast.score.runner import Interrupted

    try:
        found = run_sweep(
            folder, name, dict(_place(one) for one in grid), files=scenarios or (), answers=question or (),
            out=out, workers=workers, dask=dask, progress=False if json else None,
        )  # fmt: skip
    except Interrupted as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(130) from None
    except ClusterError as error:
        stop(error, 1)
    if table is not None:
        if table.suffix == ".parquet":
            found.to_parquet(table, index=False)
        else:
            found.to_csv(table, index=False)
    if json:
        print_json(records(found))
    else:
        moved = found[found["change"].fillna(0.0) != 0.0].drop(columns=["note", "change_mcse"])
        print_frame(moved, f"{name}: {len(found)} rows, those that move")


def _place(text: str) -> tuple[str, list[float]]:
    from escalation_forecast.schema import DataError

    place, _, values = text.partition("=")
    try:
        return place.strip(), [float(one) for one in values.split(",")]
    except ValueError:
        raise DataError(
            f"`{text}` is no place with numbers; write such as mediation.scale=0,0.5,1."
        ) from None


def _book(files: Sequence[Path] | None) -> Book:
    from escalation_forecast.scenario import load_scenarios

    return load_scenarios(*(files or ()))


def _label(book: Book, name: str) -> str:
    kinds = {lever.kind for _, lever, _ in book.steps(book[name])}
    return "C" if not kinds else "P" if kinds == {"preset"} else "S"


def _scenarios(
    folder: Path,
    files: Sequence[Path] | None,
    questions: Path | None,
    data: Path | None,
    observations: Path | None,
    indicators: Path | None,
) -> Scenarios:
    from escalation_forecast.cli.update import read_updater
    from escalation_forecast.scenario import Scenarios

    return Scenarios.of(read_updater(folder, questions, data, observations, indicators), *(files or ()))


def _known(found: Sequence[ScenarioResult], asked: Sequence[str] | None) -> None:
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    for name in asked or ():
        ids = {row.id for one in found for row in (*one.rows, *one.readouts)}
        known = {*ids, *(one.split("/")[0] for one in ids)}
        if name not in known:
            raise DataError(f"The scenarios have no answer `{name}`{nearest(name, known)}.")


def _asked(name: str, asked: Sequence[str] | None) -> bool:
    return not asked or name in asked or name.split("/")[0] in asked


def _record(one: ScenarioResult, asked: Sequence[str] | None) -> dict[str, Any]:
    table = one.table()
    return {
        "scenario": one.name,
        "label": one.label,
        "title": one.scenario.title,
        "caveats": list(one.caveats),
        "conditional": None if one.conditional is None else one.conditional.verdict,
        "refused": one.refused or None,
        "seconds": one.seconds,
        "rows": records(table[[_asked(name, asked) for name in table["id"]]]),
    }


def _print(one: ScenarioResult, asked: Sequence[str] | None) -> None:
    if not asked:
        typer.echo(one.words() + "\n")
        return
    typer.echo(f"{one.name} ({one.label}): {one.scenario.title}")
    for row in (*one.rows, *one.readouts):
        if _asked(row.id, asked):
            typer.echo(f"  {row.words}")
    for said in (*one.news_words(), *one.caveats):
        typer.echo(f"  {said}")
