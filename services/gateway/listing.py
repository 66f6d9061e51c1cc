"""The query parameters of lists."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from libs.contracts.requests import ListPage

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PageLimit = Annotated[int, Query(ge=1, le=100)]


async def _paging(page: PageNumber = 1, limit: PageLimit = 20) -> ListPage:
    return ListPage(page=page, limit=limit)


Paging = Annotated[ListPage, Depends(_paging)]
"""`page` from 1, `limit` from 1 to 100 (specification, GET /incidents)."""
