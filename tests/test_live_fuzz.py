"""Spoilt files of every reader: a `DataError` in one sentence or a whole reading, never another exception.

The slow tests together take a minute; ``ESCALATION_FUZZ_SECONDS=600 pytest tests/test_live_fuzz.py -m slow``
takes ten.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzz_files import budget, fuzz, peak_mib
from originators import FILES, RECEIVED

MINUTE = 60.0
MEMORY_MIB = 500.0


@pytest.mark.parametrize("name", FILES)
def test_a_few_spoilt_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    data = FILES[name][1](tmp_path / name).read_bytes()
    examples = 4 if name.endswith("xlsx") else 12
    tally = fuzz(tmp_path / "spoilt", data, RECEIVED, examples=examples)
    assert tally.total() >= examples
    assert tally["refused"] > 0
    assert set(tally) <= {"refused", "read"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_many_spoilt_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    data = FILES[name][1](tmp_path / name).read_bytes()
    before = peak_mib()
    tally = fuzz(
        tmp_path / "spoilt", data, RECEIVED, seconds=budget(MINUTE) / len(FILES), examples=50, start=1
    )
    print(f"{name}: {tally.total():,} spoilt copies, {dict(tally)}, peak {peak_mib():,.0f} MiB")
    assert tally["refused"] > 0
    assert set(tally) <= {"refused", "read"}
    # What earlier tests have used stays in the figure.
    assert peak_mib() < max(MEMORY_MIB, before + 50)
