"""Where the probabilities of war come from: the steps of the chain, and how much is prior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from escalation_forecast.questions import Answer, draws
from escalation_forecast.schema import THEATRE_LABELS, THEATRES
from escalation_forecast.war_chain import Loosen
from escalation_forecast.war_paths import FATAL, MATERIAL, WAR, Chains

RULES: Final = ("fatal-clash", "interstate-war", "war-joining", "wider-war")
LOOSENED: Final[tuple[Loosen, ...]] = ("discount", "slope", "base")
YEAR: Final = 12
# Largest change of a probability, as a share of it, when one prior is loosened.
MIXED, PRIOR_DRIVEN = 0.1, 1 / 3


def prior_shares(
    answers: Sequence[Answer], loosened: Callable[[Loosen], xr.Dataset]
) -> dict[str, dict[str, Any]]:
    """Probability of every question about war when one prior weighs less, by id.

    Parameters
    ----------
    loosened : simulated clashes and joiners with that prior loosened and the same chance events.

    Returns
    -------
    dict
        ``discount``, ``slope``, ``base``: the probability with it; ``change``: the largest change as a
        share of the probability (None where that is zero); ``label``: data-driven below a tenth, mixed,
        prior-driven from a third.
    """
    asked = [answer for answer in answers if answer.item.rule.name in RULES]
    if not asked:
        return {}
    found: dict[str, dict[str, Any]] = {answer.item.id: {} for answer in asked}
    for name in LOOSENED:
        paths = loosened(name)
        for answer in asked:
            found[answer.item.id][name] = float(draws(answer.item, paths).mean())
    for answer in asked:
        own, p = found[answer.item.id], answer.probability
        change = max(abs(own[name] - p) for name in LOOSENED) / p if p else None
        own |= {"change": change, "label": label(change)}
    return found


def label(change: float | None) -> str:
    """The plain word for a change."""
    if change is None or change >= PRIOR_DRIVEN:
        return "prior-driven"
    return "mixed" if change >= MIXED else "data-driven"


def theatre_steps(chains: Chains, paths: xr.Dataset) -> list[dict[str, Any]]:
    """Each theatre's way from use of force to war within a year, or the horizon if that is shorter.

    Returns
    -------
    list of dict
        theatre, label, months; chances of at least one in that time: ``force``, ``fatal``, ``material``,
        ``war``; and the steps between: ``fatal_given_force`` (a month with force), ``war_given_fatal`` (a
        deadly clash, at the risk and restraint of the months in which they are expected).
    """
    months = min(YEAR, len(chains.months))
    clash = paths["clash"].isel(future_month=slice(0, months)).max("future_month")
    chain, found = chains.clash, []
    every = np.arange(len(chain.slope))
    for k, theatre in enumerate(THEATRES):
        here = np.flatnonzero(chain.theatre == k)
        level = clash.isel(dyad=here).max("dyad")
        force = chains.force[:, k, :months]
        weight = (force.mean(axis=1) * chain.fatal[:, k])[:, None] * chain.share[:, here]
        risk = (force * chains.latents[:, k, :months]).sum(axis=1) / force.sum(axis=1)
        chance = np.stack([chain.war_chance(np.full(len(every), d), every, risk) for d in here], axis=1)
        found.append(
            {
                "theatre": theatre,
                "label": THEATRE_LABELS[theatre],
                "months": months,
                "force": float(1.0 - np.prod(1.0 - force, axis=1).mean()),
                "fatal_given_force": float(chain.fatal[:, k].mean()),
                "fatal": float((level >= FATAL).mean()),
                "material": float((level >= MATERIAL).mean()),
                "war_given_fatal": float((weight * chance).sum() / weight.sum()),
                "war": float((level >= WAR).mean()),
            }
        )
    return found


def joining_steps(chains: Chains, paths: xr.Dataset) -> dict[str, Any] | None:
    """From any state joining the war to one of those named, within a year or a shorter horizon.

    Returns
    -------
    dict or None
        None while there is no war. ``months``; ``war_goes_on``: chance that it lasts so long; ``anybody``:
        chance that some state joins; ``share``: expected share of the joiners that are named;
        ``restraint``: what the nuclear discount leaves of that; ``joins``: chance that one of them does.
    """
    chain = chains.joining
    if chain is None:
        return None
    months = min(YEAR, len(chains.months))
    ends, hazard = chain.ends(months), chain.anybody(months)
    going = np.cumprod(1.0 - ends, axis=1)
    reach = np.concatenate([np.ones((len(ends), 1)), going[:, :-1]], axis=1)
    untouched = np.concatenate([np.ones((len(ends), 1)), np.cumprod(1.0 - hazard, axis=1)[:, :-1]], axis=1)
    joined = paths["joined"].isel(future_month=slice(0, months)).max(("joiner", "future_month"))
    return {
        "months": months,
        "war_goes_on": float(going[:, -1].mean()),
        "anybody": float((reach * untouched * hazard).sum(axis=1).mean()),
        "share": float(chain.share.sum(axis=1).mean()),
        "restraint": float(chain.restrained.sum() / chain.share.sum()),
        "joins": float(joined.mean()),
    }


def war_findings(chains: Chains, paths: xr.Dataset) -> dict[str, Any]:
    """Entry ``war`` of the summary."""
    return {"theatres": theatre_steps(chains, paths), "joining": joining_steps(chains, paths)}
