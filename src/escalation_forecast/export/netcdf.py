"""Every group of a run's posterior in one netCDF file that explains itself and opens with xarray alone.

Values are those of the run. The long paths (``eta``, ``growth_level``, ``growth_scale``), half of the
volume, stand in a group of their own with every few draws.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr

from escalation_forecast.archive import FROM_ETA, ROUNDED, STEP, Run
from escalation_forecast.export import source
from escalation_forecast.export.files import refuse, write_whole
from escalation_forecast.export.netcdf_names import LONG_NAMES, TITLES, UNITS
from escalation_forecast.schema import DataError

GROUPS: Final = ("posterior", "sample_stats", "predictions", "observed_data", "constant_data", "prior")
PATHS: Final = "paths"
LONG: Final = ("eta", "growth_level", "growth_scale")
KEPT: Final = 2000
"""About so many draws of the long paths are kept."""
CONVENTIONS: Final = "CF-1.11"
LICENCE: Final = "Apache-2.0; figures of others under their own terms, see data/sources.csv"
MISSING: Final = np.iinfo(np.int16).min
PACKED: Final = {"dtype": "int16", "scale_factor": np.float32(STEP), "_FillValue": np.int16(MISSING)}
DEFLATE: Final = {"zlib": True, "complevel": 4, "shuffle": True}


def netcdf(run: Run, out: Path | str, *, thin: int | None = None) -> list[Path]:
    """Write ``escalation-<run id>.nc``.

    Parameters
    ----------
    thin : keep every so many draws in all groups; 1 keeps everything. By default all draws are kept, but
        of the long paths about 2,000. The draws' labels stay those of the run.

    Raises
    ------
    DataError
        When the run did not pass its gates, has no draws any more, or `thin` is below 1.
    """
    from escalation_forecast.export.check_netcdf import check_netcdf

    source.check_finished(run)
    if thin is not None and thin < 1:
        raise DataError(f"Every {thin}th draw cannot be kept; give --thin 1 or more.")
    with run.posterior as stored:
        groups = _groups(stored, thin)
        tree = xr.DataTree.from_dict({"/": xr.Dataset(attrs=_attributes(run, thin)), **groups})
        encoding = {f"/{name}": _encoding(data) for name, data in groups.items()}
        # By way of memory: when the disk fills up under it, HDF5 takes the whole process down.
        buffer = io.BytesIO()
        tree.to_netcdf(buffer, engine="h5netcdf", encoding=encoding)
    content = buffer.getvalue()
    refuse(check_netcdf(content))
    return [write_whole(Path(out) / f"escalation-{run.summary['run_id']}.nc", content)]


def _groups(stored: xr.DataTree, thin: int | None) -> dict[str, xr.Dataset]:
    found: dict[str, xr.Dataset] = {}
    for name in GROUPS:
        data = stored[name].to_dataset()
        if name == "posterior":
            long = [variable for variable in LONG if variable in data]
            draws = data.sizes["chain"] * data.sizes["draw"]
            every = thin or max(1, draws // KEPT)
            found[name] = data.drop_vars(long)
            found[PATHS] = data[long].isel(draw=slice(None, None, every))
            found[name] = _used(found[name])
            found[PATHS] = _used(found[PATHS])
        else:
            found[name] = data
        if thin and name not in ("prior", "observed_data", "constant_data"):
            found[name] = found[name].isel(draw=slice(None, None, thin))
    return {name: _described(data, name) for name, data in found.items()}


def _used(data: xr.Dataset) -> xr.Dataset:
    """Without coordinates that no variable has."""
    dims = {dim for array in data.data_vars.values() for dim in array.dims}
    return data.drop_vars([name for name in data.coords if name not in dims])


def _described(data: xr.Dataset, group: str) -> xr.Dataset:
    for name, array in data.variables.items():
        array.attrs = {"long_name": _long_name(str(name)), "units": UNITS.get(str(name), "1")}
        if array.dtype.kind in "OUTM" or str(name) in data.dims:
            # Labels have no unit, and that of dates is in their encoding.
            del array.attrs["units"]
    return data.assign_attrs(title=TITLES[group])


def _long_name(name: str) -> str:
    return LONG_NAMES.get(name, name.replace("_", " "))


def _encoding(data: xr.Dataset) -> dict[str, dict[str, Any]]:
    return {str(name): _packing(str(name), array) for name, array in data.data_vars.items() if array.ndim > 1}


def _packing(name: str, array: xr.DataArray) -> dict[str, Any]:
    """Paths kept to the nearest 1/256 fit whole numbers of two bytes without loss; draws side by side."""
    found: dict[str, Any] = dict(DEFLATE)
    # Loaded here, so that it is not read once more when it is written.
    if name in (*ROUNDED, *FROM_ETA) and float(abs(array.load()).max()) < -MISSING * STEP - 1:
        found |= PACKED
    if "draw" in array.dims and array.ndim > 2:
        wide = array.dims[-1] if name in LONG else None
        found["chunksizes"] = tuple(
            size if dim in ("draw", wide) else 1 for dim, size in zip(array.dims, array.shape, strict=True)
        )
    return found


def _attributes(run: Run, thin: int | None) -> dict[str, Any]:
    summary: Mapping[str, Any] = run.summary
    every = f"every {thin}th draw" if thin and thin > 1 else "all draws"
    return {
        "Conventions": CONVENTIONS,
        "title": "Forecast of escalation risk and military spending",
        "institution": "escalation-forecast",
        "source": f"escalation-forecast, model version {summary.get('model_version')}, fitted by NUTS",
        "license": LICENCE,
        "references": "docs/posterior-schema.md of escalation-forecast",
        "comment": f"{every}; long paths are in group `{PATHS}`, joined to the others by chain and draw",
        "run_id": str(summary["run_id"]),
        "as_of": str(summary["as_of"]),
        "date_created": str(summary["created_at"]),
        "horizon_months": int(summary["horizon_months"]),
        "seed": str(summary["seed"]),
        "draft": int(bool(summary.get("draft"))),
    }
