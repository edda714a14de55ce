"""Whether exported payloads are what Metaculus accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.export.cdf import Axis, broken_rules
from escalation_forecast.export.files import check_folder
from escalation_forecast.export.findings import Finding
from escalation_forecast.export.metaculus import HIGH, INDEX, INDEX_COLUMNS, LOW
from escalation_forecast.schema import DataError

KEYS: Final = {"question", "probability_yes", "probability_yes_per_category", "continuous_cdf"}
REMEDIES: Final = {
    "cdf-points": "give one number more than there are bins",
    "cdf-least-step": "let it rise by at least 0.01 divided by the bins",
    "cdf-most-step": "spread the step over its neighbours",
    "cdf-open-bound": "leave 0.001 outside an open bound",
    "cdf-closed-bound": "begin at 0 and end at 1 where bounds are closed",
}


def check_metaculus(folder: Path | str) -> list[Finding]:
    """What breaks the site's rules in a folder of payloads; nothing if all is well.

    Raises
    ------
    DataError
        When there is no such folder.
    """
    folder = Path(folder)
    check_folder(folder, "metaculus")
    if not (folder / INDEX).is_file():
        return [Finding(INDEX, 0, "index-missing", "the index is missing", "export anew")]
    index = pd.read_csv(folder / INDEX, keep_default_na=False, dtype=str)
    missing = [name for name in INDEX_COLUMNS if name not in index]
    if missing:
        return [Finding(INDEX, 1, "columns", f"it lacks {', '.join(missing)}", "export anew")]
    found: list[Finding] = []
    for row, entry in enumerate(index.to_dict("records"), 2):
        if not entry["file"]:
            if not entry["note"]:
                found.append(Finding(INDEX, row, "payload-missing", "it names no file", "say why in note"))
            continue
        found += _payload(folder, {str(key): str(value) for key, value in entry.items()}, row)
    named = set(index["file"])
    for file in sorted(folder.glob("*.json")):
        if file.name not in named:
            found.append(Finding(file.name, 0, "not-in-index", "the index does not name it", "take it out"))
    return sorted(found)


def _payload(folder: Path, entry: dict[str, str], row: int) -> list[Finding]:
    name = entry["file"]
    try:
        payload = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [Finding(INDEX, row, "payload-missing", f"{name} is missing", "export anew")]
    except (OSError, ValueError) as error:
        return [Finding(name, 0, "payload-json", f"it is not JSON ({error})", "export anew")]
    if not isinstance(payload, dict) or set(payload) != KEYS:
        return [Finding(name, 0, "payload-keys", "the keys are not those of the site", f"use {sorted(KEYS)}")]
    given = {key for key in KEYS - {"question"} if payload[key] is not None}
    wanted = "probability_yes" if entry["type"] == "binary" else "continuous_cdf"
    if given != {wanted}:
        said = f"it gives {', '.join(sorted(given)) or 'nothing'}"
        return [Finding(name, 0, "payload-kind", said, f"give {wanted} alone for a {entry['type']} question")]
    if wanted == "probability_yes":
        return _binary(payload[wanted], entry, name)
    try:
        axis = _axis(entry)
    except (ValueError, DataError) as error:
        return [Finding(INDEX, row, "axis", f"its axis is no axis ({error})", "give range, bounds and bins")]
    if not isinstance(payload[wanted], list) or not all(isinstance(x, int | float) for x in payload[wanted]):
        return [Finding(name, 0, "cdf-points", "it is no list of numbers", REMEDIES["cdf-points"])]
    broken = broken_rules(np.array(payload[wanted], float), axis)
    return [Finding(name, 0, rule, message, REMEDIES[rule]) for rule, message in broken]


def _binary(value: Any, entry: dict[str, str], name: str) -> list[Finding]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not LOW <= value <= HIGH:
        remedy = f"clip it to {LOW} to {HIGH}"
        return [Finding(name, 0, "probability-range", f"the probability is {value}", remedy)]
    unclipped = float(entry["probability_unclipped"] or "nan")
    if abs(min(max(unclipped, LOW), HIGH) - value) > 1e-12:
        said = f"the probability is {value}, the index has {entry['probability_unclipped']} unclipped"
        return [Finding(name, 0, "probability-clip", said, "let one follow from the other")]
    return []


def _axis(entry: dict[str, str]) -> Axis:
    zero = entry["zero_point"]
    return Axis(
        float(entry["range_min"]),
        float(entry["range_max"]),
        entry["open_lower_bound"] == "True",
        entry["open_upper_bound"] == "True",
        int(float(entry["inbound_outcome_count"])),
        float(zero) if zero else None,
    )
