"""The dyads of the theatres as they stand at the start of a year, after the disputes end in 2014.

From 2015 on months of force (`clashes`) take the place of disputes: a month of force with none in the
six months before begins an episode, and an episode counts as the onset of a dispute with force.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from escalation_forecast.history.dyads import LAST_YEAR, onsets, relevant_years, with_memory
from escalation_forecast.history.tables import History

QUIET_MONTHS: Final = 6
# A war that goes on has no onset left to forecast.
AT_WAR: Final = ("RUS-UKR",)


def open_dyads(history: History) -> pd.DataFrame:
    """The theatre dyads that are not at war with each other."""
    dyads = history.theatre_dyads
    return dyads[~dyads["dyad"].isin(AT_WAR)].reset_index(drop=True)


def episodes(months: pd.DataFrame) -> pd.DataFrame:
    """Months of one kind gathered into episodes that end after six months without one.

    Parameters
    ----------
    months : dyad, month and fatal (1, 0 or missing), one row per month.

    Returns
    -------
    DataFrame
        dyad, month (of the first), months (how many), fatal (1 if any of them is).
    """
    rows = months.sort_values(["dyad", "month"], ignore_index=True)
    number = rows["month"].dt.year * 12 + rows["month"].dt.month
    gap = number.groupby(rows["dyad"]).diff()
    # Written so that the first month of a dyad, which has no gap, begins an episode.
    begins = ~(gap <= QUIET_MONTHS)
    grouped = rows.assign(episode=begins.cumsum()).groupby("episode")
    return grouped.agg(
        dyad=("dyad", "first"), month=("month", "first"), months=("month", "size"), fatal=("fatal", "max")
    ).reset_index(drop=True)


def continued_onsets(history: History) -> pd.DataFrame:
    """Onsets as `dyads.onsets` of MID5, for the theatre dyads carried on by episodes of force from 2015.

    After 2014 `any` is force as well: lesser disputes are no longer coded.
    """
    coded = onsets(history, "mid5")
    clashes = history.clashes.groupby(["dyad", "month"])[["fatal"]].max().reset_index()
    later = episodes(clashes).merge(history.theatre_dyads[["dyad", "state_a", "state_b"]], on="dyad")
    later = later.assign(year=later["month"].dt.year)
    later = later[later["year"] > LAST_YEAR["mid5"]]
    added = pd.DataFrame(
        {
            "year": later["year"],
            "a": later["state_a"],
            "b": later["state_b"],
            "any": 1,
            "force": 1,
            "fatal": (later["fatal"].fillna(0) > 0).astype("int64"),
        }
    )
    return pd.concat([coded[added.columns], added], ignore_index=True)


def theatre_rows(history: History, year: int) -> pd.DataFrame:
    """The open theatre dyads on 1 January of `year`, as rows of `dyads.dyad_years` without its onsets.

    Dyads that are not politically relevant by the lists (three across the South China Sea) count as sea
    neighbours: their claims meet there.

    Returns
    -------
    DataFrame
        theatre, dyad, year, a, b, land, sea, majors, peace_*, recent_*, ever_any.
    """
    dyads = open_dyads(history)[["theatre", "dyad", "state_a", "state_b"]]
    rows = dyads.rename(columns={"state_a": "a", "state_b": "b"}).assign(year=year)
    rows = rows.merge(relevant_years(history, year, year), on=["year", "a", "b"], how="left")
    begun = history.states[history.states["end"].isna()].set_index("state")["start"].dt.year
    since = pd.concat([rows["a"].map(begun), rows["b"].map(begun)], axis=1).max(axis=1)
    filled = rows.fillna({"land": 0, "sea": 1, "majors": 0, "since": since})
    whole = filled.astype(dict.fromkeys(["land", "sea", "majors", "since"], "int64"))
    events = continued_onsets(history)
    return with_memory(whole, events[events["year"] < year]).drop(columns="since")
