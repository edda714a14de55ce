"""Sanctions lists of five senders, counted by target and month."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_row

FOLDER: Final = "sanctions-actions-monthly"
COMPOSITE_FILE: Final = "sanctions_actions_target_month_composite.csv"
SENDER_FILE: Final = "sanctions_actions_target_sender_month.csv"
TARGETS: Final = ("PRK", "RUS", "CHN", "IRN", "BLR")
PROGRAMME: Final = "ofac_sdn_programme"
LAG_DAYS: Final = 15
SERIES: Final = {
    "sanctions_senders_acting": ("n_senders_acting", "senders"),
    "sanctions_senders_covered": ("n_senders_covered", "senders"),
    "sanctions_designations": ("n_designations_all_senders", "names"),
}


def read(raw: Path) -> pd.DataFrame:
    """Rows of `sanctions_senders_acting`, `sanctions_senders_covered` and `sanctions_designations`.

    The lists are read at one late date, so names taken off before it are missing. A month
    in which no sender's list is covered is missing, not zero.
    """
    columns = [name for name, _ in SERIES.values()]
    table = read_table(raw, FOLDER, COMPOSITE_FILE, ["month", "target_iso3", *columns])
    table = table[table["target_iso3"].isin(TARGETS) & table["n_senders_covered"].gt(0)]
    estimated, last_programme = _american_list(raw)
    release = str(table["month"].max())

    rows: list[dict[str, Any]] = []
    for line in table.to_dict("records"):
        month = str(line["month"])
        for series, (column, measure) in SERIES.items():
            counted = series != "sanctions_senders_covered"
            spliced = series == "sanctions_designations" and month > last_programme
            rows.append(
                month_row(
                    month,
                    line[column],
                    lag_days=LAG_DAYS,
                    series=series,
                    unit=line["target_iso3"],
                    unit_of_measure=measure,
                    source="sanctions",
                    release=release,
                    quality=f"{'estimate' if counted and month in estimated else 'reported'};pseudo_vintage",
                    note="US list by address, no longer by programme" if spliced else "",
                )
            )
    return observation_frame(rows)


def _american_list(raw: Path) -> tuple[set[str], str]:
    """Months of the stretch whose US dates are partly estimated; last month counted by programme."""
    table = read_table(raw, FOLDER, SENDER_FILE, ["month", "sender", "series", "date_status"])
    programme = table[table["series"] == PROGRAMME]
    guessed = programme.loc[programme["date_status"] == "estimated", "month"]
    if programme.empty or guessed.empty:
        raise DataError(
            f"'{FOLDER}/{SENDER_FILE}' has no '{PROGRAMME}' rows with estimated dates, so the change "
            "of the US list cannot be dated; restore the file."
        )
    # Inside the stretch a month without an entry is as uncertain as one with an estimated date.
    inside = programme["month"].between(guessed.min(), guessed.max())
    return set(programme.loc[inside, "month"].astype(str)), str(programme["month"].max())
