"""What `history fit` runs, by name, and how its results are stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from escalation_forecast.history import steps
from escalation_forecast.history.base_rates import write_base_rates
from escalation_forecast.history.joining import choice_priors, hazard_priors
from escalation_forecast.history.onset_priors import onset_priors
from escalation_forecast.history.stored import Fitted, store_fit, stored_path
from escalation_forecast.history.tables import History
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

# In the order of the stored file.
FITS: Final[dict[str, Callable[[History], Fitted]]] = {
    "force": partial(onset_priors, event="force"),
    "fatal": partial(onset_priors, event="fatal"),
    "fatal_given_force": steps.fatal_given_force,
    "material_given_fatal": steps.material_given_fatal,
    "war_given_fatal": steps.war_given_fatal,
    "fatal_months": steps.fatal_months_per_episode,
    "joining": hazard_priors,
    "joining_ties": choice_priors,
}


def fit_history(
    history: History,
    only: Iterable[str] = (),
    *,
    root: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, Fitted]:
    """Refit all of `FITS`, or those in `only`, store their priors and the base rates in a data folder.

    All fits run before anything is written. `tell` hears the name of each before it starts.

    Raises
    ------
    DataError
        When `only` names no fit.
    HistoryFitError
        When a sampler did not converge.
    """
    names = list(only) or list(FITS)
    for name in names:
        if name not in FITS:
            raise DataError(f"There is no fit `{name}`{nearest(name, FITS)}; known are {', '.join(FITS)}.")
    found = {}
    for name in names:
        if tell:
            tell(name)
        found[name] = FITS[name](history)
    for name, fitted in found.items():
        store_fit(name, fitted.specs, fitted.provenance, stored_path(root), order=tuple(FITS))
    write_base_rates(history, root)
    return found
