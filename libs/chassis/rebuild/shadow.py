"""Shadow tables: new ones beside those in force, equal in columns, indexes and grants, that take their places at once.

Everything runs as the tables' owner. `<table>__rebuild` is the shadow's name, and `<index>__rebuild` its indexes'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from psycopg import Cursor, sql
from sqlalchemy import MetaData, Table

SUFFIX: Final = "__rebuild"
EXAMPLES: Final = 20
_INDEX: Final = re.compile(r"(CREATE (?:UNIQUE )?INDEX) .+? ON .+? (USING .*)", re.DOTALL)


class Unrepeatable(Exception):
    """A table that cannot be replaced; the text says why."""


class Difference(NamedTuple):
    """One row that is not the same in both tables. `kind`: `missing` (only in the new one), `extra` or `changed`."""

    kind: str
    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """How the table in force differs from what the log says."""

    rows: int
    missing: int
    extra: int
    changed: int
    examples: tuple[Difference, ...]

    @property
    def differences(self) -> int:
        return self.missing + self.extra + self.changed


def shadow_of(table: Table) -> Table:
    """The same table under its shadow's name, for changes that are written there."""
    return table.to_metadata(MetaData(schema=table.schema), name=table.name + SUFFIX)


def shadow_name(name: str) -> str:
    """PostgreSQL cuts names at 63 bytes."""
    return name[: 63 - len(SUFFIX)] + SUFFIX


def drop_shadows(cursor: Cursor[Any], schema: str) -> list[str]:
    """Remove what an interrupted rebuild has left; the names of the tables."""
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'"
        " AND right(relname, %s) = %s",
        (schema, len(SUFFIX), SUFFIX),
    )
    left = [str(row[0]) for row in cursor.fetchall()]
    for name in left:
        cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(schema, name)))
    return left


