"""What is observed of a truth: the rows of a panel up to `AS_OF`, and the outcomes after it.

Monthly and yearly rows come from `replicate`, which has the observation equations in numpy; announcements,
revisions and reports of stocks are made here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws
from escalation_forecast.forecast import reference_scale
from escalation_forecast.indicator_rows import (
    BLOCK_OF,
    BUILDERS,
    LOG_OFFSET,
    TROOP_CHANGE_UNIT,
    Grid,
    hurdle_rows,
)
from escalation_forecast.panel import FIRST_DEPLOYMENT, STOCKS, Panel
from escalation_forecast.priors import Priors
from escalation_forecast.replicate import replicates
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import YEARS_AHEAD, SpendingPanel
from escalation_forecast.spending_paths import AGES
from escalation_forecast.validation.calibration.reduced import AS_OF, FIRST_YEAR, HORIZON, Template
from escalation_forecast.validation.calibration.truth import Coords, Truth, constant, print_table

LEVELS: Final = np.array([0.0, 3.0, 4.0])
FIRST_TROOPS: Final = 25_000.0
BIN: Final = 0.1  # of the logarithm of a stock, in which a report places it
OPEN: Final = 50.0
LOG_CAP: Final = 15.0
# Dims of what is no parameter.
DIMS: Final[dict[str, tuple[str, ...]]] = {
    "eta": ("latent", "month"),
    "centre": ("latent",),
    "last_path": ("latent",),
    "next_level": ("theatre",),
    "log_stock": ("stock", "report_month"),
    "growth_level": ("state", "spending_year"),
    "growth_scale": ("state", "spending_year"),
    "revision": ("state",),
    "growth": ("state", "year_ahead"),
    "first_print": ("state", "year_ahead"),
}


def dataset(truth: Truth, priors: Priors, coords: Coords) -> xr.Dataset:
    """The truth in the form of a posterior of one chain and one draw."""
    found = {}
    for name, value in truth.values.items():
        dims = DIMS.get(name, priors[name].dims if name in priors else ())
        if len(dims) == value.ndim:
            found[name] = (("chain", "draw", *dims), value[None, None])
    used = {dim: list(coords[dim]) for name in found for dim in found[name][0][2:]}
    labels = {dim: list(coords[dim]) for dim in ("anchor", "loaded_news", "news", "transfer")}
    return xr.Dataset(found, coords={"chain": [0], "draw": [0], **labels, **used})


def observe(
    template: Template, truth: Truth, priors: Priors, coords: Coords, rng: np.random.Generator
) -> tuple[Panel, xr.Dataset]:
    """The panel known on `AS_OF`, and the path that follows, in the form of `forecast.simulate`.

    Returns
    -------
    panel
        With the simulated figures in every place in which the model or the forecast reads one.
    paths
        One chain, one draw: risk, ladder, indicator_level, growth_print, growth_true, dprk_troops, us_troops,
        transfers.
    """
    made = _replicated(template, truth, priors, coords, rng)
    figures = {name: _in_own_unit(template, name, made) for name in template.figures}
    panel = _known(template, figures, made)
    spending = observe_spending(template.now.spending, truth, priors, rng)
    stock = observe_stocks(template.now, truth, rng)
    table = print_table(truth, template.now.spending, priors, rng)
    panel = replace(panel, data=panel.data | stock, spending=spending)
    return panel, _paths(template, truth, spending, figures, table)


def _replicated(
    template: Template, truth: Truth, priors: Priors, coords: Coords, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Simulated rows of every item, in the units of the model, those ahead too."""
    posterior = dataset(truth, priors, coords).drop_vars(["eta", "month"])
    posterior["eta"] = (("chain", "draw", "latent", "month"), truth.eta[None, None])
    return {one.item: one.whole[0] for one in replicates(template.later, Draws(posterior), rng)}


def _in_own_unit(template: Template, name: str, made: dict[str, np.ndarray]) -> pd.DataFrame:
    """The figures of an indicator as a source would print them."""
    frame, y = template.figures[name], made[name]
    block = next(block for block, items in template.now.items.items() if name in items.index)
    item = template.now.items[block].loc[name]
    if block == "count":
        value = y
    elif block == "ordinal":
        value = LEVELS[y.astype(int)]
    elif block == "share":
        value = np.zeros(len(frame))
        value[frame["exposure"].to_numpy() > 0] = y
    elif item["family"] == "transfer":
        value = made[f"any_{name}"] * np.exp(y + item["mean"])
    elif item["family"] == "troops":
        change = TROOP_CHANGE_UNIT * (y + item["mean"])
        value = FIRST_TROOPS * np.exp(np.concatenate([[0.0], np.cumsum(change)]))
    else:
        value = y * item["sd"] + item["mean"]
        if item["log"]:
            value = np.exp(value) - LOG_OFFSET
        elif item["family"] == "annual":
            value = np.exp(value)
    return frame.assign(value=value)


