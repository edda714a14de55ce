"""``data code``: figures coded by hand from a dated report, in a log that is only ever added to.

A figure that is taken back leaves the figures and stays in the log, with the line that took it back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from escalation_forecast.intake.folder import CODED, Folder, csv_text, default_folder, today, write_whole
from escalation_forecast.schema import OBSERVATION_COLUMNS, DataError, as_observations
from escalation_forecast.tables import nearest

if TYPE_CHECKING:
    from escalation_forecast.store import Store

Kind = Literal["troops", "budget", "incident", "figure"]
KINDS: Final[tuple[Kind, ...]] = ("troops", "budget", "incident", "figure")
Confidence = Literal["high", "low"]
LOG: Final = "coded.jsonl"
TROOPS: Final = "dprk_troops_in_russia"
BUDGET: Final = "budget_growth"
LADDER: Final = "ladder"
PERIODS: Final = {"A": "Y", "Q": "Q", "M": "M", "D": "D"}


@dataclass(frozen=True)
class Report:
    """What somebody read, before it is a figure.

    Attributes
    ----------
    when : day of the period that it is about; by default that of publication.
    published : the day from which a forecast may know it.
    source : address or words that say where it stands; kept in the log.
    body : key of ``sources.csv``; by default that which the series has, or ``user``.
    stage : of a budget, ``1-proposal`` or ``2-enacted``.
    at_front : of troops, a count at the front or the border, which is less than the whole force.
    """

    kind: Kind
    published: dt.date
    source: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    series: str | None = None
    unit: str | None = None
    when: dt.date | None = None
    body: str | None = None
    note: str = ""
    confidence: Confidence = "high"
    stage: str = "1-proposal"
    at_front: bool = False


@dataclass(frozen=True)
class Coded:
    """A line of the log that stands.

    Attributes
    ----------
    undone : when it was taken back, None while it stands.
    """

    id: str
    at: str
    figure: dict[str, Any]
    report: dict[str, Any]
    undone: str | None = None


def code(report: Report, *, to: Path | str | None = None, base: Store | None = None) -> Coded:
    """Check a report, write it to the log, and to the figures of the folder.

    Raises
    ------
    DataError
        When something is missing, out of range, or changes nothing; nothing is written then.
    """
    from escalation_forecast.store import Store

    folder = Folder(Path(to) if to is not None else default_folder())
    below = Store.embedded() if base is None else base
    with folder.locked():
        store = folder.on(below)
        figure = figure_of(report, store)
        said = {name: value for name, value in vars(report).items() if value not in (None, "")}
        said = {name: str(v) if isinstance(v, dt.date) else v for name, v in said.items()}
        mark = json.dumps([figure, said, len(_lines(folder))], sort_keys=True)
        ident = f"c{hashlib.sha256(mark.encode()).hexdigest()[:7]}"
        # The label of a release tells figures of one day apart, and leads from the figure to the log.
        parts = (figure["release"], str(report.published), ident)
        figure["release"] = "-".join(part for part in parts if part)
        store.with_figures(_frame([figure]), "the report")
        entry = {"action": "code", "id": ident, "at": _now(), "figure": figure, "report": said}
        _write(folder, entry)
    return Coded(ident, str(entry["at"]), figure, said)


def undo(ident: str, *, to: Path | str | None = None, why: str = "") -> Coded:
    """Take a coded figure back; the log keeps both.

    Raises
    ------
    DataError
        When there is no such figure, or it has been taken back already.
    """
    folder = Folder(Path(to) if to is not None else default_folder())
    with folder.locked():
        found = {one.id: one for one in coded(folder)}
        if ident not in found:
            raise DataError(
                f"There is no coded figure `{ident}` in {folder.path}{nearest(ident, found)}; "
                "`data code list` shows them."
            )
        if found[ident].undone:
            raise DataError(f"`{ident}` was taken back on {found[ident].undone} already.")
        entry = {"action": "undo", "id": ident, "at": _now(), "why": why}
        _write(folder, entry)
    one = found[ident]
    return Coded(one.id, one.at, one.figure, one.report, str(entry["at"]))


def coded(folder: Folder, moment: dt.datetime | None = None) -> list[Coded]:
    """Everything ever coded, oldest first, as it stood at a moment (now by default)."""
    found: dict[str, Coded] = {}
    for line in _lines(folder):
        if moment is not None and dt.datetime.fromisoformat(line["at"]) > moment:
            continue
        if line["action"] == "code":
            found[line["id"]] = Coded(line["id"], line["at"], line["figure"], line["report"])
        elif line["id"] in found:
            one = found[line["id"]]
            found[line["id"]] = Coded(one.id, one.at, one.figure, one.report, line["at"])
    return list(found.values())


def coded_figures(folder: Folder, moment: dt.datetime | None = None) -> pd.DataFrame:
    """Coded figures that stand, in the schema of the store."""
    return _frame([one.figure for one in coded(folder, moment) if one.undone is None])


def figure_of(report: Report, store: Store) -> dict[str, Any]:
    """A report as a row of the store, without the id in its label.

    Raises
    ------
    DataError
    """
    if report.published > today():
        raise DataError(f"--published {report.published} lies in the future; give the day of the report.")
    if report.value is None and report.low is None and report.high is None:
        raise DataError("Give --value, or --low or --high for a bound.")
    series = report.series or {"troops": TROOPS, "budget": BUDGET, "incident": LADDER}.get(report.kind, "")
    catalogue = store.series.set_index("series")
    if series not in catalogue.index:
        raise DataError(
            f"Unknown series `{series}`{nearest(series, catalogue.index)}; give it with --series."
        )
    about = catalogue.loc[series]
    unit = report.unit or _only(store, series, "unit")
    when = report.when or report.published
    held = _held(store, series, unit, when, str(about["frequency"]))
    if report.kind == "incident":
        _rises(report, held, unit, when)
    as_report = str(about["kind"]) == "report"
    if held is not None and not as_report:
        first, last, body = held["period_start"].date(), held["period_end"].date(), str(held["source"])
        body = report.body or body
    else:
        early = bool(about["published_before_end"])
        first, last = _period(when, str(about["frequency"]), report.published, early)
        body = report.body or ("user" if as_report else _body(store, series))
    note = report.note
    if as_report:
        # The panel reads from the note whether a count is of the front; an address must not say so by chance.
        note = "stock_kursk" if report.at_front else "stock_russia"
    quality = "claimed" if as_report and body != "user" else "coded"
    return {
        "series": series, "unit": unit, "period_start": str(first), "period_end": str(last),
        "value": report.value, "low": report.low, "high": report.high,
        "unit_of_measure": str(about["unit_of_measure"]), "source": body,
        "release": report.stage if report.kind == "budget" else "",
        "published_at": str(report.published),
        "quality": quality + (";uncertain" if report.confidence == "low" else ""), "note": note,
    }  # fmt: skip


def _rises(report: Report, held: Any, unit: str, when: dt.date) -> None:
    """A month stands at its highest level, so that a lower incident says nothing."""
    if report.value is None or report.value != int(report.value):
        raise DataError("An incident has a level from 0 to 5 in whole numbers; give it with --value.")
    if held is not None and held["value"] >= report.value:
        raise DataError(
            f"The ladder of {unit} stands at {held['value']:g} in {when:%Y-%m} already, so an incident of "
            f"{report.value:g} changes nothing."
        )


def _held(store: Store, series: str, unit: str, when: dt.date, frequency: str) -> Any:
    """Newest release of the figure of the period of a day, if there is one."""
    rows = store.latest(series, unit)
    period = pd.Period(when, freq=PERIODS[frequency])
    rows = rows[rows["period_start"].dt.to_period(PERIODS[frequency]) == period]
    return rows.iloc[-1] if len(rows) else None


def _period(when: dt.date, frequency: str, published: dt.date, early: bool) -> tuple[dt.date, dt.date]:
    """First and last day; a period that had not ended when the report came ends with it."""
    period = pd.Period(when, freq=PERIODS[frequency])
    first, last = period.start_time.date(), period.end_time.date()
    return first, last if early else max(first, min(last, published))


def _only(store: Store, series: str, column: str) -> str:
    known = sorted(store.releases(series)[column].unique())
    if len(known) != 1:
        some = ", ".join(known[:8]) + (" ..." if len(known) > 8 else "")
        raise DataError(f"{series} has figures of several units; give one with --unit ({some}).")
    return str(known[0])


def _body(store: Store, series: str) -> str:
    """The source that the newest figure of a series is of: another one would be counted beside it."""
    rows = store.releases(series)
    return str(rows.sort_values("published_at", kind="stable")["source"].iloc[-1]) if len(rows) else "user"


def _frame(figures: list[dict[str, Any]]) -> pd.DataFrame:
    return as_observations(pd.DataFrame(figures, columns=list(OBSERVATION_COLUMNS)))


def _lines(folder: Folder) -> list[dict[str, Any]]:
    log = folder.path / LOG
    if not log.exists():
        return []
    found = []
    lines = log.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entry["action"], entry["id"], entry["at"]
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                break  # a command that was killed while it wrote
            raise DataError(
                f"{log}, line {number}: it is no record of a coded figure; restore the file, or take the "
                "line out."
            ) from None
        found.append(entry)
    return found


def _write(folder: Folder, entry: dict[str, Any]) -> None:
    log = folder.path / LOG
    lines = [json.dumps(one, ensure_ascii=False) for one in _lines(folder)]
    if log.exists() and not log.read_text(encoding="utf-8").endswith("\n"):
        write_whole(log, "".join(f"{line}\n" for line in lines))  # half a line of a command that was killed
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    write_whole(folder.path / CODED, csv_text(coded_figures(folder)))


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")
