"""What has happened, in the form of forecast paths: one chain, one draw.

A rule that gives probabilities on forecast paths resolves a question on these.
"""

from __future__ import annotations

import datetime as dt
from typing import Final, Literal

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast import war_record
from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.store import Store
from escalation_forecast.tables import nearest

SPENDING: Final = "milex_constant"
LADDER: Final = "ladder"
TROOPS: Final = ("dprk_troops_in_russia", "PRK>RUS")
AGES: Final = 6
FIRST_GROWTH: Final = 1990
FIRST_MONTH: Final = pd.Timestamp(1990, 1, 1)
# Shares of articles touch zero in quiet months of small countries.
SHARE_OFFSET: Final = 0.01

Vintage = Literal["first", "newest"]


def rows(store: Store, series: str, unit: str | None = None) -> pd.DataFrame:
    """Newest release of each figure; empty for a series that the store's catalogue lacks."""
    if series not in set(store.series["series"]):
        return store.observations.iloc[:0]
    frame = store.latest(series, unit)
    return frame[frame["value"].notna() | frame["low"].notna() | frame["high"].notna()]


def news_indicators(store: Store) -> tuple[str, ...]:
    """Monthly news indicators of the catalogue."""
    return tuple(store.indicators.loc[store.indicators["family"] == "news", "indicator"])


def indicator_source(store: Store, indicator: str) -> tuple[str, tuple[str, ...]]:
    """Series and units of a news indicator.

    Raises
    ------
    DataError
        For an indicator that is not a news indicator of the catalogue, with the nearest name.
    """
    known = news_indicators(store)
    if indicator not in known:
        raise DataError(f"unknown news indicator `{indicator}`{nearest(indicator, known)}")
    row = store.indicators.set_index("indicator").loc[indicator]
    return str(row["series"]), tuple(str(row["units"]).split("+"))


def indicator_history(store: Store, indicator: str, scale: Store | None = None) -> pd.Series:
    """Monthly values of a news indicator, in its own unit, from its first month in the catalogue.

    An indicator of several units is the mean of their logarithms, each with mean 0 and standard
    deviation 1 over the figures of `scale` (the store known when the question was asked), as in the panel.
    """
    series, units = indicator_source(store, indicator)
    row = store.indicators.set_index("indicator").loc[indicator]
    first, last = (pd.Timestamp(str(row[key])) if row[key] else None for key in ("start", "end"))

    def table(source: Store) -> pd.DataFrame:
        parts = [rows(source, series, unit).set_index("period_start")["value"] for unit in units]
        return pd.concat(parts, axis=1, keys=units).dropna().sort_index()

    values = table(store)
    if len(units) == 1:
        monthly: pd.Series = values[units[0]]
    else:
        reference = (table(scale or store) + SHARE_OFFSET).apply(np.log)
        logs = (values + SHARE_OFFSET).apply(np.log)
        scaled = (logs - reference.mean()) / reference.std(ddof=0)
        monthly = scaled.mean(axis=1)
    out: pd.Series = monthly.loc[first:last].rename(indicator)
    return out


def troop_history(store: Store) -> pd.Series:
    """North Korean troops in Russia by month: median over the bodies that reported a stock.

    A body counts once a month, by its highest report, since those for Kursk or the border are parts of the
    whole. A report is its figure, else the middle of its bounds, else its "at least"; an "up to" alone says
    too little. A month without a report is left out.
    """
    if TROOPS[0] not in set(store.series["series"]):
        return pd.Series(dtype="float64")
    # Reports of different parts share a figure key, so the newest alone would drop some.
    frame = store.releases(*TROOPS)
    figure = frame["value"].fillna((frame["low"] + frame["high"]) / 2).fillna(frame["low"])
    month = frame["period_start"].dt.to_period("M").dt.to_timestamp()
    reports = pd.DataFrame({"month": month, "source": frame["source"], "figure": figure}).dropna()
    return reports.groupby(["month", "source"])["figure"].max().groupby("month").median()


def growth_by_release(store: Store) -> dict[str, pd.DataFrame]:
    """Growth in per cent (rows: years, columns: states) by release; missing years stay missing."""
    frame = store.releases(SPENDING).dropna(subset=["value"])
    frame = frame.assign(year=frame["period_start"].dt.year)
    tables: dict[str, pd.DataFrame] = {}
    for release, part in frame.groupby("release"):
        wide = part.pivot_table(index="year", columns="unit", values="value", aggfunc="last")
        years = range(int(wide.index.min()), int(wide.index.max()) + 1)
        wide = wide.reindex(index=years, columns=list(STATES))
        before = wide.shift(1)
        # This order of operations keeps a rise from 100 to 105 at exactly 5.0.
        tables[str(release)] = 100 * (wide - before) / before.where(before > 0)
    return tables


def releases_of_years(store: Store) -> pd.DataFrame:
    """For each year, the earliest release held that covers it (columns release, published_at)."""
    frame = store.releases(SPENDING).dropna(subset=["value"])
    frame = frame.assign(year=frame["period_start"].dt.year)
    covers = frame.groupby(["year", "release"])["published_at"].max().reset_index()
    first = covers.sort_values(["year", "published_at", "release"]).drop_duplicates("year")
    return first.set_index("year")[["release", "published_at"]]


