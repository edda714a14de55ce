"""Monthly press tension as a task: the joint model, the pool and the simple methods at past months.

A cell is a model and a year of origins, or one origin month.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.fit import ConvergenceError
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import Cell, CellResult, choose, sampler_cores
from escalation_forecast.score.ladder_task import Source
from escalation_forecast.score.tension_analogs import ANALOGUES, AVERAGES
from escalation_forecast.score.tension_baselines import BASELINES, Method
from escalation_forecast.score.tension_cases import (
    FIRST_ORIGIN,
    HORIZONS,
    LAST_ORIGIN,
    SERIES,
    Predictive,
    Tension,
    known_tension,
    mixture,
    origins,
    read_tension,
    score_rows,
)
from escalation_forecast.score.tension_joint import SHORT, JointForecast, as_revised, joint_sampler
from escalation_forecast.score.tension_pool import crps_matrix, earned_weights
from escalation_forecast.store import Store

JOINT: Final = "joint"
POOL: Final = "pool"
SIMPLE: Final[dict[str, Method]] = {**BASELINES, **ANALOGUES, **AVERAGES}
MODELS: Final = (JOINT, POOL, *SIMPLE)
POOLED: Final = tuple(AVERAGES)
TRUTH: Final = {False: "last_revised", True: "last_revised_real_time"}
LEVELS: Final = tuple(float(level) for level in np.round(np.arange(0.05, 0.951, 0.05), 2))
COLUMNS: Final = (
    "task", "model", "origin", "series", "horizon", "truth", "outcome", "median", "crps", "abs_error", "pit",
    "inside",
)  # fmt: skip
VERSION: Final = 1


@dataclass(frozen=True)
class Setting:
    """What the forecasts of a task have in common.

    Attributes
    ----------
    source : files.
    series : states whose press is forecast.
    real_time : inputs as published by a month after the origin; else, as in the protocol, as last revised.
    """

    source: Source = field(default_factory=Source)
    series: tuple[str, ...] = SERIES
    real_time: bool = False


@dataclass(frozen=True)
class TensionTask:
    """Logarithm of the press-tension index of states 1, 3, 6 and 12 months after each origin month.

    Attributes
    ----------
    models : of `MODELS`.
    origins : years ``2009``, each with its months, or months ``2009-12``.
    setting : files, series, and whether inputs are those of the time.
    """

    models: tuple[str, ...] = MODELS
    origins: tuple[str, ...] = ()
    setting: Setting = field(default_factory=Setting)
    name: str = "tension"

    @classmethod
    def of(
        cls,
        *,
        models: Sequence[str] | None = None,
        at: str | None = None,
        series: Sequence[str] | None = None,
        real_time: bool | None = None,
        source: Source | None = None,
    ) -> TensionTask:
        """A task from names.

        Parameters
        ----------
        models : by default all.
        at : years or months joined by commas, or a number of years, evenly spread; by default all 21 years.
        series : states of ``gpr_country``, by default the six of the protocol.
        real_time : see `Setting`; by default only where figures are added, for then their days matter.

        Raises
        ------
        DataError
            For a model, an origin or a series that is not known.
        """
        files = source or Source()
        then = bool(files.vintages) if real_time is None else real_time
        setting = Setting(files, tuple(series or SERIES), then)
        _truth(setting)
        return cls(tuple(choose(models, MODELS, "model of tension")), tuple(select_origins(at)), setting)

    def cells(self) -> list[Cell]:
        return [Cell(self.name, model, origin) for origin in self.origins for model in self.models]

    def sampled(self, cell: Cell) -> bool:
        return cell.model == JOINT

    def identity(self) -> dict[str, Any]:
        from escalation_forecast.model import MODEL_VERSION

        return {
            "data": _store(self.setting.source).content_hash(),
            "priors": _priors(self.setting.source).content_hash(),
            "settings": SHORT.canonical(),
            "model": MODEL_VERSION,
            "series": list(self.setting.series),
            "real_time": self.setting.real_time,
            "horizons": list(HORIZONS),
            "version": VERSION,
        }

    def run(self, cell: Cell, seed: int) -> CellResult:
        truth, setting = _truth(self.setting), self.setting
        rows, quantiles, diagnostics = [], [], []
        months = [month for month in _months(cell.origin) if month in truth.months]
        for month in months:
            forecast, found = _forecaster(cell.model, setting, month, seed)
            diagnostics.append(found)
            parts = []
            for horizon in HORIZONS:
                predictive = forecast(horizon)
                parts.append(predictive.quantiles(LEVELS))
                for row in score_rows(predictive, setting.series, _outcome(truth, month, horizon)):
                    rows.append(row | {"origin": f"{month:%Y-%m}", "horizon": horizon})
            quantiles.append(np.stack(parts, axis=1))
        cases = pd.DataFrame(rows).assign(task=cell.task, model=cell.model, truth=TRUTH[setting.real_time])
        draws = xr.Dataset(
            {"quantile": (("origin", "series", "horizon", "level"), np.stack(quantiles))},
            {
                "origin": [f"{month:%Y-%m}" for month in months],
                "series": list(setting.series),
                "horizon": list(HORIZONS),
                "level": list(LEVELS),
            },
        )
        if cell.model == POOL:
            earned = [[pool_weights(setting, month, horizon) for horizon in HORIZONS] for month in months]
            draws["weight"] = (("origin", "horizon", "part"), np.array(earned))
            draws = draws.assign_coords(part=list(POOLED))
        return CellResult(cases[list(COLUMNS)], draws, _worst(diagnostics))


def select_origins(text: str | None) -> list[str]:
    """Years or months of the protocol: all years, a number of them evenly spread, or those named."""
    years = [str(year) for year in range(FIRST_ORIGIN.year, LAST_ORIGIN.year + 1)]
    if text is None or text.strip() == "all":
        return years
    if text.strip().isdigit() and len(text.strip()) < 4:
        number = int(text)
        if not 1 <= number <= len(years):
            raise DataError(f"{number} origin years are out of range; choose 1 to {len(years)}.")
        return [years[k] for k in np.unique(np.linspace(0, len(years) - 1, number).round().astype(int))]
    labels = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for label in labels:
        found = pd.to_datetime(label, format="%Y" if len(label) == 4 else "%Y-%m", errors="coerce")
        if pd.isna(found) or not FIRST_ORIGIN <= found <= LAST_ORIGIN:
            raise DataError(
                f"`{label}` is no origin of the protocol; write years or months from {FIRST_ORIGIN:%Y-%m} to "
                f"{LAST_ORIGIN:%Y-%m} as YYYY or YYYY-MM, joined by commas, a number of years, or all."
            )
    return labels


def pool_weights(setting: Setting, origin: pd.Timestamp, horizon: int) -> np.ndarray:
    """Weights of `POOLED` that the outcomes known at an origin have earned.

    A past outcome is its first print where inputs are those of the time.
    """
    complete = origin - pd.DateOffset(months=horizon)
    past = [month for month in origins(_truth(setting).months) if month <= complete]
    return earned_weights([_past_matrices(setting, month)[horizon] for month in past], len(POOLED))


def _forecaster(
    model: str, setting: Setting, origin: pd.Timestamp, seed: int
) -> tuple[Callable[[int], Predictive], dict[str, float]]:
    if model == JOINT:
        found = _joint(setting, sampler_cores())(origin, seed)
        return found.at, found.diagnostics
    known = _known(setting, origin)
    if model != POOL:
        return lambda horizon: SIMPLE[model](known, horizon), {}

    def pooled(horizon: int) -> Predictive:
        weights = pool_weights(setting, origin, horizon)
        return mixture([SIMPLE[name](known, horizon) for name in POOLED], weights)

    return pooled, {}


def _months(label: str) -> list[pd.Timestamp]:
    first = pd.Timestamp(f"{label}-01") if len(label) > 4 else pd.Timestamp(f"{label}-01-01")
    return list(pd.date_range(first, periods=1 if len(label) > 4 else 12, freq="MS"))


def _outcome(truth: Tension, origin: pd.Timestamp, horizon: int) -> np.ndarray:
    month = origin + pd.DateOffset(months=horizon)
    return np.array([truth.value(name, month) for name in truth.series[:-1]])


def _worst(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """The worst of each diagnostic over the origins of a cell, and all divergences."""
    pick: dict[str, Callable[..., Any]] = {"r_hat": max, "ess": min, "divergences": sum}
    names = found[0] if found else {}
    return {name: float(pick[name](one[name] for one in found)) for name in names}


@lru_cache(maxsize=2)
def _store(source: Source) -> Store:
    store = Store.load(source.data) if source.data else Store.embedded()
    return store.with_files(observations=source.vintages) if source.vintages else store


def _priors(source: Source) -> Priors:
    default = Priors.default()
    return default.replace(source.priors) if source.priors else default


@lru_cache(maxsize=4)
def _truth(setting: Setting) -> Tension:
    return read_tension(_store(setting.source), setting.series)


@lru_cache(maxsize=512)
def _known(setting: Setting, origin: pd.Timestamp) -> Tension:
    if setting.real_time:
        return known_tension(_store(setting.source), origin, setting.series, real_time=True)
    return _truth(setting).until(origin)


@lru_cache(maxsize=1024)
def _past_matrices(setting: Setting, origin: pd.Timestamp) -> dict[int, np.ndarray]:
    """Matrices of `crps_matrix` by horizon, against what was first known of the target."""
    known, out = _known(setting, origin), {}
    for horizon in HORIZONS:
        month = origin + pd.DateOffset(months=horizon)
        if month in _truth(setting).months:
            outcome = _known(setting, month).z[:-1, -1]
            out[horizon] = crps_matrix([SIMPLE[name](known, horizon) for name in POOLED], outcome)
    return out


@lru_cache(maxsize=2)
def _joint(setting: Setting, cores: int) -> Callable[[pd.Timestamp, int], JointForecast]:
    store = _store(setting.source)
    settings = dataclasses.replace(SHORT, cores=min(SHORT.chains, cores))
    known = store if setting.real_time else as_revised(store)
    sample = joint_sampler(known, _priors(setting.source), setting.series, settings)

    def forecast(origin: pd.Timestamp, seed: int) -> JointForecast:
        try:
            return sample(origin, seed)
        except ConvergenceError as error:
            raise ConvergenceError(f"{origin:%Y-%m}: {error}") from error

    return forecast
