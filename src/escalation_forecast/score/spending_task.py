"""Growth of military spending as a task: the joint model and the simple methods at past releases.

A cell leaves two kinds of rows, told apart by ``question``: ``growth`` has a row for each state, horizon and
truth; the rules about the core four, and ``count``, have one for each horizon and truth. First prints are
scored on the draws of first prints, the newest release on those of settled figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import DataError
from escalation_forecast.score import proper
from escalation_forecast.score.cells import CASE_COLUMNS, Cell, CellResult, choose
from escalation_forecast.score.spending_baselines import NAMES as SIMPLE_MODELS
from escalation_forecast.score.spending_baselines import Forecaster, baseline
from escalation_forecast.score.spending_cases import (
    FIRST_PRINT,
    HORIZONS,
    KnownSpending,
    SpendingOrigin,
    known_spending,
    origins,
    outcomes,
    select_origins,
    with_vintages,
)
from escalation_forecast.score.spending_pool import MIX, POOLS, Finished, Pooling
from escalation_forecast.score.spending_rules import (
    COUNT,
    RULES,
    SIMPLE,
    count_probabilities,
    has_core_four,
    rule_outcomes,
    rule_probabilities,
    simple_probabilities,
)
from escalation_forecast.score.spending_vintages import spending_states
from escalation_forecast.store import Store

__all__ = ["COLUMNS", "GROWTH", "MODELS", "RULE_MODELS", "SpendingTask", "score_growth", "score_rules"]

GROWTH: Final = "growth"
CORE: Final = "core4"
HALF: Final = "half_base_half_mix4"
RULE_MODELS: Final = (*SIMPLE, HALF)
"""Models that say something about the rules alone."""
KEPT_DRAWS: Final = 1000
LEVELS: Final = (50, 80, 95)
PER_CENT: Final = (5, 8)
TAIL: Final = 100.0 * float(np.log1p(0.05))
"""Growth of 5 per cent, in points of 100 x log difference: the threshold of ``twcrps``."""
VERSION: Final = 1

VARIANTS: Final = (
    "joint", "joint-no-latent", "joint-no-reaction", "joint-no-budgets", "joint-no-revisions",
)  # fmt: skip


def _joint(variant: str) -> Forecaster:
    # The model is the slow import.
    from escalation_forecast.score.spending_joint import forecaster

    return forecaster(variant)


MODELS: Final[Mapping[str, Callable[[], Forecaster]]] = {
    name: partial(baseline, name) for name in SIMPLE_MODELS
} | {name: partial(_joint, name) for name in VARIANTS}

COLUMNS: Final = (
    *CASE_COLUMNS, "kind", "question", "state", "target_year", "truth_release", "strict",
    "outcome_cumulative", "crps", "twcrps", "mae", "interval_score_80", "cov50", "cov80", "cov95", "pit",
    "log_score", "crps_cumulative", "p_ge_5", "brier_ge_5", "p_ge_8", "brier_ge_8", "p", "brier", "rps",
)  # fmt: skip
"""Of every row; what does not apply to its question is missing."""


@dataclass(frozen=True)
class Source:
    """Where the figures come from.

    Attributes
    ----------
    data : a data folder; by default the embedded one.
    vintages : a table of spending in the place of the folder's own.
    """

    data: Path | None = None
    vintages: Path | None = None


@dataclass(frozen=True)
class SpendingTask:
    """Growth of spending one to three years ahead, and the rules about it.

    Attributes
    ----------
    models : of `MODELS`, `RULE_MODELS` and `POOLS`.
    origins : labels.
    states : those forecast and pooled over; all in the table when empty.
    source : files.
    """

    models: tuple[str, ...]
    origins: tuple[str, ...]
    states: tuple[str, ...] = ()
    source: Source = field(default_factory=Source)
    name: str = "spending"

    @classmethod
    def of(
        cls,
        *,
        models: Sequence[str] | None = None,
        at: str | Sequence[str] = "combined21",
        states: Sequence[str] | None = None,
        source: Source | None = None,
    ) -> SpendingTask:
        """A task from names.

        Parameters
        ----------
        models : by default all.
        at : origins, as `spending_cases.select_origins` reads them.
        states : by default all of the table.

        Raises
        ------
        DataError
            For a model, an origin or a state that there is not, for a pool without its parts, and for a
            table that is wrong.
        """
        source = source or Source()
        store = read_store(source)
        held = spending_states(store)
        chosen = choose(models, [*MODELS, *RULE_MODELS, *POOLS], "model of spending")
        for pool in chosen:
            if pool in POOLS and (missing := [part for part in (POOLS[pool], MIX) if part not in chosen]):
                raise DataError(
                    f"{pool} is made of {POOLS[pool]} and {MIX}; add {' and '.join(missing)} to the models."
                )
        return cls(
            models=tuple(chosen),
            origins=tuple(origin.label for origin in select_origins(store, at)),
            states=tuple(choose(states, held, "state with spending")) if states else (),
            source=source,
        )

    def cells(self) -> list[Cell]:
        return [Cell(self.name, model, origin) for origin in self.origins for model in self.models]

    def sampled(self, cell: Cell) -> bool:
        return cell.model in ("hier", "mix5") or cell.model.startswith("joint")

    def parts(self, cell: Cell) -> list[Cell]:
        """The cells that a pool is made of once they are finished; none for other models."""
        made_of = (POOLS[cell.model], MIX) if cell.model in POOLS else ()
        return [Cell(cell.task, model, cell.origin) for model in made_of]

    def combiner(self, finished: Finished) -> Callable[[Cell], CellResult]:
        """Makes pools from finished cells, each with what earlier origins of the task have taught."""
        pooling = self.pooling(finished)
        return lambda cell: self._scored(
            cell, pooling.draws(cell.model, _origins_of(self.source)[cell.origin])
        )

    def pooling(self, finished: Finished) -> Pooling:
        """The pools of this task's finished cells."""
        held = _origins_of(self.source)
        return Pooling(
            read_store(self.source),
            tuple(held[label] for label in self.origins),
            lambda origin: _at(self.source, origin.label, self.states)[1],
            finished,
        )

    def identity(self) -> dict[str, Any]:
        from escalation_forecast.model import MODEL_VERSION
        from escalation_forecast.priors import Priors

        return {
            "data": read_store(self.source).content_hash(),
            "priors": Priors.default().content_hash(),
            "model": MODEL_VERSION,
            "states": list(self.states),
            "horizons": list(HORIZONS),
            "version": VERSION,
        }

    def run(self, cell: Cell, seed: int) -> CellResult:
        known = _at(self.source, cell.origin, self.states)[0]
        if cell.model in POOLS:
            raise DataError(f"{cell.model} is made of finished cells; run the backtest with its parts.")
        if cell.model not in RULE_MODELS:
            draws = MODELS[cell.model]()(known, seed)
            check_draws(draws, known, cell.model)
            return self._scored(cell, draws)
        if not has_core_four(known.states):
            raise DataError(
                f"{cell.model} is a forecast of rules about CHN, JPN, KOR and TWN, which are not all "
                f"among the states at origin {cell.origin}; add them or leave the model out."
            )
        return self._scored(cell, None, _rule_model(cell.model, known, seed))

    def _scored(
        self, cell: Cell, draws: xr.Dataset | None, probabilities: Mapping[str, np.ndarray] | None = None
    ) -> CellResult:
        """Cases of draws, or of probabilities of the rules alone."""
        known, truth, rule_truth = _at(self.source, cell.origin, self.states)
        rows, numbers = [], {}
        if draws is not None:
            rows.append(score_growth(draws, truth))
            numbers = {str(name): float(value) for name, value in draws.attrs.items() if _number(value)}
            if has_core_four(known.states):
                probabilities = {name: rule_probabilities(draws, rule) for name, rule in RULES.items()}
                probabilities[COUNT] = count_probabilities(draws)
        if probabilities:
            rows.append(score_rules(probabilities, rule_truth))
        cases = pd.concat(rows, ignore_index=True)
        cases = cases.assign(task=cell.task, model=cell.model, origin=cell.origin, kind=known.origin.kind)
        return CellResult(cases.reindex(columns=list(COLUMNS)), thin(draws), numbers)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _rule_model(name: str, known: KnownSpending, seed: int) -> dict[str, np.ndarray]:
    records = {rule_name: simple_probabilities(known, rule) for rule_name, rule in RULES.items()}
    if name != HALF:
        return {rule_name: found[name] for rule_name, found in records.items() if found}
    draws = baseline("mix4")(known, seed)
    return {
        rule_name: (found["base_rate"] + rule_probabilities(draws, RULES[rule_name])) / 2.0
        for rule_name, found in records.items()
        if found
    }


