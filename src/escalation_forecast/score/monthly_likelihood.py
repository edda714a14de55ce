"""Log likelihood of each month's figures under draws of the joint model.

The model adds its densities up in potentials, so nothing pointwise is kept. Here the same densities are
taken row by row from the draws, as proper ones: with the constants that a sampler has no need of.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import xarray as xr
from scipy.special import expit, gammaln

from escalation_forecast.draws import Draws
from escalation_forecast.indicator_rows import LATENTS, READING_FAMILIES
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel

BLOCKS: Final = ("news", "counts", "shares", "ladder")


def monthly_log_likelihood(panel: Panel, posterior: xr.Dataset) -> xr.Dataset:
    """Log density of the monthly figures by block of the model.

    Parameters
    ----------
    panel : its rows are scored; the draws may come from a fit to fewer of them.

    Returns
    -------
    xarray.Dataset
        Variables `BLOCKS`, each (chain, draw, month) over the grid of the panel; 0 where no figure.
    """
    draws = Draws(posterior)
    flat = flat_latents(draws["eta"])
    n = len(panel.months)
    news = panel.data["reading_index"] < len(LATENTS) * n
    parts = {
        "news": (reading_rows(panel, draws, flat)[:, news], panel.data["reading_index"][news]),
        "counts": (count_rows(panel, draws, flat), panel.data["count_index"]),
        "shares": share_rows(panel, draws, flat),
        "ladder": (ladder_rows(panel, draws, flat), panel.data["ordinal_index"]),
    }
    variables = {}
    for name, (rows, index) in parts.items():
        by_month = np.zeros((n, draws.n))
        np.add.at(by_month, np.asarray(index, int) % n, rows.T)
        variables[name] = (("chain", "draw", "month"), draws.unflatten(by_month.T))
    return xr.Dataset(variables, {"month": panel.months})


def flat_latents(eta: np.ndarray) -> np.ndarray:
    """The vector that rows index, (sample, value): months, year means, means of the three years before."""
    yearly = eta.reshape(*eta.shape[:2], -1, 12).mean(axis=3)
    padded = np.concatenate([np.repeat(yearly[:, :, :1], 3, axis=2), yearly], axis=2)
    before = (padded[:, :, :-3] + padded[:, :, 1:-2] + padded[:, :, 2:-1]) / 3.0
    return np.concatenate([part.reshape(len(eta), -1) for part in (eta, yearly, before)], axis=1)


def reading_rows(panel: Panel, draws: Draws, flat: np.ndarray) -> np.ndarray:
    """Student-t readings with an AR(1) error, given the row before: (sample, row)."""
    items, rows = panel.items["reading"], _rows(panel, "reading")
    sizes = {family: int((items["family"] == family).sum()) for family in READING_FAMILIES}
    anchor = items[items["family"] == "news"]["anchor"].to_numpy(bool)
    news = np.empty((draws.n, sizes["news"]))
    news[:, anchor], news[:, ~anchor] = draws["anchor_loading"], draws["news_loading"]
    transfer = np.repeat(draws["transfer_loading"][:, None], sizes["transfer"], axis=1)
    loading = np.concatenate([news, draws["annual_loading"], transfer, draws["troop_loading"]], axis=1)
    families = ("news", "annual", "transfer", "troop")
    intercept = np.concatenate([draws[f"{family}_intercept"] for family in families], axis=1)
    noise = np.concatenate([draws[f"{family}_noise"] for family in families], axis=1)
    none = np.zeros((draws.n, sizes["transfer"] + sizes["troops"]))
    rho = SHORT_MEMORY * np.concatenate(
        [draws["news_persistence"], draws["annual_persistence"], none], axis=1
    )
    df = np.concatenate([np.full(sizes[family], READING_DF[family]) for family in READING_FAMILIES])

    item, linked = rows["item"], rows["has_previous"]
    slope = loading[:, item] * items["sign"].to_numpy(float)[item]
    base, own, nu = intercept[:, item], rho[:, item], df[item]
    previous = linked * (rows["y_previous"] - base - slope * flat[:, rows["index_previous"]])
    scale = noise[:, item] / np.sqrt(1.0 - (1.0 - linked) * own**2)
    error = (rows["y"] - base - slope * flat[:, rows["index"]] - own * previous) / scale
    constant = gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * nu)
    return np.asarray(constant - 0.5 * (nu + 1.0) * np.log1p(error**2 / nu) - np.log(scale))


def count_rows(panel: Panel, draws: Draws, flat: np.ndarray) -> np.ndarray:
    """Negative binomial counts: (sample, row)."""
    items, rows = panel.items["count"], _rows(panel, "count")
    item, y = rows["item"], rows["y"]
    base = (draws["count_intercept"] + items["log_mean"].to_numpy(float))[:, item]
    loading = draws["count_loading"][:, items["group_index"].to_numpy(int)][:, item]
    size = draws["count_dispersion"][:, item]
    surprise = rows["log_rate_previous"] - base - loading * flat[:, rows["index_previous"]]
    memory = SHORT_MEMORY * draws["count_memory"].reshape(draws.n, 1)
    drift = draws["count_trend"].reshape(draws.n, 1)
    log_mean = base + loading * flat[:, rows["index"]] + drift * rows["trend"] + rows["log_exposure"]
    log_mean = log_mean + memory * rows["has_previous"] * surprise
    log_size = np.log(size)
    log_sum = np.logaddexp(log_mean, log_size)
    gammas = gammaln(y + size) - gammaln(size) - gammaln(y + 1.0)
    return np.asarray(gammas + y * (log_mean - log_sum) + size * (log_size - log_sum))


def share_rows(panel: Panel, draws: Draws, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beta-binomial shares, one row a figure: (sample, figure), and the positions in the flat vector."""
    rows = _rows(panel, "share")
    item, index, sign, step = (rows[name] for name in ("item", "index", "sign", "step"))
    p = expit(sign * (draws["share_intercept"][:, item] + draws["share_loading"][:, item] * flat[:, index]))
    factors = np.log(draws["share_concentration"][:, item] * p + step)
    # A figure is the pair of item and month; its factors are one for each sender covered.
    figures, which = np.unique(np.stack([item, index]), axis=1, return_inverse=True)
    which = which.ravel()
    trials, acting = np.bincount(which), np.bincount(which, weights=sign > 0)
    out = np.zeros((len(trials), draws.n))
    np.add.at(out, which, factors.T)
    size = draws["share_concentration"][:, figures[0]].T
    out -= gammaln(size + trials[:, None]) - gammaln(size)
    ways = gammaln(trials + 1.0) - gammaln(acting + 1.0) - gammaln(trials - acting + 1.0)
    return (out + ways[:, None]).T, figures[1]


def ladder_rows(panel: Panel, draws: Draws, flat: np.ndarray) -> np.ndarray:
    """Ordered logit of the ladder in three classes: (sample, row)."""
    rows = _rows(panel, "ordinal")
    item, level = rows["item"], rows["level"]
    chance, force = draws["ladder_any"], draws["ladder_any"] * draws["ladder_force"]
    push = draws["ladder_slope"][:, item] * flat[:, rows["index"]]
    reach = [expit(np.log(p / (1.0 - p))[:, item] + push) for p in (chance, force)]
    classes = np.stack([1.0 - reach[0], reach[0] - reach[1], reach[1]])
    return np.asarray(np.log(classes[level, :, np.arange(len(level))].T + 1e-12))


def _rows(panel: Panel, block: str) -> dict[str, np.ndarray]:
    start = f"{block}_"
    return {name.removeprefix(start): v for name, v in panel.data.items() if name.startswith(start)}
