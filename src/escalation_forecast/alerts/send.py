"""Alerts into the archive, and from there to a log, a file and targets, each once."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from escalation_forecast.alerts.rules import Alert, plain
from escalation_forecast.alerts.targets import PAUSES, Target, named, send

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger

LOG: Final = logging.getLogger("escalation_forecast.alerts")
LEVELS: Final = {"failure": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}
ORDER: Final = tuple(LEVELS)
# What these say stays true for many runs, so it is said once and not with every run.
ONCE: Final = ("stale", "resolved", "budget", "input-refused")
FILE: Final = "file"
TITLE: Final = "Escalation forecast"
# A target that was out of reach for so long gets the newer alerts only.
KEPT: Final = dt.timedelta(days=7)
IN_A_MESSAGE: Final = 30
JOB: Final = "alerts"
SENT: Final = "sent to "


@dataclass(frozen=True)
class Delivery:
    """What became of alerts.

    Attributes
    ----------
    new : those that had not been known.
    sent : number of alerts that by now are wherever they should be.
    waiting : number that are not, and go again with the next run.
    faults : by target, why not.
    """

    new: tuple[Alert, ...]
    sent: int
    waiting: int
    faults: Mapping[str, str]

    def __str__(self) -> str:
        words = f"{len(self.new)} new alerts, {self.sent} sent, {self.waiting} waiting"
        return "; ".join([words, *(f"{name}: {fault}" for name, fault in self.faults.items())])


def deliver(
    ledger: Ledger,
    run_id: str,
    alerts: Iterable[Alert],
    *,
    targets: Sequence[str] = (),
    file: Path | str | None = None,
    now: dt.datetime | None = None,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> Delivery:
    """Keep alerts and send those that were not sent yet, older ones of the last seven days included.

    A new alert is logged, appended to the file and sent to each target once; which of them has it is kept, so
    that one that is out of reach does not make the others get it twice. The same alert (run, kind and key) is
    never new a second time; a late series, an answer, refused input and a budget are told once whichever run
    says so again.

    Parameters
    ----------
    run_id : of the run they are about; empty if there is none.
    targets : URLs as apprise reads them; never logged nor stored.
    file : JSON lines, appended.
    pauses : seconds before each further attempt at a target.

    Raises
    ------
    DataError
        For a target that is no URL, or when apprise is missing. A target that fails raises nothing.
    """
    now, outlets = now or dt.datetime.now(dt.UTC), named(targets)
    new = _kept(ledger, run_id, alerts, now)
    for alert in new:
        LOG.log(LEVELS[alert.severity], "%s: %s", alert.kind, alert.message)
    waiting = _waiting(ledger, now)
    faults: dict[str, str] = {}
    done: dict[_Key, set[str]] = _delivered(ledger, waiting)
    if file is not None:
        lacking = [row for row in waiting if FILE not in done[_key(row)]]
        if (fault := _append(Path(file), lacking)) == "":
            _note(ledger, lacking, FILE, now, done)
        else:
            faults[FILE] = fault
    for target in outlets:
        lacking = [row for row in waiting if target.name not in done[_key(row)]]
        if lacking:
            fault = _send(target, lacking, pauses, sleep)
            if fault == "":
                _note(ledger, lacking, target.name, now, done)
            else:
                faults[target.name] = fault
                LOG.warning("%d alerts did not reach %s: %s", len(lacking), target.name, fault)
    if FILE in faults:
        LOG.warning("Alerts could not be written to their file: %s", faults[FILE])
    wanted = {target.name for target in outlets} | ({FILE} if file is not None else set())
    complete = [row for row in waiting if wanted <= done[_key(row)]]
    for row in complete:
        ledger.fill("alerts", dict(zip(("run_id", "kind", "key"), _key(row), strict=True)), sent_at=now)
    return Delivery(tuple(new), len(complete), len(waiting) - len(complete), faults)


_Key = tuple[str, str, str]
_Row = Mapping[str, Any]


def _key(row: _Row) -> _Key:
    return str(row["run_id"]), str(row["kind"]), str(row["key"])


def _kept(ledger: Ledger, run_id: str, alerts: Iterable[Alert], now: dt.datetime) -> list[Alert]:
    """Those that were not known, now in the archive."""
    new = []
    for alert in alerts:
        if alert.kind in ONCE and len(ledger.table("alerts", kind=alert.kind, key=alert.key)):
            continue
        row = {
            "run_id": run_id,
            "kind": alert.kind,
            "key": alert.key,
            "severity": alert.severity,
            "message": plain(alert.message),
            "created_at": now,
            "sent_at": None,
        }
        if ledger.put("alerts", [row]):
            new.append(alert)
    return new


def _waiting(ledger: Ledger, now: dt.datetime) -> list[_Row]:
    rows: list[Any] = ledger.table("alerts", sent_at=None).to_dict("records")
    recent: list[_Row] = [row for row in rows if now - row["created_at"] <= KEPT]
    return sorted(recent, key=lambda row: (row["created_at"], ORDER.index(row["severity"]), _key(row)))


def _steps(rows: Iterable[_Row]) -> dict[tuple[str, str], _Key]:
    """The alerts by the run and step under which the archive has where they went."""
    return {(str(row["run_id"]), f"{row['kind']} {row['key']}"): _key(row) for row in rows}


def _delivered(ledger: Ledger, rows: Sequence[_Row]) -> dict[_Key, set[str]]:
    """Names of what has each alert already."""
    by_step, done = _steps(rows), {_key(row): set[str]() for row in rows}
    if rows:
        found = ledger.table("steps", job=JOB, run_id=sorted({run_id for run_id, _ in by_step}))
        for run_id, step, state in zip(found["run_id"], found["step"], found["state"], strict=True):
            if (run_id, step) in by_step:
                done[by_step[run_id, step]].add(state.removeprefix(SENT))
    return done


def _note(
    ledger: Ledger, rows: Sequence[_Row], name: str, now: dt.datetime, done: dict[_Key, set[str]]
) -> None:
    """Keep that these have arrived there."""
    same = {"job": JOB, "state": f"{SENT}{name}", "started_at": now, "finished_at": now}
    ledger.put("steps", [{**same, "run_id": run_id, "step": step} for run_id, step in _steps(rows)])
    for row in rows:
        done[_key(row)].add(name)


def _send(
    target: Target, rows: Sequence[_Row], pauses: Sequence[float], sleep: Callable[[float], None]
) -> str:
    """All of them in one message, the gravest first."""
    ordered = sorted(rows, key=lambda row: ORDER.index(row["severity"]))
    lines = [f"- {row['kind']}: {row['message']}" for row in ordered[:IN_A_MESSAGE]]
    if len(rows) > IN_A_MESSAGE:
        lines.append(f"- and {len(rows) - IN_A_MESSAGE} more, in the log and the archive")
    title = f"{TITLE}: {len(rows)} alert{'s' * (len(rows) > 1)}"
    return send(target, title, "\n".join(lines), str(ordered[0]["severity"]), pauses=pauses, sleep=sleep)


def _append(file: Path, rows: Sequence[_Row]) -> str:
    """Append a line for each, on disk when this returns; why not, or nothing."""
    if not rows:
        return ""
    lines = [json.dumps(_record(row), ensure_ascii=False, sort_keys=True) for row in rows]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab+") as out:
            # A job that was killed may have left half a line.
            if out.tell() and not _ends_with_newline(out):
                out.write(b"\n")
            out.write("".join(f"{line}\n" for line in lines).encode())
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _ends_with_newline(out: Any) -> bool:
    out.seek(-1, os.SEEK_END)
    return bool(out.read(1) == b"\n")


def _record(row: _Row) -> dict[str, Any]:
    named_ = {name: str(row[name]) for name in ("run_id", "kind", "key", "severity", "message")}
    return {**named_, "created_at": row["created_at"].isoformat()}
