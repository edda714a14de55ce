"""The tables of docs/scenarios.md: the levers as the file has them, and what they change on a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from escalation_forecast.elicit.page import PLACE, fill, markdown
from escalation_forecast.scenario.levers import Book, Effect, load_scenarios
from escalation_forecast.scenario.response import NO_CHANGE
from escalation_forecast.scenario.result import ScenarioResult

ANSWERS: Final = ("wider-war/any/12m", "arms-race-regional/2027", "use-of-force/korea/12m")
CLAIMS: Final = {True: "lowers risk", False: "raises risk", None: "open"}


def lever_table(book: Book) -> str:
    """Levers with their claim and the sizes of their effects."""
    rows = []
    for name, lever in book.levers.items():
        works = "; ".join(_effect(one) for one in lever.effects)
        kind = "P" if lever.kind == "preset" else "S"
        seen = " and ".join(f"`{one.of}`" for one in lever.observed) or "-"
        rows.append((f"`{name}`", lever.title, kind, CLAIMS[lever.lowers_risk], works, seen))
    head = ("lever", "what is decided", "label", "claim", "works on (mean, sd)", "seen in, for C")
    return markdown(head, rows)


def _effect(one: Effect) -> str:
    where = ", ".join(one.of) if len(one.of) < 4 else f"{len(one.of)} of them"
    if one.after_reversal:
        return f"{one.channel} of {where} ({one.mu:+g}, {one.sigma:g}; once it is undone)"
    begins = f"{one.lag[0]:g}" if one.lag[0] == one.lag[1] else f"{one.lag[0]:g}-{one.lag[1]:g}"
    fades = "" if one.half_life is None else f", half-life {one.half_life:g}"
    return f"{one.channel} of {where} ({one.mu:+g}, {one.sigma:g}; from month {begins}{fades})"


def result_table(results: Sequence[ScenarioResult], answers: Sequence[str] = ANSWERS) -> str:
    """Change of a few answers in points with 80 % intervals, in the order of the file."""
    rows = []
    for one in results:
        cells = []
        for answer in answers:
            row = one[answer]
            if row.change is None:
                # Weights that do not do tell nothing.
                again = one.conditional is not None and one.conditional.needs_refit
                unknown = "C: fit again" if again else "-"
                cells.append(unknown if row.conditional is None else f"C {100 * row.conditional:+.1f}")
                continue
            c = row.change
            if c == NO_CHANGE:
                cells.append("unchanged")
                continue
            said = f"{100 * c.mean:+.2f} ({100 * c.low:+.2f} to {100 * c.high:+.2f})"
            cells.append(said + ("" if c.settled else ", not settled"))
        rows.append((f"`{one.name}`", one.label, *cells))
    return markdown(("scenario", "label", *(f"`{answer}`" for answer in answers)), rows)


def write_page(path: Path, results: Sequence[ScenarioResult] = ()) -> None:
    """Fill the tables of the page in place; that of the results stays unless some are given."""
    text = path.read_text(encoding="utf-8")
    kept = {match["name"]: match["body"].rstrip("\n") for match in PLACE.finditer(text)}
    made = {"levers": lever_table(load_scenarios()), "results": kept.get("results", "")}
    if results:
        made["results"] = result_table(results)
    path.write_text(fill(text, made), encoding="utf-8")
