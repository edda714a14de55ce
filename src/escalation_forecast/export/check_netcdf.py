"""Whether an exported netCDF file is whole and explains itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr

from escalation_forecast.export.files import only_file
from escalation_forecast.export.findings import Finding
from escalation_forecast.export.netcdf import CONVENTIONS, GROUPS, PATHS

ATTRIBUTES: Final = ("title", "source", "license", "run_id", "as_of", "date_created", "horizon_months")
DRAWN: Final = ("posterior", "sample_stats", "predictions", PATHS)
PATTERN: Final = "escalation-*.nc"


def check_netcdf(path: Path | str | bytes) -> list[Finding]:
    """What is wrong with a file, the newest of a folder, or a file's content; nothing if all is well.

    Raises
    ------
    DataError
        When there is no such file.
    """
    if isinstance(path, bytes):
        name, given = "export.nc", io.BytesIO(path)
    else:
        file = only_file(Path(path), PATTERN, "netcdf")
        name, given = file.name, io.BytesIO(file.read_bytes())
    try:
        with xr.open_datatree(given, engine="h5netcdf") as tree:
            return sorted(_tree(tree, name))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return [Finding(name, 0, "unreadable", f"it cannot be read ({reason})", "export anew")]


def _tree(tree: xr.DataTree, name: str) -> list[Finding]:
    found = [
        Finding(name, 0, "group-missing", f"group {group} is missing", "export anew")
        for group in (*GROUPS, PATHS)
        if group not in tree.children
    ]
    if tree.attrs.get("Conventions") != CONVENTIONS:
        found.append(Finding(name, 0, "conventions", "Conventions is not given", f"write {CONVENTIONS}"))
    found += [
        Finding(name, 0, "attribute-missing", f"the attribute {key} is missing", "write it")
        for key in ATTRIBUTES
        if key not in tree.attrs
    ]
    if found:
        return found
    for group, node in tree.children.items():
        found += _described(node.to_dataset(), f"{group}", name)
    whole = {int(number) for number in tree["posterior"].to_dataset()["draw"].values}
    for group in DRAWN:
        data = tree[group].to_dataset()
        lacking = [
            str(key) for key, array in data.data_vars.items() if not {"chain", "draw"} <= set(array.dims)
        ]
        if lacking:
            said = f"{group}/{lacking[0]} has no chain and draw"
            found.append(Finding(name, 0, "draws", said, "export anew"))
        elif not {int(number) for number in data["draw"].values} <= whole:
            found.append(Finding(name, 0, "draws", f"{group} has draws of its own", "export anew"))
    return found + _finite(tree, name)


def _described(data: xr.Dataset, group: str, name: str) -> list[Finding]:
    found = []
    for key, array in data.variables.items():
        wanted = ["long_name"] if array.dtype.kind in "OUTM" or key in data.dims else ["long_name", "units"]
        for attribute in wanted:
            if attribute not in array.attrs:
                said = f"{group}/{key} has no {attribute}"
                found.append(Finding(name, 0, "undescribed", said, "write what it is"))
    return found[:1]


def _finite(tree: xr.DataTree, name: str) -> list[Finding]:
    """A parameter is never missing."""
    for group in ("posterior", PATHS):
        for key, array in tree[group].to_dataset().data_vars.items():
            if array.dtype.kind == "f" and not np.isfinite(array.values).all():
                return [Finding(name, 0, "not-finite", f"{group}/{key} has a missing draw", "export anew")]
    return []
