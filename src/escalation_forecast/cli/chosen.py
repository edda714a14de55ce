"""The run that a command is about: a folder, an id, or the latest published one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from escalation_forecast.cli.runs import SQLITE, Files

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

LATEST: Final = "latest"

RunOption = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="DIR_OR_ID", help="Folder or id of the run; by default the latest published one."
    ),
]
ArchiveOption = Annotated[
    str | None,
    typer.Option(
        "--archive",
        metavar="URL",
        envvar="ESCALATION_FORECAST_ARCHIVE",
        help="Database of the archive that has the run; by default --files is looked through.",
    ),
]
FilesOption = Files


def read_run(run: str | None, archive: str | None = None, files: str = "runs") -> Run:
    """The run of a folder, of an id under `files` or in the archive, or the latest published one.

    Raises
    ------
    DataError
        When there is none.
    """
    from escalation_forecast.archive import SUMMARY, load_run

    name = run or LATEST
    if name != LATEST and (Path(name) / SUMMARY).is_file():
        return load_run(name)
    if archive is not None:
        return _archived(name, archive, files)
    if name == LATEST:
        return _latest(Path(files))
    folder = Path(name) if Path(name).is_dir() else Path(files) / name
    return load_run(folder)


def _archived(name: str, url: str, files: str) -> Run:
    from escalation_forecast.ledger import Ledger
    from escalation_forecast.schema import DataError

    file = url.removeprefix(SQLITE)
    if file != url and not Path(file).exists():
        raise DataError(f"There is no archive {file} yet; register runs with `runs add runs/<id>`.")
    with Ledger.open(url, files) as ledger:
        if name == LATEST:
            found = ledger.latest()
            if found is None:
                raise DataError("No run of the archive is published yet; publish one, or give --run.")
            name = found.run_id
        return ledger.load(name)


def _latest(folder: Path) -> Run:
    """The published run with the latest as-of date, and of several the one made last."""
    from escalation_forecast.archive import SUMMARY, load_run
    from escalation_forecast.schema import DataError

    runs = [load_run(file.parent) for file in folder.glob(f"[!.]*/{SUMMARY}")]
    published = [run for run in runs if run.summary.get("published")]
    if not published:
        raise DataError(
            f"{folder} holds no published run; make one with `forecast`, or give its folder with --run."
        )
    return max(published, key=lambda run: (run.summary["as_of"], run.summary["created_at"]))
