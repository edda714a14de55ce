"""Prior and posterior predictive checks."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.replicate import Replicate, replicates
from escalation_forecast.schema import CORE_FOUR, THEATRES
from escalation_forecast.store import Store

THINNED: Final = 500
PRIOR_DRAWS: Final = 500
LEVELS: Final = (0.5, 0.8)
GROWTH_RANGE: Final = (-40.0, 60.0)
HORIZON: Final = 36


def thinned(posterior: xr.Dataset, n: int = THINNED) -> Draws:
    """About ``n`` draws, spread over the chains."""
    step = max(1, posterior.sizes["chain"] * posterior.sizes["draw"] // n)
    return Draws(posterior.isel(draw=slice(None, None, step)))


def position_in(y: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where each figure lies in its draws (sample, row), 0 to 1; ties are broken at random."""
    below, tied = (drawn < y).mean(axis=0), (drawn == y).mean(axis=0)
    return np.asarray(below + rng.random(len(y)) * tied)


def coverage(position: np.ndarray, level: float) -> float:
    """Share of figures inside the central interval of that level."""
    return float((np.abs(position - 0.5) <= level / 2.0).mean())


def posterior_check(panel: Panel, posterior: xr.Dataset, seed: int = 3) -> pd.DataFrame:
    """Observed against replicated, by item."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame([_row(one, rng) for one in replicates(panel, thinned(posterior), rng)])


def _row(one: Replicate, rng: np.random.Generator) -> dict[str, Any]:
    statistics = {"mean": _mean, "p95": _high}
    if one.discrete:
        statistics["zeros"] = _zeros
    row: dict[str, Any] = {"item": one.item, "block": one.block, "n": len(one.y)}
    for name, statistic in statistics.items():
        drawn = statistic(one.whole)
        row[name] = float(statistic(one.y[None])[0])
        row[f"{name}_low"], row[f"{name}_high"] = np.quantile(drawn, [0.1, 0.9])
        row[f"{name}_p"] = float((drawn <= row[name]).mean() - 0.5 * (drawn == row[name]).mean())
    where = position_in(one.y, one.one_step, rng)
    return row | {f"within_{round(100 * level)}": coverage(where, level) for level in LEVELS}


def _mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(axis=1))


def _high(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.quantile(values, 0.95, axis=1))


def _zeros(values: np.ndarray) -> np.ndarray:
    return np.asarray((values == 0).mean(axis=1))


def print_check(panel: Panel, priors: Priors, posterior: xr.Dataset, seed: int = 4) -> pd.DataFrame:
    """First prints of growth against the model's draws from the year before, by state.

    In sample: parameters, levels and risk have seen the print, and the growth of the year before is the
    newest figure and not the one known then. Budgets are left out.
    """
    rng, draws, sp = np.random.default_rng(seed), thinned(posterior), panel.spending
    df, revision_df = (float(priors[name].array("value")) for name in ("growth_df", "revision_df"))
    yearly = draws["eta"][:, :-1].reshape(draws.n, len(THEATRES), -1, 12).mean(axis=3)
    threat = np.einsum("ik,skt->sit", sp.exposure, yearly)[:, :, sp.years[0] - panel.years[0] :]
    level = draws["growth_level"]
    growth = np.where(sp.printed, sp.growth, level)
    prints = sp.prints[(sp.prints["age"] == 1) & (~sp.prints["pseudo"])]
    scale = draws["revision_scale"][:, None] * draws["revision_state"]
    rows = []
    for year in sorted(set(prints["year"])):
        figures = prints[prints["year"] == year]
        y = int(year - sp.years[0])
        gap = growth[:, :, y - 1] - level[:, :, y - 1]
        drawn = (
            level[:, :, y]
            + draws["growth_persistence"] * gap
            + draws["threat_slope"] * threat[:, :, y - 1]
            + draws["reaction"][:, None] * (gap @ sp.rivals.T)
            + draws["gdp_slope"][..., None] * sp.gdp[:, y - 1]
            + draws["growth_scale"][:, :, y] * student_t(rng, df, (draws.n, len(sp.states)))
            - scale * student_t(rng, revision_df, (draws.n, len(sp.states)))
        )
        for state, value in zip(figures["state"], figures["growth"], strict=True):
            column = drawn[:, sp.states.index(state)]
            where = position_in(np.array([value]), column[:, None], rng)[0]
            rows.append(
                {"state": state, "year": int(year), "error": value - np.median(column), "where": where}
            )
    return pd.DataFrame(rows)


def print_coverage(checked: pd.DataFrame) -> pd.DataFrame:
    """Coverage of one-year-ahead intervals by group of states."""
    core = checked["state"].isin(CORE_FOUR)
    groups = {"China, Japan, South Korea, Taiwan": core, "the other ten": ~core, "all": core | True}
    return pd.DataFrame(
        [
            {
                "states": name,
                "n": int(mine.sum()),
                **{
                    f"within_{round(100 * p)}": coverage(checked["where"][mine].to_numpy(), p) for p in LEVELS
                },
                "above_median": float((checked["error"][mine] > 0).mean()),
                "mean_absolute_error": float(checked["error"][mine].abs().mean()),
            }
            for name, mine in groups.items()
        ]
    )


def prior_check(store: Store, panel: Panel, priors: Priors, seed: int = 6) -> pd.DataFrame:
    """What the priors alone say, against the bounds set in advance."""
    from escalation_forecast.elicit.prior_paths import prior_posterior
    from escalation_forecast.forecast import simulate

    prior = prior_posterior(panel, priors, PRIOR_DRAWS, 5)
    rng = np.random.default_rng(seed)
    rows = []
    for one in replicates(panel, Draws(prior), rng):
        if one.block != "count":
            continue
        beyond = one.whole > 10.0 * one.y.max()
        rows.append(
            {
                "check": f"{one.item}: months above ten times the highest ever",
                "value": 100.0 * beyond.mean(),
                "also": f"in {100.0 * beyond.any(axis=1).mean():.0f} % of draws some month is",
                "bound": "1 % of months",
                "passed": bool(beyond.mean() <= 0.01),
            }
        )
    paths = simulate(panel, prior, priors, HORIZON, seed)
    low, high = GROWTH_RANGE
    growth = paths["growth_print"].sel(age=0).isel(year=paths["year"].values > panel.spending.last_printed)
    inside = (growth >= low) & (growth <= high)
    rows.append(
        {
            "check": "growth of spending, all states, first prints 2026 to 2028, inside -40 to 60 %",
            "value": 100.0 * float(inside.mean()),
            "also": f"worst state {100.0 * float(inside.mean(['chain', 'draw', 'year']).min()):.1f} %",
            "bound": "at least 99 %",
            "passed": bool(inside.mean() >= 0.99),
        }
    )
    found = {name: p for name, p, _ in headlines(store, paths) if name.startswith("regional build-up")}
    rule = found["regional build-up, any"]
    rows.append(
        {
            "check": "regional build-up in some year of 2026 to 2028",
            "value": 100.0 * rule,
            "also": ", ".join(f"{k.split(', ')[1]} {100.0 * p:.0f} %" for k, p in found.items()),
            "bound": "10 to 90 %",
            "passed": bool(0.1 <= rule <= 0.9),
        }
    )
    return pd.DataFrame(rows)


def headlines(store: Store, paths: xr.Dataset) -> list[tuple[str, float, float]]:
    """The probabilities that people will quote: name, probability, Monte Carlo error."""
    from escalation_forecast.questions import evaluate, load_questions

    wanted = [q for q in load_questions() if q.id in ("arms-race-regional", "use-of-force")]
    found = []
    for answer in evaluate(wanted, paths, store):
        parts = answer.item.id.split("/")
        if answer.probability is None:
            continue
        if parts[0] == "arms-race-regional" and not parts[1].startswith("all"):
            name = f"regional build-up, {'any' if parts[1].startswith('any') else parts[1]}"
        elif parts[-1] == "12m":
            name = f"use of force in 12 months, {parts[1]}"
        else:
            continue
        found.append((name, float(answer.probability), float(answer.mcse or np.nan)))
    return found