@dataclass(frozen=True)
class Shadow:
    """One table in force and its shadow."""

    table: Table

    @property
    def old(self) -> sql.Identifier:
        return sql.Identifier(str(self.table.schema), self.table.name)

    @property
    def new(self) -> sql.Identifier:
        return sql.Identifier(str(self.table.schema), shadow_name(self.table.name))

    @property
    def _regclass(self) -> str:
        return f'"{self.table.schema}"."{self.table.name}"'

    def create(self, cursor: Cursor[Any]) -> None:
        """Empty, with the primary key alone: other indexes are cheaper to make when it is full."""
        self._check(cursor)
        cursor.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(self.new, self.old))
        cursor.execute(
            "SELECT relowner::regrole::text, reloptions FROM pg_class WHERE oid = %s::regclass", (self._regclass,)
        )
        owner, options = cursor.fetchone() or ("", None)
        if options:
            # LIKE leaves them out.
            cursor.execute(sql.SQL("ALTER TABLE {} SET ({})").format(self.new, sql.SQL(", ".join(options))))
        if not self._tuned(cursor):
            # A vacuum would work for nothing, and hold the swap up.
            cursor.execute(sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(self.new))
        self._grant(cursor)
        cursor.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(self.new, sql.Identifier(owner.strip('"'))))
        self._constraints(cursor)

    def _tuned(self, cursor: Cursor[Any]) -> bool:
        """Whether the table in force says itself whether it is vacuumed."""
        query = "SELECT 1 FROM pg_class WHERE oid = %s::regclass AND reloptions::text LIKE '%%autovacuum_enabled=%%'"
        return cursor.execute(query, (self._regclass,)).fetchone() is not None

    def _check(self, cursor: Cursor[Any]) -> None:
        for what, query in (
            ("a foreign key", "SELECT 1 FROM pg_constraint WHERE contype = 'f' AND %(t)s::regclass IN (conrelid,"
             " confrelid)"),
            ("a trigger", "SELECT 1 FROM pg_trigger WHERE tgrelid = %(t)s::regclass AND NOT tgisinternal"),
            ("a row policy", "SELECT 1 FROM pg_policy WHERE polrelid = %(t)s::regclass"),
            ("a grant on a column", "SELECT 1 FROM pg_attribute WHERE attrelid = %(t)s::regclass AND attacl IS NOT"
             " NULL"),
        ):  # fmt: skip
            if cursor.execute(query.encode(), {"t": self._regclass}).fetchone() is not None:
                raise Unrepeatable(f"{self.table} has {what}, which its copy would not have")

    def _grant(self, cursor: Cursor[Any]) -> None:
        cursor.execute(
            "SELECT CASE grantee WHEN 0 THEN NULL ELSE grantee::regrole::text END, privilege_type, is_grantable"
            " FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner",
            (self._regclass,),
        )
        for grantee, privilege, grantable in cursor.fetchall():
            to = sql.SQL("PUBLIC") if grantee is None else sql.Identifier(str(grantee).strip('"'))
            tail = sql.SQL(" WITH GRANT OPTION" if grantable else "")
            grant = sql.SQL("GRANT {} ON {} TO {}{}")
            cursor.execute(grant.format(sql.SQL(privilege), self.new, to, tail))

    def _constraints(self, cursor: Cursor[Any]) -> None:
        cursor.execute(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass"
            " AND contype IN ('p', 'u', 'x')",
            (self._regclass,),
        )
        for name, definition in cursor.fetchall():
            add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
            cursor.execute(add.format(self.new, sql.Identifier(shadow_name(name)), sql.SQL(definition)))

    def _indexes(self, cursor: Cursor[Any], *, all_of_them: bool) -> list[tuple[str, str]]:
        cursor.execute(
            "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = %s::regclass AND (%s OR NOT EXISTS"
            " (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid)) ORDER BY 1",
            (self._regclass, all_of_them),
        )
        return [(str(name), str(definition)) for name, definition in cursor.fetchall()]

    def finish(self, cursor: Cursor[Any]) -> None:
        """The other indexes, and statistics, so that the first queries have good plans."""
        for name, definition in self._indexes(cursor, all_of_them=False):
            found = _INDEX.fullmatch(definition)
            if found is None:
                raise Unrepeatable(f"{self.table}: cannot read the index {name}")
            create = sql.SQL("{} {} ON {} {}")
            index = sql.Identifier(shadow_name(name))
            cursor.execute(create.format(sql.SQL(found[1]), index, self.new, sql.SQL(found[2])))
        cursor.execute(sql.SQL("ANALYZE {}").format(self.new))

    def compare(self, cursor: Cursor[Any]) -> Compared:
        """Row by row, by primary key, as this transaction sees both."""
        keys = [c.name for c in self.table.primary_key]
        columns = [c.name for c in self.table.columns]
        parts = {
            "old": self.old,
            "new": self.new,
            "keys": _list("{}", keys),
            "o": _list("o.{}", columns),
            "n": _list("n.{}", columns),
            "ok": sql.SQL("o.{}").format(sql.Identifier(keys[0])),
            "nk": sql.SQL("n.{}").format(sql.Identifier(keys[0])),
        }
        kind = "CASE WHEN {ok} IS NULL THEN 'missing' WHEN {nk} IS NULL THEN 'extra' ELSE 'changed' END"
        joined = " FROM {old} o FULL JOIN {new} n USING ({keys}) WHERE ({o}) IS DISTINCT FROM ({n})"
        cursor.execute(sql.SQL(f"SELECT {kind}, count(*) {joined} GROUP BY 1").format(**parts))
        counts = dict(cursor.fetchall())
        examples: list[Difference] = []
        if counts:
            changed = sql.SQL(", ").join(
                sql.SQL("CASE WHEN o.{c} IS DISTINCT FROM n.{c} THEN {n} END").format(c=sql.Identifier(c), n=c)
                for c in columns
            )
            shown = sql.SQL(
                f"SELECT {kind}, row_to_json((SELECT k FROM (SELECT {{keys}}) k))::text,"  # noqa: S608 - our own parts
                f" array_remove(ARRAY[{{changed}}]::text[], NULL) {joined} ORDER BY 1, 2 LIMIT {EXAMPLES}"
            )
            cursor.execute(shown.format(changed=changed, **parts))
            examples = [Difference(k, key, tuple(c) if k == "changed" else ()) for k, key, c in cursor.fetchall()]
        rows = cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(self.new)).fetchone()
        return Compared(
            rows=int(rows[0]) if rows else 0,
            missing=counts.get("missing", 0),
            extra=counts.get("extra", 0),
            changed=counts.get("changed", 0),
            examples=tuple(examples),
        )

    def swap(self, cursor: Cursor[Any]) -> None:
        """Take the place of the table in force, whose lock is held; its names go over to the new one."""
        names = [name for name, _ in self._indexes(cursor, all_of_them=True)]
        if not self._tuned(cursor):
            cursor.execute(sql.SQL("ALTER TABLE {} RESET (autovacuum_enabled)").format(self.new))
        cursor.execute(sql.SQL("DROP TABLE {}").format(self.old))
        cursor.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(self.new, sql.Identifier(self.table.name)))
        for name in names:
            index = sql.Identifier(str(self.table.schema), shadow_name(name))
            cursor.execute(sql.SQL("ALTER INDEX {} RENAME TO {}").format(index, sql.Identifier(name)))


def _list(form: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.SQL(form).format(sql.Identifier(name)) for name in names)
