"""Does anything known at an origin come from its future? Found by what it would be worth.

A forecast that looks things up is scored twice at each origin: on the store cut there as it is, and on the
same store without rows that cannot have been known. On sound data the two are the same.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.spending_cases import HORIZONS, SpendingOrigin, outcomes
from escalation_forecast.score.spending_vintages import (
    SPENDING,
    level_grid,
    spending_levels,
    spending_states,
)
from escalation_forecast.store import LeakError, Store

__all__ = ["COLUMNS", "assert_no_leaks", "leaks", "lookup_forecast", "purge"]

COLUMNS: Final = ("origin", "state", "rows", "first_row", "truth", "error", "error_purged", "gain")
RECENT: Final = 10


def purge(cut: Store, origin: SpendingOrigin, releases: pd.DataFrame) -> tuple[Store, pd.DataFrame]:
    """Take out spending that cannot have been known at an origin.

    Parameters
    ----------
    cut : the store as of the origin's day.
    releases : by release, from the whole store: release_year and pseudo.

    Returns
    -------
    store : without rows about years that end after the origin's day, and without rows of a published
        release that covers the origin's year or later ones.
    removed : those rows, with their file and row.
    """
    rows = cut.observations
    known = rows["release"].map(releases["release_year"])
    published = ~rows["release"].map(releases["pseudo"]).fillna(True).astype(bool)
    newer = published & (known > origin.release_year)
    bad = (rows["series"] == SPENDING) & ((rows["period_end"] > origin.day) | newer)
    kept = dataclasses.replace(
        cut,
        observations=rows[~bad].reset_index(drop=True),
        where=cut.where[~bad].reset_index(drop=True),
    )
    return kept, rows[bad].join(cut.where[bad])


def lookup_forecast(cut: Store, origin: SpendingOrigin, states: Iterable[str]) -> pd.DataFrame:
    """What somebody would say who looks every target year up, and else takes the mean of ten years.

    Returns
    -------
    pandas.DataFrame
        (state, horizon): points of 100 x log growth, from the release published last that has the year;
        NaN where nothing is known.
    """
    wanted = list(states)
    base = origin.release_year - 1
    grid = level_grid(spending_levels(cut), wanted, base - RECENT, base + max(HORIZONS))
    # newest first
    growth = 100.0 * np.diff(np.log(grid.values[::-1]), axis=1)
    with warnings.catch_warnings():
        # a release without a year gives no mean
        warnings.simplefilter("ignore", RuntimeWarning)
        recent = np.nanmean(growth[:, :RECENT], axis=1)
    table = pd.DataFrame(_first_known(recent), index=wanted, columns=["mean"])
    for horizon in HORIZONS:
        table[horizon] = _first_known(growth[:, RECENT - 1 + horizon])
        table[horizon] = table[horizon].fillna(table["mean"])
    return table[list(HORIZONS)]


def _first_known(values: np.ndarray) -> np.ndarray:
    """(state,) the value of the first release that has one, from (release, state)."""
    known = np.isfinite(values)
    first = np.take_along_axis(values, known.argmax(axis=0)[None], axis=0)[0]
    return np.where(known.any(axis=0), first, np.nan)


def leaks(
    store: Store, chosen: Sequence[SpendingOrigin], states: Sequence[str] | None = None
) -> pd.DataFrame:
    """States and origins at which figures are known that cannot have been, and what they would be worth.

    Parameters
    ----------
    store : not cut.
    chosen : origins, as from `spending_cases.select_origins`.
    states : all in the table by default.

    Returns
    -------
    pandas.DataFrame
        origin, state, rows (number taken out), first_row (file and row), truth (the one for which the future
        helps most), error and error_purged (mean absolute error of `lookup_forecast` over horizons, with and
        without those rows), gain (error_purged - error: positive where the future helped). Empty on sound
        data.

    Raises
    ------
    DataError
        Without an origin.
    """
    if not len(chosen):
        raise DataError("No origin to check; name at least one.")
    levels = spending_levels(store)
    releases = levels.groupby("release")[["release_year", "pseudo"]].first()
    wanted = list(states or spending_states(store))
    found = []
    for origin in chosen:
        cut = store.as_of(origin.day)
        purged, removed = purge(cut, origin, releases)
        removed = removed[removed["unit"].isin(wanted)]
        if removed.empty:
            continue  # the two stores say the same
        truth = outcomes(store, origin, wanted)
        errors = pd.DataFrame(
            {
                "error": _errors(lookup_forecast(cut, origin, wanted), truth),
                "error_purged": _errors(lookup_forecast(purged, origin, wanted), truth),
            }
        )
        errors["gain"] = errors["error_purged"] - errors["error"]
        for state in wanted:
            rows = removed[removed["unit"] == state]
            # figures of one release are close to its own truth and may be far from another
            own = errors[errors.index.get_level_values("state") == state].sort_values("gain").iloc[-1:]
            if rows.empty:
                continue
            place = f"{rows['file'].iloc[0]}, row {rows['row'].iloc[0]}"
            best = own.reset_index().iloc[0].to_dict() if len(own) else {}
            found.append(
                {**best, "origin": origin.label, "state": state, "rows": len(rows), "first_row": place}
            )
    return pd.DataFrame(found, columns=list(COLUMNS))


def assert_no_leaks(
    store: Store, chosen: Sequence[SpendingOrigin], states: Sequence[str] | None = None
) -> None:
    """Raise where `leaks` finds something.

    Raises
    ------
    LeakError
        Naming the origin and the state that gain most, the rows and where the first stands.
    """
    found = leaks(store, chosen, states)
    if len(found):
        row = found.sort_values("gain", ascending=False, na_position="last").iloc[0]
        raise LeakError(
            f"At origin {row['origin']} {row['rows']} figures of {row['state']} are known that are from its "
            f"future, first {row['first_row']}, and take {row['gain']:.2f} points off the absolute error; "
            f"correct their published_at ({len(found)} states and origins in all)."
        )


def _errors(forecast: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Mean absolute error by state and truth."""
    rows = forecast.index.get_indexer(pd.Index(truth["state"]))
    columns = forecast.columns.get_indexer(pd.Index(truth["horizon"]))
    gap = np.abs(forecast.to_numpy(float)[rows, columns] - truth["outcome"].to_numpy(float))
    return truth.assign(gap=gap).groupby(["state", "truth"])["gap"].mean()