def _known(template: Template, figures: dict[str, pd.DataFrame], made: dict[str, np.ndarray]) -> Panel:
    """The template's panel with what is known of the figures."""
    now, catalogue = template.now, template.catalogue
    known = {name: template.known(name, frame) for name, frame in figures.items()}
    grid = Grid(now.months, now.years)
    data = dict(now.data)
    for block in ("count", "share", "ordinal"):
        rows = catalogue[catalogue["family"].map(BLOCK_OF) == block]
        _, arrays = BUILDERS[block](rows, known, grid)
        data |= {f"{block}_{name}": values for name, values in arrays.items()}
    transfers = catalogue[catalogue["family"] == "transfer"]
    data |= {
        f"hurdle_{name.removeprefix('hurdle_')}": v for name, v in hurdle_rows(transfers, known, grid).items()
    }
    data |= _reading_rows(now, made)
    family = catalogue.set_index("indicator")["family"]

    def history(*families: str) -> pd.DataFrame:
        chosen = [frame.assign(indicator=name) for name, frame in known.items() if family[name] in families]
        return pd.concat(chosen, ignore_index=True)[["indicator", "month", "value"]]

    return replace(
        now,
        data=data,
        history=history("news", "count", "share", "ordinal"),
        troop_levels=history("troops"),
        transfers=history("transfer"),
    )