def check_draws(draws: xr.Dataset, known: KnownSpending, model: str) -> None:
    """Refuse a forecast that lacks a state or a variable, or is not finite.

    Raises
    ------
    DataError
        Naming the model, the origin and what is missing.
    """
    where = f"The forecast of {model} at origin {known.origin.label}"
    for name in ("first_print", "settled", "window"):
        if name not in draws:
            raise DataError(f"{where} has no {name}; forecasters give first_print, settled and window.")
    missing = [state for state in known.states if state not in draws["state"].values]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}; forecast every state that is known.")
    for name in ("first_print", "settled", "window"):
        finite = np.isfinite(draws[name].sel(state=list(known.states)).values)
        if not finite.all():
            raise DataError(f"{where} has {int((~finite).sum())} draws of {name} that are no numbers.")


def score_growth(draws: xr.Dataset, truth: pd.DataFrame) -> pd.DataFrame:
    """Scores by state, horizon and truth.

    Parameters
    ----------
    draws : first_print and settled (sample, state, horizon), points of 100 x log growth.
    truth : as from `spending_cases.outcomes`.

    Returns
    -------
    pandas.DataFrame
        The columns of ``truth`` and: crps, twcrps (growth above 5 %), mae (of the median),
        interval_score_80, cov50, cov80, cov95, pit, log_score (of a kernel density), crps_cumulative,
        p_ge_5 and p_ge_8 (chance of simple growth of at least 5 and 8 %), brier_ge_5 and brier_ge_8.
    """
    parts = []
    for first, rows in truth.groupby(truth["truth"] == FIRST_PRINT):
        growth = draws["first_print" if first else "settled"].transpose("sample", "state", "horizon")
        at = growth.get_index("state").get_indexer(pd.Index(rows["state"]))
        step = growth.get_index("horizon").get_indexer(pd.Index(rows["horizon"]))
        own = growth.values[:, at, step].T.astype(float)
        summed = np.cumsum(growth.values, axis=2)[:, at, step].T.astype(float)
        y, total = rows["outcome"].to_numpy(float), rows["outcome_cumulative"].to_numpy(float)
        scores = {
            "crps": proper.crps(own, y),
            "twcrps": proper.tail_crps(own, y, TAIL),
            "mae": np.abs(np.median(own, axis=1) - y),
            "interval_score_80": proper.interval_score(own, y, 0.8),
            **{f"cov{level}": proper.coverage(own, y, level / 100.0) for level in LEVELS},
            "pit": proper.pit(own, y),
            "log_score": proper.draws_log_score(own, y),
            "crps_cumulative": proper.crps(summed, total),
        }
        for per_cent in PER_CENT:
            threshold = 100.0 * np.log1p(per_cent / 100.0)
            p = (own >= threshold).mean(axis=1)
            scores[f"p_ge_{per_cent}"] = p
            scores[f"brier_ge_{per_cent}"] = proper.brier(p, (y >= threshold).astype(float))
        parts.append(rows.assign(question=GROWTH, **scores))
    return pd.concat(parts).sort_index() if parts else truth.assign(question=GROWTH)


