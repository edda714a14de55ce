"""From what is said about an outcome to the parameters of the prior behind it.

The outcome is simulated from the priors, with the same random numbers for every candidate, and the
parameters are moved until its quantiles are those stated. An interval leaves the same mass on either side,
or all of it on one side where it begins or ends at a limit of the outcome; a prior that the statement does
not pin down is the one of greatest entropy. The result is simulated again with other numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from escalation_forecast.elicit.outcomes import Outcome, get
from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.elicited import Elicited
from escalation_forecast.pooling import marginal
from escalation_forecast.prior_law import FREE, from_free, law, to_free
from escalation_forecast.prior_methods import DIGITS, pooled
from escalation_forecast.prior_spec import PriorSpec, bounds_of, read_family
from escalation_forecast.priors import Priors, labelled
from escalation_forecast.schema import DataError

DRAWS: Final = 1200
CHECK_DRAWS: Final = 20_000
SEED: Final = 20_261
NEAR: Final = 0.03  # of mass
ROUGH: Final = 0.05  # the same for more parts than two parameters can meet
EXACT: Final = 1e-7  # squared miss, as a share of the width stated
SHOWN: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
WIDEST: Final = 6.0  # a width may change by a factor of e to this, either way


@dataclass(frozen=True)
class Translation:
    """A statement about an outcome, as a prior.

    Attributes
    ----------
    priors
        With the prior changed and the statement kept.
    outcome, of, said
        What it is about, and the statement.
    before, after
        Quantiles ``SHOWN`` of the outcome under the old and the new prior.
    masses
        Of each part of the outcome's range that the statement cuts: asked and got.
    warning
        Why the statement is not met, in words; empty when it is.
    """

    priors: Priors
    outcome: Outcome
    of: Mapping[str, str]
    said: Elicited
    before: tuple[float, ...]
    after: tuple[float, ...]
    masses: tuple[tuple[float, float], ...]
    warning: str

    @property
    def met(self) -> bool:
        """Whether simulating the outcome again gives what was stated."""
        return not self.warning

    @property
    def spec(self) -> PriorSpec:
        """The prior as it is now."""
        return self.priors[self.outcome.adjusts]

    def __str__(self) -> str:
        lines = [
            f"{self.outcome.said(self.of)}: {self.said.text} {self.outcome.unit}",
            f"  before  {_range(self.before)} {self.outcome.unit}",
            f"  after   {_range(self.after)} {self.outcome.unit}",
        ]
        return "\n".join([*lines, f"  {self.warning}"] if self.warning else lines)


def short(number: float, width: float) -> str:
    """Three digits; what is nothing beside the width of its distribution is 0."""
    return "0" if abs(number) < 1e-3 * width else f"{number:.3g}"


def _range(shown: Sequence[float]) -> str:
    low, median, high = (short(shown[k], shown[-1] - shown[0]) for k in (0, 2, -1))
    return f"median {median}, 90 % between {low} and {high}"


def quantiles_of(
    priors: Priors, outcome: Outcome, of: Mapping[str, str], seed: int = SEED
) -> tuple[float, ...]:
    """Quantiles ``SHOWN`` of an outcome under some priors."""
    drawn = outcome.draws(PriorValues(priors, CHECK_DRAWS, seed), outcome.check_of(of))
    return tuple(float(q) for q in np.quantile(drawn, SHOWN))


def say(
    priors: Priors,
    outcome: Outcome | str,
    said: Elicited,
    of: Mapping[str, str] | None = None,
    *,
    family: str = "",
    adjust: str = "",
) -> Translation:
    """Change the prior behind an outcome so that the outcome is as stated.

    Parameters
    ----------
    said
        From `elicited.interval`, `quartiles`, `roulette` or `experts`, in the unit of the outcome.
    of
        Arguments of the outcome, such as ``{"state": "KOR", "theatre": "korea"}``.
    family
        Another family for the prior, where it holds for all labels.
    adjust
        The prior to change, of those that the outcome reads; by default its own.

    Raises
    ------
    DataError
        For an unknown outcome or argument, a statement outside the outcome's limits, a prior that is a
        constant, or experts who contradict each other.

    Notes
    -----
    A statement about one label of a partly pooled prior sets its labels apart.
    """
    outcome = get(outcome) if isinstance(outcome, str) else outcome
    outcome = outcome.adjusting(adjust) if adjust else outcome
    of = outcome.check_of(of or {})
    label = outcome.label(priors, of)
    stated, priors = priors, _apart(priors, outcome.adjusts, label)
    old = priors[outcome.adjusts]
    spec = dataclasses.replace(
        old, family=read_family(family, f"Prior '{old.name}'") if family else old.family
    )
    at = f"Outcome `{outcome.name}`, prior '{old.name}'"
    if spec.family not in FREE:
        raise DataError(
            f"{at} is a {spec.family} prior, which expresses no belief; give a family such as Normal."
        )
    if spec.family != old.family and label:
        raise DataError(
            f"{at}: the labels share their family, so a statement about {label} cannot change it; give the "
            f"whole prior another family first."
        )
    found = _solve(priors, outcome, of, label, spec, said, at)
    found = {key: float(f"{value:.{DIGITS}g}") for key, value in found.items()}
    records = [one for one in old.elicited if label and one.label != label]
    kept = said.about(label, outcome.name, of)
    row: dict[str, Any] = {
        "family": spec.family,
        "parameters": dict(labelled(found, label)),
        "elicited": [*records, kept],
    }
    new = priors.replace({old.name: row})
    return _judged(stated, new, outcome, of, label, said)


def _apart(priors: Priors, name: str, label: str) -> Priors:
    """The priors with every label of a partly pooled one by itself, so that one can be stated.

    Taken one by one, labels have the same law as before.
    """
    old = priors[name]
    if not label or old.pooling != "partial":
        return priors
    at = f"Prior '{name}'"
    numbers = marginal(old.family, old.at(label), old.spread, *bounds_of(old.support, name), at)
    return priors.replace({name: {"pooling": "none", "parameters": numbers, "elicited": old.elicited}})


def _solve(
    priors: Priors,
    outcome: Outcome,
    of: Mapping[str, str],
    label: str,
    spec: PriorSpec,
    said: Elicited,
    at: str,
) -> dict[str, float]:
    start = _start(priors[outcome.adjusts], spec, label, said, outcome)
    held = {key: value for key, value in start.items() if key == "nu"}
    if said.method == "experts":
        found = [_solve(priors, outcome, of, label, spec, one, at) for one in said.experts]
        names = [one.who or f"expert {n}" for n, one in enumerate(said.experts, 1)]
        return pooled(found, names, said, spec.family, held, at)
    return _search(priors, outcome, of, label, spec, targets(said, outcome), start, held)


def targets(said: Elicited, outcome: Outcome) -> list[tuple[float, float]]:
    """The statement as (probability, value) of the outcome's distribution function.

    Raises
    ------
    DataError
        When a value lies outside the outcome's limits.
    """
    low, high = outcome.limits
    if said.method == "interval":
        tail = 1.0 - said.number("mass")
        first, last = said.number("low"), said.number("high")
        both = first > low and last < high
        points = [(tail / 2.0 if both else tail, first), (1.0 - (tail / 2.0 if both else tail), last)]
    elif said.method == "quartiles":
        points = list(zip((0.25, 0.5, 0.75), (float(said.number(k)) for k in said.numbers), strict=True))
    else:
        chips = np.array(said.listed("chips"))
        below = np.concatenate([[0.0], np.cumsum(chips)]) / chips.sum()
        points = [(float(p), x) for p, x in zip(below, said.listed("edges"), strict=True)]
    values = [x for _, x in points]
    if min(values) < low or max(values) > high:
        raise DataError(
            f"{said.text} {outcome.unit} is outside what {outcome.name} can be, {low:g} to {high:g}; "
            "keep inside it."
        )
    inside = [(p, x) for p, x in points if low < x < high and 0.0 < p < 1.0]
    if not inside:
        raise DataError(f"{said.text} {outcome.unit} says nothing: it is all that {outcome.name} can be.")
    return inside


def _start(old: PriorSpec, spec: PriorSpec, label: str, said: Elicited, outcome: Outcome) -> dict[str, float]:
    if old.family == spec.family:
        return old.at(label)
    # Another family begins where the old one is, as far as its support allows.
    inside = law(old.family, old.at(label)) if old.family in FREE else None
    middle, sd = (float(inside.median()), float(inside.std())) if inside else (1.0, 1.0)
    middle, sd = (abs(middle) or 1.0), sd or 1.0
    if spec.family == "Beta":
        share = min(max(middle, 0.05), 0.95)
        return {"alpha": 4.0 * share, "beta": 4.0 * (1.0 - share)}
    return {
        "Normal": {"mu": middle, "sigma": sd},
        "StudentT": {"nu": 4.0, "mu": middle, "sigma": sd},
        "LogNormal": {"mu": float(np.log(middle)), "sigma": 0.5},
        "HalfNormal": {"sigma": middle},
        "Gamma": {"alpha": 4.0, "beta": 4.0 / middle},
        "Exponential": {"lam": 1.0 / middle},
        "Uniform": {"lower": middle - sd, "upper": middle + sd},
    }[spec.family]


def _unbounded(x: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Values on the scale without bounds, so that 0.1 % against 1 % counts like 1 % against 9 %."""
    low, high = limits
    if not np.isfinite(low):
        return np.asarray(x)
    tiny = 1e-12
    if not np.isfinite(high):
        return np.asarray(np.log(np.maximum(x - low, tiny)))
    share = np.clip((x - low) / (high - low), tiny, 1.0 - tiny)
    return np.asarray(np.log(share) - np.log1p(-share))


