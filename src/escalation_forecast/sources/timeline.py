"""Hand-compiled reports on North Korean troops and arms in Russia, one row per report."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources._common import month_end, observation_frame, period, read_table, records

FOLDER: Final = "timeline"
TROOPS: Final = "dprk_troops_in_russia.csv"
ARMS: Final = "dprk_russia_arms.csv"
COLUMNS: Final = ("date", "as_of", "value", "low", "high", "reported_by", "url", "confidence")
UNIT: Final = "PRK>RUS"

# Only what stands in Russia. Sappers alone are a part: they count where the same body gives
# the rest on the same day. Planned, sent and lost men are other things.
STOCKS: Final[dict[str, str]] = {
    "stock_total": "total",
    "stock_kursk": "kursk",
    "stock_border": "border",
}
PART: Final = "stock_sappers"
SAME_REPORT: Final = pd.Timedelta(days=31)
ZERO_MONTHS: Final = ("2022-02", "2024-09")
ITEMS: Final[dict[str, tuple[str, str]]] = {
    "containers": ("dprk_containers", "containers"),
    "artillery_shells": ("dprk_shells", "shells"),
}

# First match wins, so the body that another one quotes stands before the one that quotes it.
BODIES: Final[tuple[tuple[str, str], ...]] = (
    ("HUR", "hur"),
    ("NIS of South Korea", "nis"),
    ("NIS / South Korean military", "nis"),
    ("South Korean JCS", "jcs-korea"),
    ("South Korean DIA", "dia-korea"),
    ("South Korean defence minister", "mnd-korea"),
    ("South Korean MND", "mnd-korea"),
    ("South Korean intelligence", "intelligence-korea"),
    ("Pentagon", "us-government"),
    ("US officials", "us-government"),
    ("US State Department", "us-government"),
    ("White House", "us-government"),
    ("UK MoD", "uk-mod"),
    ("NATO", "nato"),
    ("Zelensky", "ukraine-government"),
    ("Ukrainian intelligence officials", "ukraine-government"),
    ("MSMT", "msmt"),
    ("Open Source Centre", "open-source-centre"),
    ("C4ADS", "c4ads"),
    ("Telegraph", "press"),
)
ONE_PARTY: Final = frozenset({"hur", "ukraine-government"})


def read(raw: Path) -> pd.DataFrame:
    """Rows of `dprk_troops_in_russia` (persons), `dprk_containers` and `dprk_shells`."""
    return observation_frame([*_zeros(), *_troops(raw), *_arms(raw)])


def _body(reported_by: str) -> str:
    for text, key in BODIES:
        if text in reported_by:
            return key
    raise DataError(
        f"Reporting body '{reported_by}' in '{FOLDER}' is not known; add it to BODIES in sources/timeline.py "
        "and its key to data/sources.csv."
    )


def _zeros() -> list[dict[str, Any]]:
    """Months of the war before the first deployment, in which nobody reported any troops."""
    rows = []
    for month in pd.period_range(*ZERO_MONTHS, freq="M"):
        start, end = period(month.year, month.month)
        rows.append(
            {
                "series": "dprk_troops_in_russia",
                "unit": UNIT,
                "period_start": start,
                "period_end": end,
                "value": 0.0,
                "unit_of_measure": "persons",
                "source": "structural-zero",
                "release": "structural",
                "published_at": end,
                "quality": "coded",
                "note": "before the first deployment",
            }
        )
    return rows


def _load(raw: Path, file: str, extra: tuple[str, ...]) -> pd.DataFrame:
    """The table with report date, reference date and body; rows without a figure are left out."""
    table = read_table(raw, FOLDER, file, (*COLUMNS, *extra), text=("date", "as_of", "url", "confidence"))
    table = table.assign(line=range(2, len(table) + 2))
    table = table[table["value"].notna()]
    blank = table[table[["date", "as_of", "reported_by"]].isna().any(axis=1)]
    if len(blank):
        raise DataError(
            f"'{FOLDER}/{file}' row {blank['line'].iloc[0]} has no date, as_of or reported_by; "
            "fill it or drop the row."
        )
    # A month without a day is known, and refers, to its last day: later is the safe side.
    return table.assign(
        known=[_day(text) for text in table["date"]],
        refers=[_day(text) for text in table["as_of"]],
    )


def _day(text: str) -> pd.Timestamp:
    return month_end(text) if len(text) == len("2024-10") else pd.Timestamp(text)


def _quality(body: str, line: dict[str, Any]) -> str:
    if pd.isna(line["url"]):
        return "recalled"
    quality = "claimed" if body in ONE_PARTY else "estimate"
    return f"{quality};uncertain" if line["confidence"] == "low" else quality


def _troops(raw: Path) -> list[dict[str, Any]]:
    table = _load(raw, TROOPS, ("measure",))
    table = table[table["measure"].isin([*STOCKS, PART])]
    table = table.assign(body=[_body(text) for text in table["reported_by"]])
    parts = {(line["body"], line["known"]): line for line in records(table[table["measure"].eq(PART)])}
    rows: list[dict[str, Any]] = []
    kept: dict[tuple[str, str, float], pd.Timestamp] = {}
    stocks = table[table["measure"].ne(PART)].sort_values(["known", "line"], kind="stable")
    for line in records(stocks):
        body, place, known = str(line["body"]), STOCKS[str(line["measure"])], line["known"]
        root = (body, place, float(line["value"]))
        # One body's figure travels through several papers: the first carrier is the report.
        if root in kept and known - kept[root] <= SAME_REPORT:
            continue
        kept[root] = known
        value, low, high = float(line["value"]), line["low"], line["high"]
        note = str(line["measure"])
        if (body, known) in parts and place == "border":
            part = parts[body, known]
            value, low, high = value + part["value"], low + part["low"], high + part["high"]
            note += f"+{PART}"
        start, end = period(line["refers"].year, line["refers"].month)
        rows.append(
            {
                "series": "dprk_troops_in_russia",
                "unit": UNIT,
                "period_start": start,
                "period_end": end,
                "value": value,
                "low": low,
                "high": high,
                "unit_of_measure": "persons",
                "source": body,
                "release": f"{known:%Y-%m-%d}-{place}",
                "published_at": known,
                "quality": _quality(body, line),
                "note": note,
            }
        )
    return rows


def _arms(raw: Path) -> list[dict[str, Any]]:
    table = _load(raw, ARMS, ("direction", "item", "basis"))
    outgoing = table["direction"].eq("DPRK->Russia") & table["basis"].eq("cumulative")
    rows: list[dict[str, Any]] = []
    for line in records(table[outgoing & table["item"].isin(list(ITEMS))]):
        series, measure = ITEMS[str(line["item"])]
        body, known = _body(str(line["reported_by"])), line["known"]
        day = min(line["refers"], known)
        rows.append(
            {
                "series": series,
                "unit": UNIT,
                "period_start": day,
                "period_end": day,
                "value": float(line["value"]),
                "low": line["low"],
                "high": line["high"],
                "unit_of_measure": measure,
                "source": body,
                "release": f"{known:%Y-%m-%d}",
                "published_at": known,
                "quality": _quality(body, line),
                "note": "cumulative",
            }
        )
    return rows
