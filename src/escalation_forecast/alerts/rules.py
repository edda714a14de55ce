"""Rules of alerts: pure functions of what a job has found."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from escalation_forecast.schema import DataError

if TYPE_CHECKING:
    from escalation_forecast.store import Store

Kind = Literal["moved", "gate-failed", "stale", "resolved", "budget", "input-refused"]
Severity = Literal["info", "warning", "failure"]

LONGEST: Final = 1000
LONGEST_TITLE: Final = 120
# Draws behind a probability whose Monte Carlo error nobody could estimate; gates ask for more.
FEW_DRAWS: Final = 100.0


@dataclass(frozen=True)
class Alert:
    """Something a person should hear of.

    Attributes
    ----------
    kind, key : with the run, what tells it from any other.
    message : plain text on one line.
    """

    kind: Kind
    key: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message}"


@dataclass(frozen=True)
class Limits:
    """When an answer has moved.

    Attributes
    ----------
    threshold : change of a probability, absolute.
    log_odds : change of its log-odds, for rare events; by default odds doubled or halved. None leaves it out.
    n_mcse : combined Monte Carlo errors that the change has to exceed in either case.
    """

    threshold: float = 0.05
    log_odds: float | None = math.log(2.0)
    n_mcse: float = 3.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("threshold", 0.0, 1.0),
            ("log_odds", 0.0, math.inf),
            ("n_mcse", 0.0, math.inf),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value < high:
                raise DataError(
                    f"alerts: {name} is {value}, which is no such limit; give a number from {low:g}"
                    f"{f' to below {high:g}' if high < math.inf else ' on'}."
                )


def plain(text: Any, longest: int = LONGEST) -> str:
    """One line without control characters, cut at a length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def check(
    summary: Mapping[str, Any] | None,
    previous: Mapping[str, Any] | None = None,
    *,
    store: Store | None = None,
    gate: Mapping[str, Any] | None = None,
    resolutions: Iterable[Mapping[str, Any]] = (),
    limits: Limits | None = None,
    day: dt.date | None = None,
) -> list[Alert]:
    """All alerts of a run, the gravest first.

    Parameters
    ----------
    summary, previous : of the new run and of the one published before it.
    store : figures, for series that are late; `day` is the day to judge by, as in `stale`.
    gate : ``diagnostics`` of the fit, with ``passed`` and ``reasons``.
    resolutions : rows of the table of resolutions that are new.
    """
    from escalation_forecast.alerts.stale import stale

    found = [
        *gate_failed(gate, summary),
        *moved(summary, previous, limits or Limits()),
        *resolved(resolutions),
    ]
    if store is not None:
        found += stale(store, day)
    order = {"failure": 0, "warning": 1, "info": 2}
    return sorted(found, key=lambda alert: order[alert.severity])


def moved(
    summary: Mapping[str, Any] | None,
    previous: Mapping[str, Any] | None,
    limits: Limits | None = None,
) -> list[Alert]:
    """One alert for each question of which a yes-or-no answer moved, with the answer that moved most.

    Windows counted in months move with the as-of month; the message says so.
    """
    if not summary or not previous:
        return []
    limits, before = limits or Limits(), {entry["id"]: entry for entry in _binary(previous)}
    changes: dict[str, list[_Change]] = {}
    for entry in _binary(summary):
        if (old := before.get(entry["id"])) is not None:
            change = _Change(entry, old)
            if change.beyond(limits):
                changes.setdefault(str(entry["question"]), []).append(change)
    return [
        Alert("moved", plain(question), "warning", _moved_words(parts, previous))
        for question, parts in changes.items()
    ]


def gate_failed(gate: Mapping[str, Any] | None, summary: Mapping[str, Any] | None = None) -> list[Alert]:
    """The fit did not pass, and why."""
    if gate is None or gate.get("passed", not gate.get("reasons")):
        return []
    reasons = " ".join(str(reason) for reason in gate.get("reasons") or ()) or "No reason was given."
    of = f" as of {summary['as_of']}" if summary and summary.get("as_of") else ""
    message = f"The fit{of} did not pass its gates and was not published. {reasons}"
    return [Alert("gate-failed", "gates", "failure", plain(message))]


def resolved(resolutions: Iterable[Mapping[str, Any]]) -> list[Alert]:
    """One alert for each question of which forecasts were answered by what happened."""
    by_question: dict[str, list[Mapping[str, Any]]] = {}
    for row in resolutions:
        by_question.setdefault(str(row["question"]), []).append(row)
    return [_resolved_alert(question, rows) for question, rows in by_question.items()]


