"""The content of ``summary.json``, version 1, as types; the published JSON Schema is made from them.

A key is never removed or given another meaning within a version; one that is added is optional.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from escalation_forecast.archive import SUMMARY_VERSION

URN: Final = f"urn:escalation-forecast:schema:summary:{SUMMARY_VERSION}"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FILE: Final = f"summary-{SUMMARY_VERSION}.json"
SUM_TOLERANCE: Final = 1e-6

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Month = Annotated[str, Field(pattern=r"^\d{4}-\d{2}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Source(_Part):
    """What was known of a source; dates are null where it had nothing."""

    source: str = Field(description="id in data/sources.csv")
    figures: Count
    first: Month | None
    last: Month | None
    newest: Day | None = Field(description="latest day of publication")
    vintages: Count | None
    pseudo: Share | None = Field(description="share whose day of publication is a typical delay")


class Data(_Part):
    """What was fitted."""

    content_hash: str = Field(description="SHA-256 of the panel")
    last_month: dict[str, Month] = Field(description="last month with a figure, by indicator")
    n_observations: Count
    sources: list[Source] | None = None


class Worst(_Part):
    """A worst value and the quantity that has it; null if nothing varies."""

    value: float | None
    quantity: str | None


class Diagnostics(_Part):
    """Health of the fit."""

    passed: bool
    reasons: list[str] = Field(description="why a gate was not passed")
    r_hat_max: Worst
    r_hat_other: Worst | None = None
    ess_bulk_min: Worst
    ess_tail_min: Worst
    divergences: Count
    e_bfmi_min: float | None
    compile_seconds: float | None = None
    sampling_seconds: float | None = None
    total_seconds: float | None = None
    peak_memory_mb: int | None = None


class At(_Part):
    """Latent risk in a month, standard deviations of 2010-2019; `low` to `high` is the central 80 %."""

    month: Month
    median: float
    low: float
    high: float


class Trend(_Part):
    """Change over the last six months."""

    change_6m: float
    low: float
    high: float
    probability_up: Share


class Push(_Part):
    """An indicator that lately moved a theatre, and by how much."""

    indicator: str
    push: float


class Theatre(_Part):
    """A theatre, or the common factor as `global`."""

    theatre: str
    label: str
    now: At
    year_ago: At
    percentile: Annotated[float, Field(ge=0, le=100)]
    trend: Trend
    forecast: At
    pushed_by: list[Push] = []


class BaseRate(_Part):
    """How often the same rule held before."""

    rate: Share
    events: Count
    trials: Count
    reference_class: str


class PriorShare(_Part):
    """The probability with one prior loosened, and how much that matters."""

    base: Share
    slope: Share
    discount: Share
    change: float | None
    label: Literal["data-driven", "mixed", "prior-driven"]


class Answer(_Part):
    """An answer: `probability` of a yes-or-no question, `distribution` of a count or a quantity."""

    id: str
    question: str
    kind: Literal["binary", "count", "continuous"]
    title: str
    target: str
    probability: Share | None
    mcse: float | None
    ess: float | None
    r_hat: float | None
    distribution: dict[str, float] | None
    base_rate: BaseRate | None
    prior_share: PriorShare | None = None
    resolves_on: str
    note: str

    @model_validator(mode="after")
    def _makes_sense(self) -> Answer:
        if (self.probability is None) == (self.kind == "binary"):
            raise ValueError("a yes-or-no answer has a probability, and no other has")
        if self.kind == "count" and self.distribution:
            shares = self.distribution.values()
            if min(shares) < 0 or abs(sum(shares) - 1) > SUM_TOLERANCE:
                raise ValueError("the shares of a count do not add to 1")
        return self


class Band(_Part):
    """Growth in per cent; `low` to `high` is the central 80 %; null where no figure is held."""

    low: float | None
    median: float | None
    high: float | None


class Spending(_Part):
    """Growth of military spending of a state in a year."""

    state: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    year: int
    printed: Band = Field(alias="print", description="first print")
    real: Band = Field(alias="true", description="true growth")
    released: bool


class TheatreSteps(_Part):
    """From use of force to war within `months`."""

    theatre: str
    label: str
    months: Count
    force: Share
    fatal_given_force: Share
    fatal: Share
    material: Share
    war_given_fatal: Share
    war: Share


class JoiningSteps(_Part):
    """Who joins the war that goes on, within `months`."""

    months: Count
    war_goes_on: Share
    anybody: Share
    share: Share
    restraint: Share
    joins: Share


class War(_Part):
    """Where the probabilities of war come from."""

    theatres: list[TheatreSteps]
    joining: JoiningSteps | None


class Skill(_Part):
    """How good such answers were at past origins."""

    kind: str
    measured_on: Day
    page: str
    text: str


class ChangedPrior(_Part):
    """A prior that is not the default."""

    name: str
    default: str
    used: str


class Summary(_Part):
    """Answers of a run, what they rest on and how the fit went."""

    schema_version: Literal["1"] = Field(description="version of this schema")
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    as_of: Day = Field(description="last day of publication that was known")
    created_at: str
    draft: bool
    published: bool
    horizon_months: Annotated[int, Field(ge=1, le=120)]
    seed: Count
    model_version: str
    settings: dict[str, float]
    started_from: str | None = Field(default=None, description="run whose draws the sampler started from")
    versions: dict[str, str]
    priors_changed: list[ChangedPrior]
    spending_weight: float | None = None
    data: Data
    theatres: list[Theatre]
    questions: list[Answer]
    skill: list[Skill] = []
    spending: list[Spending]
    war: War | None = None
    diagnostics: Diagnostics

    @model_validator(mode="after")
    def _finished(self) -> Summary:
        if self.published == self.draft:
            raise ValueError("a run is published or a draft, and never both")
        ids = [answer.id for answer in self.questions]
        if len(set(ids)) < len(ids):
            raise ValueError("two answers have the same id")
        return self


def json_schema() -> dict[str, Any]:
    """The published schema, as in docs/schemas."""
    made = Summary.model_json_schema(by_alias=True)
    return {"$schema": DIALECT, "$id": URN, **made}
