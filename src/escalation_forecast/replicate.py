"""Made-up observations from draws of the parameters, month by month, in the units the model observes.

``one_step`` goes on from the figure of the period before; ``whole`` starts each item afresh and feeds on
its own past. Both take the latent of the same draw, so under the posterior the latent has seen the figure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel
from escalation_forecast.schema import THEATRES

FEW_TRIALS = 1e-9
LARGEST_LOG = 20.0


@dataclass(frozen=True)
class Replicate:
    """One item: its figures, and draws of them (sample, row).

    Attributes
    ----------
    position : (row,), where the latent is read, see `flat_latents`; monthly values come first.
    """

    item: str
    block: str
    position: np.ndarray
    y: np.ndarray
    one_step: np.ndarray
    whole: np.ndarray

    @property
    def discrete(self) -> bool:
        return self.block in ("count", "share", "ordinal", "hurdle")


def replicates(panel: Panel, draws: Draws, rng: np.random.Generator) -> Iterator[Replicate]:
    """Every item of readings, counts, shares, ladder and whether anything was delivered."""
    flat = flat_latents(draws["eta"])
    yield from _readings(panel, draws, flat, rng)
    yield from _counts(panel, draws, flat, rng)
    yield from _shares(panel, draws, flat, rng)
    yield from _ladders(panel, draws, flat, rng)
    yield from _hurdles(panel, draws, flat, rng)


def flat_latents(eta: np.ndarray) -> np.ndarray:
    """(sample, position): monthly values, year means, means of the three years before, as in the model."""
    n, latents, months = eta.shape
    yearly = eta.reshape(n, latents, months // 12, 12).mean(axis=3)
    padded = np.concatenate([yearly[:, :, :1]] * 3 + [yearly], axis=2)
    size = months // 12
    before = (padded[:, :, :size] + padded[:, :, 1 : size + 1] + padded[:, :, 2 : size + 2]) / 3.0
    return np.concatenate([part.reshape(n, -1) for part in (eta, yearly, before)], axis=1)


def _readings(panel: Panel, draws: Draws, flat: np.ndarray, rng: np.random.Generator) -> Iterator[Replicate]:
    items, data = panel.items["reading"], panel.data
    within = items.groupby("family").cumcount()
    for position, name in enumerate(items.index):
        item = items.loc[name]
        family, k = str(item["family"]), int(within[name])
        short = "troop" if family == "troops" else family
        if family == "news":
            group = ("anchor_loading", "anchor") if item["anchor"] else ("news_loading", "loaded_news")
            loading = draws[group[0]][:, draws.labels(group[1]).index(name)]
        else:
            loading = draws[f"{short}_loading"]
            loading = loading if loading.ndim == 1 else loading[:, k]
        intercept, noise = draws[f"{short}_intercept"][:, k], draws[f"{short}_noise"][:, k]
        persistent = family in ("news", "annual")
        rho = SHORT_MEMORY * draws[f"{short}_persistence"][:, k] if persistent else np.zeros(draws.n)
        rows = np.flatnonzero(data["reading_item"] == position)
        if not len(rows):
            continue
        y, linked = data["reading_y"][rows], data["reading_has_previous"][rows] > 0
        mean = intercept[:, None] + (item["sign"] * loading)[:, None] * flat[:, data["reading_index"][rows]]
        shock = noise[:, None] * student_t(rng, READING_DF[family], (draws.n, len(rows)))
        fresh = shock / np.sqrt(1.0 - rho**2)[:, None]
        error = y - mean
        before = np.concatenate([np.zeros((draws.n, 1)), error[:, :-1]], axis=1)
        one_step = mean + np.where(linked, rho[:, None] * before + shock, fresh)
        whole, last = np.empty_like(mean), np.zeros(draws.n)
        for t in range(len(rows)):
            last = rho * last + shock[:, t] if linked[t] else fresh[:, t]
            whole[:, t] = mean[:, t] + last
        yield Replicate(str(name), family, data["reading_index"][rows], y, one_step, whole)


def _counts(panel: Panel, draws: Draws, flat: np.ndarray, rng: np.random.Generator) -> Iterator[Replicate]:
    items, data = panel.items["count"], panel.data
    for position, name in enumerate(items.index):
        rows = np.flatnonzero(data["count_item"] == position)
        if not len(rows):
            continue
        item = items.loc[name]
        y, exposure = data["count_y"][rows], data["count_log_exposure"][rows]
        linked = data["count_has_previous"][rows] > 0
        base = draws["count_intercept"][:, position] + item["log_mean"]
        slope = draws["count_loading"][:, int(item["group_index"])]
        level = base[:, None] + slope[:, None] * flat[:, data["count_index"][rows]]
        before = base[:, None] + slope[:, None] * flat[:, data["count_index_previous"][rows]]
        trend = draws["count_trend"][:, None] * data["count_trend"][rows]
        memory = (SHORT_MEMORY * draws["count_memory"])[:, None]
        size = draws["count_dispersion"][:, [position]]
        surprise = memory * linked * (data["count_log_rate_previous"][rows] - before)
        one_step = _negative_binomial(rng, level + trend + surprise + exposure, size)
        whole = np.empty_like(level)
        for t in range(len(rows)):
            push = np.zeros(draws.n)
            if linked[t]:
                push = memory[:, 0] * (np.log(whole[:, t - 1] + 0.5) - exposure[t - 1] - before[:, t])
            log_mean = level[:, t] + trend[:, t] + push + exposure[t]
            whole[:, t] = _negative_binomial(rng, log_mean, size[:, 0])
        yield Replicate(str(name), "count", data["count_index"][rows], y, one_step, whole)


def _negative_binomial(rng: np.random.Generator, log_mean: np.ndarray, size: np.ndarray) -> np.ndarray:
    rate = np.exp(np.minimum(log_mean, LARGEST_LOG)) * rng.gamma(np.broadcast_to(size, log_mean.shape)) / size
    return np.asarray(rng.poisson(np.minimum(rate, 1e15)), float)


def _shares(panel: Panel, draws: Draws, flat: np.ndarray, rng: np.random.Generator) -> Iterator[Replicate]:
    data = panel.data
    for position, name in enumerate(panel.items["share"].index):
        mine = data["share_item"] == position
        if not mine.any():
            continue
        rows = pd.DataFrame({"index": data["share_index"][mine], "acts": data["share_sign"][mine] > 0})
        months = rows.groupby("index")["acts"].agg(["sum", "size"])
        y, trials = months["sum"].to_numpy(float), months["size"].to_numpy(int)
        logit = (
            draws["share_intercept"][:, [position]]
            + draws["share_loading"][:, [position]] * (flat[:, months.index.to_numpy()])
        )
        c, p = draws["share_concentration"][:, [position]], expit(logit)
        chance = rng.beta(np.maximum(c * p, FEW_TRIALS), np.maximum(c * (1.0 - p), FEW_TRIALS))
        drawn = rng.binomial(trials, chance).astype(float)
        yield Replicate(str(name), "share", months.index.to_numpy(), y, drawn, drawn)


def _ladders(panel: Panel, draws: Draws, flat: np.ndarray, rng: np.random.Generator) -> Iterator[Replicate]:
    data = panel.data
    for name, theatre in panel.items["ordinal"]["theatre"].items():
        k = THEATRES.index(theatre)
        rows = np.flatnonzero(data["ordinal_item"] == k)
        if not len(rows):
            continue
        display, force = draws["ladder_any"][:, [k]], draws["ladder_force"][:, [k]]
        push = draws["ladder_slope"][:, [k]] * flat[:, data["ordinal_index"][rows]]
        u = rng.logistic(size=push.shape)
        first, second = np.log(display / (1 - display)), np.log(display * force / (1 - display * force))
        level = (u < push + first).astype(float) + (u < push + second)
        y = data["ordinal_level"][rows].astype(float)
        yield Replicate(str(name), "ordinal", data["ordinal_index"][rows], y, level, level)


def _hurdles(panel: Panel, draws: Draws, flat: np.ndarray, rng: np.random.Generator) -> Iterator[Replicate]:
    data = panel.data
    for position, name in enumerate(draws.labels("transfer")):
        rows = np.flatnonzero(data["hurdle_item"] == position)
        if not len(rows):
            continue
        logit = (
            draws["hurdle_intercept"][:, [position]]
            + draws["hurdle_loading"][:, None] * (flat[:, data["hurdle_index"][rows]])
        )
        drawn = (rng.random(logit.shape) < expit(logit)).astype(float)
        yield Replicate(
            f"any_{name}", "hurdle", data["hurdle_index"][rows], data["hurdle_z"][rows], drawn, drawn
        )
