"""Multi-year defence programmes as nominal growth of the calendar years that they cover.

A programme says what a state means to spend over several fiscal years. It is read at its own day, and
again whenever a yearly budget of its window becomes known: the years that are left grow at one rate
from the newest budget. For a total in current prices it is the rate at which they take up what is left
of the total; for a total in prices of a base year, from which budgets cannot be taken off, the rate at
which the whole window adds up to it; a printed mean growth counts before both. Each such state of
knowledge is a release, labelled by its day; years whose budget is known are no part of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import DataError
from escalation_forecast.sources import budgets
from escalation_forecast.sources._common import observation_frame, period, read_table, records
from escalation_forecast.sources.budgets import Budget

FILE: Final = "programmes.csv"
COLUMNS: Final = (
    "state", "fy_first", "fy_last", "fy_start_month", "total_local_bn", "base_local_bn", "mean_growth_pct",
    "price_base", "currency", "definition", "published_at", "ended_at", "url", "title", "quality", "note",
)  # fmt: skip
REQUIRED: Final = (
    "state", "fy_first", "fy_last", "fy_start_month", "currency", "definition", "published_at", "title",
    "quality",
)  # fmt: skip
QUALITIES: Final = ("reported", "recalled")
LONGEST: Final = 15
# Growth rates between which the constant rate is sought.
RATES: Final = (-0.9, 5.0)
CORE: Final = re.compile(r"core without them (\d+(?:\.\d+)?) bn")


@dataclass(frozen=True)
class Definition:
    """Which yearly budgets a total is the sum of.

    Attributes
    ----------
    stages : stages of the yearly budget, the earlier one first.
    core : the amount of a budget is its core figure, where its note gives one.
    binding : budgets are made to fit the total until its end; else a new plan comes every year.
    """

    stages: tuple[str, str]
    core: bool
    binding: bool


# Japan's programmes leave out the Okinawa committee (SACO) and US realignment.
DEFINITIONS: Final[dict[str, Definition]] = {
    "core": Definition(("cabinet_draft", "enacted"), core=True, binding=True),
    "general_account": Definition(("proposal", "enacted"), core=False, binding=False),
}


@dataclass(frozen=True)
class Programme:
    """One programme: fiscal years `first` to `last` that start in `month`, amounts in billion.

    `total` is what the yearly budgets are to add up to, in prices of the fiscal year `price_base` or, if
    that is None, in current ones; `growth` is the mean growth in per cent, `base` the budget of the year
    before, `known` the day it could be known and `ended` when it was dropped.
    """

    state: str
    first: int
    last: int
    month: int
    total: float | None
    base: float | None
    growth: float | None
    price_base: int | None
    definition: Definition
    known: pd.Timestamp
    ended: pd.Timestamp | None
    recalled: bool

    @property
    def label(self) -> str:
        return f"{self.first}-{self.last}"


def table_path() -> Path:
    """`programmes.csv` of the embedded data, in the installed package or in the checkout."""
    # store.data_root says the same, but a reader may not import what is built from its rows
    here = Path(__file__).resolve().parents[1]
    return (here / "_data" if (here / "_data").is_dir() else here.parents[1] / "data") / FILE


def read(raw: Path, table: Path | None = None) -> pd.DataFrame:
    """Rows of `programme_growth` (per cent) from the programmes and the raw yearly budgets."""
    announced = read_table(
        raw, budgets.FOLDER, budgets.FILE, budgets.COLUMNS,
        text=("budget_year", "fy_start", "published_at", "url"),
    )  # fmt: skip
    programmes = load(table or table_path())
    rows: list[dict[str, Any]] = []
    for state in sorted({programme.state for programme in programmes}):
        own = [programme for programme in programmes if programme.state == state]
        stages = {stage for programme in own for stage in programme.definition.stages}
        chosen = announced[announced["iso3"].eq(state) & announced["stage"].isin(sorted(stages))]
        yearly = [budgets._budget(line) for line in records(chosen)]
        for programme, end in _in_force(own):
            rows += _rows(programme, end, yearly)
    return observation_frame(rows)


# --- the table


def load(path: Path) -> list[Programme]:
    """The programmes of a table, in its order.

    Raises
    ------
    DataError
        Naming the row (the header is row 1) and the cell that is wrong, and the remedy.
    """
    if not path.is_file():
        raise DataError(f"The table of programmes {path} does not exist; restore it from the repository.")
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise DataError(
            f"{path.name} lacks column(s) {', '.join(absent)}; its columns are {','.join(COLUMNS)}."
        )
    lines = [{name: str(cell).strip() for name, cell in line.items()} for line in records(frame)]
    found = [_programme(line, f"{path.name}, row {row}") for row, line in enumerate(lines, start=2)]
    seen: dict[tuple[str, pd.Timestamp], int] = {}
    for row, programme in enumerate(found, start=2):
        key = (programme.state, programme.known)
        if key in seen:
            raise DataError(
                f"{path.name}, row {row}: {programme.state} has a programme of that day in row {seen[key]}; "
                "a programme replaces the one before, so correct a date or delete one of the rows."
            )
        seen[key] = row
    return found


def _programme(line: Mapping[str, str], where: str) -> Programme:
    blank = [name for name in REQUIRED if not line[name]]
    if blank:
        raise DataError(f"{where}: {blank[0]} is blank; fill it in.")
    if not re.fullmatch("[A-Z]{3}", line["state"]):
        raise DataError(f"{where}: state `{line['state']}` is not an ISO 3166 alpha-3 code; write it as JPN.")
    for name, allowed in (("definition", tuple(DEFINITIONS)), ("quality", QUALITIES)):
        if line[name] not in allowed:
            raise DataError(f"{where}: unknown {name} `{line[name]}`; use one of {', '.join(allowed)}.")
    first, last, month = (_whole(line, name, where) for name in ("fy_first", "fy_last", "fy_start_month"))
    if not first <= last < first + LONGEST:
        raise DataError(f"{where}: {first} to {last} is not a window of 1 to {LONGEST} years; correct it.")
    if not 1 <= month <= 12:
        raise DataError(f"{where}: fy_start_month {month} is no month; write 1 to 12.")
    total, base = (_number(line, name, where) for name in ("total_local_bn", "base_local_bn"))
    growth = _number(line, "mean_growth_pct", where)
    price_base = _whole(line, "price_base", where) if line["price_base"] else None
    if price_base is not None and not 0 <= first - price_base <= 2:
        raise DataError(
            f"{where}: price_base {price_base} is not the year in whose prices a total from {first} on is; "
            "correct it, or leave it blank for current prices."
        )
    for name, amount in (("total_local_bn", total), ("base_local_bn", base)):
        if amount is not None and amount <= 0:
            raise DataError(f"{where}: {name} {amount:g} is not positive; correct it or leave it blank.")
    if growth is not None and not 100 * RATES[0] < growth < 100 * RATES[1]:
        raise DataError(f"{where}: mean_growth_pct {growth:g} is no yearly growth in per cent; correct it.")
    if total is None and growth is None:
        raise DataError(f"{where}: there is no total and no growth; give one of them or delete the row.")
    recalled = line["quality"] == "recalled"
    if not recalled and not line["url"]:
        raise DataError(f"{where}: a reported row has no url; give the page or mark it `recalled`.")
    known = _date(line, "published_at", where)
    ended = _date(line, "ended_at", where) if line["ended_at"] else None
    if ended is not None and ended <= known:
        raise DataError(f"{where}: ended_at is not after published_at; exchange or correct the dates.")
    if recalled:
        # A day from memory can be too early, which would leak the figure into an earlier panel.
        known = known + pd.DateOffset(months=1)
    definition = DEFINITIONS[line["definition"]]
    return Programme(
        line["state"], first, last, month, total, base, growth, price_base, definition, known, ended, recalled
    )  # fmt: skip


def _number(line: Mapping[str, str], name: str, where: str) -> float | None:
    if not line[name]:
        return None
    if not re.fullmatch(r"-?\d+(\.\d+)?", line[name]):
        raise DataError(
            f"{where}: {name} `{line[name]}` is not a number; write plain digits, or leave it blank."
        )
    return float(line[name])


def _whole(line: Mapping[str, str], name: str, where: str) -> int:
    if not re.fullmatch(r"\d{1,4}", line[name]):
        raise DataError(f"{where}: {name} `{line[name]}` is not a whole number; write it as 2023.")
    return int(line[name])


def _date(line: Mapping[str, str], name: str, where: str) -> pd.Timestamp:
    stamp = pd.to_datetime(line[name], format="%Y-%m-%d", errors="coerce")
    if pd.isna(stamp):
        raise DataError(f"{where}: {name} `{line[name]}` is not a date; write it as YYYY-MM-DD.")
    return pd.Timestamp(stamp)


# --- readings


def _in_force(programmes: Iterable[Programme]) -> Iterator[tuple[Programme, pd.Timestamp]]:
    """Programmes of one state with the day from which each counts no more."""
    ordered = sorted(programmes, key=lambda programme: programme.known)
    for programme, following in zip(ordered, [*ordered[1:], None], strict=True):
        days = [following.known if following else None, programme.ended]
        yield programme, min((day for day in days if day is not None), default=pd.Timestamp.max)


def _rows(programme: Programme, end: pd.Timestamp, yearly: list[Budget]) -> Iterator[dict[str, Any]]:
    for day, said in _days(programme, end, yearly):
        known = _known(programme.definition, yearly, day)
        amounts = {year: _amount(programme, budget) for year, budget in known.items()}
        growth = readings(programme, amounts, day)
        parts = [known[year] for year in known if year >= programme.first - 1]
        quality = "recalled" if programme.recalled or any(b.recalled for b in parts) else "reported"
        if said is not None and said.rough_date:
            quality += ";pseudo_vintage"
        for year, value in growth.items():
            start, last = period(year)
            yield {
                "series": "programme_growth",
                "unit": programme.state,
                "period_start": start,
                "period_end": last,
                "value": value,
                "unit_of_measure": "percent",
                "source": "programmes",
                "release": f"{day:%Y-%m-%d}",
                "published_at": day,
                "quality": quality,
                "note": f"programme {programme.label}"
                + (f", after the budget of {said.year}" if said else ""),
            }


def _days(
    programme: Programme, end: pd.Timestamp, yearly: list[Budget]
) -> Iterator[tuple[pd.Timestamp, Budget | None]]:
    """The programme's day and, of a binding total, the first day of each later budget of its window."""
    yield programme.known, None
    if not programme.definition.binding:
        return
    for year in range(programme.first, programme.last + 1):
        for stage in programme.definition.stages:
            budget = budgets._by_year(yearly, stage).get(year)
            if budget is not None:
                if programme.known < budget.known < end:
                    yield budget.known, budget
                break


