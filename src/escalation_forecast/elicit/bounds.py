"""Bounds on what the priors may say, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from escalation_forecast.elicit.prior_paths import QUANTITIES
from escalation_forecast.prior_file import parse, read_text
from escalation_forecast.schema import DataError
from escalation_forecast.store import data_root
from escalation_forecast.tables import nearest

FILE: Final = "prior_bounds.toml"
KEYS: Final = ("quantity", "rule", "low", "high", "outside", "reason", "source")


@dataclass(frozen=True)
class Bound:
    """A range in which what the priors say has to lie.

    Attributes
    ----------
    quantity
        One of `prior_paths.QUANTITIES`.
    rule
        ``draws``: at most the share ``outside`` of the draws lies outside. ``mean``: their mean lies inside.
    low, high
        In the unit of the quantity.
    reason, source
        Why.
    """

    quantity: str
    rule: str
    low: float
    high: float
    outside: float
    reason: str
    source: str

    @property
    def text(self) -> str:
        """Such as ``at most 1 % of draws outside -50 to 100 % a year``."""
        what = QUANTITIES[self.quantity]
        span = f"{self.low:g} to {self.high:g} {what.unit}"
        return (
            f"mean within {span}"
            if self.rule == "mean"
            else f"at most {100 * self.outside:.4g} % of draws outside {span}"
        )


def load_bounds(path: Path | str | None = None) -> tuple[Bound, ...]:
    """Bounds of a file, by default those that come with the package.

    Raises
    ------
    DataError
        One sentence that names the file, the bound and the remedy.
    """
    file = Path(path) if path else data_root() / FILE
    content = parse(read_text(file), str(file))
    rows = content.get("bounds")
    if not isinstance(rows, list) or not rows or set(content) != {"bounds"}:
        raise DataError(f"{file}: there are no bounds; write each as a table [[bounds]].")
    return tuple(_bound(row, f"{file}, bound {n}") for n, row in enumerate(rows, 1))


def _bound(row: Any, at: str) -> Bound:
    if not isinstance(row, Mapping):
        raise DataError(f"{at} is no table; write it as [[bounds]].")
    for key in row:
        if key not in KEYS:
            raise DataError(f"{at} has an unknown key `{key}`{nearest(key, KEYS)}.")
    for key in ("quantity", "rule", "low", "high", "reason"):
        if key not in row:
            raise DataError(f"{at} has no `{key}`; add it.")
    name, rule = row["quantity"], row["rule"]
    if name not in QUANTITIES:
        hint = nearest(str(name), QUANTITIES) or f"; use one of {', '.join(QUANTITIES)}"
        raise DataError(f"{at}: there is no quantity `{name}`{hint}.")
    if rule not in ("draws", "mean"):
        raise DataError(f"{at}: rule is {rule!r}; use draws or mean.")
    low, high, outside = (_number(row.get(key, 0.0), key, at) for key in ("low", "high", "outside"))
    if not low < high:
        raise DataError(f"{at}: low is {low:g} and high is {high:g}; low must be below high.")
    if (rule == "draws") != ("outside" in row) or not 0 <= outside < 1:
        raise DataError(f"{at}: the rule draws, and only it, needs `outside`, a share of draws such as 0.01.")
    return Bound(name, rule, low, high, outside, str(row["reason"]), str(row.get("source", "")))


def _number(value: Any, key: str, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{at}: {key} must be a finite number, not {value!r}.")
    return float(value)
