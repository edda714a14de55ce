"""Military spending as cases to score: origins, what was known there, outcomes, samples of the protocol.

A case is an origin, a state, a horizon h and a truth. Its outcome is the growth of year R - 1 + h, where R
is the year of the origin's release, in points of 100 x log difference and always within one release.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.spending_vintages import (
    growth_of,
    last_run,
    level_grid,
    newest_label,
    spending_levels,
    spending_states,
    with_vintages,
)
from escalation_forecast.spending_simple import MIN_GROWTH
from escalation_forecast.store import LeakError, Store
from escalation_forecast.tables import nearest

__all__ = [
    "CASE", "FIRST_PRINT", "HORIZONS", "KnownSpending", "SpendingOrigin", "known_spending", "log_levels",
    "origin_levels", "origins", "outcomes", "select_origins", "with_vintages",
]  # fmt: skip

HORIZONS: Final = (1, 2, 3)
FIRST_PRINT: Final = "first_print"
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
            f"At origin {origin.label} no state has {MIN_GROWTH} growth rates up to "
            f"{origin.release_year - 1}; choose other states or later origins."
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
    base, wanted = origin.release_year - 1, list(states)
    grid = level_grid(real, wanted, base, base + max(horizons))
    logs = 100.0 * np.log(grid.values)
    newest = newest_label(store)
    rows = []
    for k, state in enumerate(wanted):
        for horizon in horizons:
            whole = np.flatnonzero(np.isfinite(logs[:, [0, horizon - 1, horizon], k]).all(axis=1))
            settled = [r for r in whole if f"release_{grid.releases[r]}" == newest]
            prints = dict(zip((FIRST_PRINT, newest), (*whole[:1], *settled), strict=False))
            for truth, r in prints.items():
                rows.append(
                    {
                        "state": state, "horizon": horizon, "truth": truth, "target_year": base + horizon,
                        "truth_release": grid.releases[r],
                        "strict": int(grid.release_years[r]) == base + horizon + 1,
                        "outcome": float(logs[r, horizon, k] - logs[r, horizon - 1, k]),
                        "outcome_cumulative": float(logs[r, horizon, k] - logs[r, 0, k]),
                    }
                )  # fmt: skip
    columns = ["state", "horizon", "truth", "target_year", "truth_release", "strict"]
    return pd.DataFrame(rows, columns=[*columns, "outcome", "outcome_cumulative"])
