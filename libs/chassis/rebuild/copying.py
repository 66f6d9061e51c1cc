"""Writing what became of rows into shadow tables: what is new to them is copied, the rest is written as services do.

Most rows that a rebuild writes are new, and a COPY costs Python and PostgreSQL a third of a statement that reads JSON
and looks for conflicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from types import NoneType
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql
from pydantic_core import to_json
from sqlalchemy import Table

from libs.chassis.store.changes import Change, Group, Newest, Row, groups_of, write_group
from libs.chassis.store.personal import subjects_of

_FEW: Final = 50
"""Fewer rows are not worth a look at what is there."""
_VALUES: Final[Mapping[str, tuple[type, ...]]] = {
    "uuid": (UUID,),
    "text": (str,),
    "timestamptz": (datetime,),
    "int4": (int,),
    "int8": (int,),
    "bool": (bool,),
    "float8": (float,),
}
"""What is copied into columns of these types, and into arrays of them; anything else PostgreSQL reads from JSON."""

Values = Sequence[Any]
"""Of one column, a row each."""


class Copying:
    """`write(changes)` into the tables of one schema, through a connection whose transactions are its owner's."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._types: dict[Table, dict[str, str]] = {}

    def write(self, changes: Iterable[Change]) -> None:
        """What became of each row. Raises `psycopg.Error`."""
        for group in groups_of(changes):
            left = self._copied(group) if group.kind in (Row, Newest) and len(group.rows) >= _FEW else group.rows
            if left:
                write_group(self._connection.cursor, group._replace(rows=left))

    def _copied(self, group: Group) -> list[Mapping[str, Any]]:
        """What is left when those rows were copied that the table does not have."""
        types = self._types_of(group.table)
        values = {name: [row[name] for row in group.rows] for name in group.columns}
        encoded = [_encoded(types[name], each) for name, each in values.items()]
        if subjects_of(group.table) or any(each is None for each in encoded):
            return group.rows
        known = self._known(group.table, {c.name: values[c.name] for c in group.table.primary_key})
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            _name(group.table), sql.SQL(", ").join(map(sql.Identifier, group.columns))
        )
        with self._connection.cursor().copy(statement) as copy:
            copy.set_types([_WIRE.get(types[name], types[name]) for name in group.columns])
            for number, row in enumerate(zip(*filter(None, encoded), strict=True)):
                if number not in known:
                    copy.write_row(row)
        return [group.rows[number] for number in sorted(known)]

    def _known(self, table: Table, keys: Mapping[str, Values]) -> set[int]:
        """Which of these keys the table has, by their places."""
        types = self._types_of(table)
        given = sql.SQL(", ").join(sql.SQL("%s::{}[]").format(sql.SQL(types[name])) for name in keys)
        names = [sql.Identifier(name) for name in keys]
        same = sql.SQL(" AND ").join(sql.SQL("t.{0} = r.{0}").format(name) for name in names)
        # A value a row, which PostgreSQL must look up in the index; EXISTS it might answer by reading the whole table.
        statement = sql.SQL(
            "SELECT n - 1 FROM unnest({}) WITH ORDINALITY AS r ({}, n) WHERE (SELECT true FROM {} t WHERE {})"
        ).format(given, sql.SQL(", ").join(names), _name(table), same)
        with self._connection.cursor(binary=True) as cursor:
            # Never prepared: a plan that was made for an empty table would read a full one from end to end.
            return {row[0] for row in cursor.execute(statement, [list(v) for v in keys.values()], prepare=False)}

    def _types_of(self, table: Table) -> dict[str, str]:
        """By column, what PostgreSQL calls its type."""
        if table not in self._types:
            rows = self._connection.execute(
                "SELECT attname, typname, typcategory = 'A' FROM pg_attribute JOIN pg_type t"
                " ON t.oid = atttypid WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                (_name(table).as_string(self._connection),),
            )
            found = {str(name): (str(kind), bool(is_array)) for name, kind, is_array in rows}
            self._types[table] = {n: f"{kind[1:]}[]" if is_array else kind for n, (kind, is_array) in found.items()}
        return self._types[table]


_WIRE: Final[Mapping[str, str]] = {"jsonb": "bytea"}
"""Types that travel as something else."""


def _encoded(kind: str, values: Values) -> Values | None:
    """What stands in a binary COPY; None where PostgreSQL has to read it from JSON."""
    if kind == "jsonb":
        # Its binary form is its version, which is 1, and its text.
        return [None if value is None else b"\x01" + to_json(value) for value in values]
    wanted = _VALUES.get(kind.removesuffix("[]"))
    if wanted is None:
        return None
    plain = values
    if kind.endswith("[]"):
        if not _all(values, (list,)):
            return None
        plain = list(chain.from_iterable(filter(None, values)))
    return values if _all(plain, wanted) else None


def _all(values: Values, wanted: tuple[type, ...]) -> bool:
    return all(
        kind is NoneType or (issubclass(kind, wanted) and (kind is not bool or bool in wanted))
        for kind in set(map(type, values))
    )


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(str(table.schema), table.name)
