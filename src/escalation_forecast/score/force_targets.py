"""The chance of use of force that a forecast gives: its own ladder's, pooled with other methods'."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from escalation_forecast.history.stored import read_stored
from escalation_forecast.history.tables import History
from escalation_forecast.history.today import open_dyads
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.ladder_baselines import live_components
from escalation_forecast.score.ladder_cases import FIRST_ORIGIN, HORIZONS
from escalation_forecast.score.ladder_history import Past, live_history
from escalation_forecast.score.ladder_pool import Pool, live_pool
from escalation_forecast.store import Store
from escalation_forecast.war_chain import PriorDraws

PRIOR_DRAWS: Final = 4000


def force_targets(
    store: Store,
    as_of: pd.Timestamp,
    force: np.ndarray,
    history: History,
    priors: Priors,
    pool: Pool,
    past: Past | None = None,
) -> dict[str, dict[int, float]]:
    """Pooled chance of at least one month with use of force, by theatre and months ahead.

    Parameters
    ----------
    store : cut at `as_of` or not.
    force : (draw, theatre, month), the model's chance of use of force in each month ahead.
    priors : the history of the dyads speaks through `dyad_force_logit` from the year for which that was
        fitted; before, through the logit of the backtest on what was known.
    past : as from `ladder_history.past_of` of the same day, if at hand.

    Returns
    -------
    dict
        As `forecast.simulate` takes them; empty for an as-of date before the first origin of the backtest,
        where the other methods have too short a past.
    """
    horizons = tuple(h for h in HORIZONS if h <= force.shape[2])
    if as_of < FIRST_ORIGIN or not horizons:
        return {}
    own = pd.DataFrame(
        {
            "theatre": theatre,
            "method": "joint_model",
            "horizon": h,
            "probability": 1.0 - np.prod(1.0 - force[:, k, :h], axis=1).mean(),
        }
        for k, theatre in enumerate(THEATRES)
        for h in horizons
    )
    hazard = _hazard(priors, history) if as_of.year >= read_stored().fits["force"].fitted_on.year else None
    others = [
        live_components(store, as_of, horizons),
        live_history(history, store, as_of, horizons, hazard=hazard, past=past),
    ]
    pooled = live_pool(pd.concat([own, *others], ignore_index=True), pool)
    found: dict[str, dict[int, float]] = {theatre: {} for theatre in THEATRES}
    for row in pooled.to_dict("records"):
        found[row["theatre"]][int(row["horizon"])] = float(row["probability"])
    return found


def _hazard(priors: Priors, history: History) -> np.ndarray:
    """Yearly hazard of a dispute with force by theatre, summed over its dyads."""
    dyads = open_dyads(history)
    chance = expit(PriorDraws(priors, PRIOR_DRAWS, 0)("dyad_force_logit", {"dyad": list(dyads["dyad"])}))
    of = dyads["theatre"].to_numpy()
    return np.array([-np.log1p(-chance[:, of == theatre]).sum(axis=1).mean() for theatre in THEATRES])
