"""A client of Pager's HTTP API: `Pager` for programs that wait, `AsyncPager` for asyncio.

Methods are named after the operations of the API, arguments and answers are as on the wire (`docs/api.md`), errors are
in `errors`, types in `types`.
"""

from pager_client.aio import AsyncPager
from pager_client.client import Pager
from pager_client.errors import (
    Conflict,
    Forbidden,
    NotAnswered,
    NotFound,
    PagerError,
    PreconditionFailed,
    RateLimited,
    Refused,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from pager_client.requests import etag

__all__ = [
    "AsyncPager",
    "Conflict",
    "Forbidden",
    "NotAnswered",
    "NotFound",
    "Pager",
    "PagerError",
    "PreconditionFailed",
    "RateLimited",
    "Refused",
    "Unauthenticated",
    "Unavailable",
    "ValidationFailed",
    "etag",
]
