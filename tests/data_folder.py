"""A small sound data folder to break in one place."""

from __future__ import annotations

import csv
from pathlib import Path

from escalation_forecast.schema import INDICATOR_COLUMNS, OBSERVATION_COLUMNS
from escalation_forecast.tables import SERIES_COLUMNS, SOURCE_COLUMNS

FIGURE = {
    "series": "gpr_country", "unit": "KOR", "period_start": "2020-01-01", "period_end": "2020-01-31",
    "value": "0.5", "low": "", "high": "", "unit_of_measure": "percent_of_articles", "source": "gpr",
    "release": "r1", "published_at": "2020-02-05", "quality": "reported;pseudo_vintage", "note": "",
}  # fmt: skip
SPENDING = FIGURE | {
    "series": "milex_constant", "period_start": "2019-01-01", "period_end": "2019-12-31", "value": "40000",
    "unit_of_measure": "usd_mn", "source": "sipri-milex", "release": "2020", "published_at": "2020-04-27",
}  # fmt: skip
INDICATOR = {
    "indicator": "news_korea", "family": "news", "series": "gpr_country", "units": "KOR", "theatre": "korea",
    "exposure_series": "", "options": "", "start": "2020-01", "end": "", "note": "",
}  # fmt: skip
SERIES = [
    ["gpr_country", "percent_of_articles", "M", "level", "false", "0", "100", "Share of articles"],
    ["milex_constant", "usd_mn", "A", "level", "false", "0", "3000000", "Military spending"],
    ["budget_growth", "percent", "A", "growth", "true", "-60", "200", "Announced growth"],
]
SOURCES = [[key, "Title", "Body", "Cite", "Terms", "-", "-", "-", "-"] for key in ("gpr", "sipri-milex")]


def write(path: Path, header: tuple[str, ...], rows: list[list[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def cells(rows: list[dict[str, str]], header: tuple[str, ...]) -> list[list[str]]:
    return [[row[name] for name in header] for row in rows]


def folder(
    root: Path,
    files: dict[str, list[dict[str, str]]] | None = None,
    indicators: list[dict[str, str]] | None = None,
    series: list[list[str]] | None = None,
    sources: list[list[str]] | None = None,
) -> Path:
    """A small sound data folder, or one with the given tables in place of its own."""
    (root / "observations").mkdir(parents=True)
    for name, rows in (files or {"a": [FIGURE], "b": [SPENDING]}).items():
        write(root / "observations" / f"{name}.csv", OBSERVATION_COLUMNS, cells(rows, OBSERVATION_COLUMNS))
    rows = [INDICATOR] if indicators is None else indicators
    write(root / "indicators.csv", INDICATOR_COLUMNS, cells(rows, INDICATOR_COLUMNS))
    write(root / "series.csv", SERIES_COLUMNS, series or SERIES)
    write(root / "sources.csv", SOURCE_COLUMNS, sources or SOURCES)
    return root
