"""Scenarios on the run: made once, and kept in a file beside the folders of runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast.archive import writing
from escalation_forecast.page.material import Material, parts_of
from escalation_forecast.page.words import NOTHING, part_name, points, window_name
from escalation_forecast.store import data_root

if TYPE_CHECKING:
    from escalation_forecast.scenario.result import Row, ScenarioResult
    from escalation_forecast.update.updater import Updater

FORM: Final = "3"
"""Of the file; another form is made anew."""
SHOWN: Final = (
    "wider-war/any/12m",
    "arms-race-regional",
    "use-of-force/korea/12m",
    "use-of-force/taiwan/12m",
)
LARGEST: Final = 8


def scenarios(material: Material, updater: Updater, folder: Path) -> list[dict[str, Any]]:
    """What each scenario changes; read from `folder` if it was found before.

    Raises
    ------
    ArchiveError
        When the file cannot be written.
    """
    run_id = str(material.summary["run_id"])
    # The levers and the program decide the numbers as much as the run does.
    book = (data_root() / "scenarios.toml").read_bytes()
    version = str((material.summary.get("versions") or {}).get("escalation-forecast", ""))
    digest = hashlib.sha256(b"\0".join((FORM.encode(), version.encode(), book))).hexdigest()[:12]
    file = folder / f"{run_id}.scenarios-{digest}.json"
    if file.is_file():
        found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        return found
    from escalation_forecast.scenario import Scenarios

    made = [_entry(material, one) for one in Scenarios.of(updater).run_all()]
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.partial")
        half.write_text(json.dumps(made, ensure_ascii=False, indent=1, allow_nan=False), encoding="utf-8")
        half.replace(file)
    return made


def _entry(material: Material, found: ScenarioResult) -> dict[str, Any]:
    from escalation_forecast.scenario.result import LABELS

    largest = found.largest(LARGEST)
    asked = [row for row in found.rows if row.unit == "probability" and (row in largest or _shown(row.id))]
    still = [row for row in asked if row.change is not None and row.change.low == row.change.high == 0.0]
    rows = [
        row for row in asked if row not in still and (row.change is not None or row.conditional is not None)
    ]
    most = max((abs(v) for row in rows for v in _ends(row)), default=0.0) or 1.0
    return {
        "name": found.name,
        "label": found.label,
        "meaning": LABELS[found.label],
        "title": found.scenario.title,
        "text": " ".join(found.scenario.text.split()),
        "caveats": [*found.caveats],
        "refused": found.refused,
        "nothing": found.nothing,
        "rows": [_row(material, row, most) for row in rows],
        "still": [" ".join(_names(material, row)) for row in still],
        "news": any(row.conditional is not None for row in rows),
    }


def _shown(answer: str) -> bool:
    return answer in SHOWN or (answer.split("/")[0] in SHOWN and answer.count("/") == 1)


def _ends(row: Row) -> tuple[float, ...]:
    if row.change is None:
        return ()
    return row.change.low, row.change.high


def _names(material: Material, row: Row) -> tuple[str, str, str]:
    question, parts, window = parts_of(row.id)
    title = row.target if row.item is None else row.item.question.title
    return title, part_name(question, parts, material.described), window_name(window)


def _row(material: Material, row: Row, most: float) -> dict[str, Any]:
    title, part, window = _names(material, row)
    change, news = row.change, row.conditional
    said: dict[str, Any] = {
        "id": row.id,
        "title": title,
        "part": part,
        "window": window,
        "before": f"{100 * row.before:.1f} %",
        "change": NOTHING, "ends": row.note, "settled": "", "at": None,
        "news": f"{points(news)} points" if news is not None else "",
    }  # fmt: skip
    if change is None:
        return said
    at = {k: 0.5 + v / (2.0 * most) for k, v in
          {"low": change.low, "mean": change.mean, "high": change.high}.items()}  # fmt: skip
    return said | {
        "change": points(change.mean),
        "ends": f"{points(change.low)} to {points(change.high)}",
        "settled": "settled" if change.settled else "not settled",
        "at": at,
    }
