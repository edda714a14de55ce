"""``python -m escalation_forecast.score.lfo``: leave-future-out cross-validation of the monthly blocks.

A cheap guide between full backtests (Buerkner, Gabry and Vehtari 2020): the joint model is fitted up to
a month, the following months are scored by their log density, and the posterior is carried forward by
importance weights until Pareto k says that it must be fitted again. Monthly figures grow month by
month; annual ones, stocks and spending stay as they were known at the first origin. Scales of the
readings are those of the first origin too, so that densities of all fits are in one unit.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.fit import Settings, sample
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError
from escalation_forecast.score.ladder_backtest import assert_same_program, panel_at
from escalation_forecast.score.monthly_likelihood import BLOCKS, monthly_log_likelihood
from escalation_forecast.score.tension_joint import without_stocks
from escalation_forecast.store import Store

BAD_INPUT: Final = 2
SETTINGS: Final = Settings(tune=200, draws=400, chains=2)
K_THRESHOLD: Final = 0.7
FEW: Final = 24  # fewer figures at the first origin do not set a scale
# The parameter by which a block learns of the latents and tells them; zero cuts the block off.
LINKS: Final = {"counts": "count_loading", "shares": "share_loading", "ladder": "ladder_slope"}
UNLINKED: Final = 1e-6  # in place of zero, for priors of positive support

FitRows = Callable[[dict[str, np.ndarray]], xr.Dataset]
"""Posterior of a fit to rows, as `Panel.data` has them."""


@dataclass(frozen=True)
class Window:
    """Monthly rows up to the last month, all else as known at the first origin.

    Attributes
    ----------
    panel : the months of the window and before, with the items and scales of the first origin.
    first : position of the first month that is forecast.
    last : position of the last month that is scored.
    """

    panel: Panel
    first: int
    last: int

    @property
    def months(self) -> pd.DatetimeIndex:
        """Months that can be scored or learned from."""
        return self.panel.months[: self.last + 1]

    def rows_before(self, month: int) -> dict[str, np.ndarray]:
        """Rows of the model with the monthly figures before a month only."""
        data, n = dict(self.panel.data), len(self.panel.months)
        for block in ("reading", "count", "share", "ordinal"):
            index = data[f"{block}_index"]
            keep = (index >= len(LATENTS) * n) | (index % n < month)
            for name in [name for name in data if name.startswith(f"{block}_")]:
                if len(data[name]) == len(index) and not _is_total(name):
                    data[name] = data[name][keep]
        return data | count_totals(data) | share_totals(data)


def _is_total(name: str) -> bool:
    return "_unique_" in name or "_total_" in name


def count_totals(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The pairs of item and count over which the model sums its log-gamma terms."""
    pairs = pd.DataFrame({"item": data["count_item"], "y": data["count_y"]})
    unique = pairs.groupby(["item", "y"]).size().reset_index(name="weight")
    return {
        "count_unique_item": unique["item"].to_numpy(np.int32),
        "count_unique_y": unique["y"].to_numpy(float),
        "count_unique_weight": unique["weight"].to_numpy(float),
    }