def _reading_rows(now: Panel, made: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Readings on the scale of the template, which does not follow the figures; deliveries where any."""
    item = now.data["reading_item"]
    y, there = np.zeros(len(item)), np.ones(len(item), bool)
    for position, name in enumerate(now.items["reading"].index):
        rows = np.flatnonzero(item == position)
        y[rows] = made[str(name)][: len(rows)]
        if f"any_{name}" in made:
            there[rows] = made[f"any_{name}"][: len(rows)] > 0
    before = np.where(now.data["reading_has_previous"] > 0, np.roll(y, 1), 0.0)
    arrays = {name: v for name, v in now.data.items() if name.startswith("reading_")}
    return {name: v[there] for name, v in (arrays | {"reading_y": y, "reading_y_previous": before}).items()}


def observe_stocks(now: Panel, truth: Truth, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Reports: which of fixed intervals a body places the stock in; every third only above or below one."""
    stock, month, source = (now.data[f"stock_{name}"] for name in ("stock", "month", "source"))
    noise = truth["stock_noise"] * rng.logistic(size=len(stock))
    seen = truth["stock_reported"][stock, month] + truth["stock_body"][source] + noise
    low = BIN * np.floor(seen / BIN)
    high = low + BIN
    half = np.arange(len(stock)) % 3 == 2
    centre = np.where(stock == STOCKS.index("dprk_troops_in_russia"), 9.2, 7.5)
    low = np.where(half, np.where(seen > centre, centre, -OPEN), low)
    high = np.where(half, np.where(seen > centre, OPEN, centre), high)
    return {"stock_low": low, "stock_high": high}


def observe_spending(
    sp: SpendingPanel, truth: Truth, priors: Priors, rng: np.random.Generator
) -> SpendingPanel:
    """Prints, revisions seen, and announcements of first prints."""
    n = sp.n_printed
    printed = truth.growth[:, :n].copy()
    printed[:, n - 1] = truth.first_print[:, n - 1]
    growth = np.zeros_like(sp.growth)
    growth[:, :n] = printed
    # Rows of revisions go through the years of one state after the other.
    state = sp.revisions["state"]
    year = n - 1 - np.array([(state[k:] == s).sum() for k, s in enumerate(state)])
    changed = rng.binomial(sp.late_revisions["trials"].astype(int), truth["late_revision_chance"])
    late = truth["late_revision_size"] * rng.standard_t(constant(priors, "revision_df"), changed.sum())
    rows = [
        (f"{FIRST_YEAR + n}", FIRST_YEAR + n, name, FIRST_YEAR + t, n - t, False, printed[s, t])
        for s, name in enumerate(sp.states)
        for t in range(n)
    ]
    columns = ["release", "release_year", "state", "year", "age", "pseudo", "growth"]
    return replace(
        sp,
        growth=growth,
        release=f"{FIRST_YEAR + n}",
        prints=pd.DataFrame(rows, columns=columns),
        revisions={"state": state, "step": truth.first_revision[state, year]},
        late_revisions=sp.late_revisions | {"changed": changed.astype(float), "size": late},
        budgets=_announce(sp, "budget", truth, priors, rng),
        programmes=_announce(sp, "programme", truth, priors, rng),
    )


def _announce(
    sp: SpendingPanel, kind: str, truth: Truth, priors: Priors, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    rows = sp.budgets if kind == "budget" else sp.programmes
    state, year = rows["state"], rows["year"]
    noise = truth[f"{kind}_noise"][state]
    if kind == "budget":
        scale = np.hypot(noise * (1.0 + rows["doubt"]), rows["half_width"])
    else:
        scale = noise * (truth["growth_scale"] / truth["growth_noise"][:, None])[state, year]
    error = scale * rng.standard_t(constant(priors, "announcement_df"), len(state))
    first = truth.first_print[state, year]
    known = np.where(year < sp.n_printed, first, np.nan)
    return rows | {"value": first + truth[f"{kind}_bias"][state] + error, "first_print": known}


def _paths(
    template: Template,
    truth: Truth,
    sp: SpendingPanel,
    figures: dict[str, pd.DataFrame],
    table: np.ndarray,
) -> xr.Dataset:
    end = AS_OF + pd.DateOffset(months=HORIZON)
    months = template.later.months[template.later.months <= end]
    scale = reference_scale()
    eta = truth.eta[:, : len(months)]
    risk = (eta - scale["mean"].to_numpy()[:, None]) / scale["sd"].to_numpy()[:, None]
    family = template.catalogue.set_index("indicator")["family"]

    def monthly(name: str) -> np.ndarray:
        return figures[name].set_index("month")["value"].reindex(months).to_numpy()

    levels = {n: monthly(n) for n in figures if family[n] in ("news", "count", "share")}
    for name, values in levels.items():
        levels[name] = np.maximum(values, 0.0)  # as the forecast has it: no share of articles below zero
    ladder = np.array([monthly(f"ladder_{theatre}") for theatre in THEATRES])
    n, years = sp.n_printed, FIRST_YEAR + sp.n_printed + np.arange(YEARS_AHEAD)
    prints = np.full((len(sp.states), YEARS_AHEAD, AGES), np.nan)
    for k in range(YEARS_AHEAD):
        for age in range(AGES):
            prints[:, k, age] = table[:, k, n + k - age]
    first = len(template.later.months) - truth.log_stock.shape[1]
    stock = np.zeros(len(months))
    troops = truth.log_stock[STOCKS.index("dprk_troops_in_russia"), : len(months) - first]
    stock[first:] = np.exp(np.minimum(troops, LOG_CAP))
    stock[months < FIRST_DEPLOYMENT] = 0.0
    hosts = [n for n in figures if family[n] == "troops"]
    pairs = [n for n in figures if family[n] == "transfer"]
    transfer_years = np.arange(FIRST_YEAR, end.year + 1)
    transfers = [figures[n].set_index(figures[n]["month"].dt.year)["value"] for n in pairs]
    found = {
        "risk": (("theatre", "month"), risk[:-1]),
        "global_risk": (("month",), risk[-1]),
        "ladder": (("theatre", "month"), ladder),
        "indicator_level": (("indicator", "month"), np.array(list(levels.values()))),
        "dprk_troops": (("month",), stock),
        "growth_print": (("state", "year", "age"), _simple(prints)),
        "growth_true": (("state", "year"), _simple(truth.growth[:, n:])),
        "us_troops": (("host", "month"), np.array([monthly(name) for name in hosts])),
        "transfers": (
            ("pair", "transfer_year"),
            np.array([one.reindex(transfer_years).to_numpy() for one in transfers]),
        ),
    }
    first_ahead = template.now.months[template.now.now] + pd.DateOffset(months=1)
    return xr.Dataset(
        {
            # In the precision of a forecast, so that a figure that does not change is the same in both.
            name: (("chain", "draw", *dims), values[None, None].astype(np.float32))
            for name, (dims, values) in found.items()
        },
        coords={
            "chain": [0],
            "draw": [0],
            "theatre": list(THEATRES),
            "month": months,
            "indicator": list(levels),
            "state": list(sp.states),
            "year": years,
            "age": np.arange(AGES),
            "host": hosts,
            "pair": pairs,
            "transfer_year": transfer_years,
        },
        attrs={
            "as_of": f"{AS_OF:%Y-%m-%d}",
            "horizon": HORIZON,
            "first_forecast_month": f"{first_ahead:%Y-%m}",
        },
    )


def _simple(growth: np.ndarray) -> np.ndarray:
    return np.asarray(100.0 * np.expm1(growth / 100.0))
