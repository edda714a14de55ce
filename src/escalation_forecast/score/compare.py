"""Is one method better than another? Skill on shared cases, its uncertainty over origins, and a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

__all__ = ["block_length", "diebold_mariano", "shared_cases", "skill", "skill_table", "stationary_bootstrap"]

REPLICATES: Final = 4000
INTERVAL: Final = (0.05, 0.95)
BLOCK: Final = {1: 2.0, 2: 2.0}
LONG_BLOCK: Final = 3.0


def block_length(horizon: int) -> float:
    """Mean length of the bootstrap's blocks, in origins: 2 for one and two steps ahead, 3 beyond."""
    return BLOCK.get(horizon, LONG_BLOCK)


def skill(score: np.ndarray, reference: np.ndarray) -> float:
    """1 - sum / sum of scores on the same cases, NaN where the reference has no loss."""
    total = float(np.sum(reference))
    return 1.0 - float(np.sum(score)) / total if total else float("nan")


def stationary_bootstrap(n: int, block: float, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of resampled origins, (replicate, n), in circular blocks of geometric length.

    Parameters
    ----------
    n : number of origins in their order.
    block : mean length of a block, at least 1.

    References
    ----------
    Politis and Romano (1994), The stationary bootstrap, JASA 89.
    """
    if n < 1 or block < 1:
        raise DataError(f"A bootstrap needs at least one origin and blocks of one, not {n} and {block}.")
    steps = np.arange(n)
    fresh = rng.random((replicates, n)) < 1.0 / block
    fresh[:, 0] = True
    start = rng.integers(n, size=(replicates, n))
    last = np.maximum.accumulate(np.where(fresh, steps, 0), axis=1)
    return np.asarray((np.take_along_axis(start, last, axis=1) + steps - last) % n)


def diebold_mariano(difference: np.ndarray, horizon: int) -> tuple[float, float]:
    """Test that the mean loss difference is zero.

    Written here because neither scipy, scikit-learn nor ArviZ has it.

    Parameters
    ----------
    difference : (origin,) loss of the method less loss of the reference, in the order of origins.
    horizon : autocovariances up to lag horizon - 1 enter the variance, each over the pairs it has.

    Returns
    -------
    statistic, p : p is two-sided from a Student t with origins - 1 degrees of freedom. Both are NaN with
        fewer than two origins or where the estimated variance is not positive, as can be at long horizons.

    References
    ----------
    Diebold and Mariano (1995), Comparing predictive accuracy, Journal of Business and Economic Statistics
    13; factor: Harvey, Leybourne and Newbold (1997), Testing the equality of prediction mean squared
    errors, International Journal of Forecasting 13, equation 9.
    """
    from scipy.stats import t as student_t

    d = np.asarray(difference, float)
    n, h = len(d), int(horizon)
    if n < 2:
        return float("nan"), float("nan")
    centred = d - d.mean()
    covariances = [float(centred[k:] @ centred[: n - k]) / (n - k) for k in range(min(h, n))]
    variance = (covariances[0] + 2.0 * sum(covariances[1:])) / n
    factor = (n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n
    # rounding leaves a constant difference with a variance just above zero
    if not variance > 1e-12 * float(d @ d) / n or not factor > 0:
        return float("nan"), float("nan")
    statistic = float(d.mean() * np.sqrt(factor / variance))
    return statistic, float(2.0 * student_t.sf(abs(statistic), n - 1))


def shared_cases(
    cases: pd.DataFrame, case: Sequence[str], score: str, models: Sequence[str] | None = None
) -> pd.DataFrame:
    """Scores with a column for each model, for the cases that all of them have.

    Parameters
    ----------
    cases : ``case`` columns, model and the score; a case counts once for a model.
    models : those to share cases; all by default.

    Raises
    ------
    DataError
        For an unknown model, a case that a model has twice, or no case in common.
    """
    known = list(cases["model"].unique())
    wanted = known if models is None else list(dict.fromkeys(models))
    for model in wanted:
        if model not in known:
            raise DataError(
                f"No case of model `{model}`{nearest(model, known)}; scored are {', '.join(known)}."
            )
    wide = _wide(cases[cases["model"].isin(wanted)], case, score)[wanted].dropna()
    if wide.empty:
        raise DataError(
            f"The models {', '.join(wanted)} share no case with a {score}; score the same origins."
        )
    return wide


def skill_table(
    cases: pd.DataFrame,
    *,
    reference: str,
    score: str = "crps",
    case: Sequence[str] = ("origin", "horizon", "state"),
    order: Sequence[str] | None = None,
    models: Sequence[str] | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> pd.DataFrame:
    """Skill of each model against a reference, by horizon, each pair on the cases that both have.

    Parameters
    ----------
    cases : columns ``case``, model and the score, of one truth.
    case : columns that name a case; origin and horizon among them.
    order : origins in the order of time; sorted by default.
    models : all but the reference by default.

    Returns
    -------
    pandas.DataFrame
        horizon, model, reference, n_cases, n_origins, mean, reference_mean, skill, low and high (5th and
        95th percentile over a stationary bootstrap of origins), dm, p (of origin means), origins_better.
    """
    if order is None:
        order = sorted(cases["origin"].unique())
    others = [str(name) for name in cases["model"].unique()] if models is None else list(models)
    rows: list[dict[str, Any]] = []
    for horizon in sorted(int(value) for value in cases["horizon"].unique()):
        part = cases[cases["horizon"] == horizon]
        if reference not in set(part["model"]):
            continue
        wide = _wide(part, case, score)
        origin = pd.Categorical(wide.index.get_level_values("origin"), categories=list(order)).codes
        resampled: dict[int, np.ndarray] = {}
        for model in others:
            if model == reference or model not in wide:
                continue
            pairs = wide[[model, reference]].to_numpy(float)
            shared = np.isfinite(pairs).all(axis=1)
            if not shared.any():
                continue
            counts = np.bincount(origin[shared], minlength=len(order))
            own, ref = (
                np.bincount(origin[shared], weights=pairs[shared, k], minlength=len(order))[counts > 0]
                for k in (0, 1)
            )
            n = len(own)
            if n not in resampled:
                rng = np.random.default_rng([seed, horizon])
                resampled[n] = stationary_bootstrap(n, block_length(horizon), replicates, rng)
            low, high = _interval(own, ref, resampled[n])
            gap = (own - ref) / counts[counts > 0]
            statistic, p = diebold_mariano(gap, horizon)
            rows.append(
                {
                    "horizon": horizon, "model": model, "reference": reference,
                    "n_cases": int(shared.sum()), "n_origins": n,
                    "mean": own.sum() / shared.sum(), "reference_mean": ref.sum() / shared.sum(),
                    "skill": skill(own, ref), "low": low, "high": high, "dm": statistic, "p": p,
                    "origins_better": int((gap < 0).sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(SKILL_COLUMNS))


SKILL_COLUMNS: Final = (
    "horizon", "model", "reference", "n_cases", "n_origins", "mean", "reference_mean", "skill", "low", "high",
    "dm", "p", "origins_better",
)  # fmt: skip


def _interval(own: np.ndarray, reference: np.ndarray, at: np.ndarray) -> tuple[float, float]:
    totals = reference[at].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        replicated = np.where(totals != 0, 1.0 - own[at].sum(axis=1) / totals, np.nan)
    if np.isnan(replicated).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(replicated, INTERVAL)
    return float(low), float(high)


def _wide(cases: pd.DataFrame, case: Sequence[str], score: str) -> pd.DataFrame:
    """Scores with a row for each case and a column for each model."""
    keys = [*case, "model"]
    twice = cases.duplicated(keys)
    if twice.any():
        row = cases[twice].iloc[0]
        place = ", ".join(f"{name} {row[name]}" for name in keys)
        raise DataError(f"A case is scored twice ({place}); leave one run of it out.")
    return cases.set_index(keys)[score].unstack("model")
