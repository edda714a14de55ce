"""The answers under other priors, from the draws at hand where they can tell, from a new fit where not.

Draws of the posterior are weighted by the ratio of the new to the old density of the priors that differ. What
the forecast reads beside the posterior (the chain to war) is weighted in the same way by the draws of its
own priors, and simulated again where these weights do not do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from escalation_forecast.archive import Run
from escalation_forecast.fit import Report, Settings
from escalation_forecast.prior_change import Change
from escalation_forecast.prior_labels import check_labels
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Item
from escalation_forecast.schema import DataError
from escalation_forecast.update import war
from escalation_forecast.update.density import NotReweightableError, log_ratio
from escalation_forecast.update.result import Moved, Refit, Update, Way
from escalation_forecast.update.updater import Updater, kind_of, war_values
from escalation_forecast.update.weights import Weights, smooth, weighted_mean, weighted_quantile
from escalation_forecast.war_paths import war_paths

RefitChoice = Literal["never", "auto", "always"]
CHOICES: Final = ("never", "auto", "always")
AGAIN: Final = "simulated again"


def update(
    run: Updater | Run | Path | str,
    priors: Priors,
    *,
    questions: Sequence[str] | None = None,
    refit: RefitChoice = "auto",
    settings: Settings | None = None,
    progress: Report | bool = True,
) -> Update:
    """The answers of a run under other priors.

    Parameters
    ----------
    run : a run, its folder, or an `Updater` of it, which keeps what it has read for the next update.
    priors : such as ``updater.priors.replace(phi=interval(0.6, 0.9))``.
    questions : ids of questions or of answers, which is quicker than all, the default.
    refit : fit again when the weights do not do (``auto``), never (it says so), or always.
    settings : of that fit; by default `refit.SETTINGS`.
    progress : show how far the fit is, if on a terminal, or be told.

    Raises
    ------
    DataError
        When the priors are not those of the model, and for an unknown id.
    """
    if refit not in CHOICES:
        raise DataError(f"refit is {refit!r}; choose one of {', '.join(CHOICES)}.")
    updater = run if isinstance(run, Updater) else Updater.of(run)
    started = time.perf_counter()
    items = updater.asked(questions)
    check_labels(priors, updater.known)
    changes = changes_of(updater.priors, priors)
    model, chain = split(changes)
    weights, reasons = posterior_weights(updater, model)
    found: list[Moved] = []
    made: Refit | None = None
    chain_k: float | None = None
    if refit == "always" or (reasons and refit == "auto"):
        from escalation_forecast.update.refit import refit as fit_again

        made = fit_again(updater, priors, settings=settings, progress=progress)
        found = refitted(updater, made, items)
    elif weights is None:
        found = [Moved(item, _before(updater, item), None, None, None, "not known") for item in items]
    elif not changes:
        found = [_same(updater, item) for item in items]
    else:
        found, chain_k = reweighted(updater, priors, weights, chain, items)
    seconds = time.perf_counter() - started
    k, ess, limit = (weights.k, weights.ess, weights.limit) if weights else (np.inf, 0.0, np.nan)
    values = weights.values if weights else None
    return Update(priors, changes, tuple(found), k, ess, limit, reasons, seconds, made, chain_k, values)


def changes_of(old: Priors, new: Priors) -> tuple[Change, ...]:
    """What differs and decides the draws.

    Raises
    ------
    DataError
        When a prior is missing, or one is given that the model has not.
    """
    found = tuple(change for change in old.diff(new) if change.decides)
    for change in found:
        if change.before is None or change.after is None:
            has = "is not one of the model's" if change.before is None else "is missing"
            raise DataError(f"Prior '{change.name}' {has}; change the priors of the run with `replace`.")
    return found


def split(changes: Sequence[Change]) -> tuple[list[Change], list[str]]:
    """Changes of what the sampler moves or holds, and names of those that only the forecast reads."""
    return (
        [change for change in changes if change.name not in war.CHAIN],
        [change.name for change in changes if change.name in war.CHAIN],
    )


def posterior_weights(updater: Updater, changes: Sequence[Change]) -> tuple[Weights | None, tuple[str, ...]]:
    """Weights of the posterior's draws, None where no weights can tell, and why they do not do."""
    found, reasons = np.zeros(updater.draws.n), []
    for change in changes:
        assert change.before is not None
        assert change.after is not None
        if change.name not in updater.posterior:
            reasons.append(f"{change.name} is a constant of the model")
            continue
        try:
            found += ratio_at(updater, change)
        except NotReweightableError as error:
            reasons.append(str(error))
    if reasons:
        return None, tuple(reasons)
    weights = smooth(found.reshape(updater.draws.shape))
    return weights, weights.reasons


def ratio_at(updater: Updater, change: Change) -> np.ndarray:
    """Log (n,) of the new over the old density of a prior at the draws."""
    assert change.before is not None
    assert change.after is not None
    name = change.name
    given = (updater.draws[name], updater.common(name), updater.coords(name))
    return log_ratio(change.before, change.after, *given)


