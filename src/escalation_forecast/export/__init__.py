"""A run in the formats of others: hubverse, Metaculus, tables, netCDF and JSON; each whole and checked.

``hub``, ``metaculus``, ``tables``, ``netcdf`` and ``json`` take a run and a folder and return the files
written. Each has a check, ``check_hub`` and so on, that lists what is wrong in files from anywhere. See
docs/exports.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from escalation_forecast.export.check_hub import check_hub
from escalation_forecast.export.check_metaculus import check_metaculus
from escalation_forecast.export.check_netcdf import check_netcdf
from escalation_forecast.export.check_tables import check_tables
from escalation_forecast.export.findings import Finding
from escalation_forecast.export.hub import Model, hub
from escalation_forecast.export.metaculus import metaculus
from escalation_forecast.export.netcdf import netcdf
from escalation_forecast.export.summary import check_json, json
from escalation_forecast.export.tables import tables

__all__ = [
    "CHECKS", "EXPORTS", "Finding", "Model", "check_hub", "check_json", "check_metaculus", "check_netcdf",
    "check_tables", "hub", "json", "metaculus", "netcdf", "tables",
]  # fmt: skip

EXPORTS: Final[dict[str, Callable[..., list[Path]]]] = {
    "hub": hub, "metaculus": metaculus, "tables": tables, "netcdf": netcdf, "json": json,
}  # fmt: skip
CHECKS: Final[dict[str, Callable[..., list[Finding]]]] = {
    "hub": check_hub, "metaculus": check_metaculus, "tables": check_tables, "netcdf": check_netcdf,
    "json": check_json,
}  # fmt: skip
