"""The tables as one workbook in which no text is a formula."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from escalation_forecast.export.columns import TABLES
from escalation_forecast.export.inert import TRIGGERS

LONGEST: Final = 32_767
WIDTH: Final = 18


def workbook(found: Mapping[str, pd.DataFrame], about: Mapping[str, str]) -> bytes:
    """One sheet per table behind a sheet that says what the columns are.

    Text is typed as text, and what begins like a formula is also quoted, so that editing the cell does not
    bring it to life. Characters that XML cannot hold become the replacement character.
    """
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    bold = Font(bold=True)

    def cell(sheet: Any, value: Any, head: bool = False) -> Any:
        made = WriteOnlyCell(sheet, value=None)
        if isinstance(value, str):
            text = _clean(value)
            made.value = text
            made.data_type = "s"
            if text.startswith(TRIGGERS):
                made.quotePrefix = True
        else:
            made.value = value
            if isinstance(value, pd.Timestamp):
                made.value, made.number_format = value.to_pydatetime(), "yyyy-mm-dd"
        if head:
            made.font = bold
        return made

    cover = book.create_sheet("columns")
    for line in (*about.items(), ("table", "column", "type", "unit", "meaning")):
        cover.append([cell(cover, one, head=True) for one in line])
    for name in found:
        for column in TABLES[name].columns:
            line = (name, column.name, column.kind, column.unit, column.meaning)
            cover.append([cell(cover, one) for one in line])
    for name, frame in found.items():
        sheet = book.create_sheet(name)
        sheet.freeze_panes = "A2"
        for number in range(len(frame.columns)):
            sheet.column_dimensions[chr(ord("A") + number)].width = WIDTH
        sheet.append([cell(sheet, column, head=True) for column in frame.columns])
        columns = [_values(frame[column]) for column in frame.columns]
        for values in zip(*columns, strict=True):
            sheet.append(
                [value if isinstance(value, float | int) else cell(sheet, value) for value in values]
            )
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _values(column: pd.Series) -> list[Any]:
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _clean(text: str) -> str:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    return str(ILLEGAL_CHARACTERS_RE.sub("\ufffd", text))[:LONGEST]
