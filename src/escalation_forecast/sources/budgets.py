"""Announced defence budgets as nominal growth of the calendar year, by stage of the budget.

Release ``1-proposal`` is the government's draft, ``2-enacted`` the passed or final budget.
Growth is always between two figures of one definition; fiscal years are spread over calendar
years by months. Multi-year plans, supplements and special acts are not budgets of a year and
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import STATES, DataError
from escalation_forecast.sources._common import month_end, observation_frame, period, read_table, records

FOLDER: Final = "announced-budgets"
FILE: Final = "announced_budgets.csv"
COLUMNS: Final = (
    "iso3", "budget_year", "fy_start", "stage", "published_at",
    "amount_local_bn", "growth_pct_nominal", "definition_note", "url", "confidence",
)  # fmt: skip
PROPOSAL: Final = "1-proposal"
ENACTED: Final = "2-enacted"
STAGES: Final[dict[str, str]] = {
    "proposal": PROPOSAL,
    "cabinet_draft": PROPOSAL,
    "enacted": ENACTED,
    "announced": ENACTED,
}
# Taiwan's cabinet counts special budgets and funds into the total from the 2021 budget on; the
# total of 2022 was restated in August 2022, so 2023 is read as printed.
TWN_TOTAL_FROM: Final = 2021
TWN_RESTATED: Final = frozenset({2023})
TWN_TOTAL_NOTES: Final = ("total with", "old definition")
# SIPRI counts the United States by financial year, so its budget year is the calendar year here.
BY_BUDGET_YEAR: Final = frozenset({"USA"})
RECALLED_DATE: Final = r"(?:day|date|month)[^;,]*\brecalled"


@dataclass(frozen=True)
class Budget:
    """One budget of one year: what was said, when it was known and how well it is supported."""

    start: pd.Timestamp
    stage: str
    known: pd.Timestamp
    amount: float | None
    growth: float | None
    recalled: bool
    rough_date: bool
    text: str

    @property
    def year(self) -> int:
        return int(self.start.year)


@dataclass(frozen=True)
class Reading:
    """Nominal growth of a calendar year in per cent, read from the budgets `parts`."""

    year: int
    value: float
    parts: tuple[Budget, ...]
    note: str
    low: float | None = None
    high: float | None = None


def read(raw: Path) -> pd.DataFrame:
    """Rows of `budget_growth` (per cent) for the states with a public budget page."""
    table = read_table(raw, FOLDER, FILE, COLUMNS, text=("budget_year", "fy_start", "published_at", "url"))
    table = table[table["iso3"].isin(STATES) & table["stage"].isin(list(STAGES))]
    rows: list[dict[str, Any]] = []
    for state in sorted(table["iso3"].unique()):
        budgets = [_budget(line) for line in records(table[table["iso3"].eq(state)])]
        for release, reading in _readings(str(state), budgets):
            rows.append(_row(str(state), release, reading))
    return observation_frame(rows)


def _budget(line: dict[str, Any]) -> Budget:
    """One raw line; a month without a day counts as known on its last day."""
    where = f"'{FOLDER}/{FILE}', {line['iso3']} {line['budget_year']} {line['stage']}"
    if pd.isna(line["published_at"]) or pd.isna(line["fy_start"]):
        raise DataError(f"{where}: 'published_at' or 'fy_start' is blank; fill it or drop the row.")
    try:
        text = str(line["published_at"])
        known = month_end(text) if len(text) == len("2020-01") else pd.Timestamp(text)
        start = pd.Timestamp(str(line["fy_start"]))
    except ValueError as error:
        raise DataError(f"{where}: a date is not YYYY-MM-DD or YYYY-MM; correct it.") from error
    note = "" if pd.isna(line["definition_note"]) else str(line["definition_note"])
    recalled = str(line["confidence"]) == "low" or pd.isna(line["url"])
    if recalled:
        # A date from memory can be too early, which would leak the figure into an earlier panel.
        known = known + pd.DateOffset(months=1)
    return Budget(
        start=start,
        stage=str(line["stage"]),
        known=known,
        amount=None if pd.isna(line["amount_local_bn"]) else float(line["amount_local_bn"]),
        growth=None if pd.isna(line["growth_pct_nominal"]) else float(line["growth_pct_nominal"]),
        recalled=bool(recalled),
        rough_date=re.search(RECALLED_DATE, note) is not None,
        text=note,
    )


def _row(state: str, release: str, reading: Reading) -> dict[str, Any]:
    start, end = period(reading.year)
    quality = "recalled" if any(part.recalled for part in reading.parts) else "reported"
    if any(part.rough_date for part in reading.parts):
        quality += ";pseudo_vintage"
    return {
        "series": "budget_growth",
        "unit": state,
        "period_start": start,
        "period_end": end,
        "value": reading.value,
        "low": reading.low,
        "high": reading.high,
        "unit_of_measure": "percent",
        "source": "budgets",
        "release": release,
        "published_at": max(part.known for part in reading.parts),
        "quality": quality,
        "note": reading.note,
    }


def _readings(state: str, budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    by_state = {"CHN": _china, "JPN": _japan, "KOR": _korea, "TWN": _taiwan}
    if state in by_state:
        yield from by_state[state](budgets)
    else:
        yield from _printed(state, [budget for budget in budgets if not budget.recalled])


def _by_year(budgets: list[Budget], stage: str) -> dict[int, Budget]:
    """Budgets of one stage by the calendar year in which they start; two of a kind are an error."""
    chosen: dict[int, Budget] = {}
    for budget in budgets:
        if budget.stage == stage:
            if budget.year in chosen:
                raise DataError(
                    f"'{FOLDER}/{FILE}' has two '{stage}' rows that start in {budget.year}; "
                    "keep the one of the usual definition."
                )
            chosen[budget.year] = budget
    return chosen


def _ratio(amount: float | None, base: float | None) -> float | None:
    return None if amount is None or base is None else 100.0 * (amount / base - 1.0)


def _china(budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    for budget in budgets:
        if budget.growth is not None:
            # The announced rate is on the outturn, the ratio of two rows is not.
            yield ENACTED, Reading(budget.year, budget.growth, (budget,), "announced rate, on the outturn")


def _japan(budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    enacted, drafts = _by_year(budgets, "enacted"), _by_year(budgets, "cabinet_draft")
    for release, newest in ((PROPOSAL, drafts), (ENACTED, enacted)):
        for year, budget in newest.items():
            last, before = enacted.get(year - 1), enacted.get(year - 2)
            if last is None or before is None:
                continue
            if budget.amount is None or last.amount is None or before.amount is None:
                continue
            growth = _ratio(
                0.75 * budget.amount + 0.25 * last.amount, 0.75 * last.amount + 0.25 * before.amount
            )
            if growth is not None:
                note = f"3/4 FY{year} and 1/4 FY{year - 1}, initial budgets"
                # The base years only date from earlier budgets; their own dates do not matter.
                yield release, Reading(year, growth, (budget,), note)


def _korea(budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    enacted, proposals = _by_year(budgets, "enacted"), _by_year(budgets, "proposal")
    for release, newest in ((PROPOSAL, proposals), (ENACTED, enacted)):
        for year, budget in newest.items():
            base = enacted.get(year - 1)
            growth = _ratio(budget.amount, base.amount if base else None)
            if growth is None:
                growth = budget.growth
            if growth is not None:
                yield release, Reading(year, growth, (budget,), "on the enacted budget of the year before")


def _taiwan(budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    ministry = [budget for budget in budgets if not budget.text.startswith(TWN_TOTAL_NOTES)]
    yield from _taiwan_enacted([budget for budget in ministry if budget.stage == "enacted"])
    for budget in ministry:
        # The year before the totals has no comparable base for one, so its printed rate stands.
        if budget.stage == "proposal" and budget.year < TWN_TOTAL_FROM:
            growth = budget.growth
            if growth is None:
                base = [b for b in ministry if b.stage == "enacted" and b.start == _year_before(budget.start)]
                growth = _ratio(budget.amount, base[0].amount) if base else None
            if growth is not None:
                yield PROPOSAL, Reading(budget.year, growth, (budget,), "ministry budget")
    totals = _by_year([budget for budget in budgets if budget.text.startswith(TWN_TOTAL_NOTES)], "proposal")
    for year, budget in totals.items():
        base_total = totals.get(year - 1)
        growth = _ratio(budget.amount, base_total.amount if base_total else None)
        if year in TWN_RESTATED:
            growth = budget.growth
        if growth is None:
            continue
        reading = Reading(year, growth, (budget,), "cabinet total with special budgets and funds")
        if budget.text.startswith("old definition"):
            narrow = [b.growth for b in ministry if b.year == year and b.stage == "proposal"]
            rates = [rate for rate in narrow if rate is not None]
            note = "cabinet total, old definition; special act open, low is the ministry budget alone"
            reading = replace(reading, note=note, low=min([growth, *rates]), high=growth)
        yield PROPOSAL, reading


def _year_before(start: pd.Timestamp) -> pd.Timestamp:
    return start - pd.DateOffset(years=1)


def _taiwan_enacted(budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    """Ministry budgets by calendar year: each spread evenly over the months until the next starts."""
    ordered = sorted(budgets, key=lambda budget: budget.start)
    amounts: dict[int, dict[int, tuple[float, Budget]]] = {}
    for position, budget in enumerate(ordered):
        following = ordered[position + 1].start if position + 1 < len(ordered) else None
        months = 12 if following is None else _months(budget.start, following)
        if months not in (12, 18) or budget.amount is None:
            continue
        for step in range(months):
            month = budget.start + pd.DateOffset(months=step)
            amounts.setdefault(int(month.year), {})[int(month.month)] = (budget.amount / months, budget)
    for year in sorted(amounts):
        if year >= TWN_TOTAL_FROM - 1:
            # Special budgets begin in 2020: the ministry budget alone stops being the total.
            break
        this, last = amounts[year], amounts.get(year - 1, {})
        if len(this) < 12 or len(last) < 12:
            continue
        growth = _ratio(sum(a for a, _ in this.values()), sum(a for a, _ in last.values()))
        parts = tuple({id(b): b for _, b in this.values()}.values())
        if growth is not None:
            yield ENACTED, Reading(year, growth, parts, "ministry budget, special budgets not included")


def _months(start: pd.Timestamp, end: pd.Timestamp) -> int:
    return 12 * (int(end.year) - int(start.year)) + int(end.month) - int(start.month)


def _printed(state: str, budgets: list[Budget]) -> Iterator[tuple[str, Reading]]:
    """Printed growth rates chained over the calendar year; levels change definition too often."""
    chosen: dict[int, dict[str, Budget]] = {}
    for budget in budgets:
        if budget.growth is not None:
            shift = 1 if state in BY_BUDGET_YEAR and budget.start.month > 1 else 0
            chosen.setdefault(budget.year + shift, {})[STAGES[budget.stage]] = budget
    for year, stages in chosen.items():
        for release, budget in stages.items():
            share = 1.0 if state in BY_BUDGET_YEAR else (13 - budget.start.month) / 12
            now = 1.0 + _growth(budget) / 100.0
            if share == 1.0:
                yield release, Reading(year, _growth(budget), (budget,), "growth as printed")
                continue
            earlier = chosen.get(year - 1, {})
            base = earlier.get(ENACTED, earlier.get(PROPOSAL))
            if base is None:
                continue
            last = 1.0 + _growth(base) / 100.0
            growth = 100.0 * ((share * last * now + (1 - share) * last) / (share * last + (1 - share)) - 1.0)
            note = f"printed growth of two fiscal years, {share:.2f} of the one that starts in {year}"
            yield release, Reading(year, growth, (budget, base), note)


def _growth(budget: Budget) -> float:
    if budget.growth is None:
        raise ValueError("a budget without printed growth was chosen")
    return budget.growth
