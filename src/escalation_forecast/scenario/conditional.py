"""What the questions' probabilities would be if figures to come were known: the C number.

Conditional forecasts say what learning something would teach, selection included: that mediation is tried
when things are bad counts. They are no statement on what deciding it would do. Each draw of a finished run,
with its simulated path, is weighted by the density of the figures; where weights do not do, the model is
fitted to them (compare the contingent forecasts of Brandt and Freeman 2006, Political Analysis 14).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.fit import Report, Settings
from escalation_forecast.scenario import answers
from escalation_forecast.scenario.figures import Figure, announced, figures
from escalation_forecast.scenario.futures import Futures, learned
from escalation_forecast.scenario.observed import Observed
from escalation_forecast.scenario.plausibility import Plausibility, at_medians, check_support, plausibility
from escalation_forecast.scenario.programmes import superseded
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest
from escalation_forecast.update.refit import SETTINGS
from escalation_forecast.update.result import SHOWN, Moved, Refit, largest_moves, moved_table
from escalation_forecast.update.reweight import CHOICES, RefitChoice, refitted
from escalation_forecast.update.updater import Updater
from escalation_forecast.update.weights import Weights, smooth

LOWEST_LOG: Final = -500.0  # below the best draw; weights of less are nothing
ALIKE: Final = 1e-6  # log densities no further apart are of figures that are certain

HowFound = Literal["reweighted", "refitted", "not known"]


@dataclass(frozen=True, eq=False, repr=False)
class Conditional:
    """The answers if figures to come were known.

    Attributes
    ----------
    figures : what is supposed to be known.
    answers : one by one; compare ``kind_of_number``.
    inferred : what the figures say of the latents, as from `answers.inferred`.
    k, ess, limit : of the weights of the draws; minus infinity and all draws where they are alike.
    reasons : why the weights alone do not do; empty if they do.
    way : how the answers were found; ``not known`` where weights do not do and nothing was fitted, so that
        the answers are those of weights that cannot be relied on.
    weights : (chain, draw), adding to one.
    """

    figures: tuple[Figure, ...]
    answers: tuple[Moved, ...]
    inferred: pd.DataFrame
    k: float
    ess: float
    limit: float
    reasons: tuple[str, ...]
    way: HowFound
    plausibility: Plausibility
    seconds: float
    refit: Refit | None = None
    weights: np.ndarray | None = field(default=None)
    kind_of_number: str = "C: if we learn that"

    @property
    def needs_refit(self) -> bool:
        """Whether the weights do not do and no fit has been made."""
        return bool(self.reasons) and self.refit is None

    def __getitem__(self, name: str) -> Moved:
        known = {answer.item.id: answer for answer in self.answers}
        if name not in known:
            raise DataError(f"There is no answer `{name}`{nearest(name, known)}; see Conditional.table().")
        return known[name]

    def table(self) -> pd.DataFrame:
        """One row per answer: id, target, kind, before, after, change, change_mcse, mcse, ess, way."""
        return moved_table(self.answers)

    @property
    def verdict(self) -> str:
        """In a sentence: how the answers were found and whether to rely on them."""
        if self.refit is not None:
            health = "passed its gates" if self.refit.diagnostics.passed else "did not pass all gates"
            return f"Fitted again in {self.refit.seconds:.0f} s with the figures as data; the fit {health}."
        if self.reasons:
            return f"Fit again (refit='auto'): {'; '.join(self.reasons)}."
        if np.isneginf(self.k):
            return "Every draw says the same of the figures; nothing is learned from them."
        enough = f"k {self.k:.2f} (limit {self.limit:.2g}), {self.ess:,.0f} effective draws"
        return f"The draws at hand can tell: {enough}."

    def largest(self, n: int = SHOWN) -> list[Moved]:
        """The answers that move most, in units of probability."""
        return largest_moves(self.answers, n)

    def __repr__(self) -> str:
        lines = [f"Conditional ({self.kind_of_number}):", *(f"  {figure}" for figure in self.figures)]
        lines += [self.plausibility.text, self.verdict]
        for a in self.largest():
            lines.append(f"  {a.item.id}: {100 * a.before:.3g} % -> {100 * (a.after or 0.0):.3g} %")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """For a program."""
        rows = [*self.table().to_dict("records")]
        inferred = self.inferred.assign(month=self.inferred["month"].dt.strftime("%Y-%m"))
        return {
            "kind_of_number": self.kind_of_number,
            "figures": [str(figure) for figure in self.figures],
            "way": self.way,
            "k": self.k if np.isfinite(self.k) else None,
            "ess": self.ess,
            "needs_refit": self.needs_refit,
            "reasons": list(self.reasons),
            "verdict": self.verdict,
            "plausibility": self.plausibility.record(),
            "inferred": inferred.to_dict("records"),
            "answers": [
                {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()}
                for row in rows
            ],
        }


def conditional(
    updater: Updater,
    observed: Sequence[Observed],
    *,
    refit: RefitChoice = "never",
    settings: Settings | None = None,
    progress: Report | None = None,
    where: str = "scenario",
) -> Conditional:
    """The answers of a run if figures to come were known.

    Parameters
    ----------
    refit : fit again never, when the weights do not do (``auto``), or always.
    settings : of that fit; by default `update.refit.SETTINGS`.
    progress : told draws done, draws to do and divergences.
    where : what an error begins with.

    Raises
    ------
    DataError
        For figures that cannot be, and for those beyond what the model has support for.
    """
    if refit not in CHOICES:
        raise DataError(f"refit is {refit!r}; choose one of {', '.join(CHOICES)}.")
    if refit == "always":
        return by_refit(updater, observed, settings=settings, progress=progress, where=where)
    found = by_weights(updater, observed, where=where)
    if not found.reasons or refit == "never":
        return found
    return by_refit(updater, observed, settings=settings, progress=progress, where=where)


def by_weights(updater: Updater, observed: Sequence[Observed], *, where: str = "scenario") -> Conditional:
    """The answers from the draws at hand, weighted by the density of the figures at each.

    Raises
    ------
    DataError
        As `conditional`.
    """
    started = time.perf_counter()
    placed, weights, given, asked = _weighed(updater, observed, where)
    found = answers.weighed(updater, given, placed, weights)
    inferred = answers.inferred(updater, updater.paths, weights.values)
    return Conditional(
        figures=placed,
        answers=tuple(found),
        inferred=inferred,
        k=weights.k,
        ess=weights.ess,
        limit=weights.limit,
        reasons=weights.reasons,
        way="not known" if weights.reasons else "reweighted",
        plausibility=asked,
        seconds=time.perf_counter() - started,
        weights=weights.values,
    )


def by_refit(
    updater: Updater,
    observed: Sequence[Observed],
    *,
    settings: Settings | None = None,
    progress: Report | None = None,
    where: str = "scenario",
) -> Conditional:
    """The answers of a fit with the figures as data, published on the as-of date.

    The gates of the fit are in ``refit.diagnostics``.

    Raises
    ------
    DataError
        As `conditional`.
    ConvergenceError
        When the sampler finds no place to start from.
    """
    from escalation_forecast.scenario.again import fit_again

    started = time.perf_counter()
    placed, weights, _, asked = _weighed(updater, observed, where)
    made = fit_again(updater, placed, settings or SETTINGS, progress)
    return Conditional(
        figures=placed,
        answers=tuple(refitted(updater, made, updater.items)),
        inferred=answers.inferred(updater, made.paths, None),
        k=weights.k,
        ess=weights.ess,
        limit=weights.limit,
        reasons=weights.reasons,
        way="refitted",
        plausibility=asked,
        seconds=time.perf_counter() - started,
        refit=made,
    )


def _weighed(
    updater: Updater, observed: Sequence[Observed], where: str
) -> tuple[tuple[Figure, ...], Weights, Futures, Plausibility]:
    """Figures in their places, weights, the futures that hold the figures, and what they ask for."""
    placed = figures(updater, observed, where)
    futures = Futures.of(
        updater.panel,
        announced(updater, placed),
        updater.posterior,
        updater.priors,
        updater.paths,
        updater.seed,
    )
    rarities, joint = check_support(futures, placed)
    density, given = learned(futures, placed)
    old = superseded(updater, futures)
    weights = _weights(updater, density.sum(axis=0) - old)
    usual = at_medians(futures, placed)
    there = replace(futures, announced=announced(updater, usual))
    expected = _weights(updater, learned(there, usual)[0].sum(axis=0) - old)
    asked = plausibility(futures, rarities, joint, weights.values.ravel(), expected.values.ravel())
    return placed, weights, given, asked


def _weights(updater: Updater, total: np.ndarray) -> Weights:
    """Weights of draws from the log density (n,) of all figures."""
    if np.ptp(total) < ALIKE:
        total = np.zeros_like(total)
    return smooth(np.maximum(total, total.max() + LOWEST_LOG).reshape(updater.draws.shape))
