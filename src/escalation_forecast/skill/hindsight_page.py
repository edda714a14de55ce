"""The sections of the page that look back: worst misses, and what was said before days that mattered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.markdown import escaped, markdown, number, rows_of
from escalation_forecast.schema import CORE_FOUR
from escalation_forecast.skill import spending
from escalation_forecast.skill.context import Context
from escalation_forecast.skill.folders import Measured
from escalation_forecast.skill.text import signed

__all__ = ["Notes", "misses_section", "past_section"]

Notes = Mapping[tuple[str, int], tuple[str, str]]
"""By state and year, a fact and its source; see `context.load_notes`."""

DAYS: Final = {
    "2014": ("the annexation of Crimea", pd.Timestamp(2014, 2, 20)),
    "2022": ("the invasion of Ukraine", pd.Timestamp(2022, 2, 24)),
    "October 2024": ("North Korean troops in Russia", pd.Timestamp(2024, 10, 1)),
}
ASKED: Final = (*CORE_FOUR, "RUS")
RECENT: Final = pd.Timedelta(days=500)
"""An origin older than this says nothing about a day."""
WHY: Final = 5
"""So many of the worst misses get a sentence."""


def misses_section(measured: Measured, model: str, context: Context | None, notes: Notes) -> str:
    """The worst misses as a table, and a sentence on each of the worst few."""
    worst = spending.worst_misses(measured, model)
    if worst.empty:
        return ""
    rows, said = [], []
    for place, row in enumerate(rows_of(worst)):
        known = context.announced(row.state, row.target_year, row.origin) if context else "-"
        rows.append(
            (
                f"{escaped(row.state)} {row.target_year}", f"{escaped(row.origin)}, {row.horizon}",
                signed(row.outcome), signed(row.settled), signed(row.median),
                f"{signed(row.low)} to {signed(row.high)}", number(row.crps, 1), known,
            )
        )  # fmt: skip
        if place < WHY:
            said.append(f"- {_why(row, notes)}")
    parts = [
        "## Worst misses",
        f"First prints that `{escaped(model)}` missed by most, each state and year once, at its worst "
        "origin; growth in per cent. The last column is what was announced for the year and known at the "
        "origin, in nominal terms" + ("." if context else "; missing, as the backtest had other figures."),
        markdown(
            (
                "missed", "origin, years", "printed", "newest release", "median", "80 % interval", "CRPS",
                "announced",
            ),
            rows, text=2,
        ),
        "\n".join(said),
    ]  # fmt: skip
    return "\n\n".join(parts)


def _why(row: Any, notes: Notes) -> str:
    """What is known of a miss, from the figures and from the notes."""
    state, year, outcome, settled, median = row.state, row.target_year, row.outcome, row.settled, row.median
    low, high = row.low, row.high
    where = "below" if outcome < low else "above" if outcome > high else "inside"
    text = (
        f"**{escaped(state)} {year}**: {signed(outcome)} % was {where} the 80 % interval, "
        f"{abs(outcome - median):.0f} points from the median."
    )
    if np.isfinite(settled) and abs(settled - outcome) >= 2.0:
        text += f" The newest release has {signed(settled)} %, so part of the miss is the print's."
    elif np.isfinite(settled):
        text += f" The newest release has {signed(settled)} % still."
    if (state, year) in notes:
        note, source = notes[(state, year)]
        text += f" {escaped(note)} ([source]({source}))."
    return text


def past_section(measured: Measured, model: str, context: Context | None) -> str:
    """Forecasts of the last origin before each of `DAYS`; empty without the figures of the backtest."""
    if context is None:
        return ""
    held = set(measured.cells.loc[measured.cells["model"] == model, "origin"])
    parts = []
    for name, (event, day) in DAYS.items():
        origin = context.last_origin(day, held)
        if origin is None or origin.day < day - RECENT:
            continue
        table = spending.past_forecasts(measured, model, origin.label, ASKED)
        if table.empty:
            continue
        years = sorted(table["target_year"].unique())
        rows = []
        for state in [state for state in ASKED if state in set(table["state"])]:
            own = table[table["state"] == state].set_index("target_year").reindex(years)
            rows.append((state, *(_said(r.median, r.low, r.high, r.outcome) for r in rows_of(own))))
        parts += [
            f"### Before {name} ({event})",
            f"Origin {escaped(origin.label)}, figures public by {origin.day:%d %B %Y}.",
            markdown(("", *(str(year) for year in years)), rows),
        ]
    if not parts:
        return ""
    intro = (
        "Median and 80 % interval of growth in per cent, and what was printed; bold where that lies outside "
        "the "
        f"interval. `{escaped(model)}`."
    )
    return "\n\n".join(["## What the model said before 2014, 2022 and October 2024", intro, *parts])


def _said(median: float, low: float, high: float, outcome: float) -> str:
    if not np.isfinite(outcome):
        return "-"
    mark = "**" if not low <= outcome <= high else ""
    return f"{signed(median)} ({signed(low)} to {signed(high)}); {mark}{signed(outcome)}{mark}"