def newest_release(store: Store) -> str:
    """The release of spending published last; of two, the one that reaches further."""
    frame = store.releases(SPENDING).dropna(subset=["value"])
    ordered = frame.sort_values(["period_start", "published_at"], kind="stable")
    return str(ordered["release"].iloc[-1])


def growth_base(tables: dict[str, pd.DataFrame], year: int, release: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and number of growth figures by state from 1990 to six years before `year`, in one release."""
    early = tables[release].loc[FIRST_GROWTH : year - AGES]
    return early.mean().to_numpy(float), early.count().to_numpy(float)


def _spending(store: Store, vintage: Vintage) -> xr.Dataset:
    tables, covering = growth_by_release(store), releases_of_years(store)
    newest = newest_release(store)
    years = [int(year) for year in covering.index if year >= FIRST_GROWTH]
    if vintage == "newest":
        years = [year for year in years if year <= int(tables[newest].index.max())]
    ages = range(AGES)
    prints = np.full((len(STATES), len(years), AGES), np.nan)
    base = np.full((2, len(STATES), len(years)), np.nan)
    used = []
    for k, year in enumerate(years):
        release = newest if vintage == "newest" else str(covering.loc[year, "release"])
        wanted = [year - age for age in ages]
        prints[:, k, :] = tables[release].reindex(index=wanted).to_numpy(float).T
        base[:, :, k] = growth_base(tables, year, release)
        used.append(release)
    published = pd.DatetimeIndex(covering.loc[years, "published_at"]).as_unit("ns")
    return xr.Dataset(
        {
            "growth_print": (("state", "year", "age"), prints),
            "growth_base_mean": (("state", "year"), base[0]),
            "growth_base_count": (("state", "year"), base[1]),
        },
        coords={
            "state": list(STATES),
            "year": years,
            "age": list(ages),
            "release": ("year", np.array(used, dtype=object)),
            "first_published": ("year", published),
        },
    )


def _monthly(parts: dict[str, pd.Series], months: pd.DatetimeIndex, dim: str) -> xr.DataArray:
    table = np.full((len(parts), len(months)), np.nan)
    for k, series in enumerate(parts.values()):
        table[k] = series.reindex(months).to_numpy(float)
    return xr.DataArray(table, coords={dim: list(parts), "month": months}, dims=(dim, "month"))


def paths_from_store(
    store: Store, *, vintage: Vintage = "first", scale_as_of: dt.date | None = None
) -> xr.Dataset:
    """What the store knows to have happened, with the dims of forecast paths (one chain, one draw).

    Parameters
    ----------
    vintage : ``first`` takes each year's growth, and that of the years before it, from the release that
        first covers it (what questions resolve on); ``newest`` takes all from the newest release.
    scale_as_of : the date whose figures scale the indicators of several units.

    Returns
    -------
    Dataset with growth_print (state, year, age; per cent), growth_base_mean and growth_base_count (state,
    year), ladder (theatre, month), clash (dyad, month), joined (joiner, month), indicator_level
    (indicator, month; news only) and dprk_troops (month).
    """
    known = store.as_of_date or store.observations["published_at"].max().date()
    months = pd.date_range(
        FIRST_MONTH, pd.Timestamp(known).to_period("M").to_timestamp(), freq="MS", unit="ns"
    )
    coded = rows(store, LADDER).sort_values("published_at", kind="stable")
    levels = {
        theatre: part.drop_duplicates("period_start", keep="last").set_index("period_start")["value"]
        for theatre in THEATRES
        for part in [coded[coded["unit"] == theatre]]
    }
    scale = store.as_of(scale_as_of) if scale_as_of is not None else None
    news = {name: indicator_history(store, name, scale) for name in news_indicators(store)}
    troops = troop_history(store).reindex(months).to_numpy(float)
    ladder = _monthly(levels, months, "theatre")
    paths = _spending(store, vintage).assign(
        ladder=ladder,
        clash=war_record.clashes(ladder, pd.Timestamp(known)),
        joined=war_record.joined(months, pd.Timestamp(known)),
        indicator_level=_monthly(news, months, "indicator"),
        dprk_troops=xr.DataArray(troops, coords={"month": months}, dims=("month",)),
    )
    paths = paths.expand_dims(chain=[0], draw=[0])
    paths.attrs.update(as_of=known.isoformat(), vintage=vintage)
    return paths


def with_growth_base(paths: xr.Dataset, store: Store) -> xr.Dataset:
    """Add the mean growth before the six years on the paths, which rules about a state's own norm need.

    A year not released yet takes its base from the newest release known.
    """
    if "growth_base_mean" in paths or "growth_print" not in paths:
        return paths
    tables, covering, newest = growth_by_release(store), releases_of_years(store), newest_release(store)
    mean, count = [], []
    for year in paths["year"].values:
        release = str(covering.loc[year, "release"]) if year in covering.index else newest
        base = growth_base(tables, int(year), release)
        mean.append(base[0])
        count.append(base[1])
    coords = {"year": paths["year"].values, "state": list(STATES)}
    return paths.assign(
        growth_base_mean=xr.DataArray(np.array(mean), coords=coords, dims=("year", "state")),
        growth_base_count=xr.DataArray(np.array(count), coords=coords, dims=("year", "state")),
    )
