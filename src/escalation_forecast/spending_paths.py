"""Future growth of military spending as it will be printed, draw by draw.

A question on spending resolves on the first release that covers a year, and a rule over several
years reads all of them from that release; so the simulated object is the print of year ``y - age``
in the release that first covers ``y``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from escalation_forecast.draws import Draws, student_t
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors
from escalation_forecast.schema import THEATRES
from escalation_forecast.spending_panel import LATE_AGES, YEARS_AHEAD, SpendingPanel
from escalation_forecast.spending_simple import MIN_GROWTH, mixture

FIRST_SHOWN = 2009
AGES = 6
RELEASE_MONTH, RELEASE_DAY = 4, 30


@dataclass(frozen=True)
class SpendingPaths:
    """``prints`` (sample, state, year, age) and ``true`` (sample, state, year), simple growth in per cent."""

    years: np.ndarray
    prints: np.ndarray
    true: np.ndarray


def last_year_printed_within(as_of: pd.Timestamp, horizon: int) -> int:
    """Last year whose first release comes out within the horizon (releases appear by the end of April)."""
    end = as_of + pd.DateOffset(months=horizon)
    released = pd.Timestamp(end.year, RELEASE_MONTH, RELEASE_DAY) <= end
    return int(end.year - 1 if released else end.year - 2)


def spending_paths(
    panel: Panel,
    draws: Draws,
    priors: Priors,
    eta: np.ndarray,
    horizon: int,
    rng: np.random.Generator,
    weight: float = 1.0,
) -> SpendingPaths:
    """Simulate prints and true growth up to the last year printed within the horizon.

    Parameters
    ----------
    weight : share of draws that stay the model's own; see `pooled`.
    """
    # A stream of its own: draws that stay are the same with any weight.
    (other,) = rng.spawn(1)
    sp = panel.spending
    last = max(last_year_printed_within(panel.as_of, horizon), sp.last_printed)
    yearly = eta[:, :-1].reshape(draws.n, len(THEATRES), -1, 12).mean(axis=3)
    threat = np.einsum("ik,skt->sit", sp.exposure, yearly)[:, :, sp.years[0] - panel.years[0] :]
    return pooled(sp, print_paths(sp, draws, priors, threat, last, rng), weight, other)


def pooled(sp: SpendingPanel, paths: SpendingPaths, weight: float, rng: np.random.Generator) -> SpendingPaths:
    """Put paths of the mixture of simple methods in the place of a share of the draws, in the years ahead.

    They start from the newest release as printed and have no revisions, as in the backtest that the weight
    was learned in. A state with fewer than eight unbroken years up to the last print keeps its own draws.

    Parameters
    ----------
    weight : share of draws that stay as they are.
    """
    n = len(paths.prints)
    # In random order, so that no chain has more of one method than another.
    chosen = rng.permutation(n)[: round((1.0 - weight) * n)]
    growth, ahead = known_growth(sp), paths.years[paths.years > sp.last_printed]
    if not (len(chosen) and growth and len(ahead)):
        return paths
    rows = [sp.states.index(state) for state in growth]
    prints, true = paths.prints.copy(), paths.true.copy()
    drawn = _simple(mixture(growth, rng, len(chosen), len(ahead)))
    for year in ahead:
        position = int(year - paths.years[0])
        true[np.ix_(chosen, rows, [position])] = drawn[:, :, [year - ahead[0]]]
        for age in range(AGES):
            at = int(year - age - ahead[0])
            if at >= 0:
                prints[np.ix_(chosen, rows, [position], [age])] = drawn[:, :, [at], None]
            else:
                printed = _simple(np.array([known[at] for known in growth.values()]))
                prints[np.ix_(chosen, rows, [position], [age])] = printed[:, None, None]
    return replace(paths, prints=prints, true=true)


def known_growth(sp: SpendingPanel) -> dict[str, np.ndarray]:
    """By state, growth in the newest release: the unbroken years to the last one; eight or more."""
    newest = sp.prints[sp.prints["release"] == sp.release].sort_values("year")
    out = {}
    for state in sp.states:
        own = newest[newest["state"] == state]
        years, values = own["year"].to_numpy(int), own["growth"].to_numpy(float)
        if not len(years) or years[-1] != sp.last_printed:
            continue
        breaks = np.flatnonzero(np.diff(years) != 1)
        run = values[breaks[-1] + 1 :] if len(breaks) else values
        if len(run) >= MIN_GROWTH:
            out[state] = run
    return out


def print_paths(
    sp: SpendingPanel, draws: Draws, priors: Priors, threat: np.ndarray, last: int, rng: np.random.Generator
) -> SpendingPaths:
    """Prints and true growth up to the year ``last``.

    Parameters
    ----------
    threat : (sample, state, year) risk that states are exposed to, from the panel's first year on; used
        beyond the years that the model samples.
    """
    first = max(FIRST_SHOWN, int(sp.years[0]))
    years = np.arange(min(first, sp.last_printed), last + 1)
    true, first_print = _growth(sp, draws, priors, threat, last, rng)
    table = _print_table(sp, draws, priors, true, first_print, last, rng)
    n_years = len(years)
    prints = np.full((draws.n, len(sp.states), n_years, AGES), np.nan)
    history = _history(sp, years)
    for position, year in enumerate(years):
        for age in range(AGES):
            if year <= sp.last_printed:
                prints[:, :, position, age] = history[:, position, age]
            else:
                prints[:, :, position, age] = table[int(year)][:, :, year - age - sp.years[0]]
    return SpendingPaths(years, _simple(prints), _simple(true[:, :, years[0] - sp.years[0] :]))


def _simple(growth: np.ndarray) -> np.ndarray:
    return np.asarray(100.0 * np.expm1(np.clip(growth, -200.0, 200.0) / 100.0))


def _growth(
    sp: SpendingPanel, draws: Draws, priors: Priors, threat: np.ndarray, last: int, rng: np.random.Generator
) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """True growth (sample, state, year from the panel's first year to ``last``) and first prints ahead."""
    n, shape = sp.n_printed, (draws.n, len(sp.states))
    level, scale = (draws[name][:, :, : n + YEARS_AHEAD] for name in ("growth_level", "growth_scale"))
    printed = sp.printed[:, :n]
    out = np.where(printed, sp.growth[:, :n], level[:, :, :n])
    out[:, :, -1] += draws["revision"] * printed[:, -1]
    sampled, sampled_print = draws["growth"], draws["first_print"]
    sampled = sampled.copy()
    first_print = {sp.last_printed + 1 + k: sampled_print[:, :, k].copy() for k in range(YEARS_AHEAD)}
    # The sampler's grid of risk ends with the year of as_of: what it lacks of the last year is added here.
    for k in range(YEARS_AHEAD):
        column = n + k - 1
        if sp.years[column] > sp.years[-1] - YEARS_AHEAD and column < threat.shape[2]:
            push = draws["threat_slope"] * threat[:, :, column]
            sampled[:, :, k] += push
            first_print[sp.last_printed + 1 + k] += push
    out = np.concatenate([out, sampled[:, :, : max(last - sp.last_printed, 0)]], axis=2)
    if last <= sp.last_printed + YEARS_AHEAD:
        return out, first_print

    df, revision_df = (float(priors[name].array("value")) for name in ("growth_df", "revision_df"))
    memory = float(priors["growth_noise_memory"].array("value"))
    drift = draws["growth_drift"][:, None] * draws["growth_noise"]
    revision_scale = sp.revisable * draws["revision_scale"][:, None] * draws["revision_state"]
    now, wide = level[:, :, -1], np.log(scale[:, :, -1] / draws["growth_noise"])
    for year in range(sp.last_printed + YEARS_AHEAD + 1, last + 1):
        gap = out[:, :, -1] - now
        now = now + drift * rng.standard_normal(shape)
        # Of the walk's place around its mean over the printed years only the memory of today's is known.
        wide = memory * wide + draws["growth_noise_step"][:, None] * rng.standard_normal(shape)
        value = (
            now
            + draws["growth_persistence"] * gap
            + draws["threat_slope"] * threat[:, :, year - 1 - sp.years[0]]
            + draws["reaction"][:, None] * (gap @ sp.rivals.T)
            + draws["growth_noise"] * np.exp(wide) * student_t(rng, df, shape)
        )
        first_print[year] = value - revision_scale * student_t(rng, revision_df, shape)
        out = np.concatenate([out, value[:, :, None]], axis=2)
    return out, first_print


def _print_table(
    sp: SpendingPanel,
    draws: Draws,
    priors: Priors,
    true: np.ndarray,
    first_print: dict[int, np.ndarray],
    last: int,
    rng: np.random.Generator,
) -> dict[int, np.ndarray]:
    """For every year ahead: growth (sample, state, year) as printed in the release that first covers it.

    After its first revision a figure changes again with a small chance that falls with its age.
    """
    df = float(priors["revision_df"].array("value"))
    chance, size = draws["late_revision_chance"], draws["late_revision_size"][:, None]
    first_year = sp.years[0]
    current = true.copy()
    table = {}
    for year in range(sp.last_printed + 1, last + 1):
        for age in LATE_AGES:
            column = year - age - first_year
            if column >= 0:
                changed = rng.random((draws.n, len(sp.states))) < chance[:, [LATE_AGES.index(age)]]
                step = size * student_t(rng, df, (draws.n, len(sp.states)))
                current[:, :, column] += changed * step
        second = year - 1 - first_year
        current[:, :, second] = true[:, :, second]
        current[:, :, year - first_year] = first_print[year]
        table[year] = current.copy()
    return table


def _history(sp: SpendingPanel, years: np.ndarray) -> np.ndarray:
    """Growth (state, year, age) in the earliest release held that covers a year; NaN where missing."""
    out = np.full((len(sp.states), len(years), AGES), np.nan)
    real = sp.prints[~sp.prints["pseudo"]]
    held = real if len(real) else sp.prints
    releases = sorted(held["release_year"].unique())
    by_release = {
        release: frame.pivot(index="state", columns="year", values="growth").reindex(list(sp.states))
        for release, frame in held.groupby("release_year")
    }
    for position, year in enumerate(years):
        covering = [release for release in releases if release > year]
        if not covering:
            continue
        table = by_release[covering[0]]
        for age in range(AGES):
            if year - age in table.columns:
                out[:, position, age] = table[year - age].to_numpy()
    return out
