"""Ties of states to a war on a day: borders, defence pacts, rank, rivalries; who could join."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import pandas as pd

from escalation_forecast.history.tables import History
from escalation_forecast.history.wars import major_spells
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

TIES: Final = ("land_border", "defence_pact", "border_and_pact", "major_power", "rivalry")
# States whose pacts the table covers; a pact of two others is unknown.
PACTS_COVER: Final = frozenset({2, 365, 710, 731, 732, 740, 713})
USA: Final = 2


def _on(frame: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    return frame[(frame["start"] <= day) & (frame["end"].isna() | (frame["end"] >= day))]


def _partners(pairs: pd.DataFrame, states: Collection[int]) -> set[int]:
    """States that share a row with one of `states`."""
    of_a = pairs.loc[pairs["b"].isin(list(states)), "a"]
    of_b = pairs.loc[pairs["a"].isin(list(states)), "b"]
    return {int(state) for state in (*of_a, *of_b)}


def rivals_of(history: History, day: pd.Timestamp, states: Collection[int]) -> set[int]:
    """Strategic rivals of any of `states`; a rivalry without an end year goes on."""
    table = history.rivalries
    going = (table["start_year"] <= day.year) & (table["end_year"].fillna(9999) >= day.year)
    return _partners(table[going], states)


def allies_of(history: History, day: pd.Timestamp, states: Collection[int]) -> set[int]:
    """States with a defence pact with any of `states`, as far as `PACTS_COVER` goes."""
    return _partners(_on(history.pacts, day), states)


def ties(history: History, day: pd.Timestamp, belligerents: Collection[int]) -> pd.DataFrame:
    """States relevant to a war that do not take part in it, with their ties to its belligerents.

    Relevant is who borders a belligerent by land or within 400 miles of water, is a great power, or has
    a defence pact or a strategic rivalry with a belligerent.

    Returns
    -------
    frame indexed by code of the state, one column of 0 and 1 for each of `TIES`. `border_and_pact` is 1
    where `land_border` and `defence_pact` both are.
    """
    inside = {int(state) for state in belligerents}
    members = {int(state) for state in _on(history.states, day)["state"]}
    borders = _on(history.borders, day)
    land = _partners(borders[borders["kind"] == "land"], inside)
    majors = {int(state) for state in _on(major_spells(history), day)["state"]}
    pact, rival = allies_of(history, day, inside), rivals_of(history, day, inside)
    relevant = (_partners(borders, inside) | majors | pact | rival) & members
    rows = [
        (state, state in land, state in pact, state in land & pact, state in majors, state in rival)
        for state in sorted(relevant - inside)
    ]
    return pd.DataFrame(rows, columns=["state", *TIES]).set_index("state").astype(int)


def candidates(history: History, day: pd.Timestamp, belligerents: Sequence[str]) -> pd.DataFrame:
    """States that could join a war on a day.

    Parameters
    ----------
    belligerents : ISO 3166 alpha-3 codes.

    Returns
    -------
    frame indexed by iso3: one column of 0 and 1 for each of `TIES`, `against_nuclear` and `nato`
    (member on that day). A state would side with a nuclear-armed belligerent if it has a defence pact
    with it, or if both are rivals of the United States and not of each other; `against_nuclear` is 1
    for everybody else where a belligerent has nuclear weapons. This is a rule of thumb: it takes no
    account of who is being attacked.

    Raises
    ------
    DataError
        When a code is no state on that day.
    """
    today = _on(history.states, day)
    code = {iso3: int(state) for iso3, state in zip(today["iso3"], today["state"], strict=True) if iso3}
    for iso3 in belligerents:
        if iso3 not in code:
            raise DataError(
                f"Belligerent `{iso3}` is no state on {day:%Y-%m-%d}{nearest(iso3, code)}; "
                "write an ISO 3166 alpha-3 code."
            )
    frame = ties(history, day, [code[iso3] for iso3 in belligerents])
    armed = set(history.nuclear.loc[history.nuclear["start"] <= day, "state"])
    armed &= {code[iso3] for iso3 in belligerents}
    with_nuclear: set[int] = set()
    american = rivals_of(history, day, [USA])
    for power in armed:
        with_nuclear |= allies_of(history, day, [power])
        if power in american:
            with_nuclear |= american - rivals_of(history, day, [power])
    nato = _on(history.groups[history.groups["group"] == "nato"], day)["state"]
    frame["against_nuclear"] = (~frame.index.isin(with_nuclear) & bool(armed)).astype(int)
    frame["nato"] = frame.index.isin(nato).astype(int)
    label = {state: iso3 for iso3, state in code.items()}
    frame = frame[frame.index.isin(list(label))]
    frame.index = pd.Index([label[state] for state in frame.index], name="iso3")
    return frame.sort_index()