def share_totals(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How many figures of an item have more trials than each step of their rising factorial."""
    figures = pd.DataFrame({"item": data["share_item"], "index": data["share_index"]})
    trials = figures.groupby(["item", "index"]).size().reset_index(name="n")
    rows = [
        (item, step, (part["n"] > step).sum())
        for item, part in trials.groupby("item")
        for step in range(part["n"].max())
    ]
    item, step, weight = zip(*rows, strict=True) if rows else ((), (), ())
    return {
        "share_total_item": np.array(item, np.int32),
        "share_total_step": np.array(step, float),
        "share_total_weight": np.array(weight, float),
    }


def window(store: Store, first: pd.Timestamp, last: pd.Timestamp) -> Window:
    """The panels of both ends of a stretch of months, put together.

    Parameters
    ----------
    first : first month to forecast; what is known is what stood on record the month before.
    last : last month to score.

    Raises
    ------
    DataError
        When the stretch is empty.
    """
    if last < first:
        raise DataError(f"The last month {last:%Y-%m} comes before the first {first:%Y-%m}; swap them.")
    own = without_stocks(store)
    base = panel_at(own, first - pd.DateOffset(months=1))
    full = panel_at(own, last)
    assert_same_program(base, full)
    data = dict(base.data)
    for block in ("count", "share", "ordinal"):
        data |= {name: values for name, values in full.data.items() if name.startswith(f"{block}_")}
    data |= _news_rows(base, full)
    items = dict(base.items) | {"reading": _scales(base, full)}
    panel = dataclasses.replace(base, data=data, items=items)
    start, end = base.months.get_indexer(pd.DatetimeIndex([first, last]))
    return Window(panel, int(start), int(end))


def _scales(base: Panel, full: Panel) -> pd.DataFrame:
    """Items of the first origin; an item with few figures by then is scaled as it was later."""
    items = base.items["reading"].copy()
    counts = np.bincount(base.data["reading_item"], minlength=len(items))
    few = (items["family"] == "news").to_numpy() & (counts < FEW)
    items.loc[few, ["mean", "sd"]] = full.items["reading"].loc[few, ["mean", "sd"]]
    return items


def _news_rows(base: Panel, full: Panel) -> dict[str, np.ndarray]:
    """Readings: the news of the whole window on the first origin's scale, the others of the first origin."""
    then, now = _scales(base, full), full.items["reading"]
    names = [name for name in full.data if name.startswith("reading_")]
    parts = {}
    for name in names:
        later = full.data[name][_is_news(full)]
        if name in ("reading_y", "reading_y_previous"):
            item = full.data["reading_item"][_is_news(full)]
            value = later * now["sd"].to_numpy()[item] + now["mean"].to_numpy()[item]
            later = (value - then["mean"].to_numpy()[item]) / then["sd"].to_numpy()[item]
        parts[name] = np.concatenate([later, base.data[name][~_is_news(base)]])
    return parts


def _is_news(panel: Panel) -> np.ndarray:
    family = panel.items["reading"]["family"].to_numpy(str)
    return np.asarray(family[panel.data["reading_item"]] == "news")


def fitter(panel: Panel, priors: Priors, settings: Settings = SETTINGS, seed: int = 1) -> FitRows:
    """Compile the model once; the function returned fits it to rows."""
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model

    program: Any = compile_model(build_model(panel, priors))

    def fit(rows: dict[str, np.ndarray]) -> xr.Dataset:
        trace = sample(program.with_data(**{f"rows_{k}": v for k, v in rows.items()}), settings, seed)
        return trace["posterior"].to_dataset()

    return fit


@dataclass(frozen=True)
class Lfo:
    """Expected log predictive density of the months ahead.

    Attributes
    ----------
    elpd, se : sum over the origins and its standard error.
    by_month : origin month as index; elpd, pareto_k (missing at a fit), refit.
    refits : fits after the first one.
    """

    elpd: float
    se: float
    by_month: pd.DataFrame
    refits: int


def leave_future_out(
    stretch: Window, fit: FitRows, *, horizon: int = 1, exact: bool = False, k_threshold: float = K_THRESHOLD
) -> Lfo:
    """`arviz.lfo_cv` of all monthly blocks together.

    Parameters
    ----------
    horizon : months ahead, scored jointly by the chain rule, each given the month before it.
    exact : fit at every month instead of carrying the posterior forward.
    """
    import arviz as az

    months = stretch.months

    class Wrapper(az.SamplingWrapper):
        """Fits to the months before the first excluded one."""

        def sel_observations(self, idx: Any) -> tuple[int, np.ndarray]:
            excluded = np.asarray(idx)
            return int(excluded.min()), excluded

        def sample(self, modified_observed_data: int) -> xr.Dataset:
            return fit(stretch.rows_before(modified_observed_data))

        def get_inference_data(self, fitted_model: xr.Dataset) -> xr.DataTree:
            return xr.DataTree.from_dict({"posterior": fitted_model})

        def log_likelihood__i(self, excluded_obs: np.ndarray, idata__i: xr.DataTree) -> xr.DataArray:
            return _total(stretch, idata__i["posterior"].to_dataset()).isel(month=excluded_obs)

    whole = fit(stretch.rows_before(len(months)))
    data = xr.DataTree.from_dict(
        {"posterior": whole, "log_likelihood": _total(stretch, whole).to_dataset(name="monthly")}
    )
    with warnings.catch_warnings():
        # That most months were fitted again stands in the result.
        warnings.filterwarnings("ignore", message="LFO-CV triggered", category=UserWarning)
        found = az.lfo_cv(
            data,
            Wrapper(model=None),
            min_observations=stretch.first,
            forecast_horizon=horizon,
            time_dim="month",
            pointwise=True,
            method="exact" if exact else "approx",
            k_threshold=k_threshold,
        )
    origins = np.arange(stretch.first, len(months) - horizon + 1)
    elpd = np.asarray(found.elpd_i)[-len(origins) :]
    k = np.full(len(origins), np.nan) if exact else np.asarray(found.pareto_k)[-len(origins) :]
    refit = np.isin(origins, found.refits) | (origins == stretch.first)
    by_month = pd.DataFrame({"elpd": elpd, "pareto_k": k, "refit": refit}, index=months[origins])
    return Lfo(float(found.elpd), float(found.se), by_month, int(found.n_refits))


def _total(stretch: Window, posterior: xr.Dataset) -> xr.DataArray:
    """Log likelihood of all blocks, (chain, draw, month)."""
    found = monthly_log_likelihood(stretch.panel, posterior)
    total = sum((found[name] for name in BLOCKS[1:]), start=found[BLOCKS[0]])
    return total.isel(month=slice(0, len(stretch.months)))


def unlinked(priors: Priors, block: str) -> Priors:
    """Priors under which a block neither informs the latents nor follows them."""
    name = LINKS[block]
    return priors.replace({name: {"family": "Fixed", "parameters": {"value": UNLINKED}}})


def compared(own: Lfo, other: Lfo) -> dict[str, float]:
    """Difference in elpd on the same months, positive where ``own`` is better, and its standard error."""
    difference = (own.by_month["elpd"] - other.by_month["elpd"]).dropna().to_numpy()
    return {
        "elpd_difference": float(difference.sum()),
        "se": float(np.sqrt(len(difference)) * difference.std(ddof=1)) if len(difference) > 1 else np.nan,
        "months": float(len(difference)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m escalation_forecast.score.lfo", description=__doc__)
    parser.add_argument("--first", default="2024-01", metavar="YYYY-MM", help="first month to forecast")
    parser.add_argument("--last", default="2025-12", metavar="YYYY-MM", help="last month to score")
    parser.add_argument("--horizon", type=int, default=1, help="months ahead")
    parser.add_argument("--without", nargs="*", choices=list(LINKS), default=[], help="blocks to cut off")
    parser.add_argument("--priors", nargs="*", default=[], metavar="FILE", help="changed priors to compare")
    parser.add_argument("--exact", action="store_true", help="fit at every month")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    try:
        stretch = window(Store.embedded(), _month(chosen.first), _month(chosen.last))
        default = Priors.default()
        variants = {"joint model": default}
        variants |= {f"without {block}": unlinked(default, block) for block in chosen.without}
        variants |= {path: default.replace(path) for path in chosen.priors}
        results = {}
        for name, priors in variants.items():
            fit = fitter(stretch.panel, priors, seed=chosen.seed)
            results[name] = leave_future_out(stretch, fit, horizon=chosen.horizon, exact=chosen.exact)
            print(f"{name}: {describe(results[name])}", flush=True)
    except DataError as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    base = results.pop("joint model")
    print(base.by_month.round(2).to_string())
    for name, other in results.items():
        gap = compared(base, other)
        print(f"joint model less {name}: {gap['elpd_difference']:+.1f} (se {gap['se']:.1f})")
    return 0


def describe(found: Lfo) -> str:
    """One line: elpd, standard error, refits and the worst Pareto k that was accepted."""
    worst = found.by_month["pareto_k"].max()
    text = f"elpd {found.elpd:.1f} (se {found.se:.1f}) over {len(found.by_month)} months"
    if pd.isna(worst):
        return f"{text}, fitted at each"
    return f"{text}, {found.refits} refits, largest Pareto k carried {worst:.2f}"


def _month(text: str) -> pd.Timestamp:
    found = pd.to_datetime(text, format="%Y-%m", errors="coerce")
    if pd.isna(found):
        raise DataError(f"`{text}` is no month; write it as YYYY-MM.")
    return pd.Timestamp(found)


if __name__ == "__main__":
    raise SystemExit(main())