def _search(
    priors: Priors,
    outcome: Outcome,
    of: Mapping[str, str],
    label: str,
    spec: PriorSpec,
    points: Sequence[tuple[float, float]],
    start: Mapping[str, float],
    held: Mapping[str, float],
) -> dict[str, float]:
    from scipy.optimize import minimize

    values = PriorValues(priors, DRAWS, SEED)
    probability = [p for p, _ in points]
    wanted = _unbounded(np.array([x for _, x in points]), outcome.limits)
    unit = float(np.ptp(wanted)) or 1.0
    origin = to_free(spec.family, start)
    free = len(origin)

    def drawn(x: np.ndarray) -> np.ndarray:
        values.put(outcome.adjusts, label, spec, from_free(spec.family, x, held))
        return outcome.draws(values, of)

    def loss(x: np.ndarray) -> float:
        # A width without end is no answer; the place may go anywhere.
        if not np.all(np.isfinite(x)) or (free > 1 and abs(x[-1] - origin[-1]) > WIDEST):
            return 1e6
        with np.errstate(all="ignore"):
            got = _unbounded(np.quantile(drawn(x), probability), outcome.limits)
        if not np.all(np.isfinite(got)):
            return 1e6
        miss = float(np.mean(((got - wanted) / unit) ** 2))
        if len(points) >= free:
            return miss
        entropy = float(law(spec.family, from_free(spec.family, x, held)).entropy())
        return miss * 1e4 - entropy

    tries = [origin]
    if free > 1:
        tries += [origin + np.array([0.0, step]) for step in (-1.5, 1.5)]
    fine = {"xatol": 1e-4, "fatol": 1e-8, "maxiter": 200}
    best = minimize(loss, tries[0], method="Nelder-Mead", options=fine)
    for x in tries[1:]:
        if best.fun < EXACT and len(points) >= free:
            break
        other = minimize(loss, x, method="Nelder-Mead", options=fine)
        best = min(best, other, key=lambda result: float(result.fun))
    return from_free(spec.family, best.x, held)


