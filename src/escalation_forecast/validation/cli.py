"""``python -m escalation_forecast.validation``: make the fits, then the page and its figures."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from escalation_forecast.store import Store
from escalation_forecast.validation.fits import PARTS, Lengths, Study

AS_OF = "2026-11-22"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m escalation_forecast.validation", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of validation.md and images/")
    parser.add_argument("--fits", type=Path, help="keep fits here and use those already there")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="make these fits and stop, without a page")
    parser.add_argument("--offline", action="store_true", help="sample nothing; use the fits in --fits")
    parser.add_argument("--quick", action="store_true", help="tiny fits, to try the program")
    chosen = parser.parse_args(arguments)
    lengths = Lengths.quick() if chosen.quick else Lengths.default()
    with tempfile.TemporaryDirectory() as spare:
        study = Study(
            Store.embedded(), pd.Timestamp(AS_OF), lengths, chosen.fits or Path(spare), offline=chosen.offline
        )
        for part in chosen.only or PARTS:
            for name in study.plan(part):
                study.get(name)
        if chosen.only:
            return 0
        from escalation_forecast.validation.page import write_page

        write_page(study, chosen.out)
    return 0
