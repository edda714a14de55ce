"""Automatic exponential smoothing, ARIMA and Theta by statsforecast; paths are simulated here.

statsforecast 2.0.1, the newest that works with pandas 3, fits and predicts but does not simulate.
Errors are normal. Against published scores made with version 2.1.1 the methods agree within Monte Carlo
error, save AutoARIMA on levels, whose CRPS is 1 to 2 per cent higher here for all fourteen states.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from escalation_forecast.schema import DataError

STEPS = 3


def ets_growth(g: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """AutoETS without trend on growth; growth paths (draw, horizon) like all below."""
    fit = _models().AutoETS(season_length=1, model="ANN").fit(g).model_
    return _ets_paths(fit, rng, n)


def ets_level(level: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """AutoETS with whatever trend fits on 100 x log level."""
    fit = _models().AutoETS(season_length=1, model="AZN").fit(level).model_
    return np.diff(_ets_paths(fit, rng, n), axis=1, prepend=level[-1])


def arima(series: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """AutoARIMA, not seasonal, on the series as it is: mean forecast plus moving average of new errors."""
    from scipy.signal import lfilter

    with warnings.catch_warnings():
        # a search over orders meets some that do not fit
        warnings.simplefilter("ignore")
        model = _models().AutoARIMA(seasonal=False).fit(series)
        mean = np.asarray(model.predict(h=STEPS)["mean"], float)
    fit = model.model_
    autoregressive = np.array([1.0, *-np.asarray(fit["model"]["phi"], float)])
    for _ in range(int(fit["arma"][5])):
        autoregressive = np.convolve(autoregressive, [1.0, -1.0])
    moving = np.array([1.0, *np.asarray(fit["model"]["theta"], float)])
    errors = rng.normal(scale=np.sqrt(fit["sigma2"]), size=(n, STEPS))
    return np.asarray(mean + lfilter(moving, autoregressive, errors, axis=1))


def arima_level(level: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """AutoARIMA, not seasonal, on 100 x log level."""
    return np.diff(arima(level, rng, n), axis=1, prepend=level[-1])


def theta_level(level: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Standard Theta method on 100 x log level.

    The recursion of line and level is that of Fiorucci et al. (2016), Models for optimising the theta method
    and their relationship to state space models, International Journal of Forecasting 32.
    """
    fit = _models().Theta(season_length=1).fit(level).model_
    alpha, theta = float(fit["par"]["alpha"]), float(fit["par"]["theta"])
    smoothed, _, a, b, _ = (np.full(n, state) for state in fit["states"][-1])
    mean = np.full(n, float(fit["mean_y"]))
    # the first residuals are those of the start
    sigma = float(np.std(fit["residuals"][3:], ddof=1))
    paths = np.empty((n, STEPS))
    for step, i in enumerate(range(fit["n"], fit["n"] + STEPS)):
        line = a * (1 - alpha) ** i + b * (1 - (1 - alpha) ** (i + 1)) / alpha
        y = smoothed + (1 - 1 / theta) * line + rng.normal(scale=sigma, size=n)
        paths[:, step] = y
        smoothed = alpha * y + (1 - alpha) * smoothed
        mean = (i * mean + y) / (i + 1)
        b = ((i - 1) * b + 6 * (y - mean) / (i + 1)) / (i + 2)
        a = mean - b * (i + 2) / 2
    return np.diff(paths, axis=1, prepend=level[-1])


def _ets_paths(fit: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """Paths of additive errors from the fitted parameters and the last state; damped if the fit is."""
    alpha, beta, _, phi, *_ = (float(v) for v in fit["par"])
    last = np.asarray(fit["states"][-1], float)
    error, trend, _, damped = fit["components"]
    if error != "A" or trend not in "NA":
        raise DataError(f"AutoETS chose {fit['components']}, whose errors or trend are not additive.")
    level, slope = np.full(n, last[0]), np.full(n, last[1] if trend == "A" else 0.0)
    beta, phi = beta if trend == "A" else 0.0, phi if damped == "D" else 1.0
    errors = rng.normal(scale=np.sqrt(fit["sigma2"]), size=(n, STEPS))
    paths = np.empty((n, STEPS))
    for step in range(STEPS):
        expected = level + phi * slope
        paths[:, step] = expected + errors[:, step]
        level = expected + alpha * errors[:, step]
        slope = phi * slope + beta * errors[:, step]
    return paths


def _models() -> Any:
    try:
        from statsforecast import models
    except ImportError:
        raise DataError(
            "Automatic methods need statsforecast; install it with "
            "`pip install escalation-forecast[backtest]`, or leave autoets, autoarima and theta out."
        ) from None
    return models
