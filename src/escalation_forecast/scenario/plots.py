"""Plots of scenarios: fans without and with, changes with their intervals, a sweep as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from escalation_forecast.report.plot import Plot, largest, listing
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
from escalation_forecast.scenario.plot_words import changes_alt, changes_table
from escalation_forecast.scenario.result import BEYOND
from escalation_forecast.schema import THEATRE_LABELS, DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from escalation_forecast.scenario.result import Row, ScenarioResult

# Title and rows, each with its label; none where a scenario leaves a quantity alone.
type Panel = tuple[str, Sequence[tuple[str, Row | None]]]
ROW: Final = 0.26  # inches
LEFT: Final = 0.28
RIGHT: Final = 0.71
SEEN: Final = 0.01  # sd; theatres that move less have no fan
STANDARD: Final = "wider-war/any/12m"


def plot_fans(result: ScenarioResult) -> Plot:
    """Risk by theatre without and with the decisions, above its change with 80 % over the elicited sizes.

    The bands above are those of the forecast, which are wide whatever is decided; what a decision adds is
    read below, at 6, 12 and 24 months. Theatres that nothing moves are left out; nothing is drawn beyond 24
    months. The table has theatre, month, and before and after at 0.1, 0.5 and 0.9.
    """
    fans = result.fans
    moved = fans.groupby("theatre", sort=False)[["before_0.5", "after_0.5", "before_0.1", "after_0.1"]].apply(
        lambda t: (
            float((t["after_0.5"] - t["before_0.5"]).abs().max())
            + float((t["after_0.1"] - t["before_0.1"]).abs().max())
        )
    )
    names = [str(name) for name in moved.index[moved > SEEN]]
    if not names:
        return _no_fans(result)
    width, height = max(2.9 * len(names) + 0.4, 6.2), 4.4
    figure, axes = new_figure(width, height, 2, len(names), height_ratios=[1.7, 1.0])
    figure.subplots_adjust(
        left=0.62 / width, right=1 - 0.15 / width, top=1 - 1.15 / height, bottom=0.3 / height,
        wspace=0.22, hspace=0.25,
    )  # fmt: skip
    changes = {row.id: row.change for row in result.readouts}
    parts: list[pd.DataFrame] = []
    for ax, low, name in zip(axes[: len(names)], axes[len(names) :], names, strict=True):
        part = fans[fans["theatre"] == name].iloc[:LONGEST]
        parts.append(part)
        months = pd.DatetimeIndex(part["month"])
        x = days(months)
        for which, colour, style in (("before", PAST, "-"), ("after", AHEAD, "--")):
            ax.fill_between(
                x, part[f"{which}_0.1"], part[f"{which}_0.9"], color=colour, alpha=0.16, linewidth=0
            )
            ax.plot(x, part[f"{which}_0.5"], style, color=colour, linewidth=1.4)
        low.axhline(0.0, color=INK, linewidth=0.8)
        for ahead in (6, 12, 24):
            change = changes.get(f"risk/{name}/{ahead}m")
            if change is not None and ahead <= len(x):
                at = x[ahead - 1]
                low.plot(
                    [at, at], [change.low, change.high], color=AHEAD, linewidth=3, alpha=0.4, clip_on=False
                )
                fill = AHEAD if change.settled else "white"
                low.plot(at, change.mean, "o", color=fill, markeredgecolor=AHEAD, markersize=5, clip_on=False)
        for panel in (ax, low):
            year_axis(panel, months, 1)
        low.margins(y=0.15)
        low.yaxis.set_major_formatter(_signed)
        title(ax, THEATRE_LABELS[name])
    axes[0].set_ylabel("risk, sd of 2010-2019", fontsize=SMALL + 0.5, color=INK)
    axes[len(names)].set_ylabel("change, sd", fontsize=SMALL + 0.5, color=INK)
    left = 0.12 / width
    figure.text(
        left, 1 - 0.16 / height, result.scenario.title, fontsize=11, fontweight="bold", color=INK, va="top"
    )
    figure.text(
        left, 1 - 0.42 / height,
        "Above: median and 80 %, blue without, orange and dashed with.\n"
        f"Below: mean change in 6, 12 and 24 months, {_bars([result])}.",
        fontsize=SMALL + 0.8, color=INK, va="top", linespacing=1.35,
    )  # fmt: skip
    columns = [f"{which}_{q}" for which in ("before", "after") for q in ("0.1", "0.5", "0.9")]
    table = pd.concat(parts, ignore_index=True)[["theatre", "month", *columns]]
    return Plot(figure, _fans_alt(result, table), table)


def _fans_alt(result: ScenarioResult, table: pd.DataFrame) -> str:
    said = []
    for name, own in table.groupby("theatre", sort=False):
        change = own["after_0.5"] - own["before_0.5"]
        most = largest(own.assign(change=change), change.abs())
        said.append(f"{THEATRE_LABELS[str(name)]} {most['change']:+.2f} in {most['month']:%B %Y}")
    return (
        f"{result.scenario.title}: tension by theatre without and with it, in standard deviations of "
        "2010-2019. "
        f"Largest change of the median: {listing(said)}."
    )


def _no_fans(result: ScenarioResult) -> Plot:
    """A picture that says so: two equal fans would look like a finding."""
    figure, (ax,) = new_figure(6.2, 1.0, 1, 1)
    ax.set_axis_off()
    ax.set_position((0.0, 0.0, 1.0, 1.0))
    ax.text(0.02, 0.68, result.scenario.title, fontsize=11, fontweight="bold", color=INK, va="center")
    said = f"The risk of no theatre moves by {SEEN:g} sd; what it works on is among the changes."
    ax.text(0.02, 0.32, said, fontsize=SMALL + 0.8, color=INK, va="center")
    return Plot(figure, f"{result.scenario.title}: {said}", pd.DataFrame(columns=["theatre", "month"]))


def plot_changes(results: ScenarioResult | Sequence[ScenarioResult], answers: Sequence[str] = ()) -> Plot:
    """Change of answers with 80 % intervals over the elicited sizes; C beside S.

    Of one scenario its largest changes; of several each on the answers named, one panel an answer, in the
    order given and never by size. Full dots: the interval leaves out zero. Diamonds: C, news and no effect,
    with two Monte Carlo errors. The table has panel, row, id, unit, before, change, low, high, settled, and
    conditional (C).

    Parameters
    ----------
    answers : ids of answers or readouts; by default the largest of the one scenario, or
        ``wider-war/any/12m`` of several. A readout that a scenario does not move is at zero.
    """
    several = [results] if not isinstance(results, Sequence) else list(results)
    panels: list[Panel] = []
    if len(several) == 1:
        (one,) = several
        rows = [one[name] for name in answers] if answers else one.largest(14)
        panels.append((one.scenario.title, [(row.id, row) for row in rows]))
    else:
        for answer in answers or (STANDARD,):
            found = [(one.name, _found(one, answer)) for one in several]
            first = next((row for _, row in found if row is not None), None)
            if first is None:
                several[0][answer]  # which is refused with the nearest name
            now = "" if first is None else f", now {_number(first.before, first.unit)}"
            percent = " %" if first is not None and first.unit == "probability" else ""
            panels.append((f"{answer}{now}{percent}", found))
    table = changes_table(panels, several)
    return Plot(_panels(panels, several), changes_alt(table, several), table)


def _found(result: ScenarioResult, answer: str) -> Row | None:
    """A row, or None where a scenario leaves a readout alone and so has none."""
    known = {row.id: row for row in (*result.rows, *result.readouts)}
    return known.get(answer)


def _panels(panels: Sequence[Panel], several: Sequence[ScenarioResult]) -> Figure:
    """One panel below the other, each with its own axis: answers differ by orders of magnitude."""
    tall = [ROW * max(len(rows), 2) for _, rows in panels]
    over, under = 0.6, 0.32
    height = sum(tall) + (over + under) * len(panels)
    figure, axes = new_figure(9.5, height, len(panels), 1)
    y = height
    said = _subtitle(panels, several)
    for ax, (head, rows), size in zip(axes, panels, tall, strict=True):
        y -= over + size
        ax.set_position((LEFT, y / height, RIGHT - LEFT, size / height))
        y -= under
        ax.grid(axis="y", visible=False)
        ax.grid(axis="x", color=GRID, linewidth=0.7)
        ax.axvline(0.0, color=INK, linewidth=0.8)
        # Rows are of the one scenario, or one of each.
        whose = several if len(several) > 1 else [several[0]] * len(rows)
        for k, ((_, row), one) in enumerate(zip(rows, whose, strict=True)):
            if row is None and one.label == "C":
                _say(ax, k, "C is of questions alone")
            elif row is None:
                _dot(ax, k, 0.0, 0.0, 0.0, settled=False)
                _say(ax, k, "unchanged")
            else:
                _draw(ax, k, row)
        ax.set_yticks(range(len(rows)), [name for name, _ in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        if not np.ptp(ax.dataLim.intervalx):
            ax.set_xlim(-1.0, 1.0)
        ax.xaxis.set_major_formatter(_signed)
        unit = next((row.unit for _, row in rows if row is not None), "")
        title(ax, head, f"{'points' if unit == 'probability' else unit}; {said}", below=True)
    return figure


def _subtitle(panels: Sequence[Panel], several: Sequence[ScenarioResult]) -> str:
    drawn = [row for _, rows in panels for _, row in rows if row is not None]
    parts = []
    if any(row.change is not None for row in drawn):
        parts.append(_bars(several))
    if any(row.conditional is not None for row in drawn):
        parts.append("diamonds: C, once it is learned, and two MC errors")
    return "; ".join(parts) or "nothing moves"


def _bars(several: Sequence[ScenarioResult]) -> str:
    """What the bars are the interval of."""
    labels = {one.label for one in several} - {"C"}
    if labels == {"P"}:
        return "bars 80 %, of the simulation alone, as the input is fixed"
    return "bars 80 % over the sizes of the effects, hollow dots: zero is inside"


def _draw(ax: Axes, y: int, row: Row) -> None:
    factor = 100.0 if row.unit == "probability" else 1.0
    c = row.change
    if c is not None:
        _dot(ax, y, factor * c.mean, factor * c.low, factor * c.high, settled=c.settled)
    if row.conditional is not None:
        # A little lower, so that it hides no dot.
        at, error = y + (0.0 if c is None else 0.2), row.conditional_mcse
        if error is not None:
            ends = [factor * (row.conditional - 2 * error), factor * (row.conditional + 2 * error)]
            ax.plot(ends, [at, at], color=THIRD, linewidth=1.0, zorder=2)
        ax.plot(factor * row.conditional, at, "D", color=THIRD, markersize=3.8, zorder=2)
    _say(ax, y, _text(row))


def _dot(ax: Axes, y: int, mean: float, low: float, high: float, *, settled: bool) -> None:
    ax.plot([low, high], [y, y], color=PAST, linewidth=3, alpha=0.4, zorder=1)
    ax.plot(mean, y, "o", color=PAST if settled else "white", markeredgecolor=PAST, markersize=5, zorder=3)


def _say(ax: Axes, y: int, text: str) -> None:
    ax.annotate(text, (1.02, y), xycoords=("axes fraction", "data"), fontsize=SMALL + 0.2, color=INK,
                va="center", annotation_clip=False)  # fmt: skip


def _text(row: Row) -> str:
    c, news = row.change, row.conditional
    if c is None and news is None:
        return row.note
    if c is None and news is not None:
        said = f"C: {_step(row.before, news, row.unit)}"
        return f"{said}; no S beyond {LONGEST} months" if row.note == BEYOND else said
    assert c is not None
    if c.mean == c.low == c.high == 0.0:
        return "unchanged"
    way = "lower" if c.lowers >= 0.5 else "higher"
    chance = f"{way} with {100 * max(c.lowers, 1.0 - c.lowers):.0f} %"
    return f"{_step(row.before, c.mean, row.unit)}; {chance}" + ("" if c.settled else "; not settled")


def _step(before: float, change: float, unit: str) -> str:
    return f"{_number(before, unit, change)} → {_number(before + change, unit, change)}"


def _number(value: float, unit: str, change: float = 0.0) -> str:
    """A number, of a probability its per cent, with the decimals that its change needs: one to three."""
    factor = 100.0 if unit == "probability" else 1.0
    least = 1 if factor * abs(value) >= 10.0 else 2
    need = 0 if change == 0.0 else int(np.ceil(-np.log10(abs(factor * change))))
    return f"{factor * value:.{min(max(need, least), 3)}f}"


def _signed(value: float, _: object = None) -> str:
    return "0" if abs(value) < 1e-12 else f"{value:+g}".replace("-", "\N{MINUS SIGN}")


def plot_heat(table: pd.DataFrame, answer: str, x: str, y: str) -> Plot:
    """A sweep of two places as a heat map of the change of an answer; cells that settle nothing are hatched.

    Parameters
    ----------
    table : as from `sweep.sweep`.
    x, y : places of its grid.

    The table of the plot has y, x, change and settled.

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
    width, height = max(1.3 + 0.8 * change.shape[1], 5.2), max(1.45 + 0.42 * change.shape[0], 2.4)
    figure, (ax,) = new_figure(width, height, 1, 1)
    figure.subplots_adjust(
        left=0.95 / width, right=1 - 0.15 / width, top=1 - 0.8 / height, bottom=0.55 / height
    )
    ax.grid(visible=False)
    ax.spines["bottom"].set_visible(False)
    numbers, sure = change.to_numpy(), settled.to_numpy()
    limit = float(np.nanmax(np.abs(numbers))) or 1.0
    ax.pcolormesh(numbers, cmap="RdBu_r", vmin=-limit, vmax=limit, edgecolor="white", linewidth=1.0)
    for i, j in np.ndindex(*numbers.shape):
        value, dark = float(numbers[i, j]), abs(numbers[i, j]) > 0.65 * limit
        if value != 0.0 and not sure[i, j]:
            edge = "white" if dark else MUTED
            ax.add_patch(
                Rectangle((j, i), 1, 1, hatch="////", fill=False, edgecolor=edge, linewidth=0, alpha=0.6)
            )
        ax.text(
            j + 0.5, i + 0.5, _heat_text(value, limit), ha="center", va="center", fontsize=SMALL + 0.5,
            color="white" if dark else INK,
            path_effects=[withStroke(linewidth=3, foreground=_colour(value / limit))],
        )  # fmt: skip
    ax.set_xticks(np.arange(change.shape[1]) + 0.5, [f"{v:g}" for v in change.columns])
    ax.set_yticks(np.arange(change.shape[0]) + 0.5, [f"{v:g}" for v in change.index])
    ax.set_xlabel(x, fontsize=SMALL + 0.5, color=INK)
    ax.set_ylabel(y, fontsize=SMALL + 0.5, color=INK)
    unit = "points" if factor == 100.0 else str(rows["unit"].iloc[0])
    now = _number(float(rows["before"].iloc[0]), str(rows["unit"].iloc[0]))
    head = f"{answer}, now {now}{' %' if factor == 100.0 else ''}"
    title(ax, head, f"change, {unit}; hatched: the interval covers zero", below=True)
    drawn = change.reset_index().melt(y, var_name=x, value_name="change")
    drawn["settled"] = settled.to_numpy().ravel(order="F") == 1.0
    low, high = largest(drawn, -drawn["change"]), largest(drawn, drawn["change"])
    alt = (
        f"Change of {head} over {len(drawn)} cells of {x} and {y}: from {low['change']:+.2g} {unit} ({x} "
        f"{low[x]:g}, "
        f"{y} {low[y]:g}) to {high['change']:+.2g} ({x} {high[x]:g}, {y} {high[y]:g}). In "
        f"{int((~drawn['settled']).sum())} cells the interval covers zero."
    )
    return Plot(figure, alt, drawn)


def _heat_text(value: float, limit: float) -> str:
    """All cells with the same decimals, as many as the largest needs for two digits; no zero has a sign."""
    decimals = min(max(1 - int(np.floor(np.log10(limit))), 0), 4)
    text = f"{value:+.{decimals}f}".replace("-", "\N{MINUS SIGN}")
    return text if float(f"{value:.{decimals}f}") else text[1:]


def _colour(share: float) -> tuple[float, float, float, float]:
    """Of a cell, by its part of the largest change."""
    from matplotlib import colormaps

    return colormaps["RdBu_r"](0.5 + share / 2)
