"""Tables in Markdown, and their places in the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.report.markdown import markdown, number, rows_of
from escalation_forecast.schema import DataError

PAGE: Final = "validation.md"
NOTHING: Final = 1e-9
TABLE: Final = re.compile(r"(<!-- table: (?P<name>\S+) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL)


def fill(text: str, tables: Mapping[str, str], page: str = PAGE) -> str:
    """The text with every table between its marks replaced.

    Raises
    ------
    DataError
        When the text has a mark for a table that is not made, or lacks one that is.
    """
    found = [match["name"] for match in TABLE.finditer(text)]
    for name in found:
        if name not in tables:
            raise DataError(f"{page}: there is no table '{name}'; known are {', '.join(tables)}.")
    for name in tables:
        if name not in found:
            raise DataError(
                f"{page}: the place of table '{name}' is missing; add its marks or remove the file."
            )
    return TABLE.sub(lambda match: f"{match[1]}{tables[match['name']]}\n{match[4]}", text)


def bare_page(tables: Iterable[str], heading: str = "Validation") -> str:
    """Headings and marks without text."""
    parts = [f"## {name}\n\n<!-- table: {name} -->\n<!-- end -->\n" for name in tables]
    return "\n".join([f"# {heading}\n", *parts])


def event_rows(events: pd.DataFrame) -> str:
    header = ("theatre", "event", "months", "level", "rise", "80 % interval", "of it the factor", "peak")
    return markdown(
        header,
        (
            (
                r.theatre,
                r.event,
                r.months,
                f"{r.level:+.1f}",
                f"{r.rise:+.1f}",
                f"{r.low:+.1f} to {r.high:+.1f}",
                f"{r.global_part:+.1f}",
                r.peak,
            )
            for r in rows_of(events)
        ),
        text=3,
    )


def loading_rows(loadings: pd.DataFrame) -> str:
    header = ("loading", "posterior mean (sd)", "prior mean (sd)", "chains", "R-hat", "bulk ESS")
    return markdown(
        header,
        (
            (
                r.loading,
                f"{r.mean:.3f} ({r.sd:.3f})",
                f"{r.prior_mean:.2f} ({r.prior_sd:.2f})",
                ", ".join(f"{c:.3f}" for c in r.chains),
                number(r.r_hat, 3),
                number(r.ess, 0),
            )
            for r in rows_of(loadings)
        ),
    )


def predictive_rows(checked: pd.DataFrame) -> str:
    def both(row: Any, name: str) -> str:
        value = getattr(row, name)
        if not np.isfinite(value):
            return "-"
        low, high, p = (getattr(row, f"{name}_{part}") for part in ("low", "high", "p"))
        mark = "**" if not 0.025 <= p <= 0.975 else ""
        value = 0.0 if abs(value) < NOTHING else value  # a standardised mean is not exactly zero
        return f"{mark}{value:.3g}{mark} ({low:.3g} to {high:.3g})"

    return markdown(
        ("item", "n", "mean", "share of zeros", "95th percentile", "in 50 %", "in 80 %"),
        (
            (
                r.item,
                str(r.n),
                *(both(r, name) for name in ("mean", "zeros", "p95")),
                number(r.within_50),
                number(r.within_80),
            )
            for r in rows_of(checked)
        ),
    )
