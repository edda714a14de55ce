"""Runs on disk: an id from what decides the numbers, folders that appear whole, and reading them back."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from escalation_forecast.schema import GLOBAL, DataError

ID_LENGTH: Final = 16
SUMMARY: Final = "summary.json"
SUMMARY_VERSION: Final = "1"
"""Version of what a summary holds, see docs/schemas; not part of what decides a run's id."""
POSTERIOR: Final = "posterior.nc"
START: Final = "start.nc"
LEFTOVER: Final = re.compile(rf"\.[0-9a-f]{{{ID_LENGTH}}}(\.failed)?\.partial-\d+")
LEFTOVER_SECONDS: Final = 24 * 3600.0
# Paths of latents, by far the biggest arrays, are stored to the nearest 1/256: far below Monte Carlo
# error, and half the size. Growth is compared with thresholds and is not rounded.
ROUNDED: Final = ("eta", "risk", "global_risk", "growth_level", "growth_scale")
# Their history is eta on the reference scale and is not stored twice.
FROM_ETA: Final = ("risk", "global_risk")
STEP: Final = 1 / 256
NEWEST: Final = 20  # runs that are looked at for one to start from


class ArchiveError(OSError):
    """A run could not be written: no space, or no permission."""


@dataclass(frozen=True, repr=False)
class Run:
    """A stored run.

    Attributes
    ----------
    folder : where it is kept.
    summary : content of ``summary.json``.
    """

    folder: Path
    summary: dict[str, Any]
    paths: xr.Dataset | None = field(default=None, compare=False)

    @cached_property
    def forecast(self) -> xr.Dataset:
        """Joint forecast paths by chain and draw, with their history."""
        return self.paths if self.paths is not None else read_paths(self.folder / POSTERIOR)

    @property
    def posterior(self) -> xr.DataTree:
        """All groups of ``posterior.nc``, see docs/posterior-schema.md; opened anew each time."""
        return _open(self.folder / POSTERIOR)

    def __repr__(self) -> str:
        s = self.summary
        state = "published" if s.get("published") else "draft" if s.get("draft") else "not published"
        return (
            f"<Run {s.get('run_id')}: as of {s.get('as_of')}, {s.get('horizon_months')} months, {state}, "
            f"{len(s.get('questions', []))} answers, in {self.folder}>"
        )


