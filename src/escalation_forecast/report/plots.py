"""Plots of a forecast: tension, spending, questions, indicators.

Every function returns a ``matplotlib.figure.Figure`` and leaves pyplot alone, so that plots
can be made in any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from escalation_forecast.report.style import (
    AHEAD,
    GRID,
    INK,
    MUTED,
    PAST,
    SMALL,
    THIRD,
    clean,
    fan,
    flag_events,
    frame,
    new_figure,
    title,
)
from escalation_forecast.report.tables import (
    THRESHOLD,
    all_risk,
    quantiles,
    released,
    theatre_summaries,
    three_year_mean,
)
from escalation_forecast.report.terminal import common_title, percent
from escalation_forecast.schema import CORE_FOUR, DataError

EVENT_COLUMNS: Final = ("date", "theatre", "label", "source")
OTHER_STATES: Final = ("USA", "RUS", "AUS", "PHL")
STATE_LABELS: Final[dict[str, str]] = {
    "CHN": "China", "JPN": "Japan", "KOR": "South Korea", "TWN": "Taiwan", "PHL": "Philippines",
    "VNM": "Vietnam", "IDN": "Indonesia", "MYS": "Malaysia", "SGP": "Singapore", "THA": "Thailand",
    "AUS": "Australia", "IND": "India", "RUS": "Russia", "USA": "United States",
}  # fmt: skip


def read_events(path: Path | str | None = None) -> pd.DataFrame:
    """Dated events for annotation: columns date, theatre, label, source.

    Raises
    ------
    DataError
        When the file cannot be read or lacks a column.
    """
    if path is None:
        from escalation_forecast.store import data_root

        path = data_root() / "events.csv"
    try:
        events = pd.read_csv(path, dtype=str, keep_default_na=False)
        events["date"] = pd.to_datetime(events["date"], format="%Y-%m-%d")
    except OSError as error:
        raise DataError(f"{path}: the events cannot be read; check the path.") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: every event needs a 'date' written as YYYY-MM-DD; correct it.") from error
    missing = [c for c in EVENT_COLUMNS if c not in events.columns]
    if missing:
        raise DataError(f"{path}: the column '{missing[0]}' is missing; add it.")
    return events


def plot_latent(
    paths: xr.Dataset, events: pd.DataFrame | None = None, summary: Mapping[str, Any] | None = None
) -> Figure:
    """Tension by theatre since 1990 with the forecast, bands of 50 % and 80 %, and dated events."""
    summary = summary or _minimal(paths)
    events = read_events() if events is None else events
    entries = {e["theatre"]: e for e in summary.get("theatres") or theatre_summaries(paths)}
    levels = quantiles(all_risk(paths))
    months = pd.DatetimeIndex(levels["month"].values)
    first = pd.Timestamp(paths.attrs["first_forecast_month"])
    # The fan starts at the last month of history, so that the two touch.
    past, ahead = months < first, months >= first - pd.DateOffset(months=1)
    figure, axes = new_figure(14, 11, 3, 2, sharex=True)
    figure.subplots_adjust(left=0.035, right=0.985, top=0.905, bottom=0.06, hspace=0.22, wspace=0.09)
    for ax, name in zip(axes, levels["theatre"].values, strict=True):
        own = levels.sel(theatre=name)
        fan(ax, months[past], own.isel(month=past), PAST)
        fan(ax, months[ahead], own.isel(month=ahead), AHEAD)
        ax.set_xlim(months[0], months[-1])
        ax.axhline(0, color=MUTED, linewidth=0.6)
        ax.axvline(first, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        low, high = float(own.sel(quantile="q10").min()), float(own.sel(quantile="q90").max())
        dated = events[(events["theatre"] == name) & events["date"].between(months[0], months[-1])]
        at = months.searchsorted(dated["date"], side="right") - 1
        flag_events(ax, dated, own.sel(quantile="q90").values[at].tolist(), low - 0.1, high + 0.1)
        _year_axis(ax, 5)
        title(ax, entries[name]["label"], _theatre_finding(entries[name]))
    frame(
        figure,
        f"Military tension by theatre, {months[0]:%B %Y} to {months[-1]:%B %Y}",
        "Standard deviations from each theatre's own mean of 2010-2019. Dashed line: first month of the forecast.",
        summary,
        "Events are for orientation and do not enter the model (data/events.csv).",
    )
    _key(figure, 0.905, [*_bands(PAST, "estimate"), *_bands(AHEAD, "forecast")])
    return figure


def plot_spending(paths: xr.Dataset, summary: Mapping[str, Any] | None = None) -> Figure:
    """Real growth by print and the three-year mean against 5 %, with the forecast.

    The upper row has the four states of the arms-race questions, the lower row other states.
    """
    summary = summary or _minimal(paths)
    figure, axes = new_figure(14, 8, 2, 4, sharex=True)
    figure.subplots_adjust(left=0.03, right=0.99, top=0.865, bottom=0.075, hspace=0.25, wspace=0.13)
    out = released(paths)
    prints = paths["growth_print"].stack(sample=("chain", "draw"))
    means = three_year_mean(paths).stack(sample=("chain", "draw"))
    for ax, state in zip(axes, (*CORE_FOUR, *OTHER_STATES), strict=True):
        _state_panel(ax, prints.sel(state=state), means.sel(state=state), out)
        title(ax, STATE_LABELS[state], _state_finding(means.sel(state=state), out))
    _share_y(axes[:4])
    _share_y(axes[4:])
    frame(
        figure,
        "Real growth of military spending and the 5 % rule",
        "Per cent a year at constant prices, each figure within one SIPRI release.",
        summary,
        "Open circles: forecasts of first prints with 80 % intervals. Missing points: release not held.",
    )
    dot = {"linestyle": "", "marker": "o"}
    _key(
        figure,
        0.875,
        [
            Line2D([], [], color=INK, markersize=4, label="first print", **dot),
            Line2D([], [], color=MUTED, markersize=2, alpha=0.6, label="later prints", **dot),
            Line2D([], [], color=PAST, linewidth=1.4, label="3-year mean"),
            Patch(color=AHEAD, alpha=0.4, label="forecast of it (50, 80 %)"),
            Line2D([], [], color=THIRD, linewidth=1, linestyle="--", label="5 % threshold"),
        ],
    )
    return figure


def plot_questions(summary: Mapping[str, Any]) -> Figure:
    """Probabilities with Monte Carlo error and base rate; the arms race by year beside them."""
    questions = [q for q in summary["questions"] if q["probability"] is not None]
    rows = _question_rows(questions)
    yearly = _by_year(questions)
    counts = [q for q in summary["questions"] if q["kind"] == "count" and q["distribution"]]
    height = max(5.0, 1.5 + 0.205 * len(rows))
    figure = new_figure(13, height, 1, 1)[0]
    figure.clear()
    top, bottom = 1 - 0.95 / height, 0.55 / height
    right = bool(yearly) + bool(counts)
    grid = figure.add_gridspec(
        max(right, 1), 2 if right else 1, left=0.2, right=0.985, top=top, bottom=bottom, wspace=0.13,
        hspace=0.3, width_ratios=(1.25, 1) if right else None,
    )  # fmt: skip
    ax = figure.add_subplot(grid[:, 0])
    clean(ax)
    _dot_plot(ax, rows)
    panels = [figure.add_subplot(grid[n, 1]) for n in range(right)]
    for panel in panels:
        clean(panel)
    if yearly:
        _year_lines(panels[0], yearly)
    if counts:
        _count_bars(panels[-1], counts)
    frame(
        figure,
        f"Probabilities of {len(questions)} questions as of {summary['as_of']}",
        "Dot: probability with its Monte Carlo error (95 %). Diamond: base rate of the reference class.",
        summary,
    )
    return figure


def plot_indicators(paths: xr.Dataset, summary: Mapping[str, Any] | None = None, years: int = 12) -> Figure:
    """Monthly indicators over the last ``years``, observed and forecast, each in its own unit."""
    summary = summary or _minimal(paths)
    names = [str(n) for n in paths["indicator"].values]
    first = pd.Timestamp(paths.attrs["first_forecast_month"])
    months = pd.DatetimeIndex(paths["month"].values)
    shown = months >= first - pd.DateOffset(years=years)
    months = months[shown]
    level = paths["indicator_level"].stack(sample=("chain", "draw")).isel(month=shown)
    levels = quantiles(level)
    n_rows = -(-len(names) // 3)
    height = 1.3 + 1.75 * n_rows
    figure, axes = new_figure(13, height, n_rows, 3, sharex=True)
    figure.subplots_adjust(
        left=0.04, right=0.985, top=1 - 0.95 / height, bottom=0.5 / height, hspace=0.35, wspace=0.13
    )
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    past = months < first
    for ax, name in zip(axes, names, strict=False):
        own = levels.sel(indicator=name)
        ax.plot(months[past], own.sel(quantile="q50").values[past], color=PAST, linewidth=1.0)
        fan(ax, months[~past], own.isel(month=~past), AHEAD)
        ax.set_xlim(months[0], months[-1])
        ax.set_ylim(bottom=0 if float(own.min()) >= 0 else None)
        _year_axis(ax, 3)
        title(ax, name)
    frame(
        figure,
        "Monthly indicators, observed and forecast",
        "Each in its own unit. Bands of the forecast: 50 % and 80 %.",
        summary,
    )
    return figure


def save_plots(
    paths: xr.Dataset, summary: Mapping[str, Any], folder: Path, events: pd.DataFrame | None = None
) -> list[Path]:
    """Write latent.png, spending.png, questions.png and indicators.png; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "latent": plot_latent(paths, events, summary),
        "spending": plot_spending(paths, summary),
        "questions": plot_questions(summary),
        "indicators": plot_indicators(paths, summary),
    }
    files = []
    for name, figure in figures.items():
        file = folder / f"{name}.png"
        # Without the version of the library, the same forecast gives the same bytes.
        figure.savefig(file, dpi=150, metadata={"Software": None})
        files.append(file)
    return files


