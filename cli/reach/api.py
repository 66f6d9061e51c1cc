"""The HTTP API as the command line uses it: pager-client, whose failures are a command's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from httpx import AsyncClient

from cli.console.failure import USAGE, Failure
from pager_client import AsyncPager, PagerError


@asynccontextmanager
async def api_of(url: str, token: str | None = None, *, retries: int = 2) -> AsyncIterator[AsyncPager]:
    """`async with api_of(url) as api`; `token`, an access token or an API key, makes it speak for somebody.

    Raises `Failure` for what is not caught inside as `PagerError`.
    """
    # No call goes through a proxy (README), and timelines say that it was the command line.
    headers = {"User-Agent": f"pager-cli/{version('pager')}"}
    async with AsyncClient(trust_env=False, headers=headers) as http:
        try:
            pager = AsyncPager(url, access_token=token, retries=retries, http=http)
        except ValueError as error:
            raise Failure(str(error), USAGE) from None
        try:
            yield pager
        except PagerError as error:
            raise Failure(str(error)) from None
