"""Chains of war with made-up numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import THEATRES
from escalation_forecast.war_chain import JOINERS, ClashChain, JoiningChain
from escalation_forecast.war_paths import Chains, war_paths

DYADS = ("KOR-PRK", "USA-PRK", "CHN-TWN", "CHN-USA", "CHN-JPN", "CHN-PHL", "CHN-VNM", "RUS-NATO")
OF = np.array([0, 0, 1, 1, 2, 3, 3, 4])
FIRST = "2026-12-01"


def make_chains(
    n: int = 40, months: int = 36, seed: int = 0, *, force: float | None = None, scale: float = 1.0
) -> Chains:
    """Random parameters and latents; `scale` multiplies the latents, `force` fixes the chance of force."""
    rng = np.random.default_rng(seed)
    latents = scale * rng.normal(size=(n, len(THEATRES) + 1, months))
    share = rng.gamma(1.0, size=(n, len(DYADS)))
    total = np.stack([share[:, k == OF].sum(axis=1) for k in range(len(THEATRES))], axis=1)
    clash = ClashChain(
        dyads=DYADS,
        theatre=OF,
        share=share / total[:, OF],
        fatal=rng.beta(2, 5, size=(n, len(THEATRES))),
        opens=1.0 / (1.0 + rng.gamma(1.0, 0.1, size=n)),
        material=rng.beta(2, 8, size=n),
        war=rng.normal(-2.5, 1.0, size=n),
        slope=rng.lognormal(-0.9, 0.5, size=n),
        restraint=np.where(np.arange(len(DYADS)) == 7, rng.lognormal(-0.9, 0.6, size=(n, 1)), 1.0),
    )
    named = rng.dirichlet(np.ones(len(JOINERS) + 1), size=n)[:, :-1]
    joining = JoiningChain(
        age=57,
        reference_age=57.0,
        logit=rng.normal(-4.0, 0.7, size=n),
        by_age=rng.normal(-0.4, 0.3, size=n),
        end=rng.normal(-3.5, 0.5, size=n),
        end_by_age=rng.normal(0.0, 0.2, size=n),
        share=named,
        restrained=named * rng.lognormal(-0.9, 0.6, size=(n, 1)),
        own=rng.lognormal(-1.4, 0.6, size=n),
        world=rng.lognormal(-1.8, 0.6, size=n),
        since=rng.normal(size=(n, len(THEATRES) + 1)),
    )
    chance = (
        rng.beta(2, 8, size=(n, len(THEATRES), months)) if force is None else np.full((n, 5, months), force)
    )
    index = pd.date_range(FIRST, periods=months, freq="MS")
    return Chains(index, chance, latents, clash, joining, seed)


def simulated(chains: Chains, n_chains: int = 2) -> xr.Dataset:
    """Paths of those chains, as a forecast has them."""
    n = len(chains.force)
    posterior = xr.Dataset(coords={"chain": range(n_chains), "draw": range(n // n_chains)})
    paths = war_paths(chains, posterior)
    last = {"as_of": "2026-11-22", "horizon": len(chains.months), "first_forecast_month": FIRST[:7]}
    return paths.assign_coords(month=chains.months).assign_attrs(last)
