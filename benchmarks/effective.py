"""Effective sample sizes of every quantity that a forecast publishes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.setting import HORIZON, SEED, Setting
from escalation_forecast.fit import is_other
from escalation_forecast.forecast import simulate
from escalation_forecast.mixing import mixing
from escalation_forecast.questions import evaluate, load_questions

SPENDING = ("growth_print", "growth_true")


@dataclass(frozen=True)
class Effective:
    """Bulk and tail effective sample sizes by quantity, and R-hat, as `fit.diagnose` finds them."""

    names: list[str]
    r_hat: np.ndarray
    bulk: np.ndarray
    tail: np.ndarray

    def summary(self) -> dict[str, float | str | int]:
        shown = np.array([not is_other(name) for name in self.names])
        return {
            "quantities": len(self.names),
            "bulk_min": float(self.bulk.min()),
            "bulk_min_of": self.names[int(self.bulk.argmin())],
            "bulk_min_shown": float(self.bulk[shown].min()),
            "bulk_median": float(np.median(self.bulk)),
            "tail_min": float(np.nanmin(self.tail)),
            "tail_min_of": self.names[int(np.nanargmin(self.tail))],
            "tail_median": float(np.nanmedian(self.tail)),
            "r_hat_max": float(self.r_hat.max()),
        }


def effective(setting: Setting, posterior: xr.Dataset) -> Effective:
    """Every parameter, latents up to ``as_of``, paths of spending and questions."""
    paths = simulate(setting.panel, posterior, setting.priors, HORIZON, SEED)
    now = np.datetime64(pd.Timestamp(setting.as_of))
    names, parts = [], []
    for array in [*posterior.data_vars.values(), *(paths[name] for name in SPENDING if name in paths)]:
        for dim in array.dims:
            if array[dim].dtype.kind == "M":
                array = array.isel({dim: array[dim].values <= now})
        inner = [dim for dim in array.dims if dim not in ("chain", "draw")]
        values = array.transpose(*inner, "chain", "draw").values
        values = values.reshape(-1, *values.shape[-2:])
        varying = np.ptp(values.reshape(len(values), -1), axis=1) > 0
        if varying.any():
            names += [f"{array.name}[{k}]" for k in np.flatnonzero(varying)]
            parts.append(mixing(values[varying]))
    r_hat, bulk, tail = (np.concatenate([part[k] for part in parts]) for k in range(3))
    answers = evaluate(load_questions(), paths, setting.store)
    asked = [a for a in answers if a.r_hat is not None and a.ess is not None]
    names += [f"question {a.item.id}" for a in asked]
    ess = np.array([a.ess for a in asked])
    r_hat = np.concatenate([r_hat, [a.r_hat for a in asked]])
    return Effective(
        names, r_hat, np.concatenate([bulk, ess]), np.concatenate([tail, np.full(len(ess), np.nan)])
    )
