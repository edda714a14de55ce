"""Joining a war, learned from two centuries: the fits and the priors that they leave.

The monthly chance that any new state joins and that the war ends come from the inter-state wars since
1823, the world wars among them, and from the months so far of the war that goes on. All other modules
read the priors, not the wars.
"""

from __future__ import annotations

import dataclasses
from typing import Final, TypedDict

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from escalation_forecast.history.choice import fit_choice, shares
from escalation_forecast.history.hazard import FIRST_MODERN, INPUTS, Array, Hazard, design, prior_moments
from escalation_forecast.history.sampling import sample_small
from escalation_forecast.history.stored import Fitted, Provenance, spec
from escalation_forecast.history.tables import History
from escalation_forecast.history.ties import TIES, candidates
from escalation_forecast.history.wars import ALL_COW, MONTH_DAYS, OWN, OWN_CODED_TO, war_months

# The present war on the day that the priors are stated for.
REFERENCE_DAY: Final = pd.Timestamp("2026-11-22")
BELLIGERENTS: Final = ("RUS", "UKR", "PRK")
# The spread between wars mixes slowly, because few wars have more than one joiner.
TUNE: Final = 1000
DRAWS: Final = 2500
TARGET_ACCEPT: Final = 0.98
SOURCE: Final = (
    "Correlates of War inter-state wars 4.0, 95 wars 1823-2003, and the Russia-Ukraine war coded by hand; "
    "`history fit`"
)


@dataclasses.dataclass(frozen=True, eq=False)
class HazardFit:
    """Posterior of the hazards of joining and ending.

    Attributes
    ----------
    joining, ending : (chain, draw, ...) draws, among them those of the priors under their names.
    diagnostics : the worse of the two samplers in each.
    months : the months of war used.
    """

    joining: xr.Dataset
    ending: xr.Dataset
    diagnostics: dict[str, float]
    months: pd.DataFrame


def fit_months(history: History) -> pd.DataFrame:
    """Months of all inter-state wars and of the war that goes on, whose number becomes 0."""
    own = war_months(history, OWN).assign(war=0)
    return pd.concat([war_months(history, ALL_COW), own], ignore_index=True)


def reference(months: pd.DataFrame) -> pd.DataFrame:
    """One row: the war that goes on as it stands on `REFERENCE_DAY` if nobody enters or leaves before."""
    last = months[months["war"] == 0].tail(1)
    return last.assign(age=last["age"] + _months_between(OWN_CODED_TO, REFERENCE_DAY))


