"""A run as model output of a hubverse hub: makes the hub, or adds a round to one that is there.

``hub-config/`` follows schema v6.0.0, ``model-output/<team>-<model>/`` has one file per round, and
``target-data/time-series.parquet`` the first prints of growth as they were known at each round.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from escalation_forecast.archive import Run, canonical, plain
from escalation_forecast.export import source
from escalation_forecast.export.files import publish, refuse, staged
from escalation_forecast.export.hub_schema import schema_url
from escalation_forecast.export.hub_tasks import COLUMNS, TASK_IDS, groups
from escalation_forecast.schema import DataError

FileFormat = Literal["parquet", "csv"]
TEAM, MODEL = "escalation", "joint"
DRAFT: Final = "draft"
CONFIG: Final = "hub-config"
OUTPUT: Final = "model-output"
METADATA: Final = "model-metadata"
TARGETS: Final = "target-data/time-series.parquet"
# A day's margin on each side is enough for a program; a month lets a late run of that day in.
WINDOW: Final = (-1, 31)
DERIVED: Final = "target_end_date"
ABBREVIATION: Final = re.compile(r"[A-Za-z0-9_+]{1,16}")


@dataclass(frozen=True)
class Model:
    """Who submits: abbreviations of letters, digits, `_` and `+`, at most 16 characters each."""

    team: str = TEAM
    model: str = MODEL

    def __post_init__(self) -> None:
        for name in (self.team, self.model):
            if not ABBREVIATION.fullmatch(name):
                raise DataError(
                    f"`{name}` cannot name a team or a model of a hub; use 1 to 16 letters, digits, _ or +."
                )

    @property
    def id(self) -> str:
        return f"{self.team}-{self.model}"


def hub(
    run: Run, out: Path | str, *, file_format: FileFormat = "parquet", model: Model | None = None
) -> list[Path]:
    """Write the run as a round of the hub in `out`, and the hub around it if it is not there.

    Parameters
    ----------
    file_format : of the model output, ``parquet`` or ``csv``.
    model : by default team ``escalation`` and model ``joint``; a draft run is model ``draft``, so that it
        never stands in the place of a published one.

    Returns
    -------
    list of pathlib.Path
        The files written: configuration, metadata, target data and, last, the model output.

    Raises
    ------
    DataError
        When the run did not pass its gates, or the hub has other tasks for that round.
    """
    from escalation_forecast.export.check_hub import check_hub

    out = Path(out)
    source.check_finished(run)
    model = model or Model(model=DRAFT if run.summary.get("draft") else MODEL)
    made = groups(run)
    if not made:
        raise DataError(
            f"Run {run.summary['run_id']} answers nothing that a hub could take; check its questions."
        )
    day = source.as_of(run).date().isoformat()
    rows = pd.concat([group.rows for group in made], ignore_index=True)
    name = f"{OUTPUT}/{model.id}/{day}-{model.id}.{file_format}"
    with staged(out) as stage:
        _put_json(stage / CONFIG / "admin.json", _admin(out, file_format))
        tasks = _with_round(out, _round([group.config for group in made]), day, model)
        _put_json(stage / CONFIG / "tasks.json", tasks)
        _put_json(stage / CONFIG / "target-data.json", TARGET_DATA)
        _put_json(stage / CONFIG / "model-metadata-schema.json", METADATA_SCHEMA)
        _put(stage / METADATA / f"{model.id}.yml", _yaml(_metadata(run, model)).encode())
        _put(stage / TARGETS, _parquet(_printed(run, out / TARGETS), TARGET_TYPES))
        _put(stage / name, _csv(rows) if file_format == "csv" else _parquet(rows, OUTPUT_TYPES))
        refuse(check_hub(stage))
        return publish(stage, out, last=name)


OUTPUT_TYPES: Final = dict(
    zip(COLUMNS, ("date", "text", "text", "int", "date", "text", "text", "real"), strict=True)
)
TARGET_TYPES: Final = {
    "target": "text", "location": "text", "target_end_date": "date", "as_of": "date", "observation": "real",
}  # fmt: skip
TARGET_DATA: Final[dict[str, Any]] = {
    "schema_version": schema_url("target-data"),
    "observable_unit": ["target", "location", DERIVED],
    "date_col": DERIVED,
    "time-series": {"versioned": True},
}
METADATA_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Metadata of a model",
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in ("team_name", "model_name", "model_version", "license")},
        **{
            name: {"type": "string", "pattern": "^[A-Za-z0-9_+]+$", "maxLength": 16}
            for name in ("team_abbr", "model_abbr")
        },
        "model_contributors": {"type": "array"},
        "model_details": {"type": "object", "required": ["data_inputs", "methods"]},
        "designated_model": {"type": "boolean"},
    },
    "required": [
        "team_name", "team_abbr", "model_name", "model_abbr", "model_contributors", "license",
        "model_details",
    ],
}  # fmt: skip


def _admin(out: Path, file_format: FileFormat) -> dict[str, Any]:
    there = read_json(out / CONFIG / "admin.json")
    if there is not None:
        if file_format not in there.get("file_format", []):
            there["file_format"] = [*there.get("file_format", []), file_format]
        return there
    return {
        "schema_version": schema_url("admin"),
        "name": "Escalation forecast hub",
        "maintainer": "escalation-forecast",
        "contact": {"name": "The maintainers of escalation-forecast"},
        "repository": {"host": "github", "name": "escalation-forecast-hub"},
        "file_format": [file_format],
        "timezone": "Europe/London",
    }


def _round(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    start, end = WINDOW
    return {
        "round_id_from_variable": True,
        "round_id": "origin_date",
        "model_tasks": list(configs),
        "submissions_due": {"relative_to": "origin_date", "start": start, "end": end},
    }


def _with_round(out: Path, own: dict[str, Any], day: str, model: Model) -> dict[str, Any]:
    """The hub's tasks with this round; another model's round of that day is not changed."""
    there = read_json(out / CONFIG / "tasks.json")
    if there is None:
        there = {
            "schema_version": schema_url("tasks"),
            "rounds": [],
            "output_type_id_datatype": "character",
            "derived_task_ids": [DERIVED],
        }
    rounds = list(there.get("rounds", []))
    for one in rounds:
        names = {tuple(task["task_ids"]) for task in one["model_tasks"]}
        if one.get("round_id") != "origin_date" or names != {TASK_IDS}:
            raise DataError(
                f"{out} is a hub with other task ids than {', '.join(TASK_IDS)}; give a folder of its own."
            )
    same = [one for one in rounds if _days(one) == {day}]
    others = [
        file for file in (out / OUTPUT).glob(f"*/{day}-*") if file.parent.name != model.id and file.is_file()
    ]
    if same and canonical(plain(same[0])) != canonical(plain(own)) and others:
        raise DataError(
            f"Round {day} of {out} has other tasks, and {others[0].name} answers them; give another folder."
        )
    rounds = [one for one in rounds if _days(one) != {day}] + [own]
    there["rounds"] = sorted(rounds, key=lambda one: min(_days(one)))
    return there


def _days(one: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for task in one["model_tasks"]:
        values = task["task_ids"]["origin_date"]
        found |= {*(values["required"] or []), *(values["optional"] or [])}
    return found


def _metadata(run: Run, model: Model) -> dict[str, Any]:
    summary = run.summary
    return {
        "team_name": "escalation-forecast",
        "team_abbr": model.team,
        "model_name": "Joint Bayesian model of escalation risk and military spending"
        + (" (draft fits)" if summary.get("draft") else ""),
        "model_abbr": model.model,
        "model_version": str(summary.get("model_version", "")),
        "model_contributors": [{"name": "The maintainers of escalation-forecast"}],
        "license": "apache-2.0",
        "designated_model": not summary.get("draft", False),
        "model_details": {
            "data_inputs": "Dated public figures: military spending, budgets, incidents, press tension, "
            "troops, arms deliveries, sanctions, missile launches",
            "methods": "One hierarchical state-space model with five theatres, fitted by NUTS; all answers "
            "from the same joint draws",
        },
    }


def _yaml(record: Mapping[str, Any]) -> str:
    """A key per line with its value as JSON, which is YAML too."""
    return "".join(f"{key}: {json.dumps(value, ensure_ascii=True)}\n" for key, value in record.items())


def _printed(run: Run, there: Path) -> pd.DataFrame:
    """First prints of growth by state and year as the run knew them, below those of earlier rounds."""
    from escalation_forecast.report.tables import released

    paths = source.predictions(run, ["growth_print"])
    known = paths["growth_print"].isel(chain=0, draw=0, year=released(paths).values).sel(age=0, drop=True)
    frame = known.to_series().dropna().rename("observation").reset_index()
    day = source.as_of(run).date()
    frame = frame.assign(
        target="growth-first-print",
        location=frame["state"].astype(str),
        target_end_date=[source.year_end(int(year)).date() for year in frame["year"]],
        as_of=day,
        observation=frame["observation"].astype(np.float64),
    )[list(TARGET_TYPES)]
    if there.is_file():
        earlier = pd.read_parquet(there)
        frame = pd.concat([earlier[earlier["as_of"] != day], frame], ignore_index=True)
    return frame.sort_values(["as_of", "target", "location", "target_end_date"], ignore_index=True)


def _parquet(frame: pd.DataFrame, types: Mapping[str, str]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {"date": pa.date32(), "text": pa.string(), "int": pa.int32(), "real": pa.float64()}
    schema = pa.schema([(name, known[kind]) for name, kind in types.items()])
    table = pa.Table.from_pandas(frame[list(types)], schema=schema, preserve_index=False)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(None), buffer, compression="zstd")
    return buffer.getvalue()


def _csv(frame: pd.DataFrame) -> bytes:
    text: str = frame[list(COLUMNS)].to_csv(index=False, lineterminator="\n")
    return text.encode()


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _put_json(file: Path, content: Mapping[str, Any]) -> None:
    _put(file, (json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n").encode())


def read_json(file: Path) -> dict[str, Any] | None:
    """Content of a configuration file; None if there is none."""
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is damaged ({error}); repair it or give another folder.") from None
    if not isinstance(found, dict):
        raise DataError(f"{file} holds no JSON object; repair it or give another folder.")
    return found
