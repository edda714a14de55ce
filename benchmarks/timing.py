"""Times as the least of repeats: what else the machine does only adds to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def least(run: Callable[[], Any], *, number: int = 1, repeats: int = 5) -> float:
    """Seconds of one call: the least of ``repeats`` times ``number`` calls, after one that is not counted."""
    run()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(number):
            run()
        best = min(best, (time.perf_counter() - start) / number)
    return best


def once(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one call, and what it returned."""
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found
