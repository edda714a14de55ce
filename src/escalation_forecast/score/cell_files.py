"""Finished cells on disk: cases as Parquet, draws as netCDF, and a record that vouches for both.

The record is written last and holds the checksums of the others, so a cell is finished when its record
says so and the files agree; a torn or foreign file makes it unfinished again.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.score.cells import Cell, CellResult, Task, identity_hash

if TYPE_CHECKING:
    import xarray as xr

CELLS: Final = "cells"
IDENTITY: Final = "identity.json"
PARTIAL: Final = ".partial"
OLD_SECONDS: Final = 3600.0
RECORD_COLUMNS: Final = ("task", "model", "origin", "seconds", "worker", "finished_at")
"""Columns of `load_cells`, before one for each diagnostic."""


@dataclass(frozen=True)
class Failure:
    """Why a cell has no result.

    Attributes
    ----------
    error : name of the exception class.
    message : what it said.
    traceback : as printed by Python; empty where the process itself was lost.
    """

    error: str
    message: str
    traceback: str = ""

    @property
    def line(self) -> str:
        """Class and first line of the message."""
        first = self.message.strip().splitlines()
        return f"{self.error}: {first[0]}" if first else self.error


@dataclass(frozen=True)
class CellFolder:
    """Where one task with one seed keeps its cells.

    Attributes
    ----------
    path : ``<folder>/<digest>``.
    digest : `cells.identity_hash` of the task and the seed.
    """

    path: Path
    digest: str

    @classmethod
    def of(cls, folder: Path, task: Task, seed: int) -> CellFolder:
        """The folder that belongs to a task; nothing is made or read."""
        digest = identity_hash(task, seed)
        return cls(folder / digest, digest)

    def prepare(self, task: Task, seed: int) -> None:
        """Make the folder, say in it what it belongs to, and sweep up what a killed run left."""
        (self.path / CELLS).mkdir(parents=True, exist_ok=True)
        identity = {"task": task.name, "seed": seed, "identity": task.identity()}
        text = json.dumps(identity, indent=1, sort_keys=True, ensure_ascii=False)
        _write(self.path / IDENTITY, lambda to: to.write_text(text + "\n", encoding="utf-8"))
        for left in (self.path / CELLS).glob(f"*{PARTIAL}*"):
            # Not the file that another run of the same task is writing now.
            if time.time() - left.stat().st_mtime > OLD_SECONDS:
                left.unlink(missing_ok=True)

    def file(self, cell: Cell, suffix: str) -> Path:
        """``.json`` for the record, ``.parquet`` for cases, ``.nc`` for draws, ``.txt`` for a traceback."""
        return self.path / CELLS / f"{cell.key}{suffix}"

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """The record of a cell, finished or failed; None where there is none or it is another's."""
        try:
            found = json.loads(self.file(cell, ".json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        own = isinstance(found, dict) and found.get("digest") == self.digest
        return found if own and found.get("cell") == asdict(cell) else None

    def finished(self, cell: Cell) -> dict[str, Any] | None:
        """The record of a cell whose files are whole, else None."""
        record = self.record(cell)
        if record is None or record.get("state") != "done":
            return None
        sums = record.get("sha256", {})
        whole = ".parquet" in sums and all(_sha256(self.file(cell, name)) == sums[name] for name in sums)
        return record if whole else None

    def write(self, cell: Cell, result: CellResult, seconds: float, worker: str = "") -> None:
        """Keep a result: draws, cases, then the record."""
        names = [".parquet"]
        if result.draws is not None:
            draws = result.draws
            _write(self.file(cell, ".nc"), lambda to: _write_draws(draws, to))
            names.insert(0, ".nc")
        _write(
            self.file(cell, ".parquet"),
            lambda to: result.cases.to_parquet(to, engine="pyarrow", compression="zstd", index=False),
        )
        record = {
            "digest": self.digest,
            "cell": asdict(cell),
            "state": "done",
            "seconds": round(seconds, 3),
            "worker": worker,
            "finished_at": _now(),
            "diagnostics": {str(k): _finite(v) for k, v in result.diagnostics.items()},
            "sha256": {name: _sha256(self.file(cell, name)) for name in names},
        }
        self._write_record(cell, record)
        self.file(cell, ".txt").unlink(missing_ok=True)

    def write_failure(self, cell: Cell, failure: Failure, seconds: float, worker: str = "") -> None:
        """Keep the error of a cell, and its traceback as text; the cell stays unfinished."""
        if failure.traceback:
            _write(self.file(cell, ".txt"), lambda to: to.write_text(failure.traceback, encoding="utf-8"))
        record = {
            "digest": self.digest,
            "cell": asdict(cell),
            "state": "failed",
            "seconds": round(seconds, 3),
            "worker": worker,
            "finished_at": _now(),
            "error": failure.error,
            "message": failure.message,
            "traceback": self.file(cell, ".txt").name if failure.traceback else None,
        }
        self._write_record(cell, record)

    def draws(self, cell: Cell) -> xr.Dataset | None:
        """Draws of a finished cell; None where it is not finished or keeps none."""
        import xarray as xr

        record = self.finished(cell)
        if record is None or ".nc" not in record["sha256"]:
            return None
        with xr.open_dataset(self.file(cell, ".nc"), engine="h5netcdf") as draws:
            return draws.load()

    def _write_record(self, cell: Cell, record: dict[str, Any]) -> None:
        text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
        _write(self.file(cell, ".json"), lambda to: to.write_text(text + "\n", encoding="utf-8"))


def load_cases(
    folder: Path, task: Task, *, seed: int = 1, cells: Sequence[Cell] | None = None
) -> pd.DataFrame:
    """Scored cases of all finished cells, in the order of the task's cells.

    Parameters
    ----------
    folder : as given to `runner.run_backtest`.
    cells : by default all of the task.

    Raises
    ------
    DataError
        When no cell is finished.
    """
    kept = CellFolder.of(folder, task, seed)
    parts = [
        pd.read_parquet(kept.file(cell, ".parquet"), engine="pyarrow")
        for cell in (task.cells() if cells is None else cells)
        if kept.finished(cell)
    ]
    if not parts:
        raise DataError(f"No cell of {task.name} is finished in {kept.path}; run the backtest first.")
    filled = [part for part in parts if len(part)]
    return pd.concat(filled or parts[:1], ignore_index=True)


def load_draws(folder: Path, task: Task, cell: Cell, *, seed: int = 1) -> xr.Dataset:
    """Draws of one finished cell.

    Raises
    ------
    DataError
        When the cell is not finished, or keeps no draws.
    """
    kept = CellFolder.of(folder, task, seed)
    draws = kept.draws(cell)
    if draws is None:
        why = "is not finished" if kept.finished(cell) is None else "keeps no draws"
        raise DataError(
            f"The cell {cell.model} at {cell.origin} of {task.name} {why} in {kept.path}; run the backtest "
            "with it or choose another cell."
        )
    return draws


def load_cells(folder: Path, task: Task, *, seed: int = 1) -> pd.DataFrame:
    """Time and diagnostics of all finished cells, one row each; columns `RECORD_COLUMNS` and diagnostics."""
    kept = CellFolder.of(folder, task, seed)
    rows = []
    for cell in task.cells():
        if record := kept.finished(cell):
            own = {name: record[name] for name in RECORD_COLUMNS[3:]}
            known = {k: math.nan if v is None else v for k, v in record["diagnostics"].items()}
            rows.append({**asdict(cell), **own, **known})
    return pd.DataFrame(rows, columns=None if rows else list(RECORD_COLUMNS))


def _write(path: Path, put: Callable[[Path], object]) -> None:
    """All of a file or nothing: a reader never sees half."""
    partial = path.with_name(f"{path.name}{PARTIAL}{os.getpid()}")
    try:
        put(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_draws(draws: xr.Dataset, to: Path) -> None:
    """netCDF rather than a table: draws are arrays with named dims, and h5netcdf is there already.

    Single precision: a ten-millionth of the value is far below Monte Carlo error, and half the size.
    """
    encoding: dict[Any, dict[str, Any]] = {}
    for name, values in draws.data_vars.items():
        if values.dtype.kind in "fiu" and values.ndim:
            encoding[name] = {"zlib": True, "complevel": 4, "shuffle": True}
            if values.dtype.kind == "f":
                encoding[name]["dtype"] = "float32"
    draws.to_netcdf(to, engine="h5netcdf", encoding=encoding)


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
