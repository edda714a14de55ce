"""Simple methods for use of force on the ladder: the bars that a model has to clear.

Every method sees the ladder up to and including the origin month. Where months are unknown, rates are
taken over the known ones, and the lags of `logit_lags` put the theatre's own past mean in their place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score.ladder_cases import (
    CASE,
    CLIP,
    FIRST_ORIGIN,
    HORIZONS,
    LAST_MONTH,
    Ladder,
    origins,
    read_ladder,
    windows,
)
from escalation_forecast.store import Store

METHODS: Final = ("clim_theatre", "clim_pooled", "decay12", "decay36", "markov12", "logit_lags", "mix")
MIXED: Final = ("clim_theatre", "decay12", "logit_lags")
# What a pool of forecasts takes, now and in the past, from the ladder alone.
LIVE: Final = ("clim_theatre", "decay12", "logit_lags")
PRIOR_MONTHS: Final = 6.0  # weight of climatology beside the decaying rate
PRIOR_WINDOWS: Final = 2.0
PENALTY: Final = 0.3  # scikit-learn's C: one over the strength of the squared penalty
LAG: Final = 12
NEVER: Final = 24  # months before the first one at which a force never seen is taken to have been used
NEWTON_STEPS: Final = 50

Solver = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, float]]
"""Weights and intercept of a penalised logit from inputs, outcomes and strength."""


def live_components(store: Store, as_of: pd.Timestamp, horizons: tuple[int, ...] = HORIZONS) -> pd.DataFrame:
    """Probabilities of the simple methods that a forecast pools, on the whole ladder known at a date.

    The windows begin after the month of ``as_of``, as those of the forecast do; the months between the
    last coded one and ``as_of`` are unknown.

    Parameters
    ----------
    store : cut at ``as_of`` or not.
    as_of : pandas.Timestamp
    horizons : months.

    Returns
    -------
    pandas.DataFrame
        theatre, method, horizon, probability.
    """
    known = store.as_of(as_of)
    origin = as_of.to_period("M").to_timestamp()
    ladder = read_ladder(known, origin)
    parts = []
    for horizon in horizons:
        found = simple_methods(ladder, horizon, lagged_logit(ladder.until(last_fit(origin)), horizon))
        parts += [
            pd.DataFrame({"theatre": THEATRES, "method": m, "horizon": horizon, "probability": found[m]})
            for m in LIVE
        ]
    return pd.concat(parts, ignore_index=True)


def baseline_probabilities(
    ladder: Ladder,
    horizons: tuple[int, ...] = HORIZONS,
    last: pd.Timestamp = LAST_MONTH,
    solver: Solver | None = None,
) -> pd.DataFrame:
    """Every simple method at every origin with a complete window.

    Parameters
    ----------
    solver : of `logit_lags`; by default scikit-learn's, which stops early enough to move a probability
        by 0.001, as the published bars do. `penalised_logit` goes to the minimum.

    Returns
    -------
    pandas.DataFrame
        theatre, origin, horizon, method, p.
    """
    solver = solver or scikit_logit
    parts = []
    for horizon in horizons:
        fitted: dict[pd.Timestamp, LaggedLogit] = {}
        for origin in origins(horizon, last=last):
            at = last_fit(origin)
            if at not in fitted:
                fitted[at] = lagged_logit(ladder.until(at), horizon, solver)
            found = simple_methods(ladder.until(origin), horizon, fitted[at])
            columns = {
                "theatre": np.tile(THEATRES, len(found)),
                "method": np.repeat(list(found), len(THEATRES)),
                "p": np.concatenate(list(found.values())),
            }
            parts.append(pd.DataFrame(columns).assign(origin=origin, horizon=horizon))
    table = pd.concat(parts, ignore_index=True)
    return table[[*CASE, "method", "p"]]


def simple_methods(ladder: Ladder, horizon: int, logit: LaggedLogit) -> dict[str, np.ndarray]:
    """Probability by theatre of each method at the last month of the ladder."""
    force = ladder.force
    own = _rate(force, np.ones(force.shape[1]), 0.5, 1.0)
    pooled = np.full(len(own), (np.nansum(force) + 0.5) / (np.isfinite(force).sum() + 1.0))
    monthly = {
        "clim_theatre": own,
        "clim_pooled": pooled,
        "decay12": _decayed(force, 12.0, own),
        "decay36": _decayed(force, 36.0, pooled),
    }
    found = {name: np.clip(within(rate, horizon), *CLIP) for name, rate in monthly.items()}
    found["markov12"] = _markov(ladder, horizon, within(own, horizon))
    found["logit_lags"] = logit.predict(lags(ladder)[:, -1])
    found["mix"] = np.mean([found[name] for name in MIXED], axis=0)
    return {name: np.clip(found[name], *CLIP) for name in METHODS}


def within(monthly: np.ndarray, horizon: int) -> np.ndarray:
    """Chance of at least one event in ``horizon`` months at a constant monthly chance."""
    return np.asarray(1.0 - (1.0 - monthly) ** horizon)


def _rate(force: np.ndarray, weight: np.ndarray, events: np.ndarray | float, months: float) -> np.ndarray:
    known = np.isfinite(force) * weight
    return np.asarray((np.nansum(force * weight, axis=1) + events) / (known.sum(axis=1) + months))


def _decayed(force: np.ndarray, half_life: float, prior: np.ndarray) -> np.ndarray:
    weight = 0.5 ** (np.arange(force.shape[1])[::-1] / half_life)
    return _rate(force, weight, PRIOR_MONTHS * prior, PRIOR_MONTHS)


def _markov(ladder: Ladder, horizon: int, climatology: np.ndarray) -> np.ndarray:
    """Share of past complete windows with an event, given whether the last 12 months had one."""
    recent = _trailing(np.nan_to_num(ladder.force), LAG, np.max)
    seen = windows(ladder, horizon)
    alike = np.isfinite(seen) & (recent == recent[:, -1:])
    hits = np.where(alike, np.nan_to_num(seen), 0.0).sum(axis=1)
    return np.asarray((hits + PRIOR_WINDOWS * climatology) / (alike.sum(axis=1) + PRIOR_WINDOWS))


def lags(ladder: Ladder) -> np.ndarray:
    """(theatre, month, input) of the lagged logit; each month from itself and earlier ones.

    Force now; months with force in twelve; highest level in three; log(1 + incidents in twelve);
    log(1 + months since force was last used). A force never used was used `NEVER` months before 1993.
    """
    force, level, incidents = (_filled(a) for a in (ladder.force, ladder.level, ladder.incidents))
    n = force.shape[1]
    month = np.arange(n)
    last = np.maximum.accumulate(np.where(ladder.force == 1.0, month, -NEVER), axis=1)
    return np.stack(
        [
            force,
            _trailing(force, LAG, np.sum),
            _trailing(level, 3, np.max),
            np.log1p(_trailing(incidents, LAG, np.sum)),
            np.log1p(month - last),
        ],
        axis=2,
    )


def _filled(values: np.ndarray) -> np.ndarray:
    """Unknown months at the mean of the theatre's known ones up to then."""
    known = np.isfinite(values)
    count = np.maximum(known.cumsum(axis=1), 1)
    mean = np.where(known, values, 0.0).cumsum(axis=1) / count
    return np.where(known, values, mean)


