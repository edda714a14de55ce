"""The joint model in NumPyro on JAX, written to be fast there: a yardstick, not a translation line by line.

Recursions are products with small triangular matrices (a year's months, then years), which XLA does in a few
kernels where ``lax.scan`` makes 444 steps; what depends on the item alone is spread over its rows by a
product with a constant matrix, so that the gradient needs no scatter; all rows read the latents in one
gather; log-gamma terms of counts are summed over unique pairs, and rising factorials stand in for the beta
function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import gammaln

from benchmarks.references.density import Density, Layout
from benchmarks.references.rows import CENTRED_MONTHS, MONTHS, rows_of, spending_tables
from escalation_forecast.model import model_coords
from escalation_forecast.panel import STOCKS, Panel
from escalation_forecast.prior_spec import bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import YEARS_AHEAD

_LAWS: dict[str, Callable[..., Any]] = {
    "Normal": lambda p: dist.Normal(p["mu"], p["sigma"]),
    "LogNormal": lambda p: dist.LogNormal(p["mu"], p["sigma"]),
    "HalfNormal": lambda p: dist.HalfNormal(p["sigma"]),
    "Beta": lambda p: dist.Beta(p["alpha"], p["beta"]),
    "Gamma": lambda p: dist.Gamma(p["alpha"], p["beta"]),
    "StudentT": lambda p: dist.StudentT(p["nu"], p["mu"], p["sigma"]),
    "Exponential": lambda p: dist.Exponential(p["lam"]),
}


class _Draw:
    """Priors as NumPyro's sites, with the names of the PyMC model."""

    def __init__(self, priors: Priors, coords: dict[str, list[Any]]) -> None:
        self.priors, self.coords = priors, coords

    def __call__(self, name: str) -> Any:
        spec = self.priors[name]
        shape = tuple(len(self.coords[dim]) for dim in spec.dims)
        values = {key: spec.array(key, self.coords) for key in spec.parameters}
        if spec.family == "Fixed":
            return jnp.broadcast_to(values["value"], shape)
        if spec.pooling == "none":
            values = {key: np.broadcast_to(value, shape) for key, value in values.items()}
            return numpyro.sample(name, _LAWS[spec.family](values).to_event(len(shape)))
        common = numpyro.sample(f"{name}_common", _LAWS[spec.family](values))
        if spec.pooling == "complete":
            return jnp.broadcast_to(common, shape)
        steps = spec.spread * normal(f"{name}_innovation", shape)
        low, high = bounds_of(spec.support, name)
        if not np.isfinite(low):
            return common + steps
        if not np.isfinite(high):
            return low + (common - low) * jnp.exp(steps)
        share = (common - low) / (high - low)
        return low + (high - low) * jax.nn.sigmoid(jnp.log(share) - jnp.log1p(-share) + steps)

    def constant(self, name: str) -> float:
        return float(self.priors[name].array("value"))


def normal(name: str, shape: tuple[int, ...]) -> Any:
    return numpyro.sample(name, dist.Normal(np.zeros(shape), 1.0).to_event(len(shape)))


def _mixed_t(name: str, df: float, shape: tuple[int, ...]) -> Any:
    value = normal(f"{name}_innovation", shape)
    law = dist.Gamma(np.full(shape, df / 2.0), df / 2.0).to_event(len(shape))
    return value / jnp.sqrt(numpyro.sample(f"{name}_precision_innovation", law))


def _student_t(z: Any, df: Any) -> Any:
    """Log density of standardised errors, without the constant."""
    return -0.5 * (df + 1.0) * jnp.log1p(z * z / df)


