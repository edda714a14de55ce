"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["escaped", "markdown", "number", "rows_of"]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table; the first columns are text, the others are numbers."""
    lines = [header, ["---" if k < text else "---:" for k in range(len(header))], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def escaped(text: object) -> str:
    """Text that cannot leave its cell: on one line, without marks of tables, code or HTML."""
    plain = " ".join(str(text).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "'")):
        plain = plain.replace(mark, safe)
    return plain


def rows_of(frame: pd.DataFrame) -> list[Any]:
    """Rows with their columns as attributes."""
    return list(frame.itertuples())


def number(value: float, digits: int = 2) -> str:
    """Such as .93, -0.41 or a dash where there is none."""
    if not np.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"
