"""What a prior means: the outcomes that read it, under any priors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from escalation_forecast.elicit.outcomes import OUTCOMES, Outcome, exposure
from escalation_forecast.elicit.translate import CHECK_DRAWS, SEED, quantiles_of, short
from escalation_forecast.elicit.values import PriorValues
from escalation_forecast.priors import Change, Priors
from escalation_forecast.schema import DataError

EXAMPLES: Final[dict[str, str]] = {"state": "CHN", "theatre": "taiwan"}


@dataclass(frozen=True)
class Meaning:
    """An outcome with arguments, and its quantiles under the priors (`translate.SHOWN`)."""

    outcome: Outcome
    of: Mapping[str, str]
    quantiles: tuple[float, ...]

    @property
    def text(self) -> str:
        """Such as ``6.5 (90 % between 4 and 9) % a year``."""
        q = self.quantiles
        low, median, high = (short(q[k], q[-1] - q[0]) for k in (0, 2, -1))
        return f"{median} (90 % between {low} and {high}) {self.outcome.unit}"


def arguments(outcome: Outcome, wanted: Mapping[str, str] | None = None) -> dict[str, str]:
    """Arguments of an outcome: those wanted, and an example for the others."""
    found = {key: (wanted or {}).get(key, EXAMPLES[key]) for key in outcome.of}
    if set(outcome.of) == {"state", "theatre"}:
        pairs = [pair for pair in exposure() if pair[0] == found["state"]]
        if "theatre" not in (wanted or {}):
            found["theatre"] = max(pairs, key=lambda pair: exposure()[pair])[1]
        elif "state" not in (wanted or {}):
            exposed = [s for s, t in exposure() if t == found["theatre"]]
            found["state"] = max(exposed, key=lambda state: exposure()[state, found["theatre"]])
    return found


def meaning(priors: Priors, outcome: Outcome, of: Mapping[str, str] | None = None) -> Meaning:
    """One outcome under some priors."""
    chosen = arguments(outcome, of)
    return Meaning(outcome, chosen, quantiles_of(priors, outcome, chosen))


def outcomes_of(name: str) -> tuple[Outcome, ...]:
    """The outcomes that read a prior, those that adjust it first."""
    own = [one for one in OUTCOMES.values() if one.adjusts == name]
    return (*own, *(one for one in OUTCOMES.values() if name in one.also))


def prior_draws(priors: Priors, name: str, label: str = "") -> np.ndarray:
    """Draws of a prior at a label, as the forecast uses it."""
    return PriorValues(priors, CHECK_DRAWS, SEED)(name, label)


def moved(before: Priors, after: Priors, change: Change) -> Iterator[tuple[Meaning, Meaning]]:
    """Outcomes that a changed prior moves, before and after, for the first of its labels that differ."""
    if change.before is None or change.after is None or not change.decides:
        return
    label = next(iter(change.labels), "")
    for outcome in outcomes_of(change.name):
        dims = before[outcome.adjusts].dims if outcome.adjusts == change.name else change.before.dims
        wanted = {dim: label for dim in dims if dim in outcome.of and label}
        try:
            pair = meaning(before, outcome, wanted), meaning(after, outcome, wanted)
        except DataError:  # a state that is not exposed to the theatre, or a label without an outcome
            continue
        if pair[0].quantiles != pair[1].quantiles:
            yield pair
