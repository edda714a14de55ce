"""Log likelihood and log prior of each draw, from what a run keeps of its posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.update.density import log_density, log_prior
from escalation_forecast.war_chain import HISTORY

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

# Reports of stocks share a monthly miss that is not kept, so that their density cannot be had again.
LEFT_OUT: Final = ("stocks",)


def log_likelihood(model: Any, posterior: xr.Dataset, places: np.ndarray) -> np.ndarray:
    """Log density of the observations at draws, (block, place), without that of ``LEFT_OUT``.

    Parameters
    ----------
    model : as from `model.build_model`; its potentials are the likelihood.
    posterior : parameters and paths that the model keeps.
    places : positions of the draws wanted, chain by chain.
    """
    import pytensor
    from pytensor.graph.replace import clone_replace

    inputs, known = [], {}
    for variable in model.unobserved_RVs:
        if variable.name not in posterior:
            continue
        given = variable.type(name=str(variable.name))
        inputs.append(given)
        known[variable] = given
        # A deterministic is a named copy; what the model goes on with is what it copies.
        if variable in model.deterministics and variable.owner and len(variable.owner.inputs) == 1:
            known[variable.owner.inputs[0]] = given
    terms = [potential.sum() for potential in model.potentials if potential.name not in LEFT_OUT]
    # As written, in Python: a thousand evaluations do not pay for a compilation.
    outputs = clone_replace(terms, known)
    program = pytensor.function(inputs, outputs, mode="NUMBA", on_unused_input="ignore")
    draws = Draws(posterior)
    values = [np.asarray(draws[str(given.name)][places], given.dtype) for given in inputs]
    rows = [program(*[value[k] for value in values]) for k in range(len(places))]
    return np.array(rows, float).T


def log_priors(updater: Updater) -> np.ndarray:
    """Log density (part, n) of priors at the draws, of the model and of the chain to war, label by label."""
    draws, priors = updater.draws, updater.priors
    parts = []
    for name in model_priors(updater):
        common, coords = updater.common(name), updater.coords(name)
        if common is not None:
            parts.append(log_prior(priors[name], draws[name], common, coords)[:, None])
        else:
            parts.append(_by_label(log_density(priors[name], draws[name], coords)))
    power = float(priors["history_weight"].array("value"))
    for name, (values, coords) in updater.war.kept.items():
        if priors[name].family != "Fixed":
            own = power if name in HISTORY else 1.0
            parts.append(_by_label(log_density(priors[name], values, coords, own)))
    return np.concatenate(parts, axis=1).T


def _by_label(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


def model_priors(updater: Updater) -> list[str]:
    """Priors that the sampler moves, in the order of the file."""
    return [
        name for name, spec in updater.priors.items() if name in updater.posterior and spec.family != "Fixed"
    ]
