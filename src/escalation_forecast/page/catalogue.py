"""All questions: by family, part and window, with the sheet on which each resolves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from escalation_forecast.page.material import Material, parts_of
from escalation_forecast.page.words import (
    PRIOR_WORDS,
    Summary,
    error_words,
    loosened,
    part_name,
    rare,
    rate_words,
    share_words,
    signed,
    window_name,
)
from escalation_forecast.question_file import Question
from escalation_forecast.report.layout import percent

GROUPS: Final[dict[str, str]] = {
    "arms-race": "Arms race", "spending": "Military spending", "use-of-force": "Clashes and wars",
    "fatal": "Clashes and wars", "interstate": "Clashes and wars", "war-": "Clashes and wars",
    "wider": "Clashes and wars", "troops": "Troops", "tension": "Press tension",
}  # fmt: skip
OTHER: Final = "Other questions"
MISSING: Final = {
    "does_not_qualify": "a missing figure does not qualify",
    "stays_open": "with a missing figure the question stays open",
    "passed_over": "a missing figure is passed over",
}


def questions(material: Material) -> list[dict[str, Any]]:
    """Families in the order of the groups; each has parts, each part its windows."""
    families: dict[str, list[Summary]] = {}
    for answer in material.answers.values():
        families.setdefault(str(answer["question"]), []).append(answer)
    found = [_family(material, name, own) for name, own in families.items()]
    order = [*dict.fromkeys(GROUPS.values()), OTHER]
    return sorted(found, key=lambda family: order.index(family["group"]))


def group_of(question: str) -> str:
    """The heading under which a question is listed."""
    return next((group for start, group in GROUPS.items() if question.startswith(start)), OTHER)


def _family(material: Material, name: str, answers: list[Summary]) -> dict[str, Any]:
    parts: dict[tuple[str, ...], list[Summary]] = {}
    for answer in answers:
        parts.setdefault(parts_of(str(answer["id"]))[1], []).append(answer)
    kind = str(answers[0]["kind"])
    scale = _scale(answers) if kind == "continuous" else (0.0, 1.0)
    return {
        "key": name,
        "group": group_of(name),
        "title": answers[0]["title"],
        "kind": kind,
        "parts": [_part(material, name, p, own, scale) for p, own in parts.items()],
        "sheet": _sheet(material.wording.get(name)),
    }


def _part(
    material: Material, name: str, parts: tuple[str, ...], answers: list[Summary], scale: tuple[float, float]
) -> dict[str, Any]:
    label = part_name(name, parts, material.described)
    rows = [_row(answer, scale) for answer in answers]
    shares = [a["prior_share"]["label"] for a in answers if a.get("prior_share")]
    return {
        "key": "/".join((name, *parts)),
        "label": label,
        "option": label or str(answers[0]["title"]),
        "glance": rows[0]["value"],
        "rows": rows,
        "prior": shares[0] if shares else "",
        "rates": _once(rate_words(a.get("base_rate")) for a in answers),
        "resolves": _once(str(a["resolves_on"]) for a in answers),
        "notes": _once(str(a["note"]) for a in answers),
    }


def _once(texts: Any) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))


def _row(answer: Summary, scale: tuple[float, float]) -> dict[str, Any]:
    shape = answer.get("distribution") or {}
    share = answer.get("prior_share") or {}
    rate = answer.get("base_rate")
    row: dict[str, Any] = {
        "id": answer["id"],
        "window": window_name(parts_of(str(answer["id"]))[2]),
        "kind": answer["kind"],
        "rare": "", "error": "", "share": None, "rate_share": None, "bars": [], "interval": None,
        "loosened": loosened(share, answer["probability"]),
        "prior": share.get("label", ""),
        "prior_words": PRIOR_WORDS.get(share.get("label", ""), ""),
        "rate": "",
    }  # fmt: skip
    if answer["kind"] == "binary":
        p = answer["probability"]
        return row | {
            "value": percent(p),
            "rare": rare(p),
            "error": error_words(answer.get("mcse")),
            "share": p,
            "rate_share": rate["rate"] if rate else None,
            "rate": share_words(rate) if rate else "",
        }
    if answer["kind"] == "count":
        bars = [{"n": n, "share": p, "chance": percent(p)} for n, p in shape.items()]
        mean = sum(float(n) * p for n, p in shape.items())
        return row | {"value": f"{mean:.1f} expected" if shape else "-", "bars": bars}
    if not shape:
        return row | {"value": "no forecast"}
    low, high = scale
    ticks = {"zero": 0.0} | {k: shape[k] for k in ("low", "median", "high")}
    at = {k: (v - low) / ((high - low) or 1.0) for k, v in ticks.items()}
    ends = f"{signed(shape['low'])} to {signed(shape['high'])}"
    # Every quantity that is asked about is growth.
    return row | {"value": f"{signed(shape['median'])} % ({ends})", "interval": at}


def _scale(answers: list[Summary]) -> tuple[float, float]:
    shapes = [a["distribution"] for a in answers if a.get("distribution")]
    if not shapes:
        return 0.0, 1.0
    return min(0.0, *(s["low"] for s in shapes)), max(0.0, *(s["high"] for s in shapes))


def _sheet(question: Question | None) -> dict[str, Any] | None:
    """What the questions file says; None where the question is not in it."""
    if question is None:
        return None
    return {
        "text": " ".join(question.text.split()),
        "rule": question.rule,
        "params": _params(question.params, question.over),
        "missing": MISSING[question.missing],
        "resolver": question.resolver,
        "note": question.base_rate_note,
        "edge_cases": list(question.edge_cases),
        "fallback": question.fallback,
    }


def _params(params: Mapping[str, Any], over: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = {name: _said(value) for name, value in params.items()}
    said |= {name: "each of " + _said(values) for name, values in over.items()}
    return list(said.items())


def _said(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_said(one) if not isinstance(one, list | tuple) else "-".join(map(str, one))
                         for one in value)  # fmt: skip
    return f"{value:g}" if isinstance(value, float) else str(value)
