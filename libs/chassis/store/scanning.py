"""Rows that name somebody, out of a table that has no index of that: a stretch at a time, each of bounded work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import to_json, to_jsonable_python
from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, or_, select

from libs.chassis.store.listing import Keyset, fitting
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage

STEP: Final = 500
"""Rows of a stretch, with what is looked up beside each."""


Tell = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What is said of a row, as JSON can say it."""


class Scan:
    """Built once, since its statements are compiled once.

    `rows`: what is looked through, in the order of `keyset`, which an index serves; `named`: whether a row names them.
    """

    def __init__(self, keyset: Keyset, rows: Select[Any], named: ColumnElement[bool]) -> None:
        self._keyset = keyset
        self._first = self._stretch(rows, named)
        self._next = self._stretch(rows.where(keyset.after()), named)

    def page(self, work: Work, cursor: str | None, tell: Tell, **parameters: Any) -> ExportPage:
        """What `tell(row)` makes of the rows of the next stretch that name them, as JSON.

        Raises:
            Invalid: the cursor is none of this scan's.
        """
        place = {} if cursor is None else self._keyset.place(cursor)
        statement = self._first if cursor is None else self._next
        rows = work.fetch(statement, **parameters, **place, step_=STEP)
        named = [row for row in rows if row["named_"]]
        told = fitting([(row, to_jsonable_python(tell(row))) for row in named], _size)
        if len(told) < len(named):
            following: Mapping[str, Any] | None = told[-1][0]
        else:
            following = rows[-1] if rows and rows[-1]["many_"] == STEP else None
        return ExportPage(
            rows=tuple(row for _, row in told),
            next_cursor=None if following is None else self._keyset.cursor(following),
        )

    def _stretch(self, rows: Select[Any], named: ColumnElement[bool]) -> Select[Any]:
        """Those that name them, and the last one, which says where the next stretch begins."""
        order = self._keyset.order
        limited = (
            rows.add_columns(named.label("named_"))
            .order_by(*order)
            .limit(bindparam("step_", type_=Integer))
            .subquery("limited")
        )
        columns = [limited.c[str(c.key)] for c in self._keyset.columns]
        order = tuple(c.desc() for c in columns) if self._keyset.descending else tuple(columns)
        counted = select(
            limited, func.count().over().label("many_"), func.row_number().over(order_by=order).label("nth_")
        ).subquery("counted")
        return select(counted).where(or_(counted.c.named_, counted.c.nth_ == counted.c.many_)).order_by(counted.c.nth_)


def _size(told: tuple[Any, Any]) -> int:
    return len(to_json(told[1]))
