"""Limits of time and memory, and ending on a signal, wherever the job is."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Literal

TICK_SECONDS: Final = 0.5
GB: Final = 2**30


class OverBudget(BaseException):
    """Stops a job that uses more than it may; no ``except Exception`` on the way may swallow it."""

    def __init__(self, what: Literal["time", "memory"], used: float, limit: float) -> None:
        unit = "minutes" if what == "time" else "GB of memory"
        super().__init__(f"{used:.3g} of {limit:.3g} {unit} used")
        self.what: Literal["time", "memory"] = what
        self.used, self.limit = used, limit


class Terminated(BaseException):
    """SIGTERM has come."""


def peak_memory_gb() -> float:
    """The most memory that this process has held so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / GB


class Watch:
    """What has been used of a budget.

    Parameters
    ----------
    minutes, memory_gb : limits; None for none.
    """

    def __init__(self, minutes: float | None = None, memory_gb: float | None = None) -> None:
        self.minutes, self.memory_gb, self.started = minutes, memory_gb, time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the job began."""
        return time.monotonic() - self.started

    def over(self) -> OverBudget | None:
        """What is exceeded, if anything."""
        if self.minutes is not None and self.seconds > 60 * self.minutes:
            return OverBudget("time", self.seconds / 60, self.minutes)
        if self.memory_gb is not None and (peak := peak_memory_gb()) > self.memory_gb:
            return OverBudget("memory", peak, self.memory_gb)
        return None

    def check(self) -> None:
        """Raise `OverBudget` if anything is exceeded."""
        if (found := self.over()) is not None:
            raise found


@contextmanager
def guarded(watch: Watch) -> Iterator[None]:
    """Raise `OverBudget` or `Terminated` in the main thread, in the middle of whatever runs.

    A thread looks at the clock and the memory twice a second. The sampler, which is not Python, lets signals
    through and stops its chains. Where nothing can be raised (a finaliser, a callback from C) Python drops
    the exception; the thread then asks for it again. In another thread than the main one signals cannot be
    taken: there only `Watch.check` between steps holds.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    done, armed, dropped = threading.Event(), [True], threading.Event()
    asked: list[signal.Signals] = []

    def over(_: int, __: FrameType | None) -> None:
        if armed[0] and (found := watch.over()) is not None:
            armed[0] = False
            raise found

    def ended(_: int, __: FrameType | None) -> None:
        if armed[0]:
            armed[0] = False
            asked.append(signal.SIGTERM)
            raise Terminated("SIGTERM")

    def unraisable(lost: Any) -> None:
        if isinstance(lost.exc_value, OverBudget | Terminated):
            dropped.set()
        else:
            unraisable_before(lost)

    def look() -> None:
        while not done.wait(TICK_SECONDS):
            if dropped.is_set():
                dropped.clear()
                armed[0] = True
            if armed[0] and (asked or watch.over() is not None) and not done.is_set():
                os.kill(os.getpid(), asked[-1] if asked else signal.SIGALRM)

    unraisable_before = sys.unraisablehook
    sys.unraisablehook = unraisable
    before: dict[int, Any] = {
        signal.SIGALRM: signal.signal(signal.SIGALRM, over),
        signal.SIGTERM: signal.signal(signal.SIGTERM, ended),
    }
    thread = threading.Thread(target=look, name="budget", daemon=True)
    thread.start()
    try:
        yield
    finally:
        armed[0] = False
        done.set()
        thread.join()
        sys.unraisablehook = unraisable_before
        for number, handler in before.items():
            signal.signal(number, handler)
