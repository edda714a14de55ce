"""``runs``: the archive of forecasts, listed, compared, checked and copied out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from escalation_forecast.cli.common import NOT_WRITTEN, Json, group, stop
from escalation_forecast.cli.output import print_frame, print_item, print_json, print_rows, records

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

__all__ = ["app"]

FAULTY: Final = 1
FEW: Final = 12
SQLITE: Final = "sqlite:///"

app = group("The archive of runs: list, compare, verify, copy out. It is never changed by reading it.")

Archive = Annotated[
    str,
    typer.Option(
        "--archive",
        metavar="URL",
        envvar="ESCALATION_FORECAST_ARCHIVE",
        help="Database of the archive: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME.",
    ),
]
Files = Annotated[
    str,
    typer.Option("--files", metavar="DIR", help="Where run folders lie: a folder, or a URL such as s3://."),
]
RunId = Annotated[str, typer.Argument(metavar="ID", help="Id as in `runs list`, or `latest`.")]
DEFAULT_ARCHIVE: Final = "sqlite:///runs/archive.sqlite"
DEFAULT_FILES: Final = "runs"


@app.command("list")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many, newest first.")] = 30,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="published, draft or failed; default all.")
    ] = None,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    with opened(archive, files) as ledger:
        found = ledger.runs(limit=limit, state=state)
    if json:
        print_json([_run(row) for row in found.to_dict("records")])
        return
    rows = [
        (
            row["run_id"] + (" *" if row["latest"] else ""),
            str(row["as_of"]),
            f"{row['created_at']:%Y-%m-%d %H:%M}",
            row["state"],
            str(row["n_answers"] or ""),
            f"{row['size'] / 1e6:,.0f}" if row["size"] else "",
            row["job"],
            row["reason"],
        )
        for row in found.to_dict("records")
    ]
    header = ("run", "as of", "made (UTC)", "state", "answers", "MB", "job", "reason")
    print_rows(header, rows, f"{len(rows)} runs; * is the latest published one")


@app.command()
def show(
    run: RunId,
    question: Annotated[
        list[str] | None,
        typer.Option("--question", metavar="ID", help="Question or answer to show; may be given again."),
    ] = None,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Show one run: what went in, and its answers."""
    with opened(archive, files) as ledger:
        record = ledger.get(_id(ledger, run))
        answers = ledger.probabilities(record.run_id)
    summary = record.summary
    head = {
        "run_id": record.run_id,
        "state": record.state,
        "as_of": record.as_of.isoformat(),
        "created_at": record.created_at.isoformat(),
        "published_at": record.published_at.isoformat() if record.published_at else None,
        "job": record.job,
        "seed": record.seed,
        "model_version": record.model_version,
        "horizon_months": record.horizon_months,
        "data_hash": record.data_hash,
        "settings": summary.get("settings"),
        "versions": summary.get("versions"),
        "priors_changed": summary.get("priors_changed"),
        "reasons": list(record.reasons),
    }
    if question:
        _asked(answers, question)
        answers = answers[answers["id"].isin(question) | answers["question"].isin(question)]
    if json:
        print_json({**head, "answers": records(answers)})
        return
    print_item(head)
    rows = [
        (row["id"], *_value(row), f"{row['mcse']:.2g}" if row["mcse"] == row["mcse"] else "", row["title"])
        for row in answers.to_dict("records")
    ]
    if rows:
        print_rows(("answer", "forecast", "base rate", "MC error", "question"), rows, f"{len(rows)} answers")


@app.command()
def diff(
    before: RunId,
    after: RunId,
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many answers, largest change first.")
    ] = FEW,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Compare two runs: inputs, and answers by change."""
    from escalation_forecast.ledger.compare import compare

    with opened(archive, files) as ledger:
        found = compare(ledger, _id(ledger, before), _id(ledger, after))
    if json:
        print_json(
            {
                "before": found.before.run_id,
                "after": found.after.run_id,
                "inputs": records(found.inputs),
                "answers": records(found.answers),
                "quantities": records(found.quantities),
                "only": records(found.only),
            }
        )
        return
    print_frame(found.inputs, f"{len(found.inputs)} inputs differ")
    moved = [
        (
            row["id"],
            _percent(row["before"]),
            _percent(row["after"]),
            f"{100 * row['change']:+.2f}",
            f"{100 * row['mcse']:.2f}",
        )
        for row in found.answers.to_dict("records")[:rows]
    ]
    caption = f"{len(moved)} of {len(found.answers)} probabilities, largest change first; changes in points"
    print_rows(("answer", "before", "after", "change", "its MC error"), moved, caption)
    if len(found.quantities):
        few = found.quantities.drop(columns=["kind", "title"]).head(rows)
        print_frame(few, f"{len(few)} of {len(found.quantities)} means of counts and quantities")
    for row in found.only.to_dict("records"):
        typer.echo(f"Only {row['run_id']} answers {row['id']}.")


@app.command()
def verify(
    fast: Annotated[bool, typer.Option("--fast", help="Compare sizes only, not checksums.")] = False,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Check all files; look for halves and orphans.

    Every file is compared with the checksum it was published with.

    Exit code 1 if anything is wrong.
    """
    with opened(archive, files) as ledger:
        faults = ledger.verify(fast=fast)
        n = len(ledger.runs())
    if json:
        print_json([vars(fault) for fault in faults])
    else:
        for fault in faults:
            typer.echo(str(fault))
        typer.echo(_counted(len(faults), n))
    if faults:
        raise typer.Exit(FAULTY)


