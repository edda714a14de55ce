"""What priors mean in outcomes that people have a feeling for, registered by name.

An outcome is a small function of the draws of one or a few priors. It says in words what it is, which
prior a statement about it changes, and which others it reads. Add one with a function::

    @outcome("tension-half-life", "months until half of a spike in {theatre} is gone", "months",
             adjusts="phi", of=("theatre",), limits=(0.0, INF))
    def half_life(values, of): ...

One unit of tension is one standard deviation of a theatre's fast movements. The spike of the outcomes is
two units, as Ukraine-NATO in 2014 (+2.2) or February 2022 (+2.4), the largest events of docs/validation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.priors import Priors
from escalation_forecast.schema import STATES, THEATRE_LABELS, THEATRES, DataError
from escalation_forecast.spending_panel import AS_PRINTED, BUDGET_STATES
from escalation_forecast.tables import nearest

INF: Final = float("inf")
SPIKE: Final = 2.0
CALM: Final = -1.0
CHANCE: Final = (0.0, 100.0)
POSITIVE: Final = (0.0, INF)
ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {"state": STATES, "theatre": THEATRES}

Compute = Callable[[PriorValues, Mapping[str, str]], Any]


@dataclass(frozen=True)
class Outcome:
    """One outcome.

    Attributes
    ----------
    name, words, unit
        ``words`` has the arguments in braces.
    adjusts
        The prior that a statement about the outcome changes.
    also
        The other priors that it reads.
    of
        Names of its arguments, which are dims: ``state``, ``theatre``.
    limits
        Between which it lies.
    compute
        Draws of the outcome from draws of the priors.
    fixed_label
        Label of the adjusted prior where no argument is it.
    """

    name: str
    words: str
    unit: str
    adjusts: str
    also: tuple[str, ...]
    of: tuple[str, ...]
    limits: tuple[float, float]
    compute: Compute
    fixed_label: str = ""

    def label(self, priors: Priors, of: Mapping[str, str]) -> str:
        """Label of the adjusted prior that the arguments name; empty where it has no dim of theirs."""
        dims = priors[self.adjusts].dims
        return next((of[dim] for dim in dims if dim in of), self.fixed_label)

    def check_of(self, of: Mapping[str, str]) -> dict[str, str]:
        """The arguments in order.

        Raises
        ------
        DataError
            When one is missing or unknown.
        """
        for key in of:
            if key not in self.of:
                takes = f"takes {' and '.join(self.of)}" if self.of else "takes none"
                raise DataError(f"Outcome `{self.name}` has no argument `{key}`; it {takes}.")
        for key in self.of:
            if key not in of:
                known = ", ".join(ARGUMENTS[key])
                raise DataError(f"Outcome `{self.name}` needs the {key}; give one of {known}.")
            check_argument(key, of[key])
        return {key: of[key] for key in self.of}

    def adjusting(self, name: str) -> Outcome:
        """The same outcome, with another of its priors as the one that a statement changes.

        Raises
        ------
        DataError
            When it does not read that prior.
        """
        reads = (self.adjusts, *self.also)
        if name not in reads:
            raise DataError(
                f"Outcome `{self.name}` does not read the prior `{name}`{nearest(name, reads)}; "
                f"it reads {', '.join(reads)}."
            )
        return replace(self, adjusts=name, also=tuple(other for other in reads if other != name))

    def said(self, of: Mapping[str, str]) -> str:
        """The words with the arguments in them, such as ``growth of Japan in a usual year``."""
        return self.words.format(**{key: _name(key, value) for key, value in of.items()})

    def draws(self, values: PriorValues, of: Mapping[str, str]) -> np.ndarray:
        """Draws of the outcome."""
        return np.asarray(self.compute(values, of), float)


OUTCOMES: Final[dict[str, Outcome]] = {}


def get(name: str) -> Outcome:
    """The outcome of that name; raises `DataError` with the nearest name."""
    if name not in OUTCOMES:
        raise DataError(f"There is no outcome `{name}`{nearest(name, OUTCOMES)}; see `priors outcomes`.")
    return OUTCOMES[name]


def check_argument(key: str, value: str) -> None:
    """Raise `DataError` with the nearest name for an unknown argument of outcomes, or value of one."""
    if key not in ARGUMENTS:
        raise DataError(f"No outcome has the argument `{key}`; use {' or '.join(ARGUMENTS)}.")
    known = ARGUMENTS[key]
    if value not in known:
        hint = nearest(value, known) or f"; use one of {', '.join(known)}"
        raise DataError(f"There is no {key} `{value}`{hint}.")


def outcome(
    name: str,
    words: str,
    unit: str,
    *,
    adjusts: str,
    also: tuple[str, ...] = (),
    of: tuple[str, ...] = (),
    limits: tuple[float, float] = (-INF, INF),
    fixed_label: str = "",
) -> Callable[[Compute], Compute]:
    """Register a function as an outcome; the arguments are the fields of `Outcome`."""

    def register(compute: Compute) -> Compute:
        if name in OUTCOMES:
            raise ValueError(f"outcome {name} stands there twice")
        OUTCOMES[name] = Outcome(name, words, unit, adjusts, also, of, limits, compute, fixed_label)
        return compute

    return register


def _name(key: str, value: str) -> str:
    if key == "theatre":
        return THEATRE_LABELS[value]
    from escalation_forecast.report.plots import STATE_LABELS  # draws plots, so it is slow to import

    return STATE_LABELS[value]


@lru_cache
def exposure() -> Mapping[tuple[str, str], float]:
    """Weight of a theatre in a state's threat, by (state, theatre)."""
    import pandas as pd

    from escalation_forecast.store import data_root

    frame = pd.read_csv(data_root() / "exposure.csv").set_index(["state", "theatre"])["weight"]
    weights: Any = frame / frame.groupby("state").transform("sum")
    return {(str(state), str(theatre)): float(w) for (state, theatre), w in weights.items()}


