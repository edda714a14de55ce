"""What the data did to parameters: prior against posterior, a panel for each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.compare_plots import drawn_of
from escalation_forecast.report.plot import Plot, largest
from escalation_forecast.report.style import AHEAD, INK, MUTED, SMALL, frame, new_figure, title

if TYPE_CHECKING:
    from escalation_forecast.archive import Run

COLUMNS: Final = 3
POINTS: Final = 160
EDGE: Final = (0.002, 0.998)
LABELLED: Final = re.compile(r"([A-Za-z_]\w*)(?:\[(.+)\])?")


def plot_prior_posterior(run: Run, names: Sequence[str]) -> Plot:
    """Densities of parameters before and after the data, with the mean and 80 % of each below.

    The table has parameter, kind (prior or posterior), x, density, and of each kind mean, sd, low and high
    (80 %).

    Parameters
    ----------
    names : such as ``phi_global`` or ``count_loading[launches_prk]``.

    Raises
    ------
    DataError
        When the run has no such parameter or label.
    """
    names = [names] if isinstance(names, str) else list(names)
    rows_of_panels = max(-(-len(names) // COLUMNS), 1)
    columns = min(COLUMNS, max(len(names), 1))
    height = 2.05 * rows_of_panels + 0.98
    figure, axes = new_figure(3.5 * columns + 0.3, height, rows_of_panels, columns)
    figure.subplots_adjust(
        left=0.02, right=0.985, top=1 - 0.98 / height, bottom=0.55 / height, hspace=0.55, wspace=0.08
    )
    parts: list[pd.DataFrame] = []
    for ax in axes[len(names) :]:
        ax.set_visible(False)
    with run.posterior as tree:
        groups = {kind: tree[kind].to_dataset() for kind in ("prior", "posterior")}
        every = [{kind: drawn_of(held, *_split(name)) for kind, held in groups.items()} for name in names]
    for ax, name, drawn in zip(axes, names, every, strict=False):
        x = _grid(list(drawn.values()))
        top = 0.0
        for kind, colour, dash in (("prior", MUTED, (0, (4, 1.5))), ("posterior", AHEAD, "-")):
            values = drawn[kind]
            density = _density(values, x)
            top = max(top, float(density.max()))
            ax.plot(x, density, color=colour, linewidth=1.5, linestyle=dash, label=kind)
            low, high = np.quantile(values, [0.1, 0.9])
            part = pd.DataFrame({"parameter": name, "kind": kind, "x": x, "density": density})
            parts.append(part.assign(mean=values.mean(), sd=values.std(), low=low, high=high))
            if kind == "prior":
                ax.fill_between(x, density, color=MUTED, alpha=0.15, linewidth=0)
        for place, (kind, colour) in enumerate((("prior", MUTED), ("posterior", AHEAD))):
            low, high = np.quantile(drawn[kind], [0.1, 0.9])
            y = -top * (0.07 + 0.08 * place)
            ax.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
            ax.plot(drawn[kind].mean(), y, "o", color=colour, markersize=4)
        ax.set_yticks([])
        ax.set_ylim(-0.22 * top, 1.08 * top)
        ax.grid(visible=False)
        ax.axhline(0, color=MUTED, linewidth=0.5)
        title(ax, name)
        ax.title.set_fontsize(SMALL + 1.5)
        ax.get_xaxis().set_tick_params(labelcolor=INK)
    figure.legend(
        *axes[0].get_legend_handles_labels(), frameon=False, fontsize=SMALL + 1, ncols=2, handlelength=2.4,
        loc="upper right", bbox_to_anchor=(0.99, 1.0),
    )  # fmt: skip
    frame(
        figure, "Before and after the data",
        "Densities; below them the mean and 80 % of prior and posterior.",
        run.summary,
    )  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    return Plot(figure, _alt(table), table)


def _split(name: str) -> tuple[str, str]:
    """Parameter and label of such as ``phi[taiwan]``."""
    found = LABELLED.fullmatch(name)
    return (found[1], found[2] or "") if found else (name, "")


def _grid(drawn: Sequence[np.ndarray]) -> np.ndarray:
    """From the least to the largest of what is drawn; a long tail of the prior is cut at five widths."""
    ends = np.array([np.quantile(values, EDGE) for values in drawn])
    width = float(ends[1, 1] - ends[1, 0]) or 1.0
    low = max(float(ends[:, 0].min()), float(ends[1, 0]) - 5 * width)
    high = min(float(ends[:, 1].max()), float(ends[1, 1]) + 5 * width)
    return np.linspace(low, high, POINTS)


def _density(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Normal kernel with the width of Silverman (1986, eq. 3.31), mirrored at the ends of the draws' "
    "support."""
    from scipy.ndimage import gaussian_filter1d

    spread = min(float(values.std()), float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.34)
    if spread <= 0.0:
        return np.zeros_like(x)
    width = 0.9 * spread * len(values) ** -0.2
    low, high = float(values.min()), float(values.max())
    edges = np.linspace(low, high, max(int(4 * (high - low) / width), 8) + 1)
    step = float(edges[1] - edges[0])
    mass = np.histogram(values, edges)[0] / (len(values) * step)
    smooth = gaussian_filter1d(mass, width / step, mode="reflect")
    return np.asarray(np.interp(x, (edges[1:] + edges[:-1]) / 2.0, smooth, left=0.0, right=0.0))


def _alt(table: pd.DataFrame) -> str:
    each = (
        table.groupby(["parameter", "kind"], sort=False)[["mean", "sd", "low", "high"]].first().reset_index()
    )
    prior = each[each["kind"] == "prior"].set_index("parameter")
    after = each[each["kind"] == "posterior"].set_index("parameter")
    said = [
        f"{name} {prior['mean'][name]:.3g} ({prior['sd'][name]:.2g}) to {after['mean'][name]:.3g} "
        f"({after['sd'][name]:.2g})"
        for name in after.index
    ]
    moved = ((after["mean"] - prior["mean"]) / prior["sd"]).abs()
    most = largest(moved.rename("by").reset_index(), moved)
    return (
        f"Densities of {len(said)} parameters before and after the data. Mean (standard deviation) of "
        "prior and "
        f"posterior: {'; '.join(said)}. {most['parameter']} moves most, by {most['by']:.1f} standard "
        "deviations of "
        "its prior."
    )
