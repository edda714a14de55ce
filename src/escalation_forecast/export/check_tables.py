"""Whether exported tables have the columns, types and contents that docs/exports.md promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from escalation_forecast.export.columns import TABLES, Table
from escalation_forecast.export.files import check_folder
from escalation_forecast.export.findings import Finding
from escalation_forecast.export.inert import TRIGGERS, original

KEYS: Final = {
    "questions": ["id"], "routes": ["id"], "war_steps": ["theatre", "step"], "theatres": ["theatre"],
    "pushes": ["theatre", "rank"], "latent": ["month", "theatre"], "spending": ["state", "year", "measure"],
    "indicators": ["indicator", "month"], "priors": ["name"],
}  # fmt: skip


def check_tables(folder: Path | str) -> list[Finding]:
    """What breaks the promises in a folder of tables; nothing if all is well.

    Raises
    ------
    DataError
        When there is no such folder.
    """
    folder = Path(folder)
    check_folder(folder, "tables")
    found: list[Finding] = []
    for name, table in TABLES.items():
        found += _table(folder, name, table)
    return sorted(found)


def _table(folder: Path, name: str, table: Table) -> list[Finding]:
    import pyarrow.parquet as pq

    parquet, csv = f"{name}.parquet", f"{name}.csv"
    for file in (parquet, csv):
        if not (folder / file).is_file():
            return [Finding(file, 0, "table-missing", "the table is missing", "export anew")]
    try:
        arrow = pq.read_table(folder / parquet)
        text = pd.read_csv(folder / csv, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        return [Finding(parquet, 0, "unreadable", f"it cannot be read ({reason})", "export anew")]
    for file, names in ((parquet, arrow.column_names), (csv, list(text.columns))):
        if names != table.names:
            return [Finding(file, 1, "columns", "its columns are others", f"have {', '.join(table.names)}")]
    wanted = table.schema()
    found = [
        Finding(
            parquet,
            0,
            "column-type",
            f"{field.name} is {field.type}",
            f"write {wanted.field(field.name).type}",
        )
        for field in arrow.schema
        if field.type != wanted.field(field.name).type
    ]
    if found:
        return found
    frame = arrow.to_pandas()
    if name in KEYS and frame.duplicated(KEYS[name]).any():
        row = int(np.flatnonzero(frame.duplicated(KEYS[name]))[0]) + 2
        found.append(Finding(parquet, row, "key", f"{', '.join(KEYS[name])} is there twice", "keep one row"))
    for column in table.columns:
        if column.unit == "probability":
            outside = ((frame[column.name] < 0) | (frame[column.name] > 1)).to_numpy(bool)
            found += _rows(
                parquet, outside, "probability-range", f"{column.name} lies outside 0 to 1", "correct it"
            )
    return found + _compare(frame, text, table, csv)


def _rows(file: str, where: Any, rule: str, message: str, remedy: str) -> list[Finding]:
    return [Finding(file, int(row) + 2, rule, message, remedy) for row in np.flatnonzero(where)[:1]]


def _compare(frame: pd.DataFrame, text: pd.DataFrame, table: Table, file: str) -> list[Finding]:
    """The CSV says the same as the Parquet file, and no text in it begins like a formula."""
    if len(frame) != len(text):
        return [Finding(file, 0, "rows", f"it has {len(text)} rows, not {len(frame)}", "export anew")]
    found = []
    for column in table.columns:
        cells, values = text[column.name], frame[column.name]
        if column.kind == "text":
            live = cells.str.startswith(TRIGGERS).to_numpy(bool)
            found += _rows(
                file, live, "formula", f"{column.name} begins like a formula", "put an apostrophe before it"
            )
            # A reader of CSV may take a lone carriage return for the end of a line.
            same = (
                cells.map(original).str.replace("\r", "\n") == values.fillna("").str.replace("\r", "\n")
            ).to_numpy()
        elif column.kind in ("real", "integer"):
            numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
            other = values.to_numpy(float, na_value=np.nan)
            same = np.isclose(numbers, other, rtol=1e-12, atol=0, equal_nan=True)
        elif column.kind == "truth":
            same = (cells == values.map({True: "True", False: "False"}).fillna("")).to_numpy()
        else:
            same = (cells == values.dt.strftime("%Y-%m-%d").fillna("")).to_numpy()
        found += _rows(
            file, ~np.asarray(same, bool), "same", f"{column.name} differs from Parquet", "export anew"
        )
    return found
