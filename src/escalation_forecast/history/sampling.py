"""Sample a small model of history and refuse draws that cannot be trusted."""

from __future__ import annotations

from typing import Final

import numpy as np
import pymc as pm
import xarray as xr

MAX_R_HAT: Final = 1.01
MIN_ESS: Final = 400.0
CORES: Final = 2


class HistoryFitError(RuntimeError):
    """A fit to history did not pass its gates; the message says which and what to do."""


def sample_small(
    model: pm.Model,
    *,
    seed: int = 1,
    tune: int = 500,
    draws: int = 1000,
    chains: int = 4,
    target_accept: float = 0.9,
) -> tuple[xr.Dataset, dict[str, float]]:
    """Draw from the posterior of a model of a few hundred parameters at most.

    Returns
    -------
    posterior : (chain, draw, ...), deterministic variables included.
    diagnostics : ``r_hat_max`` (rank-normalised, split), ``ess_min`` (the lower of bulk and tail) and
        ``divergences``, over every variable that varies.

    Raises
    ------
    HistoryFitError
        When R-hat is 1.01 or more, an effective sample size 400 or less, or a draw diverged.
    """
    import nutpie

    compiled = nutpie.compile_pymc_model(model)
    trace = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=CORES,
        seed=seed,
        target_accept=target_accept,
        progress_bar=False,
        save_warmup=False,
    )
    posterior = trace["posterior"].to_dataset()
    names = [rv.name for rv in [*model.free_RVs, *model.deterministics]]
    diverging = trace["sample_stats"].to_dataset()["diverging"]
    diagnostics = {**_mixing(posterior[names]), "divergences": float(diverging.sum())}
    _gate(diagnostics, diverging.size)
    return posterior[names], diagnostics


def _mixing(posterior: xr.Dataset) -> dict[str, float]:
    """Worst R-hat and effective sample size (Vehtari et al. 2021); constants are skipped."""
    from arviz_stats.base import array_stats

    axes = {"chain_axis": 1, "draw_axis": 2}
    r_hat, ess = [], []
    for array in posterior.data_vars.values():
        inner = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose(*inner, "chain", "draw").values
        values = values.reshape(-1, *values.shape[-2:])
        values = values[np.ptp(values.reshape(len(values), -1), axis=1) > 0]
        if not len(values):
            continue
        r_hat.append(array_stats.rhat(values, **axes).max())
        for kind in ({"method": "bulk"}, {"method": "tail", "prob": (0.05, 0.95)}):
            ess.append(array_stats.ess(values, **kind, **axes).min())
    return {"r_hat_max": float(max(r_hat)), "ess_min": float(min(ess))}


def _gate(diagnostics: dict[str, float], n_draws: int) -> None:
    r_hat, ess, divergences = (diagnostics[key] for key in ("r_hat_max", "ess_min", "divergences"))
    if divergences:
        raise HistoryFitError(
            f"{divergences:.0f} of {n_draws:,} draws diverged; raise target_accept, or tighten the priors of "
            "the history model."
        )
    if not r_hat < MAX_R_HAT:
        raise HistoryFitError(
            f"The chains of the history model have not mixed (R-hat {r_hat:.3f}, not below {MAX_R_HAT}); "
            "draw more, or try another seed."
        )
    if not ess > MIN_ESS:
        raise HistoryFitError(
            f"The history model has too few independent draws (effective sample size {ess:.0f}, not above "
            f"{MIN_ESS:.0f}); draw more."
        )
