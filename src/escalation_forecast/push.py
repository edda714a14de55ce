"""What moved a theatre's risk lately: the pull of each indicator, to first order.

For every indicator the slope of its log density is taken at the risk of a year ago, over the
latest months with figures. The slopes, divided by the total curvature and the prior's, are one
Newton step: they add up to where the recent figures alone would move a risk that had stayed put.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import betaln, expit, gammaln

from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel
from escalation_forecast.schema import THEATRES

RECENT_MONTHS = 6
STEP = 0.05
WORLD = "global factor"

Density = Callable[[float], float]


def push(panel: Panel, posterior: xr.Dataset) -> dict[str, list[dict[str, object]]]:
    """Push of each indicator by theatre, largest first, on the reference scale.

    Returns
    -------
    dict of str to list of dict
        ``indicator`` and ``push``; positive raises the risk. ``global factor`` is what the change of
        the factor common to all theatres did to this one.
    """
    mean = posterior.mean(("chain", "draw"))
    eta = mean["eta"].to_numpy()
    sd = reference_scale()["sd"].to_numpy()
    now, before = panel.now, panel.now - 12
    phi = np.append(mean["phi"].to_numpy(), float(mean["phi_global"]))
    out: dict[str, list[dict[str, object]]] = {}
    for k, name in enumerate(LATENTS):
        start = float(eta[k, before])
        prior_precision = 1.0 / (1.0 - phi[k] ** 24)
        slopes, curvature = {}, prior_precision
        for indicator, density in densities(panel, mean, name).items():
            up, middle, down = density(start + STEP), density(start), density(start - STEP)
            slopes[indicator] = (up - down) / (2.0 * STEP)
            curvature += max(0.0, -(up - 2.0 * middle + down) / STEP**2)
        pushes = {indicator: slope / curvature / sd[k] for indicator, slope in slopes.items()}
        if name in THEATRES:
            share = float(mean["global_share"].to_numpy()[k])
            change = eta[LATENTS.index("global"), now] - eta[LATENTS.index("global"), before]
            pushes[WORLD] = float(np.sqrt(share) * change / sd[k])
        ranked = sorted(pushes.items(), key=lambda pair: -abs(pair[1]))
        out[name] = [{"indicator": key, "push": round(float(value), 3)} for key, value in ranked]
    return out


def densities(panel: Panel, mean: xr.Dataset, latent: str) -> dict[str, Density]:
    """Log density of each indicator's latest figures as a function of a constant risk."""
    found: dict[str, Density] = {}
    for block, builder in _BUILDERS.items():
        items = panel.items[block]
        for position, name in enumerate(items.index):
            if items["theatre"].iloc[position] != latent or items["family"].iloc[position] not in _MONTHLY:
                continue
            rows = panel.history[panel.history["indicator"] == name]
            recent = rows[rows["month"] > panel.months[panel.now] - pd.DateOffset(months=RECENT_MONTHS + 6)]
            recent = recent.tail(RECENT_MONTHS)
            if len(recent):
                found[name] = builder(panel, mean, position, name, recent)
    return found


_MONTHLY = ("news", "count", "share", "ordinal")


def _reading(panel: Panel, mean: xr.Dataset, position: int, name: str, rows: pd.DataFrame) -> Density:
    items = panel.items["reading"]
    item = items.loc[name]
    raw = rows["value"].to_numpy(float)
    y = ((np.log(raw + LOG_OFFSET) if item["log"] else raw) - item["mean"]) / item["sd"]
    table = mean["anchor_loading"] if item["anchor"] else mean["news_loading"]
    dim = "anchor" if item["anchor"] else "loaded_news"
    slope = item["sign"] * float(table.sel({dim: name}))
    intercept, noise = (float(mean[key].sel(news=name)) for key in ("news_intercept", "news_noise"))
    rho = SHORT_MEMORY * float(mean["news_persistence"].sel(news=name))
    df = READING_DF["news"]

    def density(eta: float) -> float:
        error = y - intercept - slope * eta
        innovation = np.append(error[0] * np.sqrt(1.0 - rho**2), error[1:] - rho * error[:-1])
        return float(-0.5 * (df + 1.0) * np.log1p((innovation / noise) ** 2 / df).sum())

    return density


def _count(panel: Panel, mean: xr.Dataset, position: int, name: str, rows: pd.DataFrame) -> Density:
    item: Any = panel.items["count"].loc[name]
    y = rows["value"].to_numpy(float)
    exposure = panel.exposures[name].reindex(rows["month"]).to_numpy(float)
    size = float(mean["count_dispersion"][position])
    decades = (rows["month"].dt.year + (rows["month"].dt.month - 0.5) / 12 - 2005.0).to_numpy() / 10.0
    base = float(mean["count_intercept"][position]) + item["log_mean"] + np.log(exposure)
    base = base + float(mean["count_trend"]) * decades * bool(item["trend"])
    loading = float(mean["count_loading"][int(item["group_index"])])

    def density(eta: float) -> float:
        rate = np.exp(base + loading * eta)
        p = size / (size + rate)
        return float((gammaln(y + size) - gammaln(size) + size * np.log(p) + y * np.log1p(-p)).sum())

    return density


def _share(panel: Panel, mean: xr.Dataset, position: int, name: str, rows: pd.DataFrame) -> Density:
    k = rows["value"].to_numpy(float)
    n = panel.exposures[name].reindex(rows["month"]).to_numpy(float)
    c = float(mean["share_concentration"][position])
    intercept, slope = float(mean["share_intercept"][position]), float(mean["share_loading"][position])

    def density(eta: float) -> float:
        p = expit(intercept + slope * eta)
        return float((betaln(k + c * p, n - k + c * (1.0 - p)) - betaln(c * p, c * (1.0 - p))).sum())

    return density


def _ordinal(panel: Panel, mean: xr.Dataset, position: int, name: str, rows: pd.DataFrame) -> Density:
    level = rows["value"].to_numpy()
    k = THEATRES.index(str(panel.items["ordinal"]["theatre"].iloc[position]))
    some, force, slope = (float(mean[key][k]) for key in ("ladder_any", "ladder_force", "ladder_slope"))

    def density(eta: float) -> float:
        low = expit(slope * eta + np.log(some / (1.0 - some)))
        high = expit(slope * eta + np.log(some * force / (1.0 - some * force)))
        chance = np.where(level < 3, 1.0 - low, np.where(level < 4, low - high, high))
        return float(np.log(chance + 1e-12).sum())

    return density


_BUILDERS: Final = {"reading": _reading, "count": _count, "share": _share, "ordinal": _ordinal}
