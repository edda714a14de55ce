"""``data``: what was known when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from escalation_forecast.cli import coding, intake
from escalation_forecast.cli.common import (
    BAD_INPUT,
    NOT_WRITTEN,
    AsOf,
    DataDir,
    Indicators,
    Json,
    Observations,
    group,
    known_on,
    read_store,
    stop,
)
from escalation_forecast.cli.output import print_frame, print_json, records

ON_SCREEN = 40

app = group("The figures, what was known when, and what you add to them.")


@app.command("list")
def list_series(
    as_of: AsOf = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """List the series: units, span, last day published."""
    table = known_on(read_store(data, observations, indicators), as_of).describe()
    if json:
        print_json(records(table))
        return
    columns = ["series", "units", "unit_of_measure", "rows", "first_period", "last_period", "last_published"]
    print_frame(table[columns], f"{len(table)} series; `--json` adds sources and descriptions")


@app.command()
def show(
    series: Annotated[
        str | None, typer.Option(metavar="NAME", help="One series, as in `data list`; default all.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="UNIT", help="One state, dyad or theatre, such as KOR or PRK>RUS.")
    ] = None,
    as_of: AsOf = None,
    releases: Annotated[
        bool, typer.Option("--releases", help="Every release of a figure, not only the newest.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help=f"Last N figures; default {ON_SCREEN} on screen, all in JSON."),
    ] = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Show figures with the day they became public."""
    import pandas as pd

    from escalation_forecast.schema import DataError

    store = known_on(read_store(data, observations, indicators), as_of)
    names = [series] if series else list(store.series["series"])
    read = store.releases if releases else store.latest
    parts = [part for part in (read(name, unit) for name in names) if not part.empty]
    if not parts:
        what = " ".join(part for part in (series, unit) if part)
        raise DataError(
            f"No figure of {what} was public on {store.as_of_date}; `data list` shows what there is."
        )
    table = pd.concat(parts, ignore_index=True)
    shown = table.tail(limit or (len(table) if json else ON_SCREEN))
    if json:
        print_json(records(shown))
        return
    caption = f"{len(shown):,} of {len(table):,} figures known on {store.as_of_date}"
    print_frame(shown.drop(columns=["quality", "note"]), caption)


@app.command()
def validate(
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Check a data folder, and your files on top.

    Lists each problem with its file, its row and the remedy.
    """
    import dataclasses

    from escalation_forecast.store import data_root
    from escalation_forecast.store import validate as problems_of

    problems = problems_of(data or data_root())
    if json:
        print_json([dataclasses.asdict(problem) for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
    if problems:
        stop(f"{len(problems)} problem(s) in {data or data_root()}; correct the rows named.", BAD_INPUT)
    store = read_store(data, observations, indicators)
    if not json:
        typer.echo(f"{len(store.observations):,} figures of {len(store.series)} series are in order.")


@app.command()
def build(
    source: Annotated[
        Path,
        typer.Option("--from", metavar="DIR", help="Folder with one folder of raw tables per originator."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data folder to write; default the one in use.")
    ] = None,
) -> None:
    """Recompile the tables from raw ones."""
    from escalation_forecast import datapackage, sources
    from escalation_forecast.schema import DataError
    from escalation_forecast.store import data_root

    if not source.is_dir():
        raise DataError(f"{source} is not a folder; give the folder of the raw tables with --from.")
    try:
        root = out or data_root()
        written = sources.build(source, root / "observations", root / "history")
        if (root / "sources.csv").exists():
            written.append(datapackage.write_package(root))
    except OSError as error:
        stop(f"The tables could not be written ({error}); check the folder and the space left.", NOT_WRITTEN)
    for path in written:
        typer.echo(str(path))


app.command()(intake.update)
app.command()(intake.add)
app.command()(intake.check)
app.add_typer(coding.app, name="code")
