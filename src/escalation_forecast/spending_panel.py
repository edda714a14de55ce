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
YEARS_AHEAD = 3  # years after the last print whose growth the model samples
BUDGET_STATES = ("CHN", "JPN", "KOR", "TWN")  # with budgets of one definition
RECALLED, AS_PRINTED = 0.5, 1.0
# Programmes of South Korea forecast worse than the mean of past growth (docs/decisions/0012).
PROGRAMME_STATES = ("JPN",)
PSEUDO = "pseudo_vintage"


@dataclass(frozen=True)
class SpendingPanel:
    """Arrays of the spending block.

    Attributes
    ----------
    states : tuple of str
        Those with figures; of the embedded data, ``schema.STATES``.
    years : numpy.ndarray
        ``FIRST_YEAR`` to ``YEARS_AHEAD`` years after the end of the grid.
    growth : numpy.ndarray
        (state, year) latest print, 100 x log difference, 0 where none.
    printed : numpy.ndarray
        (state, year) whether there is a print.
    age : numpy.ndarray
        (state, year) age of the latest print, 0 where none.
    release : str
        The release that the latest prints come from.
    revisable : bool
        Whether that release is one as published; one cut from a later release has been revised already.
    prints : pandas.DataFrame
        Every print known: release, release_year, state, year, age, growth.
    revisions : dict of numpy.ndarray
        Steps from first to second print: state, step.
    late_revisions : dict of numpy.ndarray
        By age in ``LATE_AGES``: steps seen and steps that changed the figure; and the sizes of the latter.
    budgets : dict of numpy.ndarray
        Announced growth less expected inflation: state, year (position), value, first_print (or NaN),
        doubt (by how much the error is larger than usual, as a share), half_width (of the range, where the
        definition is open).
    programmes : dict of numpy.ndarray
        The same of programmes of several years, for years that no budget was announced for yet: state,
        year, value, first_print.
    gdp : numpy.ndarray
        (state, year) GDP growth less the state's mean, 0 where unknown.
    exposure, rivals : numpy.ndarray
        (state, theatre) and (state, state) weights; rows add to one, or to zero for a state without any.
    """

    states: tuple[str, ...]
    years: np.ndarray
    growth: np.ndarray
    printed: np.ndarray
    age: np.ndarray
    release: str
    revisable: bool
    prints: pd.DataFrame
    revisions: dict[str, np.ndarray]
    late_revisions: dict[str, np.ndarray]
    budgets: dict[str, np.ndarray]
    programmes: dict[str, np.ndarray]
    gdp: np.ndarray
    exposure: np.ndarray
    rivals: np.ndarray

    @property
    def last_printed(self) -> int:
        """Last year that the latest release covers."""
        return int(self.years[self.printed.any(axis=0)].max())

    @property
    def n_printed(self) -> int:
        """Number of years up to the last printed one."""
        return self.last_printed - int(self.years[0]) + 1

    def arrays(self) -> dict[str, np.ndarray]:
        """What the model's program takes; long tables have a row per reading."""
        n = self.n_printed
        columns = np.arange(len(self.years))
        late = self.late_revisions
        out = {
            "n_printed": np.array(n, np.int32),
            "growth": self.growth,
            "printed": self.printed.astype(float),
            "newest": (columns == n - 1) * self.printed.astype(float),
            "revisable": np.array(float(self.revisable)),
            "gdp": self.gdp,
            "exposure": self.exposure,
            "rivals": self.rivals,
            "revision_state": self.revisions["state"].astype(np.int32),
            "revision_step": self.revisions["step"],
            "late_trials": late["trials"],
            "late_changed": late["changed"],
            "late_size": late["size"],
        }
        for kind, table in (("budget", self.budgets), ("programme", self.programmes)):
            # A figure of a printed year without a first print of its own says nothing.
            ahead = table["year"] >= n
            use = (ahead | np.isfinite(table["first_print"])) & (table["year"] < n + YEARS_AHEAD)
            rows = {name: values[use] for name, values in table.items()}
            rows["ahead"] = ahead[use].astype(float)
            rows["slot"] = np.where(ahead, table["year"] - n, 0)[use].astype(np.int32)
            rows["first_print"] = np.nan_to_num(rows["first_print"])
            if kind == "budget":
                del rows["year"]  # the slot says all that the model needs
            out |= {f"{kind}_{name}": values for name, values in rows.items()}
        return out