def reweighted(
    updater: Updater, priors: Priors, weights: Weights, chain: Sequence[str], items: Sequence[Item]
) -> tuple[list[Moved], float | None]:
    """The answers with weights, and the k of those of the chain to war."""
    kinds = {item.id: kind_of(item) for item in items}
    uniform = np.isneginf(weights.k)
    base = weights.values
    force: np.ndarray | None = None
    tilted = not uniform or bool({war.HAZARD, "history_weight"} & set(chain))
    if tilted and {"ladder", "war"} & set(kinds.values()):
        flat = base.ravel()
        force = war.moved(updater.war.own, war.new_targets(updater, flat, priors), flat)
    asked = [item for item in items if kinds[item.id] == "war"]
    wars, values, way, chain_k = _war(updater, priors, weights, chain, force, asked)
    found = []
    for item in items:
        if kinds[item.id] == "war":
            own = base if wars is None else wars
            found.append(_moved(updater, item, values[item.id], own, way))
            continue
        if kinds[item.id] == "ladder" and force is not None:
            own = base * np.exp(war.ladder_ratio(updater, item, force))
        elif uniform:
            found.append(_same(updater, item))
            continue
        else:
            own = base
        found.append(_moved(updater, item, updater.values[item.id], own, "reweighted"))
    return found, chain_k


def _war(
    updater: Updater,
    priors: Priors,
    weights: Weights,
    chain: Sequence[str],
    force: np.ndarray | None,
    asked: Sequence[Item],
) -> tuple[np.ndarray | None, dict[str, np.ndarray], Way, float | None]:
    """Weights (chain, draw, future) of the futures, what they say, how, and k; no weights: all alike."""
    if not asked:
        return None, {}, "unchanged", None
    base = weights.values[:, :, None]
    read = [name for name in chain if name != war.HAZARD]
    k: float | None = None
    if read:
        try:
            both = weights.log_ratio + war.chain_ratio(updater, priors, read).reshape(base.shape[:2])
            own = smooth(both)
            k = own.k
            if own.reasons:
                raise NotReweightableError("; ".join(own.reasons))
            base = own.values[:, :, None]
        except NotReweightableError:
            chains = war.simulated(updater, priors, updater.war.force if force is None else force)
            paths = war_paths(chains, updater.posterior).assign_attrs(updater.paths.attrs)
            again = war_values(asked, paths)
            return np.broadcast_to(weights.values[:, :, None], again[asked[0].id].shape), again, AGAIN, k
    if force is not None:
        base = base * np.exp(war.clash_ratio(updater, force))
    elif not read:
        return None, updater.values, "unchanged" if np.isneginf(weights.k) else "reweighted", None
    shape = updater.values[asked[0].id].shape
    return np.broadcast_to(base, shape), updater.values, "reweighted", k


def _moved(updater: Updater, item: Item, values: np.ndarray, weights: np.ndarray, way: Way) -> Moved:
    if way == "unchanged":
        return _same(updater, item)
    before = _before(updater, item)
    if values.ndim == 3:
        # The futures of a draw count together.
        weights = np.broadcast_to(weights[..., None] if weights.ndim == 2 else weights, values.shape)
        total = weights.sum(axis=2)
        values, weights = (weights * values).sum(axis=2) / total, total
    if np.isnan(values).any():
        return Moved(item, before, None, None, None, way)
    found = weighted_mean(values, weights)
    if item.rule.kind != "continuous":
        apart = found.moved
        if way == AGAIN:
            apart = float(np.hypot(found.mcse, updater.stored[item.id]["mcse"]))
        return Moved(item, before, found.value, found.mcse, found.ess, way, apart)
    share = weights / weights.sum()
    median = float(weighted_quantile(values, share, np.array([0.5]))[0])
    half = weighted_mean((values <= median).astype(float), share)
    ends = weighted_quantile(values, share, np.clip([0.5 - half.mcse, 0.5 + half.mcse], 0.0, 1.0))
    error = float(np.ptp(ends)) / 2.0
    return Moved(item, before, median, error, half.ess, way)


def _same(updater: Updater, item: Item) -> Moved:
    stored, before = updater.stored[item.id], _before(updater, item)
    return Moved(item, before, before, stored["mcse"], stored["ess"], "unchanged", 0.0)


def _before(updater: Updater, item: Item) -> float:
    return summary_value(updater.stored[item.id])


def summary_value(entry: dict[str, Any]) -> float:
    """The one number of an answer: probability, mean of a count, or median."""
    if entry["probability"] is not None:
        return float(entry["probability"])
    shares = entry["distribution"]
    if shares is None:
        return float("nan")
    if "median" in shares:
        return float(shares["median"])
    return float(sum(int(n) * p for n, p in shares.items()))


def refitted(updater: Updater, made: Refit, items: Sequence[Item] | None = None) -> list[Moved]:
    """The answers of a new fit beside those of the run."""
    by_id: dict[str, Any] = {answer.item.id: answer.as_dict() for answer in made.answers}
    found = []
    for item in updater.items if items is None else items:
        entry = by_id[item.id]
        before, after = updater.stored[item.id], summary_value(entry)
        apart = np.hypot(before["mcse"] or 0.0, entry["mcse"] or 0.0)
        found.append(
            Moved(item, summary_value(before), after, entry["mcse"], entry["ess"], "refitted", float(apart))
        )
    return found
