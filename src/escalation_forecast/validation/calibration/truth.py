"""Parameters from their priors, and latents and spending that follow from them, in plain numpy.

Written from the equations and not from the program: nothing here is shared with the kernels, the graph or
the forecast. Everything runs on over the months of the horizon, which is where outcomes are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from escalation_forecast.draws import prior_sample
from escalation_forecast.panel import STOCKS
from escalation_forecast.pooling import shifted
from escalation_forecast.prior_spec import bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import LATE_AGES, YEARS_AHEAD, SpendingPanel
from escalation_forecast.validation.calibration.reduced import CENTRED_MONTHS, Template

Coords = Mapping[str, Sequence[Any]]
Values = dict[str, np.ndarray]
# Target, source: last month's risk of the one moves the other.
LINKS: Final = (
    ("korea", "ukraine_nato"),
    ("taiwan", "south_china_sea"),
    ("east_china_sea", "taiwan"),
)
FIRST_GROWTH: Final = 3.0  # of the first year, on which the model conditions


@dataclass
class Truth:
    """What is known to be true.

    Attributes
    ----------
    values : parameters and the latent quantities that a fit keeps, on the calendar of the fit.
    free : the values of what the sampler moves, before transforms.
    eta : (latent, month) to the end of the horizon.
    log_stock : (stock, report month) to the end of the horizon.
    growth : (state, year) true growth to the last year ahead.
    first_print : (state, year), of the years that have one.
    first_revision : (state, year), zero in the first year.
    """

    values: Values = field(default_factory=dict)
    free: Values = field(default_factory=dict)
    eta: np.ndarray = field(default_factory=lambda: np.zeros(0))
    log_stock: np.ndarray = field(default_factory=lambda: np.zeros(0))
    growth: np.ndarray = field(default_factory=lambda: np.zeros(0))
    first_print: np.ndarray = field(default_factory=lambda: np.zeros(0))
    first_revision: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]


def draw_truth(template: Template, priors: Priors, coords: Coords, rng: np.random.Generator) -> Truth:
    """Everything up to the observations."""
    truth = Truth()
    draw_parameters(truth, priors, coords, rng)
    draw_latents(truth, template, constant(priors, "innovation_df"), rng)
    draw_stocks(truth, template, rng)
    draw_spending(truth, template, priors, rng)
    return truth


def constant(priors: Priors, name: str) -> float:
    """A number that the priors hold fixed."""
    return float(priors[name].array("value"))


def draw_parameters(truth: Truth, priors: Priors, coords: Coords, rng: np.random.Generator) -> None:
    """One draw of every prior whose dims the model has."""
    for name, spec in priors.items():
        if not set(spec.dims) <= set(coords):
            continue
        labels = {dim: [str(label) for label in coords[dim]] for dim in spec.dims}
        if spec.pooling == "none":
            value = prior_sample(rng, spec, 1, labels)[0]
            if spec.family != "Fixed":
                truth.free[name] = value
        else:
            alone = replace(spec, pooling="none", spread=0.0, dims=())
            common = prior_sample(rng, alone, 1)[0]
            steps = rng.standard_normal([len(labels[dim]) for dim in spec.dims])
            value = shifted(common, spec.spread * steps, *bounds_of(spec.support, name))
            truth.free |= {f"{name}_common": common, f"{name}_innovation": steps}
            truth.values[f"{name}_common"] = np.asarray(common)
        truth.values[name] = np.asarray(value, float)


def unit_t(rng: np.random.Generator, df: float, shape: tuple[int, ...]) -> np.ndarray:
    """Student-t numbers of unit variance, as normal ones over the root of a chi-squared one."""
    return rng.standard_normal(shape) / np.sqrt(rng.chisquare(df, shape) / (df - 2.0))


def draw_latents(truth: Truth, template: Template, df: float, rng: np.random.Generator) -> None:
    """Risk: a theatre's own and the world's autoregression, a slow level, and what spills over."""
    months, years = len(template.later.months), len(template.later.years)
    grid, grid_years = len(template.now.months), len(template.now.years)
    n = len(THEATRES)
    z = unit_t(rng, df, (n + 1, months))
    steps = rng.standard_normal((n, years + 1))
    phi = np.append(truth["phi"], truth["phi_global"])
    path = autoregression(z, phi)
    knots = truth["slow_step"] * np.cumsum(steps, axis=1)
    at = np.arange(months) / 12.0
    level = np.array([np.interp(at, np.arange(years + 1), row) for row in knots])
    scale = np.append(1.0, truth["theatre_scale"])[:, None]
    share = truth["global_share"][:, None]
    theatre = scale * (np.sqrt(share) * path[n] + np.sqrt(1.0 - share) * path[:n]) + level
    theatre = with_spillovers(theatre, truth["spillover"])
    eta = np.vstack([theatre, path[n]])
    centre = eta[:, :CENTRED_MONTHS].mean(axis=1)
    truth.eta = eta - centre[:, None]
    truth.free |= {"innovation": z[:, :grid], "slow_innovation": steps[:, : grid_years + 1]}
    truth.values |= {
        "eta": truth.eta[:, :grid],
        "centre": centre,
        "last_path": path[:, grid - 1],
        "next_level": knots[:, grid_years],
    }


def autoregression(z: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Stationary first-order paths of unit variance from their first month on."""
    path = np.empty_like(z)
    path[:, 0] = z[:, 0]
    for t in range(1, z.shape[1]):
        path[:, t] = phi * path[:, t - 1] + np.sqrt(1.0 - phi**2) * z[:, t]
    return path


