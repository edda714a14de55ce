"""Which figures differ between two stores: revisions of what was known, and news."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.panel import STOCKS
from escalation_forecast.schema import FIGURE_KEY
from escalation_forecast.store import SORT_ORDER, Store

RELEASED_WHOLE: Final = ("milex_constant",)  # growth is read within one release, old years included
SPENDING: Final = ("milex_constant", "budget_growth", "programme_growth", "cpi_inflation", "gdp_growth")
LADDER: Final = ("ladder", "ladder_incidents")
OTHERS: Final = "series that no question or indicator reads"


@dataclass(frozen=True, eq=False)
class FigureChange:
    """Figures of one series, or of a series and the exposure it is counted by.

    Attributes
    ----------
    gone, came : rows by their number in `fingerprints`.
    n_figures : figures that changed or came.
    """

    kind: Literal["revision", "news"]
    label: str
    series: tuple[str, ...]
    gone: frozenset[int]
    came: pd.DataFrame
    published_on: pd.Timestamp
    n_figures: int


def fingerprints(rows: pd.DataFrame) -> pd.Series[int]:
    """A number for each row by all that it says, whatever its place."""
    return pd.util.hash_pandas_object(rows.astype({"quality": "str", "note": "str"}), index=False)


def apply(store: Store, change: FigureChange) -> Store:
    """The store with a change made; its cut stays where it was."""
    rows = store.observations
    keep = rows[~fingerprints(rows).isin(change.gone).to_numpy()]
    both = pd.concat([keep, change.came], ignore_index=True)
    both = both.sort_values(SORT_ORDER, kind="stable", ignore_index=True)
    # Where a row stands in its file is for messages about files; these rows come from several.
    where = pd.DataFrame({"file": "figures of two runs", "row": range(len(both))})
    return replace(store, observations=both, where=where)


def sorted_changes(old: Store, new: Store) -> list[FigureChange]:
    """Revisions by name of series, then news by date of publication and name; nothing for what is the same.

    Returns
    -------
    list of FigureChange
        Series that nothing reads are one change, the last.
    """
    before, after = old.observations, new.observations
    hashes = fingerprints(before), fingerprints(after)
    gone = before.assign(number=hashes[0])[~hashes[0].isin(hashes[1])]
    came = after.assign(number=hashes[1])[~hashes[1].isin(hashes[0])]
    came = came.drop_duplicates("number")
    known = pd.MultiIndex.from_frame(before[list(FIGURE_KEY)])
    revised = pd.Series(pd.MultiIndex.from_frame(came[list(FIGURE_KEY)]).isin(known), came.index)
    whole = came["series"].isin(RELEASED_WHOLE)
    releases = pd.MultiIndex.from_frame(before[["series", "release"]])
    fresh = ~pd.Series(pd.MultiIndex.from_frame(came[["series", "release"]]).isin(releases), came.index)
    revised &= ~(whole & fresh)

    groups = _groups(new)
    revisions = [
        _change("revision", name, gone, came[revised], groups)
        for name in sorted({_group(s, groups) for s in [*gone["series"], *came["series"][revised]]})
    ]
    nothing = gone.iloc[:0]
    news = [
        _change("news", name, nothing, came[~revised], groups)
        for name in {_group(s, groups) for s in came["series"][~revised]}
    ]
    ordered = sorted(news, key=lambda change: (change.published_on, change.label))
    found = [*revisions, *_counted_last(ordered, new)]
    return [one for one in found if one.label != OTHERS] + [one for one in found if one.label == OTHERS]


def _change(
    kind: Literal["revision", "news"],
    name: str,
    gone: pd.DataFrame,
    came: pd.DataFrame,
    groups: dict[str, str],
) -> FigureChange:
    gone, came = (
        rows[np.array([_group(s, groups) == name for s in rows["series"]], bool)] for rows in (gone, came)
    )
    both = pd.concat([gone, came])
    return FigureChange(
        kind=kind,
        label=name,
        series=tuple(sorted(set(both["series"]))),
        gone=frozenset(gone["number"]),
        came=came.drop(columns="number"),
        published_on=both["published_at"].min(),
        n_figures=len(both.drop_duplicates(list(FIGURE_KEY))),
    )


def _groups(store: Store) -> dict[str, str]:
    """The step that each series belongs to; an exposure that is nothing else goes with what it counts."""
    table = store.indicators
    found = {str(name): str(name) for name in table["series"]}
    exposures = table[["series", "exposure_series"]].dropna()
    for series, exposure in exposures.sort_values(["series"]).itertuples(index=False):
        if exposure:
            found.setdefault(str(exposure), str(series))
    for name in (*SPENDING, *STOCKS):
        found.setdefault(name, name)
    for name in LADDER:
        found.setdefault(name, LADDER[0])
    return found


def _group(series: str, groups: dict[str, str]) -> str:
    return groups.get(str(series), OTHERS)


def _counted_last(news: list[FigureChange], store: Store) -> list[FigureChange]:
    """The same order, save that figures counted by an exposure come after it: before it they say nothing."""
    table = store.indicators
    pairs = {
        (str(series), str(exposure))
        for series, exposure in table[["series", "exposure_series"]].dropna().itertuples(index=False)
    }
    found: list[FigureChange] = []
    waiting = list(news)
    while waiting:
        names = {change.label for change in waiting}
        ready = [c for c in waiting if not any((c.label, n) in pairs for n in names if n != c.label)]
        chosen = (ready or waiting)[0]
        found.append(chosen)
        waiting.remove(chosen)
    return found
