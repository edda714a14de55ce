"""Draws from the priors of a joint model, without a sampler and without compilation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from pytensor.compile.mode import Mode


def plain() -> Mode:
    """Runs the graph as written, in Python; nothing to compile."""
    return Mode(linker="py", optimizer=None)


class Evaluate:
    """Every named value of a model at given values of its random variables."""

    def __init__(self, model: pm.Model) -> None:
        self.model = model
        outputs = [*model.deterministics, *model.potentials]
        self.names = [str(variable.name) for variable in outputs]
        self.program = pytensor.function(model.free_RVs, outputs, mode=plain(), on_unused_input="ignore")

    def __call__(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = [np.asarray(values[str(rv.name)], float) for rv in self.model.free_RVs]
        found = dict(zip(self.names, self.program(*given), strict=True))
        return {**values, **{name: np.asarray(value) for name, value in found.items()}}

    def at_prior_draw(self, seed: int) -> dict[str, np.ndarray]:
        drawn = pm.draw(self.model.free_RVs, random_seed=seed, mode=plain())
        return self({str(rv.name): value for rv, value in zip(self.model.free_RVs, drawn, strict=True)})


def draw_posterior(model: pm.Model, chains: int, draws: int, seed: int) -> xr.Dataset:
    """Coherent draws of everything that a fit keeps, under the model's labels."""
    kept = [v for v in model.unobserved_RVs if not str(v.name).endswith("innovation")]
    drawn = pm.draw(kept, draws=chains * draws, random_seed=seed, mode=plain())
    index = {"chain": np.arange(chains), "draw": np.arange(draws)}
    found = {}
    for variable, values in zip(kept, drawn, strict=True):
        name = str(variable.name)
        coords = {dim: np.asarray(model.coords[dim]) for dim in model.named_vars_to_dims.get(name) or ()}
        shaped = np.asarray(values, float).reshape(chains, draws, *(len(c) for c in coords.values()))
        found[name] = xr.DataArray(shaped, index | coords, dims=(*index, *coords))
    return xr.Dataset(found)


def with_values(posterior: xr.Dataset, **values: object) -> xr.Dataset:
    """The same draws with some variables set to a value that broadcasts over chain and draw."""
    changed = {name: posterior[name] * 0.0 + value for name, value in values.items()}
    return posterior.assign(changed)


def repeated(posterior: xr.Dataset, draws: int) -> xr.Dataset:
    """One draw many times over, so that what varies is the simulation alone."""
    one = posterior.isel(chain=[0], draw=np.zeros(draws, int))
    return one.assign_coords(draw=np.arange(draws))
