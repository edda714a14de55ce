"""Priors that can be moved, one label at a time, and what they are once moved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escalation_forecast.draws import POWERED
from escalation_forecast.elicit.meaning import arguments, meaning, outcomes_of
from escalation_forecast.elicit.outcomes import Outcome
from escalation_forecast.elicit.translate import SEED, short
from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.prior_law import from_free, law, to_free
from escalation_forecast.priors import Priors, PriorSpec
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest
from escalation_forecast.update.moves import shifted
from escalation_forecast.update.updater import Updater
from escalation_forecast.update.war import CHAIN_CONSTANTS, HAZARD
from escalation_forecast.war_chain import HISTORY

WIDE: Final = ("Normal", "LogNormal", "StudentT", "Gamma", "Beta")  # with a width of their own
DIGITS: Final = 6  # of a moved parameter: what is shown and copied is what is used
SHOWN: Final = (0.05, 0.5, 0.95)
WIDTHS: Final = (0.5, 0.71, 1.0, 1.41, 2.0)


@dataclass(frozen=True)
class Position:
    """Where a prior is: ``by`` of its own standard deviations, its width times ``width``.

    A constant has no width of its own: ``by`` doublings.
    """

    by: float = 0.0
    width: float = 1.0


HOME: Final = Position()
Positions = Mapping[str, Position]


@dataclass(frozen=True)
class Knob:
    """A prior or one of its labels, and all labels that its numbers may stand under."""

    prior: str
    label: str = ""
    labels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as ``phi[korea]``."""
        return f"{self.prior}[{self.label}]" if self.label else self.prior


def knobs(updater: Updater, moved: list[str]) -> dict[str, Knob]:
    """What can be moved: the priors of `power_scaling.one_by_one`, and what only the chain to war reads."""
    found = {}
    names = [*moved, *CHAIN_CONSTANTS]
    names += [f"{HAZARD}[{label}]" for label in updater.priors[HAZARD].labels.get("dyad", ())]
    for name in names:
        parts = re.fullmatch(r"(\w+)(?:\[(.*)\])?", name)
        assert parts is not None
        prior, label = parts[1], parts[2] or ""
        found[name] = Knob(prior, label, _labels(updater, prior) if label else ())
    return found


def _labels(updater: Updater, prior: str) -> tuple[str, ...]:
    spec = updater.priors[prior]
    if prior in updater.posterior:
        return tuple(updater.coords(prior)[spec.dims[0]])
    if prior in updater.war.kept:
        return tuple(updater.war.kept[prior][1][spec.dims[0]])
    return tuple(spec.labels[spec.dims[0]])


def knob_of(known: Mapping[str, Knob], name: str) -> Knob:
    """The knob of that name.

    Raises
    ------
    DataError
        With the nearest name.
    """
    if name not in known:
        raise DataError(f"There is no prior `{name}` to move{nearest(name, known)}; see Explorer.knobs.")
    return known[name]


def has_width(spec: PriorSpec) -> bool:
    """Whether the family has a width apart from its place."""
    return spec.family in WIDE


def numbers(priors: Priors, knob: Knob) -> dict[str, float]:
    """The parameters that a forecast draws with: those learned from history are discounted."""
    spec = priors[knob.prior]
    found = spec.at(knob.label)
    power = _power(priors, spec)
    return found if power == 1.0 else found | _powered(spec, found, power)


def _power(priors: Priors, spec: PriorSpec) -> float:
    learned = spec.name in (*HISTORY, HAZARD) and spec.family in POWERED
    return float(priors["history_weight"].array("value")) if learned else 1.0


def _powered(spec: PriorSpec, found: Mapping[str, float], power: float) -> dict[str, float]:
    arrays = {key: np.asarray(value) for key, value in found.items()}
    return {key: float(value) for key, value in POWERED[spec.family](arrays, power).items()}


