"""Plots of priors: the check against bounds, and one prior before and after a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from escalation_forecast.elicit.prior_paths import QUANTITIES
from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, clean, new_figure

if TYPE_CHECKING:
    from escalation_forecast.elicit.check import Checked, PriorCheck

WIDTH: Final = 13.0
COLUMNS: Final = 2
LINE: Final = 0.17  # inches per label
LONG: Final = 66  # letters of a title; a longer one is set smaller
LOGARITHMIC: Final = 50.0  # a positive quantity that spans more is drawn on a log axis


def plot_check(check: PriorCheck) -> Plot:
    """Quantiles of the draws by label against the range allowed, one panel per bound.

    The table has quantity, label, the quantiles drawn (`check.SHOWN`), low and high of the range, and held.
    """
    from escalation_forecast.elicit.check import SHOWN

    rows = check.rows
    pairs = [rows[k : k + COLUMNS] for k in range(0, len(rows), COLUMNS)]
    heights = [LINE * max(len(row.value) for row in pair) + 0.95 for pair in pairs]
    total = sum(heights) + 0.9
    figure, axes = new_figure(WIDTH, total, len(pairs), COLUMNS, gridspec_kw={"height_ratios": heights})
    figure.subplots_adjust(
        left=0.14, right=0.985, top=1 - 0.95 / total, bottom=0.55 / total, hspace=0.95, wspace=0.42
    )
    for ax, row in zip(axes, rows, strict=False):
        _panel(ax, row)
    for ax in axes[len(rows) :]:
        ax.set_axis_off()
    held = sum(row.passed for row in rows)
    figure.text(0.012, 1 - 0.14 / total, f"What the priors say: {held} of {len(rows)} bounds hold",
                fontsize=13, fontweight="bold", color=INK, va="top")  # fmt: skip
    marks = "50 %, 90 % and 99 % of the draws, median (dot), and mean (diamond) where the bound is on it"
    figure.text(0.012, 1 - 0.42 / total, f"Before any data: {marks}. Shaded: the range allowed",
                fontsize=9, color=MUTED, va="top")  # fmt: skip
    figure.text(0.012, 0.1 / total, f"{check.draws} draws; calendar and printed years as known on "
                f"{check.as_of:%Y-%m-%d}.", fontsize=SMALL - 0.5, color=MUTED, va="bottom")  # fmt: skip
    table = pd.DataFrame(
        [
            {
                "quantity": row.bound.quantity,
                "label": label,
                **dict(zip((f"q{100 * q:g}" for q in SHOWN), row.quantiles[label], strict=True)),
                "low": row.bound.low,
                "high": row.bound.high,
                "held": label not in row.broken,
            }
            for row in rows
            for label in row.value
        ]
    )
    broken = [QUANTITIES[row.bound.quantity].words for row in rows if not row.passed]
    alt = f"What {check.draws} draws of the priors say before any data: {held} of {len(rows)} bounds hold."
    return Plot(figure, alt + (f" Broken: {listing(broken)}." if broken else ""), table)


def _panel(ax: Axes, row: Checked) -> None:
    what, bound = QUANTITIES[row.bound.quantity], row.bound
    clean(ax)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    labels = list(row.value)
    levels = np.array([row.quantiles[label] for label in labels])
    ends = np.array([bound.low, bound.high])
    low, high = min(levels.min(), ends[0]), max(levels.max(), ends[1])
    positive = levels[levels > 0]
    log = low >= 0 and len(positive) > 0 and high / max(positive.min(), 1e-3 * high) > LOGARITHMIC
    if log:
        floor = max(min(positive.min(), ends[0] or np.inf), 1e-4 * high)
        levels, ends = np.maximum(levels, floor), np.maximum(ends, floor)
        ax.set_xscale("log")
        low = floor
    ax.axvspan(*ends, color=THIRD, alpha=0.10, linewidth=0)
    for y, label in enumerate(labels):
        colour = AHEAD if label in row.broken else PAST
        q = levels[y]
        ax.plot(q[[0, 6]], [y, y], color=colour, linewidth=0.8)
        ax.plot(q[[1, 5]], [y, y], color=colour, linewidth=2.2, alpha=0.6, solid_capstyle="butt")
        ax.plot(q[[2, 4]], [y, y], color=colour, linewidth=4.5, alpha=0.75, solid_capstyle="butt")
        ax.plot(q[3], y, marker="o", color="white", markersize=2.6, zorder=4)
        if bound.rule == "mean":
            ax.plot(max(row.value[label], low), y, marker="D", color=INK, markersize=3.4, zorder=5)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    if not log:
        margin = 0.03 * (high - low)
        ax.set_xlim(low - margin, high + margin)
    colour = INK if row.passed else AHEAD
    size = 8.6 if len(what.words) <= LONG else 8.6 * LONG / len(what.words)
    ax.set_title(what.words, loc="left", fontsize=size, fontweight="bold", color=INK, pad=16)
    found = f"{'holds' if row.passed else 'BROKEN'}: {row.said(row.worst)}; {bound.text}"
    ax.annotate(found, (0, 1), (0, 5), xycoords="axes fraction", textcoords="offset points",
                fontsize=SMALL, color=colour)  # fmt: skip
    ax.set_xlabel(what.unit, fontsize=SMALL, color=MUTED, labelpad=1)
