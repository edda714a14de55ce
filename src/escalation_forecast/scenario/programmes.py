"""Programmes of several years that a hypothetical budget takes the place of.

The model reads a programme of a year only as long as no budget of that year has been announced. Draws have
read it, so what it said of them is taken off again; those of simple methods have not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from escalation_forecast.scenario import densities
from escalation_forecast.scenario.futures import Futures
from escalation_forecast.spending_panel import YEARS_AHEAD, SpendingPanel

if TYPE_CHECKING:
    from escalation_forecast.update.updater import Updater

SAME_PRINT: Final = 0.05  # points; what a run keeps of its posterior has few digits


def superseded(updater: Updater, futures: Futures) -> np.ndarray:
    """Log density (n,) of the programmes that the hypothetical budgets replace."""
    sp, draws = updater.panel.spending, updater.draws
    out = np.zeros(draws.n)
    for i, year, value in replaced(sp, futures.announced):
        with updater.run.posterior as tree:
            table = tree["posterior"]["growth_scale"].sel(state=sp.states[i], spending_year=year)
            scale = table.transpose("chain", "draw").to_numpy().astype(float).ravel()
        first_print, noise = draws["first_print"][:, i], draws["growth_noise"][:, i]
        slot = year - sp.last_printed - 1
        said = densities.programme(draws, updater.priors, i, value, first_print[:, slot], scale / noise)
        out += np.where(_own(futures, i, first_print[:, 0]), said, 0.0)
    return out


def replaced(before: SpendingPanel, after: SpendingPanel) -> list[tuple[int, int, float]]:
    """Position of the state, year and figure of programmes ahead that are read before and not after."""

    def rows(sp: SpendingPanel) -> dict[tuple[int, int], float]:
        table = sp.programmes
        found = zip(table["state"], table["year"] + sp.years[0], table["value"], strict=True)
        ahead = range(sp.last_printed + 1, sp.last_printed + YEARS_AHEAD + 1)
        return {(int(i), int(year)): float(value) for i, year, value in found if year in ahead}

    kept = rows(after)
    return [(*key, value) for key, value in rows(before).items() if key not in kept]


def _own(futures: Futures, i: int, first_print: np.ndarray) -> np.ndarray:
    """Draws whose spending is the model's own, known by the first print of the next year."""
    column = int(np.flatnonzero(futures.years == futures.announced.last_printed + 1)[0])
    return np.asarray(abs(futures.prints[:, i, column] - first_print) < SAME_PRINT)
