"""What killed jobs left behind: half folders go, finished ones come into the archive."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from escalation_forecast import archive
from escalation_forecast.job.trail import DONE

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

IDENTIFIED: Final = ("id", "retry")
RUN: Final = re.compile(rf"[0-9a-f]{{{archive.ID_LENGTH}}}")
FAILED_FOLDER: Final = re.compile(rf"([0-9a-f]{{{archive.ID_LENGTH}}})\.failed")


def remove_halves(folder: Path) -> list[str]:
    """Remove half-written folders whose process is gone. The caller holds the lock.

    A folder of runs belongs to one machine: there a process number tells whether somebody still writes.
    """
    gone = []
    for half in sorted(folder.glob(".*partial-*")) if folder.is_dir() else ():
        if archive.LEFTOVER.fullmatch(half.name):
            process = int(half.name.rpartition("-")[2])
            if process == os.getpid() or not archive.alive(process):
                shutil.rmtree(half, ignore_errors=True)
                gone.append(half.name)
    return gone


def take_in(ledger: Ledger, folder: Path, job: str, keep: Callable[[], None]) -> list[str]:
    """Register what earlier jobs finished and did not get to register: runs and failures.

    Only runs that a job has begun are looked at; a run made by hand beside them is its maker's.

    Parameters
    ----------
    keep : called before anything is changed.
    """
    names = [path.name for path in sorted(folder.iterdir())] if folder.is_dir() else []
    lying = {name for name in names if _is_run(folder, name)}
    broken = {match[1] for name in names if (match := FAILED_FOLDER.fullmatch(name))}
    if not lying and not broken:
        return []
    listed = ledger.runs()
    failed = set(listed.loc[listed["state"] == "failed", "run_id"])
    visible = set(listed["run_id"]) - failed
    waiting = sorted((lying - visible) | (broken - failed - visible))
    rows = ledger.table("steps", step=list(IDENTIFIED), state=DONE, run_id=waiting) if waiting else None
    begun = set() if rows is None else set(rows["run_id"])
    taken = []
    for identity in sorted(begun & (lying - visible)):
        summary = archive.load_run(folder / identity).summary
        keep()
        (ledger.add if summary.get("draft") else ledger.publish)(folder / identity, job=job)
        visible.add(identity)
        taken.append(identity)
    for identity in sorted(begun & (broken - failed - visible)):
        keep()
        ledger.fail(archive.load_run(folder / f"{identity}.failed").summary, job=job)
        taken.append(f"{identity}.failed")
    for identity in sorted(broken & visible):
        keep()
        shutil.rmtree(folder / f"{identity}.failed", ignore_errors=True)
    return taken


def _is_run(folder: Path, name: str) -> bool:
    return RUN.fullmatch(name) is not None and (folder / name / archive.SUMMARY).is_file()
