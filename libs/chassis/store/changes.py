"""What a decision writes beside its events: rows of read models and timers, set, amended or removed, mostly by key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

from psycopg import Cursor
from psycopg.types.json import Jsonb
from pydantic_core import to_json
from sqlalchemy import LargeBinary, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement, Executable

from libs.chassis.store.personal import boxed, subjects_of

_DIALECT = postgresql.psycopg.dialect()  # type: ignore[no-untyped-call]
_QUOTE = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]


class Row(NamedTuple):
    """The row with this primary key becomes `values` (other columns keep what they had).

    JSON columns take anything that pydantic can write, contracts included.
    """

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)


class Patch(NamedTuple):
    """The row with this primary key takes over `values`, if there is one: for what a long row hardly changes."""

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)


class Newest(NamedTuple):
    """The row with this primary key becomes `values`, unless what it holds is later by the columns `by`.

    For what may be heard of in another order than it happened: in whatever order these are written, the same stays.
    `values` are whole rows, and no other change is written to the same table.
    """

    table: Table
    values: Mapping[str, Any]
    by: tuple[str, ...]

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)

    def is_before(self, old: Mapping[str, Any]) -> bool:
        """Whether what a row holds is later."""
        return _is_before(self.by, self.values, old)


class NewestPatch(NamedTuple):
    """`Patch`, unless what the row holds is later by the columns `by`: for what another table's events say of a row.

    No other change writes these columns, and this one writes no other: in whatever order they come, the same stays.
    """

    table: Table
    values: Mapping[str, Any]
    by: tuple[str, ...]

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)

    def is_before(self, old: Mapping[str, Any]) -> bool:
        """Whether what a row holds is later."""
        return _is_before(self.by, self.values, old)


class Tally(NamedTuple):
    """What has come to be counted: the columns `sums` of the row with this primary key grow by their values.

    The others become the greater of what the row holds and of what comes, or what comes where the column `era` says
    that it has changed: what lies in another era cannot be compared. An era is a path, `<earlier>/<later>`: what comes
    from an earlier one than the row's is counted and no more. None leaves a column as it is. Transactions that add to
    one row at the same time may do so in any order. `values` are whole rows, and no other change but `Gone` is written
    to the same table.
    """

    table: Table
    values: Mapping[str, Any]
    sums: tuple[str, ...]
    era: str

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)

    def onto(self, old: Mapping[str, Any]) -> dict[str, Any]:
        """A row after this, as PostgreSQL makes it."""
        before, era = old[self.era], self.values[self.era]
        is_earlier = before is not None and era is not None and before.startswith(f"{era}/")
        changed = before is not None and era is not None and before != era
        row = {
            c: old[c] if is_earlier or value is None else value if changed else _greater(old[c], value)
            for c, value in self.values.items()
        }
        row |= {c: old[c] + self.values[c] for c in self.sums}
        return row | {self.era: before if era is None or is_earlier else era}


def _greater(old: Any, new: Any) -> Any:
    return new if old is None or (new is not None and new > old) else old


class Gone(NamedTuple):
    """The row with this primary key is removed, if there is one."""

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> Any:
        return _key_of(self.table)(self.values)


class Cleared(NamedTuple):
    """Every row that has these values is removed: for what belongs together, however much it has become.

    The columns are ones that all other changes to the table say, but for those by which rows of it go.
    """

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> Any:
        return tuple(self.values.items())

    def concerns(self, change: Change) -> bool:
        """Whether an earlier change was to a row that is removed."""
        return change.table is self.table and self.values.items() <= change.values.items()


class Added(NamedTuple):
    """A further row, whose primary key the table gives."""

    table: Table
    values: Mapping[str, Any]

    @property
    def key(self) -> Any:
        return object()


Change = Row | Patch | Newest | NewestPatch | Tally | Gone | Cleared | Added


def _is_before(by: Sequence[str], new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    there, here = [new[c] for c in by], [old.get(c) for c in by]
    return None not in here and there < here


@lru_cache(maxsize=512)
def compiled(statement: Executable) -> tuple[str, dict[str, Any]]:
    """SQL text for psycopg and the statement's own parameters. Statements that are built once compile once."""
    assert isinstance(statement, ClauseElement)  # noqa: S101 - narrows for the type checker
    result = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    return str(result), {name: adapt(value) for name, value in result.params.items()}


def adapt(value: Any) -> Any:
    """psycopg has no default for a dict; everything else it adapts by its type."""
    return Jsonb(value) if isinstance(value, dict) else value


@lru_cache(maxsize=256)
def _key_of(table: Table) -> Callable[[Mapping[str, Any]], Any]:
    return itemgetter(*_keys(table))


@lru_cache(maxsize=256)
def _keys(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)


@lru_cache(maxsize=256)
def _binary(table: Table) -> frozenset[str]:
    return frozenset(c.name for c in table.columns if isinstance(c.type, LargeBinary))


