"""``reforecast``: the unattended job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escalation_forecast.cli.common import Json
from escalation_forecast.cli.output import print_json


def reforecast(
    config: Annotated[Path, typer.Option(metavar="FILE", help="Configuration of the job (TOML).")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Fit although the same content did not pass its gates before.")
    ] = False,
    json: Json = False,
) -> None:
    """Forecast anew if anything changed: fit, check, archive, explain, report, alert.

    Made for a timer. Ends with 0 published, 10 nothing changed, 20 gates not passed, 30 input refused,
    40 archive unavailable, 50 over budget, 60 another job at work; docs/reforecast.md has the table.
    """
    from escalation_forecast.job import Code, Outcome, read_config, run_job
    from escalation_forecast.schema import DataError

    try:
        outcome = run_job(read_config(config), dry_run=dry_run, again=again)
    except DataError as error:
        outcome = Outcome(Code.REFUSED, str(error), "", "", False, {})
        typer.echo(f"Error: {error}", err=True)
    if json:
        print_json(outcome.as_dict())
    raise typer.Exit(int(outcome.code))
