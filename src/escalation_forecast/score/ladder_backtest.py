"""The joint model's chance of force at past origins, each fitted to what stood on record by then.

Not real-time. The dispute data were coded years later, so a forecaster of 2004 had no ladder at all;
as in the protocol of the simple methods, ladder and news stand here by reference month, up to the
origin, as they were later coded and revised. Annual figures enter with their usual lag.

The program is compiled once, on the panel of the first origin; later origins swap the rows. What the
program holds as constants therefore dates from the first origin and knows nothing later: the centres of
the priors of count intercepts.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.fit import ConvergenceError, Settings, sample
from escalation_forecast.forecast import extend_latents
from escalation_forecast.mixing import mixing
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.ladder_cases import FIRST_ORIGIN, HORIZONS
from escalation_forecast.store import Store

METHOD: Final = "joint_model"
# The ladder's own lag: a month is on record that long after its end.
LAG_DAYS: Final = 30
SHORT: Final = Settings(tune=150, draws=150, chains=2)
CACHED: Final = (
    "theatre", "origin", "horizon", "method", "p", "standard_error", "r_hat", "ess", "divergences", "seconds",
)  # fmt: skip

Fit = Callable[[Panel, int], tuple[xr.Dataset, int]]
"""Posterior and number of divergences from a panel and a seed."""


@dataclass(frozen=True)
class Chances:
    """Chance of force within each horizon by draw, (chain, draw, theatre, horizon)."""

    values: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(theatre, horizon)."""
        return np.asarray(self.values.mean(axis=(0, 1)))

    def mixing(self) -> tuple[np.ndarray, np.ndarray]:
        """R-hat and bulk effective sample size, (theatre, horizon)."""
        shape = self.values.shape[2:]
        flat = np.moveaxis(self.values, (0, 1), (2, 3)).reshape(-1, *self.values.shape[:2])
        r_hat, ess, _ = mixing(flat)
        return r_hat.reshape(shape), ess.reshape(shape)


def store_at(store: Store, origin: pd.Timestamp) -> Store:
    """Figures of the months up to the origin, as far as they are on record a ladder's lag later."""
    end = origin + pd.offsets.MonthEnd(0)
    known = store.as_of(_on_record(origin))
    keep = known.observations["period_start"] <= end
    return dataclasses.replace(
        known,
        observations=known.observations[keep].reset_index(drop=True),
        where=known.where[keep].reset_index(drop=True),
    )


def panel_at(store: Store, origin: pd.Timestamp) -> Panel:
    """The panel of `store_at`; its ``as_of`` is the last day of the origin month."""
    panel = build_panel(store_at(store, origin), _on_record(origin))
    return dataclasses.replace(panel, as_of=origin + pd.offsets.MonthEnd(0))


def _on_record(origin: pd.Timestamp) -> pd.Timestamp:
    return origin + pd.offsets.MonthEnd(0) + pd.Timedelta(days=LAG_DAYS)


def sampler(store: Store, priors: Priors, settings: Settings = SHORT) -> Fit:
    """Compile the joint model once; the function returned fits it to the panel of any origin."""
    # Here and not above: the model is the slow import.
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model, swapped

    first = panel_at(store, FIRST_ORIGIN)
    program: Any = compile_model(build_model(first, priors))

    def fit(panel: Panel, seed: int) -> tuple[xr.Dataset, int]:
        assert_same_program(first, panel)
        trace = sample(program.with_data(**swapped(panel)), settings, seed)
        return trace["posterior"].to_dataset(), int(trace["sample_stats"]["diverging"].sum())

    return fit


def assert_same_program(first: Panel, other: Panel) -> None:
    """Check that rows of one panel mean the same in the program of another: calendar and items."""
    same = first.months.equals(other.months) and first.bodies == other.bodies
    same = same and first.spending.states == other.spending.states
    for block, items in first.items.items():
        fixed = [name for name in items if name not in ("mean", "sd", "log_mean")]
        same = same and items[fixed].equals(other.items[block][fixed])
    if not same:
        raise ValueError("the panels have other months, items or reporting bodies; compile again")


