"""Scenarios on a finished forecast, one by one or all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast import forecast
from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.scenario import readouts as quantities
from escalation_forecast.scenario.effects import Shifts, shifts_of
from escalation_forecast.scenario.levers import (
    LONGEST,
    Book,
    Lever,
    Scenario,
    Step,
    labels_known,
    load_scenarios,
)
from escalation_forecast.scenario.response import respond, spread, tipping_point
from escalation_forecast.scenario.result import (
    BEYOND,
    CANNOT_TELL,
    NO_DECISION,
    Label,
    Row,
    ScenarioResult,
)
from escalation_forecast.scenario.structural import Ground, Outcome
from escalation_forecast.scenario.windows import months_to
from escalation_forecast.schema import THEATRES, DataError
from escalation_forecast.update.reweight import summary_value
from escalation_forecast.update.updater import Updater
from escalation_forecast.war_chain import THEATRE_OF

if TYPE_CHECKING:
    from escalation_forecast.archive import Run
    from escalation_forecast.scenario.conditional import Conditional

FANS: Final = (0.1, 0.5, 0.9)
NEGLIGIBLE: Final = 1e-3  # part of a quantity below which its change is not listed
EXPOSED: Final = 0.25  # share of a state's exposure from which a theatre counts as touched
ELICITED: Final = "The sizes of the effects are elicited; nothing here is an estimate from these data."
TWO_CHANNELS: Final = "It works on incidents and on war with opposite signs; read both."
WITHIN: Final = "Risk is on each theatre's own scale; changes of different theatres are not comparable."
UNIT_OF: Final = {"binary": "probability", "count": "states", "continuous": "per cent"}


@dataclass(frozen=True, eq=False, repr=False)
class Scenarios:
    """A finished forecast and the levers that can be put on it.

    Attributes
    ----------
    ground : the forecast laid out for decisions.
    book : levers and scenarios by name.
    """

    ground: Ground
    book: Book

    @classmethod
    def of(cls, run: Updater | Run | Path | str, *files: Path | str, book: Book | None = None) -> Scenarios:
        """Prepare a run, its folder, or an `Updater` of it.

        Parameters
        ----------
        files : scenario files on top of the ones that come with the program.

        Raises
        ------
        DataError
            When a file is wrong, or the run has not what a lever works on.
        """
        updater = run if isinstance(run, Updater) else Updater.of(run)
        return cls(Ground(updater), book or load_scenarios(*files))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the scenarios, in the order of the files."""
        return tuple(self.book.scenarios)

    def run(
        self,
        scenario: str | Scenario,
        *,
        name: str = "",
        conditional: bool = True,
        refit: Literal["never", "auto", "always"] = "never",
        readouts: bool = True,
    ) -> ScenarioResult:
        """What a scenario changes.

        Parameters
        ----------
        scenario : a name, or a `Scenario` made in place.
        name : for one made in place.
        conditional : give the C number beside the S number where something would be observed.
        refit : for the C number fit again never, when weights do not do, or always.
        readouts : find what it changes besides answers, and fans, too.

        Raises
        ------
        DataError
            For an unknown name or label; for a C scenario beyond what the model has support for.
        """
        started = time.perf_counter()
        if isinstance(scenario, str):
            name, scenario = scenario, self.book[scenario]
        steps = self.book.steps(scenario)
        shifts = self.shifts(steps)
        outcome = self.ground.outcome(shifts)
        news, refused = self._conditional(scenario, conditional, refit)
        label: Label = "C"
        if steps:
            label = "P" if all(lever.kind == "preset" for _, lever, _ in steps) else "S"
        touched = self._touched(shifts)
        return ScenarioResult(
            name=name or "scenario",
            scenario=scenario,
            label=label,
            rows=self._rows(outcome, shifts, touched, news, structural=bool(steps)),
            readouts=self._readouts(outcome, shifts) if readouts else (),
            fans=self._fans(outcome) if readouts else pd.DataFrame(),
            conditional=news,
            refused=refused,
            lowers_risk=_claim(steps),
            caveats=self._caveats(steps, label, shifts),
            seconds=time.perf_counter() - started,
        )

    def run_all(
        self, names: Sequence[str] | None = None, *, conditional: bool = True
    ) -> list[ScenarioResult]:
        """Several scenarios, by default all, in the order of the files."""
        return [self.run(name, conditional=conditional) for name in names or self.names]

    def shifts(self, steps: Sequence[tuple[str, Lever, Step]]) -> Shifts:
        """What the levers of a scenario add, draw by draw."""
        items = self.ground.panel.items
        indicators = [*items["reading"].index, *items["count"].index, *items["share"].index]
        reading = items["reading"]
        labels_known(steps, indicators, list(reading.index[reading["family"] == "transfer"]))
        return shifts_of(steps, self.ground.draws.n, len(self.ground.months), self.ground.updater.seed)

    # --- rows -----------------------------------------------------------------------------------

    def _rows(
        self,
        outcome: Outcome,
        shifts: Shifts,
        touched: list[int],
        news: Conditional | None,
        *,
        structural: bool,
    ) -> tuple[Row, ...]:
        ground, found = self.ground, []
        # Weights that do not do give numbers too, which nobody should see.
        told = news is not None and not news.needs_refit
        learned = {one.item.id: one for one in news.answers} if news is not None and told else {}
        undecided = NO_DECISION if told else CANNOT_TELL
        for item in ground.items:
            known = ground.updater.stored.get(item.id)
            stored = summary_value(known) if known else float(ground.values[item.id].mean())
            beside = learned.get(item.id)
            c = None if beside is None else beside.change
            mcse = None if beside is None else beside.change_mcse
            common = (item.id, item.target, UNIT_OF[item.rule.kind], stored)
            if not structural and known is None:
                continue
            if not structural:
                found.append(Row(*common, None, None, c, mcse, undecided, item))
                continue
            if months_to(item, ground.months[0]) > LONGEST:
                found.append(Row(*common, None, None, c, mcse, BEYOND, item))
                continue
            after = outcome.values.get(item.id)
            before = ground.values[item.id]
            moved = np.zeros_like(before) if after is None else after - before
            if not np.isfinite(moved).all():
                found.append(Row(*common, None, None, c, mcse, "no forecast", item))
                continue
            pushes = outcome.pushes.get(item.id, shifts.sizes)
            change = respond(moved, pushes, ground.draws.shape, ground.updater.seed)
            tipping = tipping_point(change, self.ground.hidden.get(item.id), touched)
            found.append(Row(*common, change, tipping, c, mcse, "", item))
        return tuple(found)

    def _readouts(self, outcome: Outcome, shifts: Shifts) -> tuple[Row, ...]:
        found = []
        for one in quantities.readouts(self.ground, outcome, shifts):
            change = spread(one.after - one.before, self.ground.draws.shape)
            before = float(one.before.mean())
            if max(abs(change.low), abs(change.high)) > NEGLIGIBLE * abs(before):
                found.append(Row(one.id, one.title, one.unit, before, change))
        return tuple(found)

    def _touched(self, shifts: Shifts) -> list[int]:
        """Positions of the latents of the theatres that a scenario works in."""
        found: set[str] = set()
        panel = self.ground.panel
        states = list(panel.spending.states)
        for channel in shifts.by:
            for label in shifts.by[channel]:
                if channel in ("latent", "coupling", "incidents", "war"):
                    found.add(label)
                elif channel == "joining":
                    found.add(THEATRE_OF[label])
                elif channel in ("spending", "gdp"):
                    exposed = panel.spending.exposure[states.index(label)] >= EXPOSED
                    found |= {name for name, touched in zip(THEATRES, exposed, strict=True) if touched}
                elif channel == "stock":
                    found.add("ukraine_nato")
        return [LATENTS.index(name) for name in LATENTS if name in found]

    # --- beside ---------------------------------------------------------------------------------

    def _conditional(
        self, scenario: Scenario, wanted: bool, refit: Literal["never", "auto", "always"]
    ) -> tuple[Conditional | None, str]:
        observed = self.book.observed(scenario)
        if not wanted or not observed:
            return None, ""
        from escalation_forecast.scenario.conditional import conditional

        try:
            return conditional(self.ground.updater, observed, refit=refit), ""
        except DataError as error:
            if not scenario.levers:
                raise
            return None, str(error)

    def _fans(self, outcome: Outcome) -> pd.DataFrame:
        """Risk on the reference scale by theatre and month ahead, quantiles without and with."""
        scale, parts = forecast.reference_scale(), []
        for name in THEATRES:
            k = LATENTS.index(name)
            mean, sd = scale.loc[name, ["mean", "sd"]].to_numpy(float)
            before = (self.ground.latents[:, k] - mean) / sd
            after = before + outcome.latents[:, k] / sd
            part = pd.DataFrame({"theatre": name, "month": self.ground.months})
            for which, values in (("before", before), ("after", after)):
                for q, line in zip(FANS, np.quantile(values, FANS, axis=0), strict=True):
                    part[f"{which}_{q:g}"] = line
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def _caveats(
        self, steps: Sequence[tuple[str, Lever, Step]], label: Label, shifts: Shifts
    ) -> tuple[str, ...]:
        if label == "C":
            return ("What is learned is news: it is no effect of anything.", WITHIN)
        found = [] if label == "P" else [ELICITED]
        if shifts.of("incidents") and shifts.of("war"):
            found.append(TWO_CHANNELS)
        found += [f"{name}: {lever.why_not_conditional}." for name, lever, _ in steps if lever.observed]
        return (*found, WITHIN)

    def __repr__(self) -> str:
        return f"<Scenarios on {self.ground.updater!r}, {self.book!r}>"


def _claim(steps: Sequence[tuple[str, Lever, Step]]) -> bool | None:
    claims = {lever.lowers_risk for _, lever, _ in steps}
    return claims.pop() if len(claims) == 1 else None