def _recursion(z: Any, phi: Any) -> Any:
    """Stationary AR(1) paths of unit variance, (series, month), from innovations of unit variance."""
    series, months = z.shape
    years = months // MONTHS
    root = jnp.sqrt(1.0 - phi * phi)
    moved = jnp.concatenate([z[:, :1], root[:, None] * z[:, 1:]], axis=1).reshape(series, years, MONTHS)
    log = jnp.log(phi)[:, None]
    powers = jnp.exp(log * np.arange(MONTHS + 1))
    lag = np.subtract.outer(np.arange(MONTHS), np.arange(MONTHS))
    inner = jnp.where(lag >= 0, powers[:, np.maximum(lag, 0)], 0.0)
    local = jnp.einsum("kij,kyj->kyi", inner, moved)
    gap = np.subtract.outer(np.arange(years), np.arange(years)) - 1
    spans = jnp.exp(log * (MONTHS * np.arange(years)))
    outer = jnp.where(gap >= 0, spans[:, np.maximum(gap, 0)], 0.0)
    carried = jnp.einsum("kij,kj->ki", outer, local[:, :, -1])
    return (local + carried[:, :, None] * powers[:, None, 1:]).reshape(series, months)


def numpyro_model(panel: Panel, priors: Priors) -> Callable[[], None]:
    """The model of one panel, to be given to ``numpyro.infer.NUTS``."""
    coords = model_coords(panel)
    rows, data, spending = rows_of(panel), panel.data, spending_tables(panel)
    series, months, years = len(coords["latent"]), len(panel.months), len(panel.years)
    read = _Reads()
    now = read.add(data["reading_index"]), read.add(data["reading_index_previous"])
    counted = read.add(data["count_index"]), read.add(data["count_index_previous"])
    shared, ranked = read.add(rows.share_index), read.add(data["ordinal_index"])
    delivered = read.add(data["hurdle_index"])
    positions = read.positions()
    reading_of = np.eye(len(rows.sign))[data["reading_item"]]
    count_of = np.eye(len(rows.count_group))[data["count_item"]]
    ladder_of = np.eye(len(THEATRES))[data["ordinal_item"]]
    share_of = np.eye(int(rows.share_item.max(initial=0)) + 1)[rows.share_item]
    pair_of = np.eye(len(coords["transfer"]))[data["hurdle_item"]]
    averaged = np.zeros((years, years))
    np.add.at(averaged, (np.repeat(np.arange(years), 3), rows.before.ravel()), 1.0 / 3.0)

    def model() -> None:
        draw = _Draw(priors, coords)
        eta = _latents(draw, rows, series, months)
        yearly = eta.reshape(series, years, MONTHS).mean(axis=2)
        flat = jnp.concatenate([eta.ravel(), yearly.ravel(), (yearly @ averaged.T).ravel()])
        at = flat[positions]
        _readings(draw, rows, data, at[now[0]], at[now[1]], reading_of)
        _counts(draw, rows, data, at[counted[0]], at[counted[1]], count_of)
        _shares(draw, rows, at[shared], share_of)
        _ladder(draw, data, at[ranked], ladder_of)
        logit = pair_of @ draw("hurdle_intercept") + draw("hurdle_loading") * at[delivered]
        numpyro.factor("hurdle", (data["hurdle_z"] * logit - jax.nn.softplus(logit)).sum())
        _stocks(draw, panel, data, eta)
        _spending(draw, spending, yearly[:-1])

    return model


class _Reads:
    """Collects positions in the flat vector, so that they are read at once."""

    def __init__(self) -> None:
        self._parts: list[np.ndarray] = []

    def add(self, positions: np.ndarray) -> slice:
        start = sum(len(part) for part in self._parts)
        self._parts.append(np.asarray(positions))
        return slice(start, start + len(positions))

    def positions(self) -> np.ndarray:
        return np.concatenate(self._parts)


