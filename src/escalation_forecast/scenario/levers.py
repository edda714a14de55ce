"""Levers and scenarios as data: what ``scenarios.toml`` may say, read and checked.

A lever is something that somebody can decide. Its effects are priors on what the model's equations add in
the months after the decision, elicited and labelled so; nothing about them is learned from the panel. A
scenario is one lever, several with their own months of decision, or observations to come.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from escalation_forecast.indicator_rows import LATENTS
from escalation_forecast.question_file import sentence
from escalation_forecast.scenario.observed import Observed
from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.store import data_root
from escalation_forecast.tables import nearest
from escalation_forecast.war_chain import JOINERS

Channel = Literal[
    "latent", "coupling", "incidents", "war", "joining", "spending", "gdp", "indicator", "stock", "transfer"
]
LONGEST: Final = 24  # months after which nothing is said of a lever
STOCK: Final = "dprk_troops"
# What an effect can be on, and what it adds there.
LABELS: Final[dict[str, tuple[str, ...]]] = {
    "latent": LATENTS,
    "coupling": THEATRES,
    "incidents": THEATRES,
    "war": THEATRES,
    "joining": JOINERS,
    "spending": STATES,
    "gdp": STATES,
    "stock": (STOCK,),
}
UNITS: Final[dict[str, str]] = {
    "latent": "sd of the latent",
    "coupling": "share of the fast movements that is common",
    "incidents": "log-odds that a month has any threat or display of force",
    "war": "log hazard that a deadly clash becomes a war",
    "joining": "log hazard of joining the war that goes on",
    "spending": "points of real growth a year",
    "gdp": "points of GDP growth a year",
    "indicator": "log of the expected figure, or log-odds of a share",
    "stock": "log of the number of troops",
    "transfer": "log-odds of a delivery in a year",
}
NUMBERS: Final = ("mu", "sigma", "ramp", "half_life")  # of an effect that a sweep may change
# Beyond these an effect is a slip of the pen: the model has seen nothing like it.
LARGEST: Final[dict[str, float]] = {
    "latent": 3.0, "coupling": 0.9, "incidents": 5.0, "war": 5.0, "joining": 5.0, "spending": 30.0,
    "gdp": 30.0, "indicator": 7.0, "stock": 10.0, "transfer": 7.0,
}  # fmt: skip


class Table(BaseModel):
    """A table of the file: keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Effect(Table):
    """What a decision adds, drawn once for all labels in ``of``.

    Attributes
    ----------
    mu, sigma : of its normal distribution at full size, in the unit of the channel (`UNITS`).
    lag : months from the decision to the first month with any effect, between two numbers, evenly; 1 is
        the month of the decision itself.
    ramp : months from the first to the full effect.
    half_life : months in which half of it is gone afterwards; by default it stays.
    after_reversal : it begins when the decision is undone, and not before.
    """

    channel: Channel
    of: tuple[str, ...] = Field(min_length=1)
    mu: float = Field(allow_inf_nan=False)
    sigma: float = Field(ge=0.0, allow_inf_nan=False)
    lag: tuple[float, float] = (1.0, 1.0)
    ramp: float = Field(default=1.0, ge=1.0, le=LONGEST)
    half_life: float | None = Field(default=None, gt=0.0)
    after_reversal: bool = False

    @model_validator(mode="after")
    def _sane(self) -> Effect:
        known = LABELS.get(self.channel)
        for label in self.of:
            if known is not None and label not in known:
                raise ValueError(f"channel `{self.channel}` has no `{label}`{nearest(label, known)}")
        if len(set(self.of)) < len(self.of):
            raise ValueError("`of` names something twice")
        low, high = self.lag
        if not 1.0 <= low <= high <= LONGEST:
            raise ValueError(f"`lag` needs two numbers of months from 1 to {LONGEST}, the smaller first")
        largest = LARGEST[self.channel]
        if abs(self.mu) > largest or self.sigma > largest:
            unit = UNITS[self.channel]
            raise ValueError(f"an effect of {self.mu:g} with sd {self.sigma:g} is beyond {largest:g} {unit}")
        return self


