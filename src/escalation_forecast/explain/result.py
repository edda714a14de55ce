"""Why the answers of one run differ from those of an earlier one, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from escalation_forecast.explain.states import KINDS, Kind
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.report.plot import Plot

SHOWN: Final = 8  # answers of the representation
COLUMNS: Final = ("answer", "step", "kind", "label", "change", "mcse")
CLEAR: Final = 2.0  # Monte Carlo errors
GRID: Final = 2.0**-40

Unit = Literal["binary", "count", "continuous"]


@dataclass(frozen=True)
class Part:
    """What one step did to one answer.

    Attributes
    ----------
    label : what changed, such as the name of a series; of steps that cannot be told apart, all of them.
    change : of the probability; of a count's mean, of a number's median.
    mcse : Monte Carlo standard error of ``change``.
    """

    kind: Kind
    label: str
    change: float
    mcse: float

    @property
    def clear(self) -> bool:
        """Whether it is beyond Monte Carlo error."""
        return abs(self.change) > CLEAR * self.mcse


@dataclass(frozen=True)
class Why:
    """Why one answer moved.

    Attributes
    ----------
    before, after : as published.
    parts : in order; their changes add up to ``after - before``.
    """

    answer: str
    title: str
    target: str
    unit: Unit
    before: float
    after: float
    parts: tuple[Part, ...]

    @property
    def change(self) -> float:
        """After less before."""
        return self.after - self.before

    def by_kind(self) -> dict[str, float]:
        """Change by kind of step, in order; kinds without a step are left out."""
        kinds = [kind for kind in KINDS if any(part.kind == kind for part in self.parts)]
        return {kind: math.fsum(p.change for p in self.parts if p.kind == kind) for kind in kinds}


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why the answers of a run differ from those of an earlier one.

    Attributes
    ----------
    run_id, previous_id : the later and the earlier run.
    answers : those that both runs give.
    notes : what the reader should know of how it was found, in sentences.
    only_new, only_old : answers of one of the runs alone.
    steps : kind, label, reached by which draws, k and effective number of draws.
    """

    run_id: str
    previous_id: str
    as_of: str
    previous_as_of: str
    answers: tuple[Why, ...]
    steps: pd.DataFrame
    notes: tuple[str, ...]
    only_new: tuple[str, ...] = ()
    only_old: tuple[str, ...] = ()
    seconds: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, answer: str) -> Why:
        known = {why.answer: why for why in self.answers}
        if answer not in known:
            if answer in self.only_new:
                raise DataError(f"`{answer}` is new in run {self.run_id}, so nothing moved.")
            raise DataError(f"The runs have no answer `{answer}` in common{nearest(answer, known)}.")
        return known[answer]

    def table(self) -> pd.DataFrame:
        """One row per answer and step: answer, step, kind, label, change, mcse."""
        rows = [
            (why.answer, step, part.kind, part.label, part.change, part.mcse)
            for why in self.answers
            for step, part in enumerate(why.parts)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"change": float, "mcse": float})

    def summary(self) -> pd.DataFrame:
        """One row per answer: answer, before, after, change, and the change by kind of step."""
        rows = [
            {
                "answer": why.answer,
                "before": why.before,
                "after": why.after,
                "change": why.change,
                **dict.fromkeys(KINDS, 0.0),
                **why.by_kind(),
            }
            for why in self.answers
        ]
        return pd.DataFrame(rows, columns=["answer", "before", "after", "change", *KINDS])

    def largest(self, n: int = SHOWN) -> list[Why]:
        """The probabilities that moved most."""
        binary = [why for why in self.answers if why.unit == "binary"]
        return sorted(binary, key=lambda why: (-abs(why.change), why.answer))[:n]

    def words(self, answer: str) -> str:
        """A few sentences on one answer."""
        from escalation_forecast.explain.words import sentences

        return sentences(self, self[answer])

    def text(self, answer: str) -> str:
        """The table of one answer as text; the numbers printed add up."""
        from escalation_forecast.explain.words import printed

        return printed(self, self[answer])

    def plot(self, answer: str) -> Plot:
        """Waterfall from the earlier to the later number."""
        from escalation_forecast.explain.plots import plot_waterfall

        return plot_waterfall(self, self[answer])

    def rows(self) -> list[dict[str, Any]]:
        """For ``Ledger.put("explanations", rows)``."""
        own = {"run_id": self.run_id, "previous_id": self.previous_id}
        return [own | {str(k): v for k, v in row.items()} for row in self.table().to_dict("records")]

    def record(self) -> dict[str, Any]:
        """For a program: what ``explain --json`` prints."""
        return {
            "run_id": self.run_id,
            "previous_id": self.previous_id,
            "as_of": self.as_of,
            "previous_as_of": self.previous_as_of,
            "notes": list(self.notes),
            "only_new": list(self.only_new),
            "only_old": list(self.only_old),
            "steps": [
                {key: _plain(value) for key, value in row.items()} for row in self.steps.to_dict("records")
            ],
            "answers": [
                {
                    "id": why.answer,
                    "kind": why.unit,
                    "before": why.before,
                    "after": why.after,
                    "change": why.change,
                    "steps": [vars(part) for part in why.parts],
                }
                for why in self.answers
            ],
            "seconds": self.seconds,
        }

    def __repr__(self) -> str:
        from escalation_forecast.explain.words import overview

        return overview(self)

    def _repr_html_(self) -> str:
        from html import escape

        from escalation_forecast.explain.words import kinds_of, points, shown

        kinds = kinds_of(self)
        head = "".join(f"<th>{escape(name)}</th>" for name in ("answer", "before", "after", "change", *kinds))
        body = []
        for why in self.largest():
            parts = why.by_kind()
            cells = [escape(why.answer), shown(why, why.before), shown(why, why.after), points(why.change)]
            cells += [points(parts.get(kind, 0.0)) for kind in kinds]
            body.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<p>Why run {self.run_id} (as of {self.as_of}) differs from {self.previous_id} "
            f"(as of {self.previous_as_of}), in points</p><table><tr>{head}</tr>{''.join(body)}"
            f"</table>{notes}"
        )


def add_up(before: float, after: float, parts: Sequence[Part], mcse: float) -> tuple[Part, ...]:
    """The parts and, last, what they leave of the whole change: Monte Carlo error of the two runs."""
    # On a grid far below Monte Carlo error sums of changes are exact, so that nothing is lost in adding.
    parts = [replace(part, change=round(part.change / GRID) * GRID) for part in parts]
    rest = (after - before) - math.fsum(part.change for part in parts)
    return (*parts, Part("sampling", "Monte Carlo", rest, mcse))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, pd.Timestamp) else value
