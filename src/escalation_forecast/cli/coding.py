"""``data code``: figures coded by hand from a dated report."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from typing import Annotated, Any, cast

import typer

from escalation_forecast.cli.common import BAD_INPUT, DataDir, Json, group, read_day, read_store, stop
from escalation_forecast.cli.intake import To
from escalation_forecast.cli.output import print_json, print_rows

app = group("Code figures by hand from a dated report.")

Series = Annotated[str | None, typer.Option(metavar="NAME", help="Series, as in `data list`.")]
Unit = Annotated[str | None, typer.Option(metavar="UNIT", help="State, dyad or theatre.")]
Value = Annotated[float | None, typer.Option(metavar="X", help="The figure.")]
Low = Annotated[float | None, typer.Option(metavar="X", help="At least.")]
High = Annotated[float | None, typer.Option(metavar="X", help="At most.")]
When = Annotated[
    str | None, typer.Option(metavar="DATE", help="Day of the period it is about; default --published.")
]
Published = Annotated[str | None, typer.Option(metavar="DATE", help="Day on which it was published.")]
From = Annotated[str | None, typer.Option("--source", metavar="TEXT", help="Where it stands: URL or words.")]
Body = Annotated[
    str | None, typer.Option(metavar="KEY", help="Who says so, a key of sources.csv; default by series.")
]
Confidence = Annotated[str, typer.Option(metavar="WORD", help="high, or low: marked as uncertain.")]
Note = Annotated[str, typer.Option(metavar="TEXT", help="A remark.")]


@app.command()
def troops(
    value: Value = None, low: Low = None, high: High = None, published: Published = None, source: From = None,
    when: When = None, body: Body = None, confidence: Confidence = "high", note: Note = "",
    at_front: Annotated[
        bool, typer.Option("--at-front", help="A count at the front or border, less than the whole force.")
    ] = False,
    series: Series = None, unit: Unit = None, to: To = None, data: DataDir = None, json: Json = False,
) -> None:  # fmt: skip
    """Troops reported by a body, with bounds."""
    _code("troops", locals())


@app.command()
def budget(
    unit: Unit = None, value: Value = None, low: Low = None, high: High = None,
    year: Annotated[int | None, typer.Option(metavar="YEAR", help="Calendar year of the budget.")] = None,
    published: Published = None, source: From = None,
    enacted: Annotated[bool, typer.Option("--enacted", help="Passed, not only proposed.")] = False,
    body: Body = None, confidence: Confidence = "high", note: Note = "", to: To = None, data: DataDir = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Announced nominal growth of a defence budget, in per cent."""
    given = locals()
    year, enacted = given.pop("year"), given.pop("enacted")
    if year is None and _may_ask(json):
        year = typer.prompt("Calendar year of the budget", type=int)
    if year is None:
        stop("--year is missing: the calendar year of the budget.", BAD_INPUT)
    given |= {"when": f"{year:04d}-01-01", "stage": "2-enacted" if enacted else "1-proposal"}
    _code("budget", given)


@app.command()
def incident(
    unit: Annotated[str | None, typer.Option(metavar="THEATRE", help="Theatre.")] = None,
    value: Annotated[
        float | None,
        typer.Option(metavar="LEVEL", help="0 none, 2 threat, 3 display, 4 use of force, 5 war."),
    ] = None,
    when: When = None, published: Published = None, source: From = None, body: Body = None,
    confidence: Confidence = "high", note: Note = "", to: To = None, data: DataDir = None, json: Json = False,
) -> None:  # fmt: skip
    """An incident on the ladder; the month takes its level if it stands lower."""
    _code("incident", locals())


@app.command()
def figure(
    series: Series = None, unit: Unit = None, value: Value = None, low: Low = None, high: High = None,
    when: When = None, published: Published = None, source: From = None, body: Body = None,
    confidence: Confidence = "high", note: Note = "", to: To = None, data: DataDir = None, json: Json = False,
) -> None:  # fmt: skip
    """A figure of any series."""
    _code("figure", locals())


