"""Densities of one prior: before and after it is moved, without and with the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from escalation_forecast.explorer.knobs import Knob, numbers
from escalation_forecast.prior_law import law
from escalation_forecast.prior_spec import bounds_of
from escalation_forecast.priors import Priors
from escalation_forecast.update.density import unbounded
from escalation_forecast.update.result import Update
from escalation_forecast.update.updater import Updater

POINTS: Final = 240
BINS: Final = 512
REACH: Final = 2.0  # widths of a posterior to either side
TAIL: Final = 0.01  # of a prior, left out on either side
NO_DATA: Final = "No data speak to this prior: what is drawn is the prior itself."
NOT_YET: Final = "How the data and the new prior go together cannot be told without a new fit."


@dataclass(frozen=True, eq=False)
class Curves:
    """Densities (point,) of a prior at ``x``; a posterior that is not there is None.

    Attributes
    ----------
    note : why one is not there.
    """

    name: str
    x: np.ndarray
    old_prior: np.ndarray
    new_prior: np.ndarray
    old_posterior: np.ndarray | None
    new_posterior: np.ndarray | None
    note: str

    def named(self) -> dict[str, np.ndarray]:
        """Those that are there, by name."""
        every = {
            "old prior": self.old_prior,
            "new prior": self.new_prior,
            "old posterior": self.old_posterior,
            "new posterior": self.new_posterior,
        }
        return {name: values for name, values in every.items() if values is not None}

    def mean(self, values: np.ndarray) -> float:
        """Mean of a density within the range shown."""
        return float(np.trapezoid(self.x * values, self.x) / np.trapezoid(values, self.x))

    @property
    def text(self) -> str:
        """The same in words, for those who do not see the plot."""
        means = [f"{name} {self.mean(values):.3g}" for name, values in self.named().items()]
        return (
            f"Densities of {self.name}. Means within the range shown: {', '.join(means)}. {self.note}".strip()
        )


def curves(updater: Updater, knob: Knob, priors: Priors, update: Update) -> Curves | None:
    """Densities of a prior under the priors of the run and under those of an update; None of a constant."""
    old, new = updater.priors[knob.prior], priors[knob.prior]
    if "Fixed" in (old.family, new.family):
        return None
    laws = [law(spec.family, numbers(p, knob)) for spec, p in ((old, updater.priors), (new, priors))]
    ends = np.array([one.ppf([TAIL, 1.0 - TAIL]) for one in laws])
    draws = _column(updater, knob)
    bounds = bounds_of(old.support, old.name)
    if draws is not None:
        near = np.quantile(draws, [0.001, 0.999])
        # A long tail of the prior must not press what the data say into a line.
        width = near[1] - near[0]
        outward = np.array([-width, width])
        around = np.clip(near + 0.1 * outward, *bounds)
        ends = np.vstack([np.clip(ends, *(near + REACH * outward)), around])
    x = np.linspace(ends[:, 0].min(), ends[:, 1].max(), POINTS)
    before, after = (_finite(one.pdf(x)) for one in laws)
    if draws is None:
        return Curves(knob.name, x, before, after, None, None, NO_DATA)
    posterior = weighted_density(draws, None, x, bounds)
    if update.refit is not None:
        again = _pick(update.refit.posterior[_stored(updater, knob)].to_numpy(), knob)
        return Curves(knob.name, x, before, after, posterior, weighted_density(again, None, x, bounds), "")
    if update.needs_refit or update.weights is None:
        return Curves(knob.name, x, before, after, posterior, None, NOT_YET)
    weighted = weighted_density(draws, update.weights.ravel(), x, bounds)
    return Curves(knob.name, x, before, after, posterior, weighted, "")


def _stored(updater: Updater, knob: Knob) -> str:
    return f"{knob.prior}_common" if updater.common(knob.prior) is not None else knob.prior


def _column(updater: Updater, knob: Knob) -> np.ndarray | None:
    """Draws (n,) of the posterior; None of what only the chain to war reads."""
    if knob.prior not in updater.posterior:
        return None
    return _pick(updater.posterior[_stored(updater, knob)].to_numpy(), knob)


def _pick(values: np.ndarray, knob: Knob) -> np.ndarray:
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    return np.asarray(flat[:, knob.labels.index(knob.label) if knob.label else 0], float)


def _finite(density: np.ndarray) -> np.ndarray:
    return np.asarray(np.nan_to_num(density, nan=0.0, posinf=0.0))


def weighted_density(
    draws: np.ndarray, weights: np.ndarray | None, x: np.ndarray, bounds: tuple[float, float]
) -> np.ndarray:
    """Density (point,) at ``x`` of weighted draws (n,), by a normal kernel where the support has no bounds.

    The width is Silverman's (1986) for the draws that the weights leave.
    """
    from scipy.ndimage import gaussian_filter1d

    share = np.full(len(draws), 1.0 / len(draws)) if weights is None else weights / weights.sum()
    free = unbounded(draws, *bounds)
    mean = float(share @ free)
    sd = float(np.sqrt(share @ (free - mean) ** 2))
    if sd == 0.0:
        return np.zeros_like(x)
    width = 0.9 * sd * float((share**2).sum()) ** 0.2
    edges = np.linspace(free.min() - 4.0 * width, free.max() + 4.0 * width, BINS + 1)
    step = float(edges[1] - edges[0])
    mass = np.histogram(free, edges, weights=share)[0] / step
    smooth = gaussian_filter1d(mass, width / step, mode="constant")
    inside = (x > bounds[0]) & (x < bounds[1])
    found = np.zeros_like(x)
    at = unbounded(x[inside], *bounds)
    slope = np.gradient(at, x[inside]) if inside.sum() > 1 else np.ones_like(at)
    found[inside] = np.interp(at, (edges[1:] + edges[:-1]) / 2.0, smooth, left=0.0, right=0.0) * slope
    return found
