"""Today's yearly chance of use of force and of deaths in the theatre dyads, as priors."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from escalation_forecast.history.dyads import Coding, dyad_years
from escalation_forecast.history.onset import OnsetFit, chance_draws, fit_onset
from escalation_forecast.history.stored import Fitted, Provenance, spec
from escalation_forecast.history.tables import History
from escalation_forecast.history.today import theatre_rows

NAME: Final = {"force": "dyad_force_logit", "fatal": "dyad_fatal_logit"}
WHAT: Final = {
    "force": "a dispute with use of force begins",
    "fatal": "a dispute with at least one death begins",
}
SOURCE: Final = "Militarized Interstate Disputes 5.0, politically relevant dyads 1816-2014"


@dataclasses.dataclass(frozen=True, eq=False)
class Chances:
    """One event in the theatre dyads: the fit, and draws of the log odds of a year.

    Attributes
    ----------
    logit : (dyad, draw), by the order of `dyads`.
    """

    fit: OnsetFit
    dyads: tuple[str, ...]
    logit: np.ndarray


def chances(history: History, event: str, *, coding: Coding = "mid5", year: int, seed: int = 1) -> Chances:
    """Fit the onset of an event to a coding and carry it to the theatre dyads of `year`."""
    fit = fit_onset(dyad_years(history, coding), event, seed=seed)
    rows = theatre_rows(history, year)
    chance = chance_draws(fit, rows, seed=seed)
    return Chances(fit, tuple(rows["dyad"]), np.log(chance) - np.log1p(-chance))


def onset_priors(history: History, event: str, *, year: int | None = None, seed: int = 1) -> Fitted:
    """The prior of `NAME`, normal on the logit scale, and the second coding's result beside it.

    Raises
    ------
    HistoryFitError
        When the sampler did not converge.
    """
    year = year or dt.date.today().year
    main = chances(history, event, year=year, seed=seed)
    other = chances(history, event, coding="gml", year=year, seed=seed)
    mean, sd = main.logit.mean(axis=1), main.logit.std(axis=1)
    prior = spec(
        NAME[event],
        "Normal",
        {
            "mu": dict(zip(main.dyads, mean.tolist(), strict=True)),
            "sigma": dict(zip(main.dyads, sd.tolist(), strict=True)),
        },
        dims=("dyad",),
        labels={"dyad": main.dyads},
        support="real",
        reason=(
            f"Log odds that {WHAT[event]} between the two in {year}. Disputes are coded to 2014; after that "
            "a month of force with none in the six months before counts as an onset (one coder), and enters "
            "the covariates, not the fit"
        ),
        source=SOURCE,
    )
    difference = other.logit.mean(axis=1) - mean
    note = (
        f"{len(main.fit.cells)} rows by dyad and band; with the coding of Gibler, Miller and Little "
        f"({other.fit.events} onsets to 2010) the log odds differ by {difference.mean():+.2f} on average, "
        f"{difference.min():+.2f} to {difference.max():+.2f} by dyad; dyads differ by a factor of standard "
        f"deviation {float(main.fit.posterior['dyad_sd'].mean()):.2f} beyond their covariates"
    )
    found = main.fit.diagnostics
    provenance = Provenance(
        priors=(NAME[event],),
        data=("states", "borders", "majors", "disputes", "clashes"),
        years="1816-2014",
        rows=main.fit.rows,
        events=main.fit.events,
        r_hat_max=max(found["r_hat_max"], other.fit.diagnostics["r_hat_max"]),
        ess_min=min(found["ess_min"], other.fit.diagnostics["ess_min"]),
        divergences=int(found["divergences"] + other.fit.diagnostics["divergences"]),
        note=note,
    )
    return Fitted((prior,), provenance, compared(main, other))


def compared(main: Chances, other: Chances) -> pd.DataFrame:
    """Chance of a year by dyad in both codings: dyad, chance, low, high (90 %), chance_gml."""
    odds: Mapping[str, np.ndarray] = {"main": main.logit, "other": other.logit}
    p = {name: 1 / (1 + np.exp(-logit)) for name, logit in odds.items()}
    low, high = np.quantile(p["main"], (0.05, 0.95), axis=1)
    return pd.DataFrame(
        {
            "dyad": main.dyads,
            "chance": p["main"].mean(axis=1),
            "low": low,
            "high": high,
            "chance_gml": p["other"].mean(axis=1),
        }
    )
