"""What decisions add to the model's equations, draw by draw, in the months ahead."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import ndtri

from escalation_forecast.scenario.levers import Channel, Effect, Lever, Step

_NEVER: Final = np.inf


@dataclass(frozen=True, eq=False)
class Shifts:
    """What is added to each channel.

    Attributes
    ----------
    by : (draw, month ahead) by channel and label.
    sizes : (draw, effect) size of each effect at its full, which the answers are regressed on.
    names : of the effects.
    """

    months: int
    by: dict[Channel, dict[str, np.ndarray]] = field(default_factory=dict)
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    names: tuple[str, ...] = ()

    def of(self, channel: Channel) -> dict[str, np.ndarray]:
        """What moves in a channel, (draw, month) by label."""
        return {label: one for label, one in self.by.get(channel, {}).items() if np.any(one)}

    @property
    def nothing(self) -> bool:
        """Whether nothing is added anywhere."""
        return not any(self.of(channel) for channel in self.by)


def shifts_of(steps: Sequence[tuple[str, Lever, Step]], draws: int, months: int, seed: int) -> Shifts:
    """Effects of the levers of a scenario, added up.

    A lever has the same random numbers wherever and however often it is used, so that its effect applied
    twice is twice its effect.

    Parameters
    ----------
    draws : of the posterior; each gets its own size, lag and reversal.
    months : ahead.
    """
    by: dict[Channel, dict[str, np.ndarray]] = {}
    sizes: dict[str, np.ndarray] = {}
    for name, lever, step in steps:
        for key, effect, size, shape in _effects(name, lever, draws, months, seed):
            sizes[key] = sizes.get(key, np.zeros(draws)) + step.scale * size
            later = np.zeros((draws, months))
            first = step.from_month - 1
            later[:, first:] = shape[:, : months - first]
            part = step.scale * size[:, None] * later
            channel = by.setdefault(effect.channel, {})
            for label in effect.of:
                channel[label] = channel[label] + part if label in channel else part
    columns = np.stack(list(sizes.values()), axis=1) if sizes else np.zeros((draws, 0))
    return Shifts(months, by, columns, tuple(sizes))


def _effects(
    name: str, lever: Lever, draws: int, months: int, seed: int
) -> Iterator[tuple[str, Effect, np.ndarray, np.ndarray]]:
    undone = _reversal(lever, draws, _stream(seed, f"{name}/reversal"))
    for number, effect in enumerate(lever.effects):
        key = f"{name}/{number + 1}: {effect.channel} {'+'.join(effect.of)}"
        rng = _stream(seed, f"{name}/{number}")
        size = effect.mu + effect.sigma * ndtri(_even(rng, draws))
        yield key, effect, size, profile(effect, months, _even(rng, draws), undone)


def profile(effect: Effect, months: int, place: np.ndarray, undone: np.ndarray) -> np.ndarray:
    """Share of the full effect (draw, month); month 1 is that of the decision.

    Parameters
    ----------
    place : (draw,) where between the two ends of ``lag`` an effect begins, 0 to 1.
    undone : (draw,) months after which the decision is undone.
    """
    month = np.arange(1, months + 1)[None, :]
    low, high = effect.lag
    begins = low + place * (high - low)
    if effect.after_reversal:
        begins = begins + undone
    # A whole month of the ramp by the end of the month in which it begins.
    since = month - begins[:, None]
    share = np.clip((since + 1.0) / effect.ramp, 0.0, 1.0)
    if effect.half_life is not None:
        full = effect.ramp - 1.0
        share = share * 0.5 ** (np.maximum(since - full, 0.0) / effect.half_life)
    if not effect.after_reversal:
        share = np.where(month > undone[:, None], 0.0, share)
    return np.asarray(share)


def _reversal(lever: Lever, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Months until the decision is undone, (draw,); infinite where it never is."""
    u = _even(rng, draws)
    if not lever.reversal:
        return np.full(draws, _NEVER)
    return np.asarray(12.0 * np.log(u) / np.log1p(-lever.reversal))


def hidden_shifts(latents: Sequence[str], draws: int, months: int, seed: int, sd: float) -> Shifts:
    """Unseen moves of the latents from the first month ahead on, each by itself, normal with ``sd``."""
    own = {name: sd * ndtri(_even(_stream(seed, f"hidden/{name}"), draws)) for name in latents}
    by: dict[Channel, dict[str, np.ndarray]] = {
        "latent": {name: np.repeat(size[:, None], months, axis=1) for name, size in own.items()}
    }
    return Shifts(months, by, np.stack(list(own.values()), axis=1), tuple(own))


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _even(rng: np.random.Generator, n: int) -> np.ndarray:
    """One number in each n-th of (0, 1), in random order: no sampling error in a mean to speak of."""
    return (rng.permutation(n) + rng.random(n)) / n
