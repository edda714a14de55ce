"""The rows of one file of model output: their tasks, and whether the values can be what they say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.export.findings import Finding
from escalation_forecast.export.hub_schema import ModelTask, Round
from escalation_forecast.export.hub_tasks import TASK_IDS
from escalation_forecast.export.source import month_end

SUM_TOLERANCE: Final = 1e-8
HEADER: Final = 2  # the first row of data is row 2 of a spreadsheet
Group = tuple[ModelTask, pd.DataFrame]


class _File:
    """Collects findings of one file, one per rule and place."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.found: list[Finding] = []
        self.samples: dict[str, str] = {}
        """Group of tasks in which a sample was first seen."""

    def add(self, row: Any, rule: str, message: str, remedy: str) -> None:
        number = 0 if row is None else int(row) + HEADER
        self.found.append(Finding(self.name, number, rule, message, remedy))


def check_rows(frame: pd.DataFrame, name: str, round_id: str, asked: Round) -> list[Finding]:
    """Rules on the rows of the file of one round; `frame` has dates as ISO text and a plain index."""
    file = _File(name)
    frame = frame.reset_index(drop=True)
    own = asked.round_id if asked.round_id_from_variable else "origin_date"
    other = frame[own].astype(str) != round_id
    for row in _first(other):
        file.add(
            row,
            "one-round",
            f"{own} is {frame[own][row]} in the file of round {round_id}",
            "keep one round a file",
        )
    for row in _first(frame.duplicated([*TASK_IDS, "output_type", "output_type_id"])):
        file.add(row, "duplicate-row", "the row repeats an earlier one", "keep one")
    _dates(frame, file)
    bad = ~np.isfinite(pd.to_numeric(frame["value"], errors="coerce").to_numpy(float))
    for row in _first(bad):
        file.add(row, "value-missing", "the value is missing or not finite", "give a number")
    if file.found:
        return file.found
    covered = np.zeros(len(frame), bool)
    for task in asked.model_tasks:
        inside = _inside(frame, task, own)
        covered |= inside
        _task(task, frame[inside], own, file)
    for row in _first(~covered):
        what = ", ".join(f"{key} {frame[key][row]}" for key in TASK_IDS)
        file.add(row, "unknown-task", f"the round does not ask for {what}", "correct the row or tasks.json")
    return file.found


def _first(where: Any) -> list[int]:
    """The first place where it holds, so that one slip does not fill a page."""
    return [int(k) for k in np.flatnonzero(np.asarray(where, bool))[:1]]


def _dates(frame: pd.DataFrame, file: _File) -> None:
    for row, rows in frame.drop_duplicates(["origin_date", "horizon", "target_end_date"]).iterrows():
        origin, horizon, end = rows["origin_date"], int(rows["horizon"]), str(rows["target_end_date"])
        wanted = month_end(pd.Timestamp(origin), horizon).date().isoformat()
        if end != wanted:
            file.add(
                row,
                "horizon-date",
                f"horizon {horizon} ends on {end}",
                f"it is {wanted}, the last day of the month that many months after {origin}",
            )
            return


def _inside(frame: pd.DataFrame, task: ModelTask, own: str) -> np.ndarray:
    inside = np.ones(len(frame), bool)
    for key, values in task.task_ids.items():
        known = values.all
        inside &= (frame[key].astype(str) if known and isinstance(known[0], str) else frame[key]).isin(known)
    return inside


def _task(task: ModelTask, rows: pd.DataFrame, own: str, file: _File) -> None:
    target = next(iter(task.target_metadata), None)
    label = target.target_id if target else "a group of tasks"
    keys = [key for key, values in task.task_ids.items() if values.required]
    if keys and (missing := _missing(task, rows, keys)):
        file.add(
            None,
            "missing-task",
            f"{label} lacks {', '.join(f'{k} {v}' for k, v in zip(keys, missing, strict=True))}",
            "answer every required task",
        )
        return
    known = {name: kind for name, kind in task.output_type if kind is not None}
    for row in _first(~rows["output_type"].isin(list(known))):
        found = rows["output_type"].iloc[row]
        file.add(
            rows.index[row], "unknown-output-type", f"{label} takes no {found}", f"give {' or '.join(known)}"
        )
    for name, kind in known.items():
        part = rows[rows["output_type"] == name]
        if part.empty:
            if kind.is_required:
                file.add(None, "missing-output-type", f"{label} lacks its {name}", "add it")
        elif name == "sample":
            _samples(kind.output_type_id_params, task, part, label, own, file)
        elif name not in ("mean", "median"):
            _ids(name, kind.output_type_id.required, part, label, file)
        _range(name, kind.value, part, label, file)


def _missing(task: ModelTask, rows: pd.DataFrame, keys: list[str]) -> tuple[Any, ...] | None:
    there = set(rows[keys].drop_duplicates().itertuples(index=False, name=None))
    wanted = itertools.product(*(task.task_ids[key].required or [] for key in keys))
    return next((combination for combination in wanted if combination not in there), None)


