"""Figures of the validation page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.report.style import (
    AHEAD,
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
from escalation_forecast.schema import THEATRE_LABELS
from escalation_forecast.validation.latent import EVENTS, standard

DPI: Final = 95
COLOURS: Final = 96
DARK: Final = 0.6  # correlation below which a cell is dark enough for white digits


def save(figures: Mapping[str, Figure], folder: Path) -> None:
    """Each as ``validation_<name>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, format="png")
        # A palette makes the file a third as large.
        with Image.open(drawn) as image:
            flat = image.convert("RGB").quantize(COLOURS)
            flat.save(folder / f"validation_{name}.png", optimize=True)


def latent_figure(posterior: xr.Dataset, now: pd.Timestamp) -> Figure:
    """Median and 80 % interval of every latent; dated events shaded."""
    months = pd.DatetimeIndex(posterior["month"].values)
    known = months <= now
    x = days(months[known])
    risk = standard(posterior)[:, :, known]
    figure, axes = new_figure(9.0, 11.0, len(LATENTS), 1, sharex=True)
    figure.subplots_adjust(left=0.05, right=0.985, top=0.955, bottom=0.03, hspace=0.42)
    for k, (ax, name) in enumerate(zip(axes, LATENTS, strict=True)):
        low, median, high = np.quantile(risk[:, k], [0.1, 0.5, 0.9], axis=0)
        ax.fill_between(x, low, high, color=PAST, alpha=0.2, linewidth=0)
        ax.plot(x, median, color=PAST, linewidth=0.9)
        for event in EVENTS:
            if event.theatre == name:
                ends = days(pd.DatetimeIndex([f"{event.first}-01", f"{event.last}-28"]))
                ax.axvspan(*ends, color=THIRD if event.real else AHEAD, alpha=0.25, linewidth=0)
        title(ax, THEATRE_LABELS[name], "standard deviations of 2010-2019")
        year_axis(ax, months[known], 4)
    figure.text(
        0.985, 0.997, "green: dated crises of this theatre; orange: when the risk should not have risen here",
        fontsize=SMALL, color=MUTED, ha="right", va="top",
    )  # fmt: skip
    return figure


def block_figure(correlations: pd.DataFrame, recent: pd.DataFrame) -> Figure:
    """Correlation of the latents with the full fit, by block left out; two panels."""
    figure, axes = new_figure(10.4, 4.6, 1, 2)
    figure.subplots_adjust(left=0.2, right=0.99, top=0.84, bottom=0.05, wspace=0.05)
    for ax, table, name in zip(axes, (correlations, recent), ("1990 to 2026", "since 2015"), strict=True):
        values = table.to_numpy(float)
        ax.imshow(values, cmap="Blues_r", vmin=0.0, vmax=1.15, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=SMALL + 0.5,
                    color="white" if value < DARK else INK)  # fmt: skip
        short = [THEATRE_LABELS.get(c, c).replace(" ", "\n", 1) for c in table.columns]
        ax.set_xticks(range(len(short)), short, fontsize=SMALL)
        ax.set_yticks(
            range(len(table)), table.index if ax is axes[0] else [""] * len(table), fontsize=SMALL + 1
        )
        ax.xaxis.tick_top()
        ax.grid(visible=False)
        for side in ax.spines.values():
            side.set_visible(False)
        ax.set_title(name, fontsize=9.5, fontweight="bold", color=INK, loc="left", pad=8)
    return figure


def placebo_figure(loadings: pd.DataFrame) -> Figure:
    """Loading as fitted, on permuted figures, and under the prior: mean and 90 % interval."""
    height = 0.21 * len(loadings) + 0.9
    figure, (ax,) = new_figure(8.0, height, 1, 1)
    figure.subplots_adjust(left=0.33, right=0.98, top=1 - 0.45 / height, bottom=0.35 / height)
    y = np.arange(len(loadings))[::-1]
    kinds = (("prior", MUTED, 0.25), ("real", PAST, 0.0), ("placebo", AHEAD, -0.25))
    for kind, colour, shift in kinds:
        low, mean, high = (loadings[f"{kind}_{part}"] for part in ("low", "mean", "high"))
        label = {"placebo": "permuted", "real": "as fitted"}.get(kind, kind)
        ax.hlines(y + shift, low, high, color=colour, linewidth=1.6, alpha=0.6)
        ax.plot(mean, y + shift, "o", color=colour, markersize=3, label=label)
    ax.set_ylim(-0.8, len(y) - 0.2)
    ax.set_yticks(y, loadings["loading"], fontsize=SMALL)
    ax.axvline(0.0, color=MUTED, linewidth=0.6)
    ax.legend(
        fontsize=SMALL, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0.0, 1 + 0.45 / height)
    )
    return figure


def coverage_figure(checked: pd.DataFrame) -> Figure:
    """Share of figures within their one-step 50 and 80 % intervals."""
    height = 0.2 * len(checked) + 0.8
    figure, (ax,) = new_figure(7.0, height, 1, 1)
    figure.subplots_adjust(left=0.3, right=0.98, top=1 - 0.35 / height, bottom=0.3 / height)
    y = np.arange(len(checked))[::-1]
    for level, colour in ((50, PAST), (80, AHEAD)):
        wanted = level / 100
        error = np.sqrt(wanted * (1 - wanted) / checked["n"])
        ax.axvline(wanted, color=colour, linewidth=0.8, alpha=0.7)
        ax.hlines(y, wanted - 2 * error, wanted + 2 * error, color=colour, linewidth=4, alpha=0.13)
        ax.plot(checked[f"within_{level}"], y, "o", color=colour, markersize=3.5, label=f"{level} % interval")
    ax.set_ylim(-0.8, len(y) - 0.2)
    ax.set_yticks(y, checked["item"], fontsize=SMALL)
    ax.set_xlim(0.0, 1.02)
    ax.legend(
        fontsize=SMALL, frameon=False, ncols=2, loc="upper left", bbox_to_anchor=(0.0, 1 + 0.4 / height)
    )
    return figure


def sensitivity_figure(table: pd.DataFrame, default: str) -> Figure:
    """Headline probabilities by variant of the priors; the default with its Monte Carlo error."""
    questions = list(dict.fromkeys(table["question"]))
    variants = [v for v in dict.fromkeys(table["variant"]) if v != default]
    figure, (ax,) = new_figure(8.0, 4.2, 1, 1)
    figure.subplots_adjust(left=0.3, right=0.98, top=0.86, bottom=0.07)
    y = np.arange(len(questions))[::-1]
    colours = [PAST, "#56B4E9", AHEAD, THIRD, "#E69F00", "#CC79A7"]
    by = table.set_index(["variant", "question"])
    base = by.loc[default].loc[questions]
    ax.hlines(
        y, base["p"] - 2 * base["mcse"], base["p"] + 2 * base["mcse"], color=INK, linewidth=7, alpha=0.15
    )
    ax.plot(base["p"], y, "|", color=INK, markersize=14, label="default")
    for n, variant in enumerate(variants):
        ax.plot(by.loc[variant].loc[questions]["p"], y + 0.1 * (n - 2), "o", markersize=4, label=variant,
                color=colours[n % len(colours)])  # fmt: skip
    ax.set_yticks(y, questions, fontsize=SMALL)
    ax.set_xlim(0.0, 1.0)
    ax.legend(fontsize=SMALL, frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(-0.4, 1.18))
    return figure