@app.command()
def export(
    run: RunId,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder that gets a folder <id>.")],
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Copy a run out, its checksums verified."""
    from escalation_forecast.ledger.copies import export as copy_out

    with opened(archive, files) as ledger:
        folder = copy_out(ledger, _id(ledger, run), out)
    print_json({"folder": str(folder)}) if json else typer.echo(f"Copied to {folder}")


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=0, metavar="N", help="Newest drafts that keep their draws.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Remove the draws of old drafts.

    Published runs and all summaries stay.
    """
    with opened(archive, files) as ledger:
        gone = ledger.prune(keep, dry_run=dry_run)
    if json:
        print_json({"dry_run": dry_run, "files": gone})
        return
    for name in gone:
        typer.echo(name)
    typer.echo(f"{len(gone)} files {'would go' if dry_run else 'removed'}")


@app.command()
def add(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Run folders, such as runs/<id>.")],
    job: Annotated[str, typer.Option(metavar="NAME", help="Whose runs they are.")] = "",
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Register run folders in the archive.

    Drafts are registered as drafts, `<id>.failed` as failures. One that does not lie under --files is copied
    there. A run that is there already stays as it is.
    """
    from escalation_forecast.archive import load_run

    told = []
    with opened(archive, files, create=True) as ledger:
        for folder in folders:
            if folder.name.endswith(".failed"):
                ledger.fail(load_run(folder).summary, job=job)
                new = True
            else:
                new = ledger.add(folder, job=job)
            told.append({"folder": str(folder), "new": new})
            if not json:
                typer.echo(f"{folder} {'is registered' if new else 'was there already'}")
    if json:
        print_json(told)


@app.command()
def card(
    run: Annotated[
        str, typer.Argument(metavar="ID_OR_DIR", help="Id as in `runs list`, `latest`, or a folder.")
    ],
    html: Annotated[
        bool, typer.Option("--html", help="Print a fragment of HTML in place of Markdown.")
    ] = False,
    archive: Archive = DEFAULT_ARCHIVE,
    files: Files = DEFAULT_FILES,
    json: Json = False,
) -> None:
    """Print the model card of a run.

    What it is for, what went in, how the fit was checked, how far the answers are prior, and what it cannot
    do. A run keeps its card as model_card.md; of runs made before there were cards it is written anew.
    """
    from escalation_forecast.archive import SUMMARY, Run, load_run
    from escalation_forecast.card import model_card

    folder = next((one for one in (Path(run), Path(files) / run) if (one / SUMMARY).is_file()), None)
    if folder is not None:
        found = model_card(load_run(folder))
    else:
        with opened(archive, files) as ledger:
            record = ledger.get(_id(ledger, run))
        found = model_card(Run(Path(files) / record.run_id, dict(record.summary)))
    if json:
        print_json(found.to_dict())
    else:
        typer.echo(found.html() if html else found.markdown(), nl=False)


@contextmanager
def opened(url: str, files: str, *, create: bool = False) -> Iterator[Ledger]:
    """The archive; one that is not there yet is made by `add` alone."""
    from escalation_forecast.archive import ArchiveError
    from escalation_forecast.ledger import Ledger, LedgerError
    from escalation_forecast.schema import DataError

    file = url.removeprefix(SQLITE)
    if not create and file != url and not Path(file).exists():
        raise DataError(f"There is no archive {file} yet; register runs with `runs add runs/<id>`.")
    try:
        with Ledger.open(url, files) as ledger:
            yield ledger
    except (LedgerError, ArchiveError) as error:
        stop(error, NOT_WRITTEN)


def _id(ledger: Ledger, run: str) -> str:
    from escalation_forecast.schema import DataError

    if run != "latest":
        return run
    found = ledger.latest()
    if found is None:
        raise DataError("No run of the archive is published yet; publish one first.")
    return found.run_id


def _run(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Moments in full; `print_json` would leave the day alone."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") and value == value else value
        for name, value in row.items()
    }


def _asked(answers: Any, names: list[str]) -> None:
    from escalation_forecast.schema import DataError
    from escalation_forecast.tables import nearest

    known = {*answers["id"], *answers["question"]}
    for name in names:
        if name not in known:
            raise DataError(f"The run has no answer `{name}`{nearest(name, known)}.")


def _counted(faults: int, runs: int) -> str:
    if not faults:
        return f"{runs:,} runs, all well"
    return f"{faults} fault{'s' if faults > 1 else ''} in an archive of {runs:,} runs"


def _value(row: Mapping[Any, Any]) -> tuple[str, str]:
    rate = "" if row["base_rate"] != row["base_rate"] else _percent(row["base_rate"])
    if row["kind"] == "binary":
        return _percent(row["probability"]), rate
    low, high = row["low"], row["high"]
    around = f" ({low:.2f} to {high:.2f})" if low == low and high == high else ""
    return f"{row['mean']:.2f}{around}", rate


def _percent(p: float) -> str:
    return f"{100 * p:.3g} %"