def is_exposed(of: Mapping[str, str]) -> bool:
    """Whether the theatre counts for the state, where both are named."""
    return not {"state", "theatre"} <= set(of) or (of["state"], of["theatre"]) in exposure()


def _median_miss(df: float | np.ndarray) -> np.ndarray:
    """Half of Student-t errors of unit scale are smaller than this."""
    from scipy.stats import t

    return np.asarray(t(df).ppf(0.75))


def _expit(x: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _logit(p: np.ndarray) -> np.ndarray:
    return np.asarray(np.log(p) - np.log1p(-p))


# --- spending -------------------------------------------------------------------------------


@outcome(
    "growth-usual-year", "real growth of the military spending of {state} in a usual year", "% a year",
    adjusts="growth_mean", of=("state",), limits=(-100.0, INF),
)  # fmt: skip
def growth_usual_year(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * np.expm1(values("growth_mean", of["state"]) / 100.0)


@outcome(
    "growth-surprise", "how far the growth of {state} misses what was to be expected in one year of ten",
    "points", adjusts="growth_noise", also=("growth_df",), of=("state",), limits=POSITIVE,
)  # fmt: skip
def growth_surprise(values: PriorValues, of: Mapping[str, str]) -> Any:
    from scipy.stats import t

    return values("growth_noise", of["state"]) * t(values("growth_df")).ppf(0.95)


@outcome(
    "growth-carried-over", "of ten points of growth of {state} above the usual, how many are left next year",
    "points", adjusts="growth_persistence", of=("state",),
)  # fmt: skip
def growth_carried_over(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 10.0 * values("growth_persistence", of["state"])


@outcome(
    "spike-growth",
    "by how much a spike of tension in {theatre} raises the growth of {state} in the year after",
    "points", adjusts="threat_slope", also=("phi",), of=("state", "theatre"), limits=POSITIVE,
)  # fmt: skip
def spike_growth(values: PriorValues, of: Mapping[str, str]) -> Any:
    if not is_exposed(of):
        exposed = [theatre for state, theatre in exposure() if state == of["state"]]
        raise DataError(
            f"{of['state']} is not exposed to {of['theatre']} in exposure.csv; choose {' or '.join(exposed)}."
        )
    weight = exposure()[of["state"], of["theatre"]]
    phi = values("phi", of["theatre"])
    mean_of_year = SPIKE * (1.0 - phi**12) / (12.0 * (1.0 - phi))
    return values("threat_slope", of["state"]) * weight * mean_of_year


@outcome(
    "rivals-growth", "how much faster a state grows after all its rivals grew ten points more than usual",
    "points", adjusts="reaction", limits=POSITIVE,
)  # fmt: skip
def rivals_growth(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 10.0 * values("reaction")


@outcome(
    "budget-miss", "by how many points an announced budget of {state} typically misses the first print",
    "points", adjusts="budget_noise", also=("announcement_df",), of=("state",), limits=POSITIVE,
)  # fmt: skip
def budget_miss(values: PriorValues, of: Mapping[str, str]) -> Any:
    doubt = 0.0 if of["state"] in BUDGET_STATES else AS_PRINTED
    scale = values("budget_noise", of["state"]) * (1.0 + doubt)
    return scale * _median_miss(values("announcement_df"))


@outcome(
    "first-revision", "by how many points growth of {state} typically changes from first to second print",
    "points", adjusts="revision_state", also=("revision_scale", "revision_df"), of=("state",),
    limits=POSITIVE,
)  # fmt: skip
def first_revision(values: PriorValues, of: Mapping[str, str]) -> Any:
    scale = values("revision_scale") * values("revision_state", of["state"])
    return scale * _median_miss(values("revision_df"))


# --- latent ---------------------------------------------------------------------------------


@outcome(
    "tension-half-life", "months until half of a spike of tension in {theatre} is gone", "months",
    adjusts="phi", of=("theatre",), limits=POSITIVE,
)  # fmt: skip
def tension_half_life(values: PriorValues, of: Mapping[str, str]) -> Any:
    return np.log(0.5) / np.log(values("phi", of["theatre"]))


@outcome(
    "world-share", "share of the fast movements of tension in {theatre} that all theatres have in common",
    "%", adjusts="global_share", of=("theatre",), limits=CHANCE,
)  # fmt: skip
def world_share(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * values("global_share", of["theatre"])


# --- ladder ---------------------------------------------------------------------------------


def _force(values: PriorValues, theatre: str, tension: float) -> np.ndarray:
    """Chance of use of force in a month."""
    usual = _logit(values("ladder_any", theatre) * values("ladder_force", theatre))
    if tension:
        usual = usual + tension * values("ladder_slope", theatre)
    return _expit(usual)


@outcome(
    "display-usual-month", "chance of a threat, display or use of force in {theatre} in a usual month",
    "%", adjusts="ladder_any", of=("theatre",), limits=CHANCE,
)  # fmt: skip
def display_usual_month(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * values("ladder_any", of["theatre"])


@outcome(
    "force-usual-month", "chance of use of force in {theatre} in a usual month", "%",
    adjusts="ladder_force", also=("ladder_any",), of=("theatre",), limits=CHANCE,
)  # fmt: skip
def force_usual_month(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * _force(values, of["theatre"], 0.0)


@outcome(
    "force-spike-month", "chance of use of force in {theatre} in the month of a spike of tension", "%",
    adjusts="ladder_slope", also=("ladder_any", "ladder_force"), of=("theatre",), limits=CHANCE,
)  # fmt: skip
def force_spike_month(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * _force(values, of["theatre"], SPIKE)


# --- wider war ------------------------------------------------------------------------------


@outcome(
    "fatal-clash-calm-year", "chance of a fatal clash in {theatre} in a calm year", "%",
    adjusts="fatal_given_force", also=("ladder_any", "ladder_force", "ladder_slope", "history_weight"),
    of=("theatre",), limits=CHANCE,
)  # fmt: skip
def fatal_clash_calm_year(values: PriorValues, of: Mapping[str, str]) -> Any:
    month = _force(values, of["theatre"], CALM) * values("fatal_given_force", of["theatre"])
    return -100.0 * np.expm1(12.0 * np.log1p(-month))


@outcome(
    "war-after-clash", "chance that a fatal clash at mean tension becomes a war", "%",
    adjusts="war_given_fatal", also=("history_weight",), limits=CHANCE,
)  # fmt: skip
def war_after_clash(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * values("war_given_fatal")


@outcome(
    "war-after-clash-in-spike", "chance that a fatal clash in a spike of tension becomes a war", "%",
    adjusts="war_slope", also=("war_given_fatal", "history_weight"), limits=CHANCE,
)  # fmt: skip
def war_after_clash_in_spike(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * _expit(_logit(values("war_given_fatal")) + SPIKE * values("war_slope"))


@outcome(
    "nuclear-war-after-clash", "chance that a fatal clash between two nuclear powers becomes a war", "%",
    adjusts="nuclear_restraint", also=("war_given_fatal", "history_weight"), limits=CHANCE,
)  # fmt: skip
def nuclear_war_after_clash(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * np.minimum(values("war_given_fatal") * values("nuclear_restraint"), 1.0)


@outcome(
    "joining-year", "chance that any further state joins the war in Ukraine within a year", "%",
    adjusts="joining_logit",
    also=("joining_age", "war_end_logit", "war_end_age", "joining_reference_age", "history_weight"),
    limits=CHANCE,
)  # fmt: skip
def joining_year(values: PriorValues, of: Mapping[str, str]) -> Any:
    reference = values("joining_reference_age")
    none = np.zeros(values.n)  # log chance that nobody has joined a war that goes on
    going = np.ones(values.n)
    for month in range(1, 13):
        aged = np.log1p(reference + month) - np.log1p(reference)
        joins = _expit(values("joining_logit") + values("joining_age") * aged)
        none = none + np.log1p(-going * joins)
        going = going * (1.0 - _expit(values("war_end_logit") + values("war_end_age") * aged))
    return -100.0 * np.expm1(none)


# --- troops ---------------------------------------------------------------------------------


@outcome(
    "troops-year", "change of the number of North Korean troops in Russia in a year of steady tension", "%",
    adjusts="stock_drift", limits=(-100.0, INF), fixed_label="dprk_troops_in_russia",
)  # fmt: skip
def troops_year(values: PriorValues, of: Mapping[str, str]) -> Any:
    return 100.0 * np.expm1(12.0 * values("stock_drift", "dprk_troops_in_russia"))
