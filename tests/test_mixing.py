"""R-hat and effective sample sizes in a process of their own."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from escalation_forecast import mixing
from escalation_forecast.mixing import ROWS, Apart, together


def parts(*sizes: int, draws: int = 80) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.normal(size=(size, 4, draws)).cumsum(axis=2 if size == 3 else 0) for size in sizes]


def test_the_same_numbers_as_in_this_process() -> None:
    """In several blocks, with parts in an order of axes that is not the one in memory."""
    given = [*parts(3, 2, ROWS), parts(80, draws=7)[0].transpose(2, 1, 0)]
    with Apart(iter(given)) as apart:
        found = apart.result()
        assert found is not None
        assert np.array_equal(np.stack(found), np.stack(together(given)))
        again = apart.result()
        assert again is not None
        assert np.array_equal(np.stack(again), np.stack(found))


def test_nothing_to_look_at() -> None:
    with Apart([]) as apart:
        assert apart.result() is None
    assert [len(one) for one in together([])] == [0, 0, 0]


@pytest.mark.parametrize("way", ["no process", "no disk", "no package", "torn"])
def test_where_it_cannot_be_done_all_parts_are_looked_at_all_the_same(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = mixing._begun

    def refused(*_: Any) -> None:
        raise OSError("no")

    def broken(*given: Any) -> subprocess.Popen[bytes]:
        code = "import sys; sys.stdout.write('half')" if way == "torn" else "raise ImportError"
        process = begun(*given)
        process.kill()
        process.communicate()
        return subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    if way == "no disk":
        monkeypatch.setattr(mixing.np, "ascontiguousarray", refused)
    else:
        monkeypatch.setattr(mixing, "_begun", refused if way == "no process" else broken)
    seen: list[int] = []

    def given() -> Any:
        for part in parts(2, 3, 4):
            seen.append(len(part))
            yield part

    with Apart(given()) as apart:
        assert seen == [2, 3, 4]
        assert apart.result() is None


def test_whoever_does_not_wait_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    begun = mixing._begun
    monkeypatch.setattr(mixing, "_begun", lambda *given: (started.append(begun(*given)), started[-1])[1])
    with pytest.raises(KeyboardInterrupt), Apart(parts(400)):
        raise KeyboardInterrupt
    (process,) = started
    assert process.returncode is not None
    assert process.returncode != 0


def test_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixing.tempfile, "tempdir", str(tmp_path))
    with Apart(parts(5)) as apart:
        assert list(tmp_path.iterdir()) == []
        assert apart.result() is not None
    gc.collect()
    assert list(tmp_path.iterdir()) == []
