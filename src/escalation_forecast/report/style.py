"""What the plots share: colours, fans, labels of dated events, the source line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with every common form of colour blindness.
PAST: Final = "#0072B2"
AHEAD: Final = "#D55E00"
THIRD: Final = "#009E73"
INK: Final = "#222222"
MUTED: Final = "#777777"
GRID: Final = "#E6E6E6"
SMALL: Final = 7.0
FLAG_HEIGHT: Final = 1.35  # lines of text per tier


def new_figure(
    width: float, height: float, rows: int, columns: int, **more: Any
) -> tuple[Figure, np.ndarray]:
    """Figure outside pyplot and its axes as a flat array."""
    figure = Figure(figsize=(width, height), dpi=150, facecolor="white", layout=None)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **more)
    for ax in axes.flat:
        clean(ax)
    return figure, axes.ravel()


def clean(ax: Axes) -> None:
    """Only what carries information: no box, a faint grid on y, small ticks."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL + 0.5, length=2.5, color=MUTED, labelcolor=INK)
    ax.tick_params(axis="y", length=0)


def title(ax: Axes, name: str, finding: str = "") -> None:
    """Name in bold on the left, what was found on the right."""
    ax.set_title(name, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=6)
    ax.set_title(finding, loc="right", fontsize=SMALL + 0.8, color=INK, pad=6)


def frame(figure: Figure, headline: str, subtitle: str, summary: Mapping[str, Any], note: str = "") -> None:
    """Headline, subtitle, source line and, on a draft, the mark."""
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - 0.14 / height, headline, fontsize=13, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 1 - 0.42 / height, subtitle, fontsize=9, color=MUTED, va="top")
    run = f", run {str(summary['run_id'])[:12]}" if summary.get("run_id") else ""
    source = f"escalation-forecast{run}, data known on {summary['as_of']}. {note}".strip()
    figure.text(0.012, 0.1 / height, source, fontsize=SMALL - 0.5, color=MUTED, va="bottom")
    if summary.get("draft"):
        figure.text(
            0.5, 0.5, "DRAFT", fontsize=110, color=AHEAD, alpha=0.13, ha="center", va="center",
            rotation=25, fontweight="bold", zorder=10,
        )  # fmt: skip


def fan(ax: Axes, x: Any, levels: xr.DataArray, colour: str, label: str = "") -> None:
    """Bands of 80 % and 50 % and the median; ``levels`` has q10, q25, q50, q75, q90."""
    get = {name: levels.sel(quantile=name).values for name in ("q10", "q25", "q50", "q75", "q90")}
    ax.fill_between(x, get["q10"], get["q90"], color=colour, alpha=0.18, linewidth=0)
    ax.fill_between(x, get["q25"], get["q75"], color=colour, alpha=0.32, linewidth=0)
    ax.plot(x, get["q50"], color=colour, linewidth=1.1, label=label)


@dataclass(frozen=True)
class Flag:
    """A label at ``x`` in pixels; its text runs from ``start`` to ``end`` in ``tier``."""

    x: float
    start: float
    end: float
    tier: int


def place_flags(xs: Sequence[float], widths: Sequence[float], left: float, right: float) -> list[Flag]:
    """Lowest tiers at which no label overlaps a label or a line that goes up to a higher one.

    All in pixels. Labels start at their line; near the right edge they end at it.
    """
    placed: dict[int, Flag] = {}
    gap = 4.0
    for n in sorted(range(len(xs)), key=lambda n: -xs[n]):
        x, width = xs[n], widths[n]
        options = [(x - 2, x - 2 + width), (x + 2 - width, x + 2), (x - width / 2, x + width / 2)]
        inside = [o for o in options if o[0] >= left and o[1] <= right] or [(right - width, right)]
        tries = (Flag(x, *o, tier) for tier in range(len(xs) + 1) for o in inside)
        placed[n] = next(
            (f for f in tries if not any(_collide(f, other, gap) for other in placed.values())),
            Flag(x, *inside[0], len(xs)),
        )
    return [placed[n] for n in range(len(xs))]


def _collide(a: Flag, b: Flag, gap: float) -> bool:
    if a.tier == b.tier:
        return a.start < b.end + gap and b.start < a.end + gap
    low, high = (a, b) if a.tier < b.tier else (b, a)
    return low.start - gap < high.x < low.end + gap


def flag_events(ax: Axes, events: pd.DataFrame, tops: Sequence[float], low: float, high: float) -> None:
    """Write dated events above the data, each with a line down to it.

    Parameters
    ----------
    tops
        Height of the data at each event.
    low, high
        Range of the data; the axis is extended upwards by the room that the labels take.
    """
    figure = ax.figure
    assert isinstance(figure, Figure)
    renderer = FigureCanvasAgg(figure).get_renderer()
    box = ax.get_window_extent(renderer)
    line = SMALL / 72 * figure.dpi * FLAG_HEIGHT
    x = mdates.date2num(events["date"])
    first, last = ax.get_xlim()
    pixels = box.x0 + (x - first) / (last - first) * box.width
    texts = [ax.text(0, 0, label, fontsize=SMALL - 0.3, color=INK) for label in events["label"]]
    widths = [text.get_window_extent(renderer).width for text in texts]
    flags = place_flags(pixels.tolist(), widths, box.x0, figure.bbox.x1 - 5)
    tiers = max((flag.tier for flag in flags), default=-1) + 1
    room = (tiers * line + 6) / box.height
    span = (high - low) / (1 - room)
    ax.set_ylim(low, low + span)
    for day, text, flag, top in zip(x, texts, flags, tops, strict=True):
        base = high + (4 + flag.tier * line) / box.height * span
        text.set_position((first + (flag.start - box.x0) / box.width * (last - first), base))
        ax.plot([day, day], [top, base], color=MUTED, linewidth=0.6, zorder=1.5)
