"""How far each answer rests on priors: power scaling, and priors moved one by one.

Prior and likelihood are raised to a power near one and the draws weighted accordingly (Kallioinen, Paananen,
Buerkner and Vehtari 2024, Statistics and Computing 34:57; `arviz.psense`). A quantity is sensitive when its
distribution moves, in cumulative Jensen-Shannon distance per doubling of the power, by 0.05 or more: the
threshold of that paper. A normal distribution does when its mean moves by 0.35 standard deviations; a chance
of a half when it moves by 6 points, one of a tenth by 1.3.

A model with hundreds of priors has a log density whose noise hides what a few of them do. As that paper
advises, a part of it is scaled: for each answer the priors, label by label, and the blocks of data whose
covariance with it is beyond Monte Carlo error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.archive import Run
from escalation_forecast.questions import Item
from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_pool import load_pool
from escalation_forecast.tables import nearest
from escalation_forecast.update.likelihood import log_likelihood, log_priors, model_priors
from escalation_forecast.update.moves import Move, moves
from escalation_forecast.update.reweight import summary_value
from escalation_forecast.update.subjects import speaks
from escalation_forecast.update.updater import Updater, kind_of
from escalation_forecast.update.war import CHAIN
from escalation_forecast.update.weights import HIGHEST_K

THRESHOLD: Final = 0.05
ALPHAS: Final = (0.99, 1.01)
DRAWS: Final = 10_000  # at which the likelihood is computed, at most
# Monte Carlo errors beyond which a covariance counts: of some 300 priors and of a dozen blocks of data,
# chance alone then puts about a tenth of one there.
CLEAR: Final = 3.5
DATA_CLEAR: Final = 2.5
# What the data left out bear on most; how far cannot be told.
BY_REPORTS: Final = ("troops-exceed",)
UNTOLD: Final = "not told"
TOP: Final = 5
DATA_DRIVEN, MIXED, PRIOR_DRIVEN, UNCLEAR = "data-driven", "mixed", "prior-driven", "neither clearly"


def label(prior: float, likelihood: float) -> str:
    """The plain word: whether the prior moves an answer, and whether the data do too."""
    if max(prior, likelihood) < THRESHOLD:
        return UNCLEAR
    if not prior >= THRESHOLD:
        return DATA_DRIVEN
    return MIXED if likelihood >= THRESHOLD else PRIOR_DRIVEN


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """How far answers and parameters rest on priors.

    Attributes
    ----------
    answers : by id: title, target, value; ``prior`` and ``likelihood``, distance per doubling of the power;
        ``prior_slope`` and ``likelihood_slope``, change of the value per doubling; ``prior_share``, the
        prior's part of the two distances, missing where neither is clear; ``label``.
    parameters : by parameter and label: prior, likelihood, label.
    moved : id, prior, up, down (change of the value when the prior moves by one of its sds), largest, mcse
        (of the larger), k, clear (beyond ``CLEAR`` Monte Carlo errors), speaks (see `subjects`).
    draws : at which the likelihood was computed.
    """

    answers: pd.DataFrame
    parameters: pd.DataFrame
    moved: pd.DataFrame
    draws: int

    def top(self, name: str, n: int = TOP) -> pd.DataFrame:
        """The priors that move an answer most, of those that speak to it and clearly do."""
        if name not in self.answers.index:
            raise DataError(f"There is no answer `{name}`{nearest(name, self.answers.index)}.")
        mine = self.moved[(self.moved["id"] == name) & self.moved["clear"] & self.moved["speaks"]]
        return mine.sort_values("largest", ascending=False).head(n).reset_index(drop=True)

    def __repr__(self) -> str:
        shown = self.answers[["prior", "likelihood", "prior_share", "label"]].round(3)
        return f"Sensitivity of {len(self.answers)} answers\n{shown.to_string(max_rows=20)}"

    def _repr_html_(self) -> str:
        return str(self.answers.round(3).to_html(max_rows=40))

    def markdown(self, names: list[str]) -> str:
        """The section of docs/priors.md for some answers."""
        from escalation_forecast.elicit.page import markdown

        rows = []
        for name in names:
            row = self.answers.loc[name]
            top = [
                f"`{one['prior']}` {100 * one['up']:+.1f} / {100 * one['down']:+.1f}"
                + ("" if one["k"] <= HIGHEST_K else " (k > 0.7)")
                for one in self.top(name).to_dict("records")
            ] or ["none clearly"]
            share = "-" if np.isnan(row["prior_share"]) else f"{100 * row['prior_share']:.0f} %"
            numbers = (f"{row['prior']:.3f}", f"{row['likelihood']:.3f}", share)
            value = f"{100 * row['value']:.3g} %"
            rows.append((f"`{name}`", value, *numbers, str(row["label"]), ", ".join(top)))
        moved = "moved most by (up / down, points)"
        head = ("answer", "probability", "prior", "data", "prior share", "label", moved)
        return markdown(head, rows)


def sensitivity(run: Updater | Run | Path | str, *, questions: list[str] | None = None) -> Sensitivity:
    """How far the answers of a run, and its parameters, rest on priors.

    Parameters
    ----------
    run : a run, its folder, or an `Updater` of it.
    questions : ids of questions or of answers; by default all.

    Raises
    ------
    DataError
        For an unknown id.

    Notes
    -----
    Power scaling takes the priors of the model and of the chain to war together, and the likelihood of all
    data but the reports of stocks. Chances of use of force are pooled with methods that know no priors, so
    that they move by the model's part of the pool; in the chances of war the pool's part is left out.
    """
    updater = run if isinstance(run, Updater) else Updater.of(run)
    items = _chosen(updater, questions)
    every = _means(updater, items)
    prior = log_priors(updater)
    places = np.unique(np.linspace(0, updater.draws.n - 1, min(DRAWS, updater.draws.n)).astype(int))
    likelihood = _likelihood(updater, places)
    rows = {item.id: _row(updater, item, every[item.id], prior, likelihood, places) for item in items}
    answers = pd.DataFrame.from_dict(rows, orient="index").rename_axis("id")
    parameters = _parameters(updater, prior.sum(axis=0), likelihood.sum(axis=0), places)
    return Sensitivity(answers, parameters, _moved(updater, items, every), len(places))


def _chosen(updater: Updater, names: list[str] | None) -> list[Item]:
    return [item for item in updater.asked(names) if not item.decided]


def _means(updater: Updater, items: list[Item]) -> dict[str, np.ndarray]:
    """What each draw says, (n,); its futures averaged."""
    found = {}
    for item in items:
        values = updater.values[item.id]
        flat = values.reshape(updater.draws.n, -1).mean(axis=1, dtype=float)
        if not np.isnan(flat).any():
            found[item.id] = flat
    return found


def _row(
    updater: Updater,
    item: Item,
    values: np.ndarray,
    prior: np.ndarray,
    likelihood: np.ndarray,
    places: np.ndarray,
) -> dict[str, Any]:
    inflation, share = _inflation(updater, item), _pool_share(updater, item)
    found: dict[str, tuple[float, float, float]] = {}
    for name, parts, at, limit in (
        ("prior", prior, slice(None), CLEAR),
        ("likelihood", likelihood, places, DATA_CLEAR),
    ):
        mine = values[at]
        slopes, errors = _slopes(mine, parts, inflation)
        clear = abs(slopes) > limit * errors
        log_density = parts[clear].sum(axis=0)
        distance = _distance(item, mine, log_density) if clear.any() else 0.0
        error = float(np.sqrt((errors[clear] ** 2).sum()))
        found[name] = distance, share * float(slopes[clear].sum()), share * error
    total = found["prior"][0] + found["likelihood"][0]
    word = label(found["prior"][0], found["likelihood"][0])
    if item.rule.name in BY_REPORTS:
        word, total = UNTOLD, np.nan
    return {
        "title": item.question.title,
        "target": item.target,
        "value": summary_value(updater.stored[item.id]),
        "prior": found["prior"][0],
        "likelihood": found["likelihood"][0],
        "prior_slope": found["prior"][1],
        "prior_slope_mcse": found["prior"][2],
        "likelihood_slope": found["likelihood"][1],
        "likelihood_slope_mcse": found["likelihood"][2],
        "prior_share": found["prior"][0] / total if word != UNCLEAR else np.nan,
        "label": word,
    }


def _inflation(updater: Updater, item: Item) -> float:
    """By how much a Monte Carlo error is larger than that of independent draws."""
    ess = updater.stored[item.id]["ess"]
    return float(np.sqrt(max(1.0, updater.draws.n / ess))) if ess else 1.0


def _pool_share(updater: Updater, item: Item) -> float:
    """The model's part in a pooled chance of use of force; one where nothing is pooled."""
    if kind_of(item) != "ladder" or not updater.war.targets:
        return 1.0
    weights = load_pool().weights["joint_model"]
    months = len(item.months)
    return float(weights.loc[max([h for h in weights.index if h <= months], default=weights.index[0])])


