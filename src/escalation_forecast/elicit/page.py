"""The tables of docs/priors.md: ``python -m escalation_forecast.elicit`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from escalation_forecast.elicit.bounds import load_bounds
from escalation_forecast.elicit.meaning import meaning, outcomes_of
from escalation_forecast.elicit.outcomes import OUTCOMES
from escalation_forecast.elicit.prior_paths import QUANTITIES
from escalation_forecast.priors import Priors
from escalation_forecast.schema import DataError

PLACE: Final = re.compile(r"(<!-- table: (?P<name>\S+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)

# Beginning of the name -> group; the first that fits counts.
GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "identification": (
        "anchor_", "theatre_scale", "slow_step", "innovation_df", "news_", "growth_df", "revision_df",
        "growth_noise_memory", "announcement_df", "stock_miss", "joining_reference_age",
        "annual_persistence", "count_memory",
    ),
    "spending": ("growth_", "threat_", "reaction", "gdp_", "revision_", "late_", "budget_", "programme_"),
    "war": (
        "war_", "joining_", "nuclear_", "history_", "fatal_", "material_", "dyad_",
    ),
    "ladder": ("ladder_",),
    "latent": ("phi", "global_share", "spillover"),
    "troops": ("stock_", "troop_"),
    "readings": ("",),
}  # fmt: skip


def group_of(name: str) -> str:
    """The group of a prior in the page."""
    return next(group for group, starts in GROUPS.items() if name.startswith(starts))


def tables(priors: Priors, sensitivity: str = "") -> dict[str, str]:
    """Every table of the page as Markdown, by the name of its place."""
    found = {group: _priors(priors, [n for n in priors if group_of(n) == group]) for group in GROUPS}
    rows = []
    for outcome in OUTCOMES.values():
        now = meaning(priors, outcome)
        rows.append((f"`{outcome.name}`", now.outcome.said(now.of), now.text, f"`{outcome.adjusts}`"))
    found["outcomes"] = markdown(("outcome", "for example", "by the default priors", "changes"), rows)
    found["bounds"] = markdown(
        ("quantity", "bound", "why"),
        ((QUANTITIES[b.quantity].words, b.text, b.reason) for b in load_bounds()),
    )
    return found | {"sensitivity": sensitivity}


def _priors(priors: Priors, names: Sequence[str]) -> str:
    rows = []
    for name in names:
        spec = priors[name]
        stated = [outcome.name for outcome in outcomes_of(name)]
        by = f", by {' and '.join(spec.dims)}" if spec.dims else ""
        shown = f"{spec.family} by {' and '.join(spec.dims)}" if spec.by_label else f"{spec.text}{by}"
        rows.append((f"`{name}`", shown, spec.reason, ", ".join(f"`{one}`" for one in stated)))
    return markdown(("prior", "default", "in words", "outcomes that read it"), rows)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of text."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill(text: str, made: Mapping[str, str]) -> str:
    """The page with its tables in their places.

    Raises
    ------
    DataError
        When the page has a place for a table that is not made, or none for one that is.
    """
    places = {match["name"] for match in PLACE.finditer(text)}
    for name in places ^ set(made):
        raise DataError(f"Table '{name}' is in the page or made, but not both; correct the page.")
    return PLACE.sub(
        lambda match: f"{match[1]}{made[match['name']]}{chr(10) * bool(made[match['name']])}{match[4]}", text
    )


def write_page(path: Path, priors: Priors | None = None, sensitivity: str = "") -> None:
    """Fill the page; what it says of sensitivity stays unless a table is given."""
    text = path.read_text(encoding="utf-8")
    if not sensitivity:
        kept = {match["name"]: match["body"].rstrip("\n") for match in PLACE.finditer(text)}
        sensitivity = kept.get("sensitivity", "")
    path.write_text(fill(text, tables(priors or Priors.default(), sensitivity)), encoding="utf-8")
