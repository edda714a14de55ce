"""The joint model's forecast of monthly press tension at past origins.

The released catalogue reads the press of two states by themselves and of two more in a mean. Here the
news rows are laid out by series instead, one reading of a theatre for each, so that a forecast of the
model is a forecast of the index; all other indicators stay.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.fit import Settings, sample
from escalation_forecast.forecast import extend_latents
from escalation_forecast.indicator_rows import LATENTS, LOG_OFFSET
from escalation_forecast.mixing import mixing
from escalation_forecast.model import READING_DF, SHORT_MEMORY, swapped
from escalation_forecast.panel import STOCKS, Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import FIGURE_KEY, DataError
from escalation_forecast.score.ladder_backtest import assert_same_program, panel_at
from escalation_forecast.score.tension_cases import FIRST_ORIGIN, HORIZONS, SERIES, Predictive
from escalation_forecast.store import Store
from escalation_forecast.tables import nearest

SHORT: Final = Settings(tune=150, draws=150, chains=2)
REPEATS: Final = 8  # simulated errors for each posterior draw
THEATRE_OF: Final = {
    "CHN": "taiwan", "JPN": "east_china_sea", "KOR": "korea", "TWN": "taiwan", "RUS": "ukraine_nato",
    "UKR": "ukraine_nato", "PHL": "south_china_sea", "VNM": "south_china_sea", "POL": "ukraine_nato",
    "FIN": "ukraine_nato",
}  # fmt: skip
START: Final = "1990-01"
PRESS: Final = ("gpr_country", "gpr_world")


def item_name(series: str) -> str:
    """The indicator that reads one series."""
    return f"news_{series.lower()}"


def by_series(store: Store, series: Sequence[str] = SERIES) -> Store:
    """The store with one news indicator for each series in place of the released ones on the same press."""
    if unknown := [name for name in series if name not in THEATRE_OF]:
        raise DataError(
            f"The joint model has no theatre for the press of {unknown[0]}"
            f"{nearest(unknown[0], THEATRE_OF)}; leave model `joint` out, or choose from "
            f"{', '.join(THEATRE_OF)}."
        )
    old = store.indicators
    row = dict.fromkeys(old.columns, "") | {"family": "news", "series": "gpr_country", "start": START}
    rows = [
        row | {"indicator": item_name(name), "units": name, "theatre": THEATRE_OF[name]} for name in series
    ]
    kept = old[old["series"] != "gpr_country"]
    frame = pd.concat([kept.iloc[:1], pd.DataFrame(rows), kept.iloc[1:]], ignore_index=True)
    return dataclasses.replace(store, indicators=frame)


@dataclass(frozen=True)
class JointForecast:
    """The model's draws of the index ahead.

    Attributes
    ----------
    values : numpy.ndarray
        (series, horizon, draw), logarithms of the index as in the cases.
    diagnostics : dict
        Worst r_hat and ess of the predicted means over series and horizons, and divergences.
    """

    values: np.ndarray
    diagnostics: dict[str, float]

    def at(self, horizon: int) -> Predictive:
        """The forecast at one horizon of the protocol."""
        return Predictive.equal(self.values[:, HORIZONS.index(horizon)])


def without_stocks(store: Store) -> Store:
    """The store without reports of stocks: who reports is part of the program, which is compiled once."""
    keep = ~store.observations["series"].isin(STOCKS)
    return dataclasses.replace(
        store,
        observations=store.observations[keep].reset_index(drop=True),
        where=store.where[keep].reset_index(drop=True),
    )


def as_revised(store: Store) -> Store:
    """Every figure of the press as last revised, on the day it was first published.

    The protocol of the simple methods is not real-time: its news are those of the newest file.
    """
    rows = store.observations
    press = rows["series"].isin(PRESS)
    order = rows[press].sort_values(["published_at", "release"], kind="stable")
    key = list(FIGURE_KEY)
    newest = order.drop_duplicates(key, keep="last").copy()
    first = order.drop_duplicates(key, keep="first").set_index(key)["published_at"]
    newest["published_at"] = first.loc[list(newest[key].itertuples(index=False, name=None))].to_numpy()
    keep = ~press | rows.index.isin(newest.index)
    changed = rows.copy()
    changed.loc[newest.index, "published_at"] = newest["published_at"]
    return dataclasses.replace(
        store,
        observations=changed[keep].reset_index(drop=True),
        where=store.where[keep].reset_index(drop=True),
    )


def joint_sampler(
    store: Store, priors: Priors, series: Sequence[str] = SERIES, settings: Settings = SHORT
) -> Callable[[pd.Timestamp, int], JointForecast]:
    """Compile the model once; the function returned forecasts the press from any origin and seed."""
    # Here and not above: the model is the slow import.
    from escalation_forecast.compile import compile_model
    from escalation_forecast.model import build_model

    own = by_series(without_stocks(store), series)
    first = panel_at(own, FIRST_ORIGIN)
    program: Any = compile_model(build_model(first, priors))

    def forecast(origin: pd.Timestamp, seed: int) -> JointForecast:
        panel = panel_at(own, origin)
        assert_same_program(first, panel)
        trace = sample(program.with_data(**swapped(panel)), settings, seed)
        posterior = trace["posterior"].to_dataset()
        found = press_paths(panel, posterior, priors, series, seed)
        diverging = float(trace["sample_stats"]["diverging"].sum())
        return JointForecast(found.values, found.diagnostics | {"divergences": diverging})

    return forecast


def press_paths(
    panel: Panel, posterior: xr.Dataset, priors: Priors, series: Sequence[str], seed: int
) -> JointForecast:
    """Simulate the index of each series from its observation equation, several errors to a draw."""
    draws, rng = Draws(posterior), np.random.default_rng(seed)
    longest = max(HORIZONS)
    eta = extend_latents(panel, draws, priors, panel.now + 1 + longest, rng)
    items = panel.items["reading"]
    news = items[items["family"] == "news"]
    loaded = list(news.index[~news["anchor"]])
    values, means = [], []
    for name in series:
        item, position = news.loc[item_name(name)], news.index.get_loc(item_name(name))
        slope = draws["news_loading"][:, loaded.index(item_name(name))]
        intercept, noise = draws["news_intercept"][:, position], draws["news_noise"][:, position]
        rho = SHORT_MEMORY * draws["news_persistence"][:, position]
        theatre = eta[:, LATENTS.index(str(item["theatre"]))]
        rows = panel.history[panel.history["indicator"] == item_name(name)]
        newest = int(panel.months.get_indexer(pd.DatetimeIndex(rows["month"]))[-1])
        last = (np.log(rows["value"].iloc[-1] + LOG_OFFSET) - item["mean"]) / item["sd"]
        error = np.repeat((last - intercept - slope * theatre[:, newest])[:, None], REPEATS, axis=1)
        for month in range(newest + 1, panel.now + 1 + longest):
            error = rho[:, None] * error + noise[:, None] * student_t(rng, READING_DF["news"], error.shape)
            if month - panel.now in HORIZONS:
                mean = intercept + slope * theatre[:, month]
                means.append(mean)
                values.append((mean[:, None] + error).ravel() * item["sd"] + item["mean"])
    r_hat, ess, _ = mixing(draws.unflatten(np.stack(means, axis=1)).transpose(2, 0, 1))
    shaped = np.reshape(values, (len(series), len(HORIZONS), -1))
    return JointForecast(shaped, {"r_hat": float(r_hat.max()), "ess": float(ess.min())})
