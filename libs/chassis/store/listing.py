"""Lists: pages by number and by cursor, over an order that an index serves, with a total that never costs a scan.

A page ends early where its rows would not fit into one answer; the next one begins there.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol, TypeVar
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import to_json
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    bindparam,
    func,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, Executable
from sqlalchemy.sql.compiler import SQLCompiler

from libs.chassis.store.changes import compiled
from libs.chassis.store.estimates import Total
from libs.chassis.store.work import Work
from libs.contracts.model import Contract, SentMoment
from libs.contracts.requests import EXACT, Invalid, ListPage

T = TypeVar("T")

_PLACE: Final = "place_"
_ANSWER_BYTES: Final = 512 * 1024
"""Of rows: an answer must stay below the bus's limit of 1 MiB, and one row, which came as an event, is no larger."""
_LIMIT, _OFFSET, _REACH = (bindparam(name, type_=Integer) for name in ("limit_", "offset_", "reach_"))
_VALUES: Final[Mapping[type, Any]] = {
    datetime: SentMoment,
    UUID: UUID,
    str: Annotated[str, Field(pattern=r"^[^\x00]*$")],
}


def fitting(rows: Iterable[T], size: Callable[[T], int]) -> list[T]:
    """The first of these, as many as fit into one answer by their `size` in bytes: at least one, if there is any."""
    fit: list[T] = []
    whole = 0
    for row in rows:
        whole += size(row)
        if fit and whole > _ANSWER_BYTES:
            break
        fit.append(row)
    return fit


@dataclass(frozen=True)
class Keyset:
    """The order of a list: columns that are unique together, all of them up, or down.

    A cursor holds them as they are in a row, so that what is added elsewhere moves no page. `name` is the list's: a
    cursor of another list is refused.
    """

    name: str
    columns: tuple[ColumnElement[Any], ...]
    descending: bool = False

    def cursor(self, row: Mapping[str, Any]) -> str:
        """Where `row` stands, which has these columns by their names."""
        place = to_json([self.name, *(row[c.key] for c in self.columns if c.key)])
        return urlsafe_b64encode(place).decode().rstrip("=")

    def place(self, cursor: str) -> dict[str, Any]:
        """The parameters of `after`.

        Raises:
            Invalid: it is none of this list's.
        """
        try:
            raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            _, *values = self._form.validate_json(raw, strict=True)
        except (ValueError, ValidationError):
            raise Invalid("must be the nextCursor of another page of this list", field="cursor") from None
        return {f"{_PLACE}{number}": value for number, value in enumerate(values)}

    @cached_property
    def _form(self) -> TypeAdapter[Any]:
        values: Any = (Literal[self.name], *map(_value, self.columns))
        form: Any = tuple[values]
        return TypeAdapter(form)

    @property
    def order(self) -> tuple[ColumnElement[Any], ...]:
        return tuple(c.desc() for c in self.columns) if self.descending else self.columns

    def after(self) -> ColumnElement[bool]:
        """What stands behind the place of a cursor. The first condition says no more, and is what every index knows."""
        here = tuple_(*self.columns)
        there = tuple_(*(bindparam(f"{_PLACE}{n}", type_=c.type) for n, c in enumerate(self.columns)))
        return here < there if self.descending else here > there


class Start(NamedTuple):
    """Where a page begins: behind a place, or so many rows from the beginning."""

    place: dict[str, Any] | None = None
    offset: int = 0

    @classmethod
    def of(cls, query: ListPage, keyset: Keyset) -> Start:
        """What `query` asks for. Raises Invalid: the cursor is none of this list's, or pages do not reach so far."""
        if query.cursor is None:
            return cls(offset=query.offset())
        if query.page is not None:
            raise Invalid("give a page or a cursor, not both", field="cursor")
        return cls(keyset.place(query.cursor))


class Order(Protocol):
    """Of a list's rows."""

    def cursor(self, row: Mapping[str, Any]) -> str:
        """Where `row` stands."""
        ...


class Page(NamedTuple):
    """Rows in their order, and what the answer says beside them."""

    rows: list[dict[str, Any]]
    total: int
    total_is_estimate: bool
    next_cursor: str | None
    order: Order

    def told(self, name: str, views: Iterable[Contract]) -> dict[str, Any]:
        """The fields of a `ListView`: as `name` the views of the rows, one of each, as many as fit into one answer.

        Of `views` no more are made than that, and one.
        """
        shown = tuple(fitting(views, _size))
        whole = len(shown) == len(self.rows)
        following = self.next_cursor if whole else self.order.cursor(self.rows[len(shown) - 1])
        beside = {"total": self.total, "total_is_estimate": self.total_is_estimate, "next_cursor": following}
        return {name: shown} | beside


def paged(order: Order, limit: int, rows: list[dict[str, Any]], total: Total) -> Page:
    """A page of `rows`, of which one more than its limit was asked for: that one says that others follow."""
    following = order.cursor(rows[limit - 1]) if len(rows) > limit else None
    return Page(rows[:limit], *total, following, order)


def _size(view: Contract) -> int:
    return len(view.to_json())


def _inside(wrapped: Any) -> Any:
    """What a parameter holds that is no plain value; what cannot be compared is like nothing else."""
    return wrapped.obj if isinstance(wrapped, Jsonb) else uuid4().hex


def _value(column: ColumnElement[Any]) -> Any:
    if isinstance(column.type, Integer):
        bits = 63 if isinstance(column.type, BigInteger) else 31
        return Annotated[int, Field(ge=-(2**bits), lt=2**bits)]
    return _VALUES[column.type.python_type]


