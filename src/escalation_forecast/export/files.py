"""Files of an export that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from escalation_forecast import archive
from escalation_forecast.export.findings import Finding
from escalation_forecast.schema import DataError

STAGE: Final = "export"


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A hidden folder to fill next to, or inside, the one that is asked for; gone again afterwards."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file, so nothing can be exported to it; give a folder with --out.")
    parent = out if out.is_dir() and any(out.iterdir()) else out.parent
    with archive.partial(parent, f"{out.name}.{STAGE}") as folder, archive.writing(out):
        yield folder


def publish(stage: Path, out: Path, last: str = "") -> list[Path]:
    """Move the files of `stage` to `out`.

    A folder that is not there yet, or is empty, appears in one step. Otherwise file by file, each whole,
    once all are written, and `last` at the end; what else lies there stays.
    """
    names = sorted(
        (file.relative_to(stage) for file in stage.rglob("*") if file.is_file()),
        key=lambda name: (name.as_posix() == last, name.as_posix()),
    )
    if stage.parent == out.parent and not (out.is_dir() and any(out.iterdir())):
        stage.replace(out)
        return [out / name for name in names]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).replace(out / name)
    return [out / name for name in names]


def write_whole(file: Path, content: bytes) -> Path:
    """Put `content` in place of a file in one step."""
    with archive.writing(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.partial-{os.getpid()}")
        try:
            half.write_bytes(content)
            half.replace(file)
        finally:
            half.unlink(missing_ok=True)
    return file


def refuse(findings: list[Finding]) -> None:
    """Raise when an export did not pass its own check; nothing of it is published then."""
    if findings:
        raise DataError(
            f"The export does not pass its own check, so nothing was written: {findings[0]} This is a fault "
            "of the program; please report it with the run's id."
        )


def check_folder(folder: Path, what: str) -> None:
    """Raise when there is no such folder to check."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give the folder that `export {what} --out` wrote.")


def only_file(path: Path, pattern: str, what: str) -> Path:
    """The file itself, or the last one of that pattern in a folder."""
    if path.is_file():
        return path
    found = sorted(path.glob(pattern)) if path.is_dir() else []
    if not found:
        raise DataError(f"{path} holds no {pattern}; give what `export {what} --out` wrote.")
    return found[-1]
