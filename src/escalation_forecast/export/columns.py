"""Every column of the exported tables: name, type, unit and meaning, said once.

docs/exports.md has the same as tables, made by `markdown`; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["text", "real", "integer", "truth", "month", "day"]
ARROW: Final[dict[Kind, str]] = {
    "text": "string",
    "real": "double",
    "integer": "int64",
    "truth": "bool",
    "month": "timestamp[us]",
    "day": "timestamp[us]",
}
NONE: Final = "-"
SHARE: Final = "probability"
SD: Final = "sd of 2010-2019"
PERCENT: Final = "per cent"


@dataclass(frozen=True)
class Column:
    """A column; `kind` month is the first day of a month."""

    name: str
    kind: Kind
    unit: str
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table: what one row is, and its columns in order."""

    row: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def schema(self) -> pa.Schema:
        """Arrow types, with unit and meaning as metadata of each field."""
        import pyarrow as pa

        known: dict[Kind, Any] = {
            "text": pa.string(),
            "real": pa.float64(),
            "integer": pa.int64(),
            "truth": pa.bool_(),
            "month": pa.timestamp("us"),
            "day": pa.timestamp("us"),
        }
        return pa.schema(
            [
                pa.field(c.name, known[c.kind], metadata={"unit": c.unit, "meaning": c.meaning})
                for c in self.columns
            ]
        )


def _text(name: str, meaning: str) -> Column:
    return Column(name, "text", NONE, meaning)


def _real(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "real", unit, meaning)


def _count(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "integer", unit, meaning)


def _month(name: str, meaning: str) -> Column:
    return Column(name, "month", "month", meaning)


def _band(prefix: str, unit: str, of: str) -> tuple[Column, ...]:
    names = {"median": "median", "low": "10th percentile", "high": "90th percentile"}
    return tuple(_real(f"{prefix}{name}", unit, f"{said} {of}") for name, said in names.items())


def _quantiles(unit: str) -> tuple[Column, ...]:
    return (
        _real("mean", unit, "mean of the draws"),
        *(_real(f"q{p:02d}", unit, f"{p}th percentile of the draws") for p in (5, 10, 25, 50, 75, 90, 95)),
    )


THEATRE: Final = _text("theatre", "id of the theatre, or `global` for the common factor")
BASE: Final = (
    _real("base_rate", SHARE, "how often the same rule held before; missing where there is no record"),
    _count("base_events", "windows", "times that it held"),
    _count("base_trials", "windows", "windows looked at"),
    _text("reference_class", "what was counted"),
)
PRIOR_SHARE: Final = (
    _real("prior_base", SHARE, "the probability with a looser prior of the base rates"),
    _real("prior_slope", SHARE, "the probability with a looser prior of the slopes"),
    _real("prior_discount", SHARE, "the probability with a looser prior of the nuclear discount"),
    _real("prior_change", "share", "largest of these changes, as a share of the probability"),
    _text("prior_label", "data-driven, mixed or prior-driven"),
)

