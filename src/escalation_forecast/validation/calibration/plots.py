"""The figure of the calibration page."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escalation_forecast.report.style import AHEAD, INK, MUTED, PAST, SMALL, new_figure, title
from escalation_forecast.validation.calibration.uniform import Events, Places, bands

COLUMNS: Final = 4
PROBABILITY: Final = 0.95
SIMULATIONS: Final = 2_000
MOST_SIMULATIONS: Final = 40_000
NAMED: Final = 2  # quantities of a panel that are named where they leave the outer band


def calibration_figure(places: Places, found: pd.DataFrame, asked: Events) -> Figure:
    """ECDF of the places less the diagonal, one line per quantity, by block; and questions by probability.

    The inner band holds one line in 95 of 100 cases, the outer one all lines of all panels together.
    """
    blocks = list(dict.fromkeys(places.blocks))
    rows = -(-(len(blocks) + 1) // COLUMNS)
    figure, axes = new_figure(11.0, 2.35 * rows + 0.7, rows, COLUMNS)
    figure.subplots_adjust(
        left=0.045, right=0.99, top=1 - 0.5 / (2.35 * rows), bottom=0.075, hspace=0.62, wspace=0.2
    )
    n, m = len(places.pit), len(places.pit.columns)
    inner = bands(n, PROBABILITY, SIMULATIONS)
    outer = bands(n, 1.0 - (1.0 - PROBABILITY) / m, MOST_SIMULATIONS)
    reach = 1.25 * max(float(np.abs(outer[1]).max()), float(np.abs(outer[2]).max()))
    for ax, block in zip(axes, blocks, strict=False):
        own = [name for name in places.pit.columns if places.blocks[name] == block]
        _panel(ax, places.pit[own], inner, outer, reach)
        title(ax, block, f"{len(own)}, smallest p {found.loc[own, 'holm'].min():.2g}", below=True)
    _questions(axes[len(blocks)], asked)
    for ax in axes[len(blocks) + 1 :]:
        ax.set_visible(False)
    note = (
        f"{n} fits. Share of true values below a place of the posterior, less that place. Inner band: one "
        f"line in 95 of 100 cases; outer band: all {m} lines together. p is adjusted for all of them."
    )
    figure.text(0.045, 0.012, note, fontsize=SMALL + 0.5, color=MUTED)
    return figure


Band = tuple[np.ndarray, np.ndarray, np.ndarray]


def _panel(ax: Axes, pit: pd.DataFrame, inner: Band, outer: Band, reach: float) -> None:
    x, low, high = outer
    ax.fill_between(x, low, high, color=MUTED, alpha=0.12, linewidth=0, step="mid")
    ax.fill_between(inner[0], inner[1], inner[2], color=MUTED, alpha=0.22, linewidth=0, step="mid")
    ax.axhline(0.0, color=MUTED, linewidth=0.6)
    out: list[tuple[float, float, float, str]] = []
    for name in pit.columns:
        u = np.sort(pit[name].dropna().to_numpy())
        gap = np.searchsorted(u, x, side="right") / len(u) - x
        beyond = np.maximum(gap - high, low - gap)
        worst = int(beyond.argmax())
        left = beyond[worst] > 1e-9
        ax.plot(
            x, gap, color=AHEAD if left else PAST, linewidth=1.1 if left else 0.5, alpha=1.0 if left else 0.45
        )
        if left:
            out.append((float(beyond[worst]), float(x[worst]), float(gap[worst]), str(name)))
    for _, at, gap_there, name in sorted(out, reverse=True)[:NAMED]:
        side = "right" if at > 0.5 else "left"
        ax.annotate(name, (at, gap_there), fontsize=SMALL - 0.5, color=AHEAD, ha=side, va="bottom")
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(-reach, reach)
    ax.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0])


def _questions(ax: Axes, asked: Events) -> None:
    bins = asked.bins
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.6)
    # Standard error of the gap, from z.
    gap = (bins["frequency"] - bins["probability"]).abs()
    error = np.where(bins["z"].abs() > 0, gap / bins["z"].abs().clip(lower=1e-9), 0.0)
    ax.errorbar(
        bins["probability"],
        bins["frequency"],
        2.0 * error,
        fmt="o",
        color=PAST,
        markersize=3.0,
        linewidth=0.9,
    )
    ax.set_xlim(0.0, 1.0)
    ax.set_ylim(0.0, 1.0)
    ax.text(0.98, 0.04, "share that came true\nby probability", fontsize=SMALL + 0.5, color=INK, ha="right")
    title(ax, "yes or no", f"{asked.n:,} answers, ±2 s.e.", below=True)
