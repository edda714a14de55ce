"""SIPRI trend-indicator values of arms deliveries by dyad and year, over three releases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.sources._common import observation_frame, period, read_table, records

FOLDER: Final = "sipri-arms-transfers"
EXPORTS_2024: Final = "tiv_exports_usa_rus_chn_1950_2023_r2024.csv"
DYADS_2025: Final = "tiv_dyad_year_1995_2024_r2025.csv"
EXTRACT_2026: Final = "tiv_dyad_year_extract_r2026.csv"
PUBLISHED: Final[dict[int, str]] = {2024: "2024-03-11", 2025: "2025-03-10", 2026: "2026-03-09"}
FIRST_YEAR: Final = 1988
# Sums of deal rows carry rounding in their last digits; a revision is larger.
SAME: Final = 1e-6
# States that did not exist, or are not told apart from the Soviet Union, before this year.
SUCCESSOR_FROM: Final = 1992
SUCCESSORS: Final = frozenset({"RUS", "UKR"})

# Russia to North Korea is left out: SIPRI records nothing after 2010 although transfers are
# widely reported, so a zero there would be false.
DYADS: Final[tuple[tuple[str, str], ...]] = (
    ("RUS", "CHN"), ("RUS", "VNM"), ("RUS", "IND"),
    ("PRK", "RUS"), ("IRN", "RUS"), ("CHN", "RUS"),
    ("USA", "JPN"), ("USA", "KOR"), ("USA", "TWN"), ("USA", "PHL"), ("USA", "UKR"),
    ("USA", "AUS"), ("USA", "SGP"), ("USA", "IND"), ("USA", "POL"),
    ("KOR", "POL"), ("KOR", "PHL"), ("DEU", "UKR"), ("GBR", "UKR"), ("POL", "UKR"),
)  # fmt: skip


@dataclass(frozen=True)
class Figure:
    value: float
    note: str
    low: float | None = None
    high: float | None = None


def read(raw: Path) -> pd.DataFrame:
    """Rows of `arms_transfers` (millions of TIV) for the dyads of `DYADS`.

    The first figure held of a year is dated 15 March of the next year as a pseudo-vintage,
    unless its release is the true first print; later releases follow where they differ.
    """
    releases = {2024: _exports_2024(raw), 2025: _dyads_2025(raw), 2026: _extract_2026(raw)}
    rows: list[dict[str, Any]] = []
    for supplier, recipient in DYADS:
        years = sorted(
            {key[2] for held in releases.values() for key in held if key[:2] == (supplier, recipient)}
        )
        for year in years:
            prints = [
                (release, held[supplier, recipient, year])
                for release, held in releases.items()
                if (supplier, recipient, year) in held
            ]
            rows.extend(_rows(f"{supplier}>{recipient}", year, prints))
    return observation_frame(rows)


def _rows(unit: str, year: int, prints: list[tuple[int, Figure]]) -> Iterator[dict[str, Any]]:
    start, end = period(year)
    last: float | None = None
    for release, figure in prints:
        if last is not None and abs(figure.value - last) < SAME:
            continue
        pseudo = last is None and release > year + 1
        last = figure.value
        yield {
            "series": "arms_transfers",
            "unit": unit,
            "period_start": start,
            "period_end": end,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "unit_of_measure": "tiv_mn",
            "source": "sipri-transfers",
            "release": f"{release}p" if pseudo else str(release),
            "published_at": f"{year + 1}-03-15" if pseudo else PUBLISHED[release],
            "quality": "estimate;pseudo_vintage" if pseudo else "estimate",
            "note": figure.note,
        }


Held = dict[tuple[str, str, int], Figure]
NONE_FOUND: Final = Figure(0.0, "no delivery identified")


def _first_year(supplier: str, recipient: str) -> int:
    return SUCCESSOR_FROM if {supplier, recipient} & SUCCESSORS else FIRST_YEAR


def _zeros(covered: Iterable[tuple[str, str]], years: range, held: Held) -> Held:
    """`held` with a zero for each covered dyad and year that the release has no row for."""
    full = dict(held)
    for supplier, recipient in covered:
        for year in years:
            if year >= _first_year(supplier, recipient):
                full.setdefault((supplier, recipient, year), NONE_FOUND)
    return full


def _exports_2024(raw: Path) -> Held:
    table = read_table(raw, FOLDER, EXPORTS_2024, ("supplier_iso3", "recipient_iso3", "year", "tiv_mn"))
    held: Held = {}
    for line in records(table[table["tiv_mn"].notna()]):
        key = (str(line["supplier_iso3"]), str(line["recipient_iso3"]), int(line["year"]))
        if key[:2] in DYADS and key[2] >= _first_year(*key[:2]):
            held[key] = (
                Figure(float(line["tiv_mn"]), "printed in whole numbers")
                if line["tiv_mn"] > 0
                else Figure(0.25, "printed 0: some, but under 0.5", 0.0, 0.5)
            )
    suppliers = set(table["supplier_iso3"])
    recipients = set(table["recipient_iso3"])
    covered = [(s, r) for s, r in DYADS if s in suppliers and r in recipients]
    return _zeros(covered, range(FIRST_YEAR, 2024), held)


def _sums(raw: Path, file: str, extra: tuple[str, ...] = ()) -> tuple[pd.DataFrame, Held]:
    columns = ("supplier_iso3", "recipient_iso3", "delivery_year", "tiv_mn", *extra)
    table = read_table(raw, FOLDER, file, columns)
    totals: dict[tuple[str, str, int], float] = {}
    for line in records(table[table["tiv_mn"].notna() & table["supplier_iso3"].notna()]):
        key = (str(line["supplier_iso3"]), str(line["recipient_iso3"]), int(line["delivery_year"]))
        totals[key] = totals.get(key, 0.0) + float(line["tiv_mn"])
    held = {k: Figure(v, "own sum of deal rows") for k, v in totals.items() if k[:2] in DYADS}
    return table, held


def _dyads_2025(raw: Path) -> Held:
    _, held = _sums(raw, DYADS_2025)
    # Every recipient in DYADS is one of the thirty for which this release holds all suppliers.
    return _zeros(DYADS, range(1995, 2025), held)


def _extract_2026(raw: Path) -> Held:
    table, held = _sums(raw, EXTRACT_2026, ("recipient_complete",))
    complete = table[table["recipient_complete"].eq(True)]
    pairs = {(str(line["recipient_iso3"]), int(line["delivery_year"])) for line in records(complete)}
    for recipient, year in sorted(pairs):
        covered = [(s, r) for s, r in DYADS if r == recipient]
        held = _zeros(covered, range(year, year + 1), held)
    return held