def _trailing(values: np.ndarray, length: int, of: Callable[..., Any]) -> np.ndarray:
    """A statistic of the last ``length`` months; before the first month nothing happened."""
    padded = np.pad(values, ((0, 0), (length - 1, 0)))
    return np.asarray(of(np.lib.stride_tricks.sliding_window_view(padded, length, axis=1), axis=2))


@dataclass(frozen=True)
class LaggedLogit:
    """A logit on the lags with a dummy by theatre.

    Attributes
    ----------
    mean, sd : numpy.ndarray
        Standardisation of the lags in the months of the fit.
    weights : numpy.ndarray
        Lags, then theatres.
    intercept : float
    """

    mean: np.ndarray
    sd: np.ndarray
    weights: np.ndarray
    intercept: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probability by theatre from (theatre, input)."""
        n = len(self.mean)
        push = ((x - self.mean) / self.sd) @ self.weights[:n] + self.weights[n:] + self.intercept
        return np.asarray(1.0 / (1.0 + np.exp(-push)))


def scikit_logit(x: np.ndarray, y: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """The same minimum by scikit-learn, as far as its default tolerance goes; needs the extra `backtest`."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise DataError(
            "The published bars need scikit-learn; install the package with its extra `backtest`."
        ) from None
    found = LogisticRegression(C=strength, max_iter=5000).fit(x, y)
    return found.coef_[0], float(found.intercept_[0])


def lagged_logit(ladder: Ladder, horizon: int, solver: Solver | None = None) -> LaggedLogit:
    """All theatres together, on the windows complete at the last month; the first year only fills lags."""
    x, y = lags(ladder)[:, LAG:], windows(ladder, horizon)[:, LAG:]
    theatre = np.eye(len(THEATRES))[:, None, :].repeat(x.shape[1], axis=1)
    use = np.isfinite(y)
    mean, sd = x[use].mean(axis=0), x[use].std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    design = np.concatenate([(x[use] - mean) / sd, theatre[use]], axis=1)
    weights, intercept = (solver or penalised_logit)(design, y[use], PENALTY)
    return LaggedLogit(mean, sd, weights, intercept)


def penalised_logit(
    x: np.ndarray, y: np.ndarray, strength: float, case_weight: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Weights and intercept that minimise the log loss plus half the squared weights over ``strength``.

    The minimum of scikit-learn's ``LogisticRegression(C=strength)``, by Newton's method; the intercept is
    not penalised.
    """
    design = np.column_stack([x, np.ones(len(x))])
    case = np.ones(len(x)) if case_weight is None else case_weight
    penalty = np.append(np.full(x.shape[1], 1.0 / strength), 0.0)
    beta = np.zeros(design.shape[1])
    share = np.clip(np.average(y, weights=case), 1e-6, 1.0 - 1e-6)
    beta[-1] = np.log(share / (1.0 - share))

    def loss(candidate: np.ndarray) -> float:
        push = design @ candidate
        return float((case * (np.logaddexp(0.0, push) - y * push)).sum() + 0.5 * penalty @ candidate**2)

    now = loss(beta)
    for _ in range(NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-(design @ beta)))
        gradient = design.T @ (case * (p - y)) + penalty * beta
        curvature = (design * (case * p * (1.0 - p))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature + 1e-12 * np.eye(len(beta)), gradient)
        size = 1.0
        while (then := loss(beta - size * step)) > now and size > 1e-6:
            size /= 2.0
        beta, now = beta - size * step, then
        if np.abs(size * step).max() < 1e-9:
            break
    return beta[:-1], float(beta[-1])


def last_fit(origin: pd.Timestamp) -> pd.Timestamp:
    """The month of the last yearly fit: the newest December, as in the protocol."""
    return max(
        pd.Timestamp(year=origin.year - (origin.month < FIRST_ORIGIN.month), month=12, day=1), FIRST_ORIGIN
    )
