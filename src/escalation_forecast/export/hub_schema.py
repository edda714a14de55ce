"""The structure of a hub's configuration, after the hubverse schemas v6.0.0.

Written from the rules of ``admin-schema.json``, ``tasks-schema.json`` and ``target-data-schema.json`` in
hubverse-org/schemas, which hubUtils ships under the MIT licence: what they say of structure, in our own
words.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION: Final = "v6.0.0"
BASE: Final = "https://raw.githubusercontent.com/hubverse-org/schemas/main"
OUTPUT_TYPES: Final = ("mean", "median", "quantile", "cdf", "pmf", "sample")


def schema_url(name: str) -> str:
    """Address under which a configuration file names its schema."""
    return f"{BASE}/{VERSION}/{name}-schema.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _unique(values: list[Any] | None) -> list[Any] | None:
    if values is not None and len({(type(one), one) for one in values}) < len(values):
        raise ValueError("holds a value twice")
    return values


class Values(_Part):
    """Required and optional values of a task id; null where there are none."""

    required: list[Any] | None
    optional: list[Any] | None

    @model_validator(mode="after")
    def _no_value_twice(self) -> Values:
        _unique([*(self.required or []), *(self.optional or [])])
        return self

    @property
    def all(self) -> list[Any]:
        return [*(self.required or []), *(self.optional or [])]


class Required(_Part):
    """The ids that an output type has to have."""

    required: list[Any]

    @model_validator(mode="after")
    def _no_value_twice(self) -> Required:
        _unique(self.required)
        return self


class Nothing(_Part):
    required: None


class Number(_Part):
    type: Literal["double", "integer"]
    minimum: float | None = None
    maximum: float | None = None


class Share(_Part):
    type: Literal["double"]
    minimum: Annotated[float, Field(ge=0, le=0)]
    maximum: Annotated[float, Field(ge=1, le=1)]


class Point(_Part):
    output_type_id: Nothing
    value: Number
    is_required: bool


class Quantile(_Part):
    output_type_id: Required
    value: Number
    is_required: bool

    @model_validator(mode="after")
    def _levels(self) -> Quantile:
        if any(
            isinstance(level, str | bool) or not 0 <= level <= 1 for level in self.output_type_id.required
        ):
            raise ValueError("a level of a quantile lies outside 0 to 1")
        return self


class Cdf(_Part):
    output_type_id: Required
    value: Share
    is_required: bool


class Pmf(_Part):
    output_type_id: Required
    value: Share
    is_required: bool

    @model_validator(mode="after")
    def _texts(self) -> Pmf:
        if not all(isinstance(name, str) for name in self.output_type_id.required):
            raise ValueError("a category of a pmf is not text")
        return self


class SampleIds(_Part):
    type: Literal["character", "integer"]
    max_length: Annotated[int, Field(ge=1)] | None = None
    min_samples_per_task: Annotated[int, Field(ge=1)]
    max_samples_per_task: Annotated[int, Field(ge=1)]
    compound_taskid_set: list[str] | None = None

    @model_validator(mode="after")
    def _lengths(self) -> SampleIds:
        if self.type == "character" and self.max_length is None:
            raise ValueError("samples with ids of type character need max_length")
        if self.min_samples_per_task > self.max_samples_per_task:
            raise ValueError("min_samples_per_task is above max_samples_per_task")
        return self


class Sample(_Part):
    output_type_id_params: SampleIds
    value: Number
    is_required: bool


class OutputTypes(_Part):
    mean: Point | None = None
    median: Point | None = None
    quantile: Quantile | None = None
    cdf: Cdf | None = None
    pmf: Pmf | None = None
    sample: Sample | None = None


class TargetMetadata(_Part):
    target_id: Annotated[str, Field(max_length=30)]
    target_name: Annotated[str, Field(max_length=100)]
    target_units: Annotated[str, Field(max_length=100)]
    target_keys: Annotated[dict[str, str], Field(min_length=1, max_length=1)] | None
    target_type: Literal["continuous", "discrete", "date", "binary", "nominal", "ordinal", "compositional"]
    is_step_ahead: bool
    time_unit: Literal["day", "week", "month"] | None = None
    description: str | None = None
    additional_metadata: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _unit(self) -> TargetMetadata:
        if self.is_step_ahead and self.time_unit is None:
            raise ValueError("a target that is a step ahead needs time_unit")
        return self


class ModelTask(_Part):
    task_ids: dict[str, Values]
    output_type: OutputTypes
    target_metadata: list[TargetMetadata]

    @model_validator(mode="after")
    def _consistent(self) -> ModelTask:
        for about in self.target_metadata:
            for key, value in (about.target_keys or {}).items():
                if key not in self.task_ids or value not in self.task_ids[key].all:
                    raise ValueError(f"target_keys says {key} = `{value}`, which is no value of the task id")
        sample = self.output_type.sample
        for name in (sample.output_type_id_params.compound_taskid_set if sample else None) or []:
            if name not in self.task_ids:
                raise ValueError(f"compound_taskid_set names `{name}`, which is no task id")
        for text in self.task_ids["origin_date"].all if "origin_date" in self.task_ids else []:
            dt.date.fromisoformat(text)
        return self


class Relative(_Part):
    relative_to: str
    start: int
    end: int


class Dated(_Part):
    start: str
    end: str


class Round(_Part):
    round_id_from_variable: bool
    round_id: str
    round_name: str | None = None
    model_tasks: list[ModelTask]
    submissions_due: Relative | Dated
    last_data_date: str | None = None
    file_format: list[Literal["csv", "parquet", "arrow"]] | None = None
    derived_task_ids: list[str] | None = None
    additional_metadata: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _identified(self) -> Round:
        if self.round_id_from_variable:
            for task in self.model_tasks:
                if self.round_id not in task.task_ids:
                    raise ValueError(f"round_id names `{self.round_id}`, which is no task id of every group")
        return self

    @property
    def ids(self) -> list[str]:
        """Ids of the round: its own, or the values of the task id that it names."""
        if not self.round_id_from_variable:
            return [self.round_id]
        return sorted({str(one) for task in self.model_tasks for one in task.task_ids[self.round_id].all})


class Tasks(_Part):
    """``tasks.json``."""

    schema_version: str
    rounds: list[Round]
    output_type_id_datatype: Literal["auto", "character", "double", "integer", "logical", "Date"] = "auto"
    derived_task_ids: list[str] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Tasks:
        ids = [name for one in self.rounds for name in one.ids]
        _unique(ids)
        for name in self.derived_task_ids or []:
            for one in self.rounds:
                for task in one.model_tasks:
                    if name in task.task_ids and task.task_ids[name].required:
                        raise ValueError(f"`{name}` is derived, so it cannot have required values")
        return self


class Contact(BaseModel):
    name: str | None = None
    email: str | None = None


class Repository(BaseModel):
    host: Literal["github"] | None = None
    owner: str | None = None
    name: str | None = None


class Admin(_Part):
    """``admin.json``."""

    schema_version: str
    name: str
    maintainer: str
    contact: Contact
    repository: Repository
    file_format: list[Literal["csv", "parquet", "arrow"]]
    timezone: str
    zoltar_project_id: int | None = None
    citation: str | None = None
    cloud: dict[str, Any] | None = None


class TimeSeries(_Part):
    non_task_id_schema: dict[str, Literal["character", "double", "integer", "logical", "Date"]] = {}
    versioned: bool = False


class TargetData(BaseModel):
    """``target-data.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_version: str
    observable_unit: list[str]
    date_col: str | None
    time_series: TimeSeries | None = Field(default=None, alias="time-series")
    oracle_output: dict[str, Any] | None = Field(default=None, alias="oracle-output")
    additional_metadata: dict[str, Any] | None = None
