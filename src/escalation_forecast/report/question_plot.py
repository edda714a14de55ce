"""Probabilities of all questions in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot
from escalation_forecast.report.style import (
    AHEAD,
    GRID,
    INK,
    PAST,
    SMALL,
    THIRD,
    clean,
    frame,
    new_figure,
    title,
)
from escalation_forecast.report.terminal import common_title, target_text

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

type Question = Mapping[str, Any]

WIDTH: Final = 14.0
ROW: Final = 0.205  # inches
HEADING: Final = -0.49  # left end of a heading, in widths of the axes
BLANK: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def plot_questions(run: Run | Mapping[str, Any]) -> Plot:
    """Probabilities with Monte Carlo error and base rate; below them the arms race by year.

    The table has id, title, target, probability, mcse and base_rate.

    Parameters
    ----------
    run : a run, or its summary.
    """
    summary = run if isinstance(run, Mapping) else run.summary
    questions = [q for q in summary["questions"] if q["probability"] is not None]
    yearly = _by_year(questions)
    counts = [q for q in summary["questions"] if q["kind"] == "count" and q["distribution"]]
    columns = _two_columns(_families(questions))
    above = 3.2 if yearly or counts else 0.0
    height = 1.35 + above + ROW * max(3, *(len(rows) for rows in columns))
    figure = new_figure(WIDTH, height, 1, 1)[0]
    figure.clear()
    for n, rows in enumerate(columns):
        if rows:
            tall = ROW * len(rows)
            ax = figure.add_axes(
                (0.155 + 0.5 * n, (height - 0.8 - above - tall) / height, 0.29, tall / height)
            )
            clean(ax)
            _dot_plot(ax, rows)
    top = figure.add_axes((0.045, (height - 3.2) / height, 0.4, 2.1 / height))
    bars = figure.add_axes((0.545, (height - 3.2) / height, 0.4, 2.1 / height))
    for ax, content in ((top, yearly), (bars, counts)):
        clean(ax)
        ax.set_visible(bool(content))
    _year_lines(top, yearly)
    if counts:
        _count_bars(bars, counts)
    frame(
        figure,
        f"Probabilities of {len(questions)} questions as of {summary['as_of']}",
        "Dot: probability with its Monte Carlo error (95 %). Diamond: base rate of the reference class.",
        summary,
    )
    table = question_table(questions)
    return Plot(figure, _alt(table, str(summary["as_of"])), table)


def question_table(questions: Sequence[Question]) -> pd.DataFrame:
    """Answers that are probabilities: id, question, title, target, probability, mcse, base_rate."""
    columns = ("id", "question", "title", "target", "probability", "mcse")
    rows = [
        {
            **{name: q.get(name) for name in columns},
            "base_rate": q["base_rate"]["rate"] if q.get("base_rate") else None,
        }
        for q in questions
    ]
    table = pd.DataFrame(rows, columns=[*columns, "base_rate"])
    return table.astype(dict.fromkeys(("probability", "mcse", "base_rate"), float))


def _alt(table: pd.DataFrame, day: str) -> str:
    if table.empty:
        return f"No question was answered with a probability as of {day}."
    high, low = (table.loc[table["probability"].agg(f)] for f in ("idxmax", "idxmin"))
    both = table.dropna(subset=["base_rate"])
    above = int((both["probability"] > both["base_rate"]).sum())
    return (
        f"Probabilities of {len(table)} questions as of {day}, from {percent(low['probability'])} "
        f"({low['id']}) to {percent(high['probability'])} ({high['id']}). {above} of the {len(both)} that "
        "have "
        "a base rate lie above it."
    )


def _families(questions: Sequence[Question]) -> list[list[Question | str]]:
    """Rows of each family: its heading, then its questions."""
    families: dict[str, list[Question]] = {}
    for q in questions:
        families.setdefault(q["question"], []).append(q)
    return [[*wrap(common_title(members) or name, 88), *members] for name, members in families.items()]


def _two_columns(families: Sequence[Sequence[Question | str]]) -> tuple[list[Any], list[Any]]:
    """Whole families in reading order, cut where the longer column is shortest."""
    columns = [
        (list(chain(*families[:cut])), list(chain(*families[cut:]))) for cut in range(len(families) + 1)
    ]
    return min(columns, key=lambda pair: max(len(pair[0]), len(pair[1])))


def _dot_plot(ax: Axes, rows: Sequence[Question | str]) -> None:
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    beside = ax.get_yaxis_transform()
    for y, row in enumerate(rows):
        if isinstance(row, str):
            ax.text(HEADING, y + 0.1, row, fontsize=SMALL + 0.8, fontweight="bold", color=INK, va="center",
                    transform=beside, bbox=BLANK)  # fmt: skip
            continue
        p = 100 * row["probability"]
        error = 196 * (row.get("mcse") or 0.0)
        ax.axhline(y, color=GRID, linewidth=0.5, zorder=0)
        ax.text(-0.025, y, target_text(row["target"]), fontsize=SMALL + 0.5, color=INK, ha="right",
                va="center", transform=beside)  # fmt: skip
        ax.text(1.03, y, percent(row["probability"]), fontsize=SMALL + 0.5, color=INK, va="center",
                transform=beside)  # fmt: skip
        if row.get("base_rate"):
            ax.plot(100 * row["base_rate"]["rate"], y, "D", color="white", markeredgecolor=AHEAD,
                    markersize=4, clip_on=False)  # fmt: skip
        ax.plot([max(p - error, 0), min(p + error, 100)], [y, y], color=PAST, linewidth=1.4)
        ax.plot(p, y, "o", color=PAST, markersize=4.5, clip_on=False, zorder=3)
    ax.set_xlim(0, 100)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    ax.xaxis.set_major_formatter("{x:.0f} %")


def _by_year(questions: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Arms-race questions that are asked year by year."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for q in questions:
        if q["question"].startswith("arms-race") and q["target"].isdigit():
            found.setdefault(q["question"], []).append(q)
    return found


def _year_lines(ax: Axes, families: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    colours = (PAST, AHEAD, THIRD, "#CC79A7", "#56B4E9")
    for (family, members), colour in zip(families.items(), colours, strict=False):
        years = [int(q["target"]) for q in members]
        ax.errorbar(
            years, [100 * q["probability"] for q in members], color=colour, marker="o", markersize=4,
            yerr=[196 * (q.get("mcse") or 0.0) for q in members], linewidth=1.3, label=family,
        )  # fmt: skip
    ax.set_xticks(sorted({int(q["target"]) for m in families.values() for q in m}))
    ax.set_ylim(0, 100)
    ax.yaxis.set_major_formatter("{x:.0f} %")
    if families:
        ax.legend(frameon=False, fontsize=SMALL, loc="upper left", bbox_to_anchor=(-0.02, -0.09), ncols=5,
                  handlelength=1.2, columnspacing=1.0)  # fmt: skip
    title(ax, "Arms race, year by year")


def _count_bars(ax: Axes, counts: Sequence[Mapping[str, Any]]) -> None:
    """One stacked bar per target of the first count question."""
    family = [q for q in counts if q["question"] == counts[0]["question"]]
    keys = sorted({k for q in family for k in q["distribution"]}, key=int)
    shades = np.linspace(0.12, 1.0, len(keys))
    left = np.zeros(len(family))
    for key, shade in zip(keys, shades, strict=True):
        share = np.array([100 * q["distribution"].get(key, 0.0) for q in family])
        ax.barh(range(len(family)), share, left=left, color=PAST, alpha=shade, height=0.6, edgecolor="white")
        for y, (start, width) in enumerate(zip(left, share, strict=True)):
            if width >= 7:
                ax.text(start + width / 2, y, f"{key}: {width:.0f} %", fontsize=SMALL + 0.3, ha="center",
                        va="center", color="white" if shade > 0.5 else INK)  # fmt: skip
        left += share
    ax.set_yticks(range(len(family)), [q["target"] for q in family])
    ax.set_ylim(len(family) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.grid(visible=False)
    ax.xaxis.set_major_formatter("{x:.0f} %")
    title(ax, "\n".join(wrap(common_title(family) or family[0]["question"], 74)))
