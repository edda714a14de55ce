"""Forecast paths as tables with stable columns, and as entries of ``summary.json``.

``low`` and ``high`` are the central 80 % interval everywhere. Columns, in this order:

theatres
    theatre, label, month, median, low, high, year_ago_month, year_ago_median, year_ago_low,
    year_ago_high, percentile, change_6m, change_6m_low, change_6m_high, probability_up,
    forecast_month, forecast_median, forecast_low, forecast_high
latent
    month, theatre, phase (history or forecast), mean, q05, q10, q25, q50, q75, q90, q95
spending
    state, year, measure (print, three_year_mean or true; per cent), released, mean, q05, q10,
    q25, q50, q75, q90, q95, probability_5 (share of draws at 5 % or more)
questions
    id, question, kind, title, target, probability, mcse, ess, base_rate, base_events,
    base_trials, reference_class, median, low, high, mean, distribution (JSON for counts),
    resolves_on, note
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import GLOBAL, THEATRE_LABELS

LOW, HIGH = 0.1, 0.9
QUANTILES: Final[dict[str, float]] = {
    "q05": 0.05, "q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9, "q95": 0.95,
}  # fmt: skip
THRESHOLD: Final = 5.0
# Beyond a year the forecast has mostly returned to its mean and says little about now.
LOOK_AHEAD: Final = 12
THEATRE_COLUMNS: Final = (
    "theatre", "label", "month", "median", "low", "high", "year_ago_month", "year_ago_median",
    "year_ago_low", "year_ago_high", "percentile", "change_6m", "change_6m_low", "change_6m_high",
    "probability_up", "forecast_month", "forecast_median", "forecast_low", "forecast_high",
)  # fmt: skip
QUESTION_COLUMNS: Final = (
    "id", "question", "kind", "title", "target", "probability", "mcse", "ess", "base_rate",
    "base_events", "base_trials", "reference_class", "median", "low", "high", "mean",
    "distribution", "resolves_on", "note",
)  # fmt: skip


def all_risk(paths: xr.Dataset) -> xr.DataArray:
    """Latent of the theatres and the global factor, dims (sample, theatre, month)."""
    world = paths["global_risk"].expand_dims(theatre=[GLOBAL])
    both = xr.concat([paths["risk"], world], dim="theatre")
    return both.stack(sample=("chain", "draw")).transpose("sample", "theatre", "month")


def quantiles(values: xr.DataArray, levels: Mapping[str, float] = QUANTILES) -> xr.DataArray:
    """Quantiles over ``sample`` in a leading dim ``quantile``; all missing gives missing."""
    draws = values.transpose("sample", ...).values
    # Missing values are rare, and np.nanquantile takes many times longer.
    found = np.quantile(draws, list(levels.values()), axis=0)
    gaps = np.isnan(draws).any(axis=0)
    if gaps.any():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN", RuntimeWarning)
            found[:, gaps] = np.nanquantile(draws[:, gaps], list(levels.values()), axis=0)
    dims = [d for d in values.dims if d != "sample"]
    return xr.DataArray(
        found,
        dims=("quantile", *dims),
        coords={"quantile": list(levels), **{d: values[d].values for d in dims}},
    )


def released(paths: xr.Dataset) -> xr.DataArray:
    """Years whose first print was out at ``as_of``, dim year.

    A forecast varies over draws. Paths of one draw have no spread, so there the date of the
    yearly edition, the end of April, decides; it also decides where every print is missing.
    """
    prints = paths["growth_print"].isel(age=0)
    years = paths["year"].values
    out = pd.to_datetime([f"{int(y) + 1}-04-30" for y in years]) <= pd.Timestamp(paths.attrs["as_of"])
    if prints.sizes["chain"] * prints.sizes["draw"] > 1:
        span = (prints.max(("chain", "draw")) - prints.min(("chain", "draw"))).max("state")
        out = np.where(np.isnan(span.values), out, span.values == 0)
    return xr.DataArray(np.asarray(out, dtype=bool), dims="year", coords={"year": years})


def three_year_mean(paths: xr.Dataset) -> xr.DataArray:
    """Mean growth of three years within the release that first covers the last of them."""
    return paths["growth_print"].sel(age=[0, 1, 2]).mean("age", skipna=False)


def theatre_summaries(paths: xr.Dataset) -> list[dict[str, Any]]:
    """Entries ``theatres`` of the summary, without ``pushed_by``; the last is the global factor.

    Returns
    -------
    list of dict
        ``now`` is the last month before the forecast. ``percentile`` is the median over draws
        of the share of earlier months since 1990 below now. ``forecast`` is 12 months ahead,
        or the end of a shorter horizon.
    """
    risk = all_risk(paths)
    months = pd.DatetimeIndex(paths["month"].values)
    now = _now(paths)
    ahead = min(now + LOOK_AHEAD, len(months) - 1)
    found = []
    for name in risk["theatre"].values:
        values = risk.sel(theatre=name).values
        change = values[:, now] - values[:, max(now - 6, 0)]
        below = (values[:, :now] < values[:, [now]]).mean(axis=1) if now else np.zeros(1)
        found.append(
            {
                "theatre": str(name),
                "label": THEATRE_LABELS[str(name)],
                "now": _at(values, months, now),
                "year_ago": _at(values, months, max(now - 12, 0)),
                "percentile": 100 * float(np.median(below)),
                "trend": {
                    "change_6m": float(np.median(change)),
                    "low": float(np.quantile(change, LOW)),
                    "high": float(np.quantile(change, HIGH)),
                    "probability_up": float((change > 0).mean()),
                },
                "forecast": _at(values, months, ahead),
            }
        )
    return found


def spending_summaries(paths: xr.Dataset) -> list[dict[str, Any]]:
    """Entries ``spending`` of the summary: first print and true growth, per cent.

    A print that is not held is None. Released prints are one number, so low = median = high.
    """
    out = released(paths)
    names = {"low": LOW, "median": 0.5, "high": HIGH}
    stacked = paths[["growth_print", "growth_true"]].stack(sample=("chain", "draw"))
    prints = quantiles(stacked["growth_print"].isel(age=0), names)
    true = quantiles(stacked["growth_true"], names)
    return [
        {
            "state": str(state),
            "year": int(year),
            "print": _triple(prints.sel(state=state, year=year)),
            "true": _triple(true.sel(state=state, year=year)),
            "released": bool(out.sel(year=year)),
        }
        for state in paths["state"].values
        for year in paths["year"].values
    ]


def theatre_table(paths: xr.Dataset) -> pd.DataFrame:
    """One row per theatre and the global factor: now, a year ago, trend, a year ahead."""
    return theatre_rows(theatre_summaries(paths))


def theatre_rows(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The same from the entries of `theatre_summaries`, as a run's summary keeps them."""
    rows = []
    for entry in entries:
        trend = entry["trend"]
        rows.append(
            {
                "theatre": entry["theatre"],
                "label": entry["label"],
                **entry["now"],
                **{f"year_ago_{k}": v for k, v in entry["year_ago"].items()},
                "percentile": entry["percentile"],
                "change_6m": trend["change_6m"],
                "change_6m_low": trend["low"],
                "change_6m_high": trend["high"],
                "probability_up": trend["probability_up"],
                **{f"forecast_{k}": v for k, v in entry["forecast"].items()},
            }
        )
    return pd.DataFrame(rows, columns=list(THEATRE_COLUMNS))