def _slopes(values: np.ndarray, parts: np.ndarray, inflation: float) -> tuple[np.ndarray, np.ndarray]:
    """Change of the mean per doubling of the power of each part (part, n), and its Monte Carlo error.

    The derivative by the power is a covariance, exact at power one.
    """
    products = (values - values.mean()) * (parts - parts.mean(axis=1, keepdims=True))
    error = products.std(axis=1) / np.sqrt(len(values)) * inflation
    return np.log(2.0) * products.mean(axis=1), np.log(2.0) * error


def _distance(item: Item, values: np.ndarray, log_density: np.ndarray) -> float:
    """Cumulative Jensen-Shannon distance per doubling of the power, as `arviz.psense`."""
    from arviz_stats.base import array_stats

    centred = log_density - log_density.mean()
    scaled = []
    for alpha in ALPHAS:
        logs = np.asarray(array_stats.power_scale_lw(centred, alpha=alpha))
        weights = np.exp(logs - logs.max())
        scaled.append(weights / weights.sum())
    if item.rule.kind != "binary":
        low, high = ALPHAS
        return float(
            array_stats.power_scale_sense(
                values[None], scaled[0][None], scaled[1][None], low, high, chain_axis=0, draw_axis=1
            )
        )
    p = float(values.mean())
    parts = [
        bernoulli_distance(p, float(w @ values)) / abs(np.log2(alpha))
        for alpha, w in zip(ALPHAS, scaled, strict=True)
    ]
    return float(np.mean(parts))


