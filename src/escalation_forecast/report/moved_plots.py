"""Plots of answers under other priors: before and after, and which priors move one answer."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, largest
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, new_figure, title

ROW: Final = 0.24  # inches
CLOSE: Final = 0.7  # of k; beyond it weights cannot tell


def plot_before_after(table: pd.DataFrame, *, n: int = 14, headline: str = "") -> Plot:
    """Answers before (hollow) and after (full), those that move most first.

    Parameters
    ----------
    table : as from `Update.table`; only binary answers are drawn.
    headline : above the plot.

    The table has id, before, after, change and change_mcse of the answers drawn.
    """
    rows = table[(table["kind"] == "binary") & table["after"].notna()]
    rows = rows.loc[rows["change"].abs().sort_values(ascending=False).index[:n]]
    height = ROW * max(len(rows), 2) + 1.1
    figure, (ax,) = new_figure(9.5, height, 1, 1)
    figure.subplots_adjust(left=0.27, right=0.8, top=1 - 0.55 / height, bottom=0.4 / height)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    for y, row in enumerate(rows.to_dict("records")):
        before, after, error = (100.0 * row[key] for key in ("before", "after", "change_mcse"))
        ax.plot([before, after], [y, y], color=MUTED, linewidth=0.9, zorder=1)
        ax.plot(before, y, "o", color="white", markeredgecolor=PAST, markersize=5.5, zorder=2)
        ax.plot([after - 1.96 * error, after + 1.96 * error], [y, y], color=AHEAD, linewidth=3, alpha=0.4)
        ax.plot(after, y, "o", color=AHEAD, markersize=5, zorder=3)
        text = f"{percent(row['before'])} → {percent(row['after'])}  ({after - before:+.1f} ± {error:.1f})"
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL + 0.5, color=INK,
                    va="center", annotation_clip=False)  # fmt: skip
    ax.set_yticks(range(len(rows)), list(rows["id"]))
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(left=0)
    ax.xaxis.set_major_formatter("{x:g} %")
    title(ax, headline, "hollow: before; full: after, with 95 % Monte Carlo error of the change", below=True)
    drawn = rows[["id", "before", "after", "change", "change_mcse"]].reset_index(drop=True)
    return Plot(figure, _before_after_alt(drawn, headline), drawn)


def _before_after_alt(table: pd.DataFrame, headline: str) -> str:
    about = f"{headline}: answers before and after" if headline else "Answers before and after"
    if table.empty:
        return f"{about}; there are none."
    first = table.iloc[0]
    up, down = int((table["change"] > 0).sum()), int((table["change"] < 0).sum())
    return (
        f"{about}, the {len(table)} that move most. {first['id']} moves most, from "
        f"{percent(first['before'])} to "
        f"{percent(first['after'])}; {up} rise and {down} fall."
    )


def plot_moves(moved: pd.DataFrame, value: float, *, headline: str = "") -> Plot:
    """An answer when each prior is moved by one of its standard deviations, up and down.

    Parameters
    ----------
    moved : as from `Sensitivity.top`: prior, up, down (change of the probability), mcse, k.
    value : the answer as it stands.

    The table has prior, up, down (changes of the probability) and k.
    """
    height = 0.34 * max(len(moved), 2) + 1.1
    figure, (ax,) = new_figure(9.5, height, 1, 1)
    figure.subplots_adjust(left=0.27, right=0.8, top=1 - 0.55 / height, bottom=0.4 / height)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    for y, row in enumerate(moved.to_dict("records")):
        for key, colour, place in (("up", AHEAD, -0.17), ("down", PAST, 0.17)):
            ax.barh(y + place, 100 * row[key], left=100 * value, height=0.3, color=colour, alpha=0.85)
        doubt = "" if row["k"] <= CLOSE else ", fit again (k > 0.7)"
        text = f"{percent(value + row['up'])} / {percent(value + row['down'])}{doubt}"
        ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL + 0.5, color=INK,
                    va="center", annotation_clip=False)  # fmt: skip
    ax.axvline(100 * value, color=INK, linewidth=0.8)
    ax.set_yticks(range(len(moved)), list(moved["prior"]))
    ax.set_ylim(len(moved) - 0.4, -0.6)
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, 0.0), np.nextafter(high, np.inf))
    ax.xaxis.set_major_formatter("{x:.1f} %")
    title(ax, headline, "orange: prior one sd up; blue: one sd down", below=True)
    drawn = moved[["prior", "up", "down", "k"]].reset_index(drop=True)
    about = f"{headline or 'An answer'}, {percent(value)}, when each prior is moved by one standard deviation"
    if drawn.empty:
        return Plot(figure, f"{about}; none is moved.", drawn)
    widest = largest(drawn, (drawn["up"] - drawn["down"]).abs())
    alt = (
        f"{about}, {len(drawn)} priors. {widest['prior']} moves it most: to "
        f"{percent(value + widest['up'])} upwards "
        f"and {percent(value + widest['down'])} downwards."
    )
    return Plot(figure, alt, drawn)