def _latents(draw: _Draw, rows: Any, series: int, months: int) -> Any:
    df = draw.constant("innovation_df")
    law = dist.StudentT(df, np.zeros((series, months)), np.sqrt((df - 2.0) / df))
    z = numpyro.sample("innovation", law.to_event(2))
    phi = jnp.concatenate([draw("phi"), draw("phi_global")[None]])
    scale = jnp.concatenate([jnp.ones(1), draw("theatre_scale")])
    share = draw("global_share")
    spillover = draw("spillover") * jnp.ones(len(rows.links))
    steps = normal("slow_innovation", (series - 1, months // MONTHS + 1))
    path = _recursion(z, phi)
    # Knots are running sums of steps: one constant matrix for both.
    spread = np.tril(np.ones((steps.shape[1],) * 2)).T @ rows.level_weights
    level = draw("slow_step") * (steps @ spread)
    risk = (scale * jnp.sqrt(share))[:, None] * path[-1] + (scale * jnp.sqrt(1.0 - share))[:, None] * path[
        :-1
    ]
    risk = risk + level
    fixed = draw.priors["spillover"].family == "Fixed" and not draw.priors["spillover"].array("value").any()
    if not fixed:
        theatres = [risk[k] for k in range(series - 1)]
        for link, (target, source) in enumerate(rows.links):
            before = jnp.concatenate([theatres[source][:1], theatres[source][:-1]])
            theatres[target] = theatres[target] + spillover[link] * before
        risk = jnp.stack(theatres)
    eta = jnp.concatenate([risk, path[-1:]])
    return eta - eta[:, :CENTRED_MONTHS].mean(axis=1, keepdims=True)


def _readings(draw: _Draw, rows: Any, data: Any, now: Any, before: Any, of: np.ndarray) -> None:
    n = rows.n_family
    news = jnp.concatenate([draw("anchor_loading"), draw("news_loading")])[rows.anchor_first]
    transfer = draw("transfer_loading") * jnp.ones(n["transfer"])
    loading = rows.sign * jnp.concatenate([news, draw("annual_loading"), transfer, draw("troop_loading")])
    families = ("news", "annual", "transfer", "troop")
    intercept = jnp.concatenate([draw(f"{family}_intercept") for family in families])
    noise = jnp.concatenate([draw(f"{family}_noise") for family in families])
    own = rows.memory * jnp.concatenate([draw("news_persistence"), draw("annual_persistence")])
    rho = jnp.concatenate([own, jnp.zeros(n["transfer"] + n["troops"])])
    spread = jnp.sqrt(1.0 - rho * rho)
    linked = data["reading_has_previous"]
    wide = of @ jnp.stack([intercept, loading, rho, 1.0 / noise, spread / noise], axis=1)
    a, b, r, linked_rate, first_rate = wide.T
    error = data["reading_y"] - a - b * now
    previous = data["reading_y_previous"] - a - b * before
    z = (error - linked * r * previous) * jnp.where(linked > 0, linked_rate, first_rate)
    weight, weight_first = linked @ of, (1.0 - linked) @ of
    scales = (weight + weight_first) @ -jnp.log(noise) + weight_first @ jnp.log(spread)
    numpyro.factor("readings", _student_t(z, rows.df[data["reading_item"]]).sum() + scales)


def _counts(draw: _Draw, rows: Any, data: Any, now: Any, before: Any, of: np.ndarray) -> None:
    intercept = draw("count_intercept") + rows.count_log_mean
    loading, size = draw("count_loading")[rows.count_group], draw("count_dispersion")
    memory = rows.memory * draw("count_memory") * data["count_has_previous"]
    a, b, s, log_s = (of @ jnp.stack([intercept, loading, size, jnp.log(size)], axis=1)).T
    log_mean = a + b * now + draw("count_trend") * data["count_trend"] + data["count_log_exposure"]
    log_mean = log_mean + memory * (data["count_log_rate_previous"] - a - b * before)
    log_sum = jnp.logaddexp(log_mean, log_s)
    value = (data["count_y"] * (log_mean - log_sum) + s * (log_s - log_sum)).sum()
    item, weight = data["count_unique_item"], data["count_unique_weight"]
    each = np.bincount(item, weight, len(rows.count_group))
    gammas = weight @ gammaln(data["count_unique_y"] + size[item]) - each @ gammaln(size)
    numpyro.factor("counts", value + gammas)


def _shares(draw: _Draw, rows: Any, at: Any, of: np.ndarray) -> None:
    width = of.shape[1]
    concentration = draw("share_concentration")
    terms = jnp.stack([draw("share_intercept"), draw("share_loading"), concentration], axis=1)
    a, b, c = (of @ terms[:width]).T
    logit = a + b * at
    yes, no = c * jax.nn.sigmoid(logit), c * jax.nn.sigmoid(-logit)
    up, down, k, n = jnp.ones_like(yes), jnp.ones_like(no), rows.share_k, rows.share_n
    total = jnp.zeros(width)
    for step in range(int(n.max(initial=0))):
        up = jnp.where(k > step, up * (yes + step), up)
        down = jnp.where(n - k > step, down * (no + step), down)
        total = total + (n > step) @ of * jnp.log(concentration[:width] + step)
    numpyro.factor("shares", (jnp.log(up) + jnp.log(down)).sum() - total.sum())


def _ladder(draw: _Draw, data: Any, at: Any, of: np.ndarray) -> None:
    some, force = draw("ladder_any"), draw("ladder_force")
    first, second = (jnp.log(p) - jnp.log1p(-p) for p in (some, some * force))
    low, high, slope = (of @ jnp.stack([first, second, draw("ladder_slope")], axis=1)).T
    low, high, level = low + slope * at, high + slope * at, data["ordinal_level"]
    # sigmoid(low) - sigmoid(high) of the middle class without loss of digits.
    middle = jnp.log(-jnp.expm1(high - low)) - jax.nn.softplus(-low) - jax.nn.softplus(high)
    edge = -jax.nn.softplus(jnp.where(level == 0, low, -high))
    numpyro.factor("ladder", jnp.where(level == 1, middle, edge).sum())


def _stocks(draw: _Draw, panel: Panel, data: Any, eta: Any) -> None:
    theatre = eta[THEATRES.index("ukraine_nato"), len(panel.months) - len(panel.stock_months) :]
    shape = (len(STOCKS), len(panel.stock_months))
    steps = normal("stock_innovation", shape)
    moves = draw("stock_step")[:, None] * steps[:, 1:] + draw("stock_drift")[:, None]
    moves = moves + draw("stock_threat")[:, None] * (theatre[:-1] - theatre[0])
    path = jnp.concatenate([draw("stock_start")[:, None], moves], axis=1) @ np.triu(np.ones((shape[1],) * 2))
    path = path + draw("stock_miss") * normal("stock_miss_innovation", shape)
    reported = path[data["stock_stock"], data["stock_month"]] + draw("stock_body")[data["stock_source"]]
    noise = draw("stock_noise")
    low, high = ((data[f"stock_{end}"] - reported) / noise for end in ("low", "high"))
    density = high + jnp.log(-jnp.expm1(low - high)) - jax.nn.softplus(high) - jax.nn.softplus(low)
    numpyro.factor("stocks", density.sum())


def _spending(draw: _Draw, data: dict[str, Any], yearly: Any) -> None:
    n, width = data["n_printed"], data["growth"].shape
    later = np.zeros((width[0], data["later_years"]))
    threat = jnp.concatenate([data["exposure"] @ yearly[:, data["first_year"] :], later], axis=1)
    mean, noise = draw("growth_mean"), draw("growth_noise")
    lag = np.subtract.outer(np.arange(width[1]), np.arange(width[1]))
    memory = np.tril(draw.constant("growth_noise_memory") ** np.maximum(lag, 0).astype(float))
    level = _centred(normal("growth_level_innovation", width) @ np.triu(np.ones((width[1],) * 2)), data)
    level = mean[:, None] + (draw("growth_drift") * noise)[:, None] * level
    quiet = _centred(normal("growth_scale_innovation", width) @ memory.T, data)
    log_unrest = draw("growth_noise_step") * quiet
    unrest = jnp.exp(log_unrest)
    scale = noise[:, None] * unrest

    df = draw.constant("revision_df")
    spread = draw("revision_scale") * draw("revision_state")
    of, step = data["revision_state"], data["revision_step"]
    each = np.bincount(of, minlength=width[0])
    value = _student_t(step / spread[of], df).sum() - each @ jnp.log(spread)
    chance, size = draw("late_revision_chance"), draw("late_revision_size")
    quiet_steps = data["late_trials"] - data["late_changed"]
    value += (data["late_changed"] * jnp.log(chance) + quiet_steps * jnp.log1p(-chance)).sum()
    value += (_student_t(data["late_size"] / size, df) - jnp.log(size)).sum()
    revision = data["revisable"] * _mixed_t("revision", df, width[:1]) * spread

    persistence, reaction, df = draw("growth_persistence"), draw("reaction"), draw.constant("growth_df")
    push = draw("gdp_slope") * data["gdp"] + draw("threat_slope")[:, None] * threat
    growth = data["growth"] + (1.0 - data["printed"]) * level + data["newest"] * revision[:, None]
    gap = growth - level
    answer = persistence[:, None] * gap + reaction * (data["rivals"] @ gap) + push
    both = data["printed"][:, 1:] * data["printed"][:, :-1]
    error = (growth - level)[:, 1:] - answer[:, :-1]
    rows = _student_t(error / scale[:, 1:], df) - log_unrest[:, 1:]
    value += (both * rows).sum() - both.sum(axis=1) @ jnp.log(noise)

    innovation = _mixed_t("growth", df, (width[0], YEARS_AHEAD))
    columns, last = [], gap[:, n - 1]
    for k in range(YEARS_AHEAD):
        last = persistence * last + reaction * (data["rivals"] @ last) + push[:, n + k - 1]
        last = last + scale[:, n + k] * innovation[:, k]
        columns.append(level[:, n + k] + last)
    forward = jnp.stack(columns, axis=1)
    ahead = _mixed_t("forward_revision", draw.constant("revision_df"), (width[0], YEARS_AHEAD))
    first_print = forward - data["revisable"] * spread[:, None] * ahead
    for kind in ("budget", "programme"):
        own = {key.removeprefix(f"{kind}_"): part for key, part in data.items() if key.startswith(kind)}
        of = own["state"]
        target = jnp.where(own["ahead"] > 0, first_print[of, own["slot"]], own["first_print"])
        wide = draw(f"{kind}_noise")[of]
        if kind == "budget":
            wide = jnp.sqrt((wide * (1.0 + own["doubt"])) ** 2 + own["half_width"] ** 2)
        else:
            wide = wide * unrest[of, own["year"]]
        error = own["value"] - target - draw(f"{kind}_bias")[of]
        value += (_student_t(error / wide, draw.constant("announcement_df")) - jnp.log(wide)).sum()
    numpyro.factor("spending", value)


def _centred(walk: Any, data: dict[str, Any]) -> Any:
    return walk - (data["weight"] * walk).sum(axis=1, keepdims=True)


def numpyro_density(panel: Panel, priors: Priors, layout: Layout) -> Density:
    """The log density of the unconstrained vector, compiled, with its gradient."""
    function = jax.jit(jax.value_and_grad(log_density(panel, priors, layout)))

    def density(vector: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = function(vector)
        return float(value), np.asarray(gradient)

    return density


def log_density(panel: Panel, priors: Priors, layout: Layout) -> Callable[[Any], Any]:
    """The same as a function of JAX."""
    from numpyro.infer.util import potential_energy

    model = numpyro_model(panel, priors)

    def value(vector: Any) -> Any:
        parts, start = {}, 0
        for name in layout.names:
            shape = layout.shapes[name]
            stop = start + int(np.prod(shape, dtype=int))
            parts[name] = vector[start:stop].reshape(shape)
            start = stop
        return -potential_energy(model, (), {}, parts)

    return value
