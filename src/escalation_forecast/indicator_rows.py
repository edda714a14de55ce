"""Indicators as long-form rows: one builder per kind of observation equation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from escalation_forecast.schema import GLOBAL, THEATRES, DataError
from escalation_forecast.store import Store

LATENTS: tuple[str, ...] = (*THEATRES, GLOBAL)
READING_FAMILIES = ("news", "annual", "transfer", "troops")
LOG_OFFSET = 0.01  # per cent of articles; keeps months without an article finite
TROOP_CHANGE_UNIT = 0.05  # a quarterly change of five per cent is one unit of the troop readings
GRID_START = pd.Timestamp("1990-01-01")


@dataclass(frozen=True)
class Grid:
    """Positions in the flat vector [monthly | year means | three-year means] of the six latents."""

    months: pd.DatetimeIndex
    years: np.ndarray

    def month(self, latent: str, month: pd.Series) -> np.ndarray:
        position = (month.dt.year - self.months[0].year) * 12 + month.dt.month - 1
        flat: np.ndarray = (LATENTS.index(latent) * len(self.months) + position).to_numpy(np.int32)
        return flat

    def year(self, latent: str, year: pd.Series, block: int = 0) -> np.ndarray:
        start = len(LATENTS) * (len(self.months) + block * len(self.years))
        position = year.to_numpy() - self.years[0]
        flat: np.ndarray = (start + LATENTS.index(latent) * len(self.years) + position).astype(np.int32)
        return flat

    def three_years_before(self, latent: str, year: pd.Series) -> np.ndarray:
        return self.year(latent, year, block=1)


def _own_unit(row: Any) -> bool:
    """Whether an indicator has one unit; a mean of several has no unit of its own."""
    return "+" not in str(row.units)


def options_of(row: Any) -> dict[str, str]:
    """The options of a row of the catalogue by name."""
    text = getattr(row, "options", "")
    if not isinstance(text, str) or not text:
        return {}
    pairs = (part.split("=", 1) for part in text.split(";"))
    return {pair[0]: pair[1] if len(pair) == 2 else "" for pair in pairs}


def indicator_figures(store: Store, row: Any) -> pd.DataFrame:
    """Newest figures of one indicator: month (first of the period), value, exposure; combined units."""
    units = str(row.units).split("+")
    series = str(row.series)
    options = options_of(row)
    parts = []
    for unit in units:
        frame = store.latest(series, unit)
        if "drop" in options:
            frame = frame[
                ~frame["quality"]
                .str.split(";")
                .map(set(options["drop"].split("+")).intersection)
                .astype(bool)
            ]
        period = frame["period_end" if row.family == "troops" else "period_start"]
        month = period.dt.to_period("M").dt.to_timestamp()
        figures = frame.set_index(month)["value"].dropna().rename(unit)
        if figures.index.has_duplicates:
            twice = figures.index[figures.index.duplicated()][0]
            raise DataError(
                f"indicator {row.indicator}: {series} of {unit} has several figures in {twice:%Y-%m}, from "
                "different sources or periods; keep one, or give yours a series of its own."
            )
        parts.append(figures)
    table = pd.concat(parts, axis=1).dropna()
    family = str(row.family)
    values: pd.Series[float]
    if family == "news" and len(units) > 1:
        logs = (table + LOG_OFFSET).apply(np.log)
        values = ((logs - logs.mean()) / logs.std(ddof=0)).mean(axis=1)
    else:
        values = table.sum(axis=1)
    out = pd.DataFrame({"month": values.index, "value": values.to_numpy()})
    exposure = getattr(row, "exposure_series", "")
    if isinstance(exposure, str) and exposure:
        parts = [store.latest(exposure, unit).set_index("period_start")["value"] for unit in units]
        out["exposure"] = out["month"].map(pd.concat(parts, axis=1).dropna().sum(axis=1))
        out = out[out["exposure"] > 0]
    else:
        out["exposure"] = 1.0
    start = getattr(row, "start", "")
    lower = max(GRID_START, pd.Timestamp(str(start))) if isinstance(start, str) and start else GRID_START
    out = out[out["month"] >= lower]
    end = getattr(row, "end", "")
    if isinstance(end, str) and end:
        out = out[out["month"] <= pd.Timestamp(end)]
    return out.reset_index(drop=True)


def _previous(frame: pd.DataFrame, step_months: int) -> np.ndarray:
    """Whether the row before is exactly one step earlier."""
    before = frame["month"].shift(1)
    expected = frame["month"] - pd.DateOffset(months=step_months)
    return (before == expected).to_numpy()


def _standardise(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    if len(values) < 2:
        return values * 0.0, 0.0, 1.0
    mean, sd = float(values.mean()), float(values.std()) or 1.0
    return (values - mean) / sd, mean, sd


def _readings(
    rows: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Student-t readings: news, annual distances, arms transfers given a delivery, US troop changes."""
    order = {family: position for position, family in enumerate(READING_FAMILIES)}
    rows = rows.assign(_order=rows["family"].map(order)).sort_values("_order", kind="stable")
    meta, out = [], Columns("item", "index", "index_previous", "y", "y_previous", "has_previous")
    row: Any
    for position, row in enumerate(rows.itertuples()):
        frame = figures[str(row.indicator)]
        options = options_of(row)
        month, value = frame["month"], frame["value"].to_numpy(float)
        step, linked = 12, _previous(frame, 12)
        if row.family == "news":
            step, linked = 1, _previous(frame, 1)
            if _own_unit(row):
                value = np.log(value + LOG_OFFSET)
            index = grid.month(row.theatre, month)
        elif row.family == "annual":
            value = np.log(value)
            index = grid.year(row.theatre, month.dt.year)
        elif row.family == "transfer":
            positive = value > 0
            month, value = month[positive], np.log(value[positive])
            linked = np.zeros(len(value), bool)
            index = grid.three_years_before(row.theatre, month.dt.year)
        else:
            step, follows = 3, _previous(frame, 3)
            change = np.diff(np.log(value), prepend=np.nan) / TROOP_CHANGE_UNIT
            month, value = month[follows], change[follows]
            linked = np.zeros(len(value), bool)
            index = grid.year(row.theatre, month.dt.year - 1)
        if row.family in ("news", "annual"):
            y, mean, sd = _standardise(value)
        else:
            mean, sd = float(value.mean()) if len(value) else 0.0, 1.0
            y = value - mean
        meta.append(
            {
                "indicator": row.indicator,
                "family": row.family,
                "theatre": row.theatre,
                "sign": float(options.get("sign", 1)),
                "anchor": "anchor" in options,
                "mean": mean,
                "sd": sd,
                "step_months": step,
                "log": row.family == "news" and _own_unit(row),
            }
        )
        out.append(
            item=np.full(len(y), position, np.int32),
            index=index,
            index_previous=np.where(linked, np.roll(index, 1), index),
            y=y,
            y_previous=np.where(linked, np.roll(y, 1), 0.0),
            has_previous=linked.astype(float),
        )
    return pd.DataFrame(meta).set_index("indicator"), out.arrays()


