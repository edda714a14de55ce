"""What decides the numbers of a forecast, and the steps by which one forecast's become another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from escalation_forecast.explain.figures import SPENDING, apply, sorted_changes
from escalation_forecast.explain.rows import Tables, tables_of
from escalation_forecast.panel import GRID_END_YEAR, Panel, build_panel
from escalation_forecast.priors import Priors
from escalation_forecast.questions import Question
from escalation_forecast.spending_panel import SpendingPanel
from escalation_forecast.update.reweight import changes_of

if TYPE_CHECKING:
    from escalation_forecast.prior_change import Change
    from escalation_forecast.store import Store

Kind = Literal["time", "revision", "news", "priors", "configuration", "code", "sampling"]
KINDS: Final[tuple[Kind, ...]] = (
    "time", "revision", "news", "priors", "configuration", "code", "sampling",
)  # fmt: skip
MOST_PRIORS: Final = 6  # steps; more priors than that are one step


@dataclass(frozen=True, eq=False)
class State:
    """Everything that decides the numbers of a forecast but chance.

    Attributes
    ----------
    known : figures, cut at ``day``.
    settings : of the sampler; they decide nothing but Monte Carlo error.
    spending : that of the figures, where it has been laid out already.
    """

    known: Store
    day: pd.Timestamp
    priors: Priors
    questions: tuple[Question, ...]
    seed: int
    horizon: int
    spending_weight: float
    settings: dict[str, Any]
    spending: SpendingPanel | None = None

    @cached_property
    def panel(self) -> Panel:
        """The figures as the model takes them."""
        return build_panel(self.known, self.day, self.spending)

    @cached_property
    def tables(self) -> Tables:
        """The rows of the likelihood."""
        return tables_of(self.panel)

    def but(self, **changes: Any) -> State:
        """The same with something else that the panel does not read."""
        found = replace(self, **changes)
        kept: dict[str, Any] = {name: vars(self)[name] for name in ("panel", "tables") if name in vars(self)}
        vars(found).update(kept)
        return found

    def with_figures(self, known: Store, series: Sequence[str]) -> State:
        """The same with other figures of some series."""
        keep = None if set(series) & set(SPENDING) else self.panel.spending
        return replace(self, known=known, spending=keep)

    def at(self, day: pd.Timestamp) -> State:
        """The same on another day, with nothing new known."""
        known = replace(self.known, as_of_date=day.date())
        if max(day.year, GRID_END_YEAR) != max(self.day.year, GRID_END_YEAR):
            return replace(self, known=known, day=day, spending=None)
        moved = self.but(known=known, day=day)
        # The figures lie where they lay; only where the forecast begins has moved.
        vars(moved)["panel"] = replace(self.panel, as_of=day)
        vars(moved)["tables"] = self.tables
        return moved


@dataclass(frozen=True, eq=False)
class Step:
    """One thing that changed.

    Attributes
    ----------
    label : what, such as the name of a series.
    published_on : of news, when the first of the figures came out.
    n_figures : of revisions and news.
    state : with the change made, and all before it.
    changes : of priors.
    """

    kind: Kind
    label: str
    state: State
    published_on: pd.Timestamp | None = None
    n_figures: int = 0
    changes: tuple[Change, ...] = field(default=())


def steps_between(old: State, new: State) -> list[Step]:
    """Every step from one state to the other, in the fixed order of `KINDS`; none for what is the same.

    Raises
    ------
    DataError
        When the priors are not those of one model.
    """
    found: list[Step] = []
    now = old
    if old.day != new.day:
        now = old.at(new.day)
        found.append(Step("time", f"{old.day:%Y-%m-%d} to {new.day:%Y-%m-%d}", now))
    # What a series is called is known before its figures are read; which indicators are read comes later.
    now = now.but(known=replace(now.known, series=new.known.series, sources=new.known.sources))
    for change in sorted_changes(now.known, new.known):
        now = now.with_figures(apply(now.known, change), change.series)
        dated = change.published_on if change.kind == "news" else None
        found.append(Step(change.kind, change.label, now, dated, change.n_figures))
    found += _prior_steps(now, new)
    now = found[-1].state if found else now
    return found + _configuration(now, new)


def _prior_steps(now: State, new: State) -> list[Step]:
    changes = changes_of(now.priors, new.priors)
    if len(changes) > MOST_PRIORS:
        return [Step("priors", f"{len(changes)} priors", now.but(priors=new.priors), changes=changes)]
    found = []
    for change in changes:
        specs = {**now.priors.specs, change.name: new.priors[change.name]}
        now = now.but(priors=Priors(specs, now.priors.dim_labels))
        found.append(Step("priors", change.name, now, changes=(change,)))
    return found


def _configuration(now: State, new: State) -> list[Step]:
    found = []
    if not _same(now.known.indicators, new.known.indicators):
        now = replace(now, known=new.known, spending=now.panel.spending)
        found.append(Step("configuration", "catalogue of indicators", now))
    for name, label in (
        ("questions", "questions"),
        ("horizon", "horizon"),
        ("spending_weight", "weight of the spending pool"),
        ("seed", "seed"),
        ("settings", "settings of the sampler"),
    ):
        before, after = getattr(now, name), getattr(new, name)
        if before != after:
            now = now.but(**{name: after})
            words = label if name in ("questions", "settings") else f"{label} {before:g} to {after:g}"
            found.append(Step("configuration", words, now))
    return found


def _same(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    return first.reset_index(drop=True).equals(second.reset_index(drop=True))
