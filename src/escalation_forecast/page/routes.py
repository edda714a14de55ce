"""Routes to a wider war, and the steps that lead there."""

from __future__ import annotations

from typing import Any, Final

from escalation_forecast.page.material import Material, parts_of
from escalation_forecast.page.words import ROUTE_NAMES, Summary, loosened, part_name, rare
from escalation_forecast.report.layout import percent, rate_text
from escalation_forecast.report.war_text import one_in

WIDER: Final = "wider-war"
OTHERS: Final = {
    "war-joining": "Joins the war in Ukraine",
    "interstate-war": "War",
    "fatal-clash": "Deadly clash",
}


def routes(material: Material) -> dict[str, Any]:
    """Routes by horizon; pairs and joiners; from use of force to war; joining. Empty parts are left out."""
    asked = [a for a in material.answers.values() if a["question"] == WIDER]
    horizons = list(dict.fromkeys(parts_of(a["id"])[2] for a in asked))
    rows = []
    for route, title in ROUTE_NAMES.items():
        found = {parts_of(a["id"])[2]: a for a in asked if parts_of(a["id"])[1] == (route,)}
        if found:
            year = found.get("12m") or list(found.values())[-1]
            rows.append(
                {
                    "title": title[0].upper() + title[1:],
                    "total": route == "any",
                    "cells": [_cell(found.get(h)) for h in horizons],
                    "rate": rate_text(year.get("base_rate")),
                    "prior": (year.get("prior_share") or {}).get("label", ""),
                    "loosened": loosened(year.get("prior_share"), year["probability"]),
                }
            )
    war = material.summary.get("war") or {}
    errors = [a["mcse"] for a in asked if a.get("mcse")]
    return {
        "horizons": [f"{h.removesuffix('m')} months" for h in horizons],
        "rows": rows,
        "error": f"{100 * max(errors):.1g}" if errors else "",
        "pairs": _pairs(material),
        "steps": [_step(step) for step in war.get("theatres") or []],
        "months": (war.get("theatres") or [{}])[0].get("months", 12),
        "joining": _joining(war.get("joining")),
    }


def _cell(answer: Summary | None) -> dict[str, Any]:
    if answer is None or answer["probability"] is None:
        return {"chance": "", "rare": "", "share": 0.0}
    p = answer["probability"]
    return {"chance": percent(p), "rare": rare(p), "share": p}


def _pairs(material: Material) -> list[dict[str, Any]]:
    """One row per pair or state and kind of event, in 12 months and at the last horizon asked."""
    groups: dict[tuple[str, tuple[str, ...]], list[Summary]] = {}
    for answer in material.answers.values():
        question, parts, _ = parts_of(str(answer["id"]))
        if question in OTHERS:
            groups.setdefault((question, parts), []).append(answer)
    found = []
    for (question, parts), own in groups.items():
        first = own[0]
        found.append(
            {
                "kind": OTHERS[question],
                "part": part_name(question, parts, {}),
                "cells": [
                    {"window": parts_of(a["id"])[2].removesuffix("m") + " months", **_cell(a)} for a in own
                ],
                "rate": rate_text(first.get("base_rate")),
                "prior": (first.get("prior_share") or {}).get("label", ""),
                "loosened": loosened(first.get("prior_share"), first["probability"]),
            }
        )
    order = list(OTHERS)
    return sorted(found, key=lambda row: [OTHERS[k] for k in order].index(row["kind"]))


def _step(step: Summary) -> dict[str, str]:
    names = ("force", "fatal_given_force", "fatal", "material", "war_given_fatal", "war")
    return {"label": str(step["label"]), "rare": one_in(step["war"])} | {n: percent(step[n]) for n in names}


def _joining(found: Summary | None) -> list[tuple[str, str]]:
    if not found:
        return []
    said = {
        "war_goes_on": "The war in Ukraine goes on",
        "anybody": "Any state joins it",
        "share": "Of those that join, NATO, the United States, China, Japan or South Korea",
        "restraint": "Left by the discount for entering a war against a nuclear power",
        "joins": "One of these states joins",
    }
    return [(words, percent(found[name])) for name, words in said.items()]
