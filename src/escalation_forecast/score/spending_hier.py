"""Hierarchical autoregression of growth with Student-t errors, one program for every origin.

States differ in mean, slope and scale, each drawn from a common distribution. Data are padded to a fixed
shape and swapped, so that the program is compiled once in a process and read from disk after that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from escalation_forecast.compile import compile_model
from escalation_forecast.fit import Settings, sample
from escalation_forecast.mixing import mixing
from escalation_forecast.score.cells import sampler_cores

STEPS: Final = 3
STATE_BLOCK: Final = 16
PAIR_BLOCK: Final = 512
PARAMETERS: Final = ("mean", "slope", "scale")
SETTINGS: Final = Settings(tune=500, draws=1000, chains=2, cores=2, target_accept=0.9)
"""Of the protocol; the cores are those the runner gives."""


def hier_draws(
    growth: Mapping[str, np.ndarray], seed: int, n: int, settings: Settings = SETTINGS
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Fit to all states together and draw three years ahead.

    Parameters
    ----------
    growth : by state, 100 x log growth by year.
    n : draws; posterior draws are used in turn, so that one draw is one set of parameters for all states.

    Returns
    -------
    draws : (draw, horizon) by state.
    diagnostics : r_hat (worst), ess (worst of bulk and tail), divergences.
    """
    names = list(growth)
    posterior, diagnostics = fit_hier(growth, seed, settings)
    rng = np.random.default_rng([seed, *b"hier"])
    total = len(posterior["nu"])
    # spread evenly when fewer are wanted than there are
    use = np.arange(n) % total if n >= total else np.linspace(0, total - 1, n).round().astype(int)
    nu = posterior["nu"][use]
    out = {}
    for i, state in enumerate(names):
        mean, slope, scale = (posterior[name][use, i] for name in PARAMETERS)
        last = np.full(n, float(growth[state][-1]))
        paths = np.empty((n, STEPS))
        for step in range(STEPS):
            last = mean + slope * (last - mean) + scale * rng.standard_t(nu)
            paths[:, step] = last
        out[state] = paths
    return out, diagnostics


def fit_hier(
    growth: Mapping[str, np.ndarray], seed: int, settings: Settings = SETTINGS
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Posterior draws: mean, slope and scale (draw, state), nu (draw,); and how well they mixed."""
    n_states = STATE_BLOCK * -(-len(growth) // STATE_BLOCK)
    n_pairs = sum(len(g) - 1 for g in growth.values())
    data = _padded(growth, PAIR_BLOCK * -(-n_pairs // PAIR_BLOCK))
    given = dataclasses.replace(settings, cores=min(settings.chains, sampler_cores()))
    trace = sample(_program(n_states, len(data["weight"])).with_data(**data), given, seed)
    posterior = trace["posterior"].to_dataset()
    arrays = {name: posterior[name].values[..., : len(growth)] for name in PARAMETERS}
    arrays["nu"] = posterior["nu"].values
    columns = [a.reshape(*a.shape[:2], -1) for a in arrays.values()]
    quantities = np.moveaxis(np.concatenate(columns, axis=-1), -1, 0)
    r_hat, bulk, tail = mixing(quantities)
    diagnostics = {
        "r_hat": float(np.max(r_hat)),
        "ess": float(min(np.min(bulk), np.min(tail))),
        "divergences": float(trace["sample_stats"]["diverging"].sum()),
    }
    return {name: a.reshape(-1, *a.shape[2:]) for name, a in arrays.items()}, diagnostics


def _padded(growth: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    now = np.concatenate([g[1:] for g in growth.values()])
    before = np.concatenate([g[:-1] for g in growth.values()])
    state = np.concatenate([np.full(len(g) - 1, i) for i, g in enumerate(growth.values())])
    rest = size - len(now)
    return {
        "now": np.pad(now, (0, rest)),
        "before": np.pad(before, (0, rest)),
        "state": np.pad(state, (0, rest)).astype(np.int64),
        "weight": np.pad(np.ones(len(now)), (0, rest)),
    }


def hier_model(data: Mapping[str, np.ndarray], n_states: int) -> pm.Model:
    """The model; rows of weight zero and states without a row do not count."""
    with pm.Model() as model:
        now, before, weight = (pm.Data(name, data[name]) for name in ("now", "before", "weight"))
        state = pm.Data("state", data["state"])
        centre = pm.Normal("mean_centre", 3.0, 3.0)
        spread = pm.HalfNormal("mean_spread", 3.0)
        mean = pm.Deterministic("mean", centre + spread * pm.Normal("mean_z", shape=n_states))
        centre = pm.Normal("slope_centre", 0.35, 0.3)
        spread = pm.HalfNormal("slope_spread", 0.25)
        slope = pm.Deterministic("slope", pt.tanh(centre + spread * pm.Normal("slope_z", shape=n_states)))
        centre = pm.Normal("scale_centre", np.log(4.0), 0.7)
        spread = pm.HalfNormal("scale_spread", 0.7)
        scale = pm.Deterministic("scale", pt.exp(centre + spread * pm.Normal("scale_z", shape=n_states)))
        nu = pm.Deterministic("nu", 2.0 + pm.Gamma("nu_excess", 2.0, 0.2))
        expected = mean[state] + slope[state] * (before - mean[state])
        density = pm.logp(pm.StudentT.dist(nu=nu, mu=expected, sigma=scale[state]), now)
        pm.Potential("growth", (weight * density).sum())
    return model


@lru_cache(maxsize=4)
def _program(n_states: int, n_pairs: int) -> Any:
    example = _padded({"": np.linspace(0.0, 5.0, 10)}, n_pairs)
    return compile_model(hier_model(example, n_states))
