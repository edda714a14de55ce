"""Scores of the press-tension forecasts beside the mixture that the protocol asks to beat."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.compare import diebold_mariano, shared_cases, skill
from escalation_forecast.score.tension_baselines import REFERENCE
from escalation_forecast.score.tension_cases import FIRST_ORIGIN

BLOCK_YEARS: Final = 2
FEWEST_BLOCKS: Final = 4  # fewer cannot say how much blocks differ
REPLICATES: Final = 4000
INTERVAL: Final = (0.05, 0.95)
# What was chosen by looking was chosen on origins before this year.
TUNED_BEFORE: Final = 2018


def report(cases: pd.DataFrame) -> pd.DataFrame:
    """Mean scores by model and horizon, and skill against the reference on the cases that both have.

    Parameters
    ----------
    cases : of `TensionTask`.

    Returns
    -------
    pandas.DataFrame
        horizon, model, n_cases, crps, abs_error, coverage (of the central 90 %), skill in CRPS with its
        90 % interval over blocks of two calendar years of origins (low, high), p of the Diebold-Mariano
        test on monthly means, and skill_later on origins from 2018 on, which nothing was tuned on.
        Without the reference among the models the last five are missing.
    """
    if cases.empty:
        raise DataError("No case has a score; run the cells that failed again.")
    grouped = cases.groupby(["horizon", "model"])
    table = grouped.agg(
        n_cases=("crps", "size"), crps=("crps", "mean"), abs_error=("abs_error", "mean"),
        coverage=("inside", "mean"),
    ).reset_index()  # fmt: skip
    if REFERENCE not in set(cases["model"]):
        return table
    rows = [
        tension_skill(part, model)
        for horizon, part in cases.groupby("horizon")
        for model in part["model"].unique()
        if model != REFERENCE and REFERENCE in set(part["model"])
    ]
    found = pd.DataFrame(rows, columns=["horizon", "model", "skill", "low", "high", "p", "skill_later"])
    return table.merge(found, on=["horizon", "model"], how="left").sort_values(
        ["horizon", "crps"], ignore_index=True
    )


def tension_skill(cases: pd.DataFrame, model: str, reference: str = REFERENCE) -> dict[str, float | str]:
    """Skill of a model at one horizon, its interval and its test.

    Origins are months and their windows overlap, so whole blocks of two years are drawn; the interval is
    missing with fewer than four.
    """
    horizon = int(cases["horizon"].iloc[0])
    wide = shared_cases(cases, ("origin", "series"), "crps", [model, reference])
    by_origin = wide.groupby(level="origin").sum().sort_index()
    counts = wide.groupby(level="origin").size().reindex(by_origin.index).to_numpy(float)
    years = by_origin.index.str[:4].astype(int).to_numpy()
    own, other = by_origin[model].to_numpy(), by_origin[reference].to_numpy()
    block = (years - FIRST_ORIGIN.year) // BLOCK_YEARS
    sums = np.array([[x[block == b].sum() for b in np.unique(block)] for x in (own, other)])
    low = high = float("nan")
    if sums.shape[1] >= FEWEST_BLOCKS:
        rng = np.random.default_rng(horizon)
        drawn = sums[:, rng.integers(sums.shape[1], size=(REPLICATES, sums.shape[1]))].sum(axis=2)
        low, high = np.quantile(1.0 - drawn[0] / drawn[1], INTERVAL)
    later = years >= TUNED_BEFORE
    return {
        "horizon": horizon,
        "model": model,
        "skill": skill(own, other),
        "low": float(low),
        "high": float(high),
        "p": diebold_mariano((own - other) / counts, horizon)[1],
        "skill_later": skill(own[later], other[later]) if later.any() else float("nan"),
    }


def by_series(cases: pd.DataFrame, model: str, reference: str = REFERENCE) -> pd.DataFrame:
    """Skill in CRPS by series (rows) and horizon (columns)."""
    wide = shared_cases(cases, ("origin", "series", "horizon"), "crps", [model, reference])
    sums = wide.groupby(level=["series", "horizon"]).sum()
    return (1.0 - sums[model] / sums[reference]).unstack("horizon")
