"""The model's forecast of military spending at past origins, and its ablations.

A program is compiled once for a calendar and a set of states; other origins swap its data. Ablations swap
data too: no exposure to any theatre, no rivals, no announcements, no revisions.
"""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.fit import Settings, sample
from escalation_forecast.mixing import mixing
from escalation_forecast.panel import Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import sampler_cores
from escalation_forecast.score.spending_cases import HORIZONS, KnownSpending
from escalation_forecast.score.spending_task import VARIANTS
from escalation_forecast.spending_panel import SpendingPanel
from escalation_forecast.spending_paths import print_paths
from escalation_forecast.tables import nearest

ALONE: Final = "joint-no-latent"
SHORT: Final = Settings(tune=300, draws=500, chains=2, target_accept=0.85)
"""For one origin: effective draws enough for scores, too few to publish."""
COMPILED_AT: Final = pd.Timestamp(2003, 4, 30)
"""Constants of the program (centres of the priors of count intercepts) date from here, or from the origin
where that is earlier, so that they do not depend on the order in which origins are run."""
BODIES: Final = 16
"""Room for reporting bodies: those yet unknown at an origin take none of the data."""
# By calendar, states, constants and priors; a process keeps what it has compiled.
_PROGRAMS: Final[dict[tuple[Any, ...], Any]] = {}


@dataclasses.dataclass(frozen=True)
class JointForecaster:
    """Forecasts of one variant; see `score.spending_cases` for what a forecaster returns.

    Attributes
    ----------
    variant : of `VARIANTS`.
    priors, settings : of the fits.
    """

    variant: str
    priors: Priors = dataclasses.field(default_factory=Priors.default)
    settings: Settings = SHORT

    def __call__(self, known: KnownSpending, seed: int) -> xr.Dataset:
        """Draws at an origin, with r_hat, ess, divergences and seconds in the attributes."""
        started = time.perf_counter()
        panel = panel_of(known)
        spending = ablated(panel.spending, self.variant)
        program, data = self._program(known, dataclasses.replace(panel, spending=spending))
        given = dataclasses.replace(self.settings, cores=min(self.settings.chains, sampler_cores()))
        trace = sample(program.with_data(**data), given, seed)
        posterior = trace["posterior"].to_dataset()
        if self.variant == "joint-no-revisions":
            posterior = posterior.assign(late_revision_chance=0.0 * posterior["late_revision_chance"])
        out = forecast_draws(known, spending, posterior, self.priors, seed)
        quantities = np.concatenate([_by_quantity(posterior[name]) for name in ("first_print", "growth")])
        r_hat, bulk, tail = mixing(quantities)
        return out.assign_attrs(
            r_hat=float(np.max(r_hat)),
            ess=float(min(np.min(bulk), np.min(tail))),
            divergences=int(trace["sample_stats"]["diverging"].sum()),
            seconds=time.perf_counter() - started,
        )

    def _program(self, known: KnownSpending, panel: Panel) -> tuple[Any, dict[str, np.ndarray]]:
        """The program, from an earlier origin if there is one, and what to put into it."""
        from escalation_forecast.compile import compile_model
        from escalation_forecast.model import build_model, swapped
        from escalation_forecast.spending_block import build_spending_model

        sp = panel.spending
        alone = self.variant == ALONE
        first = panel
        if not alone and known.origin.day > COMPILED_AT:
            # The states are those of the origin, though some may have had no figures by then.
            first = _padded(build_panel(known.store, COMPILED_AT, sp))
        constants = "" if alone else first.content_hash
        key = (alone, sp.states, len(sp.years), constants, json.dumps(self.priors.canonical()))
        if key not in _PROGRAMS:
            model = build_spending_model(sp, self.priors) if alone else build_model(first, self.priors)
            _PROGRAMS[key] = compile_model(model)
        program = _PROGRAMS[key]
        read = set(program.data)
        return program, {name: values for name, values in swapped(panel).items() if name in read}


def forecaster(variant: str) -> JointForecaster:
    """The forecaster of a variant of the joint model.

    Raises
    ------
    DataError
        For an unknown variant, with the nearest name.
    """
    if variant not in VARIANTS:
        raise DataError(
            f"The joint model has no variant `{variant}`{nearest(variant, VARIANTS)}; use one of "
            f"{', '.join(VARIANTS)}."
        )
    return JointForecaster(variant)


def panel_of(known: KnownSpending) -> Panel:
    """Everything known at an origin, laid out for the model."""
    panel = _padded(build_panel(known.store, known.origin.day))
    if panel.spending.last_printed != known.origin.release_year - 1:
        raise DataError(
            f"At origin {known.origin.label} the newest release ends in {panel.spending.last_printed}, not "
            f"in {known.origin.release_year - 1}; correct published_at or release of its rows."
        )
    return panel


def ablated(sp: SpendingPanel, variant: str) -> SpendingPanel:
    """The spending panel without what a variant lacks."""
    if variant == ALONE:
        return dataclasses.replace(sp, exposure=np.zeros_like(sp.exposure))
    if variant == "joint-no-reaction":
        return dataclasses.replace(sp, rivals=np.zeros_like(sp.rivals))
    if variant == "joint-no-budgets":
        budgets, programmes = (
            {name: values[:0] for name, values in table.items()} for table in (sp.budgets, sp.programmes)
        )
        return dataclasses.replace(sp, budgets=budgets, programmes=programmes)
    if variant == "joint-no-revisions":
        return dataclasses.replace(sp, revisable=False)
    return sp


def forecast_draws(
    known: KnownSpending, sp: SpendingPanel, posterior: xr.Dataset, priors: Priors, seed: int
) -> xr.Dataset:
    """First prints, settled growth and windows of the years ahead, 100 x log difference."""
    draws, last = Draws(posterior), sp.last_printed + max(HORIZONS)
    # The threat matters only beyond the years that the model samples.
    none = np.zeros((1, len(sp.states), 1))
    paths = print_paths(sp, draws, priors, none, last, np.random.default_rng(seed))
    rows = [sp.states.index(state) for state in known.states]
    ahead = paths.years > sp.last_printed
    # As in the protocol, a forecast of what stands later is the true growth.
    true = paths.true[:, rows][:, :, ahead]
    window = paths.prints[:, rows][:, :, ahead, :3]
    log = {name: 100.0 * np.log1p(values / 100.0) for name, values in (("true", true), ("window", window))}
    dims = ("sample", "state", "horizon")
    return xr.Dataset(
        {
            "first_print": (dims, log["window"][..., 0]),
            "settled": (dims, log["true"]),
            "window": ((*dims, "age"), log["window"]),
        },
        coords={"state": list(known.states), "horizon": list(HORIZONS), "age": [0, 1, 2]},
    )


def _padded(panel: Panel) -> Panel:
    spare = [f"spare {k}" for k in range(len(panel.bodies), BODIES)]
    return dataclasses.replace(panel, bodies=[*panel.bodies, *spare])


def _by_quantity(values: xr.DataArray) -> np.ndarray:
    flat = values.transpose(..., "chain", "draw").to_numpy()
    return np.asarray(flat.reshape(-1, *flat.shape[-2:]), float)
