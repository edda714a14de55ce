"""Future indicators given the latent paths, each from its own observation equation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd
from scipy.special import expit

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET, TROOP_CHANGE_UNIT
from escalation_forecast.model import READING_DF, SHORT_MEMORY
from escalation_forecast.panel import Panel
from escalation_forecast.schema import THEATRES

STALE_MONTHS = 18  # an indicator without figures for longer is not forecast
LOG_MEAN_BOUNDS = (-8.0, 9.0)
FIRST_TRANSFER_YEAR = 2015
LEAST_CHANCE = 1e-12  # so that log-odds stay finite however far out the latent
LEVELS = np.array([0.0, 3.0, 4.0])


def indicator_paths(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """Monthly news, counts and shares (sample, indicator, month) in their own units, and their names.

    Behind the last figure: as observed, missing where no figure. Ahead: simulated. A combination of
    several units stays a mean of standardised logarithms, which has no unit of its own. In single precision,
    of which there are some hundred megabytes.
    """
    given = (panel, draws, eta, months, rng)
    names, parts = [], []
    for name, values in chain(_news(*given), _counts(*given), _shares(*given)):
        names.append(name)
        parts.append(values.astype(np.float32))
    return np.stack(parts, axis=1), names


def _start(panel: Panel, name: str, months: pd.DatetimeIndex, n: int) -> tuple[np.ndarray, int] | None:
    """History on the month axis and the first position to simulate; None for a stale indicator."""
    rows = panel.history[panel.history["indicator"] == name]
    out = np.full((n, len(months)), np.nan)
    if rows.empty:
        return None
    positions = months.get_indexer(pd.DatetimeIndex(rows["month"]))
    out[:, positions] = rows["value"].to_numpy()[None, :]
    first = int(positions.max()) + 1
    return (out, first) if panel.now - first < STALE_MONTHS else None


def _latent(panel: Panel, block: str, name: str) -> int:
    return LATENTS.index(str(panel.items[block].loc[name, "theatre"]))


def _news(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    items = panel.items["reading"]
    news = items[items["family"] == "news"]
    anchors = list(news.index[news["anchor"]])
    loaded = list(news.index[~news["anchor"]])
    for position, name in enumerate(news.index):
        started = _start(panel, name, months, draws.n)
        if started is None:
            continue
        out, first = started
        item = news.loc[name]
        own_unit = bool(item["log"])
        group = ("anchor_loading", anchors) if item["anchor"] else ("news_loading", loaded)
        slope = item["sign"] * draws[group[0]][:, group[1].index(name)]
        intercept, noise = draws["news_intercept"][:, position], draws["news_noise"][:, position]
        rho = SHORT_MEMORY * draws["news_persistence"][:, position]
        k = _latent(panel, "reading", name)
        last = np.log(out[0, first - 1] + LOG_OFFSET) if own_unit else out[0, first - 1]
        error = (last - item["mean"]) / item["sd"] - intercept - slope * eta[:, k, first - 1]
        shocks = student_t(rng, READING_DF["news"], (draws.n, len(months)))
        for t in range(first, len(months)):
            error = rho * error + noise * shocks[:, t]
            y = (intercept + slope * eta[:, k, t] + error) * item["sd"] + item["mean"]
            out[:, t] = np.maximum(np.exp(np.minimum(y, 20.0)) - LOG_OFFSET, 0.0) if own_unit else y
        yield name, out


def _counts(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    items = panel.items["count"]
    memory = SHORT_MEMORY * draws["count_memory"]
    for position, name in enumerate(items.index):
        started = _start(panel, name, months, draws.n)
        if started is None:
            continue
        out, first = started
        item = items.loc[name]
        exposure = future_exposure(panel, "count", position, months)
        loading = draws["count_loading"][:, int(item["group_index"])]
        base = draws["count_intercept"][:, position] + item["log_mean"]
        size = draws["count_dispersion"][:, position]
        k = _latent(panel, "count", name)
        decades = (months.year + (months.month - 0.5) / 12 - 2005.0) / 10.0
        trend = draws["count_trend"][:, None] * decades.to_numpy()[None, :] * bool(item["trend"])
        for t in range(first, len(months)):
            log_rate = base + loading * eta[:, k, t] + trend[:, t]
            if item["memory"]:
                before = np.log((out[:, t - 1] + 0.5) / exposure[t - 1])
                log_rate += memory * (before - base - loading * eta[:, k, t - 1])
            mean = np.exp(np.clip(log_rate + np.log(exposure[t]), *LOG_MEAN_BOUNDS))
            out[:, t] = rng.poisson(mean * rng.gamma(size) / size)
        yield name, out


def _shares(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    items = panel.items["share"]
    for position, name in enumerate(items.index):
        started = _start(panel, name, months, draws.n)
        if started is None:
            continue
        out, first = started
        trials = future_exposure(panel, "share", position, months).astype(int)
        k = _latent(panel, "share", name)
        logit = draws["share_intercept"][:, [position]] + draws["share_loading"][:, [position]] * eta[:, k]
        p = 1.0 / (1.0 + np.exp(-logit[:, : len(months)]))
        c = draws["share_concentration"][:, position]
        for t in range(first, len(months)):
            chance = rng.beta(np.maximum(c * p[:, t], 1e-9), np.maximum(c * (1.0 - p[:, t]), 1e-9))
            out[:, t] = rng.binomial(trials[t], chance)
        yield name, out


def future_exposure(panel: Panel, block: str, position: int, months: pd.DatetimeIndex) -> np.ndarray:
    """Exposure of every month: as known, and ahead the largest of the last three years known.

    The largest, because coverage falls at the ragged edge and comes back.
    """
    name = panel.items[block].index[position]
    known = panel.exposures[name]
    out = np.full(len(months), float(known.iloc[-36:].max()))
    inside = known.index.isin(months)
    out[months.get_indexer(known.index[inside])] = known[inside].to_numpy()
    return out


def force_chance(draws: Draws, eta: np.ndarray) -> np.ndarray:
    """Chance of use of force (sample, theatre, month) by the ladder, for latents (sample, latent, month)."""
    cut = _logit(draws["ladder_any"] * draws["ladder_force"])[:, :, None]
    chance = expit(cut + draws["ladder_slope"][:, :, None] * eta[:, : len(THEATRES)])
    return np.asarray(np.clip(chance, LEAST_CHANCE, 1.0 - LEAST_CHANCE))


def ladder_paths(
    panel: Panel,
    draws: Draws,
    eta: np.ndarray,
    months: pd.DatetimeIndex,
    rng: np.random.Generator,
    force: np.ndarray | None = None,
) -> np.ndarray:
    """Ladder (sample, theatre, month): coded levels behind, 0, 3 or 4 (4 and more) ahead.

    Parameters
    ----------
    force : (sample, theatre, month), chance of use of force in the last months; by default `force_chance`.
    """
    out = np.full((draws.n, len(THEATRES), len(months)), np.nan)
    slope = draws["ladder_slope"]
    first_cut = _logit(draws["ladder_any"])
    second_cut = _logit(draws["ladder_any"] * draws["ladder_force"])
    for name, theatre in panel.items["ordinal"]["theatre"].drop_duplicates().items():
        k = THEATRES.index(theatre)
        rows = panel.history[panel.history["indicator"] == name]
        positions = months.get_indexer(pd.DatetimeIndex(rows["month"]))
        out[:, k, positions] = rows["value"].to_numpy()[None, :]
        first = int(positions.max()) + 1 if len(positions) else 0
        push = slope[:, k, None] * eta[:, k, first : len(months)]
        u = rng.logistic(size=push.shape)
        to_force = push + second_cut[:, k, None]
        if force is not None and force.shape[2]:
            ahead = min(force.shape[2], to_force.shape[1])
            to_force[:, -ahead:] = _logit(force[:, k, -ahead:])
        to_any = np.maximum(push + first_cut[:, k, None], to_force)
        level = (u < to_any).astype(int) + (u < to_force)
        out[:, k, first:] = LEVELS[level]
    return out


def _logit(p: np.ndarray) -> np.ndarray:
    return np.log(p) - np.log1p(-p)


def us_troop_paths(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> tuple[np.ndarray, list[str]]:
    """US active duty by host (sample, host, month) at quarter ends, missing between; names of the hosts."""
    items = panel.items["reading"]
    hosts = list(items.index[items["family"] == "troops"])
    out = np.full((draws.n, len(hosts), len(months)), np.nan)
    yearly = eta.reshape(draws.n, eta.shape[1], -1, 12).mean(axis=3)
    for position, name in enumerate(hosts):
        rows = panel.troop_levels[panel.troop_levels["indicator"] == name]
        if rows.empty:
            continue
        positions = months.get_indexer(pd.DatetimeIndex(rows["month"]))
        out[:, position, positions[positions >= 0]] = rows["value"].to_numpy()[positions >= 0]
        k = _latent(panel, "reading", name)
        level = np.log(np.full(draws.n, rows["value"].iloc[-1]))
        for t in range(int(positions[-1]) + 3, len(months), 3):
            change = (
                draws["troop_intercept"][:, position]
                + float(items.loc[name, "mean"])
                + draws["troop_loading"][:, position] * yearly[:, k, t // 12 - 1]
                + draws["troop_noise"][:, position] * student_t(rng, READING_DF["troops"], (draws.n,))
            )
            level = level + np.clip(TROOP_CHANGE_UNIT * change, -1.0, 1.0)
            out[:, position, t] = np.exp(level)
    return out, hosts


def transfer_paths(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Arms deliveries (sample, pair, year) in TIV million from 2015 on; pairs; years."""
    items = panel.items["reading"]
    pairs = list(items.index[items["family"] == "transfer"])
    years = np.arange(FIRST_TRANSFER_YEAR, months[-1].year + 1)
    out = np.full((draws.n, len(pairs), len(years)), np.nan)
    yearly = eta.reshape(draws.n, eta.shape[1], -1, 12).mean(axis=3)
    for position, name in enumerate(pairs):
        rows = panel.transfers[panel.transfers["indicator"] == name]
        known = dict(zip(rows["month"].dt.year, rows["value"], strict=True))
        last = max(known, default=FIRST_TRANSFER_YEAR - 1)
        k = _latent(panel, "reading", name)
        for column, year in enumerate(years):
            if year <= last:
                out[:, position, column] = known.get(int(year), np.nan)
                continue
            at = year - panel.years[0]
            before = yearly[:, k, at - 3 : at].mean(axis=1)
            logit = draws["hurdle_intercept"][:, position] + draws["hurdle_loading"] * before
            log_value = (
                draws["transfer_intercept"][:, position]
                + float(items.loc[name, "mean"])
                + draws["transfer_loading"] * before
                + draws["transfer_noise"][:, position] * student_t(rng, READING_DF["transfer"], (draws.n,))
            )
            delivered = rng.random(draws.n) < 1.0 / (1.0 + np.exp(-logit))
            out[:, position, column] = delivered * np.exp(np.clip(log_value, None, 12.0))
    return out, pairs, years
