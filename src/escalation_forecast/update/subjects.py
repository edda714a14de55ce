"""Which priors speak to an answer at all.

Of hundreds of priors some seem to move any answer by chance. Those of another subject, theatre or state do
nothing else, so that leaving them out leaves the clear ones.
"""

from __future__ import annotations

import re
from typing import Any, Final

from escalation_forecast.elicit.page import group_of
from escalation_forecast.questions import Item
from escalation_forecast.schema import STATES, THEATRES
from escalation_forecast.update.updater import kind_of

# Groups of priors, as in docs/priors.md, by what an item is about.
SUBJECTS: Final = {
    "war": ("war", "ladder", "latent"),
    "ladder": ("ladder", "latent"),
    "years": ("spending", "latent"),
    "troops": ("troops",),
    "months": ("latent", "readings", "identification"),
}


def subject(item: Item) -> str:
    """What an item is about, of ``SUBJECTS``."""
    kind = kind_of(item)
    if kind != "paths":
        return kind
    if item.years:
        return "years"
    return "troops" if item.rule.name == "troops-exceed" else "months"


def states_of(params: Any) -> list[str]:
    """The states that a rule about years reads."""
    one = [params.state] if hasattr(params, "state") else []
    pairs = [params.dyad] if hasattr(params, "dyad") else list(getattr(params, "dyads", ()))
    both = [state for pair in pairs for state in pair.split("-")]
    return list(dict.fromkeys([*one, *getattr(params, "states", ()), *both]))


def speaks(name: str, item: Item) -> bool:
    """Whether a prior, such as ``phi[taiwan]``, is of an item's subject, and of its theatre and states."""
    prior, label = name, ""
    if parts := re.fullmatch(r"(\w+)\[(.*)\]", name):
        prior, label = parts[1], parts[2]
    about = subject(item)
    if group_of(prior) not in SUBJECTS[about]:
        return False
    theatre, states = getattr(item.params, "theatre", None), states_of(item.params)
    if about != "war" and label in THEATRES and theatre is not None:
        return bool(label == theatre)
    return about != "years" or label not in STATES or not states or label in states