def score_rules(probabilities: Mapping[str, np.ndarray], truth: pd.DataFrame) -> pd.DataFrame:
    """Scores by rule, horizon and truth.

    Parameters
    ----------
    probabilities : by rule (horizon,); ``count`` (horizon, 5).
    truth : as from `spending_rules.rule_outcomes`.

    Returns
    -------
    pandas.DataFrame
        The columns of ``truth`` and: p, brier, log_score (p clipped to [.005, .995]); rps for ``count``.
    """
    rows = truth[truth["question"].isin(list(probabilities))].assign(state=CORE)
    at = [HORIZONS.index(horizon) for horizon in rows["horizon"]]
    y = rows["outcome"].to_numpy(float)
    counted = (rows["question"] == COUNT).to_numpy()
    p, rps = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for i, (question, step) in enumerate(zip(rows["question"], at, strict=True)):
        if question == COUNT:
            forecast = probabilities[question][None, step]
            rps[i] = proper.ranked_probability_score(forecast, y[i : i + 1])[0]
        else:
            p[i] = probabilities[question][step]
    brier = np.where(counted, np.nan, proper.brier(np.nan_to_num(p), np.where(counted, 0.0, y)))
    logs = np.where(counted, np.nan, proper.log_score(np.nan_to_num(p), np.where(counted, 0.0, y)))
    return rows.assign(p=p, brier=brier, log_score=logs, rps=rps)


def thin(draws: xr.Dataset | None) -> xr.Dataset | None:
    """At most 1,000 evenly spaced draws in single precision, which is what a combination needs."""
    if draws is None:
        return None
    n = draws.sizes["sample"]
    use = np.linspace(0, n - 1, min(n, KEPT_DRAWS)).round().astype(int)
    return draws.isel(sample=use).astype("float32")


@lru_cache(maxsize=2)
def read_store(source: Source) -> Store:
    """The whole store of a source, read once in a process."""
    store = Store.load(source.data) if source.data else Store.embedded()
    return with_vintages(store, source.vintages) if source.vintages else store


@lru_cache(maxsize=2)
def _origins_of(source: Source) -> dict[str, SpendingOrigin]:
    return {origin.label: origin for origin in origins(read_store(source))}


# Cells come origin by origin, so a few are enough.
@lru_cache(maxsize=4)
def _at(
    source: Source, label: str, states: tuple[str, ...]
) -> tuple[KnownSpending, pd.DataFrame, pd.DataFrame]:
    """What is known at an origin, and the outcomes of growth and of the rules."""
    store, held = read_store(source), _origins_of(source)
    origin = held.get(label) or select_origins(store, [label])[0]
    known = known_spending(store, origin, states or None)
    return known, outcomes(store, origin, known.states), rule_outcomes(store, origin)
