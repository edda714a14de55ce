"""What an answer becomes when priors are moved: the state that widget and page show."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.archive import Run
from escalation_forecast.explorer.curves import Curves, curves
from escalation_forecast.explorer.knobs import (
    HOME,
    Knob,
    Position,
    Positions,
    has_width,
    knob_of,
    knobs,
    moved_priors,
    outcome_words,
    words,
)
from escalation_forecast.fit import Report, Settings
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Item
from escalation_forecast.report.terminal import target_text
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest
from escalation_forecast.update.moves import Move, moves
from escalation_forecast.update.power_scaling import one_by_one
from escalation_forecast.update.result import Update
from escalation_forecast.update.reweight import AGAIN
from escalation_forecast.update.updater import Updater

if TYPE_CHECKING:
    from escalation_forecast.explorer.widget import Panel

FIRST: Final = ("wider-war", "arms-race-regional", "use-of-force", "war-joining", "interstate-war")
GRID: Final = (-2.0, -1.0, 0.0, 1.0, 2.0)
MASS: Final = 0.8
REACH: Final = 1.2815515655446004  # standard errors on either side that hold it
NOTHING: Final = "# No prior is moved."
LEAST: Final = 3  # priors shown, even if fewer clearly move the answer
HARDLY: Final = "Moves this answer hardly, or by chance"
STRANGE: Final = "Is of another subject; what it moves, it moves by chance"


@dataclass(frozen=True, eq=False)
class View:
    """One answer under moved priors.

    Attributes
    ----------
    before, before_mcse, after, mcse : probability and its Monte Carlo error; ``after`` is None where only a
        new fit can tell.
    change_mcse : Monte Carlo error of the change.
    k : the larger of the weights' of the posterior and of the chain to war; None without weights.
    ess : effective number of draws: that many independent ones would have the same Monte Carlo error.
    tells : whether ``after`` can be relied on.
    """

    item: Item
    before: float
    before_mcse: float | None
    after: float | None
    mcse: float | None
    change_mcse: float | None
    k: float | None
    ess: float | None
    tells: bool
    verdict: str
    toml: str
    update: Update

    @property
    def seconds(self) -> float:
        """That the update took."""
        return self.update.seconds


def interval(probability: float, mcse: float | None) -> tuple[float, float] | None:
    """In which four of five runs with other random numbers would lie (normal)."""
    if mcse is None:
        return None
    return max(0.0, probability - REACH * mcse), min(1.0, probability + REACH * mcse)


def ranked(moved: pd.DataFrame, n: int) -> pd.DataFrame:
    """The priors that speak to an answer and clearly move it, at most ``n``, and a few that may by chance.

    Parameters
    ----------
    moved : rows of `power_scaling.one_by_one` of one answer.
    """
    mine = moved[moved["speaks"]]
    clear = mine[mine["clear"]].sort_values("largest", ascending=False).head(n)
    rest = mine[~mine["clear"] & (mine["mcse"] > 0)]
    rest = rest.iloc[np.argsort(-(rest["largest"] / rest["mcse"]).to_numpy())]
    return pd.concat([clear, rest.head(max(0, min(n, LEAST) - len(clear)))])


class Explorer:
    """Priors of a run to move, and an answer to look at.

    In a notebook with a front end it shows sliders; everywhere else, and in what the notebook keeps, a table
    of each prior at five places.

    Parameters
    ----------
    updater : of the run.
    question : id of an answer with a probability, or of its question.
    n : priors shown at first: those that move the answer most.
    settings : of a new fit, when one is asked for.
    """

    def __init__(
        self, updater: Updater, question: str = "", n: int = 5, settings: Settings | None = None
    ) -> None:
        if n < 1:
            raise DataError(f"n is {n}; show at least one prior.")
        self.updater, self.n, self.settings = updater, n, settings
        first = self.item(next(iter(self.answers))).question.id
        self.question = self.item(question or first).id
        self._moved: dict[str, pd.DataFrame] = {}
        self._grids: dict[str, list[Row]] = {}

    @cached_property
    def answers(self) -> dict[str, str]:
        """Text by id of the answers that are probabilities, those of the headlines first."""
        items = [i for i in self.updater.items if i.rule.kind == "binary" and not i.decided]
        place = {name: k for k, name in enumerate(FIRST)}
        items.sort(key=lambda item: place.get(item.question.id, len(FIRST)))
        if not items:
            raise DataError("The run has no open question with a probability; ask one and run it again.")
        return {i.id: f"{i.question.title}: {target_text(i.target)}" for i in items}

    def item(self, name: str) -> Item:
        """The answer of that id, or the first of the question, at twelve months if there is one.

        Raises
        ------
        DataError
            For one that the run has not as a probability.
        """
        every = [item for item in self.updater.items if item.id in self.answers]
        mine = [item for item in every if name in (item.id, item.question.id)]
        if not mine:
            known = {*self.answers, *(item.question.id for item in every)}
            raise DataError(f"The run gives no probability for `{name}`{nearest(name, known)}.")
        return next((item for item in mine if item.id.endswith("/12m")), mine[0])

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """Every prior moved up and down by one of its standard deviations."""
        return tuple(moves(self.updater))

    def moved(self, question: str = "") -> pd.DataFrame:
        """What each of these does to an answer; see `power_scaling.one_by_one`."""
        name = self.item(question or self.question).id
        if name not in self._moved:
            self._moved[name] = one_by_one(self.updater, [name], self.moves)
        return self._moved[name]

    @cached_property
    def knobs(self) -> dict[str, Knob]:
        """What can be moved, by name."""
        return knobs(self.updater, list(dict.fromkeys(move.name for move in self.moves)))

    def top(self, question: str = "") -> tuple[str, ...]:
        """Names of the priors that move an answer most: those that clearly do, or a few that hardly do."""
        moved = self.moved(question)
        found = ranked(moved, self.n)
        return tuple((found if len(found) else moved.nlargest(1, "largest"))["prior"])

    def hint(self, name: str, question: str = "") -> str:
        """What has to be said of a prior beside an answer; empty where it clearly moves it."""
        mine = self.moved(question)
        row = mine[mine["prior"] == name]
        if row.empty or (row["clear"] & row["speaks"]).all():
            return ""
        return HARDLY if row["speaks"].all() else STRANGE

    def has_width(self, name: str) -> bool:
        """Whether a prior has a width to change."""
        return has_width(self.updater.priors[knob_of(self.knobs, name).prior])

    def priors(self, positions: Positions) -> Priors:
        """Those of the run, moved."""
        return moved_priors(self.updater.priors, self.knobs, positions)

    def words(self, name: str, position: Position = HOME) -> tuple[str, str]:
        """The prior at a position, and what it means in an outcome (empty where none reads it)."""
        knob = knob_of(self.knobs, name)
        priors = self.priors({name: position})
        return words(priors, knob), outcome_words(priors, knob)

    def view(
        self,
        positions: Positions,
        question: str = "",
        *,
        refit: bool = False,
        progress: Report | bool = False,
    ) -> View:
        """The answer under moved priors, from the draws at hand or, if asked for, from a new fit.

        Raises
        ------
        DataError
            For an unknown prior or question, and for a place that the prior cannot take.
        """
        item, priors = self.item(question or self.question), self.priors(positions)
        found = self.updater.update(
            priors,
            questions=[item.id],
            refit="always" if refit else "never",
            settings=self.settings,
            progress=progress,
        )
        answer = found.answers[0]
        tells = not found.needs_refit
        return View(
            item=item,
            before=answer.before,
            before_mcse=self.updater.stored[item.id]["mcse"],
            after=answer.after if tells else None,
            mcse=answer.mcse if tells else None,
            change_mcse=answer.change_mcse if tells else None,
            k=_k(found),
            ess=_ess(found) if tells else None,
            tells=tells,
            verdict=_verdict(found),
            toml=priors.to_toml(self.updater.priors) if found.changes else NOTHING,
            update=found,
        )

    def curves(self, name: str, view: View) -> Curves | None:
        """Densities of one prior before and after; None of a constant."""
        return curves(self.updater, knob_of(self.knobs, name), view.update.priors, view.update)

    def grid(self) -> list[Row]:
        """Each of the priors that matter most at five places, the others as they are."""
        if self.question not in self._grids:
            self._grids[self.question] = [self._row(name) for name in self.top()]
        return self._grids[self.question]

    def _row(self, name: str) -> Row:
        places = {by: Position(by) for by in GRID}
        views = {by: self.view({name: place}) for by, place in places.items()}
        words = {by: self.words(name, place) for by, place in places.items()}
        return Row(name, views, words, self.hint(name))

    def to_html(self) -> str:
        """A fragment with the table of `grid`, without any program; see `page.fragment`."""
        from escalation_forecast.explorer.page import fragment

        return fragment(self)

    def save_html(self, path: Path | str) -> Path:
        """Write the fragment as a page of its own."""
        from escalation_forecast.explorer.page import page

        path = Path(path)
        path.write_text(page(self), encoding="utf-8")
        return path

    def widget(self) -> Any:
        """The sliders, an ipywidgets box.

        Raises
        ------
        DataError
            When ipywidgets is not installed.
        """
        try:
            return self._panel().box
        except ImportError as error:
            raise DataError(
                "Sliders need ipywidgets; install escalation-forecast[notebook], or use to_html()."
            ) from error

    def _panel(self) -> Panel:
        from escalation_forecast.explorer.widget import Panel

        return Panel(self)

    def __repr__(self) -> str:
        return f"<Explorer of {self.question}: {', '.join(self.top())}>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The table, and the sliders where somebody is there to move them."""
        found: dict[str, Any] = {"text/plain": repr(self), "text/html": self.to_html()}
        if _front_end():
            # Without ipywidgets the table does.
            with suppress(ImportError):
                found |= self._panel().box._repr_mimebundle_() | {"text/plain": repr(self)}
        return found


