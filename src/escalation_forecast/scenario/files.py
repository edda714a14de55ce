"""Tables and plots of scenarios in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from escalation_forecast.scenario.plots import plot_changes, plot_fans
from escalation_forecast.scenario.result import ScenarioResult


def write_results(results: Sequence[ScenarioResult], folder: Path | str) -> list[Path]:
    """``scenarios.csv`` and ``.parquet`` with all rows, and of each scenario a picture or two.

    Returns
    -------
    The files written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # Blank columns of one scenario have the type that another gives them.
    rows = [record for one in results for record in one.table().to_dict("records")]
    table = pd.DataFrame(rows)
    numbers = ("before", "after", "change", "change_mcse", "low", "high", "p_lower", "p_stated", "tipping",
               "conditional", "conditional_mcse")  # fmt: skip
    table = table.astype(dict.fromkeys(numbers, float)).astype({"settled": "boolean"})
    written = [folder / "scenarios.csv", folder / "scenarios.parquet"]
    table.to_csv(written[0], index=False)
    table.to_parquet(written[1], index=False)
    for one in results:
        for kind, plot in (("changes", plot_changes(one)), ("risk", plot_fans(one))):
            if kind == "risk" and not any(row.id.startswith("risk/") for row in one.readouts):
                continue
            written.append(plot.save(folder / f"{one.name}-{kind}.png"))
    return written