def _minimal(paths: xr.Dataset) -> dict[str, Any]:
    return {"as_of": paths.attrs["as_of"]}


def _theatre_finding(entry: Mapping[str, Any]) -> str:
    now = entry["now"]
    return (
        f"{now['month']}: {now['median']:+.1f} ({now['low']:+.1f} to {now['high']:+.1f}), "
        f"above {entry['percentile']:.0f} % of months since 1990"
    )


def _year_axis(ax: Axes, step: int) -> None:
    ax.xaxis.set_major_locator(mdates.YearLocator(step))
    ax.xaxis.set_major_formatter(mdates.DateFormatter("%Y"))


def _bands(colour: str, what: str) -> list[Any]:
    return [
        Line2D([], [], color=colour, linewidth=1.2, label=f"{what}, median"),
        Patch(color=colour, alpha=0.45, label="50 %"),
        Patch(color=colour, alpha=0.18, label="80 %"),
    ]


def _key(figure: Figure, top: float, handles: Sequence[Any]) -> None:
    figure.legend(
        handles=list(handles), loc="upper right", bbox_to_anchor=(0.988, 1 - 0.1 * (1 - top)), frameon=False,
        fontsize=SMALL + 0.5, ncols=len(handles), handlelength=1.6, columnspacing=1.2,
    )  # fmt: skip


