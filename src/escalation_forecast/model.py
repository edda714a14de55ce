"""The joint model: one latent escalation risk per theatre, a global factor, and what reads them.

Each block is a function that adds its parameters and its log density to the model in context.
Observations are long form in ``pm.Data``, so another panel of the same calendar needs no new
program. Densities are written out as potentials: the observed arrays are ragged, and few plain
kernels keep compilation short.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pymc.math import logit

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.kernels import (
    ar_filter,
    count_density,
    gamma_density,
    hurdle_density,
    ladder_density,
    reading_density,
    share_density,
    stock_density,
    total_density,
    weighted_rows,
)
from escalation_forecast.latent_kernel import flat_latents, latent_paths
from escalation_forecast.model_parts import Draw
from escalation_forecast.panel import STOCKS, Panel
from escalation_forecast.partial_centring import PartialCentring, centre_in_part
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_block import spending_block, spending_coords, spending_data

MODEL_VERSION = "3"
SPILLOVERS: tuple[tuple[str, str], ...] = (
    ("korea", "ukraine_nato"),
    ("taiwan", "south_china_sea"),
    ("east_china_sea", "taiwan"),
)
CENTRED_MONTHS = 300  # 1990 to 2014: eta has mean zero there, whatever as_of
SHORT_MEMORY = 0.5  # upper bound of the persistence of an item's own error
# Chosen by effective draws per gradient; the other theatres mix best by their innovations.
PARTLY_CENTRED: tuple[PartialCentring, ...] = (
    PartialCentring(("innovation", LATENTS.index("global")), ("phi_global", 0), 0.914, 0.4),
    PartialCentring(("innovation", THEATRES.index("taiwan")), ("phi", THEATRES.index("taiwan")), 0.987, 0.97),
)
READING_DF = {"news": 5.0, "annual": 5.0, "transfer": 5.0, "troops": 4.0}


def build_model(panel: Panel, priors: Priors) -> pm.Model:
    """The joint model of one panel.

    Parameters
    ----------
    panel : Panel
    priors : Priors

    Returns
    -------
    pymc.Model
        Deterministics kept for the posterior: ``eta`` (latent, month) on the model's scale, and what
        the forecast goes on from: ``last_path``, ``centre`` (latent), ``next_level`` (theatre);
        ``growth`` and ``first_print`` (state, year_ahead), ``revision`` (state), ``growth_level`` and
        ``growth_scale`` (state, spending_year), ``log_stock`` (stock, report_month).
    """
    coords = model_coords(panel)
    with pm.Model(coords=coords, check_bounds=False) as model:
        data = {name: pm.Data(f"rows_{name}", values) for name, values in panel.data.items()}
        spending = spending_data(panel.spending)

        draw = Draw(priors, coords)
        eta, flat = latent_block(panel, draw)
        reading_block(panel, data, flat, draw)
        count_block(panel, data, flat, draw)
        share_block(data, flat, draw)
        ladder_block(data, flat, draw)
        hurdle_block(data, flat, draw)
        stock_block(panel, data, eta, draw)
        spending_block(panel.spending, spending, _threat(panel, spending, flat), draw)
    centre_in_part(model, PARTLY_CENTRED)
    return model


def swapped(panel: Panel) -> dict[str, np.ndarray]:
    """Every array of data of `build_model` by its name there, for a program of the same calendar."""
    rows = {f"rows_{name}": values for name, values in panel.data.items()}
    own = panel.spending.arrays()
    return rows | {f"spending_{name}": values.ravel() for name, values in own.items()}


def _threat(panel: Panel, data: dict[str, Any], flat: Any) -> Any:
    """(state, spending year) mean risk of the year in the theatres that a state is exposed to."""
    years, own = panel.years, panel.spending.years
    monthly = len(LATENTS) * len(panel.months)
    yearly = flat[monthly : monthly + len(THEATRES) * len(years)].reshape((len(THEATRES), len(years)))
    first, last = int(own[0] - years[0]), int(own[-1] - years[-1])
    inside = weighted_rows(data["exposure"], yearly[:, first:])
    # Risk beyond the grid is simulated later, with what growth answers to it (`spending_paths`).
    return pt.concatenate([inside, pt.zeros((inside.shape[0], last))], axis=1)


def model_coords(panel: Panel) -> dict[str, list[Any]]:
    """Dims and labels of the model."""
    reading, count = panel.items["reading"], panel.items["count"]
    news = reading[reading["family"] == "news"]
    return {
        "theatre": list(THEATRES),
        "latent": list(LATENTS),
        "scaled_theatre": [name for name in THEATRES if name != "korea"],
        "link": [f"{target}<-{source}" for target, source in SPILLOVERS],
        "month": list(panel.months),
        "knot": list(range(int(panel.years[0]), int(panel.years[-1]) + 2)),
        "anchor": list(news.index[news["anchor"]]),
        "loaded_news": list(news.index[~news["anchor"]]),
        "news": list(news.index),
        "annual": list(reading.index[reading["family"] == "annual"]),
        "transfer": list(reading.index[reading["family"] == "transfer"]),
        "troops": list(reading.index[reading["family"] == "troops"]),
        "count": list(count.index),
        "count_group": list(dict.fromkeys(count["group"])),
        "share": list(panel.items["share"].index),
        **spending_coords(panel.spending),
        "stock": list(STOCKS),
        "report_month": list(panel.stock_months),
        "body": list(panel.bodies),
    }


def unit_t(name: str, df: float, dims: tuple[str, str]) -> Any:
    """Student-t innovations of unit variance."""
    return pm.StudentT(name, nu=df, mu=0.0, sigma=float(np.sqrt((df - 2.0) / df)), dims=dims)


def latent_block(panel: Panel, draw: Draw) -> tuple[Any, Any]:
    """Latent risk by theatre and the global factor on the model's scale, and what the observations read.

    A theatre is a mix of its own stationary AR(1) and of the global one, plus a slow level on yearly knots,
    interpolated over the months, plus last month's risk of another theatre along the named links, one after
    the other. Innovations are Student-t and non-centred. Where zero lies is a matter of the intercepts; a
    free mean beside them is a ridge, so the mean of `CENTRED_MONTHS` is taken out.

    Returns
    -------
    eta : (latent, month)
    flat : monthly values, year means and means of the three years before, in one vector
    """
    z = unit_t("innovation", draw.constant("innovation_df"), ("latent", "month"))
    phi = pt.concatenate([draw("phi"), pt.shape_padleft(draw("phi_global"))])
    scale = pt.concatenate([pt.ones(1), draw("theatre_scale")])
    share, spillover = draw("global_share"), draw("spillover") * pt.ones(len(SPILLOVERS))
    steps = pm.Normal("slow_innovation", 0.0, 1.0, dims=("theatre", "knot"))
    links = [[THEATRES.index(link[end]) for link in SPILLOVERS] for end in (0, 1)]
    paths, _, centre, last_path, next_level = latent_paths(
        z, phi, share, scale, steps, draw("slow_step"), spillover, *np.array(links), CENTRED_MONTHS
    )
    pm.Deterministic("centre", centre, dims="latent")
    pm.Deterministic("last_path", last_path, dims="latent")
    pm.Deterministic("next_level", next_level, dims="theatre")
    eta = pm.Deterministic("eta", paths, dims=("latent", "month"))
    # All that is observed reads these, so that the likelihood is found again from the paths that a run keeps.
    return eta, flat_latents(paths)


def reading_block(panel: Panel, data: dict[str, Any], flat: Any, draw: Draw) -> None:
    """Student-t readings with an AR(1) error of their own, by quasi-differencing.

    ``y_t - m_t = rho (y_{t-1} - m_{t-1}) + s e_t`` with ``m = a + b eta`` and rho in (0, 0.5).
    """
    items = panel.items["reading"]
    n = {family: int((items["family"] == family).sum()) for family in READING_DF}
    signs = items["sign"].to_numpy(float)
    loading = pt.concatenate(
        [
            _by_anchor(items, draw),
            draw("annual_loading"),
            pt.repeat(pt.shape_padleft(draw("transfer_loading")), n["transfer"]),
            draw("troop_loading"),
        ]
    )
    intercept = pt.concatenate(
        [draw(f"{family}_intercept") for family in ("news", "annual", "transfer", "troop")]
    )
    noise = pt.concatenate([draw(f"{family}_noise") for family in ("news", "annual", "transfer", "troop")])
    rho = SHORT_MEMORY * pt.concatenate(
        [draw("news_persistence"), draw("annual_persistence"), pt.zeros(n["transfer"] + n["troops"])]
    )
    df = np.concatenate([np.full(n[family], READING_DF[family]) for family in READING_DF])

    columns = ("item", "index", "index_previous", "y", "y_previous", "has_previous")
    rows = [data[f"reading_{column}"] for column in columns]
    value = reading_density(intercept, loading * signs, rho, noise, pt.constant(df), flat, *rows)[0]
    pm.Potential("readings", value)


def _by_anchor(items: pd.DataFrame, draw: Draw) -> Any:
    news = items[items["family"] == "news"]
    anchor = news["anchor"].to_numpy(bool)
    order = np.argsort(np.concatenate([np.flatnonzero(anchor), np.flatnonzero(~anchor)]))
    return pt.concatenate([draw("anchor_loading"), draw("news_loading")])[order]


def count_block(panel: Panel, data: dict[str, Any], flat: Any, draw: Draw) -> None:
    """Negative binomial counts with exposure, technology trend and short memory.

    The log-gamma terms depend on the count and the item alone and are summed over unique pairs.
    """
    items = panel.items["count"]
    intercept = draw("count_intercept") + items["log_mean"].to_numpy(float)
    loading = draw("count_loading")[items["group_index"].to_numpy(int)]
    size = draw("count_dispersion")
    memory = SHORT_MEMORY * draw("count_memory")

    columns = (
        "item", "index", "index_previous", "y", "log_exposure", "trend", "log_rate_previous", "has_previous"
    )  # fmt: skip
    drift = draw("count_trend")[None]
    rows = [data[f"count_{column}"] for column in columns]
    value = count_density(intercept, loading, size, memory[None], drift, flat, *rows)[0]

    unique = [data[f"count_unique_{column}"] for column in ("item", "y", "weight")]
    pm.Potential("counts", value + gamma_density(size, *unique)[0])


def share_block(data: dict[str, Any], flat: Any, draw: Draw) -> None:
    """Beta-binomial number of senders that act, by rising factorials: one row per factor (exact)."""
    intercept, loading = draw("share_intercept"), draw("share_loading")
    concentration = draw("share_concentration")
    rows = [data[f"share_{column}"] for column in ("item", "index", "sign", "step")]
    factors = share_density(intercept, loading, concentration, flat, *rows)[0]
    unique = [data[f"share_total_{column}"] for column in ("item", "step", "weight")]
    pm.Potential("shares", factors + total_density(concentration, *unique)[0])


def ladder_block(data: dict[str, Any], flat: Any, draw: Draw) -> None:
    """Ordered logit of the monthly ladder in three classes; cutpoints come from rates at mean risk."""
    any_display, force = draw("ladder_any"), draw("ladder_force")
    slope = draw("ladder_slope")
    first, second = logit(any_display), logit(any_display * force)
    rows = [data[f"ordinal_{column}"] for column in ("item", "index", "level")]
    pm.Potential("ladder", ladder_density(first, second, slope, flat, *rows)[0])


def hurdle_block(data: dict[str, Any], flat: Any, draw: Draw) -> None:
    """Whether a pair had any arms delivery in a year."""
    rows = [data[f"hurdle_{column}"] for column in ("item", "index", "z")]
    pm.Potential("hurdle", hurdle_density(draw("hurdle_intercept"), draw("hurdle_loading"), flat, *rows)[0])


def stock_block(panel: Panel, data: dict[str, Any], eta: Any, draw: Draw) -> None:
    """Log random walk of a reported stock; reports are intervals with house effects and a shared miss."""
    first = len(panel.months) - len(panel.stock_months)
    theatre = eta[THEATRES.index("ukraine_nato"), first:]
    # Against the first month, so that the drift alone says where a steady risk leads.
    threat = theatre[:-1] - theatre[0]
    steps = pm.Normal("stock_innovation", 0.0, 1.0, dims=("stock", "report_month"))
    moves = draw("stock_step")[:, None] * steps[:, 1:] + draw("stock_drift")[:, None]
    moves = moves + draw("stock_threat")[:, None] * threat[None, :]
    path = ar_filter(pt.concatenate([draw("stock_start")[:, None], moves], axis=1), pt.ones(len(STOCKS)))
    stock = pm.Deterministic("log_stock", path, dims=("stock", "report_month"))
    miss = draw("stock_miss") * pm.Normal("stock_miss_innovation", 0.0, 1.0, dims=("stock", "report_month"))
    rows = [data[f"stock_{column}"] for column in ("stock", "month", "source", "low", "high")]
    density = stock_density(stock, miss, draw("stock_body"), draw("stock_noise"), *rows)
    pm.Potential("stocks", density[0])
