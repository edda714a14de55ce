"""Joint draws of future paths: latent risk, indicators, the ladder, reported stocks and spending.

The sampler ends with the grid of the panel; nothing observes later months, so they are simulated
forward from each draw, which is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.history.tables import History, load_history
from escalation_forecast.indicator_paths import (
    force_chance,
    indicator_paths,
    ladder_paths,
    transfer_paths,
    us_troop_paths,
)
from escalation_forecast.model import SPILLOVERS
from escalation_forecast.panel import FIRST_DEPLOYMENT, STOCKS, Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.spending_paths import spending_paths
from escalation_forecast.store import data_root
from escalation_forecast.war_chain import Loosen
from escalation_forecast.war_paths import Chains, build_chains, tilt, war_paths

ForceTargets = Mapping[str, Mapping[int, float]]
"""Chance of use of force by theatre and months ahead that the ladder is moved to; see `war_paths.tilt`."""


def simulate(
    panel: Panel,
    posterior: xr.Dataset,
    priors: Priors,
    horizon: int,
    seed: int,
    *,
    history: History | None = None,
    targets: ForceTargets | None = None,
    spending_weight: float = 1.0,
) -> xr.Dataset:
    """Joint paths from 1990 to ``horizon`` months after ``as_of``.

    Parameters
    ----------
    panel : Panel
    posterior : xarray.Dataset
        Draws of the joint model fitted to that panel.
    priors : Priors
        For the constants of the model.
    horizon : int
        Months after the month of ``as_of``.
    seed : int
    history : History, optional
        Tables of history, by default the embedded ones.
    targets : mapping, optional
        Chances of use of force that other methods contribute to; by default the model's own stand.
    spending_weight : float
        Share of the draws of spending ahead that are the model's own; the others are of simple methods, see
        `spending_paths.pooled`.

    Returns
    -------
    xarray.Dataset
        ``risk`` (chain, draw, theatre, month) and ``global_risk`` (chain, draw, month) on the frozen
        reference scale; ``ladder`` (chain, draw, theatre, month) with levels 0, 3, 4 ahead and the
        coded level behind; ``indicator_level`` (chain, draw, indicator, month) in own units;
        ``growth_print`` (chain, draw, state, year, age) and ``growth_true`` (chain, draw, state,
        year) in per cent; ``dprk_troops`` (chain, draw, month) persons; ``us_troops`` (chain, draw,
        host, month) persons; ``transfers`` (chain, draw, pair, transfer_year) in TIV million;
        ``clash`` and ``joined`` as in `war_paths.war_paths`, bytes.
    """
    draws = Draws(posterior)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(6)]
    months = month_axis(panel, horizon)
    eta = extend_latents(panel, draws, priors, len(months), streams[0])
    force = _force(panel, draws, eta, months, targets)
    scale = reference_scale()
    shown = eta[:, :, : len(months)]
    standard = (shown - scale["mean"].to_numpy()[None, :, None]) / scale["sd"].to_numpy()[None, :, None]

    coords: dict[str, object] = {
        "chain": posterior.coords["chain"].to_numpy(),
        "draw": posterior.coords["draw"].to_numpy(),
        "theatre": list(THEATRES),
        "month": months,
        "state": list(panel.spending.states),
    }
    lead = ("chain", "draw")

    def single(values: np.ndarray) -> np.ndarray:
        # At once, so that doubles and singles of all are not held beside each other.
        return draws.unflatten(values.astype(np.float32, copy=False))

    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
        "risk": ((*lead, "theatre", "month"), single(standard[:, :-1])),
        "global_risk": ((*lead, "month"), single(standard[:, -1])),
    }
    del standard
    # What takes most on the way comes first, while little is kept yet.
    spending = spending_paths(panel, draws, priors, eta, horizon, streams[4], spending_weight)
    coords |= {"year": spending.years, "age": np.arange(spending.prints.shape[3])}
    variables["growth_print"] = ((*lead, "state", "year", "age"), single(spending.prints))
    variables["growth_true"] = ((*lead, "state", "year"), single(spending.true))
    del spending
    ladder = single(ladder_paths(panel, draws, eta, months, streams[2], force))
    variables["ladder"] = ((*lead, "theatre", "month"), ladder)
    levels, coords["indicator"] = indicator_paths(panel, draws, eta, months, streams[1])
    variables["indicator_level"] = ((*lead, "indicator", "month"), single(levels))
    stocks = extend_stocks(panel, draws, eta, months, streams[3])
    if stocks is not None:
        variables["dprk_troops"] = ((*lead, "month"), single(stocks))
    us_troops, hosts = us_troop_paths(panel, draws, eta, months, streams[5])
    transfers, pairs, transfer_years = transfer_paths(panel, draws, eta, months, streams[5])
    coords |= {"host": hosts, "pair": pairs, "transfer_year": transfer_years}
    variables["us_troops"] = ((*lead, "host", "month"), single(us_troops))
    variables["transfers"] = ((*lead, "pair", "transfer_year"), single(transfers))

    paths = xr.Dataset(variables, coords=coords)
    chains = _chains(panel, draws, priors, history, eta, force, months, seed)
    paths = paths.merge(war_paths(chains, posterior))
    paths.attrs = {
        "as_of": f"{panel.as_of:%Y-%m-%d}",
        "horizon": horizon,
        "first_forecast_month": f"{months[panel.now + 1]:%Y-%m}",
        "spending_weight": float(spending_weight),
    }
    return paths


def month_axis(panel: Panel, horizon: int) -> pd.DatetimeIndex:
    """Months from 1990 to ``horizon`` months after that of ``as_of``."""
    last = panel.months[panel.now] + pd.DateOffset(months=horizon)
    months: pd.DatetimeIndex = pd.date_range(panel.months[0], last, freq="MS")
    return months


def war_chains(
    panel: Panel,
    posterior: xr.Dataset,
    priors: Priors,
    horizon: int,
    seed: int,
    *,
    history: History | None = None,
    targets: ForceTargets | None = None,
    loosen: Loosen = "",
) -> Chains:
    """The chains behind ``clash`` and ``joined`` of `simulate` with the same arguments, or loosened.

    Parameters
    ----------
    loosen : which prior weighs less: the nuclear ``discount``, the ``slope`` on the latent, or the
        ``base`` learned from history; all else, chance events included, stays the same.
    """
    draws = Draws(posterior)
    first = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    months = month_axis(panel, horizon)
    eta = extend_latents(panel, draws, priors, len(months), first)
    force = _force(panel, draws, eta, months, targets)
    return _chains(panel, draws, priors, history, eta, force, months, seed, loosen)


def _force(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, targets: ForceTargets | None
) -> np.ndarray:
    """Chance of use of force (sample, theatre, month) in the months ahead."""
    force = force_chance(draws, eta[:, :, panel.now + 1 : len(months)])
    for theatre, wanted in (targets or {}).items():
        k = THEATRES.index(theatre)
        force[:, k] = tilt(force[:, k], wanted)
    return force


def _chains(
    panel: Panel,
    draws: Draws,
    priors: Priors,
    history: History | None,
    eta: np.ndarray,
    force: np.ndarray,
    months: pd.DatetimeIndex,
    seed: int,
    loosen: Loosen = "",
) -> Chains:
    tables = history or load_history()
    ahead = months[panel.now + 1 :]
    return build_chains(panel, draws, priors, tables, eta, force, ahead, seed, loosen)


def extend_latents(
    panel: Panel, draws: Draws, priors: Priors, n_months: int, rng: np.random.Generator
) -> np.ndarray:
    """Latents (sample, latent, month) on the model's scale, at least ``n_months`` long, whole years.

    Beyond the grid: AR(1) with Student-t innovations, and a random walk of the slow level on yearly
    knots, linear between.
    """
    eta = draws["eta"]
    n_grid = eta.shape[2]
    ahead = max(0, -(-(n_months - n_grid) // 12) * 12)
    if not ahead:
        return eta
    path = fast_paths(draws, priors, ahead, rng)

    step = draws["slow_step"]
    knots = draws["next_level"][:, :, None] + np.concatenate(
        [
            np.zeros((draws.n, len(THEATRES), 1)),
            np.cumsum(
                step[:, None, None] * rng.standard_normal((draws.n, len(THEATRES), ahead // 12)), axis=2
            ),
        ],
        axis=2,
    )
    left, weight = np.arange(ahead) // 12, (np.arange(ahead) % 12) / 12.0
    level = knots[:, :, left] * (1.0 - weight) + knots[:, :, left + 1] * weight

    share = draws["global_share"][:, :, None]
    scale = np.concatenate([np.ones((draws.n, 1)), draws["theatre_scale"]], axis=1)[:, :, None]
    fast = np.sqrt(share) * path[:, -1:, :] + np.sqrt(1.0 - share) * path[:, :-1, :]
    theatre = scale * fast + level
    centre = draws["centre"]
    for position, (target, source) in enumerate(SPILLOVERS):
        strength = draws["spillover"][:, position]
        if np.any(strength):
            k, j = THEATRES.index(target), THEATRES.index(source)
            before = eta[:, j, -1] + centre[:, j]
            lagged = np.concatenate([before[:, None], theatre[:, j, :-1]], axis=1)
            theatre[:, k] += strength[:, None] * lagged
    future = np.concatenate([theatre, path[:, -1:, :]], axis=1) - centre[:, :, None]
    return np.concatenate([eta, future], axis=2)


def fast_paths(draws: Draws, priors: Priors, ahead: int, rng: np.random.Generator) -> np.ndarray:
    """The theatres' own and the global AR(1) (sample, latent, month) of unit variance, beyond the grid."""
    df = float(priors["innovation_df"].array("value"))
    phi = np.concatenate([draws["phi"], draws["phi_global"][:, None]], axis=1)
    z = student_t(rng, df, (draws.n, phi.shape[1], ahead), unit_variance=True)
    path = np.empty_like(z)
    last = draws["last_path"]
    for t in range(ahead):
        last = phi * last + np.sqrt(1.0 - phi**2) * z[:, :, t]
        path[:, :, t] = last
    return path


