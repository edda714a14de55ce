"""The families of priors as laws of scipy, and their parameters on a scale without bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from escalation_forecast.schema import DataError

type Numbers = Mapping[str, Any]

_LAWS: Final[dict[str, Callable[[Any, Numbers], Any]]] = {
    "Normal": lambda s, p: s.norm(p["mu"], p["sigma"]),
    "LogNormal": lambda s, p: s.lognorm(p["sigma"], scale=np.exp(p["mu"])),
    "HalfNormal": lambda s, p: s.halfnorm(scale=p["sigma"]),
    "Beta": lambda s, p: s.beta(p["alpha"], p["beta"]),
    "Gamma": lambda s, p: s.gamma(p["alpha"], scale=1.0 / np.asarray(p["beta"])),
    "StudentT": lambda s, p: s.t(p["nu"], p["mu"], p["sigma"]),
    "Exponential": lambda s, p: s.expon(scale=1.0 / np.asarray(p["lam"])),
    "Uniform": lambda s, p: s.uniform(p["lower"], np.asarray(p["upper"]) - np.asarray(p["lower"])),
}
FREE: Final = tuple(_LAWS)  # families with a density in one dimension


def law(family: str, parameters: Numbers) -> Any:
    """The frozen law of `scipy.stats`; parameters may be arrays.

    Raises
    ------
    DataError
        For a constant or a Dirichlet, which have no density in one dimension.
    """
    from scipy import stats  # slow to import

    if family not in _LAWS:
        raise DataError(f"a {family} prior has no density in one dimension; choose one of {', '.join(FREE)}.")
    return _LAWS[family](stats, parameters)


def to_free(family: str, p: Numbers) -> np.ndarray:
    """Place and, where there is one, width: numbers that an optimiser may move freely."""
    match family:
        case "Normal" | "LogNormal" | "StudentT":
            free = [p["mu"], np.log(p["sigma"])]
        case "HalfNormal":
            free = [np.log(p["sigma"])]
        case "Exponential":
            free = [-np.log(p["lam"])]
        case "Gamma":
            free = [np.log(p["alpha"] / p["beta"]), -0.5 * np.log(p["alpha"])]
        case "Beta":
            free = [np.log(p["alpha"] / p["beta"]), -0.5 * np.log(p["alpha"] + p["beta"])]
        case "Uniform":
            free = [(p["lower"] + p["upper"]) / 2.0, np.log(p["upper"] - p["lower"])]
        case _:
            raise DataError(f"a {family} prior has no parameters to fit; choose one of {', '.join(FREE)}.")
    return np.asarray(free, float)


def from_free(family: str, free: np.ndarray, held: Numbers) -> dict[str, float]:
    """Parameters of `to_free`; ``held`` are those that it leaves out, as ``nu``."""
    place, width = float(free[0]), float(free[-1])
    match family:
        case "Normal" | "LogNormal":
            found = {"mu": place, "sigma": np.exp(width)}
        case "StudentT":
            found = {"nu": held["nu"], "mu": place, "sigma": np.exp(width)}
        case "HalfNormal":
            found = {"sigma": np.exp(place)}
        case "Exponential":
            found = {"lam": np.exp(-place)}
        case "Gamma":
            alpha = np.exp(-2.0 * width)
            found = {"alpha": alpha, "beta": alpha / np.exp(place)}
        case "Beta":
            total, share = np.exp(-2.0 * width), 1.0 / (1.0 + np.exp(-place))
            found = {"alpha": total * share, "beta": total * (1.0 - share)}
        case _:
            found = {"lower": place - np.exp(width) / 2.0, "upper": place + np.exp(width) / 2.0}
    return {key: float(value) for key, value in found.items()}


def overlap(first: Any, second: Any, bins: int = 2000) -> float:
    """Share of mass that two laws have in common, 0 to 1 (the coefficient of Inman and Bradley 1989)."""
    ends = np.concatenate([one.ppf([1e-6, 1.0 - 1e-6]) for one in (first, second)])
    # Edges at quantiles of both, so that a narrow law is seen beside a wide one.
    inner = np.concatenate([one.ppf(np.linspace(0.0005, 0.9995, bins)) for one in (first, second)])
    edges = np.unique(np.concatenate([ends, inner]))
    return float(np.minimum(np.diff(first.cdf(edges)), np.diff(second.cdf(edges))).sum())
