"""``export``: a run in the formats of others, and whether files keep the rules of a format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from escalation_forecast.cli.chosen import ArchiveOption, FilesOption, RunOption, read_run
from escalation_forecast.cli.common import BAD_INPUT, NOT_WRITTEN, Json, group, stop
from escalation_forecast.cli.output import print_json

__all__ = ["app"]

app = group("Write a run in the formats of others; each file is checked before it appears.")

Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder that gets the files.")]
Kind = Annotated[str, typer.Argument(metavar="KIND", help="hub, metaculus, tables, netcdf or json.")]


@app.command()
def hub(
    out: Out,
    run: RunOption = None,
    file_format: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Of the model output: parquet or csv.")
    ] = "parquet",
    team: Annotated[
        str | None, typer.Option(metavar="NAME", help="Abbreviation of the team; default escalation.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Abbreviation of the model; default joint, or draft.")
    ] = None,
    archive: ArchiveOption = None,
    files: FilesOption = "runs",
    json: Json = False,
) -> None:
    """Write a round of a hubverse hub.

    Makes the hub in --out if there is none, or adds a round to it.
    """
    from escalation_forecast import export
    from escalation_forecast.export.hub import DRAFT, MODEL, TEAM
    from escalation_forecast.schema import DataError

    if file_format not in ("parquet", "csv"):
        raise DataError(f"--format {file_format} is not known; give parquet or csv.")
    found = read_run(run, archive, files)
    usual = DRAFT if found.summary.get("draft") else MODEL
    named = export.Model(team or TEAM, model or usual)
    _say(
        _write(export.hub, found, out, file_format=cast(Literal["parquet", "csv"], file_format), model=named),
        out,
        json,
    )


@app.command()
def metaculus(
    out: Out,
    run: RunOption = None,
    questions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Numbers and axes of the questions there (TOML)."),
    ] = None,
    archive: ArchiveOption = None,
    files: FilesOption = "runs",
    json: Json = False,
) -> None:
    """Write forecasts as Metaculus takes them.

    One JSON file per question, and an index with the probabilities before they were clipped.
    """
    from escalation_forecast import export

    found = read_run(run, archive, files)
    _say(_write(export.metaculus, found, out, questions=questions), out, json)


@app.command()
def tables(
    out: Out,
    run: RunOption = None,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Also write one workbook.")] = False,
    archive: ArchiveOption = None,
    files: FilesOption = "runs",
    json: Json = False,
) -> None:
    """Write tidy tables as Parquet and CSV."""
    from escalation_forecast import export

    _say(_write(export.tables, read_run(run, archive, files), out, xlsx=xlsx), out, json)


@app.command()
def netcdf(
    out: Out,
    run: RunOption = None,
    thin: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep every N-th draw in all groups; 1 keeps everything."),
    ] = None,
    archive: ArchiveOption = None,
    files: FilesOption = "runs",
    json: Json = False,
) -> None:
    """Write all draws as one netCDF file that explains itself.

    By default about 2,000 draws of the long paths are kept, and all of everything else.
    """
    from escalation_forecast import export

    _say(_write(export.netcdf, read_run(run, archive, files), out, thin=thin), out, json)


@app.command("json")
def summary(
    out: Out,
    run: RunOption = None,
    archive: ArchiveOption = None,
    files: FilesOption = "runs",
    json: Json = False,
) -> None:
    """Write summary.json, which follows a published JSON Schema."""
    from escalation_forecast import export

    _say(_write(export.json, read_run(run, archive, files), out), out, json)


@app.command()
def check(
    kind: Kind,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder, or file, to check.")],
    json: Json = False,
) -> None:
    """Check files against the rules of a format.

    Exit code 2 if a rule is broken; each finding names the file, the row, the rule and the remedy.
    """
    from escalation_forecast import export
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    if kind not in export.CHECKS:
        known = ", ".join(export.CHECKS)
        raise DataError(f"There is no format `{kind}`{nearest(kind, export.CHECKS)}; give one of {known}.")
    findings = export.CHECKS[kind](path)
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            typer.echo(str(finding))
        typer.echo(f"{path}: {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    if findings:
        raise typer.Exit(BAD_INPUT)


def _write(write: Any, run: Any, out: Path, **options: Any) -> Sequence[Path]:
    from escalation_forecast.archive import ArchiveError

    try:
        return cast(Sequence[Path], write(run, out, **options))
    except ArchiveError as error:
        stop(error, NOT_WRITTEN)
    except OSError as error:
        stop(f"{out} could not be written ({error.strerror}); check the path.", NOT_WRITTEN)


def _say(files: Sequence[Path], out: Path, json: bool) -> None:
    if json:
        print_json({"folder": str(out), "files": [str(file) for file in files]})
        return
    size = sum(file.stat().st_size for file in files)
    typer.echo(f"{len(files)} file{'' if len(files) == 1 else 's'}, {size / 1e6:,.1f} MB, in {out}")
