"""The compiled tables of history: read, typed and checked; every complaint names file, row and remedy.

States have the numeric codes of the Correlates of War (`ccode`). A table has one kind of value per
column name, so that a new table needs a row in `TABLES` and `KEYS` and, for new names, in `KINDS`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from escalation_forecast.schema import THEATRES
from escalation_forecast.store import data_root
from escalation_forecast.tables import SOURCE_COLUMNS, Problem, nearest, raise_problems, read_csv

FOLDER: Final = "history"
ORIGIN: Final = ("source", "published_at")
TABLES: Final[dict[str, tuple[str, ...]]] = {
    "states": ("state", "iso3", "name", "start", "end", *ORIGIN),
    "borders": ("a", "b", "kind", "start", "end", *ORIGIN),
    "majors": ("state", "start", "end", *ORIGIN),
    "rivalries": ("a", "b", "start_year", "end_year", *ORIGIN),
    "disputes": (
        "coding", "dispute", "year", "a", "b", "onset", "level", "fatality", "dispute_level",
        "dispute_fatality", "originators", "start_month", *ORIGIN,
    ),
    "clashes": ("theatre", "dyad", "month", "level", "fatal", "deaths_low", "deaths_high", *ORIGIN),
    "wars": (
        "coding", "war", "name", "state", "iso3", "side", "entry", "exit", "lag_days", "originator", "joiner",
        *ORIGIN,
    ),
    "pacts": ("a", "b", "start", "end", *ORIGIN, "note"),
    "nuclear": ("state", "start", *ORIGIN, "note"),
    "groups": ("group", "state", "start", "end", *ORIGIN),
}  # fmt: skip
# What identifies a row of each table.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "states": ("state", "start"),
    "borders": ("a", "b", "kind", "start"),
    "majors": ("state", "start"),
    "rivalries": ("a", "b", "start_year"),
    "disputes": ("coding", "dispute", "year", "a", "b"),
    "clashes": ("theatre", "dyad", "month"),
    "wars": ("coding", "war", "state", "entry"),
    "pacts": ("a", "b", "start"),
    "nuclear": ("state",),
    "groups": ("group", "state", "start"),
}
THEATRE_DYADS: Final = ("theatre", "dyad", "a", "b")

# Kind of value by column name: text, code (whole number), flag (0 or 1), number, date or month.
KINDS: Final[dict[str, str]] = {
    "state": "code", "a": "code", "b": "code", "dispute": "code", "year": "code", "start_year": "code",
    "end_year": "code", "level": "code", "fatality": "code", "dispute_level": "code",
    "dispute_fatality": "code", "originators": "code", "start_month": "code",
    "war": "code", "side": "code", "lag_days": "code",
    "onset": "flag", "fatal": "flag", "originator": "flag", "joiner": "flag",
    "deaths_low": "number", "deaths_high": "number",
    "start": "date", "end": "date", "entry": "date", "exit": "date", "published_at": "date", "month": "month",
}  # fmt: skip
# Columns that may be blank; a blank end is an end not yet come when the list was closed.
OPTIONAL: Final = frozenset(
    {"iso3", "end", "exit", "end_year", "fatal", "deaths_low", "deaths_high", "start_month", "note"}
)
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "kind": ("land", "sea"),
    "coding": ("mid5", "gml", "cow", "own"),
    "group": ("nato",),
    "theatre": THEATRES,
}
# Fatality -9 is unknown; levels and bands are those of the Militarized Interstate Disputes.
RANGES: Final[dict[str, tuple[int, int]]] = {
    "year": (1816, 2100),
    "level": (1, 5),
    "dispute_level": (1, 5),
    "fatality": (-9, 6),
    "dispute_fatality": (-9, 6),
    "originators": (0, 2),
    "start_month": (1, 12),
    "side": (1, 2),
    "lag_days": (0, 36500),
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class History:
    """Two centuries of states, borders and disputes.

    Attributes
    ----------
    states, borders, majors, rivalries, disputes, clashes, wars, pacts, nuclear, groups : as `TABLES`,
        without `file` and `row`. Dates are timestamps, missing where open; months their first day;
        codes are integers.
    theatre_dyads : theatre, dyad (label such as ``CHN-TWN``), a and b (ISO 3166 alpha-3), and the
        codes `state_a` and `state_b`, the smaller first.
    """

    states: pd.DataFrame
    borders: pd.DataFrame
    majors: pd.DataFrame
    rivalries: pd.DataFrame
    disputes: pd.DataFrame
    clashes: pd.DataFrame
    wars: pd.DataFrame
    pacts: pd.DataFrame
    nuclear: pd.DataFrame
    groups: pd.DataFrame
    theatre_dyads: pd.DataFrame

    def content_hash(self) -> str:
        """SHA-256 over all tables in hexadecimal."""
        digest = hashlib.sha256()
        for field in dataclasses.fields(self):
            digest.update(getattr(self, field.name).to_csv(index=False).encode())
        return digest.hexdigest()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, name)):,} {name}" for name in TABLES)
        return f"<History: {sizes}>"


def load_history(root: Path | None = None) -> History:
    """Read and validate the tables of history of a data folder, by default the embedded one.

    Raises
    ------
    DataError
        Listing the first problems, each with file, row and remedy.
    """
    root = root or data_root()
    label = f"{root.name}/{FOLDER}"
    sources, problems = read_csv(root / "sources.csv", f"{root.name}/sources.csv", SOURCE_COLUMNS)
    frames: dict[str, pd.DataFrame] = {}
    for name, columns in TABLES.items():
        text, found = read_csv(root / FOLDER / f"{name}.csv", f"{label}/{name}.csv", columns)
        frame, bad = typed(text, columns)
        problems += [*found, *bad, *_row_problems(frame, name, set(sources["source"]))]
        frames[name] = frame
    dyads, found = read_csv(root / "theatre_dyads.csv", f"{root.name}/theatre_dyads.csv", THEATRE_DYADS)
    problems += found
    if not problems:
        problems = _state_problems(frames)
        dyads, found = _with_codes(dyads, frames["states"])
        problems += [*found, *_dyad_problems(frames["clashes"], set(dyads["dyad"]))]
    raise_problems(problems)
    clean = {name: frame.drop(columns=["file", "row"]) for name, frame in frames.items()}
    return History(**clean, theatre_dyads=dyads.drop(columns=["file", "row"]))


def typed(text: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, list[Problem]]:
    """Text cells by `KINDS`. A row with a bad or blank cell is left out, so that it is reported once."""
    frame, problems = text.copy(), list[Problem]()
    bad_rows = pd.Series(False, index=text.index)
    for column in columns:
        raw, kind = text[column], KINDS.get(column, "text")
        blank = raw == ""
        bad = blank & (column not in OPTIONAL)
        problems += _cells(text, column, bad, "is blank", "fill it in")
        if kind in ("date", "month"):
            form, meant = ("%Y-%m-%d", "YYYY-MM-DD") if kind == "date" else ("%Y-%m", "YYYY-MM")
            frame[column] = pd.to_datetime(raw, format=form, errors="coerce").astype("datetime64[us]")
            odd = ~blank & frame[column].isna()
            problems += _cells(text, column, odd, f"is not a {kind}", f"write it as {meant}")
        elif kind != "text":
            numbers = pd.to_numeric(raw, errors="coerce").astype("float64")
            odd = ~blank & numbers.isna()
            if kind != "number":
                odd |= numbers.notna() & (numbers % 1 != 0)
            if kind == "flag":
                odd |= numbers.notna() & ~numbers.isin((0, 1))
            what = {"flag": "0 or 1", "code": "a whole number"}.get(kind, "a number")
            problems += _cells(text, column, odd, f"is not {what}", "correct the cell")
            frame[column] = numbers
        else:
            odd = pd.Series(False, index=text.index)
            if column in CHOICES:
                odd = ~blank & ~raw.isin(CHOICES[column])
                problems += _cells(
                    text, column, odd, "is unknown", f"use one of {', '.join(CHOICES[column])}"
                )
        if column in RANGES:
            low, high = RANGES[column]
            outside = frame[column].notna() & ~frame[column].between(low, high)
            problems += _cells(text, column, outside, f"is outside {low} to {high}", "correct the cell")
            bad = bad | outside
        bad_rows |= bad | odd
    frame = frame[~bad_rows].reset_index(drop=True)
    for column in columns:
        if KINDS.get(column) in ("code", "flag"):
            frame[column] = frame[column].astype("Int64" if column in OPTIONAL else "int64")
    return frame, problems


def _cells(text: pd.DataFrame, column: str, bad: pd.Series[bool], what: str, remedy: str) -> list[Problem]:
    rows = text.loc[bad, ["file", "row", column]].itertuples(index=False)
    return [
        Problem(str(file), int(row), column, f"{column} {f'`{cell}` ' if cell else ''}{what}", remedy)
        for file, row, cell in rows
    ]


def _row_problems(frame: pd.DataFrame, name: str, sources: set[str]) -> list[Problem]:
    """What is wrong with whole rows: twice there, ends before it starts, source unknown."""
    checks: list[tuple[pd.Series[Any], str, str]] = [
        (
            frame.duplicated(list(KEYS[name])),
            "the same " + ", ".join(KEYS[name]) + " twice",
            "delete one row",
        ),
    ]
    for start, end in (
        ("start", "end"), ("entry", "exit"), ("start_year", "end_year"), ("deaths_low", "deaths_high"),
    ):  # fmt: skip
        if start in frame and end in frame:
            early = (frame[end] < frame[start]).fillna(False).astype(bool)
            checks.append((early, f"{end} comes before {start}", "exchange or correct them"))
    if "a" in frame:
        remedy = "write the smaller code in column a"
        checks.append((frame["a"] >= frame["b"], "a is not below b", remedy))
    problems = [
        Problem(str(file), int(row), "", message, remedy)
        for bad, message, remedy in checks
        for file, row in frame.loc[bad, ["file", "row"]].itertuples(index=False)
    ]
    odd = frame.loc[~frame["source"].isin(list(sources)), ["file", "row", "source"]]
    for file, row, key in odd.itertuples(index=False):
        said = f"unknown source `{key}`{nearest(key, sources)}"
        problems.append(Problem(str(file), int(row), "source", said, "add it to sources.csv or correct it"))
    return problems


def _state_problems(frames: dict[str, pd.DataFrame]) -> list[Problem]:
    """Codes that no row of ``states.csv`` has."""
    known = set(frames["states"]["state"])
    problems = []
    for frame in frames.values():
        for column in {"state", "a", "b"} & set(frame.columns):
            odd = frame.loc[~frame[column].isin(known), ["file", "row", column]]
            for file, row, code in odd.itertuples(index=False):
                said = f"{column} {code} is not a state of states.csv"
                problems.append(Problem(str(file), int(row), column, said, "add the state or correct it"))
    return sorted(problems)


def _dyad_problems(clashes: pd.DataFrame, known: set[str]) -> list[Problem]:
    odd = clashes.loc[~clashes["dyad"].isin(list(known)), ["file", "row", "dyad"]]
    remedy = "write it as in theatre_dyads.csv"
    return [
        Problem(str(file), int(row), "dyad", f"there is no dyad `{label}`{nearest(label, known)}", remedy)
        for file, row, label in odd.itertuples(index=False)
    ]


def _with_codes(dyads: pd.DataFrame, states: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Theatre dyads with the codes of their states today."""
    today = states[states["end"].isna() & (states["iso3"] != "")].set_index("iso3")["state"]
    problems = []
    for file, row, theatre, label, a, b in dyads[["file", "row", "theatre", "dyad", "a", "b"]].itertuples(
        index=False
    ):
        for code in (a, b):
            if code not in today.index:
                said = f"there is no state `{code}` today{nearest(code, today.index)}"
                problems.append(Problem(file, int(row), "a", said, "write ISO 3166 alpha-3 codes"))
        if theatre not in THEATRES:
            said = f"unknown theatre `{theatre}`{nearest(theatre, THEATRES)}"
            problems.append(Problem(file, int(row), "theatre", said, f"use one of {', '.join(THEATRES)}"))
        if label != f"{a}-{b}":
            problems.append(Problem(file, int(row), "dyad", f"the dyad is `{label}`", f"write {a}-{b}"))
    for file, row, label in dyads.loc[dyads.duplicated("dyad"), ["file", "row", "dyad"]].itertuples(
        index=False
    ):
        problems.append(Problem(file, int(row), "dyad", f"the dyad {label} stands twice", "delete one row"))
    if problems:
        return dyads, problems
    codes = pd.concat([dyads["a"].map(today), dyads["b"].map(today)], axis=1).astype("int64")
    return dyads.assign(state_a=codes.min(axis=1), state_b=codes.max(axis=1)), []
