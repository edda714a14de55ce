"""The summary of a run for a terminal of 100 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from escalation_forecast.report.layout import percent, plain_table, rate_text
from escalation_forecast.report.war_text import WAR_FAMILIES, print_war
from escalation_forecast.schema import CORE_FOUR, THEATRE_LABELS

Summary = Mapping[str, Any]

# Probability that tension rose over six months -> arrow; between the last two it is level.
ARROWS: Final = ((0.9, "↑", "red"), (0.75, "↗", "red"), (0.25, "→", "default"), (0.1, "↘", "green"))
# Continuous questions on these have their own table.
IN_SPENDING: Final = "spending-growth"
RIGHT: Final = "right"
CONNECTING: Final = (
    "in",
    "by",
    "on",
    "of",
    "for",
    "at",
    "the",
    "from",
    "within",
    "until",
    "above",
    "between",
)


def print_summary(summary: Summary, console: Console) -> None:
    """Print what a forecaster reads first: tension, questions, spending, health of the fit."""
    if summary.get("draft"):
        console.print(_draft_banner())
    console.print(
        f"[bold]Escalation forecast[/bold] as of {summary['as_of']}, "
        f"{summary['horizon_months']} months ahead; run {str(summary['run_id'])[:12]}",
        highlight=False,
    )
    for line in _changed(summary.get("priors_changed", [])):
        console.print(line, highlight=False)
    if summary["theatres"]:
        _section(console, _theatres(summary["theatres"]))
    _questions(
        console,
        [q for q in summary["questions"] if q["kind"] == "binary" and q["question"] not in WAR_FAMILIES],
    )
    if (shared := pool_text(summary)) and summary["questions"]:
        console.print(Padding(Text(shared), (1, 0, 0, 0)))
    print_war(summary, console)
    others = [q for q in summary["questions"] if q["kind"] != "binary" and q["question"] != IN_SPENDING]
    if others:
        _section(console, _other_table(others))
    if summary["spending"]:
        _section(console, _spending(summary["spending"]))
    _skill(console, summary.get("skill", []))
    console.print(_diagnostics(summary["diagnostics"]), highlight=False)


def pool_text(summary: Summary) -> str:
    """What share of spending draws is not the model's, and why; empty where there is none."""
    others = 1.0 - float(summary.get("spending_weight", 1.0))
    if round(100.0 * others) < 1:
        return ""
    return (
        f"Questions on spending: {percent(others)} of the draws are a mixture of four simple methods,\n"
        "because at past releases the model alone was too sure of the next year."
    )


def target_text(target: str) -> str:
    """Target with the name of a theatre in place of its key."""
    first, comma, rest = target.partition(",")
    return THEATRE_LABELS.get(first, first) + comma + rest


def trend_text(trend: Mapping[str, Any]) -> Text:
    """Arrow and change over six months; the arrow points up or down from 75 % certainty."""
    up = trend["probability_up"]
    arrow, colour = next(((a, c) for bound, a, c in ARROWS if up >= bound), ("↓", "green"))
    return Text(f"{arrow} {signed(trend['change_6m'])}", style=colour)


def _section(console: Console, table: Table) -> None:
    console.print(Padding(table, (1, 0, 0, 0)))


def signed(value: float) -> str:
    """One decimal and a sign."""
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, 1) + 0.0:+.1f}"


def _band(value: Mapping[str, Any]) -> str:
    return f"{signed(value['median'])} ({signed(value['low'])} to {signed(value['high'])})"


def _draft_banner() -> Panel:
    text = Text(
        "DRAFT: short chains, gates not applied. Not for publication or comparison.", justify="center"
    )
    return Panel(text, style="bold white on red", box=box.HEAVY)


def _changed(changes: Sequence[Mapping[str, str]]) -> list[Text]:
    if not changes:
        return []
    word = "prior differs" if len(changes) == 1 else "priors differ"
    head = Text(f"{len(changes)} {word} from the default:", style="yellow")
    return [head, *(Text(f"  {c['name']}: {c['default']} -> {c['used']}", style="yellow") for c in changes)]


def _theatres(entries: Sequence[Summary]) -> Table:
    first = entries[0]
    ahead = first.get("forecast")
    table = plain_table(
        f"Tension in {first['now']['month']}",
        ("", "left"),
        ("Now (80 % band)", "right"),
        ("Year ago", "right"),
        ("Rank %", "right"),
        ("6 months", "left"),
        (f"{ahead['month']}" if ahead else "Forecast", "right"),
        ("Pushed lately by", "left"),
        caption="Unit: standard deviations from the mean of 2010-2019. Rank: own months since 1990 "
        "that were below.\nArrows: ↑↓ 90 % sure of the direction, ↗↘ 75 %, → neither.",
    )
    for entry in entries:
        later = entry.get("forecast")
        table.add_row(
            Text(entry["label"], no_wrap=True),
            _band(entry["now"]),
            signed(entry["year_ago"]["median"]),
            f"{entry['percentile']:.0f}",
            trend_text(entry["trend"]),
            signed(later["median"]) if later else "-",
            _pushes(entry.get("pushed_by", [])),
        )
    return table


