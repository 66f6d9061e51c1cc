"""Rows for any table: a migration has to be tried on a database that is in use, whatever its tables are by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

_VERSION = "alembic_version"
_numbers = count(1)

Rows = Mapping[str, list[Mapping[str, Any]]]
"""By table: its rows, in an order of their own."""


class Schema:
    """The tables of a schema as they stand in the database now. To look them up takes long: once for each revision."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        metadata = MetaData(schema=name)
        metadata.reflect(connection)
        self._tables = [table for table in metadata.sorted_tables if table.name != _VERSION]
        """After those that they refer to."""
        connection.commit()

    def fill(self, rows: int = 3) -> None:
        """A few rows more in every table, with something in every column."""
        for table in self._tables:
            columns = [column for column in table.columns if column.computed is None]
            made = [_row(columns, next(_numbers)) for _ in range(rows)]
            self._connection.execute(table.insert(), made)
        self._connection.commit()

    def rows(self) -> Rows:
        """Everything that is in it."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for table in self._tables:
            rows = [dict(row) for row in self._connection.execute(table.select()).mappings()]
            found[table.name] = sorted(rows, key=lambda row: str(sorted(row.items())))
        self._connection.commit()
        return found


def in_common(rows: Rows, other: Rows) -> Rows:
    """Of `rows` those tables and columns that `other` has as well."""
    kept: dict[str, list[Mapping[str, Any]]] = {}
    for table in rows.keys() & other.keys():
        if not other[table]:
            kept[table] = rows[table]
            continue
        columns = other[table][0].keys()
        shared = [{k: v for k, v in row.items() if k in columns} for row in rows[table]]
        kept[table] = sorted(shared, key=lambda row: str(sorted(row.items())))
    return kept


def _row(columns: Iterable[Column[Any]], number: int) -> dict[str, Any]:
    return {column.name: _of_type(column.type, number) for column in columns}


def _of_type(kind: TypeEngine[Any], number: int) -> Any:
    match kind:
        case ARRAY():
            return [_of_type(kind.item_type, number)]
        case Uuid():
            return UUID(int=number)
        case Boolean():
            return number % 2 == 0
        case Integer():
            return number + 1
        case Float():
            return number + 0.5
        case DateTime():
            return datetime.fromtimestamp(1_700_000_000 + number, UTC)
        case LargeBinary():
            return number.to_bytes(8, "big")
        case JSONB():
            return {"number": number}
        case Text():
            return f"text {number}"
    raise NotImplementedError(f"no value for {kind!r}: teach tests/filling.py one")
