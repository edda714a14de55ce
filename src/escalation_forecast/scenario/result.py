"""What a scenario says, and how it may be said.

S, structural: what follows if somebody decides. P, preset: an input from outside is fixed. C,
conditional: what would be expected once it is learned, which is news and no effect. The three are never
mixed in one number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.scenario.levers import LONGEST, Scenario
from escalation_forecast.scenario.response import Change
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.questions import Item
    from escalation_forecast.scenario.conditional import Conditional

Label = Literal["S", "P", "C"]
LABELS: Final[dict[str, str]] = {
    "S": "structural: what follows if somebody decides",
    "P": "preset: an input from outside is fixed",
    "C": "conditional: what to expect once it is learned",
}
BEYOND: Final = f"nothing is said beyond {LONGEST} months"
NOT_SETTLED: Final = "the evidence does not settle the direction"
NO_DECISION: Final = "no decision is part of the scenario"
CANNOT_TELL: Final = "the draws at hand cannot tell"
NONE_MOVES: Final = "No probability moves beyond its Monte Carlo error."
SHOWN: Final = 10
LEAST_TIPPING: Final = 0.005  # sd; smaller ones would be told as zero
COLUMNS: Final = (
    "scenario", "label", "id", "target", "unit", "before", "after", "change", "change_mcse", "low", "high",
    "p_lower", "p_stated", "settled", "tipping", "conditional", "conditional_mcse", "note",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    """An answer or another quantity without and with the decisions.

    Attributes
    ----------
    before : as the forecast published it.
    change : None where nothing is said; see ``note``.
    tipping : hidden move of the latents touched, in sds, that would cancel the change.
    conditional, conditional_mcse : change of the C number, where there is one.
    """

    id: str
    target: str
    unit: str
    before: float
    change: Change | None
    tipping: float | None = None
    conditional: float | None = None
    conditional_mcse: float | None = None
    note: str = ""
    item: Item | None = None

    @property
    def after(self) -> float | None:
        """With the decisions."""
        return None if self.change is None else self.before + self.change.mean

    @property
    def words(self) -> str:
        """The row in a sentence that keeps to the rules of what may be said."""
        if self.change is None and self.conditional is not None:
            moved, error = (
                _moved(self.conditional, self.unit),
                _moved(self.conditional_mcse or 0.0, self.unit),
            )
            start = f"{self.id}: {_value(self.before, self.unit)}"
            return f"{start}, {moved} once that is learned (MC error {error[1:]})."
        if self.change is None:
            return f"{self.id}: {self.note}."
        if self.change.mean == 0.0 and self.change.low == self.change.high == 0.0:
            return f"{self.id}: unchanged at {_value(self.before, self.unit)}."
        c = self.change
        if not _clear(self):
            start = f"{self.id}: {_value(self.before, self.unit)}"
            return f"{start}; what changes is within Monte Carlo error."
        ends = _ends(c, self.unit)
        start = f"{self.id}: {_value(self.before, self.unit)}, {_moved(c.mean, self.unit)} (80 % {ends})"
        chance = f"the chance that it is {_side(c)} is {_chance(c)}"
        said = f"{start}; {chance}" + ("" if c.settled else f"; {NOT_SETTLED}")
        if self.tipping is not None:
            small = abs(self.tipping) < LEAST_TIPPING
            by = (
                "as good as any unseen move"
                if small
                else f"an unseen move of the risk by {self.tipping:+.2f} sd"
            )
            said += f"; {by} would cancel it"
        return said + "."


@dataclass(frozen=True, eq=False, repr=False)
class ScenarioResult:
    """A scenario on a finished forecast.

    Attributes
    ----------
    rows : answers to the questions of the run, in their order.
    readouts : risk, incidents, wars, growth and indicators that it moves.
    fans : risk by theatre and month ahead: quantiles .1, .5, .9 without and with.
    conditional : the C number with its weights, if something would be observed.
    refused : why there is no C number although something would be observed.
    lowers_risk : the direction claimed for its levers, where all claim the same.
    caveats : what has to be said with any of these numbers.
    """

    name: str
    scenario: Scenario
    label: Label
    rows: tuple[Row, ...]
    readouts: tuple[Row, ...]
    fans: pd.DataFrame
    conditional: Conditional | None
    refused: str
    lowers_risk: bool | None
    caveats: tuple[str, ...]
    seconds: float

    def __getitem__(self, name: str) -> Row:
        known = {row.id: row for row in (*self.rows, *self.readouts)}
        if name not in known:
            raise DataError(
                f"The scenario has no `{name}`{nearest(name, known)}; see ScenarioResult.table()."
            )
        return known[name]

    def table(self) -> pd.DataFrame:
        """One row per answer and readout, columns `COLUMNS`; in the order of the questions, never by size."""
        return pd.DataFrame(
            [self._record(row) for row in (*self.rows, *self.readouts)], columns=list(COLUMNS)
        )

    def _record(self, row: Row) -> dict[str, Any]:
        c = row.change
        return {
            "scenario": self.name, "label": self.label, "id": row.id, "target": row.target, "unit": row.unit,
            "before": row.before, "after": row.after,
            "change": c and c.mean, "change_mcse": c and c.mcse, "low": c and c.low, "high": c and c.high,
            "p_lower": c and c.lowers, "p_stated": self.stated(row), "settled": c and c.settled,
            "tipping": row.tipping, "conditional": row.conditional,
            "conditional_mcse": row.conditional_mcse, "note": row.note,
        }  # fmt: skip

    def stated(self, row: Row) -> float | None:
        """Probability that a chance moves in the direction claimed for the levers, where one is claimed."""
        if row.change is None or self.lowers_risk is None or row.unit != "probability":
            return None
        return row.change.lowers if self.lowers_risk else 1.0 - row.change.lowers

    def largest(self, n: int = SHOWN) -> list[Row]:
        """The probabilities that move beyond Monte Carlo error, in the order of the questions."""
        moved = [r for r in self.rows if r.unit == "probability" and _clear(r)]
        chosen = sorted(moved, key=lambda r: -_size(r))[:n]
        return [row for row in moved if row in chosen]

    def words(self, n: int = SHOWN) -> str:
        """The scenario in sentences."""
        lines = [f"{self.name} ({LABELS[self.label]}): {self.scenario.title}."]
        lines += [f"  {row.words}" for row in self.largest(n)]
        if len(lines) == 1:
            lines.append(f"  {self.nothing}")
        lines += [f"  {one}" for one in self.news_words()]
        return "\n".join([*lines, *(f"  {one}" for one in self.caveats)])

    @property
    def nothing(self) -> str:
        """What to say where no row is shown."""
        untold = self.label == "C" and self.conditional is not None and self.conditional.needs_refit
        return f"{CANNOT_TELL.capitalize()}." if untold else NONE_MOVES

    def news_words(self) -> list[str]:
        """What has to be said of the C number: how much it asks, and how it was found."""
        beside = "" if self.label == "C" else "C beside it: "
        if self.conditional is None:
            return [f"{beside}{self.refused}"] if self.refused else []
        return [f"{beside}{self.conditional.plausibility.text}", self.conditional.verdict]

    def __repr__(self) -> str:
        return self.words()

    def _repr_html_(self) -> str:
        from html import escape

        rows = self.largest()
        heads: tuple[str, ...] = ("answer", "before")
        if any(row.change is not None for row in rows):
            heads += ("change", "80 %", "chance", "settled", "tipping, sd")
        if any(row.conditional is not None for row in rows):
            heads += ("C: change", "MC error")
        head = "".join(f"<th scope='col'>{one}</th>" for one in heads)
        cells = [_cells(row) for row in rows]
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(one[name])}</td>" for name in heads) + "</tr>" for one in cells
        )
        title = f"<p><b>{escape(self.scenario.title)}</b> ({escape(LABELS[self.label])})</p>"
        table = f"<table><tr>{head}</tr>{body}</table>"
        if not rows:
            table = f"<p>{self.nothing}</p>"
        notes = "".join(f"<li>{escape(one)}</li>" for one in (*self.news_words(), *self.caveats))
        return f"{title}{table}<ul>{notes}</ul>"


def _cells(row: Row) -> dict[str, str]:
    """The row of a table, by column."""
    c, news = row.change, row.conditional
    found = dict.fromkeys(
        ("change", "80 %", "chance", "settled", "tipping, sd", "C: change", "MC error"), "-"
    )
    found |= {"answer": row.id, "before": _value(row.before, row.unit)}
    if c is not None:
        found |= {
            "change": _moved(c.mean, row.unit),
            "80 %": _ends(c, row.unit),
            "chance": f"{_side(c)} with {_chance(c)}",
            "settled": "yes" if c.settled else "no",
        }
    if row.tipping is not None:
        found["tipping, sd"] = f"{row.tipping:+.2f}"
    if news is not None:
        found["C: change"] = _moved(news, row.unit)
        found["MC error"] = _moved(row.conditional_mcse or 0.0, row.unit)[1:]
    return found


def _side(change: Change) -> str:
    return "lower" if change.lowers >= 0.5 else "higher"


def _chance(change: Change) -> str:
    return f"{100 * max(change.lowers, 1.0 - change.lowers):.0f} %"


def _clear(row: Row) -> bool:
    if row.change is not None:
        return _size(row) > 2.0 * row.change.mcse
    return row.conditional is not None and abs(row.conditional) > 2.0 * (row.conditional_mcse or 0.0)


def _size(row: Row) -> float:
    """How far it may move: an effect of either sign counts as much as one of a known sign."""
    if row.change is None:
        return abs(row.conditional or 0.0)
    return max(abs(row.change.low), abs(row.change.high))


def _value(value: float, unit: str) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{100 * value:.3g} %" if unit == "probability" else f"{value:.3g} {unit}"


def _ends(change: Change, unit: str) -> str:
    factor = 100.0 if unit == "probability" else 1.0
    return f"{factor * change.low:+.2g} to {factor * change.high:+.2g}"


def _moved(value: float, unit: str) -> str:
    return f"{100 * value:+.2g} points" if unit == "probability" else f"{value:+.2g}"