def _state_panel(ax: Axes, prints: xr.DataArray, means: xr.DataArray, out: xr.DataArray) -> None:
    years = out["year"].values
    known = out.values
    for age in range(1, prints.sizes["age"]):
        later = prints.isel(age=age, sample=0).values[known]
        ax.plot(years[known] - age, later, "o", color=MUTED, markersize=1.8, alpha=0.45)
    first = prints.isel(age=0)
    ax.plot(years[known], first.isel(sample=0).values[known], "o", color=INK, markersize=3.2)
    mean = means.isel(sample=0).values
    shown = known & ~np.isnan(mean)
    ax.plot(years[shown], mean[shown], color=PAST, linewidth=0.7, linestyle=":")
    ax.plot(years[known], mean[known], color=PAST, linewidth=1.6)
    ahead = ~known
    if shown.any():
        ahead = ahead | (years == years[shown].max())
    fan(ax, years[ahead], quantiles(means).isel(year=ahead), AHEAD)
    levels = quantiles(first)
    for year in years[~known]:
        at = {q: float(levels.sel(quantile=q, year=year)) for q in ("q10", "q50", "q90")}
        ax.plot([year, year], [at["q10"], at["q90"]], color=INK, linewidth=0.8)
        ax.plot(year, at["q50"], "o", color="white", markeredgecolor=INK, markersize=3.5, markeredgewidth=0.9)
    ax.axhline(THRESHOLD, color=THIRD, linewidth=1, linestyle="--", zorder=1.8)
    ax.axhline(0, color=MUTED, linewidth=0.6)
    ax.set_xlim(years[0] - 0.6, years[-1] + 0.6)
    ax.set_xticks([y for y in years if y % 4 == 0])


