"""The models of answers, for the documentation: the envelope around the contracts' views."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, create_model

from libs.contracts.model import Contract

Documented = dict[int | str, dict[str, Any]]
TOO_MANY_DEVICES = "there are five devices; `details.devices` lists them, and `replace` may name the one that goes"


class Pagination(Contract):
    """The specification's `pagination`."""

    page: int | None = Field(default=None, description="Where pages are numbered, as without a cursor.")
    limit: int
    total: int = Field(description="Exact to 10,000, then an estimate.")
    total_pages: int | None = Field(default=None, description="Where pages are numbered.")
    total_is_estimate: bool | None = Field(default=None, description="Only present when true.")
    ends_early: bool | None = Field(
        default=None,
        description="Only present when true: fewer rows than `limit` fitted into one answer. Those that are missing"
        " stand behind `nextCursor`, and on no numbered page.",
    )


def answer(title: str, data: type[Contract]) -> type[Contract]:
    """`{"success": true, "data": <data>}` under the name `<title>Answer`."""
    return create_model(f"{title}Answer", __base__=Contract, success=(Literal[True], ...), data=(data, ...))


def one(name: str, view: Any, title: str) -> type[Contract]:
    """`{"data": {"<name>": view}}`."""
    fields: dict[str, Any] = {name: (view, ...)}
    return answer(title, create_model(f"{title}Data", __base__=Contract, **fields))


def several(name: str, view: Any, title: str) -> type[Contract]:
    """`{"data": {"<name>": [views], "pagination": …, "nextCursor": …}}`."""
    beside: dict[str, Any] = {"pagination": (Pagination, ...), "next_cursor": (str | None, None)}
    fields: dict[str, Any] = {name: (list[view], ...)} | beside
    return answer(title, create_model(f"{title}Data", __base__=Contract, **fields))


def listed(name: str, view: Any, title: str) -> type[Contract]:
    """`{"data": {"<name>": [views], "nextCursor": …}}`: what has no number of pages."""
    fields: dict[str, Any] = {name: (list[view], ...), "next_cursor": (str | None, None)}
    return answer(title, create_model(f"{title}Data", __base__=Contract, **fields))


ANOTHERS_PAGE: Documented = {
    403: {
        "description": "FORBIDDEN: a browser's session (`platform: web`) needs an `Origin` that PAGER_PUBLIC_URL or "
        "PAGER_CORS_ORIGINS name"
    }
}

OF_A_VERSION: Documented = {
    412: {
        "description": "PRECONDITION_FAILED: If-Match names other versions of what it belongs to than the present one"
    }
}
"""For what is added to a thing with a version, or taken from it, and has none itself."""


def documented(
    model: type[Contract], status: int = 200, *, conflict: str | None = None, missing: str | None = None
) -> Documented:
    """`responses` of a route; the errors that follow from its shape are added by `openapi.py`."""
    responses: Documented = {status: {"model": model, "description": "Done"}}
    if conflict is not None:
        responses[409] = {"description": f"CONFLICT: {conflict}"}
    if missing is not None:
        responses[404] = {"description": f"NOT_FOUND: {missing}"}
    return responses
