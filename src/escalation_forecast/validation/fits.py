"""The fits that the checks compare: made once, kept in a folder, and read from there the next time."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.fit import ConvergenceError, Settings, sample
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.store import Store
from escalation_forecast.validation.blocks import BLOCKS, GROUPS, drop, permute

FULL: Final = "full"
REPEAT: Final = "full, short, another seed"
PLACEBO_SEED: Final = 20261122
SPENDING: Final = "spending"
PRIOR_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "slow level, step 0.1": {"slow_step": {"parameters": {"value": 0.1}}},
    "slow level, step 0.4": {"slow_step": {"parameters": {"value": 0.4}}},
    "theatre scales free": {
        "theatre_scale": {"family": "LogNormal", "parameters": {"mu": 0.0, "sigma": 0.3}}
    },
    "news loadings, scale doubled": {"news_loading": {"parameters": {"sigma": 0.6}}},
    "news loadings, scale halved": {"news_loading": {"parameters": {"sigma": 0.15}}},
}
NO_SPENDING: Final = {"threat_slope": {"family": "Fixed", "parameters": {"value": 0.0}}}
PARTS: Final = ("full", "drop", "placebo", "sensitivity")


@dataclass(frozen=True)
class Lengths:
    """How long to sample each kind of fit."""

    full: Settings
    short: Settings
    medium: Settings

    @classmethod
    def default(cls) -> Lengths:
        return cls(
            full=Settings.default(),
            short=Settings(tune=250, draws=350, chains=2),
            medium=Settings(tune=300, draws=600, chains=2),
        )

    @classmethod
    def quick(cls) -> Lengths:
        """To try the program; the numbers mean nothing."""
        tiny = Settings(tune=60, draws=40, chains=2)
        return cls(full=tiny, short=tiny, medium=tiny)


@dataclass
class Study:
    """Fits by name; each is sampled at most once per folder.

    Attributes
    ----------
    folder : fits are kept here under a hash of what decides them.
    offline : only fits already there.
    log : seconds spent on each fit that was made now.
    """

    store: Store
    as_of: pd.Timestamp
    lengths: Lengths
    folder: Path
    offline: bool = False
    log: dict[str, float] = field(default_factory=dict)

    @cached_property
    def panel(self) -> Panel:
        return build_panel(self.store, self.as_of)

    @cached_property
    def priors(self) -> Priors:
        return Priors.default()

    @cached_property
    def _default_program(self) -> Any:
        return _compile(self.panel, self.priors)

    def plan(self, part: str) -> list[str]:
        """Names of the fits of one part."""
        return {
            "full": [FULL, REPEAT],
            "drop": [f"drop {name}" for name in (*BLOCKS, SPENDING, *GROUPS)],
            "placebo": [f"placebo {name}" for name in (*BLOCKS, SPENDING)],
            "sensitivity": list(PRIOR_CHANGES),
        }[part]

    def get(self, name: str) -> xr.Dataset | None:
        """Posterior and, with names from ``stat_``, sampler statistics; None if not to be had."""
        settings, seed = self._settings(name), 2 if name == REPEAT else 1
        path = self.folder / f"{self._key(name, settings, seed)}.nc"
        if path.exists():
            with xr.open_dataset(path, engine="h5netcdf") as kept:
                return kept.load()
        if self.offline:
            return None
        started = time.perf_counter()
        try:
            trace = sample(self._program(name), settings, seed)
        except ConvergenceError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return None
        stats = trace["sample_stats"].to_dataset()
        found = trace["posterior"].to_dataset().assign({f"stat_{k}": v for k, v in stats.items()})
        self.log[name] = round(time.perf_counter() - started, 1)
        print(f"{name}: {self.log[name]:.0f} s", file=sys.stderr, flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        small = {k: {"dtype": "float32"} for k, v in found.items() if v.dtype == np.float64}
        found.drop_attrs().to_netcdf(path, engine="h5netcdf", encoding=small)
        return found

    def priors_of(self, name: str) -> Priors:
        """The priors of a fit."""
        if name == f"drop {SPENDING}":
            return self.priors.override(NO_SPENDING)
        return self.priors.override(PRIOR_CHANGES.get(name, {}))

    def _settings(self, name: str) -> Settings:
        if name == FULL:
            return self.lengths.full
        return self.lengths.medium if name in PRIOR_CHANGES else self.lengths.short

    def _key(self, name: str, settings: Settings, seed: int) -> str:
        from escalation_forecast.model import MODEL_VERSION

        identity = {
            "fit": name,
            "panel": self.panel.content_hash,
            "as_of": f"{self.as_of:%Y-%m-%d}",
            "priors": self.priors_of(name).canonical(),
            "settings": settings.canonical(),
            "seed": seed,
            "model": MODEL_VERSION,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]

    def _program(self, name: str) -> Any:
        kind, _, what = name.partition(" ")
        if name == f"placebo {SPENDING}":
            growth = permuted_spending(self.panel, PLACEBO_SEED).spending.growth
            return self._default_program.with_data(spending_growth=growth.ravel())
        if kind == "drop" and what != SPENDING:
            return _with_rows(self._default_program, drop(self.panel, (BLOCKS | GROUPS)[what]))
        if kind == "placebo":
            return _with_rows(self._default_program, permute(self.panel, BLOCKS[what], PLACEBO_SEED))
        if (priors := self.priors_of(name)).canonical() != self.priors.canonical():
            return _compile(self.panel, priors)
        return self._default_program


def _compile(panel: Panel, priors: Priors) -> Any:
    # Here and not above: the model is the slow import.
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model

    return compile_model(build_model(panel, priors))


def _with_rows(program: Any, data: Mapping[str, np.ndarray]) -> Any:
    return program.with_data(**{f"rows_{name}": values for name, values in data.items()})


def permuted_spending(panel: Panel, seed: int) -> Panel:
    """The panel with the printed growth of each state in random order of years."""
    rng = np.random.default_rng(seed)
    growth = panel.spending.growth.copy()
    for state, printed in enumerate(panel.spending.printed):
        growth[state, printed] = rng.permutation(growth[state, printed])
    return replace(panel, spending=replace(panel.spending, growth=growth))
