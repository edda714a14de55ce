"""What was known, and what is known since, about the figures that forecasts missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import STATES
from escalation_forecast.score.spending_cases import SpendingOrigin, origins
from escalation_forecast.skill.folders import Measured
from escalation_forecast.store import Store, data_root
from escalation_forecast.tables import Problem, raise_problems, read_csv

__all__ = ["NOTES", "Context", "load_notes", "read_context"]

NOTES: Final = "skill_notes.csv"
COLUMNS: Final = ("state", "year", "note", "source")
ANNOUNCED: Final = {"budget_growth": "budget", "programme_growth": "programme"}


@dataclass(frozen=True)
class Context:
    """The figures that a backtest was made from.

    Attributes
    ----------
    store : not cut.
    origins : by label.
    """

    store: Store
    origins: Mapping[str, SpendingOrigin]

    def announced(self, state: str, year: int, origin: str) -> str:
        """Budgets and programmes for a year that were known at an origin, such as ``budget +7.2 %``.

        Nominal growth, the newest word of each; ``none`` where there was none.
        """
        known = self.store.as_of(self.origins[origin].day)
        found = []
        for series, word in ANNOUNCED.items():
            if series not in set(known.series["series"]):
                continue
            rows = known.latest(series)
            rows = rows[
                (rows["unit"] == state) & (rows["period_start"].dt.year == year) & rows["value"].notna()
            ]
            if len(rows):
                last = rows.sort_values("published_at").iloc[-1]
                found.append(f"{word} {last['value']:+.1f} %")
        return ", ".join(found) or "none"

    def last_origin(self, before: pd.Timestamp, held: set[str]) -> SpendingOrigin | None:
        """The newest of the origins held whose figures were public before a day."""
        known = [one for label, one in self.origins.items() if label in held and one.day < before]
        return max(known, key=lambda one: (one.kind == "real", one.day)) if known else None


def read_context(measured: Measured, data: Path | None = None) -> Context | None:
    """The store of a spending backtest; None if it was made from other figures than those of the folder."""
    store = Store.load(data) if data else Store.embedded()
    if store.content_hash() != measured.identity.get("data"):
        return None
    return Context(store, {origin.label: origin for origin in origins(store)})


def load_notes(path: Path | None = None) -> dict[tuple[str, int], tuple[str, str]]:
    """By state and year, a fact about the figure and its source; empty where there is no file.

    Raises
    ------
    DataError
        Naming file, row and remedy.
    """
    path = path or data_root() / NOTES
    if not path.is_file():
        return {}
    frame, problems = read_csv(path, path.name, COLUMNS)
    raise_problems(problems)
    found: dict[tuple[str, int], tuple[str, str]] = {}
    wrong: list[Problem] = []
    row: Any
    for row in frame.itertuples():
        if row.state not in STATES:
            wrong.append(
                Problem(path.name, row.row, "state", f"`{row.state}` is no state of the data", "correct it")
            )
        elif not str(row.year).isdigit():
            wrong.append(Problem(path.name, row.row, "year", f"`{row.year}` is no year", "write it as 2017"))
        elif not row.note.strip() or not row.source.startswith(("https://", "http://")):
            wrong.append(
                Problem(path.name, row.row, "source", "a note needs a text and an address", "add them")
            )
        else:
            found[(row.state, int(row.year))] = (row.note.strip(), row.source.strip())
    raise_problems(wrong)
    return found
