"""The small tables that other parts of the program keep in the archive."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa
from sqlalchemy import exc

from escalation_forecast.ledger import database
from escalation_forecast.ledger.rows import day, moment, number, text
from escalation_forecast.ledger.schema import SMALL, Moment
from escalation_forecast.schema import DataError
from escalation_forecast.tables import nearest

MOST: Final = 400
"""Rows in one statement: SQLite takes 32,766 values, and the widest table has nine columns."""


def put(engine: sa.Engine, name: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key is not there yet; rows that are there stay as they are.

    Returns
    -------
    Number of rows that were new.
    """
    table = small(name)
    cleaned = [_cleaned(table, row) for row in rows]
    key = list(table.primary_key.columns)
    distinct = {tuple(row[column.name] for column in key): row for row in reversed(cleaned)}
    if not distinct:
        return 0

    def work(connection: sa.Connection) -> int:
        new = 0
        ordered = list(reversed(distinct.values()))
        for start in range(0, len(ordered), MOST):
            insert = absent(connection, table).values(ordered[start : start + MOST]).returning(*key)
            new += len(connection.execute(insert).all())
        return new

    try:
        return database.write(engine, work)
    except exc.IntegrityError:
        raise DataError(
            f"A row of {name} names a run that the archive does not have; publish the run first."
        ) from None


def fill(engine: sa.Engine, name: str, where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Fill columns that are still empty, such as ``sent_at`` of an alert; nothing is overwritten.

    Returns
    -------
    Number of rows that were filled: of several that try, one gets it.
    """
    table = small(name)
    asked = [_equal(table, column, value) for column, value in where.items()]
    filled = {_column(table, column).name: _value(table.c[column], value) for column, value in values.items()}
    if not filled or not asked:
        raise DataError(f"Say which rows of {name} to fill with what.")
    for column in filled:
        if not table.c[column].nullable:
            raise DataError(f"`{column}` of {name} is never empty, so it cannot be filled.")
    empty = [table.c[column].is_(None) for column in filled]
    statement = sa.update(table).where(*asked, *empty).values(**filled)
    return database.write(engine, lambda connection: connection.execute(statement).rowcount)


def read(engine: sa.Engine, name: str, where: Mapping[str, Any]) -> pd.DataFrame:
    """Rows of a small table whose columns have the given values, or one of a list of them."""
    table = small(name)
    asked = [_equal(table, column, value) for column, value in where.items()]
    query = sa.select(table).where(*asked).order_by(*table.primary_key.columns)
    with database.reading(engine) as connection:
        found = connection.execute(query).all()
    return pd.DataFrame([tuple(row) for row in found], columns=[column.name for column in table.columns])


def small(name: str) -> sa.Table:
    """A table by its name."""
    if name not in SMALL:
        raise DataError(f"The archive has no table {name!r:.80}{nearest(str(name), SMALL)}.")
    table: sa.Table = SMALL[name].__table__
    return table


def absent(connection: sa.Connection, table: Any) -> Any:
    """An insert that leaves rows alone whose key is there."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


def _column(table: sa.Table, name: str) -> sa.Column[Any]:
    if name not in table.columns:
        known = [column.name for column in table.columns]
        raise DataError(f"The table {table.name} has no column {name!r:.80}{nearest(str(name), known)}.")
    return table.c[name]


def _equal(table: sa.Table, name: str, value: Any) -> sa.ColumnElement[bool]:
    column = _column(table, name)
    if value is None:
        return column.is_(None)
    if isinstance(value, list | tuple | set | frozenset):
        return column.in_([_value(column, one) for one in value])
    equal: sa.ColumnElement[bool] = column == _value(column, value)
    return equal


def _cleaned(table: sa.Table, row: Mapping[str, Any]) -> dict[str, Any]:
    for name in row:
        _column(table, name)
    return {column.name: _value(column, row.get(column.name)) for column in table.columns}


def _value(column: sa.Column[Any], value: Any) -> Any:
    what = f"{column.name} of {column.table.name}"
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        if not column.nullable:
            raise DataError(f"The {what} is missing; give it.")
        return None
    kind = column.type
    if isinstance(kind, Moment):
        return moment(_at_midnight(value), what)
    if isinstance(kind, sa.Date):
        return day(value, what)
    if isinstance(kind, sa.Float):
        return _finite(value, what, column.nullable)
    if isinstance(kind, sa.Integer):
        found = number(value, what)
        if found is None or found != int(found):
            raise DataError(f"The {what} is {value!r:.80} and no whole number.")
        return int(found)
    return text(value, what)


def _finite(value: Any, what: str, nullable: bool | None) -> float | None:
    found = number(value, what)
    if found is None and not nullable:
        raise DataError(f"The {what} is {value!r:.80} and no finite number.")
    return found


def _at_midnight(value: Any) -> Any:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time(), dt.UTC)
    return value
