"""Plots of a forecast: tension, spending, questions, indicators.

Every function returns a ``matplotlib.figure.Figure`` and leaves pyplot alone, so that plots
can be made in any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from escalation_forecast.report.layout import percent
from escalation_forecast.report.question_plot import plot_questions
from escalation_forecast.report.style import (
    AHEAD,
    INK,
    MUTED,
    PAST,
    SMALL,
    THIRD,
    fan,
    flag_events,
    frame,
    new_figure,
    title,
    year_axis,
)
from escalation_forecast.report.tables import (
    THRESHOLD,
    all_risk,
    quantiles,
    released,
    theatre_summaries,
    three_year_mean,
)
from escalation_forecast.report.terminal import signed
from escalation_forecast.schema import CORE_FOUR, DataError

__all__ = ["plot_indicators", "plot_latent", "plot_questions", "plot_spending", "read_events", "save_plots"]

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
        year_axis(ax, months, 5)
        ax.axhline(0, color=MUTED, linewidth=0.6)
        low, high = float(own.sel(quantile="q10").min()), float(own.sel(quantile="q90").max())
        ax.plot([first, first], [low - 0.1, high + 0.1], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        dated = events[(events["theatre"] == name) & events["date"].between(months[0], months[-1])]
        at = months.searchsorted(dated["date"], side="right") - 1
        flag_events(ax, dated, own.sel(quantile="q90").values[at].tolist(), low - 0.1, high + 0.1)
        title(ax, entries[name]["label"], _theatre_finding(entries[name]))
    frame(
        figure,
        f"Military tension by theatre, {months[0]:%B %Y} to {months[-1]:%B %Y}",
        "Standard deviations from the theatre's own mean of 2010-2019. Dashed: start of the forecast.",
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
        title(ax, STATE_LABELS[state], _state_finding(means.sel(state=state), out), below=True)
    _share_y(axes[:4].tolist())
    frame(
        figure,
        "Real growth of military spending and the 5 % rule",
        "Per cent a year at constant prices, each figure within one SIPRI release.",
        summary,
        "Missing points: release not held. The lower row has its own scales.",
    )
    _key(
        figure,
        0.875,
        [
            _dot("first print", color=INK, markersize=4),
            _dot("later prints", color=MUTED, markersize=2, alpha=0.6),
            _dot("forecast of it, 80 %", color="white", markeredgecolor=INK, markersize=4),
            Line2D([], [], color=PAST, linewidth=1.4, label="3-year mean"),
            Patch(color=AHEAD, alpha=0.4, label="forecast of it, 50 and 80 %"),
            Line2D([], [], color=THIRD, linewidth=1, linestyle="--", label="5 % threshold"),
        ],
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
    for ax in axes[max(len(names) - 3, 0) : len(names)]:
        ax.tick_params(labelbottom=True)
    past = months < first
    for ax, name in zip(axes, names, strict=False):
        own = levels.sel(indicator=name)
        # Months behind as_of without a figure yet are simulated too: they have a spread.
        known = (own.sel(quantile="q90") == own.sel(quantile="q10")).values & past
        last = int(np.flatnonzero(known)[-1]) if known.any() else -1
        behind = np.arange(len(months)) <= last
        ax.plot(months[behind], own.sel(quantile="q50").values[behind], color=PAST, linewidth=1.0)
        fan(ax, months[~behind & past], own.isel(month=~behind & past), PAST)
        fan(ax, months[~past], own.isel(month=~past), AHEAD)
        year_axis(ax, months, 3)
        ax.set_ylim(bottom=0 if float(own.min()) >= 0 else None)
        title(ax, name)
    frame(
        figure,
        "Monthly indicators, observed and forecast",
        "Each in its own unit. Bands, 50 % and 80 %: months without a figure yet (blue), forecast (orange).",
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
        f"{now['month']}: {signed(now['median'])} ({signed(now['low'])} to {signed(now['high'])}), "
        f"above {entry['percentile']:.0f} % of months since 1990"
    )


def _bands(colour: str, what: str) -> list[Any]:
    return [
        Line2D([], [], color=colour, linewidth=1.2, label=f"{what}, median"),
        Patch(color=colour, alpha=0.45, label="50 %"),
        Patch(color=colour, alpha=0.18, label="80 %"),
    ]


def _dot(label: str, **style: Any) -> Line2D:
    return Line2D([], [], linestyle="", marker="o", label=label, **style)


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
        ax.plot([year, year], [at["q10"], at["q90"]], color=MUTED, linewidth=0.9)
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
    return f"3-year mean of 5 % or more in {coming[0]}: {percent(share)}"


def _share_y(axes: Sequence[Axes]) -> None:
    limits = np.array([ax.get_ylim() for ax in axes])
    for ax in axes:
        ax.set_ylim(limits[:, 0].min(), limits[:, 1].max())
