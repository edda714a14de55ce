"""The originators' own files, when they are at hand: read without change, they give the embedded figures.

`ESCALATION_ORIGINALS` names a folder with the workbook of SIPRI (any ``sipri_milex*.xlsx`` of release 2026)
and the risk index (any ``gpr_export*.xls``); their terms do not allow to keep them here.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from pathlib import Path

import pandas as pd
import pytest

from escalation_forecast.schema import STATES, DataError
from escalation_forecast.sources.gpr import STATES as GPR_STATES
from escalation_forecast.sources.live import detect, gpr, read, sipri_milex
from escalation_forecast.store import Store
from fuzz_files import budget, fuzz
from grid_edits import outcomes
from originators import grid

FOLDER = os.environ.get("ESCALATION_ORIGINALS", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER, reason="ESCALATION_ORIGINALS names no folder with the originators' files"),
]
KEY = ["series", "unit", "period_start", "period_end", "source"]
MAY = dt.date(2026, 5, 1)


def original(pattern: str) -> Path:
    found = sorted(Path(FOLDER).glob(pattern))
    assert found, f"{FOLDER} holds no {pattern}"
    return found[-1]


def milex() -> Path:
    return original("sipri_milex*.xlsx")


def risk() -> tuple[Path, dt.date]:
    """The export, and the day in its name, which is when it was found."""
    path = original("gpr_export*.xls")
    day = re.search(r"\d{4}-\d{2}-\d{2}", path.name)
    assert day, f"{path.name} has no day in its name"
    return path, dt.date.fromisoformat(day.group())


def test_the_workbook_of_sipri_gives_the_embedded_release(whole_store: Store) -> None:
    assert detect(milex()) == "sipri-milex"
    reading = read(milex(), received=MAY)
    embedded = whole_store.releases("milex_constant")
    embedded = embedded[embedded["release"] == reading.edition]
    pd.testing.assert_frame_equal(
        reading.observations.sort_values(KEY, ignore_index=True),
        embedded.sort_values(KEY, ignore_index=True),
        check_exact=True,
    )
    print(
        f"{len(embedded)} figures of {embedded['unit'].nunique()} states are equal in value, quality, "
        f"release, day and note; left out: {'; '.join(reading.skipped)}"
    )
    assert set(embedded["unit"]) == set(STATES)
    assert len(embedded) == 519


def test_the_risk_index_gives_the_embedded_months(whole_store: Store) -> None:
    path, day = risk()
    assert detect(path) == "gpr"
    reading = read(path, received=day)
    for series, units in (("gpr_world", 1), ("gpr_country", len(GPR_STATES))):
        embedded = whole_store.latest(series).set_index(KEY)["value"].sort_index()
        mine = reading.observations
        mine = mine[mine["series"] == series].set_index(KEY)["value"].sort_index()
        pd.testing.assert_series_equal(mine, embedded, check_exact=True)
        print(f"{series}: {len(mine)} figures of {units} are equal")
        assert len(mine) == 496 * units


@pytest.mark.parametrize(("name", "edits"), [("milex", 200), ("gpr", 100)])
def test_three_hundred_edits_leave_no_silent_wrong_figure(name: str, edits: int) -> None:
    path, day = (milex(), MAY) if name == "milex" else risk()
    reader = sipri_milex.read if name == "milex" else gpr.read
    tally = outcomes(reader, grid(path), day, edits=edits, seed=300)
    print(f"{name}, {edits} edits: {dict(tally)}")
    assert tally.total() == edits
    assert tally["refused without a place"] == 0
    assert tally["refused"] > edits / 4


def test_spoilt_copies_are_read_or_refused(tmp_path: Path) -> None:
    path, day = risk()
    for file, received in ((milex(), MAY), (path, day)):
        data = file.read_bytes()
        tally = fuzz(tmp_path / "spoilt", data, received, seconds=budget(20.0) / 2, examples=10, start=1)
        print(f"{file.suffix}: {tally.total()} spoilt copies, {dict(tally)}")
        assert set(tally) <= {"refused", "read"}


def test_the_workbook_is_refused_before_it_was_published() -> None:
    with pytest.raises(DataError, match="after the 2026-04-01 on which it was received"):
        read(milex(), received=dt.date(2026, 4, 1))
