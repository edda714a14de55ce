"""Scores of the ladder forecasts beside the bars of the protocol."""

from __future__ import annotations

from typing import Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_cases import CASE, score_table

# The simple method to beat on each score, and whether less is better.
BARS: Final[dict[str, tuple[str, bool]]] = {
    "brier": ("mix", True),
    "log_score": ("logit_lags", True),
    "auc": ("logit_lags", False),
}


def common_cases(probabilities: pd.DataFrame) -> pd.DataFrame:
    """Only cases for which every method has a probability, so that scores compare like with like.

    Parameters
    ----------
    probabilities : theatre, origin, horizon, method, p.
    """
    n = probabilities["method"].nunique()
    counts = probabilities.groupby(list(CASE))["method"].transform("nunique")
    return probabilities[counts == n].reset_index(drop=True)


def ladder_table(probabilities: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Brier score, log score and AUC of each method and horizon beside the bars, on shared cases.

    Parameters
    ----------
    probabilities : theatre, origin, horizon, method, p; the bars must be among the methods.
    truth : theatre, origin, horizon, y.

    Returns
    -------
    pandas.DataFrame
        method, horizon, n_cases, n_events, then for brier, log_score and auc (within theatre) the score,
        ``<score>_bar`` and ``<score>_gain``, which is positive where the method beats the bar.

    Raises
    ------
    DataError
        When a bar has no probabilities, or no case is shared.
    """
    missing = {name for name, _ in BARS.values()} - {*probabilities["method"]}
    if missing:
        raise DataError(f"The bars {', '.join(sorted(missing))} are not among the methods; add them.")
    table = score_table(common_cases(probabilities), truth)
    if table.empty:
        raise DataError(
            "No case has all methods and an outcome; run the backtest at origins of the protocol."
        )
    for score, (bar, less) in BARS.items():
        reference = table[table["method"] == bar].set_index("horizon")[score]
        table[f"{score}_bar"] = table["horizon"].map(reference)
        difference = table[f"{score}_bar"] - table[score]
        table[f"{score}_gain"] = difference if less else 0.0 - difference
    order = ["method", "horizon", "n_cases", "n_events"]
    order += [f"{score}{part}" for score in BARS for part in ("", "_bar", "_gain")]
    return table[order].sort_values(["horizon", "method"], ignore_index=True)
