"""Chance of force in a theatre from the history of its dyads alone.

A yearly hazard of a dispute with use of force, learned from all politically relevant dyads, is brought
to the scale of the ladder: one such dispute can hold several months of force, and disputes with many
states count once in a theatre.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.history.dyads import LAST_YEAR, dyad_years
from escalation_forecast.history.tables import History
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.ladder_baselines import penalised_logit
from escalation_forecast.score.ladder_cases import CLIP, HORIZONS, LAST_MONTH, Ladder, origins

METHOD: Final = "dyad_history"
FIRST_FIT_YEAR: Final = 1946
STRENGTH: Final = 1.0
PRIOR_EVENTS: Final = 6.0  # months of force expected and seen before any, so that the scale starts at one


def history_probabilities(
    history: History,
    ladder: Ladder,
    horizons: tuple[int, ...] = HORIZONS,
    last: pd.Timestamp = LAST_MONTH,
) -> pd.DataFrame:
    """Chances at every origin with a complete window, each from the calendar years complete at it.

    Returns
    -------
    pandas.DataFrame
        theatre, origin, horizon, method, p.
    """
    frame = dyad_years(history)
    first_year, last_year = int(ladder.months[0].year), LAST_YEAR["mid5"]
    hazards = {
        year: theatre_hazards(frame, history.theatre_dyads, year) for year in range(first_year, last_year + 1)
    }
    parts = []
    for origin in origins(1, last=last):
        hazard = hazards[_forecast_year(origin)]
        scale = _months_per_onset(ladder.until(origin), hazards)
        for horizon in horizons:
            if origin > last - pd.DateOffset(months=horizon):
                continue
            p = np.clip(-np.expm1(-scale * hazard * horizon / 12.0), *CLIP)
            parts.append(
                pd.DataFrame(
                    {"theatre": THEATRES, "origin": origin, "horizon": horizon, "method": METHOD, "p": p}
                )
            )
    return pd.concat(parts, ignore_index=True)


def theatre_hazards(frame: pd.DataFrame, theatre_dyads: pd.DataFrame, year: int) -> np.ndarray:
    """Hazard of a dispute with force in a year, summed over the dyads of each theatre.

    Parameters
    ----------
    frame : as from ``history.dyads.dyad_years``.
    theatre_dyads : theatre, state_a, state_b.
    year : the logit is fitted on the years before it.

    Returns
    -------
    numpy.ndarray
        (theatre,) per year.
    """
    past = frame[(frame["year"] >= FIRST_FIT_YEAR) & (frame["year"] < year)]
    now = frame[frame["year"] == year].merge(
        theatre_dyads, left_on=["a", "b"], right_on=["state_a", "state_b"], suffixes=("", "_iso3")
    )
    x, ahead = _inputs(past), _inputs(now)
    mean, sd = x.mean(axis=0), np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    weights, intercept = penalised_logit((x - mean) / sd, past["force"].to_numpy(float), STRENGTH)
    push = ((ahead - mean) / sd) @ weights + intercept
    hazard = pd.Series(np.logaddexp(0.0, push)).groupby(now["theatre"].to_numpy()).sum()
    return hazard.reindex(list(THEATRES), fill_value=0.0).to_numpy()


def _inputs(frame: pd.DataFrame) -> np.ndarray:
    """Contiguity, majors, peace and past disputes as known on 1 January."""
    columns = [
        frame["land"], frame["sea"], frame["majors"] == 1, frame["majors"] == 2, frame["ever_any"],
        *(np.log1p(frame[name]) for name in ("peace_any", "peace_force", "recent_any", "recent_force")),
    ]  # fmt: skip
    return np.column_stack([column.to_numpy(float) for column in columns])


def _forecast_year(origin: pd.Timestamp) -> int:
    """The calendar year of the first month after the origin: all years before it are complete."""
    return int((origin + pd.DateOffset(months=1)).year)


def _months_per_onset(ladder: Ladder, hazards: dict[int, np.ndarray]) -> float:
    """Months of force per expected dispute with force, over all theatres to the last month."""
    force = ladder.force
    expected = np.stack([hazards[year] / 12.0 for year in ladder.months.year], axis=1)
    known = np.isfinite(force)
    return float((np.nansum(force) + PRIOR_EVENTS) / (expected[known].sum() + PRIOR_EVENTS))
