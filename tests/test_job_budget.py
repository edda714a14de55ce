"""Ending in the middle of the work, also where Python drops what a signal handler raises."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from escalation_forecast.job.budget import OverBudget, Terminated, Watch, guarded


class Deaf:
    """Its finaliser goes on until the signal has come; what is raised there is lost."""

    def __init__(self, number: signal.Signals | None) -> None:
        self.number = number

    def __del__(self) -> None:
        if self.number is not None:
            os.kill(os.getpid(), self.number)
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            time.sleep(0.005)


def wait(seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.005)


def let_go(held: list[Deaf], watch: Watch) -> None:
    with guarded(watch):
        held.clear()
        wait()


def test_sigterm_that_comes_in_a_finaliser_is_not_lost() -> None:
    held = [Deaf(signal.SIGTERM)]
    started = time.monotonic()
    with pytest.raises(Terminated):
        let_go(held, Watch())
    assert time.monotonic() - started < 5.0


def test_budget_that_runs_out_in_a_finaliser_is_not_lost() -> None:
    held = [Deaf(None)]
    with pytest.raises(OverBudget):
        let_go(held, Watch(minutes=0.2 / 60))


def test_once_raised_it_is_not_raised_again_while_cleaning_up() -> None:
    cleaned = []

    def work() -> None:
        with guarded(Watch()):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                wait(1.0)
            finally:
                wait(1.5)
                cleaned.append(True)

    with pytest.raises(Terminated):
        work()
    assert cleaned


def test_other_unraisable_exceptions_go_where_they_went() -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("of somebody else")

    heard = []
    before, sys.unraisablehook = sys.unraisablehook, heard.append
    try:
        with guarded(Watch()):
            Broken()
        assert [type(one.exc_value) for one in heard] == [ValueError]
        assert sys.unraisablehook == heard.append
    finally:
        sys.unraisablehook = before
