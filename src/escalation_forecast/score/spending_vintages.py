"""Military spending by release: levels and growth in whatever table of vintages there is.

A release is real, published on its day, or cut from a later one (`pseudo`): then the figure of each year
counts as known in the year after, with all revisions made since.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.store import Store
from escalation_forecast.tables import read_observations

SPENDING: Final = "milex_constant"
# When the figure of a year counts as known, in the year after, in a release that is cut.
PSEUDO_DAY: Final = "04-30"
PSEUDO_MARK: Final = "pseudo_vintage"


def spending_levels(store: Store) -> pd.DataFrame:
    """Positive levels of every unit in every release, whatever states the package knows.

    Returns
    -------
    pandas.DataFrame
        release, state, year, value (constant prices of the release), published_at, pseudo (release is cut
        from a later one), release_year (the year after the last that the release covers). It is made once
        for a store; do not change it.
    """
    if store not in _LEVELS:
        _LEVELS[store] = _levels(store)
    return _LEVELS[store]


# Every outcome starts from the levels of the whole store. An entry goes when its store does.
_LEVELS: WeakKeyDictionary[Store, pd.DataFrame] = WeakKeyDictionary()


def _levels(store: Store) -> pd.DataFrame:
    frame = store.releases(SPENDING)
    frame = frame[frame["value"] > 0].sort_values("published_at", kind="stable")
    out = pd.DataFrame(
        {
            "release": frame["release"].astype("str"),
            "state": frame["unit"].astype("str"),
            "year": frame["period_start"].dt.year.astype("int64"),
            "value": frame["value"].astype("float64"),
            "published_at": frame["published_at"],
        }
    ).drop_duplicates(["release", "state", "year"], keep="last")
    marked = frame["quality"].str.contains(PSEUDO_MARK, regex=False)
    days = frame.groupby("release")["published_at"].nunique()
    all_marked = marked.groupby(frame["release"]).all()
    # rows of a cut release became known year by year, those of a published one on its day
    pseudo = set(days.index[(days > 1) & all_marked.reindex(days.index)])
    out["pseudo"] = out["release"].isin(pseudo)
    out["release_year"] = out.groupby("release")["year"].transform("max") + 1
    return out.sort_values(["release", "state", "year"], ignore_index=True)


@dataclass(frozen=True)
class LevelGrid:
    """Levels of published releases side by side.

    Attributes
    ----------
    releases : labels, oldest first.
    release_years : (release,) the year after the last that each covers.
    first_year : of the second axis of ``values``.
    states : of the third axis.
    values : (release, year, state), NaN where there is none.
    """

    releases: tuple[str, ...]
    release_years: np.ndarray
    first_year: int
    states: tuple[str, ...]
    values: np.ndarray


def level_grid(levels: pd.DataFrame, states: Sequence[str], first_year: int, last_year: int) -> LevelGrid:
    """Lay rows of `spending_levels` out as an array, releases in the order of their publication."""
    days = levels.groupby("release").agg(day=("published_at", "max"), year=("release_year", "first"))
    days = days.sort_values(["day", "year"])
    wide = levels.pivot(index=["release", "year"], columns="state", values="value")
    years = range(first_year, last_year + 1)
    index = pd.MultiIndex.from_product([days.index, years], names=["release", "year"])
    values = wide.reindex(index=index, columns=list(states)).to_numpy(float)
    return LevelGrid(
        tuple(str(name) for name in days.index),
        days["year"].to_numpy(int),
        first_year,
        tuple(states),
        values.reshape(len(days), len(years), len(states)),
    )


def growth_of(levels: pd.DataFrame) -> pd.Series:
    """100 x log growth by year of one state in one release; years without the year before are left out."""
    logs = np.log(levels.set_index("year")["value"].sort_index())
    steps = 100.0 * logs.diff()
    consecutive = np.diff(logs.index.to_numpy(), prepend=logs.index[0] - 2 if len(logs) else 0) == 1
    out: pd.Series = steps[consecutive]
    return out


def last_run(growth: pd.Series) -> pd.Series:
    """The last unbroken run of years."""
    years = growth.index.to_numpy()
    breaks = np.flatnonzero(np.diff(years) != 1)
    return growth.iloc[breaks[-1] + 1 :] if len(breaks) else growth


def spending_states(store: Store) -> tuple[str, ...]:
    """Units with spending in any release, in alphabetical order."""
    return tuple(sorted(set(store.releases(SPENDING)["unit"].astype("str"))))


def newest_label(store: Store) -> str:
    """The truth of settled figures, ``release_2026``: that of the release published last."""
    levels = spending_levels(store)
    real = levels[~levels["pseudo"]].sort_values(["published_at", "release_year"], kind="stable")
    return f"release_{real['release'].iloc[-1]}"


def with_vintages(store: Store, path: Path | str) -> Store:
    """The store with the spending of a user's table in the place of its own.

    A table without a release cut by year gets one, from its earliest release: the figure of a year counts
    as known at the end of April of the year after.

    Parameters
    ----------
    store : not cut.
    path : CSV with ``schema.OBSERVATION_COLUMNS``; other series in it are added.

    Raises
    ------
    DataError
        Naming file and row of what is wrong, or when the table has no spending.
    """
    own = store.observations["series"] != SPENDING
    bare = dataclasses.replace(
        store,
        observations=store.observations[own].reset_index(drop=True),
        where=store.where[own].reset_index(drop=True),
    )
    if SPENDING not in set(read_observations(path)["series"]):
        raise DataError(
            f"{path}: no row of the series {SPENDING}; give one vintage table of military spending."
        )
    mixed = bare.with_files(observations=path)
    _one_source(mixed, path)
    levels = spending_levels(mixed)
    if levels.empty:
        raise DataError(f"{path}: no figure of {SPENDING} is above zero; give levels in constant prices.")
    if levels["pseudo"].any():
        return mixed
    days = levels.groupby("release")["published_at"].max().reset_index()
    first = str(days.sort_values(["published_at", "release"])["release"].iloc[0])
    return _with_cut(mixed, first)


def _one_source(store: Store, path: Path | str) -> None:
    frame = store.releases(SPENDING)
    key = ["release", "unit", "period_start"]
    twice = frame[frame.duplicated(key)]
    if len(twice):
        row = twice.iloc[0]
        raise DataError(
            f"{path}: release {row['release']} has {row['unit']} of {row['period_start']:%Y} from two "
            "sources; keep one source in a release, or give each its own release."
        )


def _with_cut(store: Store, release: str) -> Store:
    """Add the pseudo-release of a release: same figures, each known in the year after its own."""
    observations = store.observations
    chosen = (observations["series"] == SPENDING) & (observations["release"] == release)
    rows, where = observations[chosen].copy(), store.where[chosen].copy()
    day = pd.to_datetime((rows["period_start"].dt.year + 1).astype("str") + f"-{PSEUDO_DAY}")
    earlier = (day < rows["published_at"]).to_numpy()
    rows["published_at"] = day.astype(rows["published_at"].dtype)
    rows["release"] = f"{release}p"
    rows["quality"] = rows["quality"] + f";{PSEUDO_MARK}"
    # Two dates at least, or the rows would be taken for a release published on one day.
    if rows.loc[earlier, "published_at"].nunique() < 2:
        return store
    return dataclasses.replace(
        store,
        observations=pd.concat([observations, rows[earlier]], ignore_index=True),
        where=pd.concat([store.where, where[earlier]], ignore_index=True),
    )
