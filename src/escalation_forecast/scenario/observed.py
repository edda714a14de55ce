"""What a scenario supposes to be learned: figures of months and years ahead, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from escalation_forecast.question_file import sentence
from escalation_forecast.schema import STATES, THEATRES, DataError
from escalation_forecast.spending_panel import YEARS_AHEAD
from escalation_forecast.tables import nearest

Kind = Literal["indicator", "ladder", "troops", "budget"]
TROOPS: Final = "dprk_troops_in_russia"
LONGEST: Final = 24  # months ahead


class Observed(BaseModel):
    """Hypothetical figures of one series.

    Attributes
    ----------
    kind : a monthly ``indicator`` of the catalogue (news, count or share), the ``ladder`` of a theatre, a
        report of North Korean ``troops`` in Russia, or a state's announced ``budget``.
    of : indicator, theatre, ``dprk_troops_in_russia`` or state.
    months : months ahead that have the figure; 1 is the first month after that of the as-of date.
    year, years_ahead : of a budget, one of the two.
    value : in the series' own unit: senders acting, level 0 to 5, persons, nominal growth in per cent.
    percentile : in place of a value, of the indicator's own last ten years.
    low, high : bounds of the number of troops, in place of a value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    of: str
    months: tuple[int, ...] = ()
    year: int | None = None
    years_ahead: int | None = Field(default=None, ge=0, le=YEARS_AHEAD)
    value: float | None = Field(default=None, allow_inf_nan=False)
    percentile: float | None = Field(default=None, ge=0, le=100)
    low: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    high: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _agrees_with_kind(self) -> Self:
        getattr(self, f"_check_{self.kind}")()
        if self.kind != "budget":
            if self.year is not None or self.years_ahead is not None:
                raise ValueError("`year` and `years_ahead` go with a budget; give `months`")
            if not self.months:
                raise ValueError("the key `months` is missing; give months ahead such as [1, 2, 3]")
            if any(not 1 <= month <= LONGEST for month in self.months):
                raise ValueError(f"`months` are months ahead, 1 to {LONGEST}")
            if len(set(self.months)) < len(self.months):
                raise ValueError("a month is given twice in `months`")
        if self.kind != "troops" and (self.low is not None or self.high is not None):
            raise ValueError("`low` and `high` go with troops; give a `value`")
        if self.kind != "indicator" and self.percentile is not None:
            raise ValueError("`percentile` goes with an indicator; give a `value`")
        return self

    def later(self, months: int) -> Self:
        """The same, as many months later; a budget moves by whole years.

        Raises
        ------
        DataError
            When that is further ahead than anything may be observed.
        """
        if self.kind == "budget":
            ahead = None if self.years_ahead is None else self.years_ahead + months // 12
            if ahead is not None and ahead > YEARS_AHEAD:
                raise DataError(
                    f"a budget of {self.of} {ahead} years ahead is too far; give {YEARS_AHEAD} at most."
                )
            return self.model_copy(update={"years_ahead": ahead})
        if max(self.months) + months > LONGEST:
            raise DataError(
                f"{self.of} in month {max(self.months) + months} is too far; give {LONGEST} at most."
            )
        return self.model_copy(update={"months": tuple(month + months for month in self.months)})

    def _check_indicator(self) -> None:
        if (self.value is None) == (self.percentile is None):
            raise ValueError("give exactly one of `value` and `percentile`")

    def _check_ladder(self) -> None:
        _known("theatre", self.of, THEATRES)
        if self.value not in range(6):
            raise ValueError("`value` is a level of the ladder, 0 to 5")

    def _check_troops(self) -> None:
        _known("reported stock", self.of, (TROOPS,))
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if (self.value is None) == (not bounds):
            raise ValueError("give either a `value` or bounds, `low`, `high` or both")
        if self.value is not None and self.value <= 0:
            raise ValueError("`value` is a number of persons above zero")
        if len(bounds) == 2 and bounds[0] >= bounds[1]:
            raise ValueError("`low` has to be below `high`")

    def _check_budget(self) -> None:
        _known("state", self.of, STATES)
        if (self.year is None) == (self.years_ahead is None):
            raise ValueError("give exactly one of `year` and `years_ahead`")
        if self.months:
            raise ValueError("`months` go with monthly series; a budget has a `year`")
        if self.value is None or not -50 <= self.value <= 200:
            raise ValueError("`value` is nominal growth in per cent, -50 to 200")


def read_observed(raw: Sequence[Mapping[str, Any]], where: str) -> tuple[Observed, ...]:
    """Hypothetical figures from the ``observed`` tables of a scenario.

    Parameters
    ----------
    where : the file and the scenario, to begin an error with.

    Raises
    ------
    DataError
        In one sentence, with the number of the table.
    """
    found = []
    for number, table in enumerate(raw, start=1):
        try:
            found.append(Observed.model_validate(table))
        except ValidationError as error:
            raise DataError(
                f"{where}, observed {number}: {sentence(error, Observed)}; correct the file."
            ) from None
    return tuple(found)


def _known(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} `{name}`{nearest(name, known)}")
