"""``data update``, ``data add`` and ``data check``: feeding the forecast."""

from __future__ import annotations

import datetime as dt
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from escalation_forecast.cli.common import (
    BAD_INPUT,
    NOT_WRITTEN,
    DataDir,
    Json,
    read_day,
    read_store,
    stop,
)
from escalation_forecast.cli.output import print_frame, print_json, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalation_forecast.intake import Finding, Update

LARGEST: Final = 10
MEGABYTE: Final = 1_000_000

To = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="DIR", envvar="ESCALATION_DATA",
        help="Your folder of figures; default `escalation-data` here.",
    ),
]  # fmt: skip
Accept = Annotated[
    list[str] | None,
    typer.Option("--accept", metavar="KIND", help="Take in what is refused as `unit` or `double`."),
]


def update(
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout of the file; by default known by its content.")
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A file as published; for each list of sanctions, again."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Download it from here (https) instead.")
    ] = None,
    compare: Annotated[
        tuple[Path, str] | None,
        typer.Option(metavar="FILE DATE", help="Earlier copy of a list without dates, and when it came."),
    ] = None,
    to: To = None,
    received: Annotated[
        str | None, typer.Option(metavar="DATE", help="Day on which the file came; default today.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="Refuse a file with another checksum.")
    ] = None,
    max_size: Annotated[int, typer.Option(min=1, metavar="MB", help="Largest download.")] = 200,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
    accept: Accept = None,
    data: DataDir = None,
    json: Json = False,
) -> None:
    """Take a file into your folder of figures.

    What is new or revised becomes one more file there, whole or not at all; the same again changes nothing.
    """
    from escalation_forecast import intake

    if not file and url is None:
        stop(_where_from(source), BAD_INPUT)
    _known_kinds(accept)
    with _progress(not json and url is not None) as progress, _written():
        found = intake.update(
            file or None, url=url, source=source, compare=_copy(compare), to=to,
            base=read_store(data, None, None), received=read_day(received), sha256=sha256,
            dry_run=dry_run, accept=accept or (), progress=progress,
            limits=intake.Limits(size=max_size * MEGABYTE),
        )  # fmt: skip
    if json:
        print_json(_record(found))
        return
    _show(found, dry_run, to)


def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV table with a date and a value.")],
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What its columns mean (TOML); options go before it.")
    ] = None,
    indicator: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the indicator.")] = None,
    family: Annotated[
        str | None, typer.Option(metavar="NAME", help="news, count, share, annual or troops.")
    ] = None,
    theatre: Annotated[str | None, typer.Option(metavar="NAME", help="A theatre, or global.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="UNIT", help="State, dyad or theatre.")] = None,
    date: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the date.")] = None,
    value: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column of the figure.")] = None,
    total: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of a share: column of the whole.")
    ] = None,
    published: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Column of the day of publication.")
    ] = None,
    lag: Annotated[
        int | None, typer.Option(metavar="DAYS", help="Else: days from the end of a period to publication.")
    ] = None,
    unit_of_measure: Annotated[str | None, typer.Option(metavar="WORD", help="What is counted.")] = None,
    transform: Annotated[
        str | None, typer.Option(metavar="NAME", help="none, difference, percent or exp.")
    ] = None,
    scale: Annotated[float | None, typer.Option(metavar="X", help="Multiply by this first.")] = None,
    combine: Annotated[
        str | None, typer.Option(metavar="NAME", help="Rows of a period: sum, mean, last or max.")
    ] = None,
    options: Annotated[
        str | None, typer.Option(metavar="TEXT", help="As in indicators.csv, such as `memory` or `trend`.")
    ] = None,
    loading: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="What tension of one more does, 90 % (see docs/live-data.md)."),
    ] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is.")] = None,
    to: To = None,
    accept: Accept = None,
    data: DataDir = None,
    json: Json = False,
) -> None:
    """Make a table of your own an indicator.

    Asks for what is missing on a terminal. The same again with a newer file adds what is new.
    """
    from escalation_forecast import intake

    given = {
        "indicator": indicator, "family": family, "theatre": theatre, "unit": unit, "date": date,
        "value": value, "total": total, "published": published, "lag": lag,
        "unit_of_measure": unit_of_measure, "transform": transform, "scale": scale, "combine": combine,
        "options": options, "loading": loading, "note": note,
    }  # fmt: skip
    given = {name: one for name, one in given.items() if one is not None}
    _known_kinds(accept)
    if mapping is not None:
        import dataclasses

        whole = {**vars(intake.Mapping.read(mapping)), **given}
        plain = {one.name: one.default for one in dataclasses.fields(intake.Mapping)}
        given = {name: one for name, one in whole.items() if one != plain[name]}
    elif sys.stdin.isatty() and not json:
        given = _asked(given, intake.columns_of(file))
    with _written():
        found = intake.add(
            file, intake.Mapping.of(given, "The options"), to=to, base=read_store(data, None, None),
            accept=tuple(accept or ()),
        )  # fmt: skip
    if json:
        print_json(
            {
                "indicator": found.indicator, "figures": len(found.figures), "waiting": found.waiting,
                "written": found.written and str(found.written), "priors": found.priors and str(found.priors),
                "findings": [vars(one) for one in found.findings], "command": found.command,
            }
        )  # fmt: skip
        return
    for one in found.findings:
        typer.echo(f"Note: {one.message}")
    if found.waiting:
        typer.echo(f"{found.waiting} newest period(s) are not public yet with that lag and wait.")
    if found.written is None:
        typer.echo("Nothing new.")
    else:
        typer.echo(f"{len(found.figures):,} figures of {found.indicator} are in {found.written}.")
    typer.echo(f"Now: {found.command}")