@lru_cache(maxsize=512)
def _write(kind: type, table: Table, columns: tuple[str, ...], by: tuple[str, ...]) -> bytes:
    """One statement for any number of rows, which travel as one JSON document.

    A statement a row costs the client more than all the rest of a decision (docs/adr/0005). They are written in the
    order of their keys: two transactions that write the same rows must not wait for one another.
    """
    name = f"{_QUOTE(str(table.schema))}.{_QUOTE(table.name)}"
    keys = [_QUOTE(key) for key in _keys(table)]
    # A document is read once as jsonb; as json it would be read three times. Short values come faster out of json.
    kind_of_json = "jsonb" if any(isinstance(c.type, postgresql.JSONB) for c in table.columns) else "json"
    rows = f"{kind_of_json}_populate_recordset(NULL::{name}, %s::{kind_of_json})"
    same = " AND ".join(f"t.{key} = r.{key}" for key in keys)
    if kind is Added:
        quoted = ", ".join(map(_QUOTE, columns))
        return f"INSERT INTO {name} ({quoted}) SELECT {quoted} FROM {rows}".encode()  # noqa: S608 - names of our own tables
    rows = f"(SELECT * FROM {rows} ORDER BY {', '.join(keys)})"  # noqa: S608 - names of our own tables
    if kind is Cleared:
        same = " AND ".join(f"t.{c} = r.{c}" for c in map(_QUOTE, columns))
    if kind in (Gone, Cleared):
        return f"DELETE FROM {name} t USING {rows} r WHERE {same}".encode()  # noqa: S608 - names of our own tables
    if kind in (Patch, NewestPatch):
        later = f" AND {_not_earlier('r', by)}" if by else ""
        taken = ", ".join(f"{c} = r.{c}" for c in map(_QUOTE, columns) if c not in keys)
        return f"UPDATE {name} t SET {taken} FROM {rows} r WHERE {same}{later}".encode()  # noqa: S608 - names of our own tables
    if kind is Tally:
        changed = _counted(columns, keys, by)
    else:
        changed = ", ".join(f"{c} = excluded.{c}" for c in map(_QUOTE, columns) if c not in keys)
    action = f"UPDATE SET {changed}" if changed else "NOTHING"
    if kind is Newest:
        action += f" WHERE {_not_earlier('excluded', by)}"
    quoted = ", ".join(map(_QUOTE, columns))
    return (
        f"INSERT INTO {name} AS t ({quoted}) SELECT {quoted} FROM {rows} r"  # noqa: S608 - names of our own tables
        f" ON CONFLICT ({', '.join(keys)}) DO {action}"
    ).encode()


def _not_earlier(new: str, by: Sequence[str]) -> str:
    there, here = (", ".join(f"{side}.{_QUOTE(c)}" for c in by) for side in (new, "t"))
    return f"coalesce(({there}) >= ({here}), true)"


def _counted(columns: Sequence[str], keys: Sequence[str], by: Sequence[str]) -> str:
    """The assignments of `Tally.onto`; `by`: its era, then its sums."""
    era, *sums = map(_QUOTE, by)

    def value(column: str) -> str:
        old, new = f"t.{column}", f"excluded.{column}"
        if column in sums:
            return f"{old} + {new}"
        earlier = f"CASE WHEN starts_with(t.{era}, excluded.{era} || '/') THEN {old}"
        if column == era:
            return f"{earlier} ELSE coalesce({new}, {old}) END"
        return f"{earlier} WHEN t.{era} <> excluded.{era} THEN coalesce({new}, {old}) ELSE greatest({old}, {new}) END"

    return ", ".join(f"{c} = {value(c)}" for c in map(_QUOTE, columns) if c not in keys)


_TURNS: Mapping[type, int] = {Cleared: 0, NewestPatch: 2}


def apply_changes(
    open_cursor: Callable[[], Cursor[Any]],
    changes: Iterable[Change],
    into: Mapping[Table, Table] = MappingProxyType({}),
) -> None:
    """Write what became of each row, one statement for each table and shape, each on a cursor of its own.

    `into`: the tables in whose place others are written.
    """
    last: dict[tuple[Table, Any, bool], Change] = {}
    for change in changes:
        if isinstance(change, Cleared):
            last = {place: before for place, before in last.items() if not change.concerns(before)}
        place = (change.table, change.key, isinstance(change, NewestPatch))
        before = last.setdefault(place, change)
        if before is not change:
            last[place] = _after(before, change)
    groups: dict[tuple[type, Table, tuple[str, ...], tuple[str, ...]], list[Mapping[str, Any]]] = {}
    for change in last.values():
        match change:
            case Newest(by=by) | NewestPatch(by=by):
                pass
            case Tally(sums=sums, era=era):
                by = (era, *sums)
            case _:
                by = ()
        shape = (type(change), change.table, tuple(change.values), by)
        groups.setdefault(shape, []).append(change.values)
    # What is left was written after its table was cleared of it, and a row stands before it is amended.
    for (kind, named, columns, by), rows in sorted(groups.items(), key=lambda group: _TURNS.get(group[0][0], 1)):
        table = into.get(named, named)
        binary = _binary(table)
        written = [_hex(row, binary) for row in rows] if binary else rows
        if subjects_of(table):
            written = [boxed(row) for row in written]
        open_cursor().execute(_write(kind, table, columns, by), (to_json(written).decode(),), prepare=True)


def _after(before: Change, change: Change) -> Change:
    """Both as one: a partial row and a patch add to what an earlier change has set."""
    match before, change:
        case ((Row() | Patch()), (Row() | Patch())):
            kind = Row if Row in (type(before), type(change)) else Patch
            return kind(change.table, {**before.values, **change.values})
        case (Newest(), Newest(by=by)) | (NewestPatch(), NewestPatch(by=by)):
            return before if _is_before(by, change.values, before.values) else change
        case Tally(), Tally():
            return change._replace(values=change.onto(before.values))
        case Gone(), Patch():
            return before
        case _:
            return change


def _hex(row: Mapping[str, Any], binary: frozenset[str]) -> Mapping[str, Any]:
    """JSON has no bytes: PostgreSQL reads them as hexadecimal text."""
    return {k: f"\\x{v.hex()}" if k in binary and isinstance(v, bytes) else v for k, v in row.items()}
