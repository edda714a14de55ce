"""Use of force on the ladder as a task: the joint model and the simple methods at past months.

The forecasts are those of `ladder_backtest`, `ladder_baselines` and `ladder_history`, a cell at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.history.tables import FOLDER, load_history
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.score.cells import Cell, CellResult, choose, sampler_cores
from escalation_forecast.score.ladder_backtest import SHORT, Fit, force_chances, panel_at, sampler
from escalation_forecast.score.ladder_baselines import METHODS as SIMPLE
from escalation_forecast.score.ladder_baselines import (
    LaggedLogit,
    lagged_logit,
    last_fit,
    scikit_logit,
    simple_methods,
)
from escalation_forecast.score.ladder_cases import (
    CASE,
    HORIZONS,
    Ladder,
    brier,
    log_score,
    origins,
    outcomes,
    read_ladder,
    score_table,
)
from escalation_forecast.score.ladder_history import METHOD as HISTORY
from escalation_forecast.score.ladder_history import history_probabilities
from escalation_forecast.score.ladder_report import BARS, common_cases, ladder_table
from escalation_forecast.store import Store, data_root

JOINT: Final = "joint"
MODELS: Final = (JOINT, *SIMPLE, HISTORY)
TRUTH: Final = "ladder"
VERSION: Final = 1


@dataclass(frozen=True)
class Source:
    """The files that the forecasts come from; the embedded ones by default.

    Attributes
    ----------
    data : a data folder.
    vintages : figures added to it.
    priors : changes to the priors of the joint model.
    """

    data: Path | None = None
    vintages: Path | None = None
    priors: Path | None = None


@dataclass(frozen=True)
class LadderTask:
    """Chance that the ladder reaches use of force within each horizon, by theatre.

    Attributes
    ----------
    models : of `MODELS`.
    origins : months, ``2009-12``.
    source : files.
    """

    models: tuple[str, ...] = MODELS
    origins: tuple[str, ...] = ()
    source: Source = field(default_factory=Source)
    name: str = "ladder"

    @classmethod
    def of(
        cls,
        *,
        models: Sequence[str] | None = None,
        at: str | None = None,
        source: Source | None = None,
    ) -> LadderTask:
        """A task from names.

        Parameters
        ----------
        models : by default all.
        at : months joined by commas, or a number of origins, evenly spread; by default all 144.

        Raises
        ------
        DataError
            For a model or a month that is not of the protocol.
        """
        return cls(
            models=tuple(choose(models, MODELS, "model of the ladder")),
            origins=tuple(f"{month:%Y-%m}" for month in select_months(at)),
            source=source or Source(),
        )

    def cells(self) -> list[Cell]:
        return [Cell(self.name, model, origin) for origin in self.origins for model in self.models]

    def sampled(self, cell: Cell) -> bool:
        return cell.model == JOINT

    def identity(self) -> dict[str, Any]:
        from escalation_forecast.model import MODEL_VERSION

        return {
            "data": _read(self.source).digest,
            "priors": _priors(self.source).content_hash(),
            "settings": SHORT.canonical(),
            "model": MODEL_VERSION,
            "horizons": list(HORIZONS),
            "version": VERSION,
        }

    def run(self, cell: Cell, seed: int) -> CellResult:
        known, origin = _read(self.source), pd.Timestamp(f"{cell.origin}-01")
        draws, error = None, np.full((len(THEATRES), len(HORIZONS)), np.nan)
        diagnostics: dict[str, float] = {}
        if cell.model == JOINT:
            p, error, draws, diagnostics = _joint(self.source, origin, seed)
        elif cell.model == HISTORY:
            p = _from_history(self.source, origin)
        else:
            found = _simple(self.source, origin)
            p = np.stack([found[horizon][cell.model] for horizon in HORIZONS], axis=1)
        index = pd.MultiIndex.from_product([THEATRES, HORIZONS], names=["theatre", "horizon"])
        frame = pd.DataFrame({"probability": p.ravel(), "standard_error": error.ravel()}, index=index)
        frame = frame.reset_index().assign(origin=origin).merge(known.truth, on=list(CASE))
        p, y = frame["probability"].to_numpy(float), frame["y"].to_numpy(float)
        cases = frame.assign(
            task=cell.task,
            model=cell.model,
            origin=cell.origin,
            truth=TRUTH,
            outcome=y,
            brier=brier(p, y),
            log_score=log_score(p, y),
        )
        return CellResult(cases[list(COLUMNS)], draws, diagnostics)


COLUMNS: Final = (
    "task", "model", "origin", "theatre", "horizon", "truth", "outcome", "probability", "standard_error",
    "brier", "log_score",
)  # fmt: skip


def select_months(text: str | None) -> list[pd.Timestamp]:
    """Origins of the protocol: all, a number of them evenly spread, or those named."""
    # Here and not above: that module is a command of its own.
    from escalation_forecast.score.ladder import chosen_origins

    if text is None or text.strip() == "all":
        return origins(min(HORIZONS))
    if text.strip().isdigit() and len(text.strip()) < 4:
        return chosen_origins(int(text), None)
    labels = [part.strip() for part in text.split(",") if part.strip()]
    for label in labels:
        if pd.isna(pd.to_datetime(label, format="%Y-%m", errors="coerce")):
            raise DataError(f"`{label}` is no month; write --origins as YYYY-MM,YYYY-MM, a number or all.")
    return chosen_origins(None, labels)


def report(cases: pd.DataFrame) -> pd.DataFrame:
    """Brier score, log score and AUC within theatres by model and horizon, on the cases all models have.

    With the bars of the protocol among the models their scores and the gains over them stand beside.
    """
    named = cases.rename(columns={"model": "method", "probability": "p"})
    named = named.assign(origin=pd.to_datetime(named["origin"], format="%Y-%m"))
    truth = named[[*CASE, "outcome"]].drop_duplicates(list(CASE)).rename(columns={"outcome": "y"})
    probabilities = named[[*CASE, "method", "p"]]
    if {bar for bar, _ in BARS.values()} <= {*named["method"]}:
        return ladder_table(probabilities, truth)
    table = score_table(common_cases(probabilities), truth)
    if table.empty:
        raise DataError("No case has a probability of every model; run the cells that failed again.")
    return table.sort_values(["horizon", "method"], ignore_index=True)


@dataclass(frozen=True)
class _Known:
    store: Store
    digest: str

    @cached_property
    def ladder(self) -> Ladder:
        return read_ladder(self.store)

    @cached_property
    def truth(self) -> pd.DataFrame:
        return outcomes(self.ladder)


@lru_cache(maxsize=2)
def _read(source: Source) -> _Known:
    store = Store.load(source.data) if source.data else Store.embedded()
    if source.vintages:
        store = store.with_files(observations=source.vintages)
    root = source.data or data_root()
    digest = hashlib.sha256(store.content_hash().encode())
    for path in [*sorted((root / FOLDER).glob("*.csv")), root / "theatre_dyads.csv"]:
        digest.update(path.name.encode() + path.read_bytes())
    return _Known(store, digest.hexdigest())


@lru_cache(maxsize=2)
def _priors(source: Source) -> Priors:
    default = Priors.default()
    return default.override(source.priors) if source.priors else default


@lru_cache(maxsize=2)
def _sampler(source: Source, cores: int) -> Fit:
    settings = dataclasses.replace(SHORT, cores=min(SHORT.chains, cores))
    return sampler(_read(source).store, _priors(source), settings)


def _joint(
    source: Source, origin: pd.Timestamp, seed: int
) -> tuple[np.ndarray, np.ndarray, xr.Dataset, dict[str, float]]:
    """Chance and Monte Carlo error (theatre, horizon), chances by draw, and diagnostics."""
    panel = panel_at(_read(source).store, origin)
    posterior, divergences = _sampler(source, sampler_cores())(panel, seed)
    chances = force_chances(panel, posterior, _priors(source), HORIZONS, seed)
    r_hat, ess = chances.mixing()
    draws = xr.Dataset(
        {"chance": (("chain", "draw", "theatre", "horizon"), chances.values)},
        {"theatre": list(THEATRES), "horizon": list(HORIZONS)},
    )
    worst = {"r_hat": float(r_hat.max()), "ess": float(ess.min()), "divergences": float(divergences)}
    return chances.mean, chances.values.std(axis=(0, 1)) / np.sqrt(ess), draws, worst


@lru_cache(maxsize=4)
def _from_history_table(source: Source) -> pd.DataFrame:
    return history_probabilities(load_history(source.data), _read(source).ladder).set_index(list(CASE))


def _from_history(source: Source, origin: pd.Timestamp) -> np.ndarray:
    wanted = pd.MultiIndex.from_product([THEATRES, [origin], HORIZONS], names=list(CASE))
    p = _from_history_table(source)["p"].reindex(wanted)
    return np.asarray(p.to_numpy(float).reshape(len(THEATRES), len(HORIZONS)))


@lru_cache(maxsize=4)
def _simple(source: Source, origin: pd.Timestamp) -> dict[int, dict[str, np.ndarray]]:
    """Probability by theatre of every simple method, by horizon."""
    ladder, at = _read(source).ladder, last_fit(origin)
    return {
        horizon: simple_methods(ladder.until(origin), horizon, _logit(source, at, horizon))
        for horizon in HORIZONS
    }


@lru_cache(maxsize=64)
def _logit(source: Source, at: pd.Timestamp, horizon: int) -> LaggedLogit:
    return lagged_logit(_read(source).ladder.until(at), horizon, scikit_logit)
