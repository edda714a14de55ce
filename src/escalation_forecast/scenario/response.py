"""How answers respond to effects whose size is uncertain, and what would cancel them.

Each draw has its own size of every effect. Where an answer is about growth, news or troops, these sizes and
the parameters of the draw make a push of that quantity; elsewhere the sizes themselves are the push. The
change of an answer, regressed on its push without a constant (no push, no change), gives the change that each
push would bring. Its distribution is the interval of the change; the noise of the regression is part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from escalation_forecast.update.weights import weighted_mean

INTERVAL: Final = (0.1, 0.9)
CLEAR: Final = 3.0  # standard errors from which a slope on a hidden shift is one


@dataclass(frozen=True)
class Change:
    """The change of one answer.

    Attributes
    ----------
    mean : over draws and sizes of the effects; of a number its mean.
    mcse : its Monte Carlo standard error; both futures have the same chance events.
    low, high : central 80 % interval over the sizes of the effects.
    lowers : probability that the effect is negative.
    """

    mean: float
    mcse: float
    low: float
    high: float
    lowers: float

    @property
    def settled(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0.0 or self.high < 0.0


NO_CHANGE: Final = Change(0.0, 0.0, 0.0, 0.0, 0.0)


def respond(change: np.ndarray, sizes: np.ndarray, shape: tuple[int, int], seed: int) -> Change:
    """The change of an answer over draws with sizes of the effects (draw, effect).

    Parameters
    ----------
    change : (draw,), with the effects less without.
    sizes : of the effects, or of what they make of the quantity that the answer is about.
    shape : (chain, draw).
    """
    if not np.any(change):
        return NO_CHANGE
    found = weighted_mean(change.reshape(shape), np.ones(shape))
    fitted = _fitted(change, sizes, seed)
    low, high = np.quantile(fitted, INTERVAL)
    return Change(found.value, found.mcse, float(low), float(high), float((fitted < 0.0).mean()))


def spread(change: np.ndarray, shape: tuple[int, int]) -> Change:
    """The change of a quantity that each draw knows without chance events, (draw,): its own distribution."""
    if not np.any(change):
        return NO_CHANGE
    found = weighted_mean(change.reshape(shape), np.ones(shape))
    low, high = np.quantile(change, INTERVAL)
    return Change(found.value, found.mcse, float(low), float(high), float((change < 0.0).mean()))


def _fitted(change: np.ndarray, sizes: np.ndarray, seed: int) -> np.ndarray:
    """Change that each draw's sizes would bring on average, with the error of the regression in it."""
    x = _design(sizes)
    found, covariance = regress(change, x)
    noise = np.random.default_rng(seed).standard_normal((len(x), x.shape[1]))
    # A root of the covariance even where columns repeat each other.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    return np.asarray(np.einsum("nk,nk->n", x, found + noise @ root.T))


def _design(sizes: np.ndarray) -> np.ndarray:
    """Sizes and their squares: a probability bends a little."""
    varies = sizes.std(axis=0) > 1e-12 * np.abs(sizes).max(axis=0, initial=1.0)
    return np.concatenate([sizes, sizes[:, varies] ** 2], axis=1)


def regress(y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares without a constant, and its covariance that allows for uneven errors (HC0)."""
    scale = np.sqrt((x**2).mean(axis=0))
    scale[scale == 0.0] = 1.0
    z = x / scale
    inverse = np.linalg.pinv(z.T @ z, hermitian=True)
    found = inverse @ (z.T @ y)
    meat = z * (y - z @ found)[:, None]
    covariance = inverse @ (meat.T @ meat) @ inverse
    return found / scale, covariance / np.outer(scale, scale)


@dataclass(frozen=True)
class Slope:
    """Change of an answer per sd of a hidden move of a latent, and its standard error, (latent,)."""

    values: np.ndarray
    errors: np.ndarray


def hidden_slope(change: np.ndarray, sizes: np.ndarray) -> Slope:
    """Of an answer under hidden moves of the latents with sizes (draw, latent)."""
    found, covariance = regress(change, sizes)
    return Slope(found, np.sqrt(np.clip(np.diagonal(covariance), 0.0, None)))


def tipping_point(change: Change, slope: Slope | None, touched: list[int]) -> float | None:
    """Hidden move of the latents touched, in sds of the latent, that would cancel the change.

    Returns
    -------
    None where nothing changes, or where no move of these latents tells on the answer.
    """
    if slope is None or change.mean == 0.0 or not touched:
        return None
    total = float(slope.values[touched].sum())
    error = float(np.sqrt((slope.errors[touched] ** 2).sum()))
    if total == 0.0 or abs(total) < CLEAR * error:
        return None
    return -change.mean / total