class Lever(Table):
    """Something that somebody can decide.

    Attributes
    ----------
    kind : ``structural`` (somebody decides) or ``preset`` (an input from outside is fixed).
    why_not_conditional : why the conditional number would mislead.
    evidence, source : what is known of its effect, and who says so.
    lowers_risk : the direction that it is claimed to have; None when the claim is open.
    reversal : chance in a year that the decision is undone.
    observed : what would be seen of it; the conditional number stands on this.
    """

    title: str = Field(min_length=1)
    text: str = Field(min_length=1)
    kind: Literal["structural", "preset"] = "structural"
    why_not_conditional: str = Field(min_length=1)
    evidence: str = Field(min_length=1)
    source: str = Field(min_length=1)
    lowers_risk: bool | None = None
    reversal: float = Field(default=0.0, ge=0.0, lt=1.0)
    effects: tuple[Effect, ...] = ()
    observed: tuple[Observed, ...] = ()

    @model_validator(mode="after")
    def _undone(self) -> Lever:
        if any(effect.after_reversal for effect in self.effects) and not self.reversal:
            raise ValueError("an effect begins after a reversal, but `reversal` is 0")
        return self


class Step(Table):
    """A lever of a scenario, decided in a month ahead; ``scale`` multiplies its effects."""

    lever: str
    from_month: int = Field(default=1, ge=1, le=LONGEST)
    scale: float = Field(default=1.0, ge=-5.0, le=5.0)


