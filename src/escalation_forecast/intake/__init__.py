"""Feeding the forecast: files from originators, own tables and figures coded by hand, into a user's folder.

``update`` takes a file in, ``add`` an own indicator, ``code`` what somebody read; ``check`` says what looks
wrong. Nothing is downloaded unless an address is given.
"""

from __future__ import annotations

from escalation_forecast.intake.add import Added, add
from escalation_forecast.intake.coding import Coded, Report, code, coded, undo
from escalation_forecast.intake.diff import Changes, changes
from escalation_forecast.intake.fetch import Fetched, Limits, fetch
from escalation_forecast.intake.folder import Folder, default_folder
from escalation_forecast.intake.quality import Finding, check
from escalation_forecast.intake.table import Mapping, columns_of
from escalation_forecast.intake.update import Update, as_received, update

__all__ = [
    "Added", "Changes", "Coded", "Fetched", "Finding", "Folder", "Limits", "Mapping", "Report", "Update",
    "add", "as_received", "changes", "check", "code", "coded", "columns_of", "default_folder", "fetch",
    "undo", "update",
]  # fmt: skip
