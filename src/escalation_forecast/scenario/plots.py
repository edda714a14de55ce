"""Plots of scenarios: fans without and with, changes with their intervals, a sweep as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from escalation_forecast.report.style import (
    AHEAD,
    GRID,
    INK,
    MUTED,
    PAST,
    SMALL,
    THIRD,
    days,
    new_figure,
    title,
    year_axis,
)
from escalation_forecast.scenario.levers import LONGEST
from escalation_forecast.schema import THEATRE_LABELS, DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.scenario.result import Row, ScenarioResult

ROW: Final = 0.26  # inches
LEFT: Final = 0.28
SEEN: Final = 0.01  # sd; theatres that move less have no fan


def plot_fans(result: ScenarioResult) -> Figure:
    """Risk by theatre, median and 80 %, without (blue) and with (orange) the decisions.

    Theatres that nothing moves are left out; nothing is drawn beyond 24 months.
    """
    fans = result.fans
    moved = fans.groupby("theatre", sort=False)[["before_0.5", "after_0.5", "before_0.1", "after_0.1"]].apply(
        lambda t: (
            float((t["after_0.5"] - t["before_0.5"]).abs().max())
            + float((t["after_0.1"] - t["before_0.1"]).abs().max())
        )
    )
    names = list(moved.index[moved > SEEN]) or list(moved.index[:1])
    width = max(3.1 * len(names), 4.2)
    figure, axes = new_figure(width, 2.9, 1, len(names))
    figure.subplots_adjust(left=0.5 / width, right=1 - 0.1 / width, top=0.72, bottom=0.12, wspace=0.22)
    for ax, name in zip(axes, names, strict=True):
        part = fans[fans["theatre"] == name].iloc[:LONGEST]
        months = pd.DatetimeIndex(part["month"])
        for which, colour, style in (("before", PAST, "-"), ("after", AHEAD, "--")):
            ax.fill_between(
                days(months),
                part[f"{which}_0.1"],
                part[f"{which}_0.9"],
                color=colour,
                alpha=0.16,
                linewidth=0,
            )
            ax.plot(days(months), part[f"{which}_0.5"], style, color=colour, linewidth=1.4)
        year_axis(ax, months, 1)
        most = float((part["after_0.5"] - part["before_0.5"]).iloc[11:12].sum())
        title(ax, THEATRE_LABELS[str(name)], f"median in 12 months {most:+.2f} sd", below=True)
    axes[0].set_ylabel("risk, sd of 2010-2019", fontsize=SMALL + 0.5, color=INK)
    figure.text(
        0.5 / width, 0.93, f"{result.scenario.title}. Blue: without; orange, dashed: with; bands 80 %",
        fontsize=SMALL + 1, color=INK,
    )  # fmt: skip
    return figure


def plot_changes(results: ScenarioResult | Sequence[ScenarioResult], answers: Sequence[str] = ()) -> Figure:
    """Change of answers in points with 80 % intervals over the elicited sizes; C beside S.

    Of one scenario its largest changes; of several each on the answers named, in the order of the files and
    never by size. Full dots: the interval leaves out zero. Diamonds: C, news and no effect.

    Parameters
    ----------
    answers : ids; by default the largest of the one scenario, or ``wider-war/any/12m`` of several.
    """
    several = [results] if not isinstance(results, Sequence) else list(results)
    alone = len(several) == 1
    if alone and not answers:
        rows = [(row.id, row) for row in several[0].largest(14)]
    else:
        wanted = answers or ("wider-war/any/12m",)
        rows = [
            (one.name if len(wanted) == 1 else f"{one.name}: {answer}", one[answer])
            for answer in wanted
            for one in several
        ]
    height = ROW * max(len(rows), 3) + 1.15
    figure, (ax,) = new_figure(9.5, height, 1, 1)
    figure.subplots_adjust(left=LEFT, right=0.72, top=1 - 0.6 / height, bottom=0.42 / height)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.axvline(0.0, color=INK, linewidth=0.8)
    for y, (_, row) in enumerate(rows):
        _draw(ax, y, row)
    ax.set_yticks(range(len(rows)), [name for name, _ in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.xaxis.set_major_formatter("{x:+g}")
    head = several[0].scenario.title if alone else f"Change of {', '.join(answers or ('wider-war/any/12m',))}"
    title(
        ax,
        head,
        "points; bars 80 % over the sizes of the effects; diamonds: C, once it is learned",
        below=True,
    )
    return figure


def _draw(ax: object, y: int, row: Row) -> None:
    from matplotlib.axes import Axes

    assert isinstance(ax, Axes)
    text = row.note
    factor = 100.0 if row.unit == "probability" else 1.0
    if row.change is not None:
        c = row.change
        ax.plot([factor * c.low, factor * c.high], [y, y], color=PAST, linewidth=3, alpha=0.4, zorder=1)
        fill = PAST if c.settled else "white"
        ax.plot(factor * c.mean, y, "o", color=fill, markeredgecolor=PAST, markersize=5.5, zorder=3)
        text = f"{factor * row.before:.3g} → {factor * (row.after or 0.0):.3g}"
        text += f"; lower with {100 * c.lowers:.0f} %" + ("" if c.settled else "; not settled")
    if row.conditional is not None:
        ax.plot(factor * row.conditional, y, "D", color=THIRD, markersize=4.5, zorder=2)
    ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL + 0.2, color=INK,
                va="center", annotation_clip=False)  # fmt: skip


def plot_heat(table: pd.DataFrame, answer: str, x: str, y: str) -> Figure:
    """A sweep of two places as a heat map of the change of an answer; cells that settle nothing are hatched.

    Parameters
    ----------
    table : as from `sweep.sweep`.
    x, y : places of its grid.

    Raises
    ------
    DataError
        For an answer or a place that the table has not.
    """
    for place in (x, y):
        if place not in table:
            raise DataError(f"The sweep has no place `{place}`{nearest(place, map(str, table.columns))}.")
    rows = table[table["id"] == answer]
    if rows.empty:
        raise DataError(f"The sweep has no answer `{answer}`{nearest(answer, table['id'].unique())}.")
    factor = 100.0 if (rows["unit"] == "probability").all() else 1.0
    change = rows.pivot_table(index=y, columns=x, values="change") * factor
    settled = rows.assign(settled=rows["settled"].astype(float)).pivot_table(
        index=y, columns=x, values="settled"
    )
    width, height = 1.9 + 0.75 * change.shape[1], 1.3 + 0.42 * change.shape[0]
    figure, (ax,) = new_figure(max(width, 4.5), max(height, 2.4), 1, 1)
    figure.subplots_adjust(
        left=0.18, right=0.97, top=1 - 0.62 / max(height, 2.4), bottom=0.5 / max(height, 2.4)
    )
    ax.grid(visible=False)
    limit = float(np.nanmax(np.abs(change.to_numpy()))) or 1.0
    ax.pcolormesh(change.to_numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, edgecolor="white", linewidth=1.0)
    for i in range(change.shape[0]):
        for j in range(change.shape[1]):
            value = float(change.to_numpy()[i, j])
            colour = "white" if abs(value) > 0.65 * limit else INK
            ax.text(j + 0.5, i + 0.5, f"{value:+.2g}", ha="center", va="center", fontsize=SMALL, color=colour)
            if not settled.to_numpy()[i, j]:
                ax.fill_between(
                    [j, j + 1], i, i + 1, hatch="////", facecolor="none", edgecolor=MUTED, linewidth=0
                )
    ax.set_xticks(np.arange(change.shape[1]) + 0.5, [f"{v:g}" for v in change.columns])
    ax.set_yticks(np.arange(change.shape[0]) + 0.5, [f"{v:g}" for v in change.index])
    ax.set_xlabel(x, fontsize=SMALL + 0.5, color=INK)
    ax.set_ylabel(y, fontsize=SMALL + 0.5, color=INK)
    title(ax, f"Change of {answer}", "points; hatched: the interval covers zero", below=True)
    return figure
