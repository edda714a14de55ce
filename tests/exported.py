"""Runs to export: a whole small one read from disk, and changed copies of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from escalation_forecast.archive import POSTERIOR, SUMMARY, Run, load_run, write_posterior

Change = Callable[[dict[str, Any]], Any]


def changed(run: Run, folder: Path, change: Change) -> Run:
    """A copy of the run whose summary is changed in place; draws are shared by a link."""
    shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns(POSTERIOR, SUMMARY, "draws_*"))
    (folder / POSTERIOR).hardlink_to(run.folder / POSTERIOR)
    summary = json.loads((run.folder / SUMMARY).read_text(encoding="utf-8"))
    change(summary)
    (folder / SUMMARY).write_text(json.dumps(summary), encoding="utf-8")
    return load_run(folder)


KEPT = {
    "posterior": ["phi", "centre", "eta", "growth_level", "growth_scale"],
    "sample_stats": ["energy", "diverging"],
    "predictions": [
        "risk",
        "global_risk",
        "ladder",
        "growth_print",
        "growth_true",
        "indicator_level",
        "clash",
    ],
    "observed_data": ["indicator_level", "ladder"],
    "constant_data": ["exposure", "reference_mean", "reference_sd"],
    "prior": ["phi"],
}


LEAN = {
    "posterior": ["phi", "eta", "growth_level"],
    "sample_stats": ["energy"],
    "predictions": ["risk", "growth_true"],
    "observed_data": ["ladder"],
    "constant_data": ["exposure"],
    "prior": ["phi"],
}


def slim(run: Run, folder: Path, keep: Mapping[str, list[str]] = KEPT) -> Run:
    """A copy with few variables: most of the time that netCDF takes goes by their number."""
    made = changed(run, folder, lambda _: None)
    groups = {}
    for name, variables in keep.items():
        with xr.open_dataset(run.folder / POSTERIOR, engine="h5netcdf", group=name) as data:
            kept = data[variables].load()
        groups[name] = kept.drop_vars([c for c in kept.coords if c not in kept.dims])
    (folder / POSTERIOR).unlink()
    write_posterior(groups, folder / POSTERIOR)
    return made


def without_wars(summary: dict[str, Any]) -> None:
    """As in a run whose questions have no wars."""
    summary["war"] = None
    summary["questions"] = [entry for entry in summary["questions"] if not entry["prior_share"]]


def published(summary: dict[str, Any]) -> None:
    summary |= {"draft": False, "published": True}
