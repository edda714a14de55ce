"""The wider war for a terminal: routes by horizon, pairs of states, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from escalation_forecast.report.layout import percent, plain_table, rate_text

Summary = Mapping[str, Any]

ROUTES: Final[dict[str, str]] = {
    "any": "The war widens (any route)",
    "joining": "  a state named joins it",
    "war": "  war of a theatre's pair",
    "two-theatres": "  deadly clashes in two theatres",
}
FAMILIES: Final[dict[str, str]] = {
    "war-joining": "joins the war",
    "interstate-war": "war",
    "fatal-clash": "deadly clash",
}
WIDER: Final = "wider-war"
JOINING_STEPS: Final = ("war_goes_on", "anybody", "share", "restraint", "joins")
WAR_FAMILIES: Final = (WIDER, *FAMILIES)


def print_war(summary: Summary, console: Console) -> None:
    """Routes by horizon, then pairs and joiners, then the steps; nothing if no war was asked about."""
    asked = [q for q in summary["questions"] if q["question"] in WAR_FAMILIES]
    if wider := [q for q in asked if q["question"] == WIDER]:
        console.print(Padding(_routes(wider), (1, 0, 0, 0)))
    if others := [q for q in asked if q["question"] != WIDER]:
        console.print(Padding(_pairs(others), (1, 0, 0, 0)))
    if war := summary.get("war"):
        console.print(Padding(_steps(war["theatres"]), (1, 0, 0, 0)))
        if war["joining"]:
            console.print(_joining(war["joining"]), highlight=False)


def one_in(probability: float | None) -> str:
    """Such as ``1 in 40``; blank above one in two and for what is not known."""
    if not probability or probability > 0.5:
        return ""
    n = 1.0 / probability
    shown = round(n) if n < 100 else round(n, -len(str(int(n))) + 2)
    return f"1 in {shown:,.0f}"


def _chance(question: Summary | None) -> str:
    if question is None:
        return "-"
    p = question["probability"]
    return f"{percent(p)}\n{one_in(p)}".rstrip()


def _route(question: Summary) -> str:
    return str(question["id"]).split("/")[1]


def _routes(questions: Sequence[Summary]) -> Table:
    horizons = list(dict.fromkeys(_horizon(q) for q in questions))
    table = plain_table(
        "Wider war",
        ("", "left"),
        *((f"{h.removesuffix('m')} months", "right") for h in horizons),
        ("Base rate, a year", "left"),
        ("Prior", "left"),
        caption="Routes overlap, so the first line is less than their sum. Prior: 12 months with the nuclear "
        f"discount,\nthe slope on tension or the weight of history loosened. {_error(questions)}",
    )
    for route, title in ROUTES.items():
        found = {_horizon(q): q for q in questions if _route(q) == route}
        if not found:
            continue
        year = found.get("12m") or list(found.values())[-1]
        table.add_row(
            Text(title, style="bold" if route == "any" else ""),
            *(_chance(found.get(h)) for h in horizons),
            rate_text(year.get("base_rate")),
            prior_text(year),
        )
    return table


def _error(questions: Sequence[Summary]) -> str:
    largest = max((q["mcse"] for q in questions if q["mcse"] is not None), default=0.0)
    return f"Monte Carlo error: at most ± {100 * largest:.1g} points."


def prior_text(question: Summary) -> str:
    """Label and the probabilities with each prior loosened, such as ``mixed 2.1/1.9/2.4 %``."""
    share = question.get("prior_share")
    if not share:
        return "-"
    values = "/".join(f"{100 * share[name]:.2g}" for name in ("discount", "slope", "base"))
    return f"{share['label']}\n{values} %"


def _pairs(questions: Sequence[Summary]) -> Table:
    """A row per pair or state and kind of event, a column per horizon."""
    horizons = list(dict.fromkeys(_horizon(q) for q in questions))
    table = plain_table(
        "Routes by state and pair of states",
        ("", "left"),
        *((f"{h.removesuffix('m')} months", "right") for h in horizons),
        (f"Base rate, {horizons[0].removesuffix('m')} months", "left"),
        ("Prior", "left"),
        caption=_error(questions),
    )
    rows: dict[str, dict[str, Summary]] = {}
    for q in sorted(questions, key=lambda q: list(FAMILIES).index(q["question"])):
        rows.setdefault(_row(q), {})[_horizon(q)] = q
    for title, found in rows.items():
        first = next(iter(found.values()))
        cells = [
            f"{percent(found[h]['probability'])}  {one_in(found[h]['probability'])}".rstrip()
            if h in found
            else ""
            for h in horizons
        ]
        prior = prior_text(first).replace("\n", " ")
        table.add_row(title, *cells, rate_text(first.get("base_rate")), prior)
    return table


def _horizon(question: Summary) -> str:
    return str(question["id"]).rsplit("/", 1)[1]


def _row(question: Summary) -> str:
    """Such as ``KOR-PRK war``, from the parts of the id between question and horizon."""
    parts = str(question["id"]).split("/")[1:-1]
    deaths = [f", {part} deaths" for part in parts if part.isdigit() and part != "1"]
    names = [part for part in parts if not part.isdigit()]
    return " ".join([*names, FAMILIES[question["question"]]]) + "".join(deaths)


def _steps(theatres: Sequence[Summary]) -> Table:
    months = theatres[0]["months"]
    table = plain_table(
        f"From use of force to war, {months} months",
        ("", "left"),
        ("Use of force", "right"),
        ("a month of it is deadly", "right"),
        ("Deadly clash", "right"),
        ("25 deaths", "right"),
        ("one becomes war", "right"),
        ("War", "right"),
        ("", "left"),
    )
    for step in theatres:
        table.add_row(
            step["label"],
            percent(step["force"]),
            percent(step["fatal_given_force"]),
            percent(step["fatal"]),
            percent(step["material"]),
            percent(step["war_given_fatal"]),
            percent(step["war"]),
            one_in(step["war"]),
        )
    return table


def _joining(joining: Summary) -> Text:
    said = {name: percent(joining[name]) for name in JOINING_STEPS}
    return Text(
        f"Joining, {joining['months']} months: the war goes on {said['war_goes_on']}; any state joins "
        f"{said['anybody']}; of the joiners NATO, USA, CHN, JPN or KOR {said['share']}; left by the nuclear "
        f"discount {said['restraint']}; one of them joins {said['joins']}."
    )
