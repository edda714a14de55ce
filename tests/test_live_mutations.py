"""Workbooks after careless edits: the same figures, a refusal with its place, or what was overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from escalation_forecast.sources.live import dmdc, gpr, sipri_milex
from grid_edits import outcomes
from originators import RECEIVED, dmdc_book, gpr_book, grid, milex_book

BOOKS = {
    "milex": (milex_book, sipri_milex.read, 24, 400),
    "gpr": (gpr_book, gpr.read, 12, 150),
    "dmdc": (dmdc_book, dmdc.read, 14, 300),
}


def count(name: str, path: Path, edits: int, seed: int) -> None:
    make, reader, _, _ = BOOKS[name]
    tally = outcomes(reader, grid(make(path)), RECEIVED, edits=edits, seed=seed)
    print(f"{name}, {edits} edits: {dict(tally)}")
    assert tally.total() == edits
    assert tally["refused without a place"] == 0
    assert tally["refused"] > edits / 4
    assert tally["identical"] > 0


@pytest.mark.parametrize("name", BOOKS)
def test_fifty_edits_leave_no_silent_wrong_figure(name: str, tmp_path: Path) -> None:
    count(name, tmp_path / "book.xlsx", BOOKS[name][2], seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_many_edits_leave_no_silent_wrong_figure(name: str, tmp_path: Path) -> None:
    count(name, tmp_path / "book.xlsx", BOOKS[name][3], seed=12)