def extend_stocks(
    panel: Panel, draws: Draws, eta: np.ndarray, months: pd.DatetimeIndex, rng: np.random.Generator
) -> np.ndarray | None:
    """North Korean troops in Russia (sample, month), persons; None before the first report."""
    position = STOCKS.index("dprk_troops_in_russia")
    if not np.any(panel.data["stock_stock"] == position):
        return None
    log_stock = draws["log_stock"][:, position]
    first = len(panel.months) - len(panel.stock_months)
    threat = eta[:, THEATRES.index("ukraine_nato")] - eta[:, THEATRES.index("ukraine_nato"), [first]]
    ahead = len(months) - first - log_stock.shape[1]
    if ahead > 0:
        start = first + log_stock.shape[1] - 1
        moves = (
            draws["stock_drift"][:, position, None]
            + draws["stock_threat"][:, position, None] * threat[:, start : start + ahead]
            + draws["stock_step"][:, position, None] * rng.standard_normal((draws.n, ahead))
        )
        log_stock = np.concatenate([log_stock, log_stock[:, -1:] + np.cumsum(moves, axis=1)], axis=1)
    out = np.zeros((draws.n, len(months)))
    out[:, first:] = np.exp(np.clip(log_stock[:, : len(months) - first], None, 15.0))
    out[:, months < FIRST_DEPLOYMENT] = 0.0
    return out


def reference_scale() -> pd.DataFrame:
    """Mean and standard deviation of each latent in 2010-2019, frozen in ``data/reference_scale.csv``."""
    path = data_root() / "reference_scale.csv"
    frame = pd.read_csv(path).set_index("latent")
    missing = {*THEATRES, "global"} - set(frame.index)
    if missing or not (frame["sd"] > 0).all():
        raise DataError(f"{path.name}: every theatre and the global factor need a mean and a positive sd.")
    return frame.loc[[*THEATRES, "global"]]


def measure_reference_scale(posterior: xr.Dataset) -> pd.DataFrame:
    """Mean and standard deviation of each latent over the draws and months of 2010-2019.

    This is how ``data/reference_scale.csv`` was made, once, from the default fit. It is a unit of
    measure: it never follows the data, so that numbers of different runs can be compared.
    """
    months = pd.DatetimeIndex(posterior["month"].to_numpy())
    window = posterior["eta"].isel(month=(months.year >= 2010) & (months.year <= 2019))
    dims = ("chain", "draw", "month")
    return xr.Dataset({"mean": window.mean(dims), "sd": window.std(dims)}).to_dataframe()[["mean", "sd"]]