def force_chances(
    panel: Panel, posterior: xr.Dataset, priors: Priors, horizons: Sequence[int], seed: int
) -> Chances:
    """Chance that the ladder reaches 4 in the months after ``panel.as_of``, draw by draw.

    Given the latent path, months are independent: 1 - prod(1 - p_t) with p_t of the ordered logit.
    """
    draws = Draws(posterior)
    first, longest = panel.now + 1, max(horizons)
    eta = extend_latents(panel, draws, priors, first + longest, np.random.default_rng(seed))
    ahead = eta[:, : len(THEATRES), first : first + longest]
    rate = draws["ladder_any"] * draws["ladder_force"]
    cut = np.log(rate) - np.log1p(-rate)
    push = draws["ladder_slope"][:, :, None] * ahead + cut[:, :, None]
    none = -np.cumsum(np.logaddexp(0.0, push), axis=2)
    chances = -np.expm1(none[:, :, np.asarray(horizons) - 1])
    return Chances(draws.unflatten(chances))


def run_backtest(
    store: Store,
    priors: Priors,
    months: Sequence[pd.Timestamp],
    folder: Path,
    *,
    settings: Settings = SHORT,
    seed: int = 1,
    horizons: Sequence[int] = HORIZONS,
    fit: Fit | None = None,
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> pd.DataFrame:
    """Chances at many origins; an origin that is already in the folder is read from there.

    Parameters
    ----------
    months : origins, first days of months.
    folder : one CSV per origin is kept here, under a hash of data, priors, settings and seed.
    fit : how to fit; by default `sampler`, compiled when the first origin needs it.

    Returns
    -------
    pandas.DataFrame
        Columns `CACHED`. An origin at which the sampler could not run is left out and tried again
        the next time.
    """
    kept = folder / _key(store, priors, settings, seed)
    kept.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, origin in enumerate(months, start=1):
        path = kept / f"{origin:%Y-%m}.csv"
        if not path.exists():
            fit = fit or sampler(store, priors, settings)
            started = time.perf_counter()
            panel = panel_at(store, origin)
            try:
                posterior, divergences = fit(panel, seed)
            except ConvergenceError as error:
                log(f"{origin:%Y-%m}: {error}")
                continue
            chances = force_chances(panel, posterior, priors, horizons, seed)
            seconds = round(time.perf_counter() - started, 1)
            frame = _rows(origin, chances, horizons).assign(divergences=divergences, seconds=seconds)
            unfinished = path.with_suffix(".partial")
            frame[list(CACHED)].to_csv(unfinished, index=False, float_format="%.6g", lineterminator="\n")
            unfinished.replace(path)
            log(
                f"{origin:%Y-%m} ({number} of {len(months)}): {seconds:.1f} s, R-hat "
                f"{frame['r_hat'].max():.3f}, ESS {frame['ess'].min():.0f}, {divergences} diverged"
            )
        parts.append(pd.read_csv(path, parse_dates=["origin"]))
    if not parts:
        return pd.DataFrame(columns=list(CACHED))
    return pd.concat(parts, ignore_index=True)


def _rows(origin: pd.Timestamp, chances: Chances, horizons: Sequence[int]) -> pd.DataFrame:
    r_hat, ess = chances.mixing()
    spread = chances.values.std(axis=(0, 1))
    columns = {"p": chances.mean, "standard_error": spread / np.sqrt(ess), "r_hat": r_hat, "ess": ess}
    index = pd.MultiIndex.from_product([THEATRES, horizons], names=["theatre", "horizon"])
    frame = pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index)
    return frame.reset_index().assign(origin=origin, method=METHOD)


def _key(store: Store, priors: Priors, settings: Settings, seed: int) -> str:
    from escalation_forecast.model import MODEL_VERSION

    identity = {
        "data": store.content_hash(),
        "priors": priors.canonical(),
        "settings": settings.canonical(),
        "seed": seed,
        "model": MODEL_VERSION,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
