"""Plots of what was known when: reports by the day they came out, and yearly figures by release."""

from __future__ import annotations

import datetime as dt
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.plots import STATE_LABELS
from escalation_forecast.report.style import AHEAD, INK, MUTED, PAST, SMALL, THIRD, days, new_figure, title
from escalation_forecast.schema import DataError
from escalation_forecast.store import SPENDING, Store

COLOURS: Final = (PAST, AHEAD, THIRD, "#CC79A7", "#56B4E9", "#E69F00")
MARKS: Final = "osD^vP"
# One colour and mark for each body, whatever else was known; others take what is left.
BODIES: Final = ("hur", "nis", "us-government", "ukraine-government", "press")
MONTHLY: Final = 250  # days; a longer span is labelled by quarter
BAND: Final = (0.1, 0.5, 0.9)
STRUCTURAL: Final = "structural-zero"


def plot_reports(
    store: Store, series: str, *, cuts: tuple[dt.date | str, ...] = (), stock: xr.DataArray | None = None
) -> Plot:
    """Reports of a number by the day on which each came out, by body, with ranges where one was given.

    Parameters
    ----------
    cuts : as-of dates to draw; what lies right of one was not known on it.
    stock : the model's estimate (chain, draw, month), drawn as median and band of 80 %.

    The table has body, published_at, period_start, value, low and high.

    Raises
    ------
    DataError
        When the series has no reports.
    """
    rows = store.releases(series)
    rows = rows[(rows["source"] != STRUCTURAL) & rows["value"].notna()]
    if rows.empty:
        raise DataError(f"No body has reported a figure of {series}; choose a series of reports.")
    figure, (ax,) = new_figure(9.5, 3.9, 1, 1)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.86, bottom=0.2)
    seen = dict.fromkeys((*BODIES, *sorted(rows["source"])))
    places = {body: n for n, body in enumerate(seen)}
    for body, own in rows.groupby("source", sort=True):
        n = places[str(body)]
        colour, at = COLOURS[n % len(COLOURS)], days(own["published_at"])
        low, high = own["low"].fillna(own["value"]), own["high"].fillna(own["value"])
        ax.vlines(at, low, high, color=colour, linewidth=1.6)
        ax.plot(at, own["value"], MARKS[n % len(MARKS)], color=colour, markersize=5, label=str(body))
    for n, cut in enumerate(cuts):
        at = days(pd.DatetimeIndex([cut]))[0]
        ax.axvline(at, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
        ax.annotate(f"as of {cut}", (at, 1), (3, -2 - 10 * n), xycoords=("data", "axes fraction"), color=INK,
                    textcoords="offset points", fontsize=SMALL, va="top")  # fmt: skip
    first, last = rows["published_at"].min(), rows["published_at"].max()
    step = "MS" if (last - first).days < MONTHLY else "QS"
    ticks = pd.date_range(first.to_period("M").start_time, last + pd.DateOffset(months=1), freq=step)
    top = 1.15 * float(rows[["value", "high"]].max().max())
    if stock is not None:
        top = max(top, _draw_stock(ax, stock, first, last))
    ax.set_xticks(
        days(ticks),
        [f"{day:%b %Y}" if n == 0 or day.month == 1 else f"{day:%b}" for n, day in enumerate(ticks)],
    )
    ax.set_ylim(0, top)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    ax.legend(frameon=False, fontsize=SMALL + 0.5, ncols=6, loc="upper left", bbox_to_anchor=(-0.01, -0.1))
    described = store.series.set_index("series")["description"]
    what = str(described[series])
    title(ax, what, "by the day of publication")
    table = rows[["source", "published_at", "period_start", "value", "low", "high"]]
    table = table.rename(columns={"source": "body"}).sort_values("published_at", ignore_index=True)
    newest = table.iloc[-1]
    alt = (
        f"{what}: {len(table)} reports of {table['body'].nunique()} bodies, by the day of publication. "
        f"They go from {table['value'].min():,.0f} to {table['value'].max():,.0f}; the newest, of "
        f"{newest['body']} on {newest['published_at']:%Y-%m-%d}, says {newest['value']:,.0f}."
    )
    return Plot(figure, alt, table)


def _draw_stock(ax: Axes, stock: xr.DataArray, first: pd.Timestamp, last: pd.Timestamp) -> float:
    """Median and band from the first month to the last; returns the top of the band."""
    shown = stock.sel(month=slice(first.to_period("M").start_time, last))
    levels = np.quantile(shown.stack(sample=("chain", "draw")).transpose("sample", "month"), BAND, axis=0)
    at = days(pd.DatetimeIndex(shown["month"].values))
    ax.fill_between(at, levels[0], levels[2], color=MUTED, alpha=0.18, linewidth=0)
    ax.plot(at, levels[1], color=MUTED, linewidth=1.2, label="estimate, 80 %")
    return float(1.05 * levels[2].max())


def plot_releases(store: Store, states: tuple[str, ...], *, since: int = 2010) -> Plot:
    """Real growth of military spending as each release has it: the newest in colour, older ones in grey.

    Parameters
    ----------
    states : ISO codes, one panel each.

    The table has state, year, release and growth, per cent; the releases in their order.
    """
    tables: list[pd.DataFrame] = []
    said = []
    figure, axes = new_figure(3.1 * len(states), 3.0, 1, len(states), sharey=True)
    figure.subplots_adjust(left=0.22 / len(states), right=0.99, top=0.85, bottom=0.14, wspace=0.08)
    for ax, state in zip(axes, states, strict=True):
        levels = store.revisions(SPENDING, state)
        levels.index = pd.DatetimeIndex(levels.index.get_level_values("period_start")).year
        levels = levels.reindex(np.arange(levels.index.min(), levels.index.max() + 1))
        # Levels of two releases are at different prices; growth is taken within each.
        growth, years = 100.0 * levels.pct_change(fill_method=None), levels.index
        shown = years >= since
        for name in growth.columns[:-1]:
            ax.plot(years[shown], growth.loc[shown, name], color=MUTED, linewidth=0.6, alpha=0.55)
        newest = growth.columns[-1]
        ax.plot(years[shown], growth.loc[shown, newest], color=PAST, linewidth=1.7)
        ax.axhline(0, color=MUTED, linewidth=0.6)
        ax.set_xticks([year for year in sorted(set(years[shown])) if year % 4 == 0])
        title(ax, STATE_LABELS[state], f"{growth.shape[1]} releases")
        drawn = growth.loc[shown].rename_axis("year").reset_index()
        drawn = drawn.melt("year", var_name="release", value_name="growth").dropna(subset=["growth"])
        tables.append(drawn.assign(state=state))
        spread = drawn.groupby("year")["growth"].agg(lambda values: values.max() - values.min())
        if len(spread):
            said.append(f"{STATE_LABELS[state]} {spread.max():.1f} points in {spread.idxmax()}")
    axes[0].yaxis.set_major_formatter("{x:.0f} %")
    table = pd.concat(tables, ignore_index=True)[["state", "year", "release", "growth"]]
    alt = (
        f"Real growth of military spending since {since} as each release has it, the newest in colour. Where "
        f"releases differ most about a year: {listing(said)}."
    )
    return Plot(figure, alt, table.assign(release=table["release"].astype(str)))
