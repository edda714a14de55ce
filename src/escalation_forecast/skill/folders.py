"""Finished backtests and archived runs as they lie in folders, without the task that made them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.archive import SUMMARY
from escalation_forecast.schema import DataError
from escalation_forecast.score.cell_files import CELLS, IDENTITY, CellFolder
from escalation_forecast.score.cells import Cell

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["TASKS", "Evidence", "Measured", "gather"]

TASKS: Final = ("spending", "tension", "ladder")
PARTS: Final = ("task", "model", "origin")


@dataclass(frozen=True)
class Measured:
    """The finished cells of one task, all made from the same data, priors, settings and seed.

    Attributes
    ----------
    task : of `TASKS`.
    digest, seed, identity : as in the folder's ``identity.json``.
    cases : scored cases, in the columns of the task, and ``cell``, the key of the cell they are from.
    cells : task, model, origin, seconds, finished_at and diagnostics of each cell, and its folder.
    unusable : records of cells that failed, or whose files are torn or another's.
    """

    task: str
    digest: str
    seed: int
    identity: Mapping[str, Any]
    cases: pd.DataFrame
    cells: pd.DataFrame
    unusable: int

    @property
    def models(self) -> list[str]:
        """Models with a case, in the order of their names."""
        return sorted(str(name) for name in self.cases["model"].unique())

    @property
    def day(self) -> str:
        """The day on which the last cell was finished."""
        return str(self.cells["finished_at"].max())[:10]

    def draws(self, model: str, origin: str) -> xr.Dataset | None:
        """The draws of a cell, or None where it kept none."""
        import xarray as xr

        found = self.cells[(self.cells["model"] == model) & (self.cells["origin"] == origin)]
        if found.empty:
            return None
        kept = CellFolder(found["folder"].iloc[0], self.digest)
        file = kept.file(Cell(self.task, model, origin), ".nc")
        if not file.is_file():
            return None
        with xr.open_dataset(file, engine="h5netcdf") as draws:
            return draws.load()


@dataclass(frozen=True)
class Evidence:
    """All that a page is made from.

    Attributes
    ----------
    tasks : by name; those without a finished cell are not there.
    runs : summaries of archived forecasts, in the order of their as-of day.
    left_out : sentences about folders that were found and not used.
    """

    tasks: Mapping[str, Measured]
    runs: tuple[Mapping[str, Any], ...]
    left_out: tuple[str, ...]


def gather(folders: Sequence[Path]) -> Evidence:
    """Read every backtest and every archived run in the folders.

    Parameters
    ----------
    folders : each the ``--out`` of a backtest or a forecast, or one run in it. Where an ``--out`` holds
        several backtests of a task, the one finished last counts.

    Raises
    ------
    DataError
        For a folder without any, a file that is no record of a backtest, two backtests of a task that
        were given in different folders and differ in data, priors, settings or seed.
    """
    found: dict[str, list[Measured]] = {}
    runs: dict[str, Mapping[str, Any]] = {}
    notes: list[str] = []
    for folder in folders:
        own: dict[str, list[Measured]] = {}
        inside = _inside(folder)
        for path in inside:
            if (path / IDENTITY).is_file():
                if (measured := _read(path)) is not None:
                    own.setdefault(measured.task, []).append(measured)
                continue
            summary = _json(path / SUMMARY)
            if "as_of" not in summary or "run_id" not in summary:
                raise DataError(
                    f"{path / SUMMARY} is no summary of a forecast; remove it or give another folder."
                )
            runs[str(summary["run_id"])] = summary
        for task, several in own.items():
            last = max(several, key=lambda one: str(one.cells["finished_at"].max()))
            notes += [
                f"Of {task} the backtest {last.digest} counts; {other.digest} was finished earlier."
                for other in several
                if other.digest != last.digest
            ]
            found.setdefault(task, []).append(last)
    if not found and not runs:
        names = ", ".join(str(folder) for folder in folders)
        raise DataError(
            f"No backtest with a finished cell is in {names}; run `escalation-forecast backtest` first."
        )
    tasks: dict[str, Measured] = {task: _joined(found[task]) for task in TASKS if task in found}
    ordered = sorted(runs.values(), key=lambda summary: str(summary["as_of"]))
    return Evidence(tasks, tuple(ordered), tuple(notes))


def _inside(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; give the --out of a backtest.")
    paths = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    held = [path for path in paths if (path / IDENTITY).is_file() or (path / SUMMARY).is_file()]
    return [folder] if folder in held else [path for path in held if not path.name.endswith(".failed")]


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); remove it or give another folder.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} is not a JSON object; remove it or give another folder.")
    return content


def _read(path: Path) -> Measured | None:
    """A backtest's folder; None for a task that the page does not know, or without a finished cell."""
    content = _json(path / IDENTITY)
    task, identity = content.get("task"), content.get("identity")
    if not isinstance(task, str) or not isinstance(identity, dict) or "seed" not in content:
        raise DataError(f"{path / IDENTITY} says not what was run; remove the folder or give another.")
    if task not in TASKS:
        return None
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    kept, frames, rows, unusable = CellFolder(path, digest), [], [], 0
    for file in sorted((path / CELLS).glob("*.json")):
        cell = _cell(file)
        record = kept.finished(cell) if cell else None
        if cell is None or record is None:
            unusable += 1
            continue
        frames.append(_cases(kept.file(cell, ".parquet"), task).assign(cell=cell.key))
        said = {k: math.nan if v is None else v for k, v in record.get("diagnostics", {}).items()}
        # What the runner says of a cell stands above what its forecaster says of itself.
        rows.append(
            {
                **said, "task": task, "model": cell.model, "origin": cell.origin, "folder": path,
                "seconds": record["seconds"], "finished_at": record["finished_at"],
            }
        )  # fmt: skip
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return None
    cases = pd.concat(filled, ignore_index=True)
    return Measured(task, digest, int(content["seed"]), identity, cases, pd.DataFrame(rows), unusable)


def _cell(file: Path) -> Cell | None:
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["cell"]
        return Cell(*(str(named[part]) for part in PARTS))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _cases(path: Path, task: str) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is no table of cases ({error}); remove its record and run that cell again."
        ) from None
    missing = [name for name in _columns(task) if name not in frame]
    if missing:
        raise DataError(
            f"{path} lacks the columns {', '.join(missing)}; it is of another version, so run the backtest "
            "again."
        )
    return frame


def _columns(task: str) -> tuple[str, ...]:
    from importlib import import_module

    # The modules of the tasks are slow to import.
    module = import_module(f"escalation_forecast.score.{task}_task")
    return tuple(module.COLUMNS)


def _joined(parts: Sequence[Measured]) -> Measured:
    """Cells of one backtest that lie in several folders, each cell once."""
    first = parts[0]
    for other in parts[1:]:
        if other.digest != first.digest:
            raise DataError(
                f"Two backtests of {first.task} were given that differ in data, priors, settings or seed "
                f"({first.digest}, {other.digest}); give one."
            )
    cells = pd.concat([part.cells for part in parts], ignore_index=True)
    cases = pd.concat([part.cases for part in parts], ignore_index=True)
    # The same cell gives the same cases wherever it lies; one place is enough.
    place = np.repeat(np.arange(len(parts)), [len(part.cases) for part in parts])
    first_place = pd.Series(place).groupby(cases["cell"].to_numpy()).transform("min").to_numpy()
    return Measured(
        first.task, first.digest, first.seed, first.identity,
        cases[place == first_place].reset_index(drop=True),
        cells.drop_duplicates(["model", "origin"], ignore_index=True),
        sum(part.unusable for part in parts),
    )  # fmt: skip
