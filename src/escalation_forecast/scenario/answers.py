"""The answers of a run on futures that hold hypothetical figures, with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.indicator_paths import LEAST_CHANCE
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.questions import Item, draws
from escalation_forecast.scenario.figures import Figure
from escalation_forecast.scenario.futures import Futures
from escalation_forecast.schema import THEATRES
from escalation_forecast.update import war
from escalation_forecast.update.result import Moved, Way
from escalation_forecast.update.reweight import summary_value
from escalation_forecast.update.updater import Updater, kind_of, war_values
from escalation_forecast.update.weights import Weights, weighted_mean, weighted_quantile
from escalation_forecast.war_paths import Chains, war_paths

FORCE: Final = 4  # ladder level
AHEAD: Final = (0, 1, 2, 3, 6, 9, 12, 18, 24, 36)  # months after that of the as-of date


def weighed(updater: Updater, futures: Futures, figures: Sequence[Figure], weights: Weights) -> list[Moved]:
    """Every answer of a run.

    Parameters
    ----------
    futures : those of the run with the figures in their places.
    """
    uniform = bool(np.isneginf(weights.k))
    state, base = updater.war, weights.values
    force = state.force
    if not uniform:
        flat = base.ravel()
        force = war.moved(state.own, war.new_targets(updater, flat, updater.priors), flat)
    seen = [figure for figure in figures if figure.kind == "ladder"]
    # Months that are known have nothing to be weighted for.
    open_force = _with_months(force, seen, state.force)
    wars, clashes, way = _war(updater, base, force, seen, uniform)
    touched = {_key(figure) for figure in figures} - {("budget", "")}
    moved_paths = put(updater.paths, futures, figures, ahead_only=True) if touched else updater.paths
    found = []
    for item in updater.items:
        values, own = updater.values[item.id], base
        how: Way = "unchanged" if uniform else "reweighted"
        if kind_of(item) == "war":
            values, own, how = wars.get(item.id, values), clashes, way
        else:
            if _reads(item) in touched:
                values, how = draws(item, moved_paths).to_numpy().astype(float), "reweighted"
            if kind_of(item) == "ladder" and not uniform:
                own = base * np.exp(war.ladder_ratio(updater, item, open_force))
        found.append(moved(updater, item, values, own, how))
    return found


def _war(
    updater: Updater, base: np.ndarray, force: np.ndarray, seen: Sequence[Figure], uniform: bool
) -> tuple[dict[str, np.ndarray], np.ndarray, Way]:
    """What new futures say about war, none where the stored ones do; weights; and how."""
    asked = [item for item in updater.items if kind_of(item) == "war"]
    if seen and asked:
        chains = fixed(war.simulated(updater, updater.priors, force), seen)
        paths = war_paths(chains, updater.posterior).assign_attrs(updater.paths.attrs)
        return war_values(asked, paths), base, "simulated again"
    if uniform or not asked:
        return {}, base, "unchanged"
    return {}, base[:, :, None] * np.exp(war.clash_ratio(updater, force)), "reweighted"


def fixed(chains: Chains, figures: Sequence[Figure]) -> Chains:
    """The chains to war with use of force certain or excluded in the months whose ladder is supposed."""
    force = chains.force.copy()
    for figure in figures:
        if figure.kind == "ladder":
            chance = 1.0 - LEAST_CHANCE if figure.value >= FORCE else LEAST_CHANCE
            force[:, THEATRES.index(figure.of), figure.ahead - 1] = chance
    return replace(chains, force=force)


def _with_months(force: np.ndarray, figures: Sequence[Figure], other: np.ndarray) -> np.ndarray:
    out = force.copy()
    for figure in figures:
        place = (slice(None), THEATRES.index(figure.of), figure.ahead - 1)
        out[place] = other[place]
    return out


def put(
    paths: xr.Dataset, futures: Futures, figures: Sequence[Figure], *, ahead_only: bool = False
) -> xr.Dataset:
    """Forecast paths with what the figures changed.

    Parameters
    ----------
    ahead_only : of these variables, from the month of the as-of date on; all that a rule can read of them.
    """
    places = {key for figure in figures if (key := _key(figure))[0] != "budget"}
    changed: dict[str, xr.DataArray] = {}
    for kind, of in sorted(places):
        name, labels = {
            "indicator": ("indicator_level", {"indicator": of}),
            "ladder": ("ladder", {"theatre": of}),
            "troops": ("dprk_troops", {}),
        }[kind]
        if name not in changed:
            part = paths[name].sel(month=futures.months) if ahead_only else paths[name]
            changed[name] = part.copy(deep=True)
        table = {"indicator": futures.levels, "ladder": futures.ladder}.get(kind, {})
        values = futures.troops if kind == "troops" else table[of]
        assert values is not None
        one = xr.DataArray(futures.draws.unflatten(values), dims=("chain", "draw", "month"))
        changed[name].loc[{**labels, "month": futures.months}] = one.astype(np.float32)
    if ahead_only:
        return xr.Dataset(changed, attrs=paths.attrs)
    return paths.assign(changed)


def _key(figure: Figure) -> tuple[str, str]:
    return figure.kind, figure.of if figure.kind in ("indicator", "ladder") else ""


def _reads(item: Item) -> tuple[str, str]:
    if item.rule.reads is None:
        return "", ""
    series, unit = item.rule.reads(item.params)
    kinds = {"": "indicator", "ladder": "ladder"}
    return (kinds[series], unit) if series in kinds else ("troops", "")


def moved(updater: Updater, item: Item, values: np.ndarray, weights: np.ndarray, way: Way) -> Moved:
    """An answer from what draws say, (chain, draw) or (chain, draw, future), with weights of either shape."""
    stored = updater.stored[item.id]
    before = summary_value(stored)
    if way == "unchanged":
        return Moved(item, before, before, stored["mcse"], stored["ess"], way, 0.0)
    old = updater.values[item.id]
    if values.ndim == 3:
        weights = np.broadcast_to(weights[..., None] if weights.ndim == 2 else weights, values.shape)
        total = weights.sum(axis=2)
        values, weights = (weights * values).sum(axis=2) / total, total
        old = old.mean(axis=2, dtype=float)
    if np.isnan(values).any():
        return Moved(item, before, None, None, None, way)
    found = weighted_mean(values, weights)
    if item.rule.kind != "continuous":
        if way == "simulated again":
            apart = float(np.hypot(found.mcse, stored["mcse"] or 0.0))
        else:
            apart = error_of_change(values, weights, old)
        return Moved(item, before, found.value, found.mcse, found.ess, way, apart)
    share = weights / weights.sum()
    median = float(weighted_quantile(values, share, np.array([0.5]))[0])
    half = weighted_mean((values <= median).astype(float), share)
    ends = weighted_quantile(values, share, np.clip([0.5 - half.mcse, 0.5 + half.mcse], 0.0, 1.0))
    return Moved(item, before, median, float(np.ptp(ends)) / 2.0, half.ess, way)


def error_of_change(values: np.ndarray, weights: np.ndarray, old: np.ndarray) -> float:
    """Monte Carlo error of a weighted mean less the mean of what the same draws said before."""
    share = weights / weights.sum()
    terms = values.size * share * (values - float((share * values).sum())) - (old - old.mean())
    if np.ptp(terms) == 0.0:
        return 0.0
    return weighted_mean(terms, np.ones(terms.shape)).mcse


def inferred(updater: Updater, paths: xr.Dataset, weights: np.ndarray | None) -> pd.DataFrame:
    """What the figures say of the latents now and in the months ahead, on the reference scale.

    Parameters
    ----------
    paths : those of the run, with weights (chain, draw); or those of a new fit, without.

    Returns
    -------
    pandas.DataFrame
        latent, ahead (months after that of the as-of date), month, before, after, change, mcse (of the
        change), after_mcse.
    """
    now = updater.panel.months[updater.panel.now]
    rows = []
    for name in LATENTS:
        for ahead in (one for one in AHEAD if one <= updater.horizon):
            month = now + pd.DateOffset(months=ahead)
            old, new = (_risk(one, name, month) for one in (updater.paths, paths))
            even = np.ones(new.shape)
            first = weighted_mean(old, np.ones(old.shape))
            if weights is None:
                after = weighted_mean(new, even)
                error = float(np.hypot(after.mcse, first.mcse))
            elif np.ptp(weights) == 0.0:
                after, error = first, 0.0
            else:
                after, error = weighted_mean(new, weights), error_of_change(new, weights, old)
            change = after.value - first.value
            rows.append((name, ahead, month, first.value, after.value, change, error, after.mcse))
    columns = ["latent", "ahead", "month", "before", "after", "change", "mcse", "after_mcse"]
    return pd.DataFrame(rows, columns=columns)


def _risk(paths: xr.Dataset, latent: str, month: pd.Timestamp) -> np.ndarray:
    risk = paths["risk"].sel(theatre=latent) if latent in THEATRES else paths["global_risk"]
    return risk.sel(month=month).transpose("chain", "draw").to_numpy().astype(float)
