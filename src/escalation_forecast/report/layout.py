"""What the tables for a terminal share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from rich import box
from rich.table import Table


def percent(probability: float | None, *, ends: bool = True) -> str:
    """Such as ``41 %``, ``3.4 %`` or ``<0.1 %``: as many digits as a reader can use."""
    if probability is None:
        return "-"
    value = 100 * probability
    if ends and value < 0.1:
        return "<0.1 %"
    if ends and value > 99.9:
        return ">99.9 %"
    return f"{value:.0f} %" if 10 <= value <= 95 else f"{value:.1f} %"


def rate_text(rate: Mapping[str, Any] | None) -> str:
    """Base rate with its counts, such as ``18 % (3 of 17 years 2009-2025)``.

    The reference class is cut at its first qualification; the tables have it in full.
    """
    if rate is None:
        return "-"
    share = percent(rate["rate"], ends=False) if rate["events"] else "0 %"
    about = re.split(r" by the | that |[;,(]", rate["reference_class"], maxsplit=1)[0].strip()
    about = re.sub(r"(\d{4})-\d\d to (\d{4})-\d\d", r"\1-\2", about)
    return f"{share} ({rate['events']} of {rate['trials']} {about})"


def plain_table(title: str, *columns: tuple[str, Literal["left", "right"]], caption: str = "") -> Table:
    """A table with a line under its head and nothing else around it; columns by name and justification."""
    table = Table(
        title=title or None,
        caption=caption or None,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        caption_style="dim",
        show_edge=False,
        pad_edge=False,
    )
    for name, justify in columns:
        table.add_column(name, justify=justify)
    return table
