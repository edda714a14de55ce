"""Whether the priors are sane: what they say before any data, against bounds set in advance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.elicit.bounds import Bound, load_bounds
from escalation_forecast.elicit.prior_paths import QUANTITIES, PriorPaths, prior_paths
from escalation_forecast.panel import Panel
from escalation_forecast.priors import Priors

if TYPE_CHECKING:
    from escalation_forecast.report.plot import Plot

SHOWN: Final = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)


@dataclass(frozen=True)
class Checked:
    """One bound, held against the priors.

    Attributes
    ----------
    value
        By label: the share of draws outside, or the mean.
    quantiles
        By label: the quantiles ``SHOWN`` of the draws.
    """

    bound: Bound
    value: Mapping[str, float]
    quantiles: Mapping[str, tuple[float, ...]]

    @property
    def broken(self) -> tuple[str, ...]:
        """Labels for which the bound does not hold."""
        b = self.bound
        if b.rule == "mean":
            return tuple(label for label, mean in self.value.items() if not b.low <= mean <= b.high)
        return tuple(label for label, share in self.value.items() if share > b.outside)

    @property
    def passed(self) -> bool:
        """Whether the bound holds for every label."""
        return not self.broken

    @property
    def worst(self) -> str:
        """The label that is furthest out, or nearest to it."""
        if self.bound.rule == "draws":
            return max(self.value, key=self.value.__getitem__)
        middle = (self.bound.low + self.bound.high) / 2.0
        return max(self.value, key=lambda label: abs(self.value[label] - middle))

    def said(self, label: str) -> str:
        """Such as ``2.1 % outside (Taiwan Strait)``."""
        value, where = self.value[label], f" ({label})" if label else ""
        if self.bound.rule == "mean":
            return f"mean {value:.3g} {QUANTITIES[self.bound.quantity].unit}{where}"
        return f"{100 * value:.2g} % outside{where}"

    @property
    def text(self) -> str:
        """One sentence."""
        what = QUANTITIES[self.bound.quantity]
        if self.passed:
            return f"{what.words}: {self.said(self.worst)}, {self.bound.text}."
        labels = "; ".join(self.said(label) for label in self.broken[:4])
        more = f" and {len(self.broken) - 4} more" if len(self.broken) > 4 else ""
        return (
            f"{what.words}: {labels}{more}, but {self.bound.text}. {self.bound.reason}. "
            f"Look at {', '.join(what.reads)}."
        )


@dataclass(frozen=True)
class PriorCheck:
    """What `prior_check` found.

    Attributes
    ----------
    rows
        One for each bound.
    draws, as_of
        How many draws, and the day of the panel behind them.
    """

    rows: tuple[Checked, ...]
    draws: int
    as_of: pd.Timestamp

    @property
    def passed(self) -> bool:
        """Whether every bound holds."""
        return all(row.passed for row in self.rows)

    @property
    def verdict(self) -> str:
        """In words: how many bounds hold, and of each that does not, by how much and where to look."""
        held = sum(row.passed for row in self.rows)
        if self.passed:
            return f"The priors are sane: all {held} bounds hold."
        failed = [f"- {row.text}" for row in self.rows if not row.passed]
        return "\n".join([f"{held} of {len(self.rows)} bounds hold. Not so:", *failed])

    def table(self) -> pd.DataFrame:
        """One row per bound: quantity, bound, worst label, value, passed."""
        return pd.DataFrame(
            [
                {
                    "quantity": row.bound.quantity,
                    "bound": row.bound.text,
                    "worst": row.worst,
                    "value": row.value[row.worst],
                    "passed": row.passed,
                }
                for row in self.rows
            ]
        )

    def record(self) -> dict[str, Any]:
        """For a program: everything, with the values by label."""
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "draws": self.draws,
            "as_of": self.as_of.date(),
            "bounds": [
                {
                    "quantity": row.bound.quantity,
                    "words": QUANTITIES[row.bound.quantity].words,
                    "unit": QUANTITIES[row.bound.quantity].unit,
                    "rule": row.bound.rule,
                    "low": row.bound.low,
                    "high": row.bound.high,
                    "outside": row.bound.outside if row.bound.rule == "draws" else None,
                    "reason": row.bound.reason,
                    "passed": row.passed,
                    "broken": list(row.broken),
                    "value": dict(row.value),
                    "quantiles": {
                        label: dict(zip((f"{q:g}" for q in SHOWN), found, strict=True))
                        for label, found in row.quantiles.items()
                    },
                }
                for row in self.rows
            ],
        }

    def plot(self) -> Plot:
        """One panel per bound: quantiles of the draws by label, and the range allowed."""
        from escalation_forecast.elicit.plots import plot_check

        return plot_check(self)

    def __str__(self) -> str:
        return self.verdict


def prior_check(
    priors: Priors,
    panel: Panel | None = None,
    *,
    bounds: Sequence[Bound] | Path | str | None = None,
    draws: int = 500,
    seed: int = 6,
) -> PriorCheck:
    """Hold what the priors alone say against bounds.

    Parameters
    ----------
    panel
        For the calendar and the printed years; by default the embedded data as known today.
    bounds
        Bounds or a file of them; by default ``data/prior_bounds.toml``.

    Notes
    -----
    A prior predictive check (Gelman et al. 2020, Bayesian Workflow, 2.4). About six seconds.
    """
    wanted = load_bounds(bounds) if bounds is None or isinstance(bounds, str | Path) else tuple(bounds)
    return judge(prior_paths(priors, panel, draws=draws, seed=seed), wanted)


def judge(made: PriorPaths, bounds: Sequence[Bound]) -> PriorCheck:
    """The same for draws at hand."""
    drawn = {name: QUANTITIES[name].compute(made) for name in {bound.quantity for bound in bounds}}
    rows = [_checked(bound, drawn[bound.quantity]) for bound in bounds if drawn[bound.quantity]]
    return PriorCheck(tuple(rows), made.n, made.panel.as_of)


def _checked(bound: Bound, drawn: Mapping[str, np.ndarray]) -> Checked:
    def value(x: np.ndarray) -> float:
        return float(x.mean() if bound.rule == "mean" else ((x < bound.low) | (x > bound.high)).mean())

    return Checked(
        bound,
        {label: value(x) for label, x in drawn.items()},
        {label: tuple(float(q) for q in np.quantile(x, SHOWN)) for label, x in drawn.items()},
    )
