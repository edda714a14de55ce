"""Steps from a use of force to a war: the share that is fatal, material, and a war.

Each is a share by group, theatres or eras, partially pooled on the logit scale; the posterior of a group
is handed on as the beta distribution of equal mean and variance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import pymc as pm

from escalation_forecast.history.dyads import Coding, onsets
from escalation_forecast.history.onset import ERAS
from escalation_forecast.history.sampling import sample_small
from escalation_forecast.history.stored import Fitted, Provenance, spec
from escalation_forecast.history.tables import History
from escalation_forecast.history.today import AT_WAR, QUIET_MONTHS, episodes
from escalation_forecast.prior_spec import PriorSpec
from escalation_forecast.schema import THEATRES

CODINGS: Final[tuple[Coding, ...]] = ("mid5", "gml")
MATERIAL: Final = 2  # fatality band from 26 deaths
CLASHES: Final = "Militarized Interstate Disputes 5.0 (1993-2014) and own coding of incidents (2015 on)"
DISPUTES: Final = (
    "Militarized Interstate Disputes 5.0 (to 2014) and of Gibler, Miller and Little (to 2010), originators"
)


def pooled_shares(
    groups: Sequence[str], events: Sequence[int], trials: Sequence[int], *, typical: float, seed: int = 1
) -> tuple[np.ndarray, dict[str, float]]:
    """Shares of groups, partially pooled.

    Parameters
    ----------
    typical : centre of the prior of the common share; its logit has standard deviation one.

    Returns
    -------
    draws : (group, draw) of the shares.
    diagnostics : as `sampling.sample_small`.

    Raises
    ------
    HistoryFitError
        When the sampler did not converge.
    """
    with pm.Model(coords={"group": list(groups)}) as model:
        centre = pm.Normal("centre", np.log(typical / (1 - typical)), 1.0)
        spread = pm.LogNormal("spread", -0.7, 0.6)
        logit = centre + spread * pm.Normal("z", dims="group")
        share = pm.Deterministic("share", pm.math.sigmoid(logit), dims="group")
        pm.Binomial("events", n=np.asarray(trials), p=share, observed=np.asarray(events), dims="group")
    posterior, diagnostics = sample_small(model, tune=700, draws=1500, seed=seed, target_accept=0.97)
    draws = posterior["share"].stack(sample=("chain", "draw")).transpose("group", "sample")
    return draws.values, diagnostics


def as_beta(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Parameters alpha and beta of the beta distributions with the mean and variance of draws (..., draw)."""
    mean, variance = draws.mean(axis=-1), draws.var(axis=-1)
    size = mean * (1 - mean) / variance - 1
    return mean * size, (1 - mean) * size


def force_months(history: History) -> pd.DataFrame:
    """Months with use of force in a theatre, war left out: theatre, month, fatal (0, 1 or missing).

    A month is fatal if a clash of any dyad was; it is missing if none is known to be and one is unknown.
    """
    rows = history.clashes[~history.clashes["dyad"].isin(AT_WAR)]
    grouped = rows.groupby(["theatre", "month"])["fatal"]
    fatal = grouped.max().where((grouped.max() == 1) | (grouped.count() == grouped.size()))
    return fatal.reset_index()


def fatal_given_force(history: History, *, seed: int = 1) -> Fitted:
    """Share of the months with force that were fatal, by theatre, as prior ``fatal_given_force``."""
    months = force_months(history).dropna(subset="fatal")
    counts = months.groupby("theatre")["fatal"].agg(["sum", "size"]).reindex(list(THEATRES), fill_value=0)
    events, trials = counts["sum"].astype(int).tolist(), counts["size"].astype(int).tolist()
    draws, diagnostics = pooled_shares(THEATRES, events, trials, typical=0.15, seed=seed)
    alpha, beta = as_beta(draws)
    said = ", ".join(f"{e} of {n} in {t}" for t, e, n in zip(THEATRES, events, trials, strict=True))
    first, last = months["month"].min().year, months["month"].max().year
    prior = spec(
        "fatal_given_force",
        "Beta",
        {
            "alpha": dict(zip(THEATRES, alpha.tolist(), strict=True)),
            "beta": dict(zip(THEATRES, beta.tolist(), strict=True)),
        },
        dims=("theatre",),
        support="unit",
        reason=(
            "Chance that a month with use of force costs a life of state forces by direct fire, pooled over "
            f"theatres: {said}; Russia and Ukraine left out"
        ),
        source=CLASHES,
    )
    return _fitted(prior, ("clashes",), f"{first}-{last}", counts, draws, diagnostics)


def material_given_fatal(history: History, *, seed: int = 1) -> Fitted:
    """Share of the fatal disputes with at least 26 deaths, era 1991 on, as prior ``material_given_fatal``."""
    what = "it costs one side 26 lives or more"
    return _era_share(history, "material_given_fatal", what, "material", typical=0.4, seed=seed)


def war_given_fatal(history: History, *, seed: int = 1) -> Fitted:
    """Share of the fatal disputes that became a war, era 1991 on, as prior ``war_given_fatal``."""
    what = "it becomes a war (hostility 5, 1,000 deaths in all)"
    return _era_share(history, "war_given_fatal", what, "war", typical=0.1, seed=seed)


