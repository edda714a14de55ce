"""The card of one run, from its summary and the catalogue of sources.

Headings follow Mitchell et al. (2019), Model Cards for Model Reporting, FAT* '19.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from escalation_forecast import archive
from escalation_forecast.archive import Run, load_run
from escalation_forecast.card import sections
from escalation_forecast.card.parts import Section, to_html, to_markdown
from escalation_forecast.card.sentences import FAILURES, LIMITS
from escalation_forecast.card.sources import source_records, with_terms
from escalation_forecast.store import Store

CARD: Final = "model_card.md"
HEADLINE: Final = ("wider-war", "interstate-war", "war-joining")
"""Families whose answers for a year stand on the first page of a forecast and carry a prior share."""
YEAR: Final = "/12m"
NOW: Final = "The data of today differ from those of the run, so its sources are listed as they are today."


@dataclass(frozen=True, repr=False)
class Card:
    """A model card.

    Attributes
    ----------
    facts : the numbers that it states, by heading; what JSON can say.
    sections : its text.
    """

    run_id: str
    facts: Mapping[str, Any]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """Such as ``Model card of run 0123456789abcdef``."""
        return f"Model card of run {self.run_id}"

    def markdown(self) -> str:
        """The card as a document of its own."""
        return to_markdown(self.title, self.sections)

    def html(self) -> str:
        """The card as a fragment to put under a heading of the second level; everything is escaped."""
        return to_html(self.title, self.sections)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, by heading."""
        found: dict[str, Any] = json.loads(json.dumps(archive.plain(self.facts), allow_nan=False))
        return found

    def __repr__(self) -> str:
        return f"<Card of run {self.run_id}, {len(self.sections)} sections>"


def model_card(run: Run | Path | str, store: Store | None = None) -> Card:
    """The model card of a run, or of a fit that did not pass its gates.

    Parameters
    ----------
    run : a run, or its folder.
    store : the data that it was made with; by default the embedded ones. They are read for the terms of the
        sources, and for what a run that was made before runs kept it does not say of its data.

    Raises
    ------
    DataError
        When the folder holds no run.
    """
    run = run if isinstance(run, Run) else load_run(run)
    facts = card_facts(run.summary, store)
    return Card(str(run.summary["run_id"]), facts, sections.all_sections(facts))


def write_card(folder: Path, summary: Mapping[str, Any], store: Store) -> Path:
    """Write ``model_card.md`` beside a run's other files."""
    file = folder / CARD
    text = model_card(Run(folder, dict(summary)), store).markdown()
    file.write_text(text, encoding="utf-8", newline="\n")
    return file


def card_facts(summary: Mapping[str, Any], store: Store | None = None) -> dict[str, Any]:
    """What a card states, by heading, from a run's summary.

    Returns
    -------
    dict
        run, data, priors, diagnostics, prior_shares, skill, limits, failures, licences, reproduce.
    """
    data = summary.get("data") or {}
    records, note = data.get("sources"), ""
    if records is None:
        store = store or Store.embedded()
        known = store.as_of(summary["as_of"])
        records = source_records(known)
        if known.content_hash() != data.get("content_hash"):
            note = NOW
    sources = with_terms(records, store)
    months = sorted((data.get("last_month") or {}).values())
    starts = sorted(one["first"] for one in sources if one["first"])
    return {
        "run": {
            name: summary.get(name)
            for name in (
                "run_id", "as_of", "created_at", "horizon_months", "seed", "model_version", "settings",
                "draft", "published", "spending_weight", "versions",
            )
        },
        "data": {
            "content_hash": data.get("content_hash"),
            "n_observations": data.get("n_observations"),
            "first_month": starts[0] if starts else None,
            "last_month": months[-1] if months else None,
            "last_month_by_indicator": dict(data.get("last_month") or {}),
            "note": note,
            "sources": [
                {k: v for k, v in one.items() if k not in ("citation", "terms")} for one in sources
            ],
        },
        "priors": {"changed": list(summary.get("priors_changed") or ())},
        "diagnostics": dict(summary.get("diagnostics") or {}),
        "prior_shares": prior_counts(summary.get("questions") or ()),
        "skill": list(summary.get("skill") or ()),
        "limits": list(LIMITS),
        "failures": list(FAILURES),
        "licences": [{k: one[k] for k in ("source", "title", "citation", "terms")} for one in sources],
        "reproduce": reproduction(summary),
    }  # fmt: skip


def prior_counts(questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many answers are data-driven, mixed or prior-driven, and which headline ones are prior-driven.

    Returns
    -------
    dict
        answers, measured; by_label; ``headline``: id, probability, label of the headline answers.
    """
    measured = [q for q in questions if q.get("prior_share")]
    counts = Counter(str(q["prior_share"]["label"]) for q in measured)
    headline = [
        {"id": q["id"], "probability": q["probability"], "label": q["prior_share"]["label"]}
        for q in measured
        if q["question"] in HEADLINE and str(q["id"]).endswith(YEAR)
    ]
    return {
        "answers": len(questions),
        "measured": len(measured),
        "by_label": {name: counts.get(name, 0) for name in ("data-driven", "mixed", "prior-driven")},
        "headline": headline,
    }


def reproduction(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The command that makes the run again, and what it has to be given besides."""
    from escalation_forecast.fit import Settings
    from escalation_forecast.question_file import load_questions

    run = str(summary["run_id"])
    parts = [
        "escalation-forecast forecast", f"--as-of {summary['as_of']}",
        f"--horizon {summary.get('horizon_months')}", f"--seed {summary.get('seed')}",
    ]  # fmt: skip
    notes = []
    draft = bool(summary.get("draft"))
    if draft:
        parts.append("--draft")
    if summary.get("priors_changed"):
        parts.append(f"--priors runs/{run}/priors.toml")
        notes.append("The priors of the run are in its folder.")
    if summary.get("spending_weight") == 1.0:
        parts.append("--no-spending-pool")
    asked = {str(q["question"]) for q in summary.get("questions") or ()}
    if own := sorted(asked - {question.id for question in load_questions()}):
        parts.append("--questions FILE")
        notes.append(f"FILE holds the questions that are not embedded: {', '.join(own)}.")
    usual = (Settings.draft() if draft else Settings.default()).canonical()
    if (settings := summary.get("settings")) and settings != usual:
        notes.append(
            "The length of the fit was set by hand: give run_forecast the settings above from Python."
        )
    return {"command": " ".join(parts), "notes": notes, "versions": dict(summary.get("versions") or {})}