def _months_between(first: pd.Timestamp, last: pd.Timestamp) -> int:
    # The last row is the last whole month, one before the month of `first`.
    return int((last - first).days // MONTH_DAYS) + 1


def hazard_model(hazard: Hazard, at: Array, own: int | None, name: str) -> pm.Model:
    """Discrete-time hazard with normal war effects, as `hazard.by_war` without the quadrature.

    Parameters
    ----------
    at : (coefficient,), inputs of the reference.
    own : index of the war whose effect the reference has; None where there are no effects.
    name : of the deterministic logit `{name}_logit` at the reference and of the slope `{name}_age`.
    """
    means, sds = prior_moments(hazard)
    k = hazard.n_coefficients
    with pm.Model(coords={"input": ["intercept", *INPUTS[: k - 1]]}) as built:
        coefficients = pm.Normal("coefficients", means[:k], sds[:k], dims="input")
        logit = pt.dot(hazard.X, coefficients)
        effect = 0.0
        if hazard.effects and own is not None:
            log_scale = pm.Normal("log_effect_sd", means[-1], sds[-1])
            z = pm.Normal("z", shape=hazard.n_wars)
            logit = logit + pt.exp(log_scale) * z[hazard.war]
            effect = pt.exp(log_scale) * z[own]
        pm.Bernoulli("event", logit_p=logit, observed=hazard.y.astype(int))
        pm.Deterministic(f"{name}_logit", pt.dot(at, coefficients) + effect)
        pm.Deterministic(f"{name}_age", coefficients[1])
    return built


def fit_hazards(history: History, seed: int = 1) -> HazardFit:
    """Fit the hazards to all inter-state wars and the war that goes on.

    Raises
    ------
    HistoryFitError
        When a sampler did not pass its gates.
    """
    months = fit_months(history)
    at = reference(months)
    joining = Hazard.of(months, "joined")
    ending = Hazard.of(months, "ends", INPUTS[:1], effects=False)
    own = int(joining.war[np.flatnonzero(months["war"] == 0)[0]])
    model = hazard_model(joining, design(at)[0], own, "joining")
    draws, first = sample_small(model, seed=seed, tune=TUNE, draws=DRAWS, target_accept=TARGET_ACCEPT)
    model = hazard_model(ending, design(at, INPUTS[:1])[0], None, "war_end")
    end_draws, second = sample_small(model, seed=seed)
    worst = {
        "r_hat_max": max(first["r_hat_max"], second["r_hat_max"]),
        "ess_min": min(first["ess_min"], second["ess_min"]),
        "divergences": first["divergences"] + second["divergences"],
    }
    return HazardFit(draws, end_draws, worst, months)


def hazard_priors(history: History, seed: int = 1) -> Fitted:
    """Priors of joining and ending: posterior means and standard deviations as they are."""
    fit = fit_hazards(history, seed)
    at = reference(fit.months).iloc[0]
    age = int(at["age"])
    rest = f"before the discount by history_weight; log(1 + age) is {np.log1p(age):.4f} at month {age}"
    reasons = {
        "joining_logit": (
            f"Logit of the chance that any new state joins in a month of the {OWN.label} war as on "
            f"{REFERENCE_DAY:%Y-%m-%d}: month {age}, {int(at['present'])} states, a great power, its own "
            f"months so far in its effect; {rest}"
        ),
        "joining_age": (
            "Change of joining_logit per unit of log(1 + age in months): the longer a war, the fewer join"
        ),
        "war_end_logit": (
            f"Logit of the chance that a war which has come to month {age} ends in that month; {rest}"
        ),
        "war_end_age": "Change of war_end_logit per unit of log(1 + age in months)",
    }
    draws = {name: (fit.joining if name in fit.joining else fit.ending)[name] for name in reasons}
    specs = tuple(
        spec(
            name, "Normal", {"mu": float(draws[name].mean()), "sigma": float(draws[name].std())},
            support="real", reason=reason, source=SOURCE,
        )
        for name, reason in reasons.items()
    )  # fmt: skip
    specs += (
        spec(
            "joining_reference_age", "Fixed", {"value": float(age)}, support="positive",
            reason="Age of the war in months at which joining_logit and war_end_logit hold", source=SOURCE,
        ),
    )  # fmt: skip
    months = fit.months
    provenance = Provenance(
        priors=tuple(prior.name for prior in specs),
        data=("wars", "majors"),
        years=f"{months['year'].min()}-{OWN_CODED_TO.year}",
        rows=len(months),
        events=int(months["joined"].sum()),
        **_quality(fit.diagnostics),
        note=(
            f"{months['war'].nunique()} wars, {int(months['ends'].sum())} of which ended; joining: log(1 + "
            f"age), log of states present, great power, since {FIRST_MODERN}, normal effect of the war; "
            "ending: log(1 + age)"
        ),
    )
    return Fitted(specs, provenance, _coefficients(fit))


def _coefficients(fit: HazardFit) -> pd.DataFrame:
    """Mean, standard deviation and 90 % interval of every coefficient and of the spread between wars."""
    named = {
        f"{event}: {label}": draws["coefficients"].sel(input=label)
        for event, draws in (("joining", fit.joining), ("ending", fit.ending))
        for label in draws["input"].values
    }
    spread: xr.DataArray = np.exp(fit.joining["log_effect_sd"])  # type: ignore[assignment]
    named["joining: sd of war effects"] = spread
    rows: list[tuple[object, ...]] = [
        (name, float(values.mean()), float(values.std()), *np.quantile(values, [0.05, 0.95]))
        for name, values in named.items()
    ]
    return pd.DataFrame(rows, columns=["coefficient", "mean", "sd", "low", "high"])


def choice_priors(history: History, seed: int = 1) -> Fitted:
    """Prior of the log weights of the ties; the table has each state's share of the choice today."""
    posterior, diagnostics, data = fit_choice(history, seed)
    draws = posterior["joining_ties"]
    moments = {"mu": draws.mean(("chain", "draw")), "sigma": draws.std(("chain", "draw"))}
    prior = spec(
        "joining_ties",
        "Normal",
        {key: {str(tie): float(value.sel(tie=tie)) for tie in TIES} for key, value in moments.items()},
        dims=("tie",),
        labels={"tie": TIES},
        support="real",
        reason=(
            "Log weight of a tie in the choice of the state that joins, given that one does; border_and_pact "
            "comes on top of land_border and defence_pact; before the discount by history_weight"
        ),
        source=(
            "Joiners of wars since 1946 in Correlates of War 4.0, MID 5.0 and GML 2.2.1, each coding a "
            "third; pacts by ATOP 5; `history fit`"
        ),
    )
    provenance = Provenance(
        priors=(prior.name,),
        data=("wars", "pacts", "borders", "majors", "rivalries"),
        years="1946-2014",
        rows=int(data.there.sum()),
        events=data.covered,
        **_quality(diagnostics),
        note=(
            f"rows are states that could have joined; left out: {data.uncovered} joiners of wars without "
            f"a state whose pacts are known, {data.outside} that were in no risk set; rivalries "
            "are coded with hindsight"
        ),
    )
    today = candidates(history, REFERENCE_DAY, BELLIGERENTS)
    today["share"] = shares(today, moments["mu"].to_numpy())
    table = today.sort_values("share", ascending=False).reset_index()
    return Fitted((prior,), provenance, table)


class _Quality(TypedDict):
    r_hat_max: float
    ess_min: float
    divergences: int


def _quality(diagnostics: dict[str, float]) -> _Quality:
    return {
        "r_hat_max": diagnostics["r_hat_max"],
        "ess_min": diagnostics["ess_min"],
        "divergences": int(diagnostics["divergences"]),
    }