def fatal_disputes(history: History, coding: Coding = "mid5") -> pd.DataFrame:
    """Fatal disputes between originators, by dyad, as `dyads.onsets` with `material` (0 or 1) beside.

    Joiners are left out: a coalition would count once for every pair of its members. A war whose deaths
    between the two are unknown is fatal and material all the same.
    """
    rows = onsets(history, coding)
    rows = rows[((rows["fatal"] == 1) | (rows["war"] == 1)) & (rows["both"] == 1)]
    return rows.assign(material=((rows["fatality"] >= MATERIAL) | (rows["war"] == 1)).astype("int64"))


def by_era(rows: pd.DataFrame, event: str) -> pd.DataFrame:
    """Number of events (column `sum`) and of rows (`size`) by era."""
    era = np.searchsorted(list(ERAS.values()), rows["year"].to_numpy(), side="right") - 1
    counts = rows.groupby(np.asarray(list(ERAS))[era])[event].agg(["sum", "size"])
    return counts.reindex(list(ERAS), fill_value=0)


def _era_share(history: History, name: str, what: str, event: str, *, typical: float, seed: int) -> Fitted:
    """The share in the era 1991 on, both codings with half of the weight each.

    Which disputes were wars is the larger uncertainty: the codings differ by more than their errors.
    """
    found = {}
    for coding in CODINGS:
        counts = by_era(fatal_disputes(history, coding), event)
        draws, diagnostics = pooled_shares(
            list(ERAS), counts["sum"].tolist(), counts["size"].tolist(), typical=typical, seed=seed
        )
        found[coding] = counts, draws, diagnostics
    latest = np.concatenate([draws[-1] for _, draws, _ in found.values()])
    alpha, beta = as_beta(latest)
    said = {
        coding: ", ".join(f"{e} of {n} in {era}" for era, e, n in zip(ERAS, c["sum"], c["size"], strict=True))
        for coding, (c, _, _) in found.items()
    }
    prior = spec(
        name,
        "Beta",
        {"alpha": float(alpha), "beta": float(beta)},
        support="unit",
        reason=(
            f"Chance that, given a fatal dispute between two originators, {what}: the era from 1991 on, "
            "pooled with the earlier ones. Two codings weigh the same, because they differ by more than "
            f"their errors: MID 5.0 has {said['mid5']}; Gibler, Miller and Little {said['gml']}"
        ),
        source=DISPUTES,
    )
    main = _fitted(prior, ("disputes",), "1816-2014", *found["mid5"])
    other = _fitted(prior, ("disputes",), "1816-2010", *found["gml"])
    share = {coding: draws[-1].mean() for coding, (_, draws, _) in found.items()}
    note = f"by MID 5.0 alone {share['mid5']:.3f}, by Gibler, Miller and Little alone {share['gml']:.3f}"
    both = [main.provenance, other.provenance]
    provenance = dataclasses.replace(
        main.provenance,
        r_hat_max=max(p.r_hat_max or 0.0 for p in both),
        ess_min=min(p.ess_min or 0.0 for p in both),
        divergences=sum(p.divergences or 0 for p in both),
        note=note,
    )
    table = pd.concat([main.table.assign(coding="mid5"), other.table.assign(coding="gml")], ignore_index=True)
    return Fitted((prior,), provenance, table)


def _fitted(
    prior: PriorSpec,
    data: tuple[str, ...],
    years: str,
    counts: pd.DataFrame,
    draws: np.ndarray,
    diagnostics: dict[str, float],
) -> Fitted:
    low, high = np.quantile(draws, (0.05, 0.95), axis=1)
    table = pd.DataFrame(
        {
            "group": list(counts.index),
            "events": counts["sum"].astype(int).to_numpy(),
            "trials": counts["size"].astype(int).to_numpy(),
            "share": draws.mean(axis=1),
            "low": low,
            "high": high,
        }
    )
    provenance = Provenance(
        priors=(prior.name,),
        data=data,
        years=years,
        rows=int(table["trials"].sum()),
        events=int(table["events"].sum()),
        r_hat_max=diagnostics["r_hat_max"],
        ess_min=diagnostics["ess_min"],
        divergences=int(diagnostics["divergences"]),
    )
    return Fitted((prior,), provenance, table)


def fatal_months_per_episode(history: History) -> Fitted:
    """Fatal months of an episode of clashes, as prior ``fatal_months_per_episode``.

    Months beyond the first are Poisson; the mean has the posterior under Jeffreys' prior, in closed form,
    moved up by the first month and taken as the gamma distribution of equal mean and variance.
    """
    rows = history.clashes[~history.clashes["dyad"].isin(AT_WAR) & (history.clashes["fatal"] == 1)]
    found = episodes(rows)
    months, number = int(found["months"].sum()), len(found)
    shape, rate = months - number + 0.5, float(number)
    mean, variance = 1 + shape / rate, shape / rate**2
    prior = spec(
        "fatal_months_per_episode",
        "Gamma",
        {"alpha": mean**2 / variance, "beta": mean / variance},
        support="positive",
        reason=(
            f"Fatal months of an episode, which ends after {QUIET_MONTHS} months without one: {months} in "
            f"{number} episodes of the theatre dyads; Russia and Ukraine left out"
        ),
        source=CLASHES,
    )
    years = f"{history.clashes['month'].min().year}-{history.clashes['month'].max().year}"
    provenance = Provenance((prior.name,), ("clashes",), years, rows=number, events=months)
    return Fitted((prior,), provenance, found)
