"""The Frictionless description of a data folder, generated from the tables themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import (
    DATE_COLUMNS,
    FAMILIES,
    GLOBAL,
    INDICATOR_COLUMNS,
    NUMBER_COLUMNS,
    OBSERVATION_COLUMNS,
    THEATRES,
)
from escalation_forecast.tables import FREQUENCIES, KINDS, SERIES_COLUMNS, SOURCE_COLUMNS
from escalation_forecast.validate import RELEASE_KEY, REQUIRED

FILE: Final = "datapackage.json"

MEANINGS: Final = {
    "series": "Key of series.csv",
    "unit": "State (ISO 3166 alpha-3), dyad A>B or A-B, theatre or WLD",
    "period_start": "First day of the reference period",
    "period_end": "Last day of the reference period",
    "value": "The figure; blank where only bounds are known, never zero for missing",
    "low": "Lower bound, or an at-least report",
    "high": "Upper bound, or an up-to report",
    "unit_of_measure": "Unit of measure of the series",
    "source": "Key of sources.csv",
    "release": "Label of the release; a later release of the same figure is a revision",
    "published_at": "Day on which the figure could first be known",
    "quality": "One or more of reported, estimate, uncertain, claimed, coded, modelled, recalled, "
    "pseudo_vintage, joined by `;`",
    "note": "Short remark",
}
TABLES: Final[dict[str, tuple[str, tuple[str, ...], str]]] = {
    "series": ("What each series is, its unit, frequency and possible range", SERIES_COLUMNS, "series"),
    "indicators": ("Which series feed which theatre, and how", INDICATOR_COLUMNS, "indicator"),
    "sources": ("Originator, citation, terms, coverage and caveats of each source", SOURCE_COLUMNS, "source"),
}
# Tables whose types are inferred; what is not listed holds settings.
TITLES: Final = {"programmes": "Multi-year defence programmes as published, kept by hand"}
ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "frequency": FREQUENCIES,
    "kind": KINDS,
    "family": FAMILIES,
    "theatre": (*THEATRES, GLOBAL),
}
OPTIONAL: Final = ("min", "max", "exposure_series", "options", "end", "note")


def describe_package(root: Path) -> dict[str, Any]:
    """Frictionless data package of a data folder: one resource with a schema for each CSV file."""
    sources = pd.read_csv(root / "sources.csv", dtype="str", keep_default_na=False)
    resources = [_observations(path, sources) for path in sorted((root / "observations").glob("*.csv"))]
    resources += [_history(path, sources) for path in sorted((root / "history").glob("*.csv"))]
    resources += [_table(path) for path in sorted(root.glob("*.csv"))]
    return {
        "name": "escalation-forecast-data",
        "title": "Dated figures on arms spending and escalation, with publication dates",
        "description": "Compiled extracts; terms differ by source, see each resource and README.md",
        "licenses": [{"name": "other-closed", "title": "By source: see README.md; not for commercial use"}],
        "resources": resources,
    }


def write_package(root: Path) -> Path:
    """Write `datapackage.json` of a data folder and return its path."""
    path = root / FILE
    text = json.dumps(describe_package(root), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def _resource(name: str, path: str, title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "path": path, "title": title, "profile": "tabular-data-resource",
        "format": "csv", "mediatype": "text/csv", "encoding": "utf-8", "schema": schema,
    }  # fmt: skip


def _observations(path: Path, sources: pd.DataFrame) -> dict[str, Any]:
    fields = []
    for name in OBSERVATION_COLUMNS:
        kind = "date" if name in DATE_COLUMNS else "number" if name in NUMBER_COLUMNS else "string"
        fields.append(_field(name, kind, required=name in REQUIRED) | {"description": MEANINGS[name]})
    schema = {
        "fields": fields,
        "missingValues": [""],
        "primaryKey": RELEASE_KEY,
        "foreignKeys": [_reference("series", "series", "series"), _reference("source", "sources", "source")],
    }
    title = f"Figures: {path.stem}"
    resource = _resource(f"observations-{path.stem}", f"observations/{path.name}", title, schema)
    return resource | {"sources": _cited(path, sources)}


def _history(path: Path, sources: pd.DataFrame) -> dict[str, Any]:
    schema = _inferred(path)
    title = f"History: {path.stem.replace('_', ' ')}"
    resource = _resource(f"history-{path.stem}", f"history/{path.name}", title, schema)
    if "source" not in (field["name"] for field in schema["fields"]):
        return resource
    schema["foreignKeys"] = [_reference("source", "sources", "source")]
    return resource | {"sources": _cited(path, sources)}


def _cited(path: Path, sources: pd.DataFrame) -> list[dict[str, Any]]:
    used = set(pd.read_csv(path, usecols=["source"], dtype="str", keep_default_na=False)["source"])
    rows = sources[sources["source"].isin(used)]
    return [
        {"title": row.title, "key": row.source, "terms": row.terms} for row in rows.itertuples(index=False)
    ]


def _table(path: Path) -> dict[str, Any]:
    if path.stem not in TABLES:
        title = TITLES.get(path.stem, f"Settings: {path.stem}")
        return _resource(path.stem, path.name, title, _inferred(path))
    title, columns, key = TABLES[path.stem]
    fields = []
    for name in columns:
        kind = {"min": "number", "max": "number", "published_before_end": "boolean"}.get(name, "string")
        field = _field(name, kind, required=name not in OPTIONAL)
        if name in ENUMS:
            field["constraints"]["enum"] = list(ENUMS[name])
        fields.append(field)
    schema: dict[str, Any] = {"fields": fields, "missingValues": [""], "primaryKey": [key]}
    if path.stem == "indicators":
        schema["foreignKeys"] = [_reference("series", "series", "series")]
    return _resource(path.stem, path.name, title, schema)


def _inferred(path: Path) -> dict[str, Any]:
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    fields = []
    for name, column in frame.items():
        filled = column[column != ""]
        if len(filled) and pd.to_numeric(filled, errors="coerce").notna().all():
            kind = "number"
        elif len(filled) and filled.str.fullmatch(r"\d{4}-\d{2}-\d{2}").all():
            kind = "date"
        else:
            kind = "string"
        fields.append(_field(str(name), kind, required=len(filled) == len(column)))
    return {"fields": fields, "missingValues": [""]}


def _field(name: str, kind: str, *, required: bool) -> dict[str, Any]:
    return {"name": name, "type": kind, "constraints": {"required": required}}


def _reference(field: str, resource: str, target: str) -> dict[str, Any]:
    return {"fields": field, "reference": {"resource": resource, "fields": target}}