def with_spillovers(theatre: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Add what each link carries, one after the other; the first month carries its own."""
    out = theatre.copy()
    for (target, source), one in zip(LINKS, strength, strict=True):
        at = out[THEATRES.index(source)]
        out[THEATRES.index(target)] += one * np.concatenate([at[:1], at[:-1]])
    return out


def draw_stocks(truth: Truth, template: Template, rng: np.random.Generator) -> None:
    """Reported stocks: random walks of the logarithm that risk pushes."""
    reported, later = len(template.now.stock_months), len(template.later.stock_months)
    first = len(template.later.months) - later
    risk = truth.eta[THEATRES.index("ukraine_nato"), first:]
    steps = rng.standard_normal((len(STOCKS), later))
    path = np.empty((len(STOCKS), later))
    path[:, 0] = truth["stock_start"]
    for t in range(1, later):
        push = truth["stock_drift"] + truth["stock_threat"] * (risk[t - 1] - risk[0])
        path[:, t] = path[:, t - 1] + push + truth["stock_step"] * steps[:, t]
    truth.log_stock = path
    truth.values["log_stock"] = path[:, :reported]
    miss = rng.standard_normal((len(STOCKS), reported))
    truth.free |= {"stock_innovation": steps[:, :reported], "stock_miss_innovation": miss}
    truth.values["stock_reported"] = path[:, :reported] + truth["stock_miss"] * miss


def _mixed(rng: np.random.Generator, df: float, shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Student-t numbers, and the normal ones and the precisions that they are made of."""
    normal, precision = rng.standard_normal(shape), rng.chisquare(df, shape) / df
    return normal / np.sqrt(precision), normal, precision


def draw_spending(truth: Truth, template: Template, priors: Priors, rng: np.random.Generator) -> None:
    """True growth year by year, and the first prints of the years that have one."""
    sp = template.now.spending
    n, states = sp.n_printed, len(sp.states)
    df, revision_df = constant(priors, "growth_df"), constant(priors, "revision_df")
    level, scale = _walks(truth, sp, constant(priors, "growth_noise_memory"), rng)
    years = len(template.later.years)
    threat = sp.exposure @ truth.eta[:-1].reshape(len(THEATRES), years, 12).mean(axis=2)
    ahead, normal, precision = _mixed(rng, df, (states, YEARS_AHEAD))
    truth.free |= {"growth_innovation": normal, "growth_precision_innovation": precision}
    shocks = np.hstack([rng.standard_t(df, (states, n)), ahead])
    growth = np.empty((states, n + YEARS_AHEAD))
    growth[:, 0] = FIRST_GROWTH
    for t in range(1, n + YEARS_AHEAD):
        gap = growth[:, t - 1] - level[:, t - 1]
        growth[:, t] = (
            level[:, t]
            + truth["growth_persistence"] * gap
            + truth["reaction"] * (sp.rivals @ gap)
            + truth["gdp_slope"] * sp.gdp[:, t - 1]
            + truth["threat_slope"] * threat[:, t - 1]
            + scale[:, t] * shocks[:, t]
        )
    revision_scale = truth["revision_scale"] * truth["revision_state"]
    newest, normal, precision = _mixed(rng, revision_df, (states,))
    truth.free |= {"revision_innovation": normal, "revision_precision_innovation": precision}
    later, normal, precision = _mixed(rng, revision_df, (states, YEARS_AHEAD))
    truth.free |= {
        "forward_revision_innovation": normal,
        "forward_revision_precision_innovation": precision,
    }
    seen = rng.standard_t(revision_df, (states, n - 1))
    seen[:, 0] = 0.0
    revision = revision_scale[:, None] * np.hstack([seen, newest[:, None], later])
    truth.growth, truth.first_revision, truth.first_print = growth, revision, growth - revision
    # What the sampler has of the last year ahead lacks the risk beyond its calendar.
    sampled = slice(n, n + YEARS_AHEAD)
    beyond = np.zeros((states, YEARS_AHEAD))
    for k in range(YEARS_AHEAD):
        if n + k - 1 >= len(template.now.years):
            beyond[:, k] = truth["threat_slope"] * threat[:, n + k - 1]
    truth.values |= {
        "growth_level": level,
        "growth_scale": scale,
        "revision": revision[:, n - 1],
        "growth": growth[:, sampled] - beyond,
        "first_print": truth.first_print[:, sampled] - beyond,
    }


def _walks(
    truth: Truth, sp: SpendingPanel, memory: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A state's usual growth and the scale of its surprises, (state, year)."""
    shape = (len(sp.states), len(sp.years))
    steps, quiet_steps = rng.standard_normal(shape), rng.standard_normal(shape)
    truth.free |= {"growth_level_innovation": steps, "growth_scale_innovation": quiet_steps}
    quiet = quiet_steps.copy()
    for t in range(1, shape[1]):
        quiet[:, t] += memory * quiet[:, t - 1]
    n = sp.n_printed
    walk = np.cumsum(steps, axis=1)
    walk -= walk[:, :n].mean(axis=1, keepdims=True)
    quiet -= quiet[:, :n].mean(axis=1, keepdims=True)
    noise = truth["growth_noise"][:, None]
    level = truth["growth_mean"][:, None] + truth["growth_drift"] * noise * walk
    return level, noise * np.exp(truth["growth_noise_step"] * quiet)


def print_table(truth: Truth, sp: SpendingPanel, priors: Priors, rng: np.random.Generator) -> np.ndarray:
    """Growth (state, release ahead, year) as printed in the release that first covers each year ahead."""
    df = constant(priors, "revision_df")
    n, current = sp.n_printed, truth.growth.copy()
    out = []
    for newest in range(n, n + YEARS_AHEAD):
        for position, age in enumerate(LATE_AGES):
            chance = truth["late_revision_chance"][position]
            changed = rng.random(len(sp.states)) < chance
            step = truth["late_revision_size"] * rng.standard_t(df, len(sp.states))
            current[:, newest - age] += changed * step
        shown = current.copy()
        shown[:, newest - 1] = truth.growth[:, newest - 1]
        shown[:, newest] = truth.first_print[:, newest]
        out.append(shown)
    return np.stack(out, axis=1)