def build_spending(store: Store, as_of: pd.Timestamp, grid_years: np.ndarray) -> SpendingPanel:
    """Lay out the spending block at ``as_of``; ``store`` is already cut there."""
    prints = growth_prints(store)
    if not (prints["year"] >= FIRST_YEAR).any():
        raise DataError(
            f"no growth of military spending in {FIRST_YEAR} or later had been published by "
            f"{as_of:%Y-%m-%d}; choose a later as_of."
        )
    states = _states(prints)
    newest = _newest_release(prints)
    years = np.arange(FIRST_YEAR, int(grid_years[-1]) + YEARS_AHEAD + 1)
    shape = (len(states), len(years))
    growth, age = np.zeros(shape), np.zeros(shape, int)
    latest = prints[(prints["release"] == newest) & prints["year"].isin(years)]
    rows = latest["state"].map(states.index).to_numpy()
    columns = latest["year"].to_numpy() - FIRST_YEAR
    growth[rows, columns] = latest["growth"]
    age[rows, columns] = latest["age"]
    revisable = not latest["pseudo"].any()
    first_revisions, late_revisions = _revision_steps(prints[~prints["pseudo"]], states)
    return SpendingPanel(
        states=states,
        years=years,
        growth=growth,
        printed=age > 0,
        age=age,
        release=newest,
        revisable=revisable,
        prints=prints,
        revisions=first_revisions,
        late_revisions=late_revisions,
        budgets=_budgets(store, prints, states, years),
        programmes=_programmes(store, prints, states, years),
        gdp=_covariate(store, "gdp_growth", states, years),
        exposure=_weights(store, "exposure.csv", "theatre", THEATRES, states),
        rivals=_weights(store, "rivals.csv", "rival", STATES, states),
    )


def _states(prints: pd.DataFrame) -> tuple[str, ...]:
    """The project's states, or those of a table that has others."""
    found = set(prints["state"])
    if found <= set(STATES):
        return STATES
    return (*(state for state in STATES if state in found), *sorted(found - set(STATES)))


