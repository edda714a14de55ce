"""The embedded data, their panel, the joint model and draws from its priors, made once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

from escalation_forecast.archive import Run
from escalation_forecast.model import build_model
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.store import Store
from escalation_forecast.update import Updater
from prior_fit import Evaluate, draw_posterior
from whole_run import FUTURES, asked, stand_in, whole_run

AS_OF = pd.Timestamp("2026-06-15")
QUESTIONS = (
    "arms-race-annual", "arms-race-count", "fatal-clash", "spending-growth", "tension-exceeds",
    "troops-exceed", "use-of-force", "wider-war",
)  # fmt: skip


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


@pytest.fixture(scope="session")
def trace(panel: Panel, priors: Priors) -> xr.DataTree:
    """Draws from the priors in the place of a fit, in the form in which the sampler gives them."""
    return stand_in(panel, priors)


@pytest.fixture(scope="session")
def year_run(known: Store, trace: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run of twelve months on `trace`."""
    return whole_run(known, trace, tmp_path_factory.mktemp("runs"), QUESTIONS, horizon=12)


@pytest.fixture(scope="module")
def few_futures() -> Iterator[None]:
    """Wars simulated again as `year_run` has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("escalation_forecast.war_paths.FUTURES", FUTURES)
        yield


@pytest.fixture(scope="module")
def updater(year_run: Run, known: Store, few_futures: None) -> Updater:
    """That run read from disk, as a later process has it."""
    return Updater.of(year_run.folder, store=known, questions=asked(QUESTIONS))
