"""Calibration from finished backtests, and measured skill as it is stored: plots for a notebook or a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.report.plot import Plot, listing
from escalation_forecast.report.style import AHEAD, GRID, INK, MUTED, PAST, SMALL, new_figure, title
from escalation_forecast.schema import DataError
from escalation_forecast.score import proper
from escalation_forecast.score.ladder_cases import CASE
from escalation_forecast.score.ladder_pool import METHOD
from escalation_forecast.score.spending_cases import FIRST_PRINT
from escalation_forecast.skill import monthly, spending
from escalation_forecast.skill.folders import Measured, gather
from escalation_forecast.skill.plots import THRESHOLD
from escalation_forecast.skill.stored import KINDS, Score, load_skill

__all__ = ["calibration_cases", "plot_calibration", "plot_skill"]

COLUMNS: Final = 3
BAND: Final = 0.9
RESAMPLED: Final = 1000
SEED: Final = 1
BEHIND: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


def calibration_cases(folder: Path | str) -> pd.DataFrame:
    """Chances that forecasts gave at past origins, and what came, from finished backtests.

    Returns
    -------
    DataFrame
        panel (what, and how far ahead), p, outcome (0 or 1): growth of 5 % or more by the first print, and
        use of force, by the model that answers the questions.

    Raises
    ------
    DataError
        When the folder holds no backtest of either.
    """
    tasks = gather([Path(folder)]).tasks
    parts = [_growth(tasks["spending"])] if "spending" in tasks else []
    parts += [_force(tasks["ladder"])] if "ladder" in tasks else []
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if found.empty:
        raise DataError(
            f"{folder} holds no backtest of spending or of force; run `escalation-forecast backtest`."
        )
    return found


def _growth(measured: Measured) -> pd.DataFrame:
    cases = spending.growth_cases(measured.cases)
    model = spending.headline_model(sorted(str(name) for name in cases["model"].unique()))
    own = spending.sample_of(cases, spending.largest(cases), FIRST_PRINT)
    own = own[own["model"] == model].sort_values("horizon", kind="stable")
    ahead = own["horizon"].map(lambda h: f"Growth of 5 % or more, {h} year{'s' if h > 1 else ''} ahead")
    outcome = (own["outcome"].to_numpy(float) >= THRESHOLD).astype(float)
    return pd.DataFrame({"panel": ahead.to_numpy(), "p": own["p_ge_5"].to_numpy(float), "outcome": outcome})


def _force(measured: Measured) -> pd.DataFrame:
    probabilities, truth = monthly.ladder_cases(measured)
    own = probabilities[probabilities["method"] == METHOD]
    both = own.merge(truth, on=list(CASE)).sort_values("horizon", kind="stable")
    ahead = both["horizon"].map(lambda h: f"Use of force, within {h} month{'s' if h > 1 else ''}")
    return pd.DataFrame(
        {"panel": ahead.to_numpy(), "p": both["p"].to_numpy(float), "outcome": both["y"].to_numpy(float)}
    )


def plot_calibration(cases: pd.DataFrame, headline: str = "Are the chances right?") -> Plot:
    """How often events came when given a chance p, isotonic, with the band of a calibrated forecast.

    The band holds 90 % of the curves of outcomes drawn from the forecasts themselves; cases are taken as
    independent, so it is narrower than it should be where they overlap. The table has panel, p, frequency (of
    the isotonic curve), n (cases at p), low and high (of the band), brier and base (share of events).

    Parameters
    ----------
    cases : panel, p, outcome (0 or 1), as of `calibration_cases`.

    Raises
    ------
    DataError
        Without a case, or with numbers that are no probabilities or outcomes.

    References
    ----------
    Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for probabilistic classifiers,
    PNAS 118.
    """
    panels = [(str(name), own) for name, own in cases.groupby("panel", sort=False)]
    if not panels:
        raise DataError("There are no cases to draw; give the chances and outcomes of finished backtests.")
    rows_of_panels = -(-len(panels) // COLUMNS)
    columns = min(COLUMNS, len(panels))
    width, height = 3.3 * columns + 0.5, 3.05 * rows_of_panels + 0.95
    figure, axes = new_figure(width, height, rows_of_panels, columns, sharex=True, sharey=True)
    figure.subplots_adjust(
        left=0.5 / width, right=1 - 0.25 / width, top=1 - 1.05 / height, bottom=0.5 / height,
        hspace=0.28, wspace=0.12,
    )  # fmt: skip
    tables = []
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, (name, own) in zip(axes, panels, strict=False):
        p, y = own["p"].to_numpy(float), own["outcome"].to_numpy(float)
        curve, parts = proper.corp(p, y)
        low, high = _band(p)
        at, came = curve["p"].to_numpy(), curve["recalibrated"].to_numpy()
        ax.fill_between(at, low, high, color=GRID, linewidth=0)
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 2)))
        ax.plot(at, came, color=AHEAD, linewidth=1.7, marker="o", markersize=2.2)
        ax.plot(p, np.full(len(p), -0.045), "|", color=PAST, markersize=5, alpha=0.35)
        ax.set_xlim(-0.02, 1.02)
        ax.set_ylim(-0.09, 1.04)
        ticks = ([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"])
        ax.set_xticks(*ticks)
        ax.set_yticks(*ticks)
        ax.tick_params(labelbottom=True)
        ax.text(
            0.98, 0.13, f"{len(p)} cases, {100 * y.mean():.0f} % came\nBrier {parts['score']:.3f}\n"
            f"off by {parts['miscalibration']:.3f}", fontsize=SMALL, color=INK, va="bottom", ha="right",
            transform=ax.transAxes,
        )  # fmt: skip
        title(ax, name)
        ax.title.set_fontsize(SMALL + 1.2)
        tables.append(
            pd.DataFrame({"panel": name, "p": at, "frequency": came, "n": curve["n"]})
            .assign(low=low, high=high, brier=parts["score"], base=y.mean())
            .assign(miscalibration=parts["miscalibration"])
        )  # fmt: skip
    figure.text(
        0.12 / width, 1 - 0.12 / height, headline, fontsize=12, fontweight="bold", color=INK, va="top"
    )
    figure.text(
        0.12 / width, 1 - 0.4 / height,
        "Chance given (across) and how often it came (up), by isotonic regression. Grey: 90 % of calibrated\n"
        "forecasts with as many cases; on the dashed line both are the same. Ticks below: the chances given.",
        fontsize=8.5, color=MUTED, va="top",
    )  # fmt: skip
    table = pd.concat(tables, ignore_index=True)
    return Plot(figure, _calibration_alt(table, headline), table)


def _band(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each chance given, where the curve lies in 90 % of outcomes drawn from the chances themselves."""
    from scipy.optimize import isotonic_regression

    rng = np.random.default_rng(SEED)
    at, n = np.unique(p, return_counts=True)
    came = rng.binomial(n, at, (RESAMPLED, len(at))) / n
    curves = [isotonic_regression(row, weights=n).x for row in came]
    low, high = np.quantile(curves, [0.5 - BAND / 2, 0.5 + BAND / 2], axis=0)
    return np.asarray(low), np.asarray(high)


