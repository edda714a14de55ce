"""From what a person said about a parameter to the parameters of its prior.

PreliZ finds maximum entropy and quartiles and pools experts. Roulettes are fitted here by the
likelihood of the chips per bin: PreliZ 0.28 compares a density with shares, which is right only for bins
of width one (ten bins on 0 to 1 turn a Beta(4, 8) into a Beta(0.5, 0.1)).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final

import numpy as np

from escalation_forecast.elicited import Elicited
from escalation_forecast.prior_law import from_free, law, overlap, to_free
from escalation_forecast.prior_spec import FAMILIES, FAMILY_SUPPORT, bounds_of
from escalation_forecast.schema import DataError

NEAR: Final = 0.05  # of mass: two parameters cannot meet three quartiles exactly
DIGITS: Final = 6


def fit(said: Elicited, family: str, held: Mapping[str, float], at: str) -> dict[str, float]:
    """Parameters of ``family`` that say what was said.

    Parameters
    ----------
    held
        Parameters that stay as given, such as ``nu`` of a Student-t.

    Raises
    ------
    DataError
        When no member of the family says it, or experts contradict each other.
    """
    if family in ("Fixed", "Dirichlet"):
        what = {"interval": "an interval", "quartiles": "quartiles", "roulette": "a roulette"}
        raise DataError(
            f"{at}: {what.get(said.method, 'a panel of experts')} cannot set a {family} prior; "
            "give its parameters, or another family."
        )
    for key in held:
        if key not in FAMILIES[family]:
            raise DataError(f"{at}: {family} has no parameter '{key}'; leave it out.")
    if family == "StudentT" and "nu" not in held:
        raise DataError(f"{at}: StudentT needs its nu beside what was said; give parameters = {{ nu = 4 }}.")
    found = _METHODS[said.method](said, family, held, at)
    if abs(found.get("mu", 1.0)) < 1e-6 * found.get("sigma", 0.0):
        found["mu"] = 0.0  # what an optimiser leaves of a symmetric statement
    return {key: float(f"{found[key]:.{DIGITS}g}") for key in FAMILIES[family]}


def _within(family: str, low: float, high: float, what: str, at: str) -> None:
    inside = bounds_of(FAMILY_SUPPORT.get(family, "real"), at)
    if not (inside[0] <= low and high <= inside[1]):
        raise DataError(
            f"{at}: {what} [{low:g}, {high:g}] does not fit {family}, whose support is "
            f"{inside[0]:g} to {inside[1]:g}; keep inside it or choose another family."
        )


def _preliz(family: str, held: Mapping[str, float]) -> tuple[Any, Any]:
    import preliz  # slow to import, and only a statement needs it

    return preliz, getattr(preliz, family)(**held)


def _interval(said: Elicited, family: str, held: Mapping[str, float], at: str) -> dict[str, float]:
    low, high, mass = (said.number(key) for key in ("low", "high", "mass"))
    _within(family, low, high, "the interval", at)
    preliz, distribution = _preliz(family, held)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a mass that is checked below
        preliz.maxent(distribution, low, high, mass, plot=False)
    got = float(distribution.cdf(high) - distribution.cdf(low))
    if not abs(got - mass) < 0.01:
        raise DataError(
            f"{at}: no {family} has {mass:.0%} of its mass in [{low:g}, {high:g}]; "
            "change the interval or the family."
        )
    return {key: float(getattr(distribution, key)) for key in FAMILIES[family]}


def _quartiles(said: Elicited, family: str, held: Mapping[str, float], at: str) -> dict[str, float]:
    points = np.array([said.number(key) for key in ("lower", "median", "upper")])
    _within(family, points[0], points[-1], "the range of the quartiles", at)
    preliz, distribution = _preliz(family, held)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of masses that are checked below
        preliz.quartile(distribution, *points, plot=False)
    found = {key: float(getattr(distribution, key)) for key in FAMILIES[family]}
    made = law(family, found)
    if not np.all(np.abs(made.cdf(points) - [0.25, 0.5, 0.75]) < NEAR):
        near = ", ".join(f"{q:.3g}" for q in made.ppf([0.25, 0.5, 0.75]))
        raise DataError(
            f"{at}: no {family} has the {said.text}; the nearest has {near}: change a quartile or the family."
        )
    return found


def _roulette(said: Elicited, family: str, held: Mapping[str, float], at: str) -> dict[str, float]:
    """Parameters of greatest likelihood of the chips, whose bins are known but not their places within."""
    from scipy.optimize import minimize

    edges, chips = np.array(said.listed("edges")), np.array(said.listed("chips"))
    laid = np.flatnonzero(chips)
    first, last = edges[laid[0]], edges[laid[-1] + 1]
    _within(family, first, last, "the bins with chips from", at)
    if family == "Uniform":
        return {"lower": float(first), "upper": float(last)}
    middles = (edges[1:] + edges[:-1]) / 2.0
    share = chips / chips.sum()
    mean = float(share @ middles)
    sd = float(np.sqrt(share @ (middles - mean) ** 2 + share @ np.diff(edges) ** 2 / 12.0))
    distribution = _preliz(family, held)[1]
    distribution._fit_moments(mean, sd)  # the guess that PreliZ itself starts from
    start = {key: float(getattr(distribution, key)) for key in FAMILIES[family]} | dict(held)
    inside = np.array(bounds_of(FAMILY_SUPPORT.get(family, "real"), at))
    limits = np.clip(edges, *inside)

    def loss(free: np.ndarray) -> float:
        mass = np.diff(law(family, from_free(family, free, held)).cdf(limits))
        return -float(share @ np.log(np.maximum(mass, 1e-300)))

    best = minimize(
        loss, to_free(family, start), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}
    )
    return from_free(family, best.x, held)


def _experts(said: Elicited, family: str, held: Mapping[str, float], at: str) -> dict[str, float]:
    """Linear pool, and the member of the family that fits it best (`preliz.combine`)."""
    names = [one.who or f"expert {n}" for n, one in enumerate(said.experts, 1)]
    found = [fit(one, family, held, f"{at}, {name}") for one, name in zip(said.experts, names, strict=True)]
    return pooled(found, names, said, family, held, at)


def pooled(
    found: list[dict[str, float]],
    names: list[str],
    said: Elicited,
    family: str,
    held: Mapping[str, float],
    at: str,
) -> dict[str, float]:
    """One member of the family for the parameters that each expert's statement gave."""
    laws = [law(family, parameters) for parameters in found]
    least = said.number("least_overlap")
    for a, b in combinations(range(len(laws)), 2):
        shared = overlap(laws[a], laws[b])
        if shared < least:
            raise DataError(
                f"{at}: {names[a]} and {names[b]} contradict each other, their distributions overlap by "
                f"{100 * shared:.2g} % where {100 * least:g} % are asked: let them talk, leave one out, or "
                "lower least_overlap."
            )
    preliz, _ = _preliz(family, held)
    if family == "StudentT":
        # `combine` would fit nu as well.
        weights = np.array(said.listed("weights")) / sum(said.listed("weights"))
        points = np.concatenate([one.ppf(np.linspace(0.0025, 0.9975, 400)) for one in laws])
        return _weighted_fit(points, np.repeat(weights / 400.0, 400), family, found[0], held)
    members = [getattr(preliz, family)(**parameters) for parameters in found]
    best, _ = preliz.combine(members, said.listed("weights"), [family], plot=0)
    return {key: float(getattr(best[0], key)) for key in FAMILIES[family]}


def _weighted_fit(
    points: np.ndarray,
    weights: np.ndarray,
    family: str,
    start: Mapping[str, float],
    held: Mapping[str, float],
) -> dict[str, float]:
    from scipy.optimize import minimize

    def loss(free: np.ndarray) -> float:
        return -float(weights @ law(family, from_free(family, free, held)).logpdf(points))

    return from_free(family, minimize(loss, to_free(family, start), method="Nelder-Mead").x, held)


_METHODS: Final = {
    "interval": _interval,
    "quartiles": _quartiles,
    "roulette": _roulette,
    "experts": _experts,
}
