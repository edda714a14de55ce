"""What other priors say, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.questions import Item
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    import xarray as xr

    from escalation_forecast.fit import Diagnostics
    from escalation_forecast.prior_change import Change
    from escalation_forecast.priors import Priors
    from escalation_forecast.questions import Answer

Way = Literal["unchanged", "reweighted", "simulated again", "refitted", "not known"]
SHOWN: Final = 12  # rows of the representation
COLUMNS: Final = ("id", "target", "kind", "before", "after", "change", "change_mcse", "mcse", "ess", "way")


@dataclass(frozen=True)
class Moved:
    """One answer before and after.

    Attributes
    ----------
    before, after : probability; of a count its mean, of a number its median. ``after`` is None when neither
        weights nor a fit could tell it.
    mcse : Monte Carlo standard error of ``after``.
    ess : effective number of draws behind it; None where all draws agree.
    change_mcse : Monte Carlo standard error of the change; smaller than that of both where the draws are the
        same.
    way : how ``after`` was found.
    """

    item: Item
    before: float
    after: float | None
    mcse: float | None
    ess: float | None
    way: Way
    change_mcse: float | None = None

    @property
    def change(self) -> float | None:
        """After less before."""
        return None if self.after is None else self.after - self.before


def moved_table(answers: Sequence[Moved]) -> pd.DataFrame:
    """One row per answer, columns `COLUMNS`."""
    rows = [
        (
            *(a.item.id, a.item.target, a.item.rule.kind, a.before, a.after, a.change),
            *(a.change_mcse, a.mcse, a.ess, a.way),
        )
        for a in answers
    ]
    numbers = dict.fromkeys(("before", "after", "change", "change_mcse", "mcse", "ess"), float)
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(numbers)


def largest_moves(answers: Sequence[Moved], n: int) -> list[Moved]:
    """The answers that move most, in units of probability."""
    binary = [a for a in answers if a.item.rule.kind == "binary" and a.change is not None]
    return sorted(binary, key=lambda a: -abs(a.change or 0.0))[:n]


@dataclass(frozen=True, eq=False)
class Refit:
    """A new fit with other priors."""

    posterior: xr.Dataset
    paths: xr.Dataset
    answers: Sequence[Answer]
    diagnostics: Diagnostics
    seconds: float
    compiled: bool
    compile_seconds: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class Update:
    """The answers under other priors.

    Attributes
    ----------
    priors : the new ones.
    changes : what differs from those of the run, where it decides the draws.
    answers : one by one.
    k, ess : of the weights of the posterior's draws; minus infinity and all draws where they are alike.
    reasons : why the weights alone do not do; empty if they do.
    refit : the new fit, if there was one.
    chain_k : of the weights of the draws that only the simulation of wars reads.
    """

    priors: Priors
    changes: tuple[Change, ...]
    answers: tuple[Moved, ...]
    k: float
    ess: float
    limit: float
    reasons: tuple[str, ...]
    seconds: float
    refit: Refit | None = None
    chain_k: float | None = None
    weights: np.ndarray | None = field(default=None)

    @property
    def needs_refit(self) -> bool:
        """Whether the weights do not do and no fit has been made."""
        return bool(self.reasons) and self.refit is None

    def __getitem__(self, name: str) -> Moved:
        known = {answer.item.id: answer for answer in self.answers}
        if name not in known:
            raise DataError(f"There is no answer `{name}`{nearest(name, known)}; see Update.table().")
        return known[name]

    def table(self) -> pd.DataFrame:
        """One row per answer: id, target, kind, before, after, change, change_mcse, mcse, ess, way."""
        return moved_table(self.answers)

    @property
    def verdict(self) -> str:
        """In a sentence: how the answers were found and whether to rely on them."""
        if self.refit is not None:
            health = "passed its gates" if self.refit.diagnostics.passed else "did not pass all gates"
            return f"Fitted again in {self.refit.seconds:.0f} s, because {self.why}; the fit {health}."
        if not self.changes:
            return "No prior that decides the draws differs; nothing changes."
        if self.reasons:
            return f"Fit again (refit='auto'): {self.why}."
        if np.isneginf(self.k):
            return "The posterior stays as it is; only the simulation of wars reads these priors."
        enough = f"k {self.k:.2f} (limit {self.limit:.2g}), {self.ess:,.0f} effective draws"
        return f"The draws at hand can tell: {enough}."

    @property
    def why(self) -> str:
        """The reasons in one."""
        return "; ".join(self.reasons) or "that was asked for"

    def largest(self, n: int = SHOWN) -> list[Moved]:
        """The answers that move most, in units of probability."""
        return largest_moves(self.answers, n)

    def __repr__(self) -> str:
        lines = [f"Update: {len(self.changes)} priors differ", *(f"  {change}" for change in self.changes)]
        lines.append(self.verdict)
        lines += [f"  {_line(a)}" for a in self.largest() if a.change]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(a.item.id)}</td><td>{_percent(a.before)}</td><td>{_percent(a.after)}</td>"
            f"<td>{_points(a.change)}</td><td>{_points(a.change_mcse, sign='')}</td>"
            f"<td>{escape(a.way)}</td></tr>"
            for a in self.largest()
        )
        changes = "".join(f"<li>{escape(str(change))}</li>" for change in self.changes)
        head = "".join(
            f"<th>{name}</th>" for name in ("answer", "before", "after", "change", "its MC error", "how")
        )
        return f"<ul>{changes}</ul><p>{escape(self.verdict)}</p><table><tr>{head}</tr>{rows}</table>"

    def record(self) -> dict[str, Any]:
        """For a program: what ``priors update --json`` prints."""
        return {
            "changes": [str(change) for change in self.changes],
            "k": self.k,
            "ess": self.ess,
            "chain_k": self.chain_k,
            "needs_refit": self.needs_refit,
            "reasons": list(self.reasons),
            "refitted": self.refit is not None,
            "verdict": self.verdict,
            "seconds": self.seconds,
            "answers": [
                {key: None if isinstance(v, float) and np.isnan(v) else v for key, v in row.items()}
                for row in self.table().to_dict("records")
            ],
        }


def _line(a: Moved) -> str:
    change, error = (_points(one, sign) for one, sign in ((a.change, "+"), (a.change_mcse, "")))
    return f"{a.item.id}: {_percent(a.before)} -> {_percent(a.after)} ({change}, MC error {error})"


def _percent(p: float | None) -> str:
    return "-" if p is None else f"{100 * p:.3g} %"


def _points(p: float | None, sign: str = "+") -> str:
    return "-" if p is None else f"{100 * p:{sign}.2g} points"