def growth_prints(store: Store) -> pd.DataFrame:
    """Growth of every state and year in every release known.

    Returns
    -------
    pandas.DataFrame
        release, release_year, state, year, age, pseudo (cut from a later release), growth (100 x log
        difference).
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
            "pseudo": levels["quality"].str.contains(PSEUDO),
            "growth": growth,
        }
    )[consecutive].dropna()
    last = levels.groupby("release")["year"].max()
    frame["release_year"] = frame["release"].map(last).astype("int64") + 1
    frame["age"] = frame["release_year"] - frame["year"]
    # A release that was corrected stands in the place of the one before, which shared its years.
    frame["day"] = levels.groupby("release")["published_at"].transform("max")
    newest = frame.groupby(["release_year", "pseudo"])["day"].max().rename("newest").reset_index()
    kept = frame.merge(newest, on=["release_year", "pseudo"], how="left")
    return kept[kept["day"] == kept["newest"]].drop(columns=["day", "newest"]).reset_index(drop=True)


def _newest_release(prints: pd.DataFrame) -> str:
    """The release published last that reaches furthest; a real one where there is any."""
    real = prints[~prints["pseudo"]]
    rows = real if len(real) else prints
    return str(rows.sort_values(["release_year", "release"])["release"].iloc[-1])


def _revision_steps(
    prints: pd.DataFrame, states: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """First revisions by state, and how often and how much later ones change a figure."""
    wide = prints.pivot_table(index=["state", "year"], columns="release_year", values="growth")
    rows = []
    releases = [int(release) for release in wide.columns]
    for before, after in pairwise(releases):
        step = (wide[after] - wide[before]).dropna().reset_index(name="size")
        step["age"] = before - step["year"]
        step = step[step["age"].between(1, LATE_AGES[-1])]
        rows += list(zip(step["state"].map(states.index), step["age"], step["size"], strict=True))
    state, age, size = np.array(rows, float).reshape(-1, 3).T
    first = age == 1
    changed = np.abs(size) > CHANGED
    late = {
        "trials": np.array([np.sum(age == a) for a in LATE_AGES], float),
        "changed": np.array([np.sum((age == a) & changed) for a in LATE_AGES], float),
        "size": size[~first & changed],
    }
    return {"state": state[first].astype(np.int32), "step": size[first]}, late


def _budgets(
    store: Store, prints: pd.DataFrame, states: tuple[str, ...], years: np.ndarray
) -> dict[str, np.ndarray]:
    """Announced nominal growth less the last inflation known when it was announced."""
    rows, inflation = [], _inflation(store)
    row: Any
    for row in _rows(store, "budget_growth", states, years):
        expected = _expected_inflation(inflation, row.unit, row.period_start.year, row.published_at)
        if expected is None:
            continue
        bounds = [b for b in (row.low, row.value, row.high) if np.isfinite(b)]
        low, high = (100.0 * np.log1p(b / 100.0) for b in (min(bounds), max(bounds)))
        value, half_width = (low + high) / 2.0 - expected, (high - low) / 2.0
        doubt = RECALLED * ("recalled" in row.quality) + AS_PRINTED * (row.unit not in BUDGET_STATES)
        rows.append((row.unit, row.period_start.year, value, doubt, half_width))
    return _readings(rows, ("value", "doubt", "half_width"), prints, states)


def _programmes(
    store: Store, prints: pd.DataFrame, states: tuple[str, ...], years: np.ndarray
) -> dict[str, np.ndarray]:
    """What a programme of several years says about years before their budget, newest word before it."""
    budgeted = {
        (str(row.unit), row.period_start.year): row.published_at
        for row in _rows(store, "budget_growth", states, years)
    }
    newest: dict[tuple[str, int], Any] = {}
    row: Any
    for row in _rows(store, "programme_growth", PROGRAMME_STATES, years, every=True):
        year = row.period_start.year
        # By the end of April of the year before: as early as when a forecast two years out needs it.
        if row.unit in states and row.published_at < pd.Timestamp(year - 1, 5, 10):
            newest[(row.unit, year)] = row
    rows, inflation = [], _inflation(store)
    for (state, year), row in newest.items():
        expected = _expected_inflation(inflation, state, year, row.published_at)
        if expected is not None and ((state, year) not in budgeted or _printed(prints, state, year)):
            rows.append((state, year, 100.0 * np.log1p(row.value / 100.0) - expected))
    return _readings(rows, ("value",), prints, states)


def _printed(prints: pd.DataFrame, state: str, year: int) -> bool:
    return bool(((prints["state"] == state) & (prints["year"] == year)).any())


def _rows(
    store: Store, series: str, states: tuple[str, ...], years: np.ndarray, *, every: bool = False
) -> list[Any]:
    """Figures of a series in order of publication; the newest of each year, or every one."""
    if series not in set(store.series["series"]):
        return []
    frame = store.releases(series) if every else store.latest(series)
    frame = frame[frame["unit"].isin(states) & frame["value"].notna()]
    frame = frame[frame["period_start"].dt.year.isin(years)]
    return list(frame.sort_values(["published_at", "release"], kind="stable").itertuples())


def _inflation(store: Store) -> dict[str, pd.DataFrame]:
    """Newest figures of inflation by state, in order of the years."""
    frame = store.latest("cpi_inflation").sort_values("period_start", kind="stable")
    return {str(state): own for state, own in frame.groupby("unit")}


def _expected_inflation(
    inflation: dict[str, pd.DataFrame], state: str, year: int, day: pd.Timestamp
) -> float | None:
    """The last inflation before ``year`` known on a day, 100 x log; none where unknown."""
    if state not in inflation:
        return None
    own = inflation[state]
    known = own["value"][(own["published_at"] <= day) & (own["period_start"] < pd.Timestamp(year, 1, 1))]
    return None if known.empty else float(100.0 * np.log1p(known.iloc[-1] / 100.0))


def _readings(
    rows: list[tuple[Any, ...]], columns: tuple[str, ...], prints: pd.DataFrame, states: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Columns of (state, year, ...) rows, with the first print of the year where there is one."""
    first = prints.sort_values("age").groupby(["state", "year"])["growth"].first()
    table = np.array([row[2:] for row in rows], float).reshape(-1, len(columns))
    return {
        "state": np.array([states.index(row[0]) for row in rows], np.int32),
        "year": np.array([row[1] - FIRST_YEAR for row in rows], np.int32),
        "first_print": np.array([first.get(row[:2], np.nan) for row in rows], float),
        **dict(zip(columns, table.T, strict=True)),
    }


def _covariate(store: Store, series: str, states: tuple[str, ...], years: np.ndarray) -> np.ndarray:
    frame = store.latest(series)
    table = frame.assign(year=frame["period_start"].dt.year).pivot_table(
        index="unit", columns="year", values="value"
    )
    table = table.reindex(index=list(states), columns=list(years))
    return table.sub(table.mean(axis=1), axis=0).fillna(0.0).to_numpy()


def _weights(
    store: Store, file: str, column: str, labels: tuple[str, ...], states: tuple[str, ...]
) -> np.ndarray:
    """(state, label) weights of a table; over the states themselves where the labels are states."""
    path = store.root / file
    frame = pd.read_csv(path)
    columns = states if column == "rival" else labels
    out = np.zeros((len(states), len(columns)))
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
        if row.state in states and label in columns:
            out[states.index(row.state), columns.index(label)] += float(row.weight)
    total = out.sum(axis=1, keepdims=True)
    return np.divide(out, total, out=np.zeros_like(out), where=total > 0)
