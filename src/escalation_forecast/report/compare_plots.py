"""Plots that set several fits beside each other: paths of one theatre, and what a parameter learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

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


def plot_beside(fits: Mapping[str, xr.Dataset], theatre: str, *, years: int = 12) -> Figure:
    """Tension of one theatre by several fits: median and band of 80 % of each, over the last years and ahead.

    Parameters
    ----------
    fits : forecast paths by what is written in the key; up to three.
    """
    figure, (ax,) = new_figure(9.5, 3.7, 1, 1)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.88, bottom=0.09)
    months = pd.DatetimeIndex([])
    for (name, paths), colour, dash in zip(fits.items(), COLOURS, DASHES, strict=False):
        months = pd.DatetimeIndex(paths["month"].values)
        first = pd.Timestamp(paths.attrs["first_forecast_month"])
        shown = months >= first - pd.DateOffset(years=years)
        own = quantiles(all_risk(paths).sel(theatre=theatre))
        at = {q: own.sel(quantile=q).values[shown] for q in ("q10", "q50", "q90")}
        ax.fill_between(months[shown], at["q10"], at["q90"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(months[shown], at["q50"], color=colour, linewidth=1.4, linestyle=dash, label=name)
        months = months[shown]
        ax.axvline(first, color=INK, linewidth=0.7, linestyle=(0, (3, 2)))
    year_axis(ax, months, 2)
    ax.legend(frameon=False, fontsize=SMALL + 0.5, loc="upper left", handlelength=2.6)
    title(ax, THEATRE_LABELS[theatre], "median and 80 %; dashed upright: start of the forecast")
    return figure


def plot_learned(runs: Mapping[str, Run], name: str, label: str = "") -> Figure:
    """A parameter's prior and its posterior in several runs.

    Parameters
    ----------
    name, label : such as ``count_loading`` and ``launches_prk``; the prior is that of the first run.

    Raises
    ------
    DataError
        When a run has no such parameter or label.
    """
    figure, (ax,) = new_figure(7.5, 2.9, 1, 1)
    figure.subplots_adjust(left=0.02, right=0.985, top=0.84, bottom=0.12)
    drawn = {"prior": parameter(next(iter(runs.values())), name, label, group="prior")}
    drawn |= {text: parameter(run, name, label) for text, run in runs.items()}
    low = min(np.quantile(values, 0.001) for values in drawn.values())
    high = max(np.quantile(values, 0.995) for values in drawn.values())
    edges = np.linspace(low, high, BINS)
    middle = (edges[1:] + edges[:-1]) / 2.0
    # Four bins of smoothing: the shape counts, not the noise of a few hundred draws.
    window = np.hanning(7)[1:-1]
    # The first run has the colour that an added fit has in `plot_beside`.
    colours, dashes = (MUTED, *COLOURS[1:], COLOURS[0]), ("-", *DASHES[1:], DASHES[0])
    for (text, values), colour, dash in zip(drawn.items(), colours, dashes, strict=False):
        height = np.convolve(np.histogram(values, edges, density=True)[0], window / window.sum(), "same")
        ax.plot(middle, height, color=colour, linestyle=dash, linewidth=1.5, label=text)
        if text == "prior":
            ax.fill_between(middle, height, color=MUTED, alpha=0.18, linewidth=0)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=SMALL + 0.5, handlelength=2.6)
    title(ax, f"{name}[{label}]" if label else name)
    return figure


def parameter(run: Run, name: str, label: str = "", *, group: str = "posterior") -> np.ndarray:
    """Draws (n,) of a parameter, of one of its labels, from the posterior or the prior of a run.

    Raises
    ------
    DataError
        When the run has no such parameter or label.
    """
    with run.posterior as tree:
        held = tree[group].to_dataset()
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
