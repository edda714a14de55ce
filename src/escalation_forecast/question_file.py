"""Questions as data: what ``questions.toml`` may say, read and checked.

A file has one ``[[question]]`` table per question (see ``data/questions.toml``). Years and months are
relative to the as-of date unless given as such, so that one file serves every origin.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import string
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from escalation_forecast import rules, war_rules  # noqa: F401  its rules register themselves
from escalation_forecast.schema import DataError
from escalation_forecast.store import data_root
from escalation_forecast.tables import nearest

Combine = Literal["each", "any", "all"]
PLACEHOLDERS: Final = ("year", "first_year", "last_year", "release_year", "end")


class Window(BaseModel):
    """When the question is asked about; exactly one of the first three.

    Attributes
    ----------
    years : ``forecast`` for all years whose first print comes within the horizon, or years.
    within_months : numbers of months counted from the first forecast month.
    by : dates; the window runs from the first forecast month to the month of the date.
    combine : for years: each year by itself, at least one of them, all of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    years: Literal["forecast"] | tuple[int, ...] | None = None
    within_months: tuple[int, ...] = ()
    by: tuple[dt.date, ...] = ()
    combine: tuple[Combine, ...] = Field(default=("each",), min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Window:
        if sum(bool(part) for part in (self.years, self.within_months, self.by)) != 1:
            raise ValueError("give exactly one of `years`, `within_months` and `by`")
        if any(months < 1 for months in self.within_months):
            raise ValueError("`within_months` counts from 1")
        if not self.years and self.combine != ("each",):
            raise ValueError("`combine` goes with `years` only")
        return self


class Question(BaseModel):
    """One question with its resolution text and the rule that decides it.

    Attributes
    ----------
    params : parameters of the rule that all parts share.
    over : parameters that differ between the parts of the question; every combination is a part.
    missing : what a missing figure does; has to agree with the rule.
    base_rate_note : what the reader should know about the reference class.
    edge_cases : cases that could be read either way, each with how it counts.
    fallback : what decides if the source named stops.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=1)
    text: str = Field(min_length=1)
    rule: str
    params: Mapping[str, Any] = {}
    over: Mapping[str, tuple[Any, ...]] = {}
    window: Window
    resolves_on: str = Field(min_length=1)
    missing: rules.Missing
    resolver: str = Field(min_length=1)
    base_rate_note: str = ""
    edge_cases: tuple[str, ...] = ()
    fallback: str = ""

    @field_validator("rule")
    @classmethod
    def _known_rule(cls, value: str) -> str:
        try:
            rules.get(value)
        except DataError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("resolves_on")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
        except ValueError:
            raise ValueError(f"braces in `{value}` do not match") from None
        for name in sorted(used - set(PLACEHOLDERS)):
            raise ValueError(f"unknown placeholder `{name}`{nearest(name, PLACEHOLDERS)}")
        return value

    @model_validator(mode="after")
    def _agrees_with_rule(self) -> Question:
        rule = rules.get(self.rule)
        wanted = "years" if self.window.years else "months"
        if rule.window != wanted:
            raise ValueError(f"rule `{rule.name}` is asked of {rule.window}, but the window gives {wanted}")
        if rule.kind != "binary" and self.window.combine != ("each",):
            raise ValueError(f"rule `{rule.name}` gives a {rule.kind} quantity, so combine must be each")
        if self.missing != rule.missing:
            raise ValueError(f"missing is `{self.missing}`, but rule `{rule.name}` works by `{rule.missing}`")
        if twice := sorted(set(self.params) & set(self.over)):
            raise ValueError(f"`{twice[0]}` is in params and in over; keep one")
        for values in self.over.values():
            if not values:
                raise ValueError("a list in `over` is empty")
        return self

    def parts(self) -> Iterator[tuple[tuple[tuple[str, Any], ...], rules.Params]]:
        """Each combination of `over`, with the parameters of the rule that follow from it."""
        rule = rules.get(self.rule)
        for values in itertools.product(*self.over.values()):
            own = dict(zip(self.over, values, strict=True))
            yield tuple(own.items()), rule.params.model_validate({**self.params, **own})


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing wrong, in words; a misspelt key before the key that it leaves missing."""
    order = {"extra_forbidden": 0, "missing": 1}
    first = min(error.errors(), key=lambda item: order.get(item["type"], 2))
    # The branches of a union are pydantic's names, not the file's.
    place = ".".join(str(part) for part in first["loc"] if re.fullmatch(r"\w+", str(part)))
    if first["type"] == "extra_forbidden":
        known = Window.model_fields if first["loc"][0] == "window" else model.model_fields
        key = str(first["loc"][-1])
        return f"unknown key `{key}`{nearest(key, known)}"
    if first["type"] == "missing":
        return f"the key `{place}` is missing"
    message = re.sub(r"^(Value|Assertion) error, ", "", str(first["msg"]))
    if first["type"] == "value_error":
        return message
    return f"`{place}` is {first['input']!r}, but {message[:1].lower()}{message[1:]}"


def read_question(raw: Mapping[str, Any], where: str) -> Question:
    """One question from its table, parameters of the rule included.

    Raises
    ------
    DataError
        One sentence with the place (`where`), what is wrong and the nearest name.
    """
    model: type[BaseModel] = Question
    try:
        question = Question.model_validate(raw)
        model = rules.get(question.rule).params
        for _ in question.parts():
            pass
    except ValidationError as error:
        raise DataError(f"{where}: {sentence(error, model)}; correct the file.") from None
    return question


def load_questions(path: Path | str | None = None) -> list[Question]:
    """Questions of a TOML file, by default those that come with the program.

    Raises
    ------
    DataError
        One sentence naming the file, the question and what to correct.
    """
    file = Path(path) if path is not None else data_root() / "questions.toml"
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{file.name}: there is no such file; give the path of a questions file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{file.name} is not valid TOML ({error}); correct the line named.") from None
    if extra := sorted(set(raw) - {"question"}):
        hint = nearest(extra[0], ["question"])
        raise DataError(f"{file.name}: unknown table `{extra[0]}`{hint}; questions are [[question]] tables.")
    tables = raw.get("question", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise DataError(f"{file.name} holds no question; add a [[question]] table.")
    found: dict[str, Question] = {}
    for number, table in enumerate(tables, start=1):
        name = table.get("id", f"number {number}")
        question = read_question(table, f"{file.name}, question `{name}`")
        if question.id in found:
            raise DataError(f"{file.name}: two questions have the id `{question.id}`; rename one.")
        found[question.id] = question
    return list(found.values())
