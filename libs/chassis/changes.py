"""What a decision writes beside its events: rows of read models and timers, set or removed by primary key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg import Cursor
from psycopg.types.json import Jsonb
from sqlalchemy import JSON, Table, bindparam, delete
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql import ClauseElement, Executable

_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Row:
    """The row with this primary key becomes `values` (other columns keep what they had)."""

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.values[c.name] for c in self.table.primary_key)


@dataclass(frozen=True, slots=True)
class Gone:
    """The row with this primary key is removed, if there is one."""

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.values[c.name] for c in self.table.primary_key)


Change = Row | Gone


@lru_cache(maxsize=512)
def compiled(statement: Executable) -> tuple[str, dict[str, Any]]:
    """SQL text for psycopg and the statement's own parameters. Statements that are built once compile once."""
    assert isinstance(statement, ClauseElement)  # noqa: S101 - narrows for the type checker
    result = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(result), {name: adapt(value) for name, value in result.params.items()}


def adapt(value: Any) -> Any:
    """psycopg has no default for a dict; everything else it adapts by its type."""
    return Jsonb(value) if isinstance(value, dict) else value


@lru_cache(maxsize=512)
def _write(table: Table, removes: bool, columns: tuple[str, ...]) -> tuple[str, frozenset[str]]:
    keys = [c.name for c in table.primary_key]
    if removes:
        statement: Executable = delete(table).where(*(table.c[k] == bindparam(k, type_=table.c[k].type) for k in keys))
    else:
        values = insert(table).values({c: bindparam(c, type_=table.c[c].type) for c in columns})
        changed = {c: values.excluded[c] for c in columns if c not in keys}
        statement = (
            values.on_conflict_do_update(index_elements=keys, set_=changed)
            if changed
            else values.on_conflict_do_nothing(index_elements=keys)
        )
    json_columns = frozenset(c for c in columns if isinstance(table.c[c].type, JSON))
    return compiled(statement)[0], json_columns


def apply_changes(cursor: Cursor[Any], changes: Iterable[Change]) -> None:
    """Write what became of each row, one statement for each table and shape."""
    last: dict[tuple[Table, tuple[Any, ...]], Change] = {}
    for change in changes:
        before = last.get((change.table, change.key))
        if isinstance(before, Row) and isinstance(change, Row):
            change = Row(change.table, {**before.values, **change.values})  # noqa: PLW2901 - a partial row adds to it
        last[change.table, change.key] = change
    groups: dict[tuple[Table, bool, tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for change in last.values():
        shape = (change.table, isinstance(change, Gone), tuple(change.values))
        groups.setdefault(shape, []).append(change.values)
    for (table, removes, columns), rows in groups.items():
        sql, json_columns = _write(table, removes, columns)
        wrapped = [_wrap_json(row, json_columns) for row in rows] if json_columns else rows
        if len(wrapped) == 1:
            cursor.execute(sql, wrapped[0], prepare=True)
        else:
            cursor.executemany(sql, wrapped)


def _wrap_json(row: Mapping[str, Any], json_columns: frozenset[str]) -> Mapping[str, Any]:
    return {k: Jsonb(v) if k in json_columns and v is not None else v for k, v in row.items()}
