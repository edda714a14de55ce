"""Answers in the form in which Metaculus takes forecasts: one file of JSON per question, and an index.

A yes-or-no answer is ``probability_yes``; a count or a quantity is ``continuous_cdf`` on the axis of the
question there (see `cdf`). Ids of questions there, and axes other than the default, come from a TOML file.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import BaseModel, ConfigDict, ValidationError

from escalation_forecast.archive import Run
from escalation_forecast.export import source
from escalation_forecast.export.cdf import Axis, continuous_cdf, empirical
from escalation_forecast.export.files import publish, refuse, staged
from escalation_forecast.export.inert import inert_columns
from escalation_forecast.export.source import Answered
from escalation_forecast.schema import STATES, DataError
from escalation_forecast.tables import nearest

LOW, HIGH = 0.001, 0.999
INDEX: Final = "index.csv"
GROWTH: Final = Axis(-20.0, 40.0)
"""Axis of growth in per cent where the questions file gives none; open at both ends."""
INDEX_COLUMNS: Final = (
    "id", "title", "type", "file", "question", "probability_yes", "probability_unclipped", "clipped",
    "range_min", "range_max", "open_lower_bound", "open_upper_bound", "inbound_outcome_count", "zero_point",
    "largest_distance", "resolves_on", "note",
)  # fmt: skip
NO_DRAWS: Final = "not written: the run holds no draws of it"


class Asked(BaseModel):
    """A question there: its number, and its axis if it is continuous."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    question: int | None = None
    range_min: float | None = None
    range_max: float | None = None
    open_lower_bound: bool | None = None
    open_upper_bound: bool | None = None
    inbound_outcome_count: int | None = None
    zero_point: float | None = None

    def axis(self, default: Axis) -> Axis:
        """The axis it gives, over a default."""
        given = (
            self.range_min, self.range_max, self.open_lower_bound, self.open_upper_bound,
            self.inbound_outcome_count, self.zero_point,
        )  # fmt: skip
        usual = (
            default.low,
            default.high,
            default.open_low,
            default.open_high,
            default.count,
            default.zero_point,
        )
        low, high, open_low, open_high, count, zero = (
            own if own is not None else other for own, other in zip(given, usual, strict=True)
        )
        return Axis(float(low or 0), float(high or 0), bool(open_low), bool(open_high), int(count or 0), zero)


def metaculus(run: Run, out: Path | str, *, questions: Path | str | None = None) -> list[Path]:
    """Write a JSON payload for every answer, and ``index.csv`` with what the site's form leaves out.

    Parameters
    ----------
    questions : TOML with a ``[[question]]`` table per answer: `id`, and as needed `question` (the number
        there), `range_min`, `range_max`, `open_lower_bound`, `open_upper_bound`, `inbound_outcome_count`,
        `zero_point`.

    Returns
    -------
    list of pathlib.Path
        The files written; the index has the unclipped probability, the axis, and how far the site's rules
        move the distribution function from the draws' own.

    Raises
    ------
    DataError
        When the run did not pass its gates, or the questions file is wrong.
    """
    from escalation_forecast.export.check_metaculus import check_metaculus

    out = Path(out)
    source.check_finished(run)
    answers = source.answers(run)
    asked = read_asked(questions, [answer.id for answer in answers])
    growth = source.coming_growth(run) if any(one.kind == "continuous" for one in answers) else None
    rows, files = [], set[str]()
    with staged(out) as stage:
        stage.mkdir(exist_ok=True)
        for answer in answers:
            row, payload = _answer(answer, asked.get(answer.id, Asked(id=answer.id)), growth)
            if payload is not None:
                row["file"] = _file_name(answer.id, files)
                text = json.dumps(payload, indent=1, allow_nan=False)
                (stage / row["file"]).write_text(text + "\n", encoding="utf-8")
            rows.append(row)
        index = pd.DataFrame(rows, columns=list(INDEX_COLUMNS))
        for name in ("question", "inbound_outcome_count"):
            index[name] = index[name].astype("Int64")
        inert_columns(index).to_csv(stage / INDEX, index=False, lineterminator="\n")
        refuse(check_metaculus(stage))
        return publish(stage, out, last=INDEX)


