"""What a scenario changes besides answers to questions: risk, incidents, wars, and what it is seen by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from escalation_forecast import forecast
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.scenario.effects import Shifts
from escalation_forecast.scenario.structural import TROOPS, Ground, Outcome
from escalation_forecast.schema import THEATRE_LABELS, THEATRES
from escalation_forecast.war_paths import pushed

YEAR: Final = 12
AHEAD: Final = (6, 12, 24)  # months at which risk is read


@dataclass(frozen=True, eq=False)
class Readout:
    """A quantity of the future without and with a decision, (draw,)."""

    id: str
    title: str
    unit: str
    before: np.ndarray
    after: np.ndarray


def readouts(ground: Ground, outcome: Outcome, shifts: Shifts) -> list[Readout]:
    """All that the shifts move, in a fixed order."""
    found = [
        *_risk(ground, outcome),
        *_incidents(ground, outcome),
        *_wars(ground, outcome, shifts),
        *_growth(ground, outcome),
        *_indicators(ground, outcome, shifts),
        *_troops(ground, outcome, shifts),
        *_transfers(ground, outcome, shifts),
    ]
    return [one for one in found if not np.array_equal(one.before, one.after)]


def _risk(ground: Ground, outcome: Outcome) -> list[Readout]:
    scale = forecast.reference_scale()
    found = []
    for name in THEATRES:
        k = LATENTS.index(name)
        mean, sd = scale.loc[name, ["mean", "sd"]].to_numpy(float)
        for months in AHEAD:
            if months > len(ground.months):
                continue
            before = (ground.latents[:, k, months - 1] - mean) / sd
            after = before + outcome.latents[:, k, months - 1] / sd
            title = f"{THEATRE_LABELS[name]}: risk in {months} months"
            found.append(Readout(f"risk/{name}/{months}m", title, "sd of 2010-2019", before, after))
    return found


def _incidents(ground: Ground, outcome: Outcome) -> list[Readout]:
    found = []
    for k, name in enumerate(THEATRES):
        before, after = (chance[:, k, :YEAR].sum(axis=1) for chance in (ground.anything, outcome.anything))
        title = f"{THEATRE_LABELS[name]}: months with a threat, display or use of force, of {YEAR}"
        found.append(Readout(f"incident-months/{name}/{YEAR}m", title, "months", before, after))
    return found


def _wars(ground: Ground, outcome: Outcome, shifts: Shifts) -> list[Readout]:
    pushes = shifts.of("war")
    found = []
    for k, name in enumerate(THEATRES):
        before = war_chance(ground, k, ground.updater.war.force, ground.latents, None)
        after = war_chance(ground, k, outcome.force, ground.latents + outcome.latents, pushes.get(name))
        title = f"{THEATRE_LABELS[name]}: a war within {YEAR} months"
        found.append(Readout(f"war/{name}/{YEAR}m", title, "probability", before, after))
    return found


def war_chance(
    ground: Ground, k: int, force: np.ndarray, latents: np.ndarray, push: np.ndarray | None
) -> np.ndarray:
    """Chance (draw,) that a dyad of a theatre goes to war within a year, in closed form."""
    chain = ground.updater.war.clash
    months = min(YEAR, force.shape[2])
    draw = np.arange(len(force))
    quiet = np.ones(len(force))
    for t in range(months):
        fatal = force[:, k, t] * chain.fatal[:, k] * chain.opens
        war = np.zeros(len(force))
        for dyad in np.flatnonzero(chain.theatre == k):
            chance = chain.war_chance(np.full(len(draw), dyad), draw, latents[:, k, t])
            if push is not None:
                chance = pushed(chance, push[:, t])
            war += chain.share[:, dyad] * chance
        quiet *= 1.0 - fatal * war
    return np.asarray(1.0 - quiet)


def _growth(ground: Ground, outcome: Outcome) -> list[Readout]:
    sp = ground.panel.spending
    found = []
    if not np.any(outcome.growth):
        return []
    prints = ground.paths["growth_print"]
    for state in sp.states:
        for year in prints["year"].to_numpy():
            more = outcome.growth[:, sp.states.index(state), int(year) - int(sp.years[0])]
            if year <= sp.last_printed or not np.any(more):
                continue
            before = prints.sel(state=state, year=year, age=0).to_numpy().ravel().astype(float)
            after = 100.0 * ((1.0 + before / 100.0) * np.exp(more / 100.0) - 1.0)
            title = f"{state}: real growth of military spending {year}, first print"
            found.append(Readout(f"growth/{state}/{year}", title, "per cent", before, after))
    return found


def _indicators(ground: Ground, outcome: Outcome, shifts: Shifts) -> list[Readout]:
    """Mean of the months of a year; a count's rate moves by a factor, a share's odds do."""
    stored = ground.paths["indicator_level"]
    gains = ground.news_gain(shifts, outcome.latents)
    direct = shifts.of("indicator")
    log = ground.panel.items["reading"]["log"]
    found = []
    for name in map(str, stored["indicator"].to_numpy()):
        levels = stored.sel(indicator=name).transpose("chain", "draw", "month").to_numpy()
        before = levels.reshape(ground.draws.n, -1)[:, :YEAR].astype(float)
        if name in gains:
            gain = gains[name][:, :YEAR]
            after = before * np.exp(gain) if log[name] else before + gain
        else:
            pushed_by = _count_gain(ground, name, outcome.latents)
            if pushed_by is None:
                after = _share(ground, name, before, outcome.latents, direct.get(name))
            else:
                after = before * np.exp(pushed_by[:, :YEAR] + _first(direct.get(name)))
        # What a share or a standardised mean gives is in its own unit already.
        title = f"{name}: mean of the next {YEAR} months"
        found.append(Readout(f"indicator/{name}/{YEAR}m", title, "own unit", before.mean(1), after.mean(1)))
    return found


def _first(direct: np.ndarray | None) -> np.ndarray | float:
    return 0.0 if direct is None else direct[:, :YEAR]


def _count_gain(ground: Ground, name: str, added: np.ndarray) -> np.ndarray | None:
    items = ground.panel.items["count"]
    if name not in items.index:
        return None
    group = items["group_index"].to_numpy(int)[list(items.index).index(name)]
    loading = ground.draws["count_loading"][:, group][:, None]
    return np.asarray(loading * added[:, LATENTS.index(str(items.loc[name, "theatre"]))])


def _share(
    ground: Ground, name: str, before: np.ndarray, added: np.ndarray, direct: np.ndarray | None
) -> np.ndarray:
    """Expected number that act: the log-odds of the stored number move."""
    items = ground.panel.items["share"]
    if name not in items.index:
        return before
    position = list(items.index).index(name)
    k = LATENTS.index(str(items.loc[name, "theatre"]))
    more = ground.draws["share_loading"][:, [position]] * added[:, k, :YEAR] + _first(direct)
    if not np.any(more):
        return before
    base = ground.draws["share_intercept"][:, [position]]
    logits = base + ground.draws["share_loading"][:, [position]] * ground.latents[:, k, :YEAR]
    # The stored number is drawn from its chance; what it gains is the change of the chance.
    trials = ground.panel.exposures[name].iloc[-36:].max()
    return np.asarray(before + trials * (expit(logits + more) - expit(logits)))


def _troops(ground: Ground, outcome: Outcome, shifts: Shifts) -> list[Readout]:
    if TROOPS not in ground.paths:
        return []
    gain = ground.troops(shifts, outcome.latents)
    months = min(YEAR, gain.shape[1])
    stored = ground.paths[TROOPS].transpose("chain", "draw", "month").to_numpy()
    before = stored.reshape(ground.draws.n, -1)[:, months - 1].astype(float)
    title = f"North Korean troops in Russia in {months} months, thousand"
    return [
        Readout(
            f"troops/{months}m", title, "thousand", before / 1e3, before * np.exp(gain[:, months - 1]) / 1e3
        )
    ]


def _transfers(ground: Ground, outcome: Outcome, shifts: Shifts) -> list[Readout]:
    """Chance of a recorded delivery in the first full calendar year ahead."""
    items = ground.panel.items["reading"]
    pairs = list(items.index[items["family"] == "transfer"])
    direct = shifts.of("transfer")
    year = int(ground.months[0].year) + (ground.months[0].month > 1)
    here = ground.months.year == year
    found = []
    for name, one in direct.items():
        position, d = pairs.index(name), ground.draws
        k = LATENTS.index(str(items.loc[name, "theatre"]))
        odds = d["hurdle_intercept"][:, position] + d["hurdle_loading"] * _three_years(ground, k, year)
        before, after = expit(odds), expit(odds + one[:, here].mean(axis=1))
        title = f"{name.removeprefix('transfer_')}: a recorded delivery of major arms in {year}"
        found.append(Readout(f"transfer/{name}/{year}", title, "probability", before, after))
    return found


def _three_years(ground: Ground, k: int, year: int) -> np.ndarray:
    """Mean risk of the three years before, most of which lie before the decision."""
    inside = (ground.panel.months.year >= year - 3) & (ground.panel.months.year < year)
    return np.asarray(ground.past[:, k, inside].mean(axis=1))
