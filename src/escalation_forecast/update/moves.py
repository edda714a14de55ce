"""Each prior moved by one of its own standard deviations, and which answers that moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.special import polygamma

from escalation_forecast.prior_law import law
from escalation_forecast.prior_spec import PriorSpec
from escalation_forecast.update.density import NotReweightableError, log_ratio
from escalation_forecast.update.likelihood import model_priors
from escalation_forecast.update.weights import Weights, smooth
from escalation_forecast.war_chain import HISTORY

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

DIRECTIONS: Final = (1.0, -1.0)
SCALES: Final = {"HalfNormal": ("sigma", 1), "Exponential": ("lam", -1), "Gamma": ("beta", -1)}


@dataclass(frozen=True, eq=False)
class Move:
    """Weights of the draws when a prior, or one of its labels, is moved up or down."""

    prior: str
    label: str
    direction: float
    weights: Weights

    @property
    def name(self) -> str:
        """Such as ``phi[korea]``."""
        return f"{self.prior}[{self.label}]" if self.label else self.prior


def shifted(family: str, numbers: dict[str, float], by: float) -> dict[str, float]:
    """The numbers of a prior moved by ``by`` of its standard deviations, its width kept.

    On the scale on which the family is a place and a width: itself, the logarithm for what is positive, log
    odds for a Beta. The scale of a HalfNormal, Exponential or Gamma moves so that the mean does by one sd.
    """
    p = dict(numbers)
    match family:
        case "Normal" | "StudentT" | "LogNormal":
            return p | {"mu": p["mu"] + by * p["sigma"]}
        case "Beta":
            sd = np.sqrt(polygamma(1, p["alpha"]) + polygamma(1, p["beta"]))
            odds = np.log(p["alpha"] / p["beta"]) + by * sd
            total = p["alpha"] + p["beta"]
            share = 1.0 / (1.0 + np.exp(-odds))
            return {"alpha": float(total * share), "beta": float(total * (1.0 - share))}
        case "HalfNormal" | "Exponential" | "Gamma":
            frozen = law(family, p)
            factor = (1.0 + abs(by) * float(frozen.std() / frozen.mean())) ** np.sign(by)
            key, power = SCALES[family]
            return p | {key: float(p[key] * factor**power)}
        case _:
            raise NotReweightableError(f"a {family} has no place to move")


def moves(updater: Updater) -> Iterator[Move]:
    """Every prior that a forecast reads moved up and down by itself, by label; pooled ones as a whole."""
    draws = updater.draws
    for name in model_priors(updater):
        yield from _of(updater, name, draws[name], updater.common(name), updater.coords(name), 1.0)
    power = float(updater.priors["history_weight"].array("value"))
    for name, (values, coords) in updater.war.kept.items():
        if updater.priors[name].family != "Fixed":
            yield from _of(updater, name, values, None, coords, power if name in HISTORY else 1.0)


def _of(
    updater: Updater,
    name: str,
    values: np.ndarray,
    common: np.ndarray | None,
    coords: dict[str, list[str]],
    power: float,
) -> Iterator[Move]:
    spec = updater.priors[name]
    if common is not None:
        yield from _weighed(updater, spec, "", common, power)
        return
    if len(spec.dims) > 1 or spec.family == "Dirichlet":
        return
    labels = coords[spec.dims[0]] if spec.dims else [""]
    columns = values.reshape(len(values), -1)
    for place, label in enumerate(labels):
        yield from _weighed(updater, spec, label, columns[:, place], power)


def _weighed(
    updater: Updater, spec: PriorSpec, label: str, values: np.ndarray, power: float
) -> Iterator[Move]:
    old = _single(spec, label, {}, power)
    for direction in DIRECTIONS:
        try:
            new = _single(spec, label, {"by": direction}, power)
            found = log_ratio(old, new, values, None, {})
        except NotReweightableError:
            continue
        yield Move(spec.name, label, direction, smooth(found.reshape(updater.draws.shape)))


def _single(spec: PriorSpec, label: str, how: dict[str, float], power: float) -> PriorSpec:
    """The prior of one label without dims, discounted as the forecast does, and moved."""
    from escalation_forecast.draws import POWERED

    numbers: dict[str, Any] = spec.at(label)
    if power != 1.0:
        numbers |= {key: float(v) for key, v in POWERED[spec.family](numbers, power).items()}
    parameters: Any = shifted(spec.family, numbers, how["by"]) if how else numbers
    return replace(spec, parameters=parameters, dims=(), labels={}, pooling="none", spread=0.0)