class Scenario(Table):
    """Decisions, observations to come, or both.

    Attributes
    ----------
    observed : besides what its levers name.
    """

    title: str = Field(min_length=1)
    text: str = ""
    levers: tuple[Step, ...] = ()
    observed: tuple[Observed, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Scenario:
        if not self.levers and not self.observed:
            raise ValueError("give `levers`, `observed`, or both")
        return self


class Book:
    """The levers and scenarios of one or more files, by name; a lever by itself is a scenario too."""

    def __init__(self, levers: Mapping[str, Lever], scenarios: Mapping[str, Scenario]) -> None:
        self.levers = dict(levers)
        alone = {
            name: Scenario(title=lever.title, text=lever.text, levers=(Step(lever=name),))
            for name, lever in levers.items()
        }
        self.scenarios = alone | dict(scenarios)

    def __getitem__(self, name: str) -> Scenario:
        if name not in self.scenarios:
            raise DataError(
                f"There is no scenario `{name}`{nearest(name, self.scenarios)}; see `scenario list`."
            )
        return self.scenarios[name]

    def steps(self, scenario: Scenario) -> list[tuple[str, Lever, Step]]:
        """The levers of a scenario with their names and steps."""
        found = []
        for step in scenario.levers:
            if step.lever not in self.levers:
                raise DataError(f"There is no lever `{step.lever}`{nearest(step.lever, self.levers)}.")
            found.append((step.lever, self.levers[step.lever], step))
        return found

    def changed(self, name: str, settings: Mapping[str, float]) -> Book:
        """The book with other numbers in a scenario and its levers.

        Parameters
        ----------
        settings : by place: ``lever.scale`` and ``lever.from_month`` of the scenario's steps,
            ``lever.reversal``, and ``lever.2.mu`` (or sigma, ramp, half_life) of a lever's second effect.

        Raises
        ------
        DataError
            For a place that is not there, or a number that cannot be.
        """
        scenario, levers = self[name], dict(self.levers)
        steps = [step.model_dump() for step in scenario.levers]
        for place, value in settings.items():
            own, _, key = place.partition(".")
            mine = [step for step in steps if step["lever"] == own]
            if not mine:
                hint = nearest(own, [step["lever"] for step in steps])
                raise DataError(f"`{place}`: scenario `{name}` has no lever `{own}`{hint}.")
            if key in ("scale", "from_month"):
                for step in mine:
                    step[key] = int(value) if key == "from_month" else value
            else:
                levers[own] = _changed(levers[own], key, value, place)
        made = _read(Scenario, scenario.model_dump() | {"levers": steps}, Path("settings"), "scenario", name)
        return Book(levers, {**self.scenarios, name: made})

    def observed(self, scenario: Scenario) -> tuple[Observed, ...]:
        """What would be seen: of the scenario itself, and of its levers from the month they are decided."""
        found = list(scenario.observed)
        for _, lever, step in self.steps(scenario):
            found += [one.later(step.from_month - 1) for one in lever.observed]
        return tuple(found)

    def __repr__(self) -> str:
        own = len(self.scenarios) - len(self.levers)
        return f"<Book of {len(self.levers)} levers and {own} combinations>"


def _changed(lever: Lever, key: str, value: float, place: str) -> Lever:
    table = lever.model_dump()
    number, _, entry = key.partition(".")
    if key == "reversal":
        table["reversal"] = value
    elif number.isdigit() and 1 <= int(number) <= len(lever.effects) and entry in NUMBERS:
        table["effects"][int(number) - 1][entry] = value
    else:
        places = f"scale, from_month, reversal, or 1.mu to {len(lever.effects)}.half_life"
        raise DataError(f"`{place}` is no place of the lever; give one of {places}.")
    return _read(Lever, table, Path("settings"), "lever", place)


def load_scenarios(*paths: Path | str) -> Book:
    """The levers and scenarios that come with the program, and those of files on top.

    A name in a later file replaces the earlier one.

    Raises
    ------
    DataError
        One sentence naming the file, the lever or scenario and what to correct.
    """
    levers: dict[str, Lever] = {}
    scenarios: dict[str, Scenario] = {}
    for file in (data_root() / "scenarios.toml", *map(Path, paths)):
        raw = _parsed(file)
        levers |= {n: _read(Lever, t, file, "lever", n) for n, t in _tables(raw, "levers", file).items()}
        found = _tables(raw, "scenarios", file)
        scenarios |= {n: _read(Scenario, t, file, "scenario", n) for n, t in found.items()}
        for name, scenario in scenarios.items():
            if name in levers:
                raise DataError(f"{file.name}: `{name}` is both a lever and a scenario; rename one.")
            for step in scenario.levers:
                if step.lever not in levers:
                    hint = nearest(step.lever, levers)
                    raise DataError(f"{file.name}, scenario `{name}`: no lever `{step.lever}`{hint}.")
    return Book(levers, scenarios)


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise DataError(f"{file}: the scenario file cannot be read ({reason}); check its path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file.name} is not valid TOML ({error}); correct the line named.") from None


def _tables(raw: Mapping[str, Any], name: str, file: Path) -> Mapping[str, Any]:
    if extra := sorted(set(raw) - {"levers", "scenarios"}):
        hint = nearest(extra[0], ["levers", "scenarios"])
        raise DataError(f"{file.name}: unknown table `{extra[0]}`{hint}; use [levers.x] and [scenarios.x].")
    tables = raw.get(name, {})
    if not isinstance(tables, Mapping) or not all(isinstance(one, Mapping) for one in tables.values()):
        raise DataError(f"{file.name}: `{name}` holds something else than tables; write [{name}.my-name].")
    return tables


def _read[T: Table](model: type[T], table: Any, file: Path, what: str, name: str) -> T:
    where = f"{file.name}, {what} `{name}`"
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise DataError(f"{where}: {_said(error, model)}; correct the file.") from None


def _said(error: ValidationError, model: type[Table]) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if not isinstance(part, int)]
    inner: Mapping[str, type[BaseModel]] = {"effects": Effect, "observed": Observed, "levers": Step}
    return sentence(error, inner.get(place[0], model) if place else model)


def labels_known(
    steps: Sequence[tuple[str, Lever, Step]], indicators: Sequence[str], pairs: Sequence[str]
) -> None:
    """Check the labels that depend on the catalogue of a run.

    Raises
    ------
    DataError
        Naming the lever and the nearest label.
    """
    known = {"indicator": indicators, "transfer": pairs}
    for name, lever, _ in steps:
        for effect in lever.effects:
            for label in effect.of:
                if effect.channel in known and label not in known[effect.channel]:
                    hint = nearest(label, known[effect.channel])
                    raise DataError(f"Lever `{name}`: the run has no {effect.channel} `{label}`{hint}.")