def _judged(
    priors: Priors, new: Priors, outcome: Outcome, of: Mapping[str, str], label: str, said: Elicited
) -> Translation:
    """Simulate again, with other random numbers, and say how well the statement is met."""
    values = PriorValues(new, CHECK_DRAWS, SEED + 1)
    drawn = outcome.draws(values, of)
    asked = _asked(said, outcome)
    edges = np.array([x for _, x in asked])
    stated = np.diff([0.0, *(p for p, _ in asked), 1.0])
    got = np.diff([0.0, *((drawn <= x).mean() for x in edges), 1.0])
    masses = tuple((float(a), float(b)) for a, b in zip(stated, got, strict=True))
    off = max(abs(a - b) for a, b in masses)
    after = tuple(float(q) for q in np.quantile(drawn, SHOWN))
    near = NEAR if said.method == "interval" else ROUGH
    warning = "" if off <= near else _why(new, outcome, of, label, said, masses, edges, after)
    before = quantiles_of(priors, outcome, of)
    return Translation(new, outcome, of, said, before, after, masses, warning)


def _asked(said: Elicited, outcome: Outcome) -> list[tuple[float, float]]:
    if said.method != "experts":
        return targets(said, outcome)
    # Of a panel, the median of each expert's statement is no promise; nothing is checked but the pool.
    return []


def _why(
    new: Priors,
    outcome: Outcome,
    of: Mapping[str, str],
    label: str,
    said: Elicited,
    masses: tuple[tuple[float, float], ...],
    edges: np.ndarray,
    after: tuple[float, ...],
) -> str:
    spec = new[outcome.adjusts]
    worst = max(range(len(masses)), key=lambda k: abs(masses[k][0] - masses[k][1]))
    part = (
        f"below {edges[0]:.3g}"
        if worst == 0
        else f"above {edges[-1]:.3g}"
        if worst == len(edges)
        else f"between {edges[worst - 1]:.3g} and {edges[worst]:.3g}"
    )
    text = (
        f"Not met: with the nearest {spec.family} prior for '{spec.name}' {100 * masses[worst][1]:.0f} % lie "
        f"{part} {outcome.unit}, where {100 * masses[worst][0]:.0f} % are stated ({_range(after)})."
    )
    values = PriorValues(new, CHECK_DRAWS, SEED + 1)
    parameters = spec.at(label)
    middle = {"value": float(law(spec.family, parameters).median())}
    values.put(spec.name, label, dataclasses.replace(spec, family="Fixed"), middle)
    rest = np.quantile(outcome.draws(values, of), [0.05, 0.95])
    width = float(np.ptp(_unbounded(rest, outcome.limits)))
    all_of_it = float(np.ptp(_unbounded(np.array([after[0], after[-1]]), outcome.limits)))
    if outcome.also and width > 0.6 * all_of_it:
        return (
            f"{text} Even with '{spec.name}' known exactly, {', '.join(outcome.also)} spread it from "
            f"{rest[0]:.3g} to {rest[1]:.3g}: narrow those, or state a wider interval."
        )
    return f"{text} Give another family or another statement."
