"""Values of priors, draw by draw, as the outcomes read them.

Every prior and label has its own stratified uniform numbers, so a prior that changes moves the same
draws and an outcome moves smoothly with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from escalation_forecast.draws import POWERED
from escalation_forecast.pooling import shifted
from escalation_forecast.prior_law import law
from escalation_forecast.prior_spec import PriorSpec, bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.war_chain import HISTORY


class PriorValues:
    """Draws of any prior: ``values("phi", "korea")`` is an array of ``n`` numbers.

    Parameters
    ----------
    priors
    n, seed
        Number of draws and seed of their order.

    Notes
    -----
    Priors learned from history are discounted by ``history_weight``, as the forecast does.
    """

    def __init__(self, priors: Priors, n: int, seed: int) -> None:
        self.priors, self.n, self.seed = priors, n, seed
        self._put: dict[tuple[str, str], tuple[PriorSpec, Mapping[str, float]]] = {}
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    def put(self, name: str, label: str, spec: PriorSpec, parameters: Mapping[str, float]) -> None:
        """From now on this prior has, at this label, the family of ``spec`` with these parameters."""
        self._put[name, label] = (spec, parameters)
        self._kept.pop((name, label), None)

    def __call__(self, name: str, label: str = "") -> np.ndarray:
        key = (name, label)
        if key not in self._kept:
            spec, parameters = self._put.get(key) or (self.priors[name], self.priors[name].at(label))
            self._kept[key] = self._draws(spec, parameters, label)
        return self._kept[key]

    def _draws(self, spec: PriorSpec, parameters: Mapping[str, Any], label: str) -> np.ndarray:
        if spec.family == "Fixed":
            return np.full(self.n, parameters["value"])
        weight = float(self.priors["history_weight"].array("value")) if spec.name in HISTORY else 1.0
        if weight != 1.0 and spec.family in POWERED:
            arrays = {key: np.asarray(value) for key, value in parameters.items()}
            parameters = {**parameters, **POWERED[spec.family](arrays, weight)}
        drawn = np.asarray(law(spec.family, parameters).ppf(self._uniform(spec.name, label)))
        if spec.pooling == "partial":
            from scipy.special import ndtri

            steps = spec.spread * ndtri(self._uniform(spec.name, f"{label} step"))
            drawn = shifted(drawn, steps, *bounds_of(spec.support, spec.name))
        return drawn

    def _uniform(self, name: str, label: str) -> np.ndarray:
        rng = np.random.default_rng([self.seed, zlib.crc32(f"{name} {label}".encode())])
        return np.asarray((rng.permutation(self.n) + rng.random(self.n)) / self.n)
