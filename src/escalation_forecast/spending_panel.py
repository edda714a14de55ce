"""Military spending as known at ``as_of``: latest prints, revisions seen, announced budgets.

Growth is 100 times the difference of logarithms within one release, never across releases.
A print of age 1 is the first one of a year; age grows by one with every yearly release.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.store import Store

SPENDING = "milex_constant"
FIRST_YEAR = 1990
LATE_AGES = (2, 3, 4)  # ages at which a print may still be revised, now and then, after its first revision
CHANGED = 0.05  # points; smaller steps are rebasing of prices
BUDGET_STATES = ("CHN", "JPN", "KOR", "TWN")
PSEUDO_RELEASE = "2017p"


@dataclass(frozen=True)
class SpendingPanel:
    """Arrays of the spending block; states in the order of ``schema.STATES``.

    Attributes
    ----------
    years : numpy.ndarray
        ``FIRST_YEAR`` to the year after ``as_of``.
    growth : numpy.ndarray
        (state, year) latest print, 100 x log difference, 0 where none.
    printed : numpy.ndarray
        (state, year) whether there is a print.
    age : numpy.ndarray
        (state, year) age of the latest print, 0 where none.
    release : str
        The release that the latest prints come from.
    prints : pandas.DataFrame
        Every print known: state, year, release_year, age, growth.
    revisions : dict of numpy.ndarray
        Steps from first to second print: state, step.
    late_revisions : dict of numpy.ndarray
        By age in ``LATE_AGES``: steps seen and steps that changed the figure; and the sizes of the latter.
    budgets : dict of numpy.ndarray
        Announced growth less expected inflation: state, year (position), value, first_print (or NaN),
        recalled, half_width (of the range, where the definition is open).
    gdp : numpy.ndarray
        (state, year) GDP growth less the state's mean, 0 where unknown.
    exposure, rivals : numpy.ndarray
        (state, theatre) and (state, state) weights; rows add to one.
    """

    years: np.ndarray
    growth: np.ndarray
    printed: np.ndarray
    age: np.ndarray
    release: str
    prints: pd.DataFrame
    revisions: dict[str, np.ndarray]
    late_revisions: dict[str, np.ndarray]
    budgets: dict[str, np.ndarray]
    gdp: np.ndarray
    exposure: np.ndarray
    rivals: np.ndarray

    @property
    def last_printed(self) -> int:
        """Last year that the latest release covers."""
        return int(self.years[self.printed.any(axis=0)].max())

    @property
    def forward_years(self) -> np.ndarray:
        """Years of the grid that no release covers yet."""
        return np.asarray(self.years[self.years > self.last_printed])


def build_spending(store: Store, as_of: pd.Timestamp, grid_years: np.ndarray) -> SpendingPanel:
    """Lay out the spending block at ``as_of``; ``store`` is already cut there."""
    prints = growth_prints(store)
    if not (prints["year"] >= FIRST_YEAR).any():
        raise DataError(
            f"no growth of military spending in {FIRST_YEAR} or later had been published by "
            f"{as_of:%Y-%m-%d}; choose a later as_of."
        )
    newest = _newest_release(store)
    years = np.arange(FIRST_YEAR, as_of.year + 2)
    shape = (len(STATES), len(years))
    growth, age = np.zeros(shape), np.zeros(shape, int)
    latest = prints[(prints["release"] == newest) & prints["year"].isin(years)]
    rows = latest["state"].map(STATES.index).to_numpy()
    columns = latest["year"].to_numpy() - FIRST_YEAR
    growth[rows, columns] = latest["growth"]
    age[rows, columns] = latest["age"]
    first_revisions, late_revisions = _revision_steps(prints[prints["release"] != PSEUDO_RELEASE])
    return SpendingPanel(
        years=years,
        growth=growth,
        printed=age > 0,
        age=age,
        release=newest,
        prints=prints,
        revisions=first_revisions,
        late_revisions=late_revisions,
        budgets=_budgets(store, prints, years),
        gdp=_covariate(store, "gdp_growth", years),
        exposure=_weights(store, "exposure.csv", "theatre", THEATRES),
        rivals=_weights(store, "rivals.csv", "rival", STATES),
    )


def growth_prints(store: Store) -> pd.DataFrame:
    """Growth of every state and year in every release known.

    Returns
    -------
    pandas.DataFrame
        release, release_year, state, year, age, growth (100 x log difference).
    """
    levels = store.releases(SPENDING)
    levels = levels.assign(year=levels["period_start"].dt.year).sort_values(["release", "unit", "year"])
    grouped = levels.groupby(["release", "unit"])
    logs = np.log(levels["value"])
    growth = 100.0 * logs.groupby([levels["release"], levels["unit"]]).diff()
    consecutive = grouped["year"].diff() == 1
    frame = pd.DataFrame(
        {
            "release": levels["release"],
            "state": levels["unit"],
            "year": levels["year"],
            "growth": growth,
        }
    )[consecutive & levels["unit"].isin(STATES)].dropna()
    last = levels.groupby("release")["year"].max()
    frame["release_year"] = frame["release"].map(last).astype("int64") + 1
    frame["age"] = frame["release_year"] - frame["year"]
    return frame.reset_index(drop=True)


def _newest_release(store: Store) -> str:
    rows = store.releases(SPENDING)
    by_release = rows.groupby("release")["published_at"].agg(["min", "max"])
    real = by_release.drop(index=PSEUDO_RELEASE, errors="ignore")
    if len(real):
        return str(real["max"].idxmax())
    return PSEUDO_RELEASE


def _revision_steps(prints: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """First revisions by state, and how often and how much later ones change a figure."""
    wide = prints.pivot_table(index=["state", "year"], columns="release_year", values="growth")
    rows = []
    releases = [int(release) for release in wide.columns]
    for before, after in pairwise(releases):
        step = (wide[after] - wide[before]).dropna().reset_index(name="size")
        step["age"] = before - step["year"]
        step = step[step["age"].between(1, LATE_AGES[-1])]
        rows += list(zip(step["state"].map(STATES.index), step["age"], step["size"], strict=True))
    state, age, size = np.array(rows, float).reshape(-1, 3).T
    first = age == 1
    changed = np.abs(size) > CHANGED
    late = {
        "trials": np.array([np.sum(age == a) for a in LATE_AGES], float),
        "changed": np.array([np.sum((age == a) & changed) for a in LATE_AGES], float),
        "size": size[~first & changed],
    }
    return {"state": state[first].astype(np.int32), "step": size[first]}, late


def _budgets(store: Store, prints: pd.DataFrame, years: np.ndarray) -> dict[str, np.ndarray]:
    """Announced nominal growth less the last inflation known when it was announced."""
    announced = store.latest("budget_growth")
    inflation = store.latest("cpi_inflation")
    first = prints.sort_values("age").groupby(["state", "year"])["growth"].first()
    rows = []
    row: Any
    for row in announced.itertuples():
        year = row.period_start.year
        if row.unit not in BUDGET_STATES or year not in years or not np.isfinite(row.value):
            continue
        known = inflation[(inflation["unit"] == row.unit) & (inflation["published_at"] <= row.published_at)]
        known = known[known["period_start"].dt.year < year]
        if known.empty:
            continue
        expected = 100.0 * np.log1p(known.sort_values("period_start")["value"].iloc[-1] / 100.0)
        bounds = [b for b in (row.low, row.value, row.high) if np.isfinite(b)]
        low, high = (100.0 * np.log1p(b / 100.0) for b in (min(bounds), max(bounds)))
        value = (low + high) / 2.0 - expected
        key = (row.unit, year)
        target = first.get(key, np.nan)
        half_width = (high - low) / 2.0
        recalled = "recalled" in row.quality
        rows.append((STATES.index(row.unit), year - FIRST_YEAR, value, target, recalled, half_width))
    table = np.array(rows, float).reshape(-1, 6)
    return {
        "state": table[:, 0].astype(np.int32),
        "year": table[:, 1].astype(np.int32),
        "value": table[:, 2],
        "first_print": table[:, 3],
        "recalled": table[:, 4],
        "half_width": table[:, 5],
    }


def _covariate(store: Store, series: str, years: np.ndarray) -> np.ndarray:
    frame = store.latest(series)
    table = frame.assign(year=frame["period_start"].dt.year).pivot_table(
        index="unit", columns="year", values="value"
    )
    table = table.reindex(index=list(STATES), columns=list(years))
    return table.sub(table.mean(axis=1), axis=0).fillna(0.0).to_numpy()


def _weights(store: Store, file: str, column: str, labels: tuple[str, ...]) -> np.ndarray:
    path = store.root / file
    frame = pd.read_csv(path)
    out = np.zeros((len(STATES), len(labels)))
    row: Any
    for number, row in enumerate(frame.itertuples(), start=2):
        label = str(getattr(row, column))
        if row.state not in STATES or label not in labels:
            raise DataError(
                f"{path.name}, row {number}: unknown state or {column} ({row.state}, {label}); "
                f"use one of {', '.join(labels)}."
            )
        if not row.weight > 0:
            raise DataError(f"{path.name}, row {number}: weight {row.weight} is not positive.")
        out[STATES.index(row.state), labels.index(label)] += float(row.weight)
    total = out.sum(axis=1, keepdims=True)
    return np.divide(out, total, out=np.zeros_like(out), where=total > 0)
