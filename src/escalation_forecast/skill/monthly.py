"""Press tension and use of force in numbers, from the cells of their backtests."""

from __future__ import annotations

from typing import Final

import pandas as pd

from escalation_forecast.score import proper, tension_report
from escalation_forecast.score.ladder_cases import CASE, brier_skill, log_score, score_table
from escalation_forecast.score.ladder_cases import brier as brier_of
from escalation_forecast.score.ladder_pool import METHOD, POOLED, prequential_pool
from escalation_forecast.score.tension_baselines import REFERENCE as TENSION_REFERENCE
from escalation_forecast.skill.folders import Measured

__all__ = [
    "LADDER_REFERENCE", "METHOD", "TENSION_REFERENCE", "ladder_cases", "ladder_reliability", "ladder_scores",
    "ladder_skill", "tension_scores", "tension_series",
]  # fmt: skip

LADDER_REFERENCE: Final = "mix"
JOINT: Final = "joint"
JOINT_IN_POOL: Final = "joint_model"


def tension_scores(measured: Measured) -> pd.DataFrame:
    """`tension_report.report` of the cases of the truth that most have."""
    return tension_report.report(_main_truth(measured.cases))


def tension_series(measured: Measured, model: str) -> pd.DataFrame:
    """Skill by series and horizon."""
    return tension_report.by_series(_main_truth(measured.cases), model)


def _main_truth(cases: pd.DataFrame) -> pd.DataFrame:
    return cases[cases["truth"] == cases["truth"].value_counts().idxmax()]


def ladder_cases(measured: Measured) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Probabilities (theatre, origin, horizon, method, p) and outcomes (theatre, origin, horizon, y).

    Where all its components were run the pool that forecasts use stands among the methods, with the weights
    that were earned by each origin.
    """
    named = measured.cases.rename(columns={"model": "method", "probability": "p", "outcome": "y"})
    named = named.assign(origin=pd.to_datetime(named["origin"], format="%Y-%m"))
    probabilities = named[[*CASE, "method", "p"]]
    truth = named[[*CASE, "y"]].drop_duplicates(list(CASE)).reset_index(drop=True)
    parts = probabilities.replace({"method": {JOINT: JOINT_IN_POOL}})
    if set(POOLED) <= set(parts["method"]):
        pooled, _ = prequential_pool(parts[parts["method"].isin(POOLED)], truth, POOLED)
        probabilities = pd.concat([probabilities, pooled[[*CASE, "method", "p"]]], ignore_index=True)
    return probabilities, truth


def ladder_scores(measured: Measured) -> pd.DataFrame:
    """Brier score, log score and AUC within theatres by method and horizon, on the cases all have."""
    probabilities, truth = ladder_cases(measured)
    shared = probabilities.groupby(list(CASE))["method"].transform("nunique")
    table = score_table(probabilities[shared == probabilities["method"].nunique()], truth)
    return table.sort_values(["horizon", "brier"], ignore_index=True)


def ladder_skill(measured: Measured, reference: str = LADDER_REFERENCE) -> pd.DataFrame:
    """Brier skill of each method against the reference by horizon, with its 90 % interval.

    Returns
    -------
    pandas.DataFrame
        method, horizon, skill, low, high, value, reference_value, n_cases, n_origins.
    """
    probabilities, truth = ladder_cases(measured)
    if reference not in set(probabilities["method"]):
        return pd.DataFrame()
    tables = []
    for method in probabilities["method"].unique():
        if method == reference:
            continue
        table = brier_skill(probabilities, truth, str(method), reference)
        pair = probabilities[probabilities["method"].isin([method, reference])]
        wide = pair.pivot(index=list(CASE), columns="method", values="p").dropna().reset_index()
        wide = wide.merge(truth, on=list(CASE))
        own, other = (
            brier_of(wide[name].to_numpy(float), wide["y"].to_numpy(float)) for name in (method, reference)
        )
        sizes = wide.assign(value=own, reference_value=other).groupby("horizon").agg(
            value=("value", "mean"), reference_value=("reference_value", "mean"), n_cases=("y", "size"),
            n_origins=("origin", "nunique"),
        )  # fmt: skip
        tables.append(table.merge(sizes.reset_index(), on="horizon").assign(method=method))
    return pd.concat(tables, ignore_index=True)


def ladder_reliability(measured: Measured, method: str) -> pd.DataFrame:
    """What the Brier and the log score of a method are made of, by horizon (CORP)."""
    probabilities, truth = ladder_cases(measured)
    own = probabilities[probabilities["method"] == method].merge(truth, on=list(CASE))
    rows = []
    for horizon, part in own.groupby("horizon"):
        p, y = part["p"].to_numpy(float), part["y"].to_numpy(float)
        rows.append({"horizon": horizon, **proper.corp(p, y)[1], "log_score": float(log_score(p, y).mean())})
    return pd.DataFrame(rows)
