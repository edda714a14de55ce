"""A user's own data folder: one file of figures for each intake, never changed, and what is known of it.

::

    escalation-data/
      2026-11-27-gpr-1a2b3c4d.csv   figures that an intake brought, in the schema of data/observations
      coded.csv, coded.jsonl        figures coded by hand, and the log that they are written from
      indicators.csv                catalogue rows of own indicators
      priors.toml                   priors of their loadings
      manifest.jsonl                one line for each intake
      downloads/                    files from the net, as they came

The rename of the file of figures is what makes an intake count: a line of the manifest whose file is not
there belongs to one that was broken off, and is dropped.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast.schema import DATE_COLUMNS, DataError
from escalation_forecast.tables import figure_files

if TYPE_CHECKING:
    import pandas as pd

    from escalation_forecast.store import Store

VARIABLE: Final = "ESCALATION_DATA"
DEFAULT: Final = "escalation-data"
MANIFEST: Final = "manifest.jsonl"
CODED: Final = "coded.csv"
DIGITS: Final = "%.12g"


def default_folder() -> Path:
    """That of the environment variable ``ESCALATION_DATA``, else ``escalation-data`` where one works."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


@dataclass(frozen=True)
class Folder:
    """A folder of vintages."""

    path: Path

    def files(self) -> list[Path]:
        """Files of figures, in the order in which they are read."""
        return figure_files(self.path) if self.path.is_dir() else []

    def on(self, base: Store) -> Store:
        """The base with all that the folder has.

        Raises
        ------
        DataError
            With file and row of what is wrong.
        """
        return base.with_files(observations=self.path) if self.files() else base

    def entries(self) -> list[dict[str, Any]]:
        """Lines of the manifest whose files are there, oldest first."""
        return [entry for entry in self._lines() if (self.path / str(entry["file"])).is_file()]

    def _lines(self) -> list[dict[str, Any]]:
        manifest = self.path / MANIFEST
        if not manifest.exists():
            return []
        found = []
        for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                entry = json.loads(line)
                entry["file"], entry["source"], entry["received"]
            except (ValueError, KeyError, TypeError):
                raise DataError(
                    f"{manifest}, line {number}: it is no record of an intake; restore the file, or take the "
                    "line out."
                ) from None
            found.append(entry)
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else may write meanwhile.

        Raises
        ------
        DataError
            When somebody does.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"Another command is writing to {self.path}; wait until it is done and start this again."
                ) from None
            yield

    def append(self, figures: pd.DataFrame, entry: dict[str, Any]) -> Path:
        """Keep figures as a new vintage, whole or not at all; the folder is `locked` by who calls.

        Parameters
        ----------
        entry : what the manifest says of it: ``received`` (a day), ``source`` and more.
        """
        text = csv_text(figures)
        mark = hashlib.sha256(text.encode()).hexdigest()
        name = f"{entry['received']}-{entry['source']}-{mark[:8]}.csv"
        file = self.path / name
        if file.exists():
            raise DataError(f"{file} is there already, so these figures have been taken in before.")
        line = {"file": name, "rows": len(figures), "figures_sha256": mark, **entry}
        lines = [json.dumps(one, ensure_ascii=False) for one in (*self.entries(), line)]
        write_whole(self.path / MANIFEST, "\n".join(lines) + "\n")
        write_whole(file, text)
        return file


def csv_text(figures: pd.DataFrame) -> str:
    """Figures in the form of ``data/observations``."""
    shown = figures.copy()
    for column in DATE_COLUMNS:
        shown[column] = shown[column].dt.strftime("%Y-%m-%d")
    return str(shown.to_csv(index=False, lineterminator="\n", float_format=DIGITS))


def write_whole(path: Path, text: str) -> None:
    """Replace a file by another in one step; a reader sees the old one or the new one."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def today() -> dt.date:
    """The day of the clock."""
    return dt.date.today()
