"""What the plots share: colours, fans, labels of dated events, the source line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

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


def title(ax: Axes, name: str, finding: str = "", *, below: bool = False) -> None:
    """Name in bold on the left; what was found on the right, or below where panels are narrow."""
    ax.set_title(name, loc="left", fontsize=9.5, fontweight="bold", color=INK, pad=17 if below else 6)
    small = SMALL + 0.8
    if below:
        ax.annotate(finding, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points",
                    fontsize=small, color=INK)  # fmt: skip
    else:
        ax.set_title(finding, loc="right", fontsize=small, color=INK, pad=6)


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


def days(dates: pd.Series[Any] | pd.DatetimeIndex) -> np.ndarray:
    """Dates as matplotlib counts them: days since 1970."""
    return dates.to_numpy().astype("datetime64[D]").astype(float)


def year_axis(ax: Axes, months: pd.DatetimeIndex, step: int) -> None:
    """Limits at the first and last month, ticks at January of every ``step``-th year."""
    ax.set_xlim(*days(months[[0, -1]]))
    years = [y for y in range(months[0].year, months[-1].year + 1) if y % step == 0]
    starts = pd.DatetimeIndex([f"{y}-01-01" for y in years])
    inside = starts >= months[0]
    ax.set_xticks(days(starts[inside]), [str(y) for y, ok in zip(years, inside, strict=True) if ok])


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
    """Fewest tiers at which no label overlaps a label or a line that goes up to a higher one.

    All in pixels. A label starts at its line where it can; else it ends there or straddles it.
    A search cut off after many tries puts every label in a tier of its own, latest lowest.
    """
    order = sorted(range(len(xs)), key=lambda n: -xs[n])
    budget = 20_000

    def search(depth: int, placed: list[Flag], tiers: int) -> list[Flag] | None:
        nonlocal budget
        if depth == len(order):
            return placed
        x, width = xs[order[depth]], widths[order[depth]]
        for shift in (2, width - 2, width / 2):
            start = min(max(x - shift, left), right - width)
            for tier in range(tiers):
                budget -= 1
                flag = Flag(x, start, start + width, tier)
                if budget > 0 and not any(_collide(flag, other) for other in placed):
                    found = search(depth + 1, [*placed, flag], tiers)
                    if found is not None:
                        return found
        return None

    for tiers in range(1, len(xs) + 1):
        if (found := search(0, [], tiers)) is not None:
            break
    else:
        found = [Flag(xs[n], xs[n], xs[n] + widths[n], tier) for tier, n in enumerate(order)]
    by_event = dict(zip(order, found, strict=True))
    return [by_event[n] for n in range(len(xs))]


def _collide(a: Flag, b: Flag, gap: float = 5.0) -> bool:
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
    box = ax.get_window_extent()
    line = SMALL / 72 * figure.dpi * FLAG_HEIGHT
    x = days(events["date"])
    first, last = ax.get_xlim()
    pixels = box.x0 + (x - first) / (last - first) * box.width
    style: dict[str, Any] = {"fontsize": SMALL - 0.3, "color": INK, "parse_math": False}
    texts = [ax.text(0, 0, label, **style) for label in events["label"]]
    widths = [text.get_window_extent().width for text in texts]
    flags = place_flags(pixels.tolist(), widths, box.x0, box.x1)
    tiers = max((flag.tier for flag in flags), default=-1) + 1
    room = (tiers * line + 6) / box.height
    span = (high - low) / (1 - room)
    # Values are read off the data, not off the room of the labels.
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high])
    ax.set_ylim(low, low + span)
    for day, text, flag, top in zip(x, texts, flags, tops, strict=True):
        base = high + (4 + flag.tier * line) / box.height * span
        text.set_position((first + (flag.start - box.x0) / box.width * (last - first), base))
        ax.plot([day, day], [top, base], color=MUTED, linewidth=0.6, zorder=1.5)
