"""What the blocks of the model share: how a prior becomes a variable, and heavy-tailed innovations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymc as pm
import pytensor.tensor as pt

from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError


@dataclass(frozen=True)
class Draw:
    """Puts a prior's variable into the model in context."""

    priors: Priors
    coords: dict[str, list[Any]]

    def __call__(self, name: str) -> Any:
        return self.priors.to_pymc_extras(name, self.coords).create_variable(name)

    def constant(self, name: str) -> float:
        """The number behind a prior that the program needs as a constant."""
        spec = self.priors[name]
        if spec.family != "Fixed":
            raise DataError(
                f"prior '{name}' is {spec.text}, but the model needs a constant there: give family "
                f'"Fixed" and one value.'
            )
        return float(spec.array("value"))


def mixed_t(name: str, df: float, dims: tuple[str, ...]) -> Any:
    """Student-t innovations of unit scale, as normal ones of random precision.

    Where no data bear on them the sampler moves through two light tails in place of one heavy tail.
    """
    normal = pm.Normal(f"{name}_innovation", 0.0, 1.0, dims=dims)
    precision = pm.Gamma(f"{name}_precision_innovation", alpha=df / 2.0, beta=df / 2.0, dims=dims)
    return normal / pt.sqrt(precision)
