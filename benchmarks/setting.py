"""What every piece starts from: the default panel and priors, and the model that a forecast samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.references.density import Layout
from escalation_forecast.compile import Program, compile_model
from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.prior_data import DataPriors
from escalation_forecast.priors import Priors
from escalation_forecast.program import Expansion, shown
from escalation_forecast.store import Store

AS_OF = "2026-11-27"
HORIZON = 36
SEED = 1


@dataclass
class Setting:
    """The default forecast of a day; parts are made when they are first asked for."""

    as_of: str = AS_OF

    @cached_property
    def store(self) -> Store:
        return Store.embedded().as_of(self.as_of)

    @cached_property
    def panel(self) -> Panel:
        return build_panel(self.store, pd.Timestamp(self.as_of))

    @cached_property
    def priors(self) -> Priors:
        return Priors.default()

    @cached_property
    def model(self) -> Any:
        return build_model(self.panel, DataPriors.of(self.priors))

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(self.model)

    @cached_property
    def program(self) -> Program:
        return compile_model(self.model)

    def posterior(self, parameters: dict[str, np.ndarray]) -> xr.Dataset:
        """What a run keeps, from the parameters (chain, draw, ...) of any sampler."""
        points = self.layout.free(parameters, leading=2)
        return Expansion(self.program.layout, shown(self.model))(points, self.program.data)
