"""Geopolitical Risk index of Caldara and Iacoviello: the world and ten states, with the vintages held."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import observation_frame, read_table
from escalation_forecast.sources._monthly import month_row

FOLDER: Final = "gpr"
WORLD_FILE: Final = "gpr_global_monthly_1900_2026-04.csv"
COUNTRY_FILE: Final = "gprc_country_monthly_1985_2026-04.csv"
VINTAGE_FILE: Final = "gpr_vintage_comparison_2024_2026.csv"
STATES: Final = ("KOR", "TWN", "JPN", "CHN", "PHL", "VNM", "RUS", "UKR", "POL", "FIN")
FIRST_MONTH: Final = "1985-01"
LAG_DAYS: Final = 5


def read(raw: Path) -> pd.DataFrame:
    """Rows of `gpr_world` (index) and `gpr_country` (per cent of articles).

    The earliest vintage held of a month carries a typical date of publication; each later
    vintage is a further release, on the date of its file, only where the figure differs.
    """
    rows: list[dict[str, Any]] = []
    for (unit, month), group in _vintages(raw).groupby(["unit", "month"], sort=True):
        last: float | None = None
        for line in group.sort_values("vintage").to_dict("records"):
            value = float(line["value"])
            if last is not None and value == last:
                continue
            row = month_row(
                str(month),
                value,
                lag_days=LAG_DAYS,
                series="gpr_world" if unit == "WLD" else "gpr_country",
                unit=unit,
                unit_of_measure="index" if unit == "WLD" else "percent_of_articles",
                source="gpr",
                release=line["vintage"],
                quality="reported;pseudo_vintage",
            )
            if last is not None:
                row |= {"published_at": pd.Timestamp(line["vintage"]), "quality": "reported"}
            rows.append(row)
            last = value
    return observation_frame(rows)


def _vintages(raw: Path) -> pd.DataFrame:
    """Every figure of every file vintage: unit, month, vintage, value."""
    compared = read_table(raw, FOLDER, VINTAGE_FILE, ["vintage_file_date", "month", "series", "value"])
    world = read_table(raw, FOLDER, WORLD_FILE, ["month", "series", "value"])
    country = read_table(raw, FOLDER, COUNTRY_FILE, ["month", "iso3", "gprc_pct_articles"])
    if compared.empty:
        raise DataError(
            f"'{FOLDER}/{VINTAGE_FILE}' has no rows, so the date of the main file is unknown; restore it."
        )
    # The full files are the newest of the vintages that the comparison holds for some months.
    newest = str(compared["vintage_file_date"].max())

    compared = compared.rename(columns={"vintage_file_date": "vintage"})
    compared["unit"] = compared["series"].map({"GPR": "WLD"} | {f"GPRC_{state}": state for state in STATES})
    world = world[world["series"] == "GPR"].assign(unit="WLD", vintage=newest)
    country = country[country["iso3"].isin(STATES)].rename(
        columns={"iso3": "unit", "gprc_pct_articles": "value"}
    )
    country = country.assign(vintage=newest)
    columns = ["unit", "month", "vintage", "value"]
    table = pd.concat([frame.loc[:, columns] for frame in (world, country, compared)], ignore_index=True)
    table = table[table["unit"].notna() & table["value"].notna() & (table["month"] >= FIRST_MONTH)]
    return table.drop_duplicates(["unit", "month", "vintage"], keep="first")
