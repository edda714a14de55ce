"""Waterfall of one answer: from the earlier number to the later one, step by step."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast.explain.words import moved_by, named, shown
from escalation_forecast.report.plot import Plot
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, new_figure

if TYPE_CHECKING:
    from escalation_forecast.explain.result import Explanation, Part, Why

ROW: Final = 0.3  # inches
MOST: Final = 12  # steps with a row of their own
LONGEST: Final = 44  # letters of a label
WIDEST: Final = 105  # and of the title
COLOURS: Final = {"time": MUTED, "sampling": GRID, "configuration": THIRD, "priors": THIRD, "code": THIRD}


def plot_waterfall(found: Explanation, why: Why) -> Plot:
    """Bars from the earlier to the later number, one a step, with 95 % Monte Carlo error.

    Steps that did nothing are left out, and all but the twelve largest are one row. The table has step, kind,
    change, mcse, start and end of each bar, in per cent of a probability.
    """
    rows = _rows(found, why)
    height = ROW * (len(rows) + 2) + 1.0
    figure, (ax,) = new_figure(9.5, height, 1, 1)
    figure.subplots_adjust(left=0.36, right=0.84, top=1 - 0.6 / height, bottom=0.38 / height)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    factor = 100.0 if why.unit == "binary" else 1.0
    at, ends = factor * why.before, [factor * why.before]
    labels = [f"earlier run, {found.previous_as_of}"]
    ax.plot(at, 0, "o", color=PAST, markersize=6, zorder=3)
    bars: list[tuple[str, str, float, float, float, float]] = []
    for y, (label, part) in enumerate(rows, start=1):
        change, error = factor * part.change, 1.96 * factor * part.mcse
        colour = COLOURS.get(part.kind, AHEAD if change > 0 else PAST)
        edge = MUTED if part.kind == "sampling" else "none"
        ax.barh(y, change, left=at, height=0.62, color=colour, edgecolor=edge, linewidth=0.8, zorder=2)
        ax.plot([at, at], [y - 1, y + 0.31], color=MUTED, linewidth=0.7, zorder=1)
        bars.append((label, part.kind, change, factor * part.mcse, at, at + change))
        at += change
        ax.plot([at - error, at + error], [y, y], color=INK, linewidth=1.0, zorder=3)
        text = f"{moved_by(why, part.change).removesuffix(' points')} ± {factor * 1.96 * part.mcse:.2f}"
        _beside(ax, text, y)
        labels.append(label)
        ends += [at - error, at + error]
    last = len(rows) + 1
    ax.plot([at, at], [last - 1, last], color=MUTED, linewidth=0.7, zorder=1)
    ax.plot(factor * why.after, last, "o", color=AHEAD, markersize=6, zorder=3)
    labels.append(f"later run, {found.as_of}")
    _beside(ax, shown(why, why.before), 0)
    _beside(ax, shown(why, why.after), last)
    ax.set_yticks(range(last + 1), labels)
    ax.set_ylim(last + 0.6, -0.6)
    span = max(max(ends) - min(ends), 0.5 if why.unit == "binary" else 0.05)
    ax.set_xlim(min(ends) - 0.06 * span, max(ends) + 0.06 * span)
    if why.unit == "binary":
        ax.xaxis.set_major_formatter("{x:g} %")
    place: dict[str, Any] = {"x": 0.012, "va": "top", "color": INK}
    name = shorten(f"{why.title}, {why.target}".strip(", "), WIDEST, placeholder=" ...")
    figure.text(y=1 - 0.1 / height, s=name, fontsize=10.5, fontweight="bold", **place)
    below = f"{why.answer}: {shown(why, why.before)} to {shown(why, why.after)}; with 95 % Monte Carlo error"
    figure.text(y=1 - 0.33 / height, s=below, fontsize=SMALL + 1.3, **place)
    table = pd.DataFrame(bars, columns=["step", "kind", "change", "mcse", "start", "end"])
    return Plot(figure, _alt(found, why, rows), table)


def _alt(found: Explanation, why: Why, rows: list[tuple[str, Part]]) -> str:
    text = (
        f"Why {why.answer} went from {shown(why, why.before)} on {found.previous_as_of} to "
        f"{shown(why, why.after)} on {found.as_of}, step by step."
    )
    if not rows:
        return text
    label, most = max(rows, key=lambda row: abs(row[1].change))
    return f"{text} The largest of {len(rows)} steps is {label}: {moved_by(why, most.change)}."


def _beside(ax: object, text: str, y: float) -> None:
    ax.annotate(  # type: ignore[attr-defined]
        text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL + 0.8, color=INK, va="center",
        annotation_clip=False,
    )  # fmt: skip


def _rows(found: Explanation, why: Why) -> list[tuple[str, Part]]:
    """Steps with their labels, in order; those too small for a row together, before sampling."""
    from escalation_forecast.explain.result import Part

    parts = [part for part in why.parts if part.kind == "sampling" or part.change or part.mcse]
    own = [part for part in parts if part.kind != "sampling"]
    large = sorted(own, key=lambda part: -abs(part.change))[:MOST]
    small = [part for part in own if part not in large]
    rows = [(_short(_label(found, part)), part) for part in own if part in large]
    if small:
        change = sum(part.change for part in small)
        error = sum(part.mcse**2 for part in small) ** 0.5
        rows.append((f"{len(small)} smaller steps", Part(small[0].kind, "smaller", change, error)))
    return rows + [(_short(_label(found, part)), part) for part in parts if part.kind == "sampling"]


def _label(found: Explanation, part: Part) -> str:
    if part.kind in ("revision", "news", "priors"):
        return f"{part.kind.removesuffix('s') if part.kind == 'priors' else part.kind}: {part.label}"
    return named(found, part)


def _short(label: str) -> str:
    return label if len(label) <= LONGEST else f"{label[: LONGEST - 3]}..."
