"""Plots of a forecast: tension, spending, questions, indicators.

Every function returns a `Plot` and leaves pyplot alone, so that plots can be made in any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from escalation_forecast.report.layout import percent
from escalation_forecast.report.plot import Plot, between, listing, of_run, quantile_table
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
from escalation_forecast.schema import CORE_FOUR, GLOBAL, DataError

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

__all__ = ["plot_indicators", "plot_latent", "plot_questions", "plot_spending", "read_events", "save_plots"]

MOST_NAMED: Final = 6
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
    run: Run | xr.Dataset, events: pd.DataFrame | None = None, summary: Mapping[str, Any] | None = None
) -> Plot:
    """Tension by theatre since 1990 with the forecast, bands of 50 % and 80 %, and dated events.

    The table has theatre, month, q10, q25, q50, q75, q90 and ``phase`` (history or forecast).

    Parameters
    ----------
    run : a run, or its forecast paths and summary.
    events : as of `read_events`.
    """
    paths, summary = of_run(run, summary)
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
    table = quantile_table(levels)
    phase = np.where(table["month"] < first, "history", "forecast")
    return Plot(figure, _latent_alt(table.assign(phase=phase), entries), table.assign(phase=phase))


def _latent_alt(table: pd.DataFrame, entries: Mapping[str, Mapping[str, Any]]) -> str:
    own = [entry for name, entry in entries.items() if name != GLOBAL]
    high, low = (f(own, key=lambda entry: entry["now"]["median"]) for f in (max, min))
    end = table[table["month"] == table["month"].max()].set_index("theatre")["q50"]
    falls = [e["label"] for e in own if end[e["theatre"]] < e["now"]["median"]]
    now = high["now"]
    return (
        f"Tension by theatre from {table['month'].min():%B %Y} to {table['month'].max():%B %Y}, in standard "
        f"deviations from the mean of 2010-2019. In {now['month']} it is highest in {high['label']}, at "
        f"{signed(now['median'])} ({between(now['low'], now['high'])}), and lowest in {low['label']}, at "
        f"{signed(low['now']['median'])}. By the end of the forecast its median is lower than now in "
        f"{len(falls)} of {len(own)} theatres{': ' + listing(falls) if 0 < len(falls) < len(own) else ''}."
    )


def plot_spending(run: Run | xr.Dataset, summary: Mapping[str, Any] | None = None) -> Plot:
    """Real growth by print and the three-year mean against 5 %, with the forecast.

    The upper row has the four states of the arms-race questions, the lower row other states. The table has
    state, year, measure (first print or three-year mean), q10 to q90, released, and the share of draws at the
    threshold or above, of years not released.
    """
    paths, summary = of_run(run, summary)
    figure, axes = new_figure(14, 8, 2, 4, sharex=True)
    figure.subplots_adjust(left=0.03, right=0.982, top=0.865, bottom=0.075, hspace=0.25, wspace=0.15)
    out = released(paths)
    prints = paths["growth_print"].stack(sample=("chain", "draw"))
    means = three_year_mean(paths).stack(sample=("chain", "draw"))
    for ax, state in zip(axes, (*CORE_FOUR, *OTHER_STATES), strict=True):
        _state_panel(ax, prints.sel(state=state), means.sel(state=state), out)
        title(ax, STATE_LABELS[state], _state_finding(means.sel(state=state), out), below=True)
        ax.annotate(f"{THRESHOLD:g} %", (1, THRESHOLD), (2, 0), xycoords=("axes fraction", "data"),
                    va="center", textcoords="offset points", fontsize=SMALL, fontweight="bold", color=THIRD,
                    annotation_clip=False)  # fmt: skip
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
        ],
    )
    table = _spending_table(prints, means, out)
    return Plot(figure, _spending_alt(table), table)


def _spending_table(prints: xr.DataArray, means: xr.DataArray, out: xr.DataArray) -> pd.DataFrame:
    shown = [*CORE_FOUR, *OTHER_STATES]
    parts = []
    for measure, values in (("first print", prints.sel(age=0)), ("three-year mean", means)):
        own = values.sel(state=shown)
        share = (own >= THRESHOLD).mean("sample").transpose("state", "year").values.ravel()
        table = quantile_table(quantiles(own))
        table.insert(2, "measure", measure)
        known = np.tile(out.values, len(shown))
        parts.append(table.assign(released=known, at_threshold=np.where(known, np.nan, share)))
    return pd.concat(parts, ignore_index=True).dropna(subset=["q50"]).reset_index(drop=True)


def _spending_alt(table: pd.DataFrame) -> str:
    about = (
        "Real growth of military spending by state, each figure within one SIPRI release, and its three-year "
        f"mean beside the threshold of {THRESHOLD:g} % a year"
    )
    means = table[(table["measure"] == "three-year mean") & ~table["released"]]
    if means.empty:
        return f"{about}; no year of the forecast is ahead."
    year = int(means["year"].min())
    coming = means[means["year"] == year].set_index("state")
    share, median = coming["at_threshold"], coming["q50"]
    said = [f"{STATE_LABELS[state]} {percent(float(share[state]))}" for state in CORE_FOUR]
    return (
        f"{about}. The chance that the mean of {year} reaches it is {listing(said)}; the highest median is "
        f"that of {STATE_LABELS[str(median.idxmax())]}, {signed(float(median.max()))} %."
    )


def plot_indicators(run: Run | xr.Dataset, summary: Mapping[str, Any] | None = None, years: int = 12) -> Plot:
    """Monthly indicators over the last ``years``, observed and forecast, each in its own unit.

    The table has indicator, month, q10 to q90 and ``phase``: observed, nowcast (no figure yet) or forecast.
    """
    paths, summary = of_run(run, summary)
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
    phases = []
    for ax, name in zip(axes, names, strict=False):
        own = levels.sel(indicator=name)
        # Months behind as_of without a figure yet are simulated too: they have a spread.
        known = (own.sel(quantile="q90") == own.sel(quantile="q10")).values & past
        last = int(np.flatnonzero(known)[-1]) if known.any() else -1
        behind = np.arange(len(months)) <= last
        ax.plot(months[behind], own.sel(quantile="q50").values[behind], color=PAST, linewidth=1.0)
        fan(ax, months[~behind & past], own.isel(month=~behind & past), PAST)
        fan(ax, months[~past], own.isel(month=~past), AHEAD)
        phases.append(np.where(behind, "observed", np.where(past, "nowcast", "forecast")))
        year_axis(ax, months, 3)
        ax.set_ylim(bottom=0 if float(own.min()) >= 0 else None)
        title(ax, name)
    frame(
        figure,
        "Monthly indicators, observed and forecast",
        "Each in its own unit. Bands, 50 % and 80 %: months without a figure yet (blue), forecast (orange).",
        summary,
    )
    table = quantile_table(levels.transpose("quantile", "indicator", "month"))
    table["phase"] = np.concatenate(phases)
    return Plot(figure, _indicators_alt(table), table)


def _indicators_alt(table: pd.DataFrame) -> str:
    rows = [(str(name), own) for name, own in table.groupby("indicator", sort=False)]
    last, ahead = table["month"].max(), []
    for name, own in rows:
        known = own[own["phase"] == "observed"]
        if len(known) and (own["phase"] == "forecast").any():
            ahead.append((name, float(own["q50"].iloc[-1]), float(known["q50"].iloc[-1])))
    higher = [name for name, median, newest in ahead if median > newest]
    text = (
        f"{len(rows)} monthly indicators from {table['month'].min():%B %Y}, with a forecast to {last:%B %Y}"
    )
    if not ahead:
        return f"{text}."
    told = f": {listing(higher)}" if 0 < len(higher) <= MOST_NAMED else ""
    return (
        f"{text}. Its median ends above the newest figure for {len(higher)} of {len(ahead)} indicators{told}."
    )


def save_plots(
    paths: xr.Dataset, summary: Mapping[str, Any], folder: Path, events: pd.DataFrame | None = None
) -> list[Path]:
    """Write latent.png, spending.png, questions.png and indicators.png; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = {
        "latent": plot_latent(paths, events, summary),
        "spending": plot_spending(paths, summary),
        "questions": plot_questions(summary),
        "indicators": plot_indicators(paths, summary),
    }
    return [plot.save(folder / f"{name}.png") for name, plot in plots.items()]


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
