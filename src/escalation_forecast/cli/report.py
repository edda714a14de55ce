"""``report`` and ``serve``: the forecast as a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from escalation_forecast.cli.chosen import read_run
from escalation_forecast.cli.common import (
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
from escalation_forecast.cli.output import print_json
from escalation_forecast.cli.runs import DEFAULT_ARCHIVE, DEFAULT_FILES, SQLITE, Archive, Files, opened

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

ScenariosToo = Annotated[
    bool,
    typer.Option("--scenarios/--no-scenarios", help="Compute the scenarios, half a minute the first time."),
]
ExplorerToo = Annotated[
    bool, typer.Option("--explorer/--no-explorer", help="Put the explorer of priors on the page.")
]


def report(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file to write.")],
    run: Annotated[
        str,
        typer.Option(
            metavar="DIR_OR_ID",
            help="Folder of a run, an id, or `latest`; without an archive --files is looked through.",
        ),
    ] = "latest",
    since: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Earlier run for what changed; by default the one explained."),
    ] = None,
    scenarios: ScenariosToo = False,
    explorer: ExplorerToo = True,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    questions: QuestionsFile = None,
    data: DataDir = None,
    observations: Observations = None,
    indicators: Indicators = None,
    json: Json = False,
) -> None:
    """Write the forecast as one HTML file.

    It opens from a disk or an e-mail and needs no network. Give the data and questions that the run was made
    with where they were not the embedded ones.
    """
    from escalation_forecast.archive import ArchiveError
    from escalation_forecast.page import write_page
    from escalation_forecast.schema import DataError

    if out.is_dir():
        raise DataError(f"{out} is a folder; give the name of a file to write with --out.")
    own = any(one is not None for one in (data, observations, indicators))
    given: dict[str, Any] = {
        "store": read_store(data, observations, indicators) if own else None,
        "questions": read_questions(questions) if questions else None,
        "since": since,
        "scenarios": scenarios,
        "explorer": explorer,
    }
    try:
        found: Any = Path(run)
        folder = found.is_dir()
        with _archive(archive, files, needed=not folder and archive != DEFAULT_ARCHIVE) as ledger:
            if not folder:
                found = read_run(run, None, files) if ledger is None else _record(ledger, run)
            file = write_page(found, out, ledger=ledger, **given)
    except ArchiveError as error:
        stop(error, NOT_WRITTEN)
    size = file.stat().st_size
    if json:
        print_json({"file": str(file), "bytes": size})
    else:
        typer.echo(f"{file} ({size / 1e6:.1f} MB)")


def serve(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 takes a free one.")
    ] = 8765,
    scenarios: ScenariosToo = False,
    explorer: ExplorerToo = True,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
) -> None:
    """Show the archive's pages in a browser on this machine.

    Only 127.0.0.1 listens. Pages are made when first asked for and kept in pages/ beside the runs; Ctrl-C
    ends it.
    """
    from escalation_forecast.page.serve import Pages, server

    with opened(archive, files) as ledger:
        web = server(Pages(ledger, scenarios=scenarios, explorer=explorer), port)
        address = f"http://{web.server_address[0]!s}:{web.server_address[1]}/"
        typer.echo(f"{address} shows the runs; Ctrl-C ends it.")
        try:
            web.serve_forever()
        except KeyboardInterrupt:
            typer.echo("Ended.")
        finally:
            web.server_close()


@contextmanager
def _archive(url: str, files: str, *, needed: bool) -> Iterator[Ledger | None]:
    """The archive; a run has a page without one too."""
    file = url.removeprefix(SQLITE)
    if not needed and file != url and not Path(file).exists():
        yield None
        return
    with opened(url, files) as ledger:
        yield ledger


def _record(ledger: Ledger, run: str) -> Any:
    from escalation_forecast.schema import DataError

    if run != "latest":
        return ledger.get(run)
    found = ledger.latest()
    if found is None:
        raise DataError("No run of the archive is published yet; publish one, or give a folder with --run.")
    return found
