"""Proper scores and calibration of forecasts made of draws or of probabilities.

Scores are by case and smaller is better. scoringrules and scikit-learn, both in the extra
``backtest``, do the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_cases import auc_within_theatre

__all__ = [
    "auc_within",
    "brier",
    "corp",
    "coverage",
    "crps",
    "draws_log_score",
    "interval_score",
    "log_score",
    "pit",
    "ranked_probability_score",
    "tail_crps",
]

RULE_CLIP: Final = (0.005, 0.995)
# A density that rounds to zero would cost infinitely much, whatever the forecast says elsewhere.
MIN_LOG_DENSITY: Final = -20.0
KDE_DRAWS: Final = 1000


def crps(draws: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score: mean |x_i - y| - (1/2) mean |x_i - x_j|, i = j included.

    Parameters
    ----------
    draws : (case, draw).
    outcome : (case,), in the unit of the draws, which is that of the score.

    References
    ----------
    Gneiting and Raftery (2007), Strictly proper scoring rules, prediction, and estimation, JASA 102.
    """
    # the quantile form is the same number as the double sum, in n log n
    return _array(_scoringrules().crps_ensemble, outcome, draws, estimator="qd")


def tail_crps(draws: np.ndarray, outcome: np.ndarray, threshold: float) -> np.ndarray:
    """CRPS with weight one above a threshold and zero below.

    References
    ----------
    Gneiting and Ranjan (2011), Comparing density forecasts using threshold- and quantile-weighted
    scoring rules, Journal of Business and Economic Statistics 29.
    """
    return _array(_scoringrules().twcrps_ensemble, outcome, draws, a=threshold, estimator="qd")


def interval_score(draws: np.ndarray, outcome: np.ndarray, level: float) -> np.ndarray:
    """Width of the central interval of a level, plus 2 / (1 - level) times how far the outcome is outside."""
    low, high = _bounds(draws, level)
    return _array(_scoringrules().interval_score, outcome, low, high, alpha=1.0 - level)


def coverage(draws: np.ndarray, outcome: np.ndarray, level: float) -> np.ndarray:
    """1 where the outcome is in or on the central interval of a level, else 0."""
    low, high = _bounds(draws, level)
    return np.asarray((outcome >= low) & (outcome <= high), float)


def pit(draws: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Probability integral transform: the share of draws below the outcome, ties counted half."""
    y = np.asarray(outcome)[..., None]
    return np.asarray((draws < y).mean(axis=-1) + 0.5 * (draws == y).mean(axis=-1))


def draws_log_score(draws: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Minus the log density at the outcome, from a Gaussian kernel estimate.

    The bandwidth is Silverman's; at most 1,000 evenly spaced draws are used; the log density is not taken
    below -20, which is what draws that are all alike get unless the outcome is that value.
    """
    step = max(1, draws.shape[-1] // KDE_DRAWS)
    thinned = np.asarray(draws, float)[..., ::step]
    alike = np.ptp(thinned, axis=-1) == 0
    spread = np.where(alike[..., None], np.linspace(0, 1, thinned.shape[-1]), thinned)
    with np.errstate(divide="ignore"):
        score = np.minimum(_array(_scoringrules().logs_ensemble, outcome, spread), -MIN_LOG_DENSITY)
    exact = np.where(thinned[..., 0] == outcome, MIN_LOG_DENSITY, -MIN_LOG_DENSITY)
    return np.where(alike, exact, score)


def brier(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared difference between probability and outcome."""
    return _array(_scoringrules().brier_score, y, p)


def log_score(p: np.ndarray, y: np.ndarray, clip: tuple[float, float] = RULE_CLIP) -> np.ndarray:
    """Minus the log of the probability given to what happened; p is clipped first."""
    return _array(_scoringrules().log_score, y, np.clip(p, *clip))


def ranked_probability_score(p: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Sum over 0, ..., K of the squared differences of cumulative probabilities.

    Parameters
    ----------
    p : (case, K + 1) probabilities of the counts 0, ..., K.
    count : (case,) what was counted.
    """
    return _array(_scoringrules().rps_score, np.asarray(count) + 1, p)


def auc_within(p: np.ndarray, y: np.ndarray, group: np.ndarray) -> float:
    """Mean of the groups' own areas under the ROC curve, weighted by event x non-event pairs.

    NaN when no group has both events and non-events.
    """
    return auc_within_theatre(np.asarray(p), np.asarray(y), np.asarray(group))


def corp(
    p: np.ndarray,
    y: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], np.ndarray] = brier,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Reliability by isotonic regression, and what the mean score is made of.

    Returns
    -------
    curve : p (sorted, without repeats), recalibrated (event frequency, not falling), n (cases).
    parts : ``score`` = ``miscalibration`` - ``discrimination`` + ``uncertainty``.

    Raises
    ------
    DataError
        Without a case, or with numbers that are no probabilities or outcomes.

    References
    ----------
    Dimitriadis, Gneiting and Jordan (2021), Stable reliability diagrams for probabilistic classifiers,
    PNAS 118.
    """
    p, y = np.asarray(p, float), np.asarray(y, float)
    if not len(p) or len(p) != len(y):
        raise DataError(
            f"There are {len(p)} probabilities for {len(y)} outcomes; give one each, at least one."
        )
    if not (((p >= 0) & (p <= 1)).all() and np.isin(y, (0.0, 1.0)).all()):
        raise DataError("Probabilities lie between 0 and 1 and outcomes are 0 or 1; leave unknown cases out.")
    recalibrated = _isotonic(p, y)
    levels, first, n = np.unique(p, return_index=True, return_counts=True)
    table = pd.DataFrame({"p": levels, "recalibrated": recalibrated[first], "n": n})
    own, best = float(score(p, y).mean()), float(score(recalibrated, y).mean())
    base = float(score(np.full(len(y), y.mean()), y).mean())
    parts = {
        "score": own, "miscalibration": own - best, "discrimination": base - best, "uncertainty": base,
    }  # fmt: skip
    return table, parts


def _isotonic(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError:
        raise DataError(_missing("scikit-learn")) from None
    return np.asarray(IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(p, y))


def _bounds(draws: np.ndarray, level: float) -> np.ndarray:
    if not 0 < level < 1:
        raise DataError(f"The level of an interval lies between 0 and 1, not at {level}.")
    return np.asarray(np.quantile(draws, [0.5 - level / 2.0, 0.5 + level / 2.0], axis=-1))


def _array(
    function: Callable[..., Any], outcome: np.ndarray, *forecast: np.ndarray, **more: Any
) -> np.ndarray:
    parts = [np.asarray(part, float) for part in forecast]
    return np.asarray(function(np.asarray(outcome, float), *parts, **more), float)


def _scoringrules() -> ModuleType:
    try:
        import scoringrules
    except ImportError:
        raise DataError(_missing("scoringrules")) from None
    module: ModuleType = scoringrules
    return module


def _missing(package: str) -> str:
    return f"Scores need {package}; install it with `pip install escalation-forecast[backtest]`."