def _counts(
    rows: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Counts with exposure; ``memory`` items also carry the month before."""
    meta = []
    out = Columns(
        "item", "index", "index_previous", "y", "log_exposure", "trend", "log_rate_previous", "has_previous"
    )
    groups: list[str] = []
    row: Any
    for position, row in enumerate(rows.itertuples()):
        frame = figures[str(row.indicator)]
        options = options_of(row)
        group = options.get("group", str(row.indicator))
        if group not in groups:
            groups.append(group)
        y, exposure = frame["value"].to_numpy(float), frame["exposure"].to_numpy(float)
        linked = _previous(frame, 1) & ("memory" in options)
        index = grid.month(row.theatre, frame["month"])
        log_rate = np.log((y + 0.5) / exposure)
        decades = (frame["month"].dt.year + (frame["month"].dt.month - 0.5) / 12 - 2005.0) / 10.0
        meta.append(
            {
                "indicator": row.indicator,
                "family": row.family,
                "theatre": row.theatre,
                "group": group,
                "group_index": groups.index(group),
                "trend": "trend" in options,
                "memory": "memory" in options,
                "log_mean": float(np.log((y.sum() + 0.5) / (exposure.sum() + 1.0))) if len(y) else 0.0,
            }
        )
        out.append(
            item=np.full(len(y), position, np.int32),
            index=index,
            index_previous=np.where(linked, np.roll(index, 1), index),
            y=y,
            log_exposure=np.log(exposure),
            trend=(decades * ("trend" in options)).to_numpy(float),
            log_rate_previous=np.where(linked, np.roll(log_rate, 1), 0.0),
            has_previous=linked.astype(float),
        )
    arrays = out.arrays()
    pairs = pd.DataFrame({"item": arrays["item"], "y": arrays["y"]})
    unique = pairs.groupby(["item", "y"]).size().reset_index(name="weight")
    arrays |= {
        "unique_item": unique["item"].to_numpy(np.int32),
        "unique_y": unique["y"].to_numpy(float),
        "unique_weight": unique["weight"].to_numpy(float),
    }
    return pd.DataFrame(meta).set_index("indicator"), arrays


def _shares(
    rows: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Successes out of trials; trials are the exposure."""
    meta, out = [], Columns("item", "index", "sign", "step")
    totals = Columns("total_item", "total_step", "total_weight")
    row: Any
    for position, row in enumerate(rows.itertuples()):
        frame = figures[str(row.indicator)]
        k, n = frame["value"].to_numpy(int), frame["exposure"].to_numpy(int)
        if (k > n).any():
            month = frame["month"][k > n].iloc[0]
            raise DataError(
                f"indicator {row.indicator}: {k[k > n][0]} of {n[k > n][0]} in {month:%Y-%m} is more "
                f"than all; correct the figure or its exposure series {row.exposure_series}."
            )
        meta.append({"indicator": row.indicator, "family": row.family, "theatre": row.theatre})
        index = grid.month(row.theatre, frame["month"])
        for sign, trials in ((1.0, k), (-1.0, n - k)):
            steps = np.concatenate([np.arange(m) for m in trials]) if len(trials) else np.zeros(0)
            out.append(
                item=np.full(len(steps), position, np.int32),
                index=np.repeat(index, trials),
                sign=np.full(len(steps), sign),
                step=steps.astype(float),
            )
        reach = np.array([(n > i).sum() for i in range(n.max(initial=0))], float)
        totals.append(
            total_item=np.full(len(reach), position, np.int32),
            total_step=np.arange(len(reach), dtype=float),
            total_weight=reach,
        )
    return pd.DataFrame(meta).set_index("indicator"), out.arrays() | totals.arrays()


def _ordinals(
    rows: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid
) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Ladder in three classes: below 3, threat or display (3), use of force (4 and more)."""
    meta, out = [], Columns("item", "index", "level")
    row: Any
    for row in rows.itertuples():
        frame = figures[str(row.indicator)]
        if row.theatre not in THEATRES:
            raise DataError(
                f"indicator {row.indicator}: a ladder belongs to a theatre, not to {row.theatre}; "
                f"use one of {', '.join(THEATRES)}."
            )
        level = frame["value"].to_numpy()
        meta.append({"indicator": row.indicator, "family": row.family, "theatre": row.theatre})
        # Cutpoints and slope are the theatre's, whatever the order of the catalogue.
        out.append(
            item=np.full(len(level), THEATRES.index(row.theatre), np.int32),
            index=grid.month(row.theatre, frame["month"]),
            level=(level >= 3).astype(np.int32) + (level >= 4).astype(np.int32),
        )
    return pd.DataFrame(meta).set_index("indicator"), out.arrays()


def hurdle_rows(rows: pd.DataFrame, figures: dict[str, pd.DataFrame], grid: Grid) -> dict[str, np.ndarray]:
    """Whether a pair had any delivery in a year."""
    out = Columns("item", "index", "z")
    row: Any
    for position, row in enumerate(rows.itertuples()):
        frame = figures[str(row.indicator)]
        out.append(
            item=np.full(len(frame), position, np.int32),
            index=grid.three_years_before(row.theatre, frame["month"].dt.year),
            z=(frame["value"] > 0).to_numpy(float),
        )
    return {f"hurdle_{name}": values for name, values in out.arrays().items()}


class Columns:
    """Collects arrays by column and joins them once."""

    def __init__(self, *names: str) -> None:
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def append(self, **values: np.ndarray) -> None:
        for name, value in values.items():
            self._parts[name].append(np.asarray(value))

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: _join(parts) for name, parts in self._parts.items()}


def _join(parts: Iterable[np.ndarray]) -> np.ndarray:
    parts = list(parts)
    filled = [part for part in parts if part.size]
    return np.concatenate(filled or parts) if parts else np.zeros(0)


BLOCK_OF = {
    **dict.fromkeys(READING_FAMILIES, "reading"),
    "count": "count",
    "share": "share",
    "ordinal": "ordinal",
}
BUILDERS = {"reading": _readings, "count": _counts, "share": _shares, "ordinal": _ordinals}
