"""The job's explanation where figures came in on the day of the earlier run, after it."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from escalation_forecast.job import work
from escalation_forecast.schema import DataError

MADE = dt.datetime(2026, 11, 27, 6, 0, tzinfo=dt.UTC)


class Kept:
    """Stands in for the archive: no explanation yet, and what is put into it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def table(self, name: str, **_: Any) -> list[Any]:
        return self.rows

    def put(self, name: str, rows: list[Any]) -> None:
        self.rows = rows


def told(monkeypatch: pytest.MonkeyPatch, earlier: Any) -> Kept:
    def explained(*_: Any, previous_store: Any = None, **__: Any) -> Any:
        if previous_store != ("as received", MADE):
            raise DataError("The earlier run was made from other figures than the data hold.")
        return SimpleNamespace(rows=lambda: ["kept"], largest=lambda n: [], answers=())

    monkeypatch.setattr("escalation_forecast.explain.explain", explained)
    ledger, run = Kept(), SimpleNamespace(run_id="b", created_at=MADE)
    asked = SimpleNamespace(store=None, questions=(), earlier=earlier)
    found: Any = work.explain
    found(ledger, run, SimpleNamespace(run_id="a", created_at=MADE), asked, "never")
    return ledger


def test_earlier_run_is_explained_by_what_had_come_in_when_it_was_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert told(monkeypatch, lambda moment: ("as received", moment)).rows == ["kept"]


def test_without_a_folder_of_what_came_in_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="other figures"):
        told(monkeypatch, None)
