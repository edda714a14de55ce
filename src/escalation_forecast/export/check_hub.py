"""Whether a folder is a hub whose model output keeps the rules of hubverse schema v6.0.0.

What hubValidations checks in R, as far as it concerns files like ours, without R: configuration, names,
columns, tasks, and the sense of the values. docs/exports.md lists the rules.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import BaseModel, ValidationError

from escalation_forecast.export.check_hub_rows import check_rows
from escalation_forecast.export.files import check_folder
from escalation_forecast.export.findings import Finding
from escalation_forecast.export.hub import CONFIG, METADATA, OUTPUT
from escalation_forecast.export.hub_schema import BASE, VERSION, Admin, Round, TargetData, Tasks
from escalation_forecast.export.hub_tasks import COLUMNS

CONFIGS: Final[dict[str, type[BaseModel]]] = {
    "admin": Admin,
    "tasks": Tasks,
    "target-data": TargetData,
}
SUFFIXES: Final = (".parquet", ".csv")
FILE_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2}|[A-Za-z0-9_]+)-([A-Za-z0-9_+]+-[A-Za-z0-9_+]+)")
METADATA_KEYS: Final = (
    "team_name", "team_abbr", "model_name", "model_abbr", "model_contributors", "license", "model_details",
)  # fmt: skip
DATES: Final = ("origin_date", "target_end_date")


def check_hub(folder: Path | str) -> list[Finding]:
    """What breaks the rules in a hub; nothing if all is well.

    Raises
    ------
    DataError
        When there is no such folder.
    """
    folder = Path(folder)
    check_folder(folder, "hub")
    findings: list[Finding] = []
    configs = {name: _config(folder, name, model, findings) for name, model in CONFIGS.items()}
    tasks, admin = configs["tasks"], configs["admin"]
    if not isinstance(tasks, Tasks) or not isinstance(admin, Admin):
        return sorted(findings)
    output = folder / OUTPUT
    files = sorted(file for file in output.rglob("*") if file.is_file()) if output.is_dir() else []
    if not files:
        findings.append(
            Finding(OUTPUT, 0, "no-output", "there is no model output", "export a run to this folder")
        )
    seen: dict[tuple[str, str], str] = {}
    for file in files:
        findings += _file(file, folder, tasks, admin, seen)
    for model in sorted({file.parent.name for file in files}):
        findings += _metadata(folder, model)
    return sorted(set(findings))


def _config(folder: Path, name: str, model: type[BaseModel], findings: list[Finding]) -> BaseModel | None:
    file = f"{CONFIG}/{name}.json"
    try:
        content = json.loads((folder / file).read_text(encoding="utf-8"))
        found = model.model_validate(content)
    except FileNotFoundError:
        findings.append(Finding(file, 0, "config-missing", "the file is missing", "add it, or export anew"))
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        findings.append(Finding(file, 0, "config-json", f"it is not JSON ({error})", "correct it there"))
        return None
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
            place = ".".join(str(part) for part in one["loc"]) or "the file"
            said = one["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
            findings.append(
                Finding(file, 0, "config-schema", f"{place}: {said}", f"follow schema {VERSION} there")
            )
        return None
    wanted = f"{BASE}/{VERSION}/{name}-schema.json"
    if content["schema_version"] != wanted:
        findings.append(
            Finding(
                file,
                0,
                "schema-version",
                f"schema_version is `{content['schema_version']}`",
                f"write {wanted}",
            )
        )
    return found


def _file(
    file: Path, folder: Path, tasks: Tasks, admin: Admin, seen: dict[tuple[str, str], str]
) -> list[Finding]:
    name = file.relative_to(folder).as_posix()
    model = file.parent.name
    if file.suffix not in SUFFIXES or file.suffix[1:] not in admin.file_format:
        known = " or ".join(admin.file_format)
        return [Finding(name, 0, "file-format", f"it is no {known} file", "convert it, or take it out")]
    match = FILE_NAME.fullmatch(file.stem)
    if not match or match[2] != model or file.parent.parent != folder / OUTPUT:
        wanted = f"{OUTPUT}/{model}/<origin_date>-{model}{file.suffix}"
        return [Finding(name, 0, "file-name", "the name is not round and model", f"name it {wanted}")]
    findings = []
    if (match[1], model) in seen:
        findings.append(
            Finding(
                name, 0, "one-file", f"{seen[match[1], model]} answers that round too", "keep one of the two"
            )
        )
    seen[match[1], model] = name
    asked = _round(tasks, match[1])
    if asked is None:
        return [
            *findings,
            Finding(
                name,
                0,
                "unknown-round",
                f"tasks.json has no round {match[1]}",
                "add the round, or rename the file",
            ),
        ]
    frame, faults = _read(file, name)
    if faults:
        return findings + faults
    return findings + check_rows(frame, name, match[1], asked)


def _round(tasks: Tasks, name: str) -> Round | None:
    return next((one for one in tasks.rounds if name in one.ids), None)


def _read(file: Path, name: str) -> tuple[pd.DataFrame, list[Finding]]:
    """The rows with dates as ISO text, ids as text and numbers as such, or why it cannot be read so."""
    try:
        return _read_csv(file, name) if file.suffix == ".csv" else _read_parquet(file, name)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        return pd.DataFrame(), [
            Finding(name, 0, "unreadable", f"it cannot be read ({reason})", "write it anew")
        ]


def _columns(names: list[str], name: str) -> list[Finding]:
    missing = [column for column in COLUMNS if column not in names]
    extra = [column for column in names if column not in COLUMNS]
    if not missing and not extra and len(set(names)) == len(names):
        return []
    said = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra) or 'a column twice'}"
    return [Finding(name, 0, "columns", f"it {said}", f"have exactly {', '.join(COLUMNS)}")]


def _read_parquet(file: Path, name: str) -> tuple[pd.DataFrame, list[Finding]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    if faults := _columns(table.column_names, name):
        return pd.DataFrame(), faults
    wanted = {
        **dict.fromkeys(DATES, ("date32", pa.types.is_date32)),
        **dict.fromkeys(("target", "location", "output_type", "output_type_id"), ("text", _is_text)),
        "horizon": ("int32", pa.types.is_int32),
        "value": ("double", pa.types.is_float64),
    }
    faults = [
        Finding(name, 0, "column-type", f"{column} is {kind}, not {label}", f"write {column} as {label}")
        for column, (label, right) in wanted.items()
        if not right(kind := table.schema.field(column).type)
    ]
    frame = table.to_pandas()
    for column in DATES:
        frame[column] = frame[column].astype(str)
    return frame, faults


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _read_csv(file: Path, name: str) -> tuple[pd.DataFrame, list[Finding]]:
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if faults := _columns(list(frame.columns), name):
        return pd.DataFrame(), faults
    faults = []
    for column in DATES:
        for row in [k for k, text in enumerate(frame[column]) if not _iso(text)][:1]:
            text = frame[column].iloc[row]
            faults.append(
                Finding(name, row + 2, "date-iso", f"{column} is `{text}`", "write dates as YYYY-MM-DD")
            )
    for column, kind in (("horizon", "a whole number"), ("value", "a number")):
        numbers = pd.to_numeric(frame[column], errors="coerce")
        bad = numbers.isna() | ((numbers % 1 != 0) if column == "horizon" else False)
        for row in bad.to_numpy().nonzero()[0][:1]:
            text = frame[column].iloc[int(row)]
            faults.append(
                Finding(name, int(row) + 2, "column-type", f"{column} is `{text}`", f"write {kind}")
            )
        frame[column] = numbers
    return frame, faults


def _iso(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _metadata(folder: Path, model: str) -> list[Finding]:
    """A file of metadata with the keys that a hub asks for, whose abbreviations are the folder's name."""
    file = next((f"{METADATA}/{model}.{end}" for end in ("yml", "yaml") if (
        folder / METADATA / f"{model}.{end}").is_file()), "")  # fmt: skip
    if not file:
        wanted = f"{METADATA}/{model}.yml"
        return [Finding(wanted, 0, "metadata-missing", f"model {model} has no metadata", "add the file")]
    text = (folder / file).read_text(encoding="utf-8")
    keys = dict(re.findall(r"^([A-Za-z_]+):[ \t]*(.*)$", text, re.MULTILINE))
    found = [
        Finding(file, 0, "metadata-key", f"the key {key} is missing", "add it")
        for key in METADATA_KEYS
        if key not in keys
    ]
    own = "-".join(keys.get(key, "").strip().strip("\"'") for key in ("team_abbr", "model_abbr"))
    if not found and own != model:
        found.append(
            Finding(
                file,
                0,
                "metadata-name",
                f"team_abbr and model_abbr make {own}",
                f"make them {model} or move the file",
            )
        )
    return found