def latent_table(paths: xr.Dataset) -> pd.DataFrame:
    """One row per month and theatre: mean and quantiles on the reference scale."""
    risk = all_risk(paths)
    frame = _wide(risk, ["month", "theatre"])
    first = pd.Timestamp(paths.attrs["first_forecast_month"])
    phase = pd.Series(np.where(frame["month"] < first, "history", "forecast"), dtype="str")
    frame.insert(2, "phase", phase)
    return frame


def spending_table(paths: xr.Dataset) -> pd.DataFrame:
    """One row per state, year and measure: mean, quantiles and the share of draws at 5 % or more."""
    stacked = paths[["growth_print", "growth_true"]].stack(sample=("chain", "draw"))
    measures = {
        "print": stacked["growth_print"].isel(age=0, drop=True),
        "three_year_mean": three_year_mean(paths).stack(sample=("chain", "draw")),
        "true": stacked["growth_true"],
    }
    out = released(paths).to_series()
    parts = []
    for measure, values in measures.items():
        frame = _wide(values, ["state", "year"])
        known = values.notnull().any("sample")
        share = (values >= THRESHOLD).mean("sample").where(known)
        frame["probability_5"] = share.transpose("state", "year").values.ravel()
        frame.insert(2, "measure", measure)
        frame.insert(3, "released", frame["year"].map(out).astype(bool))
        parts.append(frame)
    table = pd.concat(parts, ignore_index=True)
    order = {state: n for n, state in enumerate(paths["state"].values)}
    rank = table.assign(state=table["state"].map(order), measure=table["measure"].map(list(measures).index))
    return table.loc[rank.sort_values(["state", "year", "measure"]).index].reset_index(drop=True)