@dataclass(frozen=True)
class Each:
    """A stretch for each row of `over`, whose columns `rows` names: as many as there are, in one statement."""

    over: FromClause
    rows: Select[Any]

    def where(self, condition: ColumnElement[bool]) -> Each:
        return Each(self.over, self.rows.where(condition))

    def joined(self, rows: Select[Any]) -> Select[Any]:
        """All that stands in its stretches; `rows`: of each."""
        each = rows.lateral("each")
        return select(each).select_from(self.over.join(each, true()))


Stretch = Select[Any] | Each


class Listing:
    """The statements of one list. Built once, since each is compiled once.

    `rows`: what is listed, with its filters. Several of them are stretches of one index: they are merged in their
    order, so that each is read no further than the page reaches. No row stands in two of them.
    """

    def __init__(self, keyset: Keyset, *rows: Stretch) -> None:
        self.keyset = keyset
        self._numbered = _ordered(keyset, rows).limit(_LIMIT).offset(_OFFSET)
        self._after = _ordered(keyset, [s.where(keyset.after()) for s in rows]).limit(_LIMIT)
        counted = _together([_keys(keyset, s, EXACT + 1) for s in rows])
        self._count = select(func.count().label("total")).select_from(counted.limit(EXACT + 1).subquery())
        self.keys = _together([_keys(keyset, s) for s in rows])
        """The columns of the order, of all rows and in none."""
        self._explain = Explain(self.keys)

    def page(self, work: Work, query: ListPage, **parameters: Any) -> Page:
        """What `query` asks for, with the parameters of the filters.

        Raises:
            Invalid: the cursor is none of this list's, or pages do not reach so far.
        """
        start = Start.of(query, self.keyset)
        rows = self.rows(work, start, query.limit + 1, **parameters)
        return paged(self.keyset, query.limit, rows, self.total(work, **parameters))

    def rows(self, work: Work, start: Start, limit: int, **parameters: Any) -> list[dict[str, Any]]:
        """So many from there on, or fewer where there are no more."""
        if start.place is not None:
            return work.fetch(self._after, **parameters, **start.place, limit_=limit, reach_=limit)
        reach = start.offset + limit
        return work.fetch(self._numbered, **parameters, limit_=limit, offset_=start.offset, reach_=reach)

    def total(self, work: Work, **parameters: Any) -> Total:
        """How many rows there are; an estimate may be a minute old."""
        key = (self, _digest(parameters))
        if work.estimates is not None and (kept := work.estimates.get(key, work.now)) is not None:
            work.estimates.told(True)
            return kept
        rows = self.counted(work, **parameters)
        if rows <= EXACT:
            return Total(rows)
        total = Total(max(rows, planned_rows(work, self._explain, **parameters)), True)
        if work.estimates is not None:
            work.estimates.told(False)
            work.estimates.keep(key, work.now, total)
        return total

    def counted(self, work: Work, **parameters: Any) -> int:
        """How many rows there are, to one beyond `EXACT`."""
        return int(work.fetch(self._count, **parameters)[0]["total"])


def _together(rows: Sequence[Select[Any]]) -> Any:
    return union_all(*rows) if len(rows) > 1 else rows[0]


def _keys(keyset: Keyset, stretch: Stretch, most: int | None = None) -> Select[Any]:
    """What is counted of a stretch. `most`: no more of each row of an `Each`, so that it is read in no other way."""
    if isinstance(stretch, Each):
        keys = stretch.rows.with_only_columns(*keyset.columns, maintain_column_froms=True)
        return stretch.joined(keys if most is None else keys.limit(most))
    return stretch.with_only_columns(*keyset.columns, maintain_column_froms=True)


def _reaching(keyset: Keyset, stretch: Stretch) -> Select[Any]:
    """No further than the page reaches, whatever the planner thinks of it."""
    if isinstance(stretch, Each):
        return stretch.joined(stretch.rows.order_by(*keyset.order).limit(_REACH))
    return select(stretch.order_by(*keyset.order).limit(_REACH).subquery())


def _ordered(keyset: Keyset, rows: Sequence[Stretch]) -> Any:
    """One stretch is in its order as it is; several are merged."""
    if len(rows) == 1 and not isinstance(rows[0], Each):
        return rows[0].order_by(*keyset.order)
    together = _together([_reaching(keyset, s) for s in rows])
    columns = [together.selected_columns[str(c.key)] for c in keyset.columns]
    return together.order_by(*(c.desc() if keyset.descending else c for c in columns))


def planned_rows(work: Work, explain: Explain, **parameters: Any) -> int:
    """How many rows the planner thinks that there are, or thought within this minute: it has looked at a sample."""
    if work.estimates is None:
        return _planned_now(work, explain, parameters)
    _, own = compiled(explain)
    key = (explain, _digest({name: value for name, value in parameters.items() if name in own}))
    if (kept := work.estimates.get(key, work.now)) is not None:
        return kept.rows
    rows = _planned_now(work, explain, parameters)
    work.estimates.keep(key, work.now, Total(rows, True))
    return rows


def _planned_now(work: Work, explain: Explain, parameters: Mapping[str, Any]) -> int:
    return int(work.fetch(explain, **parameters)[0]["QUERY PLAN"][0]["Plan"]["Plan Rows"])


def _digest(parameters: Mapping[str, Any]) -> bytes:
    """Hashed: what people look for may be long, and is nobody's to keep."""
    return blake2b(to_json(parameters, fallback=_inside), digest_size=16).digest()


class Explain(Executable, ClauseElement):
    """The planner's guess: it knows from statistics about how many rows there are."""

    inherit_cache = False

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: SQLCompiler, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"
