"""Figures of the page: scores by horizon and by state, calibration, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, THIRD, new_figure, title
from escalation_forecast.score import proper

__all__ = ["pit_figure", "reliability_figure", "save", "score_figure", "state_figure"]

BINS: Final = 10
THRESHOLD: Final = 100.0 * float(np.log1p(0.05))
COLOURS: Final = (AHEAD, PAST, THIRD)
BAND: Final = 0.9
RESAMPLED: Final = 300


def save(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Each figure as ``skill_<name>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in figures.items():
        path = folder / f"skill_{name}.png"
        figure.savefig(path, dpi=110, metadata={"Software": None})
        paths.append(path)
    return paths


def score_figure(table: pd.DataFrame, headline: str, first: Sequence[str]) -> Figure:
    """Mean CRPS of each model, a panel for each horizon.

    Parameters
    ----------
    table : model, horizon, crps, of models with the same cases.
    first : models to mark with a colour.
    """
    horizons = sorted(table["horizon"].unique())
    wide = table.pivot(index="model", columns="horizon", values="crps")
    order = list(wide.mean(axis=1).sort_values(ascending=False).index)
    height = 1.35 + 0.2 * len(order)
    figure, axes = new_figure(10, height, 1, len(horizons), sharey=True)
    for ax, horizon in zip(axes, horizons, strict=True):
        values = wide.loc[order, horizon].to_numpy(float)
        colours = [COLOURS[first.index(name)] if name in first else MUTED for name in order]
        ax.hlines(range(len(order)), values.min() * 0.98, values, color=GRID, linewidth=1.2)
        ax.scatter(values, range(len(order)), color=colours, s=26, zorder=3)
        for y, value in enumerate(values):
            ax.annotate(f"{value:.2f}", (value, y), (5, 0), textcoords="offset points", va="center",
                        fontsize=SMALL, color=INK)  # fmt: skip
        ax.set_xlim(values.min() * 0.98, values.max() + 0.14 * (values.max() - values.min() * 0.98))
        ax.set_yticks(range(len(order)), order)
        ax.grid(visible=False)
        title(ax, _years(horizon))
    _frame(figure, headline, "Mean CRPS, points of growth; less is better.", left=0.16, top=1 - 0.95 / height,
           bottom=0.3 / height)  # fmt: skip
    return figure


def pit_figure(cases: pd.DataFrame, models: Sequence[str], headline: str) -> Figure:
    """Where outcomes fell in the forecast distributions, models in rows and horizons in columns.

    Parameters
    ----------
    cases : model, horizon, pit.

    The band holds 90 % of what a calibrated forecast would show with as many independent cases.
    """
    horizons = sorted(cases["horizon"].unique())
    size = (3.1 * len(horizons) + 0.8, 1.75 * len(models) + 1.1)
    figure, axes = new_figure(*size, len(models), len(horizons), sharex=True)
    grid = axes.reshape(len(models), len(horizons))
    for row, model in enumerate(models):
        for column, horizon in enumerate(horizons):
            ax = grid[row, column]
            own = cases.loc[(cases["model"] == model) & (cases["horizon"] == horizon), "pit"].to_numpy(float)
            counts, edges = np.histogram(own, bins=BINS, range=(0.0, 1.0))
            low, high = _flat_band(len(own))
            ax.axhspan(low, high, color=GRID, linewidth=0, zorder=0)
            ax.bar(edges[:-1], counts, width=0.092, align="edge", color=COLOURS[row % 3], alpha=0.85)
            ax.grid(visible=False)
            ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
            name = f"{model}, {_years(horizon)}"
            title(ax, "", f"{name}: {len(own)} outcomes")
    _frame(
        figure, headline,
        "Share of the forecast distribution below the outcome. Grey: 90 % of what a calibrated forecast "
        "would show.",
        left=0.06, top=1 - 0.92 / size[1], bottom=0.4 / size[1],
    )  # fmt: skip
    return figure


def _flat_band(n: int) -> tuple[float, float]:
    from scipy.stats import binom

    return tuple(float(binom.ppf(level, n, 1.0 / BINS)) for level in (0.05, 0.95))  # type: ignore[return-value]


def reliability_figure(cases: pd.DataFrame, models: Sequence[str], headline: str) -> Figure:
    """How often growth was 5 % or more when it was given a chance p, isotonic, by model and horizon.

    Parameters
    ----------
    cases : model, horizon, p_ge_5, outcome.

    The band holds 90 % of the curves of outcomes drawn from the forecasts themselves.
    """
    horizons = sorted(cases["horizon"].unique())
    size = (3.1 * len(horizons) + 0.8, 3.0 * len(models) + 1.0)
    figure, axes = new_figure(*size, len(models), len(horizons), sharex=True, sharey=True)
    grid = axes.reshape(len(models), len(horizons))
    for row, model in enumerate(models):
        for column, horizon in enumerate(horizons):
            own = cases[(cases["model"] == model) & (cases["horizon"] == horizon)]
            p = own["p_ge_5"].to_numpy(float)
            _reliability(
                grid[row, column], p, (own["outcome"].to_numpy(float) >= THRESHOLD), COLOURS[row % 3]
            )
            title(grid[row, column], "", f"{model}, {_years(horizon)}")
    _frame(
        figure, headline,
        "Forecast chance of growth of 5 % or more (x), and how often it came (y), by CORP. Grey: 90 % band "
        "of a calibrated forecast.",
        left=0.06, top=1 - 0.92 / size[1], bottom=0.4 / size[1],
    )  # fmt: skip
    return figure


def _reliability(ax: Axes, p: np.ndarray, y: np.ndarray, colour: str) -> None:
    curve, parts = proper.corp(p, y.astype(float))
    rng = np.random.default_rng(1)
    drawn = [
        proper.corp(p, (rng.random(len(p)) < p).astype(float))[0]["recalibrated"].to_numpy()
        for _ in range(RESAMPLED)
    ]
    low, high = np.quantile(drawn, [0.5 - BAND / 2, 0.5 + BAND / 2], axis=0)
    at = curve["p"].to_numpy()
    ax.fill_between(at, low, high, color=GRID, linewidth=0, step=None)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.7)
    ax.plot(at, curve["recalibrated"], color=colour, linewidth=1.6)
    ax.plot(p, np.full(len(p), -0.03), "|", color=colour, markersize=4, alpha=0.35)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.06, 1.04)
    ax.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    ax.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    ax.text(
        0.03, 0.97, f"Brier {parts['score']:.3f}\nmiscalibration {parts['miscalibration']:.3f}\n"
        f"discrimination {parts['discrimination']:.3f}",
        fontsize=SMALL, color=INK, va="top", transform=ax.transAxes,
    )  # fmt: skip


def state_figure(table: pd.DataFrame, headline: str, reference: str) -> Figure:
    """Skill by state, a colour for each horizon.

    Parameters
    ----------
    table : state, horizon, skill.
    """
    wide = table.pivot(index="state", columns="horizon", values="skill")
    wide = wide.loc[wide.mean(axis=1).sort_values().index]
    height = 1.4 + 0.24 * len(wide)
    figure, axes = new_figure(7.5, height, 1, 1)
    ax = axes[0]
    ax.axvline(0, color=MUTED, linewidth=0.8)
    for k, horizon in enumerate(wide.columns):
        ax.scatter(wide[horizon], np.arange(len(wide)) + 0.17 * (1 - k), color=COLOURS[k % 3], s=22, zorder=3,
                   label=_years(int(horizon)))  # fmt: skip
    ax.set_yticks(range(len(wide)), list(wide.index))
    ax.grid(axis="y", color=GRID, linewidth=0.7)
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f} %" if value else "0")
    ax.legend(loc="lower right", fontsize=SMALL + 0.5, frameon=False)
    _frame(
        figure, headline, f"Skill in CRPS against {reference}; right of the line is better.",
        left=0.08, top=1 - 0.7 / height, bottom=0.4 / height,
    )  # fmt: skip
    return figure


def _years(horizon: int) -> str:
    return f"{horizon} year{'s' if horizon > 1 else ''} ahead"


def _frame(figure: Figure, headline: str, subtitle: str, *, left: float, top: float, bottom: float) -> None:
    height = figure.get_size_inches()[1]
    figure.text(0.012, 1 - 0.12 / height, headline, fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(0.012, 1 - 0.38 / height, subtitle, fontsize=8.5, color=MUTED, va="top")
    figure.subplots_adjust(left=left, right=0.98, top=top, bottom=bottom, wspace=0.18, hspace=0.32)