def literal(value: Any) -> str:
    """The text of a configured id as the file has to write it: 0.025, 5, low."""
    return value if isinstance(value, str) else repr(value)


def _ids(name: str, required: list[Any], part: pd.DataFrame, label: str, file: _File) -> None:
    wanted = [literal(value) for value in required]
    ids = part["output_type_id"].astype(str)
    for row in _first(~ids.isin(wanted)):
        text = ids.iloc[row]
        near = _near(text, required)
        rule = "level-literal" if near else "unknown-id"
        remedy = f"write {near}, the literal of tasks.json" if near else f"{name} takes {', '.join(wanted)}"
        file.add(part.index[row], rule, f"{name} of {label} has the id `{text}`", remedy)
        return
    for task_values, rows in part.groupby(list(TASK_IDS), sort=False):
        own = rows.set_index("output_type_id")["value"].reindex(wanted)
        where = " ".join(str(value) for value in task_values[1:4])
        if own.isna().any():
            file.add(
                rows.index[0],
                "missing-id",
                f"{name} of {where} lacks `{own.index[own.isna()][0]}`",
                "give all ids",
            )
            return
        values = own.to_numpy(float)
        for rule, message, remedy in _sense(name, values):
            file.add(rows.index[0], rule, f"{name} of {where} {message}", remedy)
            return


def _near(text: str, required: list[Any]) -> str:
    try:
        number = float(text)
    except ValueError:
        return ""
    numbers = [value for value in required if not isinstance(value, str)]
    return next((literal(value) for value in numbers if abs(value - number) < SUM_TOLERANCE), "")


def _sense(name: str, values: np.ndarray) -> Iterator[tuple[str, str, str]]:
    falls = bool((np.diff(values) < 0).any())
    if name == "quantile" and falls:
        yield "quantile-order", "falls from one level to the next", "give quantiles that do not fall"
    if name in ("cdf", "pmf") and ((values < 0) | (values > 1)).any():
        yield f"{name}-range", "has a value outside 0 to 1", "give probabilities"
    if name == "cdf" and falls:
        yield "cdf-order", "falls from one value to the next", "give a cdf that does not fall"
    if name == "pmf" and abs(values.sum() - 1) > SUM_TOLERANCE:
        yield "pmf-sum", f"adds to {values.sum():.10g}", "give probabilities that add to 1"


def _range(name: str, value: Any, part: pd.DataFrame, label: str, file: _File) -> None:
    if name in ("cdf", "pmf") or part.empty:
        return
    low = -np.inf if value.minimum is None else value.minimum
    high = np.inf if value.maximum is None else value.maximum
    numbers = part["value"].to_numpy(float)
    for row in _first((numbers < low) | (numbers > high)):
        file.add(
            part.index[row],
            "value-range",
            f"{name} of {label} is {numbers[row]:.6g}",
            f"stay within {low} to {high}",
        )


def _samples(params: Any, task: ModelTask, part: pd.DataFrame, label: str, own: str, file: _File) -> None:
    """As many samples as asked for, and each whole: fixed in the compound ids, there for all others."""
    ids = part["output_type_id"].astype(str)
    longest = params.max_length if params.type == "character" else None
    for row in _first(ids.str.len() > (longest or np.inf)):
        file.add(
            part.index[row], "sample-id", f"the id `{ids.iloc[row]}` is too long", f"use {longest} characters"
        )
    counts = part.groupby(list(TASK_IDS), sort=False)["output_type_id"].nunique()
    low, high = params.min_samples_per_task, params.max_samples_per_task
    if ((counts < low) | (counts > high)).any():
        worst = int(counts[(counts < low) | (counts > high)].iloc[0])
        file.add(None, "sample-count", f"a task of {label} has {worst} samples", f"give {low} to {high}")
        return
    compound = params.compound_taskid_set or list(TASK_IDS)
    joint = [key for key in TASK_IDS if key not in compound]
    by_id = part.groupby("output_type_id", sort=False)
    over = [name for name in by_id.groups if file.samples.setdefault(str(name), label) != label]
    if over or any((by_id[key].nunique() > 1).any() for key in compound):
        several = f"sample `{over[0]}`" if over else "a sample"
        file.add(
            None,
            "sample-compound",
            f"{several} of {label} goes over several {', '.join(compound)}",
            "number them anew",
        )
    elif joint:
        sizes = by_id.size()
        whole = part.drop_duplicates([*compound, *joint]).groupby(compound, sort=False).size().max()
        if (sizes != whole).any():
            name = sizes.index[sizes != whole][0]
            file.add(
                None,
                "sample-compound",
                f"sample `{name}` of {label} has {sizes[name]} of {whole} values of {', '.join(joint)}",
                "give each sample for all of them",
            )
