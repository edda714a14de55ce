"""The numbers that are asked for first, and the banner over them."""

from __future__ import annotations

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
    window_name,
)
from escalation_forecast.report.layout import percent

BUILD_UP: Final = "arms-race-regional"
LEAD: Final = (BUILD_UP, "wider-war/any/12m")
MOST_ASKED: Final = (
    "use-of-force/taiwan/12m", "use-of-force/korea/12m", "interstate-war/CHN-TWN/12m",
    "interstate-war/RUS-NATO/12m", "war-joining/NATO/12m", "interstate-war/KOR-PRK/12m",
)  # fmt: skip
FEW: Final = 6


def headline(material: Material) -> dict[str, Any]:
    """Two answers in large, then the few that are asked for most, as far as the run has them."""
    answers = material.answers
    build_up = [name for name in answers if name.split("/")[0] == BUILD_UP]
    lead = [*build_up[:1], *(name for name in LEAD if name in answers)]
    over_years = [name for name in build_up if parts_of(name)[2].startswith("any-")]
    more = [*over_years[:1], *(name for name in MOST_ASKED if name in answers)]
    others = [n for n, a in answers.items() if a["kind"] == "binary" and n not in lead and n not in more]
    more = (more + others)[: FEW if lead or more else 2]
    return {
        "lead": [card(material, answers[name]) for name in lead],
        "more": [card(material, answers[name]) for name in more],
    }


def card(material: Material, answer: Summary) -> dict[str, Any]:
    """A probability with everything that has to be said with it."""
    question, parts, window = parts_of(str(answer["id"]))
    probability, share = answer["probability"], answer.get("prior_share")
    return {
        "id": answer["id"],
        "key": "/".join((question, *parts)),
        "title": answer["title"],
        "part": part_name(question, parts, material.described),
        "window": window_name(window),
        "chance": percent(probability),
        "rare": rare(probability),
        "error": error_words(answer.get("mcse")),
        "loosened": loosened(share, probability),
        "prior": (share or {}).get("label", ""),
        "prior_words": PRIOR_WORDS.get((share or {}).get("label", ""), ""),
        "rate": rate_words(answer.get("base_rate")),
        "share": min(max(probability or 0.0, 0.0), 1.0),
        "rate_share": (answer.get("base_rate") or {}).get("rate"),
    }


def banners(summary: Summary) -> list[dict[str, Any]]:
    """What a reader has to know before any number: a draft, or a fit that did not pass."""
    found = []
    health = summary.get("diagnostics") or {}
    reasons = [str(reason) for reason in health.get("reasons") or []]
    if not health.get("passed", True) and not summary.get("draft"):
        text = "The fit did not pass its checks, so nothing of it may be used as a forecast."
        found.append({"word": "FAILED", "text": text, "reasons": reasons})
    if summary.get("draft"):
        text = "A short fit for a quick look: its checks are not applied. Not for publication or comparison."
        found.append({"word": "DRAFT", "text": text, "reasons": reasons})
    return found


def changed(summary: Summary) -> list[str]:
    """Priors that are not the default ones, one sentence each."""
    return [
        f"{c['name']}: {c['default']} by default, here {c['used']}"
        for c in summary.get("priors_changed") or []
    ]