def _state_finding(means: xr.DataArray, out: xr.DataArray) -> str:
    coming = out["year"].values[~out.values]
    if not coming.size:
        return ""
    share = float((means.sel(year=coming[0]) >= THRESHOLD).mean())
    return f"P(3-year mean ≥ 5 % in {coming[0]}) = {percent(share)}"


def _share_y(axes: Sequence[Axes]) -> None:
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())


def _question_rows(questions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any] | str]:
    """Questions with the heading of each family before its first member."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for q in questions:
        families.setdefault(q["question"], []).append(q)
    rows: list[Mapping[str, Any] | str] = []
    for family, members in families.items():
        rows += [common_title(members) or family, *members]
    return rows


def _dot_plot(ax: Axes, rows: Sequence[Mapping[str, Any] | str]) -> None:
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    for y, row in enumerate(rows):
        if isinstance(row, str):
            ax.text(-0.47, y, row, fontsize=SMALL + 0.8, fontweight="bold", color=INK, va="center",
                    transform=ax.get_yaxis_transform())  # fmt: skip
            continue
        p = 100 * row["probability"]
        ax.axhline(y, color=GRID, linewidth=0.5, zorder=0)
        ax.text(-0.015, y, row["target"], fontsize=SMALL + 0.5, color=INK, ha="right", va="center",
                transform=ax.get_yaxis_transform())  # fmt: skip
        if row.get("base_rate"):
            ax.plot(
                100 * row["base_rate"]["rate"], y, "D", color="white", markeredgecolor=AHEAD, markersize=4
            )
        ax.errorbar(p, y, xerr=196 * (row.get("mcse") or 0.0), fmt="o", color=PAST, markersize=4.5,
                    elinewidth=1.4, capsize=0)  # fmt: skip
        ax.text(1.015, y, percent(row["probability"]), fontsize=SMALL + 0.5, color=INK, va="center",
                transform=ax.get_yaxis_transform())  # fmt: skip
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
    ax.legend(frameon=False, fontsize=SMALL + 0.5, loc="upper right")
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
            if width >= 5:
                ax.text(start + width / 2, y, f"{key}: {width:.0f} %", fontsize=SMALL + 0.3, ha="center",
                        va="center", color="white" if shade > 0.5 else INK)  # fmt: skip
        left += share
    ax.set_yticks(range(len(family)), [q["target"] for q in family])
    ax.set_ylim(len(family) - 0.4, -0.6)
    ax.set_xlim(0, 100)
    ax.grid(visible=False)
    ax.xaxis.set_major_formatter("{x:.0f} %")
    title(ax, common_title(family) or family[0]["question"])
