"""Sentences and tables of the page, made from numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.markdown import escaped, markdown, number, rows_of

__all__ = [
    "ablation_sentence", "cell", "joined", "per_cent", "score_table", "signed", "skill_text", "steps",
    "truth_text",
]  # fmt: skip

TRUTHS: Final = {"first_print": "first print"}


def truth_text(truth: str) -> str:
    """Such as ``first print`` or ``release 2026``."""
    return TRUTHS.get(truth, escaped(truth.replace("_", " ")))


def signed(value: float, digits: int = 1) -> str:
    """With a sign; a dash where there is none."""
    return f"{round(value, digits) + 0.0:+.{digits}f}" if np.isfinite(value) else "-"


def per_cent(probability: float) -> str:
    """Such as ``41 %``; a dash where there is none."""
    return f"{100 * probability:.0f} %" if np.isfinite(probability) else "-"


def joined(parts: Sequence[str]) -> str:
    """Such as ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def steps(horizons: Sequence[int], unit: str) -> list[str]:
    """Heads of columns, such as ``1 year``."""
    return [f"{h} {unit}{'s' if h > 1 else ''}" for h in horizons]


def skill_text(skill: float, low: float, high: float, p: float) -> str:
    """Such as ``+.18 (.05 to .30), p .03``; bold where the interval is clear of zero."""
    if not np.isfinite(skill):
        return "-"
    mark = "**" if low > 0 or high < 0 else ""
    # Adding zero turns -0.0 into 0.0.
    low, high = round(low, 2) + 0.0, round(high, 2) + 0.0
    interval = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) and np.isfinite(high) else ""
    test = f", p {p:.2f}" if np.isfinite(p) else ""
    return f"{mark}{signed(skill, 2)}{mark}{interval}{test}"


def score_table(
    table: pd.DataFrame, first: str, unit: str = "year", score: str = "crps", cover: str = "cov80"
) -> str:
    """Models in the order of their mean score: score, skill and coverage by horizon.

    Parameters
    ----------
    table : model, horizon, n_cases, the score, skill, low, high, p and the coverage, of one sample and truth.
    first : the model to print in bold.
    """
    horizons = sorted(int(h) for h in table["horizon"].unique())
    sizes = table.groupby("model")["n_cases"].sum()
    means = table.groupby("model")[score].mean()
    # A mean over other cases cannot be ranked with the rest.
    order = sorted(sizes.index, key=lambda name: (sizes[name] < sizes.max(), means[name]))
    rows = []
    for model in order:
        own = table[table["model"] == model].set_index("horizon").reindex(horizons)
        name = f"**{escaped(model)}**" if model == first else escaped(model)
        if sizes[model] < sizes.max():
            name += f" ({sizes[model]} of {sizes.max()} cases)"
        rows.append(
            (
                name,
                " / ".join(number(value) for value in own[score]),
                *(skill_text(r.skill, r.low, r.high, r.p) for r in rows_of(own)),
                " / ".join(number(value) for value in own[cover]),
            )
        )
    heads = ("model", "CRPS", *(f"skill, {step}" for step in steps(horizons, unit)), "covered")
    return markdown(heads, rows)


def ablation_sentence(part: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """What a part of the model brings, for each truth.

    Parameters
    ----------
    tables : by truth, horizon, skill, low, high, n_origins of one sample.
    """
    said = []
    for truth, table in tables.items():
        steps_said = []
        for row in rows_of(table.sort_values("horizon")):
            word = f"{abs(100 * row.skill):.0f} % {'lower' if row.skill >= 0 else 'higher'}"
            sure = "" if row.low > 0 or row.high < 0 else ", not certain"
            steps_said.append(f"{word} at {row.horizon} ({row.low:+.2f} to {row.high:+.2f}{sure})")
        article = "the " if truth in TRUTHS else ""
        said.append(f"against {article}{truth_text(truth)} {joined(steps_said)} years")
    n = max(int(table["n_origins"].max()) for table in tables.values())
    return f"With **{part}** CRPS is, on {n} origins, {'; '.join(said)}."


def cell(value: Any) -> str:
    """A value that may be missing, safe in a table."""
    return "-" if value is None or (isinstance(value, float) and not np.isfinite(value)) else escaped(value)