@dataclass(frozen=True, eq=False)
class Row:
    """A prior at the places of ``GRID``: what the answer becomes, what the prior is and means, a hint."""

    name: str
    views: Mapping[float, View]
    words: Mapping[float, tuple[str, str]]
    hint: str = ""


def explore(
    run: Updater | Run | Path | str, question: str = "", n: int = 5, *, settings: Settings | None = None
) -> Explorer:
    """Priors of a run to move, and an answer to look at.

    Parameters
    ----------
    run : a run, its folder, or an `Updater` of it.
    question, n, settings : as in `Explorer`.

    Raises
    ------
    DataError
        For a question that the run has not.
    """
    return Explorer(run if isinstance(run, Updater) else Updater.of(run), question, n, settings)


def _k(found: Update) -> float | None:
    if found.answers[0].way in (AGAIN, "refitted"):
        known = [found.k] if found.refit is None else []
    else:
        known = [found.k, *([] if found.chain_k is None else [found.chain_k])]
    finite = [float(k) for k in known if np.isfinite(k)]
    return max(finite) if finite else None


def _ess(found: Update) -> float | None:
    answer = found.answers[0]
    if answer.after is None or not answer.mcse or not 0.0 < answer.after < 1.0:
        return None
    return answer.after * (1.0 - answer.after) / answer.mcse**2


def _verdict(found: Update) -> str:
    answer = found.answers[0]
    if not found.changes:
        return "Nothing is moved."
    if found.refit is not None:
        return found.verdict
    if found.needs_refit:
        return f"Fit again: {found.why}."
    if answer.way == "unchanged":
        return "The draws at hand can tell: what is moved does not bear on this question."
    parts = []
    if (k := _k(found)) is not None:
        parts.append(f"k {k:.2f} (limit {found.limit:.2g})")
    if answer.way == AGAIN:
        parts.append("the wars were simulated again with the new priors")
    if found.weights is not None and np.isfinite(found.k):
        left = 1.0 / float((found.weights**2).sum())
        parts.append(f"the weights leave {left:,.0f} of {found.weights.size:,} draws")
    if (ess := _ess(found)) is not None:
        parts.append(f"as exact as {ess:,.0f} independent draws")
    return f"The draws at hand can tell: {'; '.join(parts)}."


def _front_end() -> bool:
    """Whether a person may be there: front ends name the cell that they run, programs do not."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel is not None else None
    return bool(parent and "cellId" in parent.get("metadata", {}))