def question_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """One row per question and target."""
    rows = []
    for entry in summary["questions"]:
        rate = entry.get("base_rate") or {}
        shape = entry.get("distribution") or {}
        count = entry["kind"] == "count" and shape
        rows.append(
            {
                **{name: entry.get(name) for name in QUESTION_COLUMNS},
                "base_rate": rate.get("rate"),
                "base_events": rate.get("events"),
                "base_trials": rate.get("trials"),
                "reference_class": rate.get("reference_class"),
                **{k: None if count else shape.get(k) for k in ("median", "low", "high", "mean")},
                "distribution": json.dumps(shape) if count else None,
            }
        )
    table = pd.DataFrame(rows, columns=list(QUESTION_COLUMNS))
    numbers = ["probability", "mcse", "ess", "base_rate", "median", "low", "high", "mean"]
    counts = ["base_events", "base_trials"]
    texts = [c for c in QUESTION_COLUMNS if c not in (*numbers, *counts)]
    return table.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(counts, "Int64")).astype(
        dict.fromkeys(texts, "str")
    )


def write_tables(paths: xr.Dataset, summary: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the four tables as Parquet and CSV; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "theatres": theatre_table(paths),
        "latent": latent_table(paths),
        "spending": spending_table(paths),
        "questions": question_table(summary),
    }
    files = []
    for name, table in tables.items():
        parquet, csv = folder / f"{name}.parquet", folder / f"{name}.csv"
        table.to_parquet(parquet, index=False)
        table.to_csv(csv, index=False, float_format="%.6g", date_format="%Y-%m-%d", lineterminator="\n")
        files += [parquet, csv]
    return files


def _now(paths: xr.Dataset) -> int:
    first = np.datetime64(paths.attrs["first_forecast_month"])
    return max(int((paths["month"].values < first).sum()) - 1, 0)


def _at(values: np.ndarray, months: pd.DatetimeIndex, index: int) -> dict[str, Any]:
    low, median, high = np.quantile(values[:, index], [LOW, 0.5, HIGH])
    return {
        "month": f"{months[index]:%Y-%m}",
        "median": float(median),
        "low": float(low),
        "high": float(high),
    }


def _triple(values: xr.DataArray) -> dict[str, float | None]:
    found = {str(k): float(v) for k, v in zip(values["quantile"].values, values.values, strict=True)}
    return {k: None if np.isnan(found[k]) else found[k] for k in ("median", "low", "high")}


def _wide(values: xr.DataArray, keys: list[str]) -> pd.DataFrame:
    """Rows by ``keys`` in the order of their labels, columns mean and quantiles."""
    table = quantiles(values).transpose("quantile", *keys)
    index = pd.MultiIndex.from_product([table[k].values for k in keys], names=keys)
    flat = table.values.reshape(len(QUANTILES), -1)
    frame = pd.DataFrame(flat.T, index=index, columns=list(QUANTILES)).reset_index()
    mean = values.mean("sample").transpose(*keys)
    frame.insert(len(keys), "mean", mean.values.ravel())
    return frame