def over_budget(
    what: Literal["time", "memory"], used: float, limit: float, step: str, day: dt.date, published: str = ""
) -> Alert:
    """The job went over its minutes or gigabytes; `used` and `limit` in those.

    Parameters
    ----------
    published : id of the run that the job had published by then.
    """
    unit = {"time": "minutes", "memory": "GB of memory"}[what]
    message = (
        f"The job of {day} used {used:.3g} of {limit:.3g} {unit} by step `{step}` and ended there; "
        + (
            f"run {published} is published, the next job does the rest"
            if published
            else "nothing was published"
        )
        + ". Raise the budget or find out what takes so much."
    )
    return Alert("budget", f"{what}/{day}", "failure", plain(message))


def input_refused(reason: object, day: dt.date) -> Alert:
    """Data or configuration were refused before anything was fitted."""
    text = plain(reason)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    message = f"The job of {day} refused its input, so nothing was fitted: {text}"
    return Alert("input-refused", f"{day}/{digest}", "failure", plain(message))


class _Change:
    """An answer of two runs."""

    def __init__(self, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
        self.new, self.old = new, old
        self.p, self.q = float(new["probability"]), float(old["probability"])
        self.mcse = math.hypot(_error(new), _error(old))

    @property
    def size(self) -> float:
        return abs(self.p - self.q)

    @property
    def log_odds(self) -> float:
        """With probabilities no nearer to 0 or 1 than their error can tell."""
        least = min(max(self.mcse, 1e-6), 0.5)
        inside = (min(max(value, least), 1 - least) for value in (self.p, self.q))
        new, old = (math.log(value / (1 - value)) for value in inside)
        return abs(new - old)

    def beyond(self, limits: Limits) -> bool:
        if self.size <= limits.n_mcse * self.mcse or self.size == 0:
            return False
        rare = limits.log_odds is not None and self.log_odds > limits.log_odds
        return self.size > limits.threshold or rare


def _binary(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = summary.get("questions") or ()
    return [
        entry
        for entry in entries
        if entry.get("kind") == "binary" and _is_probability(entry.get("probability"))
    ]


def _is_probability(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 1


def _error(entry: Mapping[str, Any]) -> float:
    mcse, p = entry.get("mcse"), float(entry["probability"])
    if isinstance(mcse, int | float) and math.isfinite(mcse):
        return abs(float(mcse))
    return math.sqrt(max(p * (1 - p), 1 / FEW_DRAWS) / FEW_DRAWS)


def _moved_words(parts: Sequence[_Change], previous: Mapping[str, Any]) -> str:
    most = max(parts, key=lambda change: (change.size, change.log_odds))
    entry = most.new
    words = (
        f"{_name(entry)} {percent(most.q)} -> {percent(most.p)} since the run as of {previous.get('as_of')} "
        f"({100 * (most.p - most.q):+.2g} points, MC error {100 * most.mcse:.1g})"
    )
    if entry.get("resolves_on") != most.old.get("resolves_on"):
        words += "; its window moved on with the as-of date, so part of it may be time"
    if len(parts) > 1:
        words += f"; {len(parts) - 1} more of its answers moved"
    return plain(f"{words}.")


def _name(entry: Mapping[str, Any]) -> str:
    title = plain(entry.get("title") or entry["question"], LONGEST_TITLE)
    return f"{title} ({plain(entry['id'], LONGEST_TITLE)}):"


def percent(p: float) -> str:
    """With two digits on the side that is rarer."""
    return f"{100 * p:.2g} %" if p < 0.995 else f"{100 - float(f'{100 * (1 - p):.1g}'):.10g} %"


def _resolved_alert(question: str, rows: Sequence[Mapping[str, Any]]) -> Alert:
    said = []
    for answer in dict.fromkeys(str(row["answer"]) for row in rows):
        own = [row for row in rows if row["answer"] == answer]
        outcomes = " and ".join(sorted({_outcome(row) for row in own}))
        days = sorted(str(row["as_of"]) for row in own)
        span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}, {len(days)} forecasts"
        said.append(f"{plain(answer, LONGEST_TITLE)} {outcomes} (asked {span})")
    keys = sorted(f"{row['answer']}@{row['as_of']}" for row in rows)
    digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:8]
    return Alert(
        "resolved",
        f"{plain(question, LONGEST_TITLE)}/{digest}",
        "info",
        plain(f"Answered: {'; '.join(said)}."),
    )


def _outcome(row: Mapping[str, Any]) -> str:
    if row["status"] == "resolved":
        return f"{row['value']:.4g}"
    return {"true": "yes", "false": "no"}.get(str(row["status"]), plain(row["status"], LONGEST_TITLE))
