"""Plots that set several fits beside each other: paths of one theatre, and what a parameter learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.report.plot import Plot, listing, of_run, quantile_table
from escalation_forecast.report.style import (
    AHEAD,
    INK,
    MUTED,
    PAST,
    SMALL,
    THIRD,
    new_figure,
    title,
    year_axis,
)
from escalation_forecast.report.tables import all_risk, quantiles
from escalation_forecast.schema import THEATRE_LABELS, DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

COLOURS: Final = (PAST, AHEAD, THIRD)
DASHES: Final = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))
BINS: Final = 60


def plot_beside(fits: Mapping[str, Run | xr.Dataset], theatre: str, *, years: int = 12) -> Plot:
    """Tension of one theatre by several fits: median and band of 80 % of each, over the last years and ahead.

    Parameters
    ----------
    fits : runs or their forecast paths by what is written in the key; up to three.

    The table has fit, month, q10, q50 and q90.
    """
    tables = []
    figure, (ax,) = new_figure(9.5, 3.7, 1, 1)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.88, bottom=0.09)
    months = pd.DatetimeIndex([])
    for (name, fit), colour, dash in zip(fits.items(), COLOURS, DASHES, strict=False):
        paths, _ = of_run(fit)
        months = pd.DatetimeIndex(paths["month"].values)
        first = pd.Timestamp(paths.attrs["first_forecast_month"])
        shown = months >= first - pd.DateOffset(years=years)
        own = quantiles(all_risk(paths).sel(theatre=theatre))
        at = {q: own.sel(quantile=q).values[shown] for q in ("q10", "q50", "q90")}
        ax.fill_between(months[shown], at["q10"], at["q90"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(months[shown], at["q50"], color=colour, linewidth=1.4, linestyle=dash, label=name)
        months = months[shown]
        levels = own.sel(quantile=["q10", "q50", "q90"]).isel(month=shown)
        tables.append(quantile_table(levels).assign(fit=name, start=first))
        ax.axvline(first, color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
    year_axis(ax, months, 2)
    ax.legend(frameon=False, fontsize=SMALL + 0.5, loc="upper left", handlelength=2.6)
    title(ax, THEATRE_LABELS[theatre], "median and 80 %; dashed upright: start of the forecast")
    table = pd.concat(tables, ignore_index=True)[["fit", "month", "q10", "q50", "q90", "start"]]
    return Plot(figure, _beside_alt(table, THEATRE_LABELS[theatre]), table.drop(columns="start"))


def _beside_alt(table: pd.DataFrame, theatre: str) -> str:
    said = []
    for name, own in table.groupby("fit", sort=False):
        now = own[own["month"] < own["start"]]["q50"].iloc[-1]
        said.append(f"{name} {now:+.1f} now and {own['q50'].iloc[-1]:+.1f} at the end")
    return f"Tension of {theatre} by fit, in standard deviations of 2010-2019. Medians: {listing(said)}."


def plot_learned(runs: Mapping[str, Run], name: str, label: str = "") -> Plot:
    """A parameter's prior and its posterior in several runs.

    Parameters
    ----------
    name, label : such as ``count_loading`` and ``launches_prk``; the prior is that of the first run.

    The table has curve, x and density.

    Raises
    ------
    DataError
        When a run has no such parameter or label.
    """
    figure, (ax,) = new_figure(7.5, 2.9, 1, 1)
    figure.subplots_adjust(left=0.02, right=0.985, top=0.84, bottom=0.12)
    drawn: dict[str, np.ndarray] = {}
    for text, run in runs.items():
        with run.posterior as tree:
            if not drawn:
                drawn["prior"] = drawn_of(tree["prior"].to_dataset(), name, label)
            drawn[text] = drawn_of(tree["posterior"].to_dataset(), name, label)
    low = min(np.quantile(values, 0.001) for values in drawn.values())
    high = max(np.quantile(values, 0.995) for values in drawn.values())
    edges = np.linspace(low, high, BINS)
    middle = (edges[1:] + edges[:-1]) / 2.0
    # Four bins of smoothing: the shape counts, not the noise of a few hundred draws.
    window = np.hanning(7)[1:-1]
    # The first run has the colour that an added fit has in `plot_beside`.
    tables: list[pd.DataFrame] = []
    colours, dashes = (MUTED, *COLOURS[1:], COLOURS[0]), ("-", *DASHES[1:], DASHES[0])
    for (text, values), colour, dash in zip(drawn.items(), colours, dashes, strict=False):
        height = np.convolve(np.histogram(values, edges, density=True)[0], window / window.sum(), "same")
        ax.plot(middle, height, color=colour, linestyle=dash, linewidth=1.5, label=text)
        if text == "prior":
            ax.fill_between(middle, height, color=MUTED, alpha=0.18, linewidth=0)
        tables.append(pd.DataFrame({"curve": text, "x": middle, "density": height}))
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=SMALL + 0.5, handlelength=2.6)
    what = f"{name}[{label}]" if label else name
    title(ax, what)
    said = [f"{text} {values.mean():.3g} ({values.std():.2g})" for text, values in drawn.items()]
    alt = f"Densities of {what} before and after the data. Mean and standard deviation: {listing(said)}."
    return Plot(figure, alt, pd.concat(tables, ignore_index=True))


def parameter(run: Run, name: str, label: str = "", *, group: str = "posterior") -> np.ndarray:
    """Draws (n,) of a parameter, of one of its labels, from the posterior or the prior of a run.

    Raises
    ------
    DataError
        When the run has no such parameter or label.
    """
    with run.posterior as tree:
        return drawn_of(tree[group].to_dataset(), name, label)


def drawn_of(held: xr.Dataset, name: str, label: str = "") -> np.ndarray:
    """Draws (n,) of a parameter, of one of its labels, from a group of a posterior.

    Raises
    ------
    DataError
        When the group has no such parameter or label.
    """
    if name not in held:
        raise DataError(f"The run has no parameter `{name}`{nearest(name, [str(one) for one in held])}.")
    values = held[name].stack(sample=("chain", "draw"))
    dims = [dim for dim in values.dims if dim != "sample"]
    if len(dims) != bool(label):
        wanted = f"a label of {dims[0]}" if dims else "no label"
        raise DataError(f"{name} takes {wanted}; name one parameter to plot.")
    if label:
        known = [str(one) for one in values[dims[0]].values]
        if label not in known:
            raise DataError(f"{name} has no label `{label}`{nearest(label, known)}.")
        values = values.sel({dims[0]: label})
    return np.asarray(values.values, float)
