"""Fills the tables of ``docs/calibration.md`` and draws its figure; the text between is written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.report.markdown import markdown, number, rows_of
from escalation_forecast.validation.calibration.task import CalibrationTask
from escalation_forecast.validation.calibration.uniform import (
    TESTS,
    Events,
    Places,
    by_block,
    events,
    uniformity,
)
from escalation_forecast.validation.markdown import bare_page, fill

PAGE: Final = "calibration.md"
FIGURE: Final = "calibration"
WORST: Final = 12


def write_page(task: CalibrationTask, cases: pd.DataFrame, cells: pd.DataFrame, out: Path) -> dict[str, str]:
    """Fill the page in the folder, or make it if it is not there; returns its tables."""
    from escalation_forecast.validation.calibration.plots import calibration_figure
    from escalation_forecast.validation.plots import save

    places, asked = Places.of(cases), events(cases)
    found = uniformity(places)
    tables = {
        "fits": fit_rows(task, cells, cases),
        "blocks": block_rows(found),
        "worst": worst_rows(found),
        "probabilities": event_rows(asked),
    }
    path = out / PAGE
    out.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else bare_page(tables, "Calibration")
    path.write_text(fill(text, tables, PAGE), encoding="utf-8")
    save({FIGURE: calibration_figure(places, found, asked)}, out / "images")
    return tables


def fit_rows(task: CalibrationTask, cells: pd.DataFrame, cases: pd.DataFrame) -> str:
    settings, seconds = task.settings, cells["seconds"]
    rows = [
        ("fits", f"{len(cells)}"),
        ("chains x (tuning + draws)", f"{settings.chains} x ({settings.tune} + {settings.draws})"),
        ("quantities ranked", f"{cases['quantity'].nunique()}"),
        ("fits made again, longer", f"{int((cells['attempts'] > 1).sum())}"),
        ("fits with a divergence", f"{int((cells['divergences'] > 0).sum())}"),
        ("smallest effective sample size of a parameter or latent", number(cells["ess"].min(), 0)),
        ("largest R-hat of a fit, median and highest", _r_hat(cells)),
        ("gradients per draw, median", number(cells["steps"].median(), 0)),
        ("seconds per fit, median and all together", f"{seconds.median():.1f}, {seconds.sum():.0f}"),
    ]
    return markdown(("run", ""), rows)


def _r_hat(cells: pd.DataFrame) -> str:
    return f"{cells['r_hat'].median():.3f}, {cells['r_hat'].max():.3f}"


def block_rows(found: pd.DataFrame) -> str:
    header = (
        "block", "quantities", "p-values below 0.05", "largest z of the mean", "smallest p", "adjusted",
        "of",
    )  # fmt: skip
    return markdown(
        header,
        (
            (
                r.block,
                str(r.quantities),
                f"{100 * r.below:.1f} %",
                number(r.largest_z),
                _p(r.p),
                _p(r.holm),
                f"`{r.worst}`",
            )
            for r in rows_of(by_block(found))
        ),
    )


def worst_rows(found: pd.DataFrame) -> str:
    worst = found.sort_values("p").head(WORST)
    return markdown(
        ("quantity", "fits", *TESTS, "mean place", "z of the mean", "adjusted"),
        (
            (
                f"`{r.Index}`",
                str(r.n),
                *(_p(getattr(r, test)) for test in TESTS),
                number(r.mean, 3),
                f"{r.z:+.2f}",
                _p(r.holm),
            )
            for r in rows_of(worst)
        ),
    )


def event_rows(asked: Events) -> str:
    rows = [
        (
            f"{r.low:.2f} to {r.high:.2f}",
            f"{r.n:,}",
            number(r.probability, 3),
            number(r.frequency, 3),
            f"{r.z:+.2f}",
        )
        for r in rows_of(asked.bins)
    ]
    rows.append(("all", f"{asked.n:,}", "", f"{asked.bias:+.4f} off", f"{asked.bias_z:+.2f}"))
    rows.append(("Brier score", f"{asked.n:,}", "", number(asked.brier, 4), f"{asked.brier_z:+.2f}"))
    return markdown(("probability", "answers", "mean", "came true", "z"), rows)


def _p(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"
