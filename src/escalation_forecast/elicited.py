"""What a person said about a quantity: the record that a prior keeps of how it came about.

Four ways of saying it: an interval with a mass, three quartiles, a roulette (chips laid on bins), or
several of these by several experts. `prior_methods` turns them into parameters.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

NUMBERS: Final[dict[str, tuple[str, ...]]] = {
    "interval": ("low", "high", "mass"),
    "quartiles": ("lower", "median", "upper"),
    "roulette": ("edges", "chips"),
    "experts": ("weights", "least_overlap"),
}
LEAST_OVERLAP: Final = 0.1
MOST_EXPERTS: Final = 50
_KEYS: Final = ("method", "numbers", "who", "on", "label", "outcome", "of", "experts")

type Number = float | tuple[float, ...]


@dataclass(frozen=True)
class Elicited:
    """One statement.

    Attributes
    ----------
    method, numbers
        One of ``NUMBERS`` and its numbers.
    who, on
        Who said it and on which day, where known.
    label
        The label of the prior's dim that it is about, such as a theatre; empty for all of them.
    outcome, of
        The outcome that the numbers are about and its arguments, such as ``{"state": "KOR"}``; empty
        when they are about the parameter itself.
    experts
        For the method ``experts``: what each of them said.
    """

    method: str
    numbers: Mapping[str, Number]
    who: str = ""
    on: dt.date | None = None
    label: str = ""
    outcome: str = ""
    of: Mapping[str, str] = field(default_factory=dict)
    experts: tuple[Elicited, ...] = ()

    def __post_init__(self) -> None:
        _check_numbers(self, f"{self.method} of {self.who}" if self.who else self.method)

    def number(self, key: str) -> float:
        """A number that is not a list."""
        value = self.numbers[key]
        assert isinstance(value, float)
        return value

    def listed(self, key: str) -> tuple[float, ...]:
        """A list of numbers."""
        value = self.numbers[key]
        assert isinstance(value, tuple)
        return value

    def about(self, label: str = "", outcome: str = "", of: Mapping[str, str] | None = None) -> Elicited:
        """The same statement about a label of the prior, or about an outcome."""
        return replace(self, label=label, outcome=outcome, of=dict(of or {}))

    @property
    def text(self) -> str:
        """Such as ``90 % between 2 and 8``."""
        if self.method == "interval":
            low, high = self.number("low"), self.number("high")
            return f"{100 * self.number('mass'):.4g} % between {low:.6g} and {high:.6g}"
        if self.method == "quartiles":
            return "quartiles " + ", ".join(f"{self.number(k):.6g}" for k in NUMBERS["quartiles"])
        if self.method == "roulette":
            edges, chips = self.listed("edges"), self.listed("chips")
            return f"{sum(chips):.6g} chips on {len(chips)} bins from {edges[0]:.6g} to {edges[-1]:.6g}"
        said = "; ".join(f"{one.who or f'expert {n}'}: {one.text}" for n, one in enumerate(self.experts, 1))
        return f"{len(self.experts)} experts ({said})"

    def __str__(self) -> str:
        by = f", {self.who}" if self.who else ""
        return f"{self.text}{by}{f', {self.on}' if self.on else ''}"


def interval(
    low: float, high: float, mass: float = 0.9, who: str = "", on: dt.date | None = None
) -> Elicited:
    """``mass`` of the belief lies between ``low`` and ``high``.

    Raises
    ------
    DataError
        In one sentence, as for the other three, when the numbers cannot be meant.
    """
    return Elicited("interval", {"low": _f(low), "high": _f(high), "mass": _f(mass)}, who, on)


def quartiles(
    lower: float, median: float, upper: float, who: str = "", on: dt.date | None = None
) -> Elicited:
    """A quarter of the belief lies below each of the three numbers, between them and above."""
    return Elicited("quartiles", {"lower": _f(lower), "median": _f(median), "upper": _f(upper)}, who, on)


def roulette(
    edges: Sequence[float], chips: Sequence[float], who: str = "", on: dt.date | None = None
) -> Elicited:
    """Chips laid on the bins between ``edges``, one more edge than bins (Morris, Oakley and Crowe 2014)."""
    numbers: dict[str, Number] = {
        "edges": tuple(_f(v) for v in edges),
        "chips": tuple(_f(v) for v in chips),
    }
    return Elicited("roulette", numbers, who, on)


def experts(
    statements: Sequence[Elicited],
    weights: Sequence[float] | None = None,
    least_overlap: float = LEAST_OVERLAP,
) -> Elicited:
    """Several statements, pooled linearly.

    Parameters
    ----------
    weights
        One for each; equal by default.
    least_overlap
        Two experts whose distributions share less than this contradict each other, and are refused.
    """
    shares = weights if weights is not None else [1.0] * len(statements)
    numbers: dict[str, Number] = {
        "weights": tuple(_f(v) for v in shares),
        "least_overlap": _f(least_overlap),
    }
    return Elicited("experts", numbers, experts=tuple(statements))


def _f(value: Any) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise DataError(f"A statement needs numbers, not {value!r}; correct it.")
    return float(value)


def _check_numbers(said: Elicited, at: str) -> None:
    if said.method not in NUMBERS:
        raise DataError(
            f"There is no method `{said.method}`{nearest(said.method, NUMBERS)}; "
            f"use one of {', '.join(NUMBERS)}."
        )
    wanted = NUMBERS[said.method]
    for key in said.numbers:
        if key not in wanted:
            raise DataError(
                f"{at} has no number `{key}`{nearest(key, wanted)}; it takes {', '.join(wanted)}."
            )
    for key in wanted:
        if key not in said.numbers:
            raise DataError(f"{at} lacks the number `{key}`; add it.")
        vector = key in ("edges", "chips", "weights")
        if vector != isinstance(said.numbers[key], tuple):
            raise DataError(f"{at}: `{key}` must be {'a list of numbers' if vector else 'one number'}.")
        values = said.listed(key) if vector else (said.number(key),)
        if not all(math.isfinite(v) for v in values):
            raise DataError(f"{at}: `{key}` is not finite; give numbers that are.")
    _CHECKS[said.method](said, at)


def _check_interval(said: Elicited, at: str) -> None:
    low, high, mass = (said.number(key) for key in NUMBERS["interval"])
    if not low < high:
        raise DataError(f"{at}: low is {low:g} and high is {high:g}; low must be below high.")
    if not 0 < mass < 1:
        raise DataError(f"{at}: mass is {mass:g}; give a share between 0 and 1, such as 0.9.")


def _check_quartiles(said: Elicited, at: str) -> None:
    lower, median, upper = (said.number(key) for key in NUMBERS["quartiles"])
    if not lower < median < upper:
        raise DataError(f"{at}: {lower:g}, {median:g}, {upper:g} do not rise; give them in rising order.")


def _check_roulette(said: Elicited, at: str) -> None:
    edges, chips = said.listed("edges"), said.listed("chips")
    if len(edges) != len(chips) + 1:
        raise DataError(
            f"{at}: {len(edges)} edges enclose {len(edges) - 1} bins but there are {len(chips)} numbers of "
            "chips; give one edge more than bins."
        )
    if any(a >= b for a, b in pairwise(edges)):
        raise DataError(f"{at}: the edges do not rise; order them.")
    if min(chips) < 0:
        raise DataError(f"{at}: a bin has {min(chips):g} chips; give 0 or more.")
    if sum(c > 0 for c in chips) < 2:
        raise DataError(
            f"{at}: fewer than two bins have chips, which says nothing of the width; use finer bins."
        )


def _check_experts(said: Elicited, at: str) -> None:
    weights, least = said.listed("weights"), said.number("least_overlap")
    if not 2 <= len(said.experts) <= MOST_EXPERTS:
        raise DataError(f"{at}: {len(said.experts)} statements; give 2 to {MOST_EXPERTS}.")
    if len(weights) != len(said.experts):
        raise DataError(f"{at}: {len(weights)} weights for {len(said.experts)} experts; give one for each.")
    if min(weights) <= 0:
        raise DataError(f"{at}: a weight is {min(weights):g}; give numbers above 0, or leave the expert out.")
    if not 0 <= least < 1:
        raise DataError(
            f"{at}: least_overlap is {least:g}; give a share from 0 to 1, such as {LEAST_OVERLAP}."
        )
    if any(one.method == "experts" for one in said.experts):
        raise DataError(f"{at}: an expert is a panel of experts; list them all in one panel.")


_CHECKS: Final = {
    "interval": _check_interval,
    "quartiles": _check_quartiles,
    "roulette": _check_roulette,
    "experts": _check_experts,
}


def read_elicited(raw: Any, at: str) -> Elicited:
    """One table ``elicited`` of a prior file.

    Raises
    ------
    DataError
        One sentence that names the prior and the key.
    """
    if not isinstance(raw, Mapping):
        raise DataError(f"{at}: elicited must be a table with method and numbers.")
    for key in raw:
        if key not in _KEYS:
            raise DataError(f"{at}: elicited has an unknown key `{key}`{nearest(key, _KEYS)}.")
    texts = {key: raw.get(key, "") for key in ("method", "who", "label", "outcome")}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise DataError(f"{at}: {key} of elicited must be text; write it in quotation marks.")
    on, of, numbers = raw.get("on"), raw.get("of", {}), raw.get("numbers", {})
    if on is not None and (not isinstance(on, dt.date) or isinstance(on, dt.datetime)):
        raise DataError(f"{at}: on of elicited must be a day such as 2026-11-27, without quotation marks.")
    if not isinstance(of, Mapping) or not all(isinstance(v, str) for v in of.values()):
        raise DataError(f'{at}: of must be a table of words such as {{ state = "KOR" }}.')
    if not isinstance(numbers, Mapping):
        raise DataError(f"{at}: numbers must be a table such as {{ low = 2, high = 8, mass = 0.9 }}.")
    panel = raw.get("experts", [])
    if not isinstance(panel, list | tuple):
        raise DataError(f"{at}: experts must be a list of tables, one for each of them.")
    try:
        if texts["method"] == "experts":
            numbers = {"weights": [1.0] * len(panel), "least_overlap": LEAST_OVERLAP, **numbers}
        elif texts["method"] == "interval":
            numbers = {"mass": 0.9, **numbers}
        clean: dict[str, Number] = {
            str(key): tuple(_f(v) for v in value) if isinstance(value, list | tuple) else _f(value)
            for key, value in numbers.items()
        }
        said = tuple(read_elicited(one, f"{at}, expert {n}") for n, one in enumerate(panel, 1))
        return Elicited(
            texts["method"], clean, texts["who"], on, texts["label"], texts["outcome"], dict(of), said
        )
    except DataError as error:
        raise error if str(error).startswith(at) else DataError(f"{at}: {error}") from None


def record(said: Elicited) -> dict[str, Any]:
    """As a table of a prior file; what is empty is left out."""
    full = {
        "method": said.method,
        "numbers": dict(said.numbers),
        "who": said.who,
        "on": said.on,
        "label": said.label,
        "outcome": said.outcome,
        "of": dict(said.of),
        "experts": [record(one) for one in said.experts],
    }
    return {key: value for key, value in full.items() if value not in ("", None, {}, [])}
