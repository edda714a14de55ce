"""Printing: tables for people, JSON for programs."""

from __future__ import annotations

import datetime as dt
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console


def console() -> Console:
    """Standard output; without a terminal rich would fold tables at 80 columns."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str) -> None:
    """A table with a line under it that counts what it shows."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    screen = console()
    screen.print(table)
    screen.print(caption, highlight=False)


def print_frame(frame: pd.DataFrame, caption: str) -> None:
    """A data frame as a table; what is missing stays blank."""
    rows = [["" if v is None else _short(v) for v in row.values()] for row in records(frame)]
    print_rows([str(name).replace("_", " ") for name in frame.columns], rows, caption)


def print_item(record: dict[str, Any]) -> None:
    """One thing, a row per key that says something."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for key, value in plain(record).items():
        if isinstance(value, dict):
            value = {name: item for name, item in value.items() if item not in (None, "", [], {})}
        if value not in (None, "", [], {}):
            table.add_row(key.replace("_", " "), Text(_said(value)))
    console().print(table)


def print_json(value: Any) -> None:
    """JSON on standard output."""
    typer.echo(json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain dicts."""
    return [plain(row) for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """What JSON can say: dates as text, what is missing or not finite as null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if value is None or value != value or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return value if isinstance(value, bool | int | float | str) else str(value)


def _short(value: Any) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)


def _said(value: Any) -> str:
    """Text as it is, sentences as a list, anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(line, str) and " " in line for line in value):
        return "\n".join(f"- {line}" for line in value)
    return json.dumps(value, ensure_ascii=False)
