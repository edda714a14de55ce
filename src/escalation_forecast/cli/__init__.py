"""The command line: reads options, calls the public functions, prints.

Nothing heavy is imported before a command needs it, so that help and tables come at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from escalation_forecast.cli import (
    backtest,
    catalogue,
    data,
    explain,
    export,
    history,
    reforecast,
    report,
    runs,
    scenario,
    skill,
    update,
)
from escalation_forecast.cli.common import (
    NOT_CONVERGED,
    NOT_WRITTEN,
    AsOf,
    DataDir,
    Indicators,
    Json,
    Observations,
    PriorsFile,
    QuestionsFile,
    Root,
    group,
    read_day,
    read_priors,
    read_questions,
    read_store,
    stop,
)
from escalation_forecast.cli.output import console, print_json

__all__ = ["app"]

LONGEST_HORIZON: Final = 120

app = group("Forecast an East Asian arms race and a wider war from dated public figures.", Root)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("escalation-forecast"))
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Forecast an East Asian arms race and a wider war from dated public figures."""


@app.command()
def forecast(
    as_of: AsOf = None,
    horizon: Annotated[
        int, typer.Option(metavar="MONTHS", help=f"Months to forecast, 1 to {LONGEST_HORIZON}.")
    ] = 36,
    seed: Annotated[int | None, typer.Option(min=0, metavar="N", help="Seed of all random numbers.")] = None,
    priors: PriorsFile = None,
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder in which the run is kept.")] = Path("runs"),
    draft: Annotated[
        bool, typer.Option("--draft", help="A short fit for a quick look; never published.")
    ] = False,
    spending_pool: Annotated[
        bool,
        typer.Option(
            "--spending-pool/--no-spending-pool",
            help="Pool spending with simple methods or not.",
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Fit the model and answer the questions.

    The run is kept in a folder of its own under --out: posterior, draws, summaries and plots.
    """
    from escalation_forecast.schema import DataError

    if not 1 <= horizon <= LONGEST_HORIZON:
        raise DataError(f"A horizon of {horizon} months is out of range; choose 1 to {LONGEST_HORIZON}.")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, so no run can be kept in it; give a folder with --out.")
    store = read_store(data, observations, indicators)
    if (day := read_day(as_of)) is not None:
        store = store.as_of(day)
    options: dict[str, Any] = {
        "as_of": day,
        "horizon": horizon,
        "priors": read_priors(priors, store) if priors else None,
        "questions": read_questions(questions) if questions else None,
        "out": out,
        "draft": draft,
        "pool_spending": spending_pool,
        "progress": not json and sys.stderr.isatty(),
    }
    if seed is not None:
        options["seed"] = seed

    from escalation_forecast import pipeline
    from escalation_forecast.archive import ArchiveError
    from escalation_forecast.fit import ConvergenceError

    try:
        run = pipeline.run_forecast(store, **options)
    except ConvergenceError as error:
        stop(error, NOT_CONVERGED)
    except ArchiveError as error:
        stop(error, NOT_WRITTEN)
    except OSError as error:
        stop(
            f"The run could not be written to {out} ({error}); free space or give another --out.", NOT_WRITTEN
        )
    if json:
        print_json({**run.summary, "folder": str(run.folder)})
        return
    from escalation_forecast.report.terminal import print_summary

    screen = console()
    print_summary(run.summary, screen)
    screen.print(f"Run kept in {run.folder}", highlight=False, soft_wrap=True)


app.command()(reforecast.reforecast)
app.command()(backtest.backtest)
app.command()(explain.explain)
app.command()(report.report)
app.command()(report.serve)
app.command()(skill.skill)
app.add_typer(data.app, name="data")
app.add_typer(history.app, name="history")
app.add_typer(update.app, name="priors")
app.add_typer(scenario.app, name="scenario")
app.add_typer(runs.app, name="runs")
app.add_typer(export.app, name="export")
app.add_typer(catalogue.questions_app, name="questions")
