"""Text that a spreadsheet would take for a formula, made inert."""

from __future__ import annotations

from typing import Final

import pandas as pd

# OWASP, CSV Injection; the fullwidth forms are read as the plain ones by some spreadsheets.
TRIGGERS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MARK: Final = "'"


def inert(text: str) -> str:
    """The text behind an apostrophe if it begins like a formula, or with an apostrophe; else as it is."""
    return MARK + text if text.startswith((*TRIGGERS, MARK)) else text


def original(text: str) -> str:
    """What `inert` was given."""
    return text[1:] if text.startswith(MARK) else text


def inert_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every text cell inert; numbers, dates and missing cells are untouched."""
    texts = [name for name in frame.columns if not _plain(frame[name])]
    return frame.assign(
        **{
            name: frame[name].map(
                lambda cell: inert(cell) if isinstance(cell, str) else cell, na_action="ignore"
            )
            for name in texts
        }
    )


def _plain(column: pd.Series) -> bool:
    kind = pd.api.types
    return bool(
        kind.is_numeric_dtype(column) or kind.is_datetime64_any_dtype(column) or kind.is_bool_dtype(column)
    )
