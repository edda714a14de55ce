"""Explanations in words: a sentence or two on an answer, its table, and an overview."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from escalation_forecast.explain.result import Explanation, Part, Why

HEADINGS: Final = {
    "time": "the date moved",
    "revision": "figures were revised",
    "news": "new figures",
    "priors": "priors changed",
    "configuration": "configuration changed",
    "code": "the model changed",
    "sampling": "sampling",
}
NAMED: Final = 3  # steps named in the sentences
LEAST: Final = 5e-5  # of a probability; what is printed as 0.00 points is no change
WIDTH: Final = 46


def kinds_of(found: Explanation) -> list[str]:
    """Kinds of step that any answer has, in order."""
    from escalation_forecast.explain.states import KINDS

    have = {part.kind for why in found.answers for part in why.parts}
    return [kind for kind in KINDS if kind in have]


def shown(why: Why, value: float) -> str:
    """A published number in its unit."""
    return f"{100 * value:.2f} %" if why.unit == "binary" else f"{value:.2f}"


def points(change: float) -> str:
    """A change of a probability in points."""
    text = f"{100 * change:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def moved_by(why: Why, change: float) -> str:
    """A change in the unit of the answer, in words."""
    if why.unit == "binary":
        return f"{points(change)} points"
    text = f"{change:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text


def named(found: Explanation, part: Part, *, full: bool = True) -> str:
    """What a step was, in words; a series by its description, or by its name alone."""
    if part.kind == "sampling":
        return "Monte Carlo error of the two fits"
    what = found.labels.get(part.label, part.label) if full else part.label
    if part.kind == "time":
        return f"the date ({what})"
    return {"revision": f"revised: {what}", "news": f"new: {what}", "priors": f"prior: {what}"}.get(
        part.kind, what
    )


def sentences(found: Explanation, why: Why) -> str:
    """Why an answer moved, in two or three sentences."""
    ends = f"from {shown(why, why.before)} to {shown(why, why.after)}"
    scale = 1.0 if why.unit == "binary" else 100.0
    if abs(why.change) < LEAST * scale:
        lead = f"{why.answer} stayed at {shown(why, why.after)}."
    else:
        lead = f"{why.answer} moved {ends} ({moved_by(why, why.change)})."
    own = [part for part in why.parts if part.kind != "sampling" and abs(part.change) >= LEAST * scale]
    clear = sorted((part for part in own if part.clear), key=lambda part: -abs(part.change))
    out = [lead]
    if clear:
        told = [
            f"{named(found, part)} {moved_by(why, part.change)} (Monte Carlo error {_size(why, part.mcse)})"
            for part in clear[:NAMED]
        ]
        rest = len(clear) - len(told)
        more = f"; and {rest} smaller" if rest > 0 else ""
        out.append(f"What moved it: {'; '.join(told)}{more}.")
    elif own:
        out.append("No single step moved it by more than twice its Monte Carlo error.")
    for part, change in zip(why.parts, _rounded(why)[2:], strict=True):
        if part.kind == "sampling" and change:
            usual = "as much as is usual" if not part.clear else "more than its Monte Carlo error explains"
            size = f"{change / 100:+.2f} points" if why.unit == "binary" else f"{change / 100:+.2f}"
            out.append(
                f"{size} is the difference between two samplings, {usual} (error {_size(why, part.mcse)})."
            )
    return " ".join(out)


def _size(why: Why, error: float) -> str:
    return f"{100 * error:.2f}" if why.unit == "binary" else f"{error:.2f}"


def printed(found: Explanation, why: Why) -> str:
    """The table of one answer; the printed changes add up to the printed whole."""
    factor = 100.0 if why.unit == "binary" else 1.0
    before, after, *rounded = _rounded(why)
    unit = "%" if why.unit == "binary" else ""
    head = f"{why.answer}: {why.title} {why.target}".rstrip()
    lines = [
        head,
        f"  {found.previous_as_of:<{WIDTH}} {before / 100:9.2f} {unit}".rstrip(),
    ]
    for part, change in zip(why.parts, rounded, strict=True):
        if part.kind != "sampling" and part.change == 0.0 and part.mcse == 0.0:
            continue  # did nothing
        label = named(found, part, full=False)
        label = label if len(label) <= WIDTH else f"{label[: WIDTH - 3]}..."
        lines.append(f"  {label:<{WIDTH}} {change / 100:+9.2f}   (MC error {factor * part.mcse:.2f})")
    lines.append(f"  {found.as_of:<{WIDTH}} {after / 100:9.2f} {unit}".rstrip())
    return "\n".join(lines)


def _rounded(why: Why) -> list[int]:
    """Before, after and every part in hundredths of a point, or of the unit."""
    factor = 100.0 if why.unit == "binary" else 1.0
    changes = [factor * part.change for part in why.parts]
    return whole_hundredths(factor * why.before, factor * why.after, changes)


def whole_hundredths(before: float, after: float, changes: Sequence[float]) -> list[int]:
    """Before, after and changes in hundredths, rounded so that they add up; the last takes the rest."""
    ends = [round(100.0 * before), round(100.0 * after)]
    found = [round(100.0 * change) for change in changes]
    if found:
        found[-1] += ends[1] - ends[0] - sum(found)
    return [*ends, *found]


def overview(found: Explanation) -> str:
    """The answers that moved most, by kind of step, and how it was found."""
    lines = [
        f"Why run {found.run_id} (as of {found.as_of}) differs from {found.previous_id} "
        f"(as of {found.previous_as_of}): {len(found.answers)} answers"
    ]
    for why in found.largest():
        parts = [
            f"{HEADINGS[kind]} {points(change)}"
            for kind, change in why.by_kind().items()
            if abs(change) >= LEAST
        ]
        told = f": {', '.join(parts)}" if parts else ""
        lines.append(
            f"  {why.answer}: {shown(why, why.before)} -> {shown(why, why.after)} "
            f"({points(math.fsum([why.change]))}{told})"
        )
    return "\n".join([*lines, *found.notes])
