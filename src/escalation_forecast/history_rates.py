"""Base rates of war and of joining one, counted in the tables of history up to a day.

Each function takes the parameters of a rule, the months of its window and the as-of date, and gives
events, trials and the reference class in words, or None where there is nothing to count.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from itertools import combinations
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.history.tables import History, load_history
from escalation_forecast.history.today import open_dyads
from escalation_forecast.history.wars import CODED_TO, SETS, war_months, windows

Rate = tuple[int, int, str] | None

FIRST_YEAR: Final = 1946
WAR_LEVEL: Final = 5
BOTH: Final = 2


@cache
def embedded() -> History:
    """The tables that come with the program, read once."""
    return load_history()


def war(params: Any, months: int, day: dt.date) -> Rate:
    """Wars begun between originators of a dispute, per window of each dyad of the theatres."""
    history, span = embedded(), _years(months)
    last = min(day.year - 1, CODED_TO["mid5"].year)
    dyads = open_dyads(history)
    table = history.disputes
    wars = table[
        (table["coding"] == "mid5")
        & (table["onset"] == 1)
        & (table["level"] == WAR_LEVEL)
        & (table["originators"] == BOTH)
    ]
    begun = set(zip(wars["a"], wars["b"], wars["year"], strict=True))
    first_year, last_year = _existence(history)
    events = trials = 0
    for a, b in dyads[["state_a", "state_b"]].to_numpy(int).tolist():
        start = max(FIRST_YEAR, first_year[a], first_year[b])
        end = min(last, last_year[a], last_year[b])
        for top in range(end, start + span - 2, -span):
            trials += 1
            events += any((a, b, year) in begun for year in range(top - span + 1, top + 1))
    if not trials:
        return None
    what = "dyad-years" if span == 1 else f"dyads in windows of {span} years"
    return events, trials, (
        f"{what} ({len(dyads)} dyads of the theatres, {FIRST_YEAR} to {last}; war between originators of a "
        "dispute" + _whole_years(months) + ")"
    )  # fmt: skip


def joining(params: Any, months: int, day: dt.date) -> Rate:
    """Windows of past wars in which any state joined, whoever it was."""
    frame = _war_months()
    # Months of a war under way that lie after the day are not known yet.
    frame = frame[frame["year"] + frame["age"] / 12 < day.year]
    if frame.empty:
        return None
    found = windows(frame, months, months)
    return int(found["joined"].sum()), len(found), (
        f"windows of {months} months (wars 1823-2003 without the world wars, of any age; any state joined)"
    )  # fmt: skip


@cache
def _war_months() -> pd.DataFrame:
    return war_months(embedded(), SETS["cow"])


def wider(params: Any, months: int, day: dt.date) -> Rate:
    """Windows of years with a war of a theatre's dyad or a great power or NATO member joining a war."""
    route = getattr(params, "route", "any")
    if route == "two-theatres":
        return None
    span, last = _years(months), min(day.year - 1, CODED_TO["cow"].year)
    years = np.arange(FIRST_YEAR, last + 1)
    hit = np.isin(years, sorted(_wider_years(route)))
    usable = len(years) // span * span
    found = hit[len(years) - usable :].reshape(-1, span).any(axis=1)
    if not len(found):
        return None
    kind = {
        "joining": "the states named joining a war under way",
        "war": "war between states of a theatre dyad",
    }.get(route, "war of a theatre dyad, or the states named joining a war under way")
    what = "years" if span == 1 else f"windows of {span} years"
    first = years[len(years) - usable]
    return int(found.sum()), len(found), f"{what} {first} to {last}; {kind}{_whole_years(months)}"


@cache
def _wider_years(route: str) -> frozenset[int]:
    history = embedded()
    table = history.wars[history.wars["coding"] == "cow"]
    found: set[int] = set()
    dyads = {frozenset(pair) for pair in open_dyads(history)[["a", "b"]].to_numpy(str).tolist()}
    if route != "joining":
        for _, rows in table.groupby("war"):
            spells = rows.to_dict("records")
            found |= {
                max(x["entry"], y["entry"]).year
                for x, y in combinations(spells, 2)
                if x["side"] != y["side"] and frozenset((x["iso3"], y["iso3"])) in dyads
            }
    if route != "war":
        found |= {
            row["entry"].year
            for row in table[table["joiner"] == 1].to_dict("records")
            if row["iso3"] in ("USA", "CHN", "JPN", "KOR") or _in_nato(history, row["state"], row["entry"])
        }
    return frozenset(year for year in found if year >= FIRST_YEAR)


def _in_nato(history: History, state: int, day: pd.Timestamp) -> bool:
    rows = history.groups[(history.groups["group"] == "nato") & (history.groups["state"] == state)]
    return bool(((rows["start"] <= day) & (rows["end"].isna() | (rows["end"] >= day))).any())


def _existence(history: History) -> tuple[dict[int, int], dict[int, int]]:
    states = history.states.assign(end=history.states["end"].dt.year.fillna(9999))
    spans = states.groupby("state")
    first, last = spans["start"].min().dt.year, spans["end"].max()
    return (
        {int(str(code)): int(year) for code, year in first.items()},
        {int(str(code)): int(year) for code, year in last.items()},
    )


def _years(months: int) -> int:
    return max(1, round(months / 12))


def _whole_years(months: int) -> str:
    return "" if months % 12 == 0 else f"; a year stands in for {months} months"