def _calibration_alt(table: pd.DataFrame, headline: str) -> str:
    said = []
    for name, own in table.groupby("panel", sort=False):
        outside = (own["frequency"] < own["low"]) | (own["frequency"] > own["high"])
        share = float(own["n"][outside].sum() / own["n"].sum())
        said.append(
            f"{name}: Brier {own['brier'].iloc[0]:.3f}, {100 * share:.0f} % of cases outside the band"
        )
    return (
        f"{headline} How often events came against the chance given to them, in {len(said)} panels, with "
        "the band of "
        f"a calibrated forecast. {'; '.join(said)}."
    )


def plot_skill(scores: Mapping[str, Score] | None = None) -> Plot:
    """Measured skill by kind of question and horizon with its 90 % interval.

    The table has kind, horizon, unit, score, skill, low, high, origins and cases.

    Parameters
    ----------
    scores : as of `stored.load_skill`; by default those stored with the data, which forecasts quote.
    """
    scores = load_skill() if scores is None else scores
    rows = [
        (kind, horizon, own.unit, own.score, *numbers)
        for kind, own in scores.items()
        for horizon, *numbers in zip(
            own.horizons, own.skill, own.low, own.high, own.origins, own.cases, strict=True
        )
    ]
    columns = ["kind", "horizon", "unit", "score", "skill", "low", "high", "origins", "cases"]
    table = pd.DataFrame(rows, columns=columns)
    height = 0.26 * (len(table) + len(scores)) + 1.1
    figure, (ax,) = new_figure(8.2, height, 1, 1)
    figure.subplots_adjust(left=0.2, right=0.83, top=1 - 0.7 / height, bottom=0.35 / height)
    y, ticks = 0.0, []
    for kind, own in table.groupby("kind", sort=False):
        head = f"{KINDS[str(kind)]} ({own['score'].iloc[0]})"
        ax.text(-0.29, y, head, fontsize=SMALL + 1, fontweight="bold", color=INK, va="center", bbox=BEHIND,
                transform=ax.get_yaxis_transform())  # fmt: skip
        for row in own.to_dict("records"):
            y += 1
            sure = row["low"] > 0 or row["high"] < 0
            ax.plot([100 * row["low"], 100 * row["high"]], [y, y], color=PAST, linewidth=2.4, alpha=0.45)
            ax.plot(
                100 * row["skill"],
                y,
                "o",
                color=PAST if sure else "white",
                markeredgecolor=PAST,
                markersize=5,
            )
            unit = row["unit"] + ("s" if row["horizon"] > 1 else "")
            ticks.append((y, f"{row['horizon']} {unit}"))
            ax.annotate(
                f"{100 * row['skill']:+.0f} % ({row['origins']} origins)", (1.02, y), fontsize=SMALL + 0.5,
                xycoords=("axes fraction", "data"), color=INK, va="center", annotation_clip=False,
            )  # fmt: skip
        y += 1
    ax.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    ax.set_ylim(max(y, 1.0) - 0.4, -0.7)
    ax.axvline(0.0, color=INK, linewidth=0.8)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x", color=GRID, linewidth=0.7)
    ax.xaxis.set_major_formatter("{x:+.0f} %")
    figure.text(0.012, 1 - 0.12 / height, "Skill at past origins against simple methods", fontsize=12,
                fontweight="bold", color=INK, va="top")  # fmt: skip
    below = "Right of the line is better; 90 % intervals, hollow where zero is inside."
    figure.text(0.012, 1 - 0.38 / height, below, fontsize=8.5, color=MUTED, va="top")
    return Plot(figure, _skill_alt(table), table)


def _skill_alt(table: pd.DataFrame) -> str:
    if table.empty:
        return "No skill is stored for any kind of question."
    said = []
    for kind, own in table.groupby("kind", sort=False):
        parts = ", ".join(f"{100 * row['skill']:+.0f} %" for row in own.to_dict("records"))
        ahead = ", ".join(str(h) for h in own["horizon"])
        said.append(f"{KINDS[str(kind)]} {parts} at {ahead} {own['unit'].iloc[0]}s")
    clear = int((table["low"] > 0).sum())
    return (
        "Skill of the forecasts at past origins against simple methods, with 90 % intervals: "
        f"{listing(said)}. "
        f"{clear} of {len(table)} are clear of zero."
    )
