"""``backtest``: score models at past origins, here or on a cluster, and go on where a run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli.common import NOT_WRITTEN, DataDir, Json, stop
from escalation_forecast.cli.output import print_frame, print_json, print_rows, records

if TYPE_CHECKING:
    from escalation_forecast.score.cells import Task
    from escalation_forecast.score.runner import BacktestRun

FAILED = 1
INTERRUPTED = 130


def backtest(
    task: Annotated[str, typer.Option(metavar="NAME", help="spending, tension or ladder.")],
    origins: Annotated[
        str | None,
        typer.Option(
            metavar="A,B", help="Origins: spending real7,pseudo14,2017,2009p; months 2009-12; a number; all."
        ),
    ] = None,
    models: Annotated[
        str | None, typer.Option(metavar="A,B", help="Models, joined by commas; default all.")
    ] = None,
    states: Annotated[
        str | None, typer.Option(metavar="A,B", help="States (ISO 3166 alpha-3); default all of the task.")
    ] = None,
    vintages: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own figures with their vintages (CSV).")
    ] = None,
    data: DataDir = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to run on, tcp://HOST:PORT.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes of this machine; samplers share its cores."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of finished cells and reports; cells are kept.")
    ] = Path("runs/backtest"),
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all random numbers.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Run at most so many cells now.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="How long to wait for workers of a cluster.")
    ] = 300.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the cells and which are finished; run nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """Forecast at past origins and score it.

    Finished cells are kept and not run again, so a run that was stopped goes on with the same command.
    Needs the extra `backtest`. Exit code 1 if a cell failed.
    """
    from escalation_forecast.score.cluster import ClusterError
    from escalation_forecast.score.runner import Interrupted, cell_status, run_backtest
    from escalation_forecast.score.tasks import Wanted, make_task

    wanted = Wanted(_names(models), origins, _names(states), data, vintages)
    chosen = make_task(task, wanted)
    if dry_run:
        status = cell_status(chosen, out, seed=seed)
        if json:
            print_json(records(status))
        else:
            ready = int((status["state"] == "finished").sum())
            print_frame(status, f"{len(status)} cells, {ready} finished in {out}")
        return
    try:
        run = run_backtest(
            chosen, out, seed=seed, workers=workers, dask=dask, limit=limit, timeout=timeout,
            progress=False if json else None,
        )  # fmt: skip
        report = _report(run, chosen)
    except Interrupted as stopped:
        typer.echo(str(stopped), err=True)
        raise typer.Exit(INTERRUPTED) from None
    except ClusterError as error:
        stop(error, FAILED)
    except OSError as error:
        stop(f"Cells could not be kept in {out} ({error}); free space or give another --out.", NOT_WRITTEN)
    failed = run.failed
    if json:
        print_json(
            {
                "task": chosen.name,
                "folder": str(run.path(chosen)),
                "cells": run.counts(),
                "failed": records(failed.drop(columns="state")),
                "report": {name: records(table) for name, table in report.items()},
            }
        )
    else:
        _print(run, chosen, report)
    if len(failed):
        raise typer.Exit(FAILED)


def _names(text: str | None) -> list[str] | None:
    return [part.strip() for part in text.split(",") if part.strip()] if text else None


def _report(run: BacktestRun, task: Task) -> dict[str, Any]:
    """The tables of what is finished, kept as CSV; none if nothing is."""
    from escalation_forecast.score.tasks import report_tables, write_tables

    counts = run.counts()
    if not counts["done"] + counts["skipped"]:
        return {}
    tables = report_tables(task.name, run.cases(task))
    write_tables(tables, run.path(task))
    return tables


def _print(run: BacktestRun, task: Task, report: dict[str, Any]) -> None:
    from escalation_forecast.score.progress import in_words
    from escalation_forecast.score.runner import STATES
    from escalation_forecast.score.tasks import headline

    for name, table in headline(report).items():
        print_frame(table, f"{task.name}: {name}")
    failed = run.failed
    if len(failed):
        print_frame(
            failed[["model", "origin", "error"]], f"{len(failed)} cells failed; tried again next time"
        )
    rows = []
    for model, part in run.status.groupby("model", sort=False):
        counts = part["state"].value_counts()
        mean = in_words(float(part.loc[part["state"].isin(("done", "skipped")), "seconds"].mean()))
        rows.append((str(model), *(str(counts.get(state, 0)) for state in STATES), mean))
    print_rows(("model", *STATES, "time per cell"), rows, f"Kept in {run.path(task)}")