def bernoulli_distance(p: float, q: float) -> float:
    """Cumulative Jensen-Shannon distance of two yes-or-no quantities, the larger of both orders."""
    return max(_ordered(1.0 - p, 1.0 - q), _ordered(p, q))


def _ordered(p: float, q: float) -> float:
    """For the distribution functions between the two values."""
    if p + q == 0.0:
        return 0.0
    half = np.log2(0.5 * (p + q))
    parts = [x * (np.log2(x) - half) if x > 0 else 0.0 for x in (p, q)]
    tilt = 0.5 / np.log(2.0) * (q - p)
    return float(np.sqrt((max(parts[0] + tilt, 0.0) + max(parts[1] - tilt, 0.0)) / (p + q)))


def _likelihood(updater: Updater, places: np.ndarray) -> np.ndarray:
    from escalation_forecast.model import build_model

    model = build_model(updater.panel, updater.priors)
    return log_likelihood(model, updater.whole_posterior(), places)


def _parameters(
    updater: Updater, prior: np.ndarray, likelihood: np.ndarray, places: np.ndarray
) -> pd.DataFrame:
    """Power scaling of the parameters, by `arviz.psense`."""
    import arviz as az

    names = model_priors(updater)
    # One long chain, so that a part of the draws is a chain too.
    whole = xr.Dataset(
        {name: (("chain", "draw", *updater.priors[name].dims), updater.draws[name][None]) for name in names},
        coords={dim: updater.posterior[dim].to_numpy() for n in names for dim in updater.priors[n].dims},
    )
    found: dict[str, dict[str, float]] = {}
    for group, density, at in (("prior", prior, slice(None)), ("likelihood", likelihood, places)):
        tree = xr.DataTree.from_dict(
            {
                "posterior": whole.isel(draw=at),
                "log_prior": xr.Dataset({"prior": (("chain", "draw"), density[None])}),
                "log_likelihood": xr.Dataset({"data": (("chain", "draw"), density[None])}),
            }
        )
        found[group] = _flat(az.psense(tree, group=group, alphas=ALPHAS))
    table = pd.DataFrame(found)
    return table.assign(label=[label(p, q) for p, q in zip(table["prior"], table["likelihood"], strict=True)])


