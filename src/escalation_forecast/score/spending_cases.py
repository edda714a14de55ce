"""Military spending as cases to score: origins, what was known there, outcomes, samples of the protocol.

A case is an origin, a state, a horizon h and a truth. Its outcome is the growth of year R - 1 + h, where R
is the year of the origin's release, in points of 100 x log difference and always within one release.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.store import LeakError, Store
from escalation_forecast.tables import nearest, read_observations

SPENDING: Final = "milex_constant"
HORIZONS: Final = (1, 2, 3)
MIN_GROWTH: Final = 8
FIRST_PRINT: Final = "first_print"
# What a release without rows of its own past is taken to have been known at, in the year after.
PSEUDO_DAY: Final = "04-30"
PSEUDO_MARK: Final = "pseudo_vintage"
REAL7: Final = (2017, 2018, 2020, 2021, 2023, 2024, 2025)
PSEUDO14: Final = tuple(range(2003, 2017))
CASE: Final = ("origin", "horizon", "state")
SETS: Final = ("real", "pseudo", "real7", "pseudo14", "combined21")


@dataclass(frozen=True)
class SpendingOrigin:
    """A day at which spending is forecast.

    Attributes
    ----------
    label : the release, ``2017``; with a ``p`` for a pseudo-origin, ``2009p``.
    release_year : R, the first year to forecast.
    day : last publication date that may be known.
    kind : ``real`` for a release as published, ``pseudo`` for one cut from a later release, which is
        optimistic: its figures have been revised since.
    """

    label: str
    release_year: int
    day: pd.Timestamp
    kind: Literal["real", "pseudo"]


@dataclass(frozen=True)
class KnownSpending:
    """What a forecaster may use at an origin.

    Attributes
    ----------
    origin : SpendingOrigin
    store : cut at the origin's day.
    states : those that pass the entry rule, in the order asked for.
    growth : by state, 100 x log growth by year to R - 1: the last unbroken run in the newest release known.
    """

    origin: SpendingOrigin
    store: Store
    states: tuple[str, ...]
    growth: dict[str, pd.Series]


def spending_levels(store: Store) -> pd.DataFrame:
    """Positive levels of every unit in every release, whatever states the package knows.

    Returns
    -------
    pandas.DataFrame
        release, state, year, value (constant prices of the release), published_at, pseudo (release is cut
        from a later one), release_year (the year after the last that the release covers).
    """
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
    marked = frame["quality"].str.split(";").map(lambda words: PSEUDO_MARK in words)
    days = frame.groupby("release")["published_at"].nunique()
    all_marked = marked.groupby(frame["release"]).all()
    # rows of a cut release became known year by year, those of a published one on its day
    pseudo = set(days.index[(days > 1) & all_marked.reindex(days.index)])
    out["pseudo"] = out["release"].isin(pseudo)
    out["release_year"] = out.groupby("release")["year"].transform("max") + 1
    return out.sort_values(["release", "state", "year"], ignore_index=True)


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


def origins(store: Store) -> tuple[SpendingOrigin, ...]:
    """Every origin of an uncut store that has a year to score, in the order of time, real after pseudo.

    Of two releases that cover the same years the one published first is an origin.
    """
    return _origins(spending_levels(store))


def _origins(levels: pd.DataFrame) -> tuple[SpendingOrigin, ...]:
    real = levels[~levels["pseudo"]]
    if real.empty:
        raise DataError("The data hold no release of military spending; add rows of milex_constant.")
    last_year = int(real["year"].max())
    found = []
    days = real.groupby(["release_year", "release"])["published_at"].max().reset_index()
    days = days.sort_values(["release_year", "published_at", "release"]).drop_duplicates("release_year")
    row: Any
    for row in days.itertuples():
        found.append(SpendingOrigin(str(row.release), int(row.release_year), row.published_at, "real"))
    cut = levels[levels["pseudo"]]
    run = cut[cut["year"] >= cut.groupby("state")["year"].transform("min") + MIN_GROWTH]
    for year, day in run.groupby("year")["published_at"].max().items():
        release_year = int(str(year)) + 1
        found.append(SpendingOrigin(f"{release_year}p", release_year, pd.Timestamp(day), "pseudo"))
    scored = [origin for origin in found if origin.release_year <= last_year]
    return tuple(sorted(scored, key=lambda origin: (origin.kind == "real", origin.release_year)))


def select_origins(store: Store, text: str | Sequence[str]) -> tuple[SpendingOrigin, ...]:
    """Origins by name, in the order of time.

    Parameters
    ----------
    text : names joined by commas, or a sequence of them: ``real`` and ``pseudo`` (all there are), ``real7``,
        ``pseudo14`` and ``combined21`` (those of the protocol that the table holds), labels (``2017``,
        ``2009p``) and ranges (``2017-2025``, ``2003p-2016p``).

    Raises
    ------
    DataError
        For a name that is none of these, or that no origin of the table answers to.
    """
    held = origins(store)
    parts = text.split(",") if isinstance(text, str) else list(text)
    names = [part.strip() for part in parts if part.strip()]
    if not names:
        raise DataError(f"No origin is named; give {', '.join(SETS)}, labels or ranges, joined by commas.")
    wanted = {origin.label for name in names for origin in _named(name, held, store)}
    return tuple(origin for origin in held if origin.label in wanted)


def _named(name: str, held: tuple[SpendingOrigin, ...], store: Store) -> list[SpendingOrigin]:
    sets = {
        "real": [o for o in held if o.kind == "real"],
        "pseudo": [o for o in held if o.kind == "pseudo"],
        "real7": [o for o in held if o.kind == "real" and o.release_year in REAL7],
        "pseudo14": [o for o in held if o.kind == "pseudo" and o.release_year in PSEUDO14],
    }
    sets["combined21"] = [*sets["pseudo14"], *sets["real7"]]
    labels = {origin.label: origin for origin in held}
    if name in labels:
        return [labels[name]]
    found = sets.get(name, [])
    span = re.fullmatch(r"(\d{4})(p?)-(\d{4})(p?)", name)
    if span and span[2] == span[4]:
        kind = "pseudo" if span[2] else "real"
        first, last = int(span[1]), int(span[3])
        if first > last:
            raise DataError(f"The range of origins `{name}` runs backwards; write {span[3]}-{span[1]}.")
        found = [o for o in held if o.kind == kind and first <= o.release_year <= last]
    if found:
        return found
    if name in set(spending_levels(store)["release"]):
        raise DataError(
            f"The origin `{name}` cannot be scored: no later release covers a year after its last; choose "
            f"from {', '.join(labels)}."
        )
    hint = "" if name in sets or span else nearest(name, [*SETS, *labels])
    raise DataError(
        f"No origin answers to `{name}`{hint}; the data have {', '.join(labels) or 'none'} and the sets "
        f"{', '.join(key for key, some in sets.items() if some) or 'none'}."
    )


def spending_states(store: Store) -> tuple[str, ...]:
    """Units with spending in any release, in alphabetical order."""
    return tuple(sorted(set(store.releases(SPENDING)["unit"].astype("str"))))


def known_spending(
    store: Store, origin: SpendingOrigin, states: Sequence[str] | None = None
) -> KnownSpending:
    """Cut a whole store at an origin and lay out the growth that its newest release had.

    A state is left out when its series does not reach R - 1 or has fewer than eight growth rates in its
    last unbroken run.

    Parameters
    ----------
    store : not cut.
    states : all in the table by default.

    Raises
    ------
    DataError
        For a state without figures in the table, or an origin at which no state passes.
    LeakError
        When the newest release known at the origin covers the year to forecast.
    """
    held = spending_states(store)
    for state in states or ():
        if state not in held:
            raise DataError(
                f"The table has no military spending of `{state}`{nearest(state, held)}; it has "
                f"{', '.join(held)}."
            )
    cut = store.as_of(origin.day)
    levels = spending_levels(cut)
    own = levels[levels["release"] == _release_at(levels, origin)]
    if (own["year"] >= origin.release_year).any():
        row = own[own["year"] >= origin.release_year].iloc[0]
        raise LeakError(
            f"At origin {origin.label} ({origin.day:%Y-%m-%d}) the newest release, {row['release']}, covers "
            f"{row['year']} for {row['state']}, which is to be forecast; correct its published_at."
        )
    growth = {}
    for state in dict.fromkeys(states or held):
        run = last_run(growth_of(own[own["state"] == state]))
        if len(run) >= MIN_GROWTH and run.index[-1] == origin.release_year - 1:
            growth[state] = run
    if not growth:
        raise DataError(
            f"At origin {origin.label} no state has {MIN_GROWTH} growth rates up to {origin.release_year - 1}; "
            "choose other states or later origins."
        )
    return KnownSpending(origin, cut, tuple(growth), growth)


def origin_levels(known: KnownSpending) -> pd.DataFrame:
    """Rows of `spending_levels` of the release that an origin stands on, all states."""
    levels = spending_levels(known.store)
    return levels[levels["release"] == _release_at(levels, known.origin)]


def log_levels(known: KnownSpending) -> dict[str, np.ndarray]:
    """By state, 100 x log level of the years of its growth and the year before the first."""
    own = origin_levels(known)
    out = {}
    for state, growth in known.growth.items():
        values = own[own["state"] == state].set_index("year")["value"]
        out[state] = 100.0 * np.log(values.loc[growth.index[0] - 1 : growth.index[-1]].to_numpy(float))
    return out


def _release_at(levels: pd.DataFrame, origin: SpendingOrigin) -> str:
    """The release published last; the cut release where no real one was out."""
    real = levels[~levels["pseudo"]] if origin.kind == "real" else levels[levels["pseudo"]]
    days = real.groupby("release").agg(day=("published_at", "max"), year=("release_year", "max"))
    if days.empty:
        raise DataError(f"No release of military spending was known on {origin.day:%Y-%m-%d}.")
    return str(days.sort_values(["day", "year"]).index[-1])


def newest_label(store: Store) -> str:
    """The truth of settled figures, ``release_2026``: that of the release published last."""
    levels = spending_levels(store)
    real = levels[~levels["pseudo"]].sort_values(["published_at", "release_year"], kind="stable")
    return f"release_{real['release'].iloc[-1]}"


def outcomes(
    store: Store, origin: SpendingOrigin, states: Iterable[str], horizons: Sequence[int] = HORIZONS
) -> pd.DataFrame:
    """What growth came out, as first printed and in the newest release.

    The first print is that of the earliest release held which has the target year, the year before and
    year R - 1; where releases are not held it is a later print.

    Returns
    -------
    pandas.DataFrame
        state, horizon, truth, target_year, truth_release, strict (printed in the release of the year after
        the target), outcome (growth of the target year), outcome_cumulative (log of the target year over
        year R - 1, x 100). Targets that no release covers have no row.
    """
    levels = spending_levels(store)
    real = levels[~levels["pseudo"] & (levels["release_year"] > origin.release_year)]
    days = real.groupby("release")["published_at"].max()
    order = list(days.reset_index().sort_values(["published_at", "release"])["release"])
    years = real.groupby("release")["release_year"].first()
    newest = newest_label(store)
    base = origin.release_year - 1
    rows = []
    for state in states:
        tables = {
            str(release): part.set_index("year")["value"]
            for release, part in real[real["state"] == state].groupby("release")
        }
        for horizon in horizons:
            target = base + horizon
            whole = [r for r in order if r in tables and {target, target - 1, base} <= set(tables[r].index)]
            prints = {FIRST_PRINT: whole[0]} if whole else {}
            if newest.removeprefix("release_") in whole:
                prints[newest] = newest.removeprefix("release_")
            for truth, release in prints.items():
                logs = np.log(tables[release])
                rows.append(
                    {
                        "state": state, "horizon": horizon, "truth": truth, "target_year": target,
                        "truth_release": release, "strict": int(years[release]) == target + 1,
                        "outcome": 100.0 * float(logs[target] - logs[target - 1]),
                        "outcome_cumulative": 100.0 * float(logs[target] - logs[base]),
                    }
                )  # fmt: skip
    columns = ["state", "horizon", "truth", "target_year", "truth_release", "strict"]
    return pd.DataFrame(rows, columns=[*columns, "outcome", "outcome_cumulative"])


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
            f"{path}: release {row['release']} has {row['unit']} of {row['period_start']:%Y} from two sources; "
            "keep one source in a release, or give each its own release."
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