@app.command("list")
def list_coded(to: To = None, json: Json = False) -> None:
    """List what was ever coded, also what was taken back."""
    from escalation_forecast import intake

    found = intake.coded(intake.Folder(to or intake.default_folder()))
    if json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    rows = [
        [
            one.id, one.figure["series"], one.figure["unit"], one.figure["period_start"], _said(one.figure),
            one.figure["published_at"], str(one.report.get("source", "")),
            f"taken back {one.undone[:10]}" if one.undone else "",
        ]
        for one in found
    ]  # fmt: skip
    header = ["id", "series", "unit", "period", "figure", "published", "source", ""]
    print_rows(header, rows, f"{len(found)} coded, {sum(one.undone is None for one in found)} of them stand")


@app.command()
def undo(
    ident: Annotated[str, typer.Argument(metavar="ID", help="As `data code list` shows it.")],
    why: Annotated[str, typer.Option(metavar="TEXT", help="Kept in the log.")] = "",
    to: To = None,
    json: Json = False,
) -> None:
    """Take a coded figure back; the log keeps it."""
    from escalation_forecast import intake

    one = intake.undo(ident, to=to, why=why)
    if json:
        print_json(dataclasses.asdict(one))
    else:
        typer.echo(f"Taken back: {one.figure['series']} of {one.figure['unit']}, {_said(one.figure)}.")


def _code(kind: str, given: dict[str, Any]) -> None:
    from escalation_forecast import intake

    to, data, json = given.pop("to"), given.pop("data"), given.pop("json")
    if given.get("confidence") not in ("high", "low"):
        stop("--confidence is high or low.", BAD_INPUT)
    given = {name: one for name, one in given.items() if one is not None}
    _ask(kind, given, _may_ask(json))
    for name in ("when", "published"):
        if name in given:
            given[name] = cast(dt.date, read_day(given[name])) if name == "published" else _day(given[name])
    one = intake.code(intake.Report(kind=cast(Any, kind), **given), to=to, base=read_store(data, None, None))
    if json:
        print_json(dataclasses.asdict(one))
        return
    typer.echo(
        f"{one.id}: {one.figure['series']} of {one.figure['unit']}, {one.figure['period_start']} to "
        f"{one.figure['period_end']}, {_said(one.figure)}, known from {one.figure['published_at']}. Take it "
        f"back with `data code undo {one.id}`."
    )


def _ask(kind: str, given: dict[str, Any], may: bool) -> None:
    """What is missing, asked for on a terminal and refused elsewhere."""
    questions = [("published", "Day on which it was published (YYYY-MM-DD)"), ("source", "Where it stands")]
    if kind in ("budget", "incident"):
        questions.insert(0, ("unit", "State" if kind == "budget" else "Theatre"))
    if kind == "figure":
        questions.insert(0, ("series", "Series, as in `data list`"))
    if not {"value", "low", "high"} & set(given):
        if not may:
            stop("--value is missing, or --low or --high for a bound.", BAD_INPUT)
        given["value"] = typer.prompt("The figure", type=float)
    for name, question in questions:
        if name not in given:
            if not may:
                stop(f"--{name} is missing: {question[0].lower()}{question[1:]}.", BAD_INPUT)
            given[name] = typer.prompt(question)


def _may_ask(json: bool) -> bool:
    return sys.stdin.isatty() and not json


def _day(text: str) -> dt.date:
    from escalation_forecast.schema import DataError

    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise DataError(f"`{text}` is not a date; write it as YYYY-MM-DD.") from None


def _said(figure: dict[str, Any]) -> str:
    """Value and bounds in words."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    span = " to ".join(f"{end:g}" for end in (low, high) if end is not None)
    if low is None and high is not None:
        span = f"at most {high:g}"
    elif high is None and low is not None:
        span = f"at least {low:g}"
    point = "" if value is None else f"{value:g}"
    return f"{point} ({span})" if point and span else point or span
