"""Simple forecasts of spending growth: the bars that a model has to clear.

Every method maps the growth known at an origin to draws of the next three years. Draws of different
states are independent, but for the hierarchical model, whose states share a posterior draw.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np
import xarray as xr

from escalation_forecast.schema import DataError
from escalation_forecast.score import spending_statsforecast as automatic
from escalation_forecast.score.spending_cases import HORIZONS, KnownSpending, log_levels
from escalation_forecast.spending_simple import (
    MIX4,
    ar1,
    clim,
    ewma,
    fit_ar1,
    fit_ewma,
    fit_pooled_ar1,
    pooled_ar1,
)
from escalation_forecast.tables import nearest

__all__ = [
    "MIXES", "NAMES", "Forecaster", "ar1", "as_dataset", "baseline", "clim", "draws_by_state", "ewma",
    "fit_ar1", "fit_ewma", "fit_pooled_ar1",
]  # fmt: skip

Forecaster = Callable[[KnownSpending, int], xr.Dataset]
"""(what is known, seed) to draws: first_print, settled (sample, state, horizon) and window (..., age)."""

N_DRAWS: Final = 4000
STEPS: Final = len(HORIZONS)
AGES: Final = 3

Draws = dict[str, np.ndarray]
OneState = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]


def zero(g: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """No growth, with own past growth of either sign as the error; (draw, horizon) like all below."""
    return rng.choice(np.concatenate([g, -g]), size=(n, STEPS))


def clim10(g: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Own growth of the last ten years."""
    return clim(g[-10:], rng, n)


def rw_growth(g: np.ndarray, rng: np.random.Generator, n: int) -> np.ndarray:
    """Last growth plus a sum of past changes of either sign."""
    d = np.diff(g)
    return np.asarray(g[-1] + np.cumsum(rng.choice(np.concatenate([d, -d]), size=(n, STEPS)), axis=1))


def _pooled_ar1(known: KnownSpending, seed: int, n: int) -> Draws:
    return pooled_ar1(_growth(known), lambda state: _rng(known, seed, "pooled_ar1", state), n, STEPS)


def _hier_fit(known: KnownSpending, seed: int, n: int) -> tuple[Draws, dict[str, float]]:
    from escalation_forecast.score.spending_hier import hier_draws

    return hier_draws(_growth(known), int(_rng(known, seed, "hier").integers(2**31)), n)


def _hier(known: KnownSpending, seed: int, n: int) -> Draws:
    return _hier_fit(known, seed, n)[0]


ON_GROWTH: Final[dict[str, OneState]] = {
    "zero": zero, "clim": clim, "clim10": clim10, "rw_growth": rw_growth, "ar1": ar1, "ewma": ewma,
    "autoets": automatic.ets_growth, "autoarima_growth": automatic.arima,
}  # fmt: skip
ON_LEVEL: Final[dict[str, OneState]] = {
    "autoets_level": automatic.ets_level, "autoarima_level": automatic.arima_level,
    "theta_level": automatic.theta_level,
}  # fmt: skip
POOLED: Final[dict[str, Callable[[KnownSpending, int, int], Draws]]] = {
    "pooled_ar1": _pooled_ar1, "hier": _hier,
}  # fmt: skip
MIXES: Final[dict[str, tuple[str, ...]]] = {
    "mix4": MIX4,
    "mix5": (*MIX4, "hier"),
    "mix4_literal": ("clim", "rw_growth", "ar1", "ewma"),
    "mix4_zero": ("zero", "clim", "ar1", "ewma"),
}
NAMES: Final = (*ON_GROWTH, *ON_LEVEL, *POOLED, *MIXES)


def draws_by_state(name: str, known: KnownSpending, seed: int, n: int = N_DRAWS) -> Draws:
    """Draws of one method, (draw, horizon) by state, in points of 100 x log growth.

    A method has its own stream for each state, so that leaving states out does not change the others, and
    the parts of a mix are the first draws of the methods themselves.

    Raises
    ------
    DataError
        For an unknown method, or where a method fails on a state.
    """
    if name in MIXES:
        parts = [draws_by_state(part, known, seed, n // len(MIXES[name])) for part in MIXES[name]]
        return {state: np.concatenate([part[state] for part in parts]) for state in known.states}
    if name in POOLED:
        return POOLED[name](known, seed, n)
    if name not in ON_GROWTH and name not in ON_LEVEL:
        raise DataError(
            f"There is no simple method `{name}`{nearest(name, NAMES)}; known: {', '.join(NAMES)}."
        )
    inputs = _growth(known) if name in ON_GROWTH else log_levels(known)
    method = (ON_GROWTH | ON_LEVEL)[name]
    out = {}
    for state, series in inputs.items():
        try:
            out[state] = method(series, _rng(known, seed, name, state), n)
        except (ArithmeticError, NotImplementedError, ValueError) as error:
            raise DataError(
                f"{name} could not be fitted to {state} at origin {known.origin.label} ({error}); leave the "
                "state or the method out."
            ) from error
    return out


def baseline(name: str) -> Forecaster:
    """The forecaster of a simple method or mix, with 4,000 draws."""
    if name not in NAMES:
        raise DataError(
            f"There is no simple method `{name}`{nearest(name, NAMES)}; known: {', '.join(NAMES)}."
        )
    return partial(_forecast, name)


def _forecast(name: str, known: KnownSpending, seed: int) -> xr.Dataset:
    started = time.perf_counter()
    more: dict[str, float] = {}
    if name == "hier":
        draws, more = _hier_fit(known, seed, N_DRAWS)
    else:
        draws = draws_by_state(name, known, seed)
    out = as_dataset(draws, known)
    out.attrs.update(more, seconds=time.perf_counter() - started)
    return out


def as_dataset(draws: Mapping[str, np.ndarray], known: KnownSpending) -> xr.Dataset:
    """Draws (draw, horizon) by state in the form of every spending forecast.

    Growth of years before the origin in ``window`` is what the origin's release printed.
    """
    first = np.stack([draws[state] for state in known.states], axis=1)
    n, k, h = first.shape
    past = np.array([known.growth[state].to_numpy()[-1:-AGES:-1] for state in known.states])
    window = np.empty((n, k, h, AGES))
    for step in range(h):
        for age in range(AGES):
            at = step - age
            window[:, :, step, age] = first[:, :, at] if at >= 0 else past[:, -at - 1]
    dims = ("sample", "state", "horizon")
    return xr.Dataset(
        {"first_print": (dims, first), "settled": (dims, first), "window": ((*dims, "age"), window)},
        coords={"state": list(known.states), "horizon": list(HORIZONS), "age": list(range(AGES))},
    )


def _growth(known: KnownSpending) -> dict[str, np.ndarray]:
    return {state: known.growth[state].to_numpy(float) for state in known.states}


def _rng(known: KnownSpending, seed: int, method: str, state: str = "") -> np.random.Generator:
    """A stream of its own, so that Monte Carlo errors do not add up over origins."""
    words = "\0".join((known.origin.label, method, state))
    return np.random.default_rng([seed, *words.encode()])
