"""Chance of force in a theatre from the history of its dyads alone.

A yearly hazard of a dispute with use of force, learned from all politically relevant dyads, is brought
to the scale of the ladder: one such dispute can hold several months of force, and disputes with many
states count once in a theatre.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.history.dyads import (
    FORCE,
    LAST_YEAR,
    dyad_years,
    onsets,
    relevant_years,
    with_memory,
)
from escalation_forecast.history.tables import History
from escalation_forecast.schema import THEATRES
from escalation_forecast.score.ladder_baselines import penalised_logit
from escalation_forecast.score.ladder_cases import CLIP, HORIZONS, LAST_MONTH, Ladder, origins, read_ladder
from escalation_forecast.store import Store

METHOD: Final = "dyad_history"
FIRST_FIT_YEAR: Final = 1946
LAST_CODED: Final = LAST_YEAR["mid5"]
AT_WAR: Final = "RUS-UKR"
LOOKS: Final = ["land", "sea", "majors", "peace_force", "recent_force"]
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
    hazards = {
        year: theatre_hazards(frame, history.theatre_dyads, year)
        for year in range(int(ladder.months[0].year), LAST_CODED + 1)
    }
    parts = []
    for origin in origins(min(horizons), last=last):
        p = _chances(ladder.until(origin), hazards, horizons)
        parts += [
            pd.DataFrame({"theatre": THEATRES, "origin": origin, "horizon": h, "method": METHOD, "p": p[h]})
            for h in horizons
            if origin <= last - pd.DateOffset(months=h)
        ]
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True, eq=False)
class Past:
    """The ladder up to a day, and the yearly hazard (theatre,) by year to that of the forecast."""

    ladder: Ladder
    hazards: Mapping[int, np.ndarray]


def live_history(
    history: History,
    store: Store,
    as_of: pd.Timestamp,
    horizons: tuple[int, ...] = HORIZONS,
    *,
    hazard: np.ndarray | None = None,
    past: Past | None = None,
) -> pd.DataFrame:
    """The same chances for the months after ``as_of``, as `ladder_baselines.live_components`.

    Parameters
    ----------
    past : as from `past_of` of the same three, if at hand: it takes a second to find.
    hazard : (theatre,), yearly hazard of a dispute with force in the year of the forecast, in place of the
        logit's.

    Returns
    -------
    pandas.DataFrame
        theatre, method, horizon, probability.
    """
    past = past or past_of(history, store, as_of)
    last = _forecast_year(past.ladder.months[-1])
    hazards = dict(past.hazards) if hazard is None else {**past.hazards, last: hazard}
    p = _chances(past.ladder, hazards, horizons)
    return pd.concat(
        [
            pd.DataFrame({"theatre": THEATRES, "method": METHOD, "horizon": h, "probability": p[h]})
            for h in horizons
        ],
        ignore_index=True,
    )


def past_of(history: History, store: Store, as_of: pd.Timestamp) -> Past:
    """What `live_history` reads on a day.

    The logit stays fitted on the disputes to 2014. Since then a dyad's memory goes on with its coded months
    of force, a year with one as one onset; the war between Russia and Ukraine itself is left out, as the
    ladder is that of the edge.
    """
    origin = as_of.to_period("M").to_timestamp()
    ladder = read_ladder(store.as_of(as_of), origin)
    last = _forecast_year(origin)
    frame = dyad_years(history)
    dyads = history.theatre_dyads
    hazards = {
        year: theatre_hazards(frame, dyads, year)
        for year in range(int(ladder.months[0].year), min(LAST_CODED, last) + 1)
    }
    if last > LAST_CODED:
        clashes = history.clashes[history.clashes["published_at"] <= as_of]
        later, fitted = _later_years(history, clashes, last), _fit(frame, LAST_CODED + 1)
        edge = dyads[dyads["dyad"] != AT_WAR]
        hazards |= {
            year: fitted.hazards(later[later["year"] == year], edge)
            for year in range(LAST_CODED + 1, last + 1)
        }
    return Past(ladder, hazards)


def _later_years(history: History, clashes: pd.DataFrame, last: int) -> pd.DataFrame:
    """Relevant dyad-years after the disputes end, with memory of disputes and of months of force."""
    frame = relevant_years(history, LAST_CODED + 1, last)
    coded = clashes[(clashes["month"].dt.year > LAST_CODED) & (clashes["level"] >= FORCE)]
    coded = coded.assign(year=coded["month"].dt.year).drop_duplicates(["dyad", "year"])
    years = coded[["dyad", "year"]].merge(history.theatre_dyads, on="dyad")
    added = pd.DataFrame(
        {
            "year": years["year"],
            "a": years["state_a"],
            "b": years["state_b"],
            "any": 1,
            "force": 1,
            "fatal": 0,
        }
    )
    names = list(added.columns)
    return with_memory(frame, pd.concat([onsets(history, "mid5")[names], added], ignore_index=True))


def _chances(
    ladder: Ladder, hazards: dict[int, np.ndarray], horizons: tuple[int, ...]
) -> dict[int, np.ndarray]:
    """Chance by horizon and theatre after the last month of a ladder."""
    scale = _months_per_onset(ladder, hazards)
    monthly = scale * hazards[_forecast_year(ladder.months[-1])] / 12.0
    return {h: np.clip(-np.expm1(-monthly * h), *CLIP) for h in horizons}


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
    return _fit(frame, year).hazards(frame[frame["year"] == year], theatre_dyads)


@dataclass(frozen=True)
class DyadLogit:
    """A logit of a dispute with force in a dyad-year on standardised inputs."""

    mean: np.ndarray
    sd: np.ndarray
    weights: np.ndarray
    intercept: float

    def hazards(self, years: pd.DataFrame, theatre_dyads: pd.DataFrame) -> np.ndarray:
        """(theatre,) hazard per year, summed over the dyads of one year."""
        dyads = years.merge(
            theatre_dyads, left_on=["a", "b"], right_on=["state_a", "state_b"], suffixes=("", "_iso3")
        )
        push = ((_inputs(dyads) - self.mean) / self.sd) @ self.weights + self.intercept
        hazard = pd.Series(np.logaddexp(0.0, push)).groupby(dyads["theatre"].to_numpy()).sum()
        return np.asarray(hazard.reindex(list(THEATRES), fill_value=0.0).to_numpy())


def _fit(frame: pd.DataFrame, year: int) -> DyadLogit:
    """The logit on the dyad-years before a year; those that look alike make one row."""
    past = frame[(frame["year"] >= FIRST_FIT_YEAR) & (frame["year"] < year)]
    cells = past.groupby([*LOOKS, "force"]).size().reset_index(name="years")
    x, count = _inputs(cells), cells["years"].to_numpy(float)
    mean = np.average(x, axis=0, weights=count)
    sd = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=count))
    sd = np.where(sd > 0, sd, 1.0)
    weights, intercept = penalised_logit((x - mean) / sd, cells["force"].to_numpy(float), STRENGTH, count)
    return DyadLogit(mean, sd, weights, intercept)


def _inputs(frame: pd.DataFrame) -> np.ndarray:
    """Contiguity, majors, years since force and recent force, as known on 1 January.

    Nothing of disputes below force: since 2015 they are not coded. With them the Brier and log scores on
    the ladder were worse at every horizon (.225 against .217 and .640 against .624 at twelve months).
    """
    columns = [
        frame["land"], frame["sea"], frame["majors"] == 1, frame["majors"] == 2,
        np.log1p(frame["peace_force"]), np.log1p(frame["recent_force"]),
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