def check(
    to: To = None,
    data: DataDir = None,
    json: Json = False,
) -> None:
    """Show what looks wrong in your figures.

    Late series, jumps beyond any before, wrong units, the same counted twice.
    """
    import dataclasses

    from escalation_forecast import intake
    from escalation_forecast.intake.quality import check_folder

    folder = intake.Folder(to or intake.default_folder())
    findings = check_folder(folder, read_store(data, None, None))
    if json:
        print_json([dataclasses.asdict(one) for one in findings])
        return
    _findings(findings)
    typer.echo(f"{len(findings)} thing(s) to look at in {len(folder.files())} file(s) of {folder.path}.")


# --- asking


def _asked(given: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """What is missing, asked for one by one; a plain return takes what stands in brackets."""
    from escalation_forecast.intake.loading import LOADINGS, said
    from escalation_forecast.schema import GLOBAL, THEATRES

    typer.echo(f"Columns: {', '.join(columns)}")

    def ask(name: str, question: str, default: Any = None, known: tuple[str, ...] = ()) -> None:
        if name not in given:
            while True:
                answer = typer.prompt(
                    question, default=default, type=type(default) if default is not None else str
                )
                if not known or answer in known:
                    break
                typer.echo(f"  one of {', '.join(known)}")
            if answer != "":
                given[name] = answer

    ask("indicator", "Name of the indicator (small letters and underscores)")
    ask("family", f"Family ({', '.join(LOADINGS)})", known=tuple(LOADINGS))
    ask("theatre", f"Theatre ({', '.join((*THEATRES, GLOBAL))})", known=(*THEATRES, GLOBAL))
    ask("unit", "Unit: a state (KOR), dyad (A>B, A-B) or theatre")
    ask("date", "Column of the date", columns[0], tuple(columns))
    ask("value", "Column of the figure", columns[min(1, len(columns) - 1)], tuple(columns))
    if given["family"] == "share":
        ask("total", "Column of the whole", known=tuple(columns))
    if "published" not in given:
        ask("lag", "Days from the end of a period until its figure is public", 5)
    ask("unit_of_measure", "What is counted or measured", "points")
    if given["family"] not in ("count", "share"):
        ask("transform", "Transform (none, difference, percent, exp)", "none")
    if "loading" not in given:
        typer.echo(f"By default tension of one more means {said(given['family'])} (90 %).")
        answer = typer.prompt("Your own interval, two numbers, or nothing", default="", show_default=False)
        ends = answer.replace("to", " ").split()
        if ends:
            try:
                low, high = map(float, ends)
            except ValueError:
                stop(f"`{answer}` is not two numbers; start again and write them as 1.2 2.0.", BAD_INPUT)
            given["loading"] = (low, high)
    return given


# --- showing


def _show(found: Update, dry_run: bool, to: Path | None) -> None:
    changes = found.changes
    for sentence in found.skipped:
        typer.echo(f"Left out: {sentence}")
    if len(changes.rows) or len(changes.vanished):
        print_frame(
            changes.counts(), f"{found.source}, {found.edition}: {changes.same:,} figures are as held"
        )
    if changes.anything:
        print_frame(changes.largest(LARGEST), "the largest revisions, then the newest figures")
    if len(changes.vanished):
        typer.echo(
            f"{len(changes.vanished):,} of the figures held are not in the file any more; they stay "
            "(`--json` lists them)."
        )
    _findings(found.findings)
    if found.written is not None:
        typer.echo(f"Written to {found.written}.")
        typer.echo(f"Now: escalation-forecast forecast --observations {found.written.parent}")
    elif not changes.anything:
        typer.echo("Nothing new.")
    elif dry_run:
        typer.echo("Nothing written (--dry-run).")


def _findings(findings: list[Finding]) -> None:
    for one in findings:
        word = "Refused" if one.level == "refusal" else "Late" if one.kind == "stale" else "Look"
        typer.echo(f"{word}: {one.message}")


def _record(found: Update) -> dict[str, Any]:
    import dataclasses

    return {
        "source": found.source, "edition": found.edition, "seen_before": found.seen,
        "written": found.written and str(found.written), "same": found.changes.same,
        "counts": records(found.changes.counts()), "largest": records(found.changes.largest(LARGEST)),
        "vanished": records(found.changes.vanished), "skipped": list(found.skipped),
        "findings": [dataclasses.asdict(one) for one in found.findings],
        "fetched": found.fetched and {**vars(found.fetched), "path": str(found.fetched.path)},
    }  # fmt: skip


def _copy(compare: tuple[Path, str] | None) -> tuple[Path, dt.date] | None:
    day = read_day(compare[1]) if compare else None
    return (compare[0], day) if compare and day else None


def _where_from(source: str | None) -> str:
    from escalation_forecast.sources.live import LAYOUTS

    if source in LAYOUTS:
        layout = LAYOUTS[source]
        return f"Give --file or --url: {layout.title} is at {layout.url}."
    return f"Give a file (--file) or an address (--url); files of {', '.join(LAYOUTS)} are understood."


def _known_kinds(accept: list[str] | None) -> None:
    for kind in accept or ():
        if kind not in ("unit", "double"):
            stop(f"`{kind}` cannot be accepted; --accept takes unit or double.", BAD_INPUT)


@contextmanager
def _written() -> Iterator[None]:
    """A folder that cannot be written ends with its own code."""
    from escalation_forecast.schema import DataError

    try:
        yield
    except DataError:
        raise
    except OSError as error:
        stop(
            f"{error.filename or 'The folder'} cannot be read or written ({error.strerror}); check "
            "it and the space left.",
            NOT_WRITTEN,
        )


@contextmanager
def _progress(wanted: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    if not (wanted and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bars:
        task = bars.add_task("", total=None)
        yield lambda there, expected: bars.update(task, completed=there, total=expected)
