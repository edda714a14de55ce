"""The joint model in the plainest PyMC: a distribution for every block of data, ``scan`` for recursions.

Nothing here comes from the program's kernels; only the priors are read from the same file. Parameters have
the names, shapes and transforms of `model.build_model`, so both densities take the same point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from benchmarks.references.rows import CENTRED_MONTHS, MONTHS, Rows, rows_of, spending_tables
from escalation_forecast.model import model_coords
from escalation_forecast.model_parts import Draw
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import YEARS_AHEAD


def build_plain(panel: Panel, priors: Priors) -> pm.Model:
    """The model of one panel."""
    coords = model_coords(panel)
    rows, data = rows_of(panel), panel.data
    with pm.Model(coords=coords) as model:
        draw = Draw(priors, coords)
        eta = _latents(rows, draw)
        yearly = eta.reshape((eta.shape[0], -1, MONTHS)).mean(axis=2)
        before = yearly[:, rows.before].mean(axis=2)
        flat = pt.concatenate([eta.ravel(), yearly.ravel(), before.ravel()])
        _readings(rows, data, flat, draw)
        _counts(rows, data, flat, draw)
        _shares(rows, flat, draw)
        _ladder(data, flat, draw)
        logit = draw("hurdle_intercept")[data["hurdle_item"]]
        logit = logit + draw("hurdle_loading") * flat[data["hurdle_index"]]
        pm.Bernoulli("hurdle", logit_p=logit, observed=data["hurdle_z"].astype(int))
        _stocks(panel, data, eta, draw)
        _spending(spending_tables(panel), yearly[:-1], draw)
    return model


def _recursion(z: Any, phi: Any, root: Any) -> Any:
    """``x[k, t] = phi[k] x[k, t-1] + root[k] z[k, t]`` from ``x[k, 0] = z[k, 0]``."""
    path = pytensor.scan(
        lambda now, last, phi, root: phi * last + root * now,
        sequences=[z[:, 1:].T],
        outputs_info=[z[:, 0]],
        non_sequences=[phi, root],
        return_updates=False,
    )
    return pt.concatenate([z[:, :1], path.T], axis=1)


def _latents(rows: Rows, draw: Draw) -> Any:
    df = draw.constant("innovation_df")
    z = pm.StudentT("innovation", nu=df, mu=0.0, sigma=np.sqrt((df - 2.0) / df), dims=("latent", "month"))
    phi = pt.concatenate([draw("phi"), draw("phi_global")[None]])
    scale = pt.concatenate([pt.ones(1), draw("theatre_scale")])
    share, spillover = draw("global_share"), draw("spillover") * pt.ones(len(rows.links))
    steps = pm.Normal("slow_innovation", 0.0, 1.0, dims=("theatre", "knot"))
    path = _recursion(z, phi, pt.sqrt(1.0 - phi**2))
    own, world = path[:-1], path[-1]
    knots = (draw("slow_step") * steps).cumsum(axis=1)
    level = pt.dot(knots, rows.level_weights)
    risk = (pt.sqrt(share) * scale)[:, None] * world + (pt.sqrt(1.0 - share) * scale)[:, None] * own + level
    theatres = [risk[k] for k in range(len(THEATRES))]
    for link, (target, source) in enumerate(rows.links):
        before = pt.concatenate([theatres[source][:1], theatres[source][:-1]])
        theatres[target] = theatres[target] + spillover[link] * before
    eta = pt.stack([*theatres, path[-1]])
    centre = eta[:, :CENTRED_MONTHS].mean(axis=1)
    pm.Deterministic("centre", centre, dims="latent")
    pm.Deterministic("last_path", path[:, -1], dims="latent")
    pm.Deterministic("next_level", knots[:, -1], dims="theatre")
    return pm.Deterministic("eta", eta - centre[:, None], dims=("latent", "month"))


def _readings(rows: Rows, data: dict[str, np.ndarray], flat: Any, draw: Draw) -> None:
    n = rows.n_family
    news = pt.concatenate([draw("anchor_loading"), draw("news_loading")])[rows.anchor_first]
    transfer = draw("transfer_loading") * pt.ones(n["transfer"])
    loading = rows.sign * pt.concatenate([news, draw("annual_loading"), transfer, draw("troop_loading")])
    families = ("news", "annual", "transfer", "troop")
    intercept = pt.concatenate([draw(f"{family}_intercept") for family in families])
    noise = pt.concatenate([draw(f"{family}_noise") for family in families])
    rho = pt.concatenate(
        [
            rows.memory * draw("news_persistence"),
            rows.memory * draw("annual_persistence"),
            pt.zeros(n["transfer"] + n["troops"]),
        ]
    )
    item, linked = data["reading_item"], data["reading_has_previous"].astype(bool)
    mean = intercept[item] + loading[item] * flat[data["reading_index"]]
    mean_before = intercept[item] + loading[item] * flat[data["reading_index_previous"]]
    carried = rho[item] * (data["reading_y_previous"] - mean_before)
    pm.StudentT(
        "readings",
        nu=rows.df[item],
        mu=mean + pt.switch(linked, carried, 0.0),
        sigma=pt.switch(linked, noise[item], noise[item] / pt.sqrt(1.0 - rho[item] ** 2)),
        observed=data["reading_y"],
    )


def _counts(rows: Rows, data: dict[str, np.ndarray], flat: Any, draw: Draw) -> None:
    item, linked = data["count_item"], data["count_has_previous"]
    intercept = (draw("count_intercept") + rows.count_log_mean)[item]
    loading = draw("count_loading")[rows.count_group][item]
    surprise = data["count_log_rate_previous"] - intercept - loading * flat[data["count_index_previous"]]
    log_mean = (
        intercept
        + loading * flat[data["count_index"]]
        + draw("count_trend") * data["count_trend"]
        + data["count_log_exposure"]
        + rows.memory * draw("count_memory") * linked * surprise
    )
    size = draw("count_dispersion")[item]
    pm.NegativeBinomial("counts", mu=pt.exp(log_mean), alpha=size, observed=data["count_y"].astype(int))


def _shares(rows: Rows, flat: Any, draw: Draw) -> None:
    item = rows.share_item
    chance = pm.math.invlogit(
        draw("share_intercept")[item] + draw("share_loading")[item] * flat[rows.share_index]
    )
    total = draw("share_concentration")[item]
    pm.BetaBinomial(
        "shares", n=rows.share_n, alpha=total * chance, beta=total * (1.0 - chance), observed=rows.share_k
    )


def _ladder(data: dict[str, np.ndarray], flat: Any, draw: Draw) -> None:
    some, force = draw("ladder_any"), draw("ladder_force")
    cutpoints = -pm.math.logit(pt.stack([some, some * force], axis=1))
    item = data["ordinal_item"]
    risk = draw("ladder_slope")[item] * flat[data["ordinal_index"]]
    pm.OrderedLogistic(
        "ladder", eta=risk, cutpoints=cutpoints[item], observed=data["ordinal_level"], compute_p=False
    )


def _stocks(panel: Panel, data: dict[str, np.ndarray], eta: Any, draw: Draw) -> None:
    theatre = eta[THEATRES.index("ukraine_nato"), len(panel.months) - len(panel.stock_months) :]
    steps = pm.Normal("stock_innovation", 0.0, 1.0, dims=("stock", "report_month"))
    moves = draw("stock_step")[:, None] * steps[:, 1:] + draw("stock_drift")[:, None]
    moves = moves + draw("stock_threat")[:, None] * (theatre[:-1] - theatre[0])
    path = pt.concatenate([draw("stock_start")[:, None], moves], axis=1).cumsum(axis=1)
    stock = pm.Deterministic("log_stock", path, dims=("stock", "report_month"))
    miss = draw("stock_miss") * pm.Normal("stock_miss_innovation", 0.0, 1.0, dims=("stock", "report_month"))
    reported = (stock + miss)[data["stock_stock"], data["stock_month"]]
    reported = reported + draw("stock_body")[data["stock_source"]]
    report = pm.Logistic.dist(mu=reported, s=draw("stock_noise"))
    low, high = (pm.logcdf(report, data[f"stock_{end}"]) for end in ("low", "high"))
    pm.Potential("stocks", pm.math.logdiffexp(high, low).sum())


def _spending(data: dict[str, Any], yearly: Any, draw: Draw) -> None:
    n = data["n_printed"]
    threat = pt.dot(data["exposure"], yearly[:, data["first_year"] :])
    threat = pt.concatenate([threat, pt.zeros((threat.shape[0], data["later_years"]))], axis=1)
    mean, noise = draw("growth_mean"), draw("growth_noise")
    walk = pm.Normal("growth_level_innovation", 0.0, 1.0, dims=("state", "spending_year")).cumsum(axis=1)
    walk = walk - (data["weight"] * walk).sum(axis=1, keepdims=True)
    level = mean[:, None] + (draw("growth_drift") * noise)[:, None] * walk
    steps = pm.Normal("growth_scale_innovation", 0.0, 1.0, dims=("state", "spending_year"))
    memory = draw.constant("growth_noise_memory") * pt.ones(steps.shape[0])
    quiet = _recursion(steps, memory, pt.ones_like(memory))
    quiet = quiet - (data["weight"] * quiet).sum(axis=1, keepdims=True)
    unrest = pt.exp(draw("growth_noise_step") * quiet)
    scale = noise[:, None] * unrest
    pm.Deterministic("growth_level", level, dims=("state", "spending_year"))
    pm.Deterministic("growth_scale", scale, dims=("state", "spending_year"))

    df = draw.constant("revision_df")
    revision_scale = draw("revision_scale") * draw("revision_state")
    pm.StudentT(
        "first_revisions", df, sigma=revision_scale[data["revision_state"]], observed=data["revision_step"]
    )
    pm.Binomial(
        "late_revisions",
        n=data["late_trials"].astype(int),
        p=draw("late_revision_chance"),
        observed=data["late_changed"].astype(int),
    )
    pm.StudentT("late_sizes", df, sigma=draw("late_revision_size"), observed=data["late_size"])
    revision = data["revisable"] * _mixed_t("revision", df, ("state",)) * revision_scale
    pm.Deterministic("revision", revision, dims="state")

    persistence, reaction, df = draw("growth_persistence"), draw("reaction"), draw.constant("growth_df")
    push = draw("gdp_slope") * data["gdp"] + draw("threat_slope")[:, None] * threat
    correction = data["newest"] * revision[:, None]
    gap = data["growth"] + (1.0 - data["printed"]) * level + correction - level
    step = persistence[:, None] * gap + reaction * pt.dot(data["rivals"], gap) + push
    expected = level[:, 1:] + step[:, :-1] - correction[:, 1:]
    seen = (data["step_state"], data["step_year"])
    pm.StudentT(
        "growth_steps", df, expected[seen], sigma=scale[:, 1:][seen], observed=data["growth"][:, 1:][seen]
    )

    innovation = _mixed_t("growth", df, ("state", "year_ahead"))
    columns, last = [], gap[:, n - 1]
    for k in range(YEARS_AHEAD):
        last = persistence * last + reaction * pt.dot(data["rivals"], last) + push[:, n + k - 1]
        last = last + scale[:, n + k] * innovation[:, k]
        columns.append(level[:, n + k] + last)
    growth = pm.Deterministic("growth", pt.stack(columns, axis=1), dims=("state", "year_ahead"))
    ahead = _mixed_t("forward_revision", draw.constant("revision_df"), ("state", "year_ahead"))
    first_print = growth - data["revisable"] * revision_scale[:, None] * ahead
    pm.Deterministic("first_print", first_print, dims=("state", "year_ahead"))

    for kind in ("budget", "programme"):
        own = {key.removeprefix(f"{kind}_"): value for key, value in data.items() if key.startswith(kind)}
        state = own["state"]
        target = pt.switch(own["ahead"], first_print[state, own["slot"]], own["first_print"])
        spread = draw(f"{kind}_noise")[state]
        if kind == "budget":
            spread = pt.sqrt((spread * (1.0 + own["doubt"])) ** 2 + own["half_width"] ** 2)
        else:
            spread = spread * unrest[state, own["year"]]
        mean = target + draw(f"{kind}_bias")[state]
        pm.StudentT(f"{kind}s", draw.constant("announcement_df"), mean, sigma=spread, observed=own["value"])


def _mixed_t(name: str, df: float, dims: tuple[str, ...]) -> Any:
    normal = pm.Normal(f"{name}_innovation", 0.0, 1.0, dims=dims)
    return normal / pt.sqrt(
        pm.Gamma(f"{name}_precision_innovation", alpha=df / 2.0, beta=df / 2.0, dims=dims)
    )
