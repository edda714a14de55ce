"""``skill.toml``: what was measured for each kind of question, which a forecast quotes beside its answers."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from escalation_forecast.schema import DataError
from escalation_forecast.store import data_root
from escalation_forecast.tables import nearest

__all__ = ["FILE", "KINDS", "RULE_KINDS", "Score", "lines", "load_skill", "sentence", "write_skill"]

FILE: Final = "skill.toml"
Kind = Literal["spending", "rule", "clash", "war", "tension"]
KINDS: Final[dict[str, str]] = {
    "spending": "Growth of spending",
    "rule": "Build-up of the four states",
    "clash": "Use of force",
    "war": "War",
    "tension": "Press tension",
}
RULE_KINDS: Final[dict[str, str]] = {
    "growth": "spending",
    "states-grow": "rule",
    "states-grow-count": "rule",
    "ladder-reaches": "clash",
    "interstate-war": "war",
    "war-joining": "war",
    "wider-war": "war",
    "indicator-exceeds": "tension",
}
"""The kind that a rule of questions belongs to; the others have nothing that a backtest measures."""
PAGE: Final = "docs/skill.md"
MIXTURE: Final = "mix"
"""References with such a name are mixtures of simple methods, and need not be named."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Score(BaseModel):
    """What was measured for one kind of question, by horizon.

    Attributes
    ----------
    score : CRPS, ranked score or Brier score; smaller is better.
    about : the cases, in words.
    unit : of the horizons.
    skill, low, high : 1 - score / reference score, and its 90 % interval.
    origins, cases : what the scores are means over.
    measured_on, digest, model_version : the last cell, the backtest's folder, and the version of the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1)
    reference: str = Field(min_length=1)
    score: Literal["CRPS", "ranked score", "Brier score"]
    about: str = Field(min_length=1)
    unit: Literal["year", "month"]
    horizons: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    value: tuple[Finite, ...]
    reference_value: tuple[Finite, ...]
    skill: tuple[Annotated[float, Field(le=1.0, allow_inf_nan=False)], ...]
    low: tuple[Finite, ...]
    high: tuple[Finite, ...]
    origins: tuple[Annotated[int, Field(ge=1)], ...]
    cases: tuple[Annotated[int, Field(ge=1)], ...]
    measured_on: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    model_version: str = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Score:
        n = len(self.horizons)
        for name in ("value", "reference_value", "skill", "low", "high", "origins", "cases"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"`{name}` has not one number for each of the {n} horizons")
        if any(later <= earlier for earlier, later in zip(self.horizons, self.horizons[1:], strict=False)):
            raise ValueError("`horizons` do not rise")
        for own, other, skill in zip(self.value, self.reference_value, self.skill, strict=True):
            if other <= 0 or abs(1.0 - own / other - skill) > 0.002:
                raise ValueError(f"`skill` {skill} is not 1 - {own} / {other}")
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError("`low` is above `high`")
        return self


def sentence(kind: str, found: Score) -> str:
    """What was measured, in one line; a star where the 90 % interval holds zero."""
    parts: list[str] = []
    for horizon, skill, low, high in zip(found.horizons, found.skill, found.low, found.high, strict=True):
        star = "*" if low <= 0.0 <= high else ""
        word = "better" if skill >= 0 else "worse"
        unit = "" if parts else f" {found.unit}{'s' if horizon > 1 else ''}"
        parts.append(f"{abs(100 * skill):.0f} % {word}{star} at {horizon}{unit}")
    least, most = min(found.origins), max(found.origins)
    n = f"{most}" if least == most else f"{least} to {most}"
    against = "" if found.reference.startswith(MIXTURE) else f" against {found.reference}"
    return f"{KINDS[kind]}: {found.score}{against} {', '.join(parts)} ({n} origins)"


def lines(
    scores: Mapping[str, Score], rules: Iterable[str], model_version: str, *, pooled_spending: bool = True
) -> list[dict[str, str]]:
    """Entries ``skill`` of a run's summary: a line for each kind of question that is asked and was measured.

    Parameters
    ----------
    rules : names of the rules of the questions that are asked.
    pooled_spending : whether paths of spending are pooled; if not, a score of the pool is none of theirs.
    model_version : of the model that forecasts; a score of another version is marked as such.
    """
    asked = {RULE_KINDS[rule] for rule in rules if rule in RULE_KINDS}
    if not pooled_spending:
        asked -= {kind for kind in ("spending", "rule") if kind in scores and scores[kind].model == "pool"}
    found = []
    for kind in KINDS:
        if kind in asked and kind in scores:
            own = scores[kind]
            old = "" if own.model_version == model_version else f", model version {own.model_version}"
            text = sentence(kind, own) + old
            found.append({"kind": kind, "text": text, "measured_on": own.measured_on, "page": PAGE})
    return found


def load_skill(path: Path | None = None) -> dict[str, Score]:
    """Read and check the file, by default that of the data folder; empty where there is none.

    Raises
    ------
    DataError
        Naming the file, the kind and the remedy.
    """
    path = path or data_root() / FILE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path.name} is not TOML ({error}); write it with `escalation-forecast skill`."
        ) from None
    found = {}
    for kind, table in content.items():
        if kind not in KINDS:
            raise DataError(
                f"{path.name}: there is no kind of question `{kind}`{nearest(kind, KINDS)}; use "
                f"{', '.join(KINDS)}."
            )
        try:
            found[kind] = Score.model_validate(table)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise DataError(
                f"{path.name}: [{kind}] {place}: {first['msg'].removeprefix('Value error, ')}; write the "
                "file with "
                "`escalation-forecast skill`."
            ) from None
    return found


def write_skill(scores: Mapping[str, Score], path: Path | None = None) -> Path:
    """Write the scores as TOML, by default where `load_skill` reads them."""
    path = path or data_root() / FILE
    text = [
        "# Measured skill by kind of question; written by `escalation-forecast skill --store`, see "
        "docs/skill.md."
    ]
    for kind in KINDS:
        if kind in scores:
            text += ["", f"[{kind}]"]
            text += [f"{name} = {_toml(value)}" for name, value in scores[kind].model_dump().items()]
    path.write_text("\n".join(text) + "\n", encoding="utf-8", newline="\n")
    return path


def _toml(value: str | Sequence[float]) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "[" + ", ".join(str(v) if isinstance(v, int) else f"{v:.5f}" for v in value) + "]"
