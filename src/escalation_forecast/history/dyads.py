"""Politically relevant dyad-years with what was known of them at the start of the year.

Politically relevant are pairs of states that touch by land or up to 400 miles of water, or of which one
is a major power (Maoz and Russett 1993). A state, border or rank counts in every year that it touches.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.history.tables import History
from escalation_forecast.schema import DataError

Coding = Literal["mid5", "gml"]
FIRST_YEAR: Final = 1816
LAST_YEAR: Final[dict[str, int]] = {"mid5": 2014, "gml": 2010}
FORCE: Final = 4
WAR: Final = 5
RECENT: Final = 10
EVENTS: Final = ("any", "force", "fatal", "war")


def relevant_years(history: History, first: int, last: int) -> pd.DataFrame:
    """Politically relevant pairs of every year.

    Returns
    -------
    DataFrame
        year, a, b (codes, a below b), land (0/1), sea (0/1), majors (0-2), since (first year in which both
        have been states without a break), sorted by year, a, b.
    """
    states, borders, majors = (_years(t, last) for t in (history.states, history.borders, history.majors))
    parts = []
    for year in range(first, last + 1):
        alive = states[(states["first"] <= year) & (states["last"] >= year)]
        codes, since = alive["state"].to_numpy(), alive["first"].to_numpy()
        # A state that ends and comes back within a year is there once, with its later start.
        order = np.lexsort((since, codes))
        codes, since = codes[order], since[order]
        keep = np.append(codes[1:] != codes[:-1], True)
        codes, since = codes[keep], since[keep]
        n = len(codes)
        touch = borders[(borders["first"] <= year) & (borders["last"] >= year)]
        touch = touch[touch["a"].isin(codes) & touch["b"].isin(codes)]
        grid = np.zeros((2, n, n), dtype=bool)
        for kind, name in enumerate(("land", "sea")):
            rows = touch[touch["kind"] == name]
            grid[kind, np.searchsorted(codes, rows["a"]), np.searchsorted(codes, rows["b"])] = True
        ranked = majors.loc[(majors["first"] <= year) & (majors["last"] >= year), "state"]
        major = np.isin(codes, ranked)
        relevant = np.triu(grid.any(axis=0) | major[:, None] | major[None, :], k=1)
        i, j = np.nonzero(relevant)
        parts.append(
            pd.DataFrame(
                {
                    "year": year,
                    "a": codes[i],
                    "b": codes[j],
                    "land": grid[0][i, j].astype("int64"),
                    "sea": grid[1][i, j].astype("int64"),
                    "majors": major[i].astype("int64") + major[j],
                    "since": np.maximum(since[i], since[j]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _years(table: pd.DataFrame, last: int) -> pd.DataFrame:
    """First and last year of each row; what is still open is carried forward."""
    ends = table["end"].dt.year.fillna(last).clip(upper=last)
    return table.assign(first=table["start"].dt.year, last=ends.astype("int64"))


def onsets(history: History, coding: Coding) -> pd.DataFrame:
    """Onsets of disputes by dyad: dispute, year, a, b and, 0 or 1, any, force, fatal, war, both.

    `force` and `war` are a dispute's hostility of at least 4 and of 5 between the two, `fatal` at least one
    death on either side, `both` that both states are originators. The level is that of the whole dispute.
    """
    rows = history.disputes[(history.disputes["coding"] == coding) & (history.disputes["onset"] == 1)]
    return rows.assign(
        any=1,
        force=(rows["level"] >= FORCE).astype("int64"),
        fatal=(rows["fatality"] >= 1).astype("int64"),
        war=(rows["level"] == WAR).astype("int64"),
        both=(rows["originators"] == 2).astype("int64"),
    ).reset_index(drop=True)


def dyad_years(
    history: History, coding: Coding = "mid5", up_to: int | None = None, *, rivalry: bool = False
) -> pd.DataFrame:
    """Politically relevant dyad-years from 1816 on: what happened, and what was known before.

    Parameters
    ----------
    coding : ``mid5`` (to 2014) or ``gml`` (to 2010).
    up_to : last year; nothing that began later is looked at.
    rivalry : add the column `rival`. It is coded with hindsight, so no honest forecast can use it.

    Returns
    -------
    DataFrame
        year, a, b; the onsets of the year any, force, fatal, war and war_both (both originators), 0 or 1; and
        as known on 1 January: land, sea, majors, peace_any, peace_force, peace_fatal (full years since the
        last such onset or, if there was none, since both became states), recent_any, recent_force (dispute
        onsets of the ten years before), ever_any (0/1).

    Raises
    ------
    DataError
        When `up_to` lies outside the years coded.
    """
    end = LAST_YEAR[coding]
    last = end if up_to is None else up_to
    if not FIRST_YEAR <= last <= end:
        raise DataError(f"The coding {coding} has {FIRST_YEAR} to {end}, not {last}; choose a year of these.")
    frame = relevant_years(history, FIRST_YEAR, last)
    events = onsets(history, coding)
    events = events[events["year"] <= last]
    key = _key(frame)
    for name in ("any", "force", "fatal", "war"):
        frame[name] = np.isin(key, _key(events[events[name] == 1])).astype("int64")
    both = events[(events["war"] == 1) & (events["both"] == 1)]
    frame["war_both"] = np.isin(key, _key(both)).astype("int64")
    frame = with_memory(frame, events)
    if rivalry:
        frame["rival"] = _rivals(frame, history.rivalries)
    return frame.drop(columns="since")


def with_memory(frame: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Columns peace_*, recent_* and ever_any from onsets before the year of each row.

    Parameters
    ----------
    frame : year, a, b, since.
    events : year, a, b, any, force, fatal of each onset.
    """
    found = frame.copy()
    key, pair = _key(frame), _pair(frame)
    for name in ("any", "force", "fatal"):
        past = np.sort(_key(events[events[name] == 1]))
        before = np.searchsorted(past, key)
        # The onset before this row in time order, if it is one of the same dyad.
        previous = past[np.maximum(before - 1, 0)] if len(past) else np.zeros_like(key)
        same = (before > 0) & (previous // SPAN == pair)
        start = np.where(same, previous % SPAN + 1, frame["since"])
        found[f"peace_{name}"] = np.maximum(frame["year"] - start, 0)
        if name != "fatal":
            found[f"recent_{name}"] = before - np.searchsorted(past, key - RECENT)
        if name == "any":
            found["ever_any"] = same.astype("int64")
    return found


SPAN: Final = 10_000  # above any year


def _pair(frame: pd.DataFrame) -> np.ndarray:
    pair: np.ndarray = frame["a"].to_numpy() * 1000 + frame["b"].to_numpy()
    return pair


def _key(frame: pd.DataFrame) -> np.ndarray:
    """One number by dyad and year, in the order of time within a dyad."""
    key: np.ndarray = _pair(frame) * SPAN + frame["year"].to_numpy()
    return key


def _rivals(frame: pd.DataFrame, rivalries: pd.DataFrame) -> np.ndarray:
    last = int(frame["year"].max())
    spans: list[Any] = [
        (a * 1000 + b) * SPAN + np.arange(start, min(end, last) + 1)
        for a, b, start, end in zip(
            rivalries["a"], rivalries["b"], rivalries["start_year"],
            rivalries["end_year"].fillna(last).astype("int64"), strict=True,
        )
    ]  # fmt: skip
    return np.isin(_key(frame), np.concatenate(spans)).astype("int64")