TABLES: Final[dict[str, Table]] = {
    "questions": Table(
        "an answer",
        (
            _text("id", "id of the answer: question, part and window"),
            _text("question", "id of the question"),
            _text("kind", "binary, count or continuous"),
            _text("title", "the question in short"),
            _text("target", "the part and the window in words"),
            _real("probability", SHARE, "share of draws that say yes; missing for a count or quantity"),
            _real("mcse", "as the answer", "Monte Carlo standard error"),
            _real("ess", "draws", "effective sample size"),
            _real("r_hat", NONE, "R-hat of the answer"),
            *BASE,
            _real("median", "as the answer", "median of a quantity"),
            _real("low", "as the answer", "10th percentile of a quantity"),
            _real("high", "as the answer", "90th percentile of a quantity"),
            _real("mean", "as the answer", "mean of a quantity"),
            _text("distribution", "JSON: of a count the probability of each value"),
            _text("resolves_on", "the release that decides"),
            _text("note", "what to know about the number"),
        ),
    ),
    "routes": Table(
        "an answer about clashes, wars and who joins",
        (
            _text("id", "id of the answer"),
            _text("question", "id of the question"),
            _text("route", "the route, pair of states or joiner"),
            _count("months", "months", "from the month of the as-of date to the end of the window"),
            _month("until", "last month of the window"),
            _real("probability", SHARE, "share of draws and futures that say yes"),
            _real("mcse", SHARE, "Monte Carlo standard error"),
            _real("one_in", NONE, "one divided by the probability; missing where that is zero"),
            *BASE,
            *PRIOR_SHARE,
        ),
    ),
    "war_steps": Table(
        "a theatre, or the joining of the war that goes on",
        (
            _text("theatre", "id of the theatre; `joining` for the war in Ukraine"),
            _text("step", "name of the step"),
            _count("months", "months", "how long the chance is for"),
            _real("probability", SHARE, "chance of the step"),
            _text("meaning", "what the step is"),
        ),
    ),
    "theatres": Table(
        "a theatre and the common factor",
        (
            THEATRE,
            _text("label", "name of the theatre"),
            _month("month", "now: the last month before the forecast"),
            *_band("", SD, "of the latent risk now"),
            _month("year_ago_month", "a year before"),
            *_band("year_ago_", SD, "a year ago"),
            _real("percentile", PERCENT, "share of earlier months since 1990 below now"),
            _real("change_6m", SD, "median change over the last six months"),
            _real("change_6m_low", SD, "10th percentile of that change"),
            _real("change_6m_high", SD, "90th percentile of that change"),
            _real("probability_up", SHARE, "that risk rose over these months"),
            _month("forecast_month", "12 months ahead, or the end of a shorter horizon"),
            *_band("forecast_", SD, "in that month"),
        ),
    ),
    "pushes": Table(
        "an indicator that lately moved a theatre",
        (
            THEATRE,
            _count("rank", NONE, "1 moved it most"),
            _text("indicator", "name of the indicator, or the global factor"),
            _real("push", SD, "by how much it moves the risk of now"),
        ),
    ),
    "latent": Table(
        "a month of a theatre",
        (
            _month("month", "the month"),
            THEATRE,
            _text("phase", "history, or forecast from the month after the as-of date"),
            *_quantiles(SD),
        ),
    ),
    "spending": Table(
        "a year of a state by one measure",
        (
            _text("state", "ISO 3166 alpha-3"),
            _count("year", "year", "calendar year; financial year for the United States"),
            _text("measure", "print, three_year_mean (of prints in one release) or true"),
            Column("released", "truth", NONE, "whether the year's first print was out"),
            *_quantiles(PERCENT),
            _real("probability_5", SHARE, "that growth is 5 % or more"),
        ),
    ),
    "indicators": Table(
        "a month of an indicator",
        (
            _text("indicator", "id of the indicator, as in data/indicators.csv"),
            _month("month", "the month"),
            _text("phase", "known, or forecast where draws differ or nothing is known"),
            _real("observed", "the indicator's own", "the figure as known at the as-of date"),
            _real("q10", "the indicator's own", "10th percentile of the draws"),
            _real("q50", "the indicator's own", "median of the draws"),
            _real("q90", "the indicator's own", "90th percentile of the draws"),
        ),
    ),
    "diagnostics": Table(
        "a number on the fit",
        (
            _text("name", "name of the number"),
            _real("value", "as the number", "the number; 1 and 0 for yes and no"),
            _text("quantity", "the quantity in which it was the worst"),
            _text("note", "why a gate was not passed"),
        ),
    ),
    "priors": Table(
        "a prior of the run",
        (
            _text("name", "name in the model"),
            _text("family", "family of distributions; Fixed is a constant"),
            _text("parameters", "JSON: parameters by the names of PyMC, by label where they differ"),
            _text("dims", "dims of the variable, comma between them"),
            _text("support", "what the model can take"),
            _text("pooling", "how labels relate: none, partial or complete"),
            Column("changed", "truth", NONE, "whether it differs from the default"),
            _text("reason", "why this prior"),
            _text("source", "where it comes from"),
        ),
    ),
}


def markdown() -> str:
    """The tables of docs/exports.md."""
    parts = []
    for name, table in TABLES.items():
        lines = [f"#### {name}", "", f"A row is {table.row}.", "", "| column | type | unit | meaning |"]
        lines.append("| --- | --- | --- | --- |")
        lines += [f"| {c.name} | {ARROW[c.kind]} | {c.unit} | {c.meaning} |" for c in table.columns]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
