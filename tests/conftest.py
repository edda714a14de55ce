"""The embedded data, their panel, the joint model and draws from its priors, made once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.store import Store
from prior_fit import Evaluate, draw_posterior

AS_OF = pd.Timestamp("2026-06-15")


@pytest.fixture(scope="session")
def whole_store() -> Store:
    """The embedded data, not cut."""
    return Store.embedded()


@pytest.fixture(scope="session")
def known(whole_store: Store) -> Store:
    """The embedded data as known at ``AS_OF``."""
    return whole_store.as_of(AS_OF)


@pytest.fixture(scope="session")
def priors() -> Priors:
    return Priors.default()


@pytest.fixture(scope="session")
def panel(known: Store) -> Panel:
    return build_panel(known, AS_OF)


@pytest.fixture(scope="session")
def model(panel: Panel, priors: Priors) -> pm.Model:
    return build_model(panel, priors)


@pytest.fixture(scope="session")
def at(model: pm.Model) -> dict[str, np.ndarray]:
    """One point drawn from the priors: every variable, deterministic and potential of the model."""
    return Evaluate(model).at_prior_draw(seed=3)


@pytest.fixture(scope="session")
def posterior(model: pm.Model) -> xr.Dataset:
    """Draws from the priors in the form of a fit."""
    return draw_posterior(model, chains=2, draws=12, seed=5)
