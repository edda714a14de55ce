"""Folders of finished backtests with made-up forecasts, scored by the tasks' own functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.score.cell_files import CellFolder
from escalation_forecast.score.cells import Cell, CellResult
from escalation_forecast.score.ladder_cases import brier, log_score
from escalation_forecast.score.ladder_task import COLUMNS as LADDER
from escalation_forecast.score.spending_rules import (
    COUNT,
    RULES,
    count_probabilities,
    rule_probabilities,
)
from escalation_forecast.score.spending_task import COLUMNS as SPENDING
from escalation_forecast.score.spending_task import score_growth, score_rules
from escalation_forecast.score.tension_task import COLUMNS as TENSION

STATES = ("CHN", "JPN", "KOR", "TWN", "RUS")
ORIGINS = ("2010p", "2011p", "2012p", "2013p", "2017", "2018", "2020", "2021")
# How far a model's draws are off, and how wide they are.
MODELS = {"pool": (0.5, 2.0), "joint": (0.2, 1.5), "joint-no-budgets": (1.0, 2.0), "mix4": (1.5, 3.0)}


@dataclass(frozen=True)
class Said:
    """A task that says what it is; its cells are written by hand."""

    name: str
    about: dict[str, Any] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        return {"model": "1", **self.about}


def write_cells(
    folder: Path, said: Said, results: dict[Cell, CellResult], seconds: float = 2.0, seed: int = 1
) -> Path:
    """Keep results as a runner does; returns the backtest's own folder."""
    kept = CellFolder.of(folder, said, seed)  # type: ignore[arg-type]
    kept.prepare(said, seed)  # type: ignore[arg-type]
    for cell, result in results.items():
        kept.write(cell, result, seconds)
    return kept.path


def spending(
    folder: Path,
    models: Sequence[str] = tuple(MODELS),
    origins: Sequence[str] = ORIGINS,
    about: dict[str, Any] | None = None,
) -> Path:
    """A backtest of spending; the outcomes do not depend on the models asked for."""
    results = {}
    for model in models:
        for origin in origins:
            results[Cell("spending", model, origin)] = _spending_cell(model, origin)
    return write_cells(folder, Said("spending", about or {"data": "made up"}), results)


def _spending_cell(model: str, origin: str) -> CellResult:
    year = int(origin.removesuffix("p"))
    truth = np.random.default_rng(year).normal(5.0, 3.0, (len(STATES), 3))
    off, width = MODELS[model]
    rng = np.random.default_rng([year, len(model)])
    shape = (200, len(STATES), 3)
    growth = truth + off * rng.normal(size=(1, len(STATES), 3)) + width * rng.normal(size=shape)
    dims = ("sample", "state", "horizon")
    draws = xr.Dataset(
        {
            "first_print": (dims, growth),
            "settled": (dims, growth),
            "window": ((*dims, "age"), np.repeat(growth[..., None], 3, axis=3)),
        },
        coords={"state": list(STATES), "horizon": [1, 2, 3], "age": [0, 1, 2]},
        attrs={"r_hat": 1.01},
    )
    rows = [
        {
            "state": state, "horizon": h, "truth": which, "target_year": year - 1 + h, "strict": True,
            "truth_release": "2026" if which == "release_2026" else str(year + h),
            "outcome": truth[k, h - 1] + (3.0 if which == "release_2026" and state == "RUS" else 0.0),
            "outcome_cumulative": truth[k, :h].sum(),
        }
        for k, state in enumerate(STATES)
        for h in (1, 2, 3)
        for which in ("first_print", "release_2026")
    ]  # fmt: skip
    counted = (np.expm1(truth[:4] / 100.0) >= 0.05).sum(axis=0)
    rules = [
        {
            "question": question, "horizon": h, "truth": which, "target_year": year - 1 + h, "strict": True,
            "truth_release": str(year + h),
            "outcome": float(counted[h - 1] if question == COUNT else counted[h - 1] >= 3),
        }
        for question in (*RULES, COUNT)
        for h in (1, 2, 3)
        for which in ("first_print", "release_2026")
    ]  # fmt: skip
    chances = {name: rule_probabilities(draws, rule) for name, rule in RULES.items()}
    chances[COUNT] = count_probabilities(draws)
    cases = pd.concat(
        [score_growth(draws, pd.DataFrame(rows)), score_rules(chances, pd.DataFrame(rules))],
        ignore_index=True,
    )
    kind = "pseudo" if origin.endswith("p") else "real"
    cases = cases.assign(task="spending", model=model, origin=origin, kind=kind)
    return CellResult(cases.reindex(columns=list(SPENDING)), draws, {"r_hat": 1.01, "seconds": 99.0})


def tension(folder: Path, models: Sequence[str] = ("joint", "pool", "mix_har_harlocal_ses")) -> Path:
    """A backtest of press tension over twelve years."""
    results = {}
    for k, model in enumerate(models):
        for year in range(2005, 2017):
            rng = np.random.default_rng([year, 7])
            crps = 0.2 + 0.02 * k + 0.05 * rng.random((12, 2))
            frame = pd.DataFrame(
                [
                    {
                        "task": "tension", "model": model, "origin": f"{year}-{month:02d}", "series": series,
                        "horizon": h, "truth": "last_revised", "outcome": 0.0, "median": 0.1,
                        "crps": crps[month - 1, s] * h**0.2, "abs_error": 0.1, "pit": 0.5, "inside": True,
                    }
                    for month in range(1, 13)
                    for s, series in enumerate(("CHN", "KOR"))
                    for h in (1, 3)
                ]
            )  # fmt: skip
            results[Cell("tension", model, str(year))] = CellResult(frame[list(TENSION)])
    return write_cells(folder, Said("tension", {"data": "made up"}), results)


def ladder(
    folder: Path, models: Sequence[str] = ("joint", "dyad_history", "decay12", "logit_lags", "mix")
) -> Path:
    """A backtest of the ladder over eight years."""
    results = {}
    for k, model in enumerate(models):
        for year in range(2003, 2011):
            for month in (3, 9):
                rng = np.random.default_rng([year, month])
                y = (rng.random((2, 2)) < 0.4).astype(float)
                p = np.clip(0.3 + 0.3 * y + 0.05 * k * (0.5 - y), 0.02, 0.98)
                frame = pd.DataFrame(
                    [
                        {
                            "task": "ladder", "model": model, "origin": f"{year}-{month:02d}",
                            "theatre": theatre, "horizon": h, "truth": "ladder", "outcome": y[t, s],
                            "probability": p[t, s], "standard_error": np.nan,
                        }
                        for t, theatre in enumerate(("korea", "taiwan"))
                        for s, h in enumerate((1, 12))
                    ]
                )  # fmt: skip
                scored = frame.assign(
                    brier=brier(frame["probability"].to_numpy(), frame["outcome"].to_numpy()),
                    log_score=log_score(frame["probability"].to_numpy(), frame["outcome"].to_numpy()),
                )
                results[Cell("ladder", model, f"{year}-{month:02d}")] = CellResult(scored[list(LADDER)])
    return write_cells(folder, Said("ladder", {"data": "made up"}), results)
