"""How much a scenario asks of the model: how rare it is, how much there is to learn, how far risk moves.

The information is the Kullback-Leibler divergence of the weighted from the unweighted draws. It is told as
the bias of a coin (McCulloch 1989, Journal of the American Statistical Association 84): to learn that a coin
falls heads with chance q where one had thought one half is as much. Antolin-Diaz, Petrella and Rubio-Ramirez
(2021, Journal of Monetary Economics 117) use it for structural scenarios. Exact figures teach something even
where they are just what was expected, so that is given beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.scenario.figures import Figure
from escalation_forecast.scenario.futures import Futures
from escalation_forecast.schema import THEATRE_LABELS, DataError

Verdict = Literal["ordinary", "unusual", "at the edge"]
RAREST: Final = 0.001  # of futures; a rarer figure is refused
FURTHEST: Final = 4.0  # sd of a latent's own forecast; a longer move is refused
VERDICTS: Final[tuple[Verdict, ...]] = ("ordinary", "unusual", "at the edge")
# From which share of futures on, and up to which move of a latent, a scenario is the one or the other.
LIMITS: Final = ((0.1, 1.0), (0.01, 2.0))
ROUNDING: Final = 1e-9
NO_MOVE: Final = 0.1


@dataclass(frozen=True)
class Rarity:
    """One figure among the futures that the forecast has.

    Attributes
    ----------
    tail : share of futures with a value as far out on the same side.
    side : 1 where a value this high is the rarer thing, -1 where one this low is.
    limit : the furthest value on that side that is not refused.
    """

    figure: Figure
    tail: float
    side: int
    limit: float

    def __str__(self) -> str:
        way = "high" if self.side > 0 else "low"
        return f"{self.figure}: a value this {way} comes in {_percent(self.tail)} of futures"


@dataclass(frozen=True)
class Move:
    """How far the mean of a latent moves, in sd of its own forecast, and where it moves most."""

    latent: str
    sds: float
    month: pd.Timestamp


@dataclass(frozen=True)
class Plausibility:
    """How much the figures of a scenario ask for.

    Attributes
    ----------
    figures : one by one.
    joint : share of futures that are as far out in the same direction, all figures taken together: by the
        mean of their normal scores.
    information : Kullback-Leibler divergence, in nats.
    expected : the same if every figure were the median of its forecast.
    moves : of the latents, furthest first.
    """

    figures: tuple[Rarity, ...]
    joint: float
    information: float
    expected: float
    moves: tuple[Move, ...]

    @property
    def coin(self) -> float:
        """Chance of heads that is as far from one half as the scenario is from the forecast."""
        return coin(self.information)

    @property
    def furthest(self) -> Move:
        """The latent that has to move most."""
        return self.moves[0]

    @property
    def verdict(self) -> Verdict:
        """In a word; what is beyond the edge is refused."""
        for word, (share, sds) in zip(VERDICTS, LIMITS, strict=False):
            if self.joint >= share and abs(self.furthest.sds) < sds:
                return word
        return VERDICTS[-1]

    @property
    def text(self) -> str:
        """In three sentences."""
        rarest = min(self.figures, key=lambda one: one.tail)
        together = ""
        if len(self.figures) > 1:
            together = f"; all {len(self.figures)} taken together, in {_percent(self.joint)}"
        move, verdict = self.furthest, str(self.verdict).capitalize()
        far = "No latent moves by more than a tenth of an sd of its own forecast."
        if abs(move.sds) > NO_MOVE:
            label = THEATRE_LABELS[move.latent]
            far = f"{label} moves most, by {move.sds:+.1f} sd of its own forecast ({move.month:%Y-%m})."
        return (
            f"{verdict}: {rarest}{together}. To learn it is to learn that a coin falls heads with chance "
            f"{self.coin:.2f} (the same series just as expected: {coin(self.expected):.2f}). {far}"
        )

    def record(self) -> dict[str, Any]:
        """For a program."""
        return {
            "verdict": self.verdict,
            "text": self.text,
            "joint": self.joint,
            "information": self.information,
            "coin": self.coin,
            "expected_coin": coin(self.expected),
            "figures": [
                {"of": one.figure.of, "when": one.figure.when, "value": one.figure.value, "tail": one.tail}
                for one in self.figures
            ],
            "moves": {move.latent: move.sds for move in self.moves},
        }


def check_support(futures: Futures, figures: Sequence[Figure]) -> tuple[tuple[Rarity, ...], float]:
    """How rare the figures are, one by one and together.

    Raises
    ------
    DataError
        When fewer than one future in a thousand goes as far: a forecast given the figures would come from the
        far tails of distributions that nothing has tested. It names the nearest figures that do.
    """
    found, scores, own = [], np.zeros(futures.draws.n), 0.0
    for figure in figures:
        values = futures.predicted(figure)
        one, score = _rarity(values, figure)
        if one.tail < RAREST:
            way, rank = ("high", "99.9th") if one.side > 0 else ("low", "0.1th")
            raise DataError(
                f"{figure} is beyond what the model can speak of: a value this {way} comes in "
                f"{_of(one.tail, values)} futures, fewer than 1 in 1,000; the nearest that it can is "
                f"{_number(one.limit)} ({rank} percentile)."
            )
        found.append(one)
        scores += one.side * _scores(values)
        own += one.side * score
    joint = float(np.mean(scores >= own - ROUNDING))
    if joint < RAREST:
        share = float(np.quantile(scores, 1.0 - RAREST)) / own
        nearer = ", ".join(
            f"{one.figure.of} {_number(_at(futures, one.figure, share))} in {one.figure.when}"
            for one in found
        )
        raise DataError(
            f"The figures together are beyond what the model can speak of: all of them this far out come in "
            f"{_of(joint, scores)} futures, fewer than 1 in 1,000; the nearest that it can is {nearer}."
        )
    return tuple(found), joint


def coin(information: float) -> float:
    """Chance of heads of the coin whose divergence from a fair one is the information, in nats."""
    return float((1.0 + np.sqrt(-np.expm1(-2.0 * max(information, 0.0)))) / 2.0)


def plausibility(
    futures: Futures, rarities: tuple[Rarity, ...], joint: float, weights: np.ndarray, expected: np.ndarray
) -> Plausibility:
    """What the figures ask for.

    Parameters
    ----------
    weights : (n,) that the figures give the draws, adding to one.
    expected : those that the medians of their forecasts give.

    Raises
    ------
    DataError
        When a latent would have to move by more than four sd of its own forecast.
    """
    moved = (np.tensordot(weights, futures.eta, axes=1) - futures.eta.mean(axis=0)) / futures.eta.std(axis=0)
    most = np.abs(moved).argmax(axis=1)
    moves = [Move(name, float(moved[k, most[k]]), futures.months[most[k]]) for k, name in enumerate(LATENTS)]
    moves.sort(key=lambda move: -abs(move.sds))
    if abs(moves[0].sds) > FURTHEST:
        raise DataError(
            f"The figures are beyond what the model can speak of: {THEATRE_LABELS[moves[0].latent]} would "
            f"have to move by {moves[0].sds:+.1f} sd of its own forecast, more than {FURTHEST:g}; suppose "
            "something nearer."
        )
    return Plausibility(rarities, joint, _divergence(weights), _divergence(expected), tuple(moves))


def at_medians(futures: Futures, figures: Sequence[Figure]) -> tuple[Figure, ...]:
    """The same series at the medians of their forecasts; bounds stay."""
    found = []
    for figure in figures:
        middle = float(np.quantile(futures.predicted(figure), 0.5, method="nearest"))
        factor = middle / figure.value if figure.kind == "troops" and figure.point else 1.0
        moved = replace(figure, value=middle, low=figure.low * factor, high=figure.high * factor)
        found.append(moved if figure.point else figure)
    return tuple(found)


def _divergence(weights: np.ndarray) -> float:
    """Kullback-Leibler divergence of weights (n,) from even ones, in nats."""
    filled = weights[weights > 0.0]
    return float((filled * np.log(weights.size * filled)).sum())


def _rarity(values: np.ndarray, figure: Figure) -> tuple[Rarity, float]:
    """The rarity of a figure among simulated values (n,), and its normal score."""
    low, high = _bounds(figure)
    above, below = float(np.mean(values >= low)), float(np.mean(values <= high))
    side = 1 if above <= below else -1
    tail, value = (above, low) if side > 0 else (below, high)
    limit = np.quantile(values, 1.0 - RAREST if side > 0 else RAREST, method="nearest")
    return Rarity(figure, tail, side, float(limit)), _score_of(value, values)


def _bounds(figure: Figure) -> tuple[float, float]:
    """The least and the largest value that agree with a figure."""
    if figure.kind == "troops":
        return (figure.value, figure.value) if figure.point else (figure.low, figure.high)
    value = _class(figure)
    return value, value


def _class(figure: Figure) -> float:
    """A level of the ladder by its class; the forecast tells no more apart."""
    if figure.kind != "ladder":
        return figure.value
    return 0.0 if figure.value < 3 else 3.0 if figure.value < 4 else 4.0


def _scores(values: np.ndarray) -> np.ndarray:
    ordered = np.sort(values)
    return _normal(ordered, values)


def _score_of(value: float, values: np.ndarray) -> float:
    return float(_normal(np.sort(values), np.array([value]))[0])


def _normal(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Normal scores of the middle of the ranks of values, within those that so many draws can tell."""
    n = len(ordered)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2.0
    return np.asarray(ndtri(np.clip(ranks / n, 0.5 / n, 1.0 - 0.5 / n)))


def _at(futures: Futures, figure: Figure, share: float) -> float:
    """The value at a share of a figure's normal score."""
    values = futures.predicted(figure)
    score = share * _score_of(_class(figure), values)
    return float(np.quantile(values, ndtr(score), method="nearest"))


def _of(share: float, values: np.ndarray) -> str:
    hits = round(share * values.size)
    return f"{hits or 'none'} of {values.size:,}"


def _number(value: float) -> str:
    """Four digits, without powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.2g} %"
