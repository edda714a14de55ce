"""Yearly questions, one panel each, beside the base rate of their reference class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.style import AHEAD, INK, PAST, SMALL, frame, new_figure
from escalation_forecast.report.terminal import common_title

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

FAMILY: Final = "arms-race"
COLUMNS: Final = 4
CLOSE: Final = 0.14
TITLE: Final = 38  # letters of a line


def year_table(questions: Sequence[Mapping[str, Any]], family: str = FAMILY) -> pd.DataFrame:
    """Answers for single years to questions whose id starts with ``family``.

    Returns
    -------
    DataFrame
        question, of (a pair of states, or empty), title, year, probability, mcse, base_rate, base (counts).
    """
    rows = []
    for q in questions:
        of, _, year = str(q["target"]).rpartition(" ")
        if not str(q["question"]).startswith(family) or not year.isdigit() or q.get("probability") is None:
            continue
        rate = q.get("base_rate")
        rows.append(
            {
                "question": str(q["question"]),
                "of": of,
                "title": str(q["title"]),
                "year": int(year),
                "probability": float(q["probability"]),
                "mcse": np.nan if q.get("mcse") is None else float(q["mcse"]),
                "base_rate": float(rate["rate"]) if rate else np.nan,
                "base": f"{rate['events']} of {rate['trials']}" if rate else "",
            }
        )
    columns = ["question", "of", "title", "year", "probability", "mcse", "base_rate", "base"]
    return pd.DataFrame(rows, columns=columns)


def plot_years(run: Run | Mapping[str, Any], family: str = FAMILY) -> Plot:
    """Probability by year of each yearly question, with its Monte Carlo error (95 %) and its base rate.

    The table is that of `year_table`.

    Parameters
    ----------
    run : a run, or its summary.
    family : how the ids of the questions start.
    """
    summary = run if isinstance(run, Mapping) else run.summary
    table = year_table(summary["questions"], family)
    panels = list(table.groupby(["question", "of"], sort=False))
    rows_of_panels = max(-(-len(panels) // COLUMNS), 1)
    height = 2.35 * rows_of_panels + 1.1
    figure, axes = new_figure(12, height, rows_of_panels, COLUMNS, sharey=True)
    figure.subplots_adjust(
        left=0.045, right=0.955, top=1 - 1.25 / height, bottom=0.58 / height, hspace=0.62, wspace=0.28
    )
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, ((question, of), rows) in zip(axes, panels, strict=False):
        shown = 100 * rows["probability"]
        ax.bar(rows["year"], shown, width=0.55, color=PAST)
        ax.errorbar(rows["year"], shown, 196 * rows["mcse"].fillna(0.0), fmt="none", ecolor=INK, elinewidth=1)
        rate = float(rows["base_rate"].iloc[0])
        for year, p in zip(rows["year"], rows["probability"], strict=True):
            # Above the line of the base rate where it would cross the number.
            at = 100 * (rate if 0 <= rate - p < CLOSE else p)
            ax.annotate(percent(p), (year, at), (0, 4), textcoords="offset points", ha="center",
                        fontsize=SMALL + 0.5, color=INK)  # fmt: skip
        if np.isfinite(rate):
            ax.axhline(100 * rate, color=AHEAD, linewidth=1.1, linestyle=(0, (4, 2)), zorder=3)
            ax.annotate(f"base\n{percent(rate, ends=False)}", (1, 100 * rate), (3, 0), color=AHEAD,
                        va="center", xycoords=("axes fraction", "data"), textcoords="offset points",
                        fontsize=SMALL - 0.3, annotation_clip=False)  # fmt: skip
        ax.set_xticks(list(rows["year"]))
        ax.set_ylim(0, 112)
        ax.set_yticks([0, 50, 100])
        ax.yaxis.set_major_formatter("{x:.0f} %")
        ax.tick_params(labelleft=True)
        about = common_title([{"title": text} for text in rows["title"]]) or str(question)
        text = "\n".join(wrap(f"{of}: {about}" if of else about, TITLE)[:3])
        ax.set_title(text, loc="left", fontsize=SMALL + 1, fontweight="bold", color=INK, pad=8)
    frame(
        figure,
        "Probability by year",
        "Bars: probability with Monte Carlo error (95 %). Dashed: base rate.",
        summary,
    )
    return Plot(figure, _alt(table), table)


def _alt(table: pd.DataFrame) -> str:
    if table.empty:
        return "The run answers no question year by year."
    said = []
    for (question, of), rows in table.groupby(["question", "of"], sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        rate = rows["base_rate"].iloc[0]
        base = f" (base rate {percent(float(rate), ends=False)})" if np.isfinite(rate) else ""
        name = f"{question} {of}".strip()
        said.append(
            f"{name} {percent(first['probability'])} in {first['year']} and {percent(last['probability'])} "
            "in "
            f"{last['year']}{base}"
        )
    return f"Probability by year of {len(said)} yearly questions. {listing(said)}."