def _known(definition: Definition, yearly: list[Budget], day: pd.Timestamp) -> dict[int, Budget]:
    """Newest stage of each year's budget known on `day`."""
    known: dict[int, Budget] = {}
    for stage in definition.stages:
        found = budgets._by_year(yearly, stage)
        known |= {year: budget for year, budget in found.items() if budget.known <= day}
    return known


def _amount(programme: Programme, budget: Budget) -> float | None:
    core = CORE.search(budget.text) if programme.definition.core else None
    return float(core[1]) if core else budget.amount


def readings(programme: Programme, known: Mapping[int, float | None], day: pd.Timestamp) -> dict[int, float]:
    """Nominal growth in per cent of calendar years without a budget on `day`, from amounts known by year.

    Fiscal years are spread over calendar years by months, so three quarters of a Japanese one fall
    into the year in which it starts. Years for which an amount is missing are left out, and all when the
    budget of a year that has begun is missing.
    """
    amounts = {year: amount for year, amount in known.items() if amount is not None}
    if programme.base is not None:
        amounts.setdefault(programme.first - 1, programme.base)
    newest = max((year for year in known if year <= programme.last), default=programme.first - 1)
    newest = max(newest, programme.first - 1)
    begun = int(day.year) if day.month >= programme.month else int(day.year) - 1
    if newest >= programme.last or newest not in amounts or newest < begun:
        return {}
    rate = _rate(programme, amounts, newest)
    if rate is None:
        return {}
    for year in range(newest + 1, programme.last + 1):
        amounts[year] = amounts[year - 1] * (1.0 + rate)
    share = (13 - programme.month) / 12
    found = {}
    for year in range(newest + 1, programme.last + 1):
        this, last = _calendar(amounts, year, share), _calendar(amounts, year - 1, share)
        growth = budgets._ratio(this, last)
        if growth is not None:
            found[year] = growth
    return found