def _pushes(pushes: Sequence[Mapping[str, Any]]) -> Text:
    strongest = sorted(pushes, key=lambda p: -abs(p["push"]))[:2]
    return Text("\n".join(f"{p['push']:+.1f} {p['indicator']}" for p in strongest) or "-")


def _questions(console: Console, questions: Sequence[Summary]) -> None:
    """Families under each other in columns of one width, so that probabilities line up."""
    if not questions:
        return
    width = max(len(target_text(q["target"])) for q in questions) + 2
    console.print(Padding(_question_table("Questions", width), (1, 0, 0, 0)))
    for family, group in groupby(questions, key=lambda q: q["question"]):
        members = list(group)
        title = f": {text}" if (text := common_title(members)) else ""
        console.print(Text.assemble((family, "bold"), title))
        table = _question_table("", width)
        table.show_header = False
        for q in members:
            rate = rate_text(q.get("base_rate"))
            table.add_row(
                f"  {target_text(q['target'])}", percent(q["probability"]), _error(q.get("mcse")), rate
            )
        console.print(table)


def common_title(questions: Sequence[Summary]) -> str:
    """What the titles of a family share from the start, whole words only; empty if nothing."""
    words = [q["title"].split() for q in questions]
    shared = [column[0] for column in takewhile(lambda c: len(set(c)) == 1, zip(*words, strict=False))]
    if any(len(title) > len(shared) for title in words):
        while shared and shared[-1].lower() in CONNECTING:
            shared.pop()
    return " ".join(shared).rstrip(",:;(") if len(shared) > 2 else ""


def _question_table(title: str, width: int) -> Table:
    table = plain_table(
        title, ("", "left"), ("Probability", "right"), ("MC error", "right"), ("Base rate", "left")
    )
    for column, size in zip(table.columns, (width, 11, 8), strict=False):
        column.width = size
    return table


def _error(mcse: float | None) -> str:
    if mcse is None:
        return "-"
    points = 100 * mcse
    return f"± {points:.1f}" if points >= 0.05 else f"± {points:.1g}"


def _other_table(questions: Sequence[Summary]) -> Table:
    table = plain_table("Counts and quantities", ("", "left"), ("Target", "left"), ("Forecast", "left"))
    rows = [q for q in questions if q["kind"] != "binary" and q["question"] != IN_SPENDING]
    last = None
    for q in rows:
        table.add_row(q["question"] if q["question"] != last else "", q["target"], distribution_text(q))
        last = q["question"]
    return table


def distribution_text(question: Summary) -> str:
    """Shares of a count such as ``0: 4 %  1: 19 %``, or median and band of a quantity."""
    shape = question.get("distribution")
    if not shape:
        return "-"
    if question["kind"] == "count":
        return "  ".join(f"{n}: {percent(p)}" for n, p in shape.items())
    return f"{shape['median']:,.1f} ({shape['low']:,.1f} to {shape['high']:,.1f})"


def _spending(entries: Sequence[Summary]) -> Table:
    core = [e for e in entries if e["state"] in CORE_FOUR]
    past = sorted({e["year"] for e in core if e["released"]})[-2:]
    years = [*past, *sorted({e["year"] for e in core if not e["released"]})]
    table = plain_table(
        "Real growth of military spending, first print, per cent",
        ("", "left"),
        *((f"{y}" if y in past else f"{y} forecast", RIGHT) for y in years),
        caption="Forecasts: median and 80 % interval.",
    )
    found = {(e["state"], e["year"]): e["print"] for e in core}
    for state in CORE_FOUR:
        table.add_row(state, *(_growth(found.get((state, year))) for year in years))
    return table


def _growth(value: Mapping[str, Any] | None) -> str:
    if value is None or value["median"] is None:
        return "not held"
    if value["low"] == value["high"]:
        return signed(value["median"])
    return _band(value)


def _skill(console: Console, entries: Sequence[Mapping[str, str]]) -> None:
    """How the forecasts of each kind did at past origins, a line for each; nothing without one."""
    if entries:
        text = Text("\nAt past origins, against mixtures of simple methods ")
        console.print(text.append(f"({entries[0]['page']}; * could be chance):", style="dim"))
    for entry in entries:
        console.print(Padding(Text(entry["text"]), (0, 0, 0, 2)))


def _diagnostics(found: Summary) -> Text:
    passed = found["passed"]
    other = found.get("r_hat_other") or {"value": None}
    parts = [
        f"R-hat {found['r_hat_max']['value']:.3f} ({found['r_hat_max']['quantity']})"
        + (f", {other['value']:.3f} behind ({other['quantity']})" if other["value"] else ""),
        f"ESS {found['ess_bulk_min']['value']:.0f} bulk, {found['ess_tail_min']['value']:.0f} tail",
        f"divergences {found['divergences']}",
        f"E-BFMI {found['e_bfmi_min']:.2f}",
        f"{found['total_seconds']:.0f} s",
    ]
    line = Text("\nFit passed: " if passed else "\nFit FAILED: ", style="green" if passed else "bold red")
    line.append("; ".join(parts))
    for reason in found.get("reasons", []):
        line.append(f"\n  {reason}")
    return line