def run_id(content: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of SHA-256 over the canonical JSON of what decides the numbers."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:ID_LENGTH]


def canonical(content: Any) -> str:
    """JSON with sorted keys and without spaces; numbers that are not finite are refused."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def find(out: Path, identity: str) -> Run | None:
    """The finished run of that id, if it is there."""
    folder = out / identity
    return load_run(folder) if (folder / SUMMARY).is_file() else None


def load_run(folder: Path | str) -> Run:
    """Read a stored run; its paths are read when they are asked for.

    Raises
    ------
    DataError
        When the folder holds no finished run.
    """
    folder = Path(folder)
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{folder} holds no {SUMMARY}, so it is no run; give a folder runs/<id>.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{folder / SUMMARY} is damaged ({error}); delete the folder and run again."
        ) from None
    return Run(folder, summary)


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn what the system says about writing into one sentence."""
    try:
        yield
    except ArchiveError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArchiveError(
            f"{reason}: {out} cannot take the run; free space there or choose another folder."
        ) from error


@contextmanager
def partial(out: Path, identity: str) -> Iterator[Path]:
    """A folder to fill, gone again if it was not finished by `finish`.

    Leftovers of runs that were killed more than a day ago are removed.
    """
    folder = out / f".{identity}.partial-{os.getpid()}"
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            # A folder of another job may get its name, or go, at this very moment.
            with suppress(FileNotFoundError):
                if LEFTOVER.fullmatch(old.name) and time.time() - old.stat().st_mtime > LEFTOVER_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alive(process: int) -> bool:
    """Whether a process runs on this machine; one of another user counts."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def finish(folder: Path, out: Path, identity: str) -> Path:
    """Make a filled folder the run of that id, in one step; a run already there stays as it is."""
    target = out / identity
    with writing(out):
        try:
            folder.replace(target)
        except OSError:
            if not (target / SUMMARY).is_file():
                raise
        shutil.rmtree(out / f"{identity}.failed", ignore_errors=True)
    return target


def fail(out: Path, identity: str, summary: Mapping[str, Any]) -> Path:
    """Keep the summary of a fit that did not pass as ``<id>.failed``, in place of an older one."""
    target = out / f"{identity}.failed"
    with partial(out, f"{identity}.failed") as folder, writing(out):
        write_summary(summary, folder)
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    return target


def write_summary(summary: Mapping[str, Any], folder: Path) -> Path:
    """Write ``summary.json`` with sorted keys; what is not finite becomes null."""
    file = folder / SUMMARY
    text = json.dumps(plain(summary), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8")
    return file


def plain(value: Any) -> Any:
    """What JSON can say."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def split_paths(paths: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Paths as stored: draws from the first month in which any differ, and before it what is known.

    What is known has no chain and draw, and dim ``past_month``. The history of the latent risk is in
    neither: it is eta on the reference scale.
    """
    months = pd.DatetimeIndex(paths["month"].values)
    cut = int((months < pd.Timestamp(paths.attrs["first_forecast_month"])).sum())
    known: dict[Any, xr.DataArray] = {}
    for name, array in paths.data_vars.items():
        if "month" in array.dims and name not in FROM_ETA:
            first = array.isel(chain=0, draw=0, drop=True)
            others = [dim for dim in array.dims if dim != "month"]
            differ = (~((array == first) | (array.isnull() & first.isnull()))).any(others).values
            cut = min(cut, int(differ.argmax())) if differ.any() else cut
            known[name] = first.rename(month="past_month")
    return paths.isel(month=slice(cut, None)), xr.Dataset(known).isel(past_month=slice(0, cut))


def read_paths(file: Path) -> xr.Dataset:
    """Forecast paths of a stored posterior, history included."""
    names = ("predictions", "posterior", "observed_data", "constant_data")
    with _open(file) as tree:
        ahead, posterior, known, constant = (tree[name].to_dataset() for name in names)
        risk = (posterior["eta"] - constant["reference_mean"]) / constant["reference_sd"]
        risk = risk[{"month": slice(0, known.sizes["past_month"])}].rename(month="past_month")
        past = known.assign(
            risk=risk.sel(latent=ahead["theatre"].values).rename(latent="theatre"),
            global_risk=risk.sel(latent=GLOBAL, drop=True),
        )
        return _joined(ahead, past).load()


def _joined(ahead: xr.Dataset, past: xr.Dataset) -> xr.Dataset:
    parts = {}
    for name, array in ahead.data_vars.items():
        if "month" in array.dims:
            history = past[name].rename(past_month="month")
            if "chain" not in history.dims:
                history = history.expand_dims(chain=ahead["chain"], draw=ahead["draw"])
            array = xr.concat([history.transpose(*array.dims), array], "month").astype(array.dtype)
        parts[name] = array
    return xr.Dataset(parts, attrs=ahead.attrs)


def _open(file: Path) -> xr.DataTree:
    if not file.is_file():
        raise DataError(f"{file} is missing, so the run has no draws; run it again.")
    return xr.open_datatree(file, engine="h5netcdf")


def write_posterior(groups: Mapping[str, xr.Dataset], file: Path) -> Path:
    """Write the groups as netCDF, draws in single precision and compressed."""
    tree = xr.DataTree.from_dict({name: _compact(data) for name, data in groups.items()})
    packed = {"zlib": True, "complevel": 4, "shuffle": True}
    encoding = {
        f"/{name}": {variable: packed for variable, array in node.data_vars.items() if array.ndim > 1}
        for name, node in tree.children.items()
    }
    # By way of memory: when the disk fills up under it, HDF5 takes the whole process down.
    buffer = io.BytesIO()
    tree.to_netcdf(buffer, engine="h5netcdf", encoding=encoding)
    file.write_bytes(buffer.getvalue())
    return file


def write_start(start: xr.Dataset, file: Path) -> Path:
    """Write what a later fit may start from (`program.Layout.kept`)."""
    buffer = io.BytesIO()
    packed = {name: {"zlib": True, "complevel": 4, "shuffle": True} for name in start.data_vars}
    start.to_netcdf(buffer, engine="h5netcdf", encoding=packed)
    file.write_bytes(buffer.getvalue())
    return file


def read_start(folder: Path) -> xr.Dataset | None:
    """What a fit left to start from; None where there is none, or it cannot be read."""
    try:
        return xr.load_dataset(folder / START, engine="h5netcdf")
    except (OSError, ValueError, KeyError):
        return None


def newest_start(out: Path, model_version: str, day: dt.date) -> tuple[str, xr.Dataset] | None:
    """Id and start of the newest published run in a folder, of that version and as of that day or before."""
    runs = sorted(out.glob(f"*/{START}"), key=_changed_at, reverse=True)
    for file in runs[:NEWEST]:
        try:
            summary = load_run(file.parent).summary
        except DataError:
            continue
        ours = summary.get("published") is True and summary.get("model_version") == model_version
        known = str(summary.get("as_of")) <= day.isoformat()
        if ours and known and (start := read_start(file.parent)) is not None:
            return str(summary["run_id"]), start
    return None


def _changed_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _compact(data: xr.Dataset) -> xr.Dataset:
    return data.assign(
        {
            name: array.copy(data=_single(array.values, name in ROUNDED))
            for name, array in data.data_vars.items()
            if array.dtype.kind == "f" and "draw" in array.dims
        }
    )


def _single(values: np.ndarray, rounded: bool) -> np.ndarray:
    if rounded:
        values = values / STEP
        np.round(values, out=values)
        values *= STEP
    return np.asarray(values, np.float32)