def _answer(
    answer: Answered, asked: Asked, growth: xr.DataArray | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    entry = answer.entry
    row: dict[str, Any] = {"id": answer.id, "title": entry["title"], "question": asked.question, "file": ""}
    row |= {"resolves_on": entry["resolves_on"], "note": ""}
    payload = {"question": asked.question, "probability_yes": None, "probability_yes_per_category": None}
    payload |= {"continuous_cdf": None}
    if answer.kind == "binary":
        unclipped = float(entry["probability"])
        clipped = min(max(unclipped, LOW), HIGH)
        row |= {"type": "binary", "probability_yes": clipped, "probability_unclipped": unclipped}
        return row | {"clipped": clipped != unclipped}, payload | {"probability_yes": clipped}
    draws, default = _draws(answer, growth)
    row["type"] = "discrete" if answer.kind == "count" else "numeric"
    if draws is None or default is None:
        return row | {"note": NO_DRAWS}, None
    axis = asked.axis(default)
    values = continuous_cdf(draws, axis)
    away = float(np.abs(values - empirical(draws, axis)).max())
    return row | axis.as_dict() | {"largest_distance": away}, payload | {"continuous_cdf": values.tolist()}


def _draws(answer: Answered, growth: xr.DataArray | None) -> tuple[np.ndarray | None, Axis | None]:
    shape = answer.entry["distribution"]
    if not shape:
        return None, None
    if answer.kind == "count":
        return _count_draws(shape), Axis(-0.5, len(shape) - 0.5, False, False, count=len(shape))
    state = next((part for part in answer.place.split("/") if part in STATES), None)
    state = state or next((part for part in str(answer.entry["target"]).split() if part in STATES), None)
    year = answer.end.year
    if growth is None or state is None or year not in growth["year"].values:
        return None, None
    draws = growth.sel(state=state, year=year).values.astype(float)
    # A rule of one's own may be continuous and not growth; then these are not its draws.
    same = np.isclose(np.median(draws), shape["median"], rtol=1e-4, atol=1e-3)
    return (draws, GROWTH) if same else (None, None)


def _count_draws(shape: Mapping[str, float]) -> np.ndarray:
    """Draws with these shares, to a millionth."""
    times = np.round(1e6 * np.array(list(shape.values()))).astype(int)
    return np.repeat(np.array([float(k) for k in shape]), times)


def _file_name(answer: str, taken: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_+.-]", "_", answer.replace("/", "--")).lstrip(".-") or "answer"
    name, number = f"{stem}.json", 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}_{number}.json"
    taken.add(name.casefold())
    return name


def read_asked(path: Path | str | None, known: list[str]) -> dict[str, Asked]:
    """The questions there by the id of the answer; a fault is one sentence with file, table and remedy."""
    if path is None:
        return {}
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML ({error}); correct it there.") from None
    tables = raw.get("question")
    if set(raw) != {"question"} or not isinstance(tables, list):
        raise DataError(f"{path} has to hold [[question]] tables and nothing else; see docs/exports.md.")
    found: dict[str, Asked] = {}
    for number, table in enumerate(tables, 1):
        try:
            one = Asked.model_validate(table)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"]) or "the table"
            hint = nearest(key, Asked.model_fields) if first["type"] == "extra_forbidden" else ""
            raise DataError(
                f"{path}, question {number}: `{key}` {first['msg']}{hint}; correct it there."
            ) from None
        if one.id not in known:
            raise DataError(
                f"{path}, question {number}: the run has no answer `{one.id}`{nearest(one.id, known)}."
            )
        found[one.id] = one
    return found
