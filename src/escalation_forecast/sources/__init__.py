"""One reader per originator's layout; `build` runs them all and writes the observation tables."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import observation_frame, write_observations, write_table

# Output file -> the readers whose rows it holds.
THEMES: Final[dict[str, tuple[str, ...]]] = {
    "spending": ("sipri_milex",),
    "economy": ("imf_weo",),
    "budgets": ("budgets",),
    "programmes": ("programmes",),
    "troops": ("timeline", "us_troops"),
    "transfers": ("arms_transfers",),
    "news": ("gpr",),
    "sanctions": ("sanctions",),
    "council": ("security_council",),
    "voting": ("unga",),
    "launches": ("launches",),
    "pla": ("pla_taiwan",),
    "ladder": ("ladder",),
    "war": ("war_intensity",),
}

# The readers of the tables of history; each returns frames by file name.
HISTORY: Final = ("history_dyads", "history_wars")


def read_theme(theme: str, raw: Path) -> pd.DataFrame:
    """All rows of one output file, in the order in which they are written."""
    frames = [importlib.import_module(f"{__name__}.{name}").read(raw) for name in THEMES[theme]]
    return observation_frame(row for frame in frames for row in frame.to_dict("records"))


def read_history(raw: Path) -> dict[str, pd.DataFrame]:
    """The tables of ``data/history`` by file name, in the order in which they are written."""
    readers = [importlib.import_module(f"{__name__}.{name}") for name in HISTORY]
    return {name: frame for reader in readers for name, frame in reader.read(raw).items()}


def build(raw: Path, out: Path, history: Path | None = None) -> list[Path]:
    """Read every raw folder under `raw` and write one CSV per theme into `out`.

    With `history` the tables of history go into that folder too.

    All readers run before anything is written, so a bad raw folder leaves `out` as it was.

    Raises
    ------
    DataError
        Naming the folder or file that is missing or has changed, and what to do.
    """
    if not raw.is_dir():
        raise DataError(f"Raw data folder {raw} does not exist; give the folder that holds the raw tables.")
    tables = {theme: read_theme(theme, raw) for theme in THEMES}
    past = read_history(raw) if history else {}
    written = []
    for theme, table in tables.items():
        path = out / f"{theme}.csv"
        write_observations(table, path)
        written.append(path)
    for name, frame in past.items():
        assert history is not None
        write_table(frame, history / f"{name}.csv")
        written.append(history / f"{name}.csv")
    return written
