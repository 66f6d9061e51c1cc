"""The query parameters of lists, and what an answer says beside the rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from starlette.responses import Response

from libs.contracts.requests import EXACT, Invalid, ListPage
from services.gateway.envelope import Problem, success

PageNumber = Annotated[int, Query(ge=1, description=f"Pages reach to row {EXACT}, and cursors further.")]
PageLimit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[
    str | None, Query(max_length=4096, description="`nextCursor` of the page before; the last page has none.")
]


def _paging(default: int) -> Callable[..., Coroutine[Any, Any, ListPage]]:
    async def paging(page: PageNumber = 1, limit: PageLimit = default, cursor: Cursor = None) -> ListPage:
        given = {"page": page if page > 1 else None, "limit": limit if limit != default else None, "cursor": cursor}
        asked = ListPage(**{name: value for name, value in given.items() if value is not None})
        try:
            asked.model_copy(update={"limit": limit}).offset()
        except Invalid as error:
            raise Problem.of(error.refusal()) from None
        return asked

    return paging


Paging = Annotated[ListPage, Depends(_paging(20))]
"""`page` from 1, or `cursor`; `limit` from 1 to 100 (specification, GET /incidents)."""
OfTeam = Annotated[UUID | None, Query(alias="teamId", description="Only what belongs to this team.")]
WholePaging = Annotated[ListPage, Depends(_paging(100))]
"""The same, a hundred where nothing is said: for what belongs to one thing and is looked at as a whole."""


def check_period(since: datetime | None, until: datetime | None) -> None:
    """Raises Problem (400): two moments that were mistaken for each other would silently be an empty list."""
    if since is not None and until is not None and since >= until:
        raise Problem.invalid("to", "must be later than from")


def page(name: str, found: Any, asked: ListPage) -> Response:
    """The page that was asked for, with the specification's `pagination`; `totalIsEstimate` only where it is one.

    `page` and `totalPages` only where pages are numbered; `endsEarly` only where fewer rows fitted into one answer: the
    others stand behind `nextCursor`, and on no numbered page. A service of the release before says no total where it
    answers with all that there is.
    """
    total = int(found.get("total", len(found[name])))
    numbered = {} if asked.cursor is not None else {"page": asked.page or 1}
    pagination: dict[str, Any] = numbered | {"limit": asked.limit, "total": total}
    if numbered:
        pagination["totalPages"] = math.ceil(total / asked.limit)
    if found.get("totalIsEstimate"):
        pagination["totalIsEstimate"] = True
    if found.get("nextCursor") is not None and len(found[name]) < asked.limit:
        pagination["endsEarly"] = True
    return success({name: found[name], "pagination": pagination, "nextCursor": found.get("nextCursor")})
