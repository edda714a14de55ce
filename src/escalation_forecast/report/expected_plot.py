"""What the model expects of each monthly indicator, beside what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.indicator_rows import LOG_OFFSET
from escalation_forecast.report.plot import Plot, largest
from escalation_forecast.report.style import (
    AHEAD,
    GRID,
    INK,
    MUTED,
    PAST,
    SMALL,
    days,
    frame,
    new_figure,
    title,
    year_axis,
)  # fmt: skip
from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.archive import Run
    from escalation_forecast.panel import Panel
    from escalation_forecast.store import Store

MONTHLY: Final = ("news", "count", "share", "ordinal")
COLUMNS: Final = 4
DRAWS: Final = 500
LEVELS: Final = (0.1, 0.5, 0.9)
FEWEST: Final = 12  # figures, for an indicator to be named as the one that fits least


def expected(panel: Panel, posterior: xr.Dataset, *, years: int = 12, seed: int = 1) -> pd.DataFrame:
    """Each figure of the last years, and the posterior predictive distribution for its month.

    Given the figure of the month before, where the model has that link, and a latent that has seen all
    figures: in sample. The ladder is in classes (0 below a display of force, 1 display, 2 use of force);
    other figures are in their own unit, which a mean of several series has not.

    Returns
    -------
    DataFrame
        indicator, block, month, observed, q10, q50, q90, inside (whether it lies in that 80 %).
    """
    from escalation_forecast.draws import Draws
    from escalation_forecast.replicate import replicates

    step = max(1, posterior.sizes["chain"] * posterior.sizes["draw"] // DRAWS)
    draws = Draws(posterior.isel(draw=slice(None, None, step)))
    rng = np.random.default_rng(seed)
    since = panel.months[panel.now] - pd.DateOffset(years=years)
    parts = []
    for one in replicates(panel, draws, rng):
        if one.block not in MONTHLY:
            continue
        months = panel.months[one.position % len(panel.months)]
        low, median, high = np.quantile(one.one_step, LEVELS, axis=0)
        y = one.y
        if one.block == "news":
            item: Any = panel.items["reading"].loc[one.item]
            y, low, median, high = (
                _own_unit(v, float(item["mean"]), float(item["sd"]), bool(item["log"]))
                for v in (y, low, median, high)
            )
        part = pd.DataFrame({"month": months, "observed": y, "q10": low, "q50": median, "q90": high})
        part.insert(0, "block", one.block)
        part.insert(0, "indicator", one.item)
        parts.append(part.sort_values("month"))
    table = pd.concat(parts, ignore_index=True)
    table = table[table["month"] > since].reset_index(drop=True)
    return table.assign(inside=table["observed"].between(table["q10"], table["q90"]))


def _own_unit(y: np.ndarray, mean: float, sd: float, log: bool) -> np.ndarray:
    value = y * sd + mean
    return np.asarray(np.exp(value) - LOG_OFFSET if log else value)


def plot_expected(run: Run, store: Store | None = None, *, years: int = 12, seed: int = 1) -> Plot:
    """Monthly indicators over the last years, each figure beside what the model expects of its month.

    The table is that of `expected`.

    Parameters
    ----------
    store : the data that the run was made with; by default the embedded ones.

    Raises
    ------
    DataError
        When the data are not those of the run.
    """
    from escalation_forecast.panel import build_panel
    from escalation_forecast.store import Store

    day = pd.Timestamp(run.summary["as_of"])
    panel = build_panel((store or Store.embedded()).as_of(day), day)
    if panel.content_hash != run.summary["data"]["content_hash"]:
        raise DataError(
            f"The data known on {day:%Y-%m-%d} are not those of run {run.summary['run_id']}; give the "
            "store that "
            "it was made with."
        )
    with run.posterior as tree:
        table = expected(panel, tree["posterior"].to_dataset().load(), years=years, seed=seed)
    names = list(dict.fromkeys(table["indicator"]))
    rows_of_panels = -(-len(names) // COLUMNS)
    height = 1.55 * rows_of_panels + 1.0
    figure, axes = new_figure(13, height, rows_of_panels, COLUMNS)
    figure.subplots_adjust(
        left=0.035, right=0.988, top=1 - 0.95 / height, bottom=0.5 / height, hspace=0.55, wspace=0.16
    )
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    span = pd.DatetimeIndex([table["month"].min(), panel.months[panel.now]])
    for ax, name in zip(axes, names, strict=False):
        own = table[table["indicator"] == name]
        at = days(pd.DatetimeIndex(own["month"]))
        # Months without a figure stay empty.
        every = pd.date_range(own["month"].min(), own["month"].max(), freq="MS")
        band = own.set_index("month")[["q10", "q50", "q90"]].reindex(every)
        ax.fill_between(days(every), band["q10"], band["q90"], step="mid", color=GRID, linewidth=0)
        ax.plot(days(every), band["q50"], color=MUTED, linewidth=0.9, drawstyle="steps-mid")
        for inside, colour, mark, size in ((True, PAST, "o", 1.7), (False, AHEAD, "D", 2.4)):
            part = (own["inside"] == inside).to_numpy()
            ax.plot(at[part], own["observed"][part], mark, color=colour, markersize=size)
        year_axis(ax, span, 4)
        title(ax, name, f"{100 * own['inside'].mean():.0f} % inside")
        ax.title.set_fontsize(SMALL + 1.5)
        ax.tick_params(labelcolor=INK)
    frame(
        figure, "What the model expects of each indicator, month by month",
        "Grey: median and 80 % given the month before and a latent that has seen the figure. Dots: observed, "
        "diamonds those outside.", run.summary,
        "In sample. The ladder in classes: 0 less, 1 display of force, 2 use of force.",
    )  # fmt: skip
    return Plot(figure, _alt(table, len(names)), table)


def _alt(table: pd.DataFrame, n: int) -> str:
    shares = table.groupby("indicator", sort=False)["inside"].agg(["mean", "size"]).reset_index()
    shares = shares[shares["size"] >= min(FEWEST, int(shares["size"].max()))]
    low, high = largest(shares, -shares["mean"]), largest(shares, shares["mean"])
    return (
        f"Figures of {n} monthly indicators from {table['month'].min():%B %Y} beside what the model "
        "expects of each "
        f"month. {100 * table['inside'].mean():.0f} % of {len(table):,} figures lie in the 80 % interval, "
        "least often "
        f"those of {low['indicator']} ({100 * low['mean']:.0f} %), most often those of {high['indicator']} "
        f"({100 * high['mean']:.0f} %)."
    )
