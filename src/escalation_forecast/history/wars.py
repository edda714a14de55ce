"""Months of war and whether somebody joined in them, from the tables of participants.

A war lasts from the first entry to the last exit. Its months are counted in 30.4375 days from the
first day, so month 0 is the first.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from escalation_forecast.history.tables import History
from escalation_forecast.schema import DataError

MONTH_DAYS: Final = 30.4375
WORLD_WARS: Final = (106, 139)  # numbers of the inter-state wars
# Last day that the coding by hand covers.
OWN_CODED_TO: Final = pd.Timestamp("2026-08-31")
CODED_TO: Final[dict[str, pd.Timestamp]] = {
    "cow": pd.Timestamp("2007-12-31"),
    "mid5": pd.Timestamp("2014-12-31"),
    "gml": pd.Timestamp("2010-12-31"),
    "own": OWN_CODED_TO,
}
# A great power that is down for fewer years than this keeps its rank (France 1940, Russia 1917).
KEEPS_RANK_YEARS: Final = 10
RECENT_MONTHS: Final = 12
WINDOW: Final = 12
WINDOW_STEP: Final = 6


@dataclasses.dataclass(frozen=True)
class WarSet:
    """Wars of one coding that began in a span of years.

    Attributes
    ----------
    label : as printed.
    coding : `cow`, `mid5`, `gml` or `own`.
    first, last : years of beginning, both included.
    without : numbers of wars left out.
    """

    label: str
    coding: str
    first: int
    last: int
    without: tuple[int, ...] = ()


SETS: Final[dict[str, WarSet]] = {
    "cow": WarSet("COW all ex world wars", "cow", 1816, 2007, WORLD_WARS),
    "cow_1946": WarSet("COW 1946-2003", "cow", 1946, 2007),
    "mid5_1946": WarSet("MID5 war-level 1946-2014", "mid5", 1946, 2014),
    "mid5": WarSet("MID5 war-level 1816-2014", "mid5", 1816, 2014),
    "gml_1946": WarSet("GML 1946-2010", "gml", 1946, 2010),
}
ALL_COW: Final = WarSet("COW with the world wars", "cow", 1816, 2007)
OWN: Final = WarSet("Russia-Ukraine", "own", 2022, 2026)


def major_spells(history: History) -> pd.DataFrame:
    """State, start and end of great-power rank; interruptions of under ten years are bridged."""
    spells: list[dict[str, Any]] = []
    for row in history.majors.sort_values(["state", "start"]).to_dict("records"):
        last = spells[-1] if spells else None
        gap = pd.DateOffset(years=KEEPS_RANK_YEARS)
        if last and last["state"] == row["state"] and row["start"] < last["end"] + gap:
            last["end"] = row["end"]
        else:
            spells.append({"state": row["state"], "start": row["start"], "end": row["end"]})
    frame = pd.DataFrame(spells)
    frame["end"] = frame["end"].fillna(pd.Timestamp.max.as_unit("us").normalize())
    return frame


def war_months(history: History, wars: WarSet, until: pd.Timestamp | None = None) -> pd.DataFrame:
    """One row per month of every war of a set.

    Parameters
    ----------
    until : day on which wars without an end are cut; by default the last day of the coding.

    Returns
    -------
    frame with columns
        war : number of the war in its coding.
        age : months since the first day, from 0.
        joined : 1 if a state that had not taken part entered in this month.
        participants : rows of originators and of those that entered before this month.
        present : states of them still in the war at the start of the month.
        major : 1 if a great power takes part: now (`cow`, `own`), among the originators (disputes).
        recent : 1 if somebody joined in the twelve months before.
        ends : 1 in the last month of a war whose end is known.
        year : of the war's beginning.

    Raises
    ------
    DataError
        When the set holds no war.
    """
    table = history.wars[history.wars["coding"] == wars.coding]
    table = table[~table["war"].isin(wars.without)]
    began = table.groupby("war")["entry"].transform("min").dt.year
    table = table[began.between(wars.first, wars.last)]
    if table.empty:
        raise DataError(f"wars.csv has no war of {wars.label}; restore the rows of coding `{wars.coding}`.")
    majors = major_spells(history)
    cut = until or CODED_TO[wars.coding]
    parts = [_months(rows, majors, cut, wars.coding) for _, rows in table.groupby("war")]
    return pd.concat(parts, ignore_index=True)


def _months(rows: pd.DataFrame, majors: pd.DataFrame, cut: pd.Timestamp, coding: str) -> pd.DataFrame:
    first = rows["entry"].min()
    goes_on = bool(rows["exit"].isna().any())
    # A truce counts as war: who comes back has been there all the time.
    leaves = rows["exit"].fillna(cut).groupby(rows["state"]).transform("max")
    enter_day, leave_day = (rows["entry"] - first).dt.days.to_numpy(), (leaves - first).dt.days.to_numpy()
    originator, joiner = (rows[name].to_numpy() == 1 for name in ("originator", "joiner"))
    # Of a war that goes on, the month that is not over yet is left out.
    n = int(leave_day.max() // MONTH_DAYS) + (0 if goes_on else 1)
    age = np.arange(n)
    starts = first + pd.to_timedelta(age * MONTH_DAYS, unit="D")
    entered = np.floor(enter_day / MONTH_DAYS).astype(int)
    before = originator[:, None] | (entered[:, None] < age)
    counted = before & (originator | joiner)[:, None]
    there = before & (leave_day[:, None] >= age * MONTH_DAYS)
    rank = np.zeros((len(rows), n), dtype=bool)
    for state, start, end in majors[["state", "start", "end"]].itertuples(index=False):
        rank |= (rows["state"].to_numpy() == state)[:, None] & ((starts >= start) & (starts <= end))
    if coding in ("cow", "own"):
        major = (rank & there).any(axis=0)
    else:
        major = np.repeat((rank[:, 0] & originator).any(), n)
    joined = (joiner[:, None] & (entered[:, None] == age)).any(axis=0)
    recent = np.array([joined[max(0, a - RECENT_MONTHS) : a].any() for a in age])
    return pd.DataFrame(
        {
            "war": int(rows["war"].iloc[0]),
            "age": age,
            "joined": joined.astype(int),
            "participants": counted.sum(axis=0),
            "present": _distinct(rows["state"].to_numpy(), there),
            "major": major.astype(int),
            "recent": recent.astype(int),
            "ends": ((age == n - 1) & (not goes_on)).astype(int),
            "year": int(first.year),
        }
    )


def _distinct(states: NDArray[np.int64], there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of different states (month,) among the rows (row, month) marked."""
    return np.sum([there[states == state].any(axis=0) for state in np.unique(states)], axis=0)


def windows(months: pd.DataFrame, width: int = WINDOW, step: int = WINDOW_STEP) -> pd.DataFrame:
    """Months of origin at age 1, 7, 13, ... while the war runs, with what came in `width` months from there.

    `joined` becomes 1 if somebody joined in the month of origin or one of the `width - 1` that follow; the
    war may end first. The other columns are as at the origin.
    """
    ahead = months.groupby("war", sort=False)["joined"].transform(
        lambda column: column[::-1].rolling(width, min_periods=1).max()[::-1]
    )
    chosen = (months["age"] >= 1) & ((months["age"] - 1) % step == 0)
    return months.assign(joined=ahead.astype(int))[chosen].reset_index(drop=True)