def moved_numbers(priors: Priors, knob: Knob, position: Position) -> dict[str, float]:
    """The parameters, as a file has them, of a prior moved.

    The standard deviation is that of what the forecast draws with, on the scale of `moves.shifted`.
    """
    spec = priors[knob.prior]
    if spec.family == "Fixed":
        value = spec.at(knob.label)["value"] * 2.0**position.by
        return {"value": _rounded(min(value, 1.0) if spec.support == "unit" else value)}
    found = numbers(priors, knob)
    if position.by:
        found = shifted(spec.family, found, position.by)
    if position.width != 1.0 and has_width(spec):
        free = to_free(spec.family, found)
        free[-1] += np.log(position.width)
        found = from_free(spec.family, free, found)
    power = _power(priors, spec)
    if power != 1.0:
        found = found | _powered(spec, found, 1.0 / power)
    return {key: _rounded(value) for key, value in found.items()}


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def moved_priors(priors: Priors, known: Mapping[str, Knob], positions: Positions) -> Priors:
    """The priors with these moved and the others as they are."""
    changes: dict[str, dict[str, Any]] = {}
    for name, position in positions.items():
        if position == HOME:
            continue
        knob = knob_of(known, name)
        table = changes.setdefault(knob.prior, {})
        old = priors[knob.prior].at(knob.label)
        for key, value in moved_numbers(priors, knob, position).items():
            if not knob.label:
                table[key] = value
            elif key in table or _rounded(old[key]) != value:
                own = {label: priors[knob.prior].at(label)[key] for label in knob.labels}
                table.setdefault(key, own)[knob.label] = value
    return priors.replace({name: {"parameters": table} for name, table in changes.items()})


def words(priors: Priors, knob: Knob) -> str:
    """The prior as the forecast draws with it: its family, and between which numbers it lies."""
    spec, found = priors[knob.prior], numbers(priors, knob)
    if spec.family == "Fixed":
        return f"held at {found['value']:.3g}"
    inside = ", ".join(f"{key} {value:.3g}" for key, value in found.items())
    low, median, high = (float(one) for one in law(spec.family, found).ppf(SHOWN))
    low_, median_, high_ = (short(one, high - low) for one in (low, median, high))
    return f"{spec.family}({inside}): median {median_}, 90 % between {low_} and {high_}"


def outcome_words(priors: Priors, knob: Knob) -> str:
    """What the prior means in the first outcome that reads it, in plain units; empty where none does."""
    found = read_by(priors, knob)
    if found is None:
        return ""
    outcome, of = found
    return f"{outcome.said(of)}: {meaning(priors, outcome, of).text}"


def read_by(priors: Priors, knob: Knob) -> tuple[Outcome, dict[str, str]] | None:
    """The first outcome that reads a prior, and its arguments."""
    spec = priors[knob.prior]
    for outcome in outcomes_of(knob.prior):
        wanted = {dim: knob.label for dim in spec.dims if dim in outcome.of and knob.label}
        try:
            of = outcome.check_of(arguments(outcome, wanted))
            here = outcome.label(priors, of) if outcome.adjusts == knob.prior else knob.label
        except DataError:  # a label without this outcome
            continue
        if here == knob.label and (outcome.adjusts == knob.prior or wanted or not knob.label):
            return outcome, of
    return None


def outcome_sizes(
    priors: Priors, knob: Knob, moved: Sequence[Mapping[str, float]], n: int
) -> tuple[str, str, list[list[float]]]:
    """The outcome of `outcome_words`, its unit, and its quantiles ``SHOWN`` under each of these parameters.

    Parameters
    ----------
    n : draws of the outcome.
    """
    found = read_by(priors, knob)
    if found is None:
        return "", "", []
    outcome, of = found
    spec, sizes = priors[knob.prior], []
    label = knob.label or next((of[dim] for dim in spec.dims if dim in of), "")
    # What else the outcome reads is drawn once.
    values = PriorValues(priors, n, SEED)
    for given in moved:
        values.put(knob.prior, label, spec, given)
        with np.errstate(divide="ignore"):  # a persistence of one has no half-life
            sizes.append([float(q) for q in np.quantile(outcome.draws(values, of), SHOWN)])
    return outcome.said(of), outcome.unit, sizes
