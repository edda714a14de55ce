"""What changed since an earlier run, and why, from the explanation that the archive keeps."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from escalation_forecast.explain.result import CLEAR, Part, Why
from escalation_forecast.explain.words import HEADINGS, LEAST
from escalation_forecast.page.headline import LEAD
from escalation_forecast.page.material import Material, parts_of
from escalation_forecast.page.words import MINUS, Summary, error_words, part_name, points, signed, window_name
from escalation_forecast.schema import DataError
from escalation_forecast.update.reweight import summary_value

if TYPE_CHECKING:
    from escalation_forecast.ledger import Ledger, RunRecord

FEW: Final = 8
NAMED: Final = 3
TOGETHER: Final = " and "


@dataclass(frozen=True)
class Moved:
    """Why an answer moved, and the Monte Carlo error of the two numbers together."""

    why: Why
    mcse: float


def moved(material: Material, ledger: Ledger | None, since: str | None) -> dict[str, Any]:
    """The answers that moved most, each with its steps; or why there is nothing to show.

    Parameters
    ----------
    since : the earlier run; by default the one that an explanation is kept for, or else the one published
        before.

    Raises
    ------
    DataError
        When `since` is not in the archive.
    """
    own = str(material.summary["run_id"])
    if ledger is None:
        if since is not None:
            raise DataError(
                f"Run {since} is looked up in the archive, and none was given; name it with --archive."
            )
        return {"state": "none", "text": "This page was made without an archive of earlier runs."}
    kept = ledger.table("explanations", run_id=own)
    previous = since or _explained(ledger, kept) or _before(ledger, own)
    if previous is None:
        return {
            "state": "none",
            "text": "This is the first run of its archive, so there is nothing to compare.",
        }
    earlier = ledger.get(previous)
    kept = kept[kept["previous_id"] == earlier.run_id]
    answers = _answers(material, earlier, kept)
    command = f"escalation-forecast explain {own} --since {earlier.run_id}"
    return {
        "state": "explained" if len(kept) else "compared",
        "earlier": {"run_id": earlier.run_id, "as_of": earlier.as_of.isoformat(), "state": earlier.state},
        "command": command,
        "rows": [_row(material, one, bool(len(kept))) for one in answers],
        "n": len(set(material.answers) & {str(q["id"]) for q in earlier.summary.get("questions") or []}),
    }


def _explained(ledger: Ledger, kept: pd.DataFrame) -> str | None:
    """Of the runs that an explanation is kept for, the newest."""
    ids = set(kept["previous_id"])
    return next((str(name) for name in ledger.runs()["run_id"] if name in ids), None)


def _before(ledger: Ledger, own: str) -> str | None:
    listed = ledger.runs(state="published")
    mine = ledger.runs()
    mine = mine[mine["run_id"] == own]
    if mine.empty:
        return None
    at = mine.iloc[0]
    same = (listed["as_of"] == at["as_of"]) & (listed["created_at"] < at["created_at"])
    older = listed[((listed["as_of"] < at["as_of"]) | same) & (listed["run_id"] != own)]
    return None if older.empty else str(older["run_id"].iloc[0])


def _answers(material: Material, earlier: RunRecord, kept: pd.DataFrame) -> list[Moved]:
    """Headline answers first, then what moved most: of each part of a question one window."""
    before = {str(q["id"]): q for q in earlier.summary.get("questions") or []}
    steps = {str(name): rows for name, rows in kept.groupby("answer")}
    found = {}
    for name, now in material.answers.items():
        if name in before and now["kind"] == "binary":
            found[name] = _moved(now, before[name], steps.get(name))
    first = [name for name in found if name.split("/")[0] == LEAD[0]][:1]
    first += [name for name in LEAD if name in found]
    chosen = {name.rpartition("/")[0]: name for name in first}
    for name in sorted(found, key=lambda n: (-abs(found[n].why.change), n)):
        if found[name].why.change:
            chosen.setdefault(name.rpartition("/")[0], name)
    return [found[name] for name in list(chosen.values())[:FEW]]


def _moved(now: Summary, before: Summary, rows: pd.DataFrame | None) -> Moved:
    parts = []
    for row in [] if rows is None else rows.sort_values("step").to_dict("records"):
        error = float(row["mcse"]) if row["mcse"] == row["mcse"] else 0.0
        parts.append(Part(row["kind"], str(row["label"]), float(row["change"]), error))
    old, new = summary_value(dict(before)), summary_value(dict(now))
    why = Why(str(now["id"]), str(now["title"]), str(now["target"]), "binary", old, new, tuple(parts))
    return Moved(why, math.hypot(now.get("mcse") or 0.0, before.get("mcse") or 0.0))


def _row(material: Material, one: Moved, explained: bool) -> dict[str, Any]:
    why = one.why
    question, parts, window = parts_of(why.answer)
    by_kind = why.by_kind()
    most = max([abs(v) for v in by_kind.values()] + [abs(why.change), LEAST])
    return {
        "id": why.answer,
        "title": why.title,
        "part": part_name(question, parts, material.described),
        "window": window_name(window),
        "before": f"{100 * why.before:.1f} %",
        "after": f"{100 * why.after:.1f} %",
        "change": points(why.change),
        "error": error_words(one.mcse).removesuffix(" points"),
        "up": why.change >= 0,
        "bars": [
            {"kind": _heading(k, why), "value": points(v), "up": v >= 0, "share": abs(v) / most}
            for k, v in by_kind.items()
            if abs(v) >= LEAST
        ],
        "steps": _steps(material, why) if explained else [],
    }


def _heading(kind: str, why: Why) -> str:
    """What a part of a change is called; what chance did, with how much of that is usual."""
    if kind != "sampling":
        return HEADINGS[kind]
    usual = math.hypot(*(part.mcse for part in why.parts if part.kind == kind))
    return f"{HEADINGS[kind]} (usual ± {100 * usual:.1f})"


def _steps(material: Material, why: Why) -> list[str]:
    """What moved an answer beyond twice its Monte Carlo error, largest first, and what is left to chance."""
    labels = dict(zip(material.store.series["series"], material.store.series["description"], strict=True))
    own = [p for p in why.parts if p.kind != "sampling" and abs(p.change) >= LEAST]
    clear = sorted((p for p in own if p.clear), key=lambda p: -abs(p.change))
    said = [f"{step_words(p, labels)}: {_points(p)}" for p in clear[:NAMED]]
    if len(clear) > NAMED:
        said.append(f"{len(clear) - NAMED} smaller steps")
    if own and not clear:
        said.append(f"no single step beyond {CLEAR:g} Monte Carlo errors")
    chance = [p for p in why.parts if p.kind == "sampling" and abs(p.change) >= LEAST]
    said += [f"difference between two samplings: {_points(p)}" for p in chance]
    return said


def _points(part: Part) -> str:
    return (
        f"{points(part.change)} points (Monte Carlo error {signed(100 * part.mcse, 1).lstrip('+' + MINUS)})"
    )


def step_words(part: Part, labels: Mapping[str, str]) -> str:
    """A step in words; series that could not be told apart are counted, not listed."""
    if part.kind == "time":
        return f"the date ({part.label})"
    names = re.split(TOGETHER, part.label) if part.kind in ("news", "revision") else [part.label]
    if len(names) > 2:
        what = f"{len(names)} series together ({names[0]}, {names[1]} and {len(names) - 2} more)"
    else:
        what = TOGETHER.join(f"{labels[n]} ({n})" if n in labels else n for n in names)
    return {"revision": f"revised: {what}", "news": f"new figures: {what}", "priors": f"prior: {what}"}.get(
        part.kind, what
    )
