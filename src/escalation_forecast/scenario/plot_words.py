"""What a plot of changes says in words and in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from escalation_forecast.report.plot import largest

if TYPE_CHECKING:
    from escalation_forecast.scenario.plots import Panel
    from escalation_forecast.scenario.result import ScenarioResult


def changes_table(panels: Sequence[Panel], several: Sequence[ScenarioResult]) -> pd.DataFrame:
    """Rows drawn, panel by panel; a readout that S leaves alone is at zero."""
    found = []
    for head, rows in panels:
        whose = several if len(several) > 1 else [several[0]] * len(rows)
        for (name, row), one in zip(rows, whose, strict=True):
            c = None if row is None else row.change
            # A readout that S leaves alone is drawn at zero.
            none = np.nan if row is not None or one.label == "C" else 0.0
            found.append(
                {
                    "panel": head,
                    "row": name,
                    "id": None if row is None else row.id,
                    "unit": None if row is None else row.unit,
                    "before": np.nan if row is None else row.before,
                    "change": none if c is None else c.mean,
                    "low": none if c is None else c.low,
                    "high": none if c is None else c.high,
                    "settled": c is not None and bool(c.settled),
                    "conditional": np.nan if row is None or row.conditional is None else row.conditional,
                }
            )
    return pd.DataFrame(found)


def changes_alt(table: pd.DataFrame, several: Sequence[ScenarioResult]) -> str:
    """The largest change of each panel, and how many are settled."""
    what = several[0].scenario.title if len(several) == 1 else f"{len(several)} scenarios"
    said = []
    # Changes in different units are not compared.
    for (head, _), own in table.groupby(["panel", "unit"], sort=False):
        column = "change" if own["change"].notna().any() else "conditional"
        if own[column].isna().all():
            continue
        row = largest(own, own[column].abs())
        factor, unit = (100.0, "points") if row["unit"] == "probability" else (1.0, str(row["unit"] or ""))
        interval = ""
        if column == "change":
            interval = f" (80 % {factor * row['low']:+.2g} to {factor * row['high']:+.2g})"
        where = "" if len(several) == 1 else f"{str(head).partition(',')[0]}: "
        said.append(f"{where}{row['row']} {factor * row[column]:+.2g} {unit}{interval}".rstrip())
    settled = int(table["settled"].sum())
    text = f"Changes by {what}; {settled} of {len(table)} have an interval that leaves out zero."
    return f"{text} Largest: {'; '.join(said)}." if said else text
