"""Russian losses per month: The Economist's meta-estimate and Ukraine's claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_bounds, month_row

ECONOMIST_FOLDER: Final = "ukraine-war-intensity-economist"
ECONOMIST_FILE: Final = "economist_russian_losses_meta_estimate_monthly_2022_2026-08.csv"
CLAIMS_FOLDER: Final = "ukraine-mod-claims"
CLAIMS_FILE: Final = "ukr_mod_claimed_russian_losses_monthly_2022_2026-08.csv"


def read(raw: Path) -> pd.DataFrame:
    """Rows of `russian_casualties` and `war_claims` (persons killed or wounded, whole months only).

    The interval of the estimate belongs to the running total, not to the month, so the
    months carry no bounds.
    """
    estimate = read_table(
        raw, ECONOMIST_FOLDER, ECONOMIST_FILE, ["month", "as_of_date", "measure", "estimate_month_increment"]
    )
    estimate = estimate[estimate["measure"] == "cumulative_casualties"]
    claims = read_table(raw, CLAIMS_FOLDER, CLAIMS_FILE, ["month", "as_of_date", "item", "month_increment"])
    claims = claims[claims["item"] == "personnel"]
    return observation_frame(
        [
            *_rows(
                estimate,
                "estimate_month_increment",
                lag_days=10,
                series="russian_casualties",
                source="economist",
                # The whole path is estimated anew at each update; only the last one is held.
                quality="modelled;pseudo_vintage",
            ),
            *_rows(
                claims,
                "month_increment",
                lag_days=3,
                series="war_claims",
                source="ukr-general-staff",
                quality="claimed",
            ),
        ]
    )


def _rows(table: pd.DataFrame, column: str, *, lag_days: int, **cells: Any) -> list[dict[str, Any]]:
    release = str(table["as_of_date"].max())
    rows: list[dict[str, Any]] = []
    for line in table.to_dict("records"):
        month, value = str(line["month"]), line[column]
        whole = pd.Timestamp(line["as_of_date"]) >= month_bounds(month)[1]
        # The first month has a total but no increment: the war began within it.
        if whole and not pd.isna(value):
            rows.append(
                month_row(
                    month,
                    value,
                    lag_days=lag_days,
                    unit="RUS",
                    unit_of_measure="persons",
                    release=release,
                    **cells,
                )
            )
    return rows