def _flat(data: xr.Dataset) -> dict[str, float]:
    """Numbers by ``name[label]``."""
    found = {}
    for name, array in data.data_vars.items():
        for where, value in np.ndenumerate(array.to_numpy()):
            labels = [str(array[dim].to_numpy()[k]) for dim, k in zip(array.dims, where, strict=True)]
            found[f"{name}[{', '.join(labels)}]" if labels else str(name)] = float(value)
    return found


def one_by_one(
    updater: Updater, questions: list[str] | None = None, moved: Iterable[Move] | None = None
) -> pd.DataFrame:
    """Every prior moved by itself: `Sensitivity.moved`, without a look at the data.

    Parameters
    ----------
    questions : as in `sensitivity`.
    moved : as from `moves.moves`, if at hand: they take some seconds.
    """
    items = _chosen(updater, questions)
    return _moved(updater, items, _means(updater, items), moved)


def _moved(
    updater: Updater,
    items: list[Item],
    every: dict[str, np.ndarray],
    moved: Iterable[Move] | None = None,
) -> pd.DataFrame:
    asked = [item for item in items if item.id in every and item.rule.kind != "continuous"]
    if not asked:
        columns = ["id", "prior", "up", "down", "largest", "mcse", "k", "clear", "speaks"]
        return pd.DataFrame(columns=columns)
    table = np.stack([every[item.id] for item in asked])
    centred = table - table.mean(axis=1, keepdims=True)
    share = np.array([_pool_share(updater, item) for item in asked])
    spread = share * np.array([_inflation(updater, item) for item in asked]) / np.sqrt(table.shape[1])
    wars = np.array([kind_of(item) == "war" for item in asked])
    found: dict[str, dict[float, tuple[np.ndarray, np.ndarray, float]]] = {}
    for move in moves(updater) if moved is None else moved:
        # What only the chain to war reads moves nothing else.
        here = wars if move.prior in CHAIN else np.ones(len(asked), bool)
        w = table.shape[1] * move.weights.values.ravel()
        change = (centred @ w) / table.shape[1]
        error = (w * (centred - change[:, None]) - centred).std(axis=1)
        both = (np.where(here, share * change, 0.0), np.where(here, spread * error, 0.0))
        found.setdefault(move.name, {})[move.direction] = *both, move.weights.k
    parts = [_table(name, asked, by) for name, by in found.items()]
    return pd.concat(parts, ignore_index=True)


def _table(
    name: str, items: list[Item], by: dict[float, tuple[np.ndarray, np.ndarray, float]]
) -> pd.DataFrame:
    ids = [item.id for item in items]
    nothing = np.full(len(ids), np.nan)
    (up, up_error), (down, down_error) = (by.get(d, (nothing, nothing))[:2] for d in (1.0, -1.0))
    larger = np.fmax(abs(up), abs(down)) == abs(up)
    largest, error = np.fmax(abs(up), abs(down)), np.where(larger, up_error, down_error)
    k = max(one[2] for one in by.values())
    columns = {"id": ids, "prior": name, "up": up, "down": down, "largest": largest, "mcse": error, "k": k}
    spoken = [speaks(name, item) for item in items]
    return pd.DataFrame(columns).assign(clear=largest > CLEAR * error, speaks=spoken)


__all__ = ["Move", "Sensitivity", "one_by_one", "sensitivity"]