def _rate(programme: Programme, amounts: Mapping[int, float], newest: int) -> float | None:
    """Yearly rate of growth of the years after `newest`, as a fraction."""
    if programme.growth is not None:
        return programme.growth / 100.0
    start = newest if programme.price_base is None else programme.first - 1
    base, spent = amounts.get(start), [amounts.get(year) for year in range(programme.first, start + 1)]
    if programme.total is None or base is None or None in spent:
        return None
    left = programme.total - sum(amount for amount in spent if amount is not None)
    return constant_rate(base, left, programme.last - start)


def constant_rate(base: float, total: float, years: int) -> float | None:
    """Rate g at which base (1 + g), ..., base (1 + g)^years add up to `total`; None outside `RATES`."""
    from scipy.optimize import brentq

    def excess(rate: float) -> float:
        return sum((1.0 + rate) ** k for k in range(1, years + 1)) - total / base

    if excess(RATES[0]) > 0 or excess(RATES[1]) < 0:
        return None
    return float(brentq(excess, *RATES, xtol=1e-12))


def _calendar(amounts: Mapping[int, float], year: int, share: float) -> float | None:
    """Amount of a calendar year of which `share` is the fiscal year that starts in it."""
    this, last = amounts.get(year), amounts.get(year - 1)
    if this is None or (last is None and share < 1.0):
        return None
    return share * this + (1.0 - share) * (last or 0.0)
