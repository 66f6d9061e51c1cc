"""`AsyncPager`; `client.py` is made from this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from pager_client import types
from pager_client.async_operations import AsyncOperations
from pager_client.errors import PagerError
from pager_client.flow import Renew, Send, Steps, Wait, next_page
from pager_client.http import DEVICE, Body, agent, flow_of, prepared, told
from pager_client.requests import Reply, Request
from pager_client.session import Session
from pager_client.streaming import Frame


class AsyncPager(AsyncOperations):
    """`async with AsyncPager(url, api_key=…) as pager`, or without a key and with `sign_in`. Tasks may share one.

    `timeout` is seconds for one try, `retries` how often what may be sent again is. `http` is for whoever needs an
    authority, a proxy or connections of their own, and stays theirs. Every call raises `PagerError`.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        access_token: str | None = None,
        timeout: float = 15.0,
        retries: int = 2,
        user_agent: str | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._flow = flow_of(url, api_key, access_token, timeout, retries)
        self._http = http if http is not None else httpx.AsyncClient(headers={"User-Agent": user_agent or agent()})
        self._is_ours = http is None
        self._turn = asyncio.Lock()
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._flow.url!r})"

    async def close(self) -> None:
        """Close the connections. Whoever signed in stays so: `sign_out` ends that."""
        if self._is_ours:
            await self._http.aclose()

    def with_token(self, token: str | None) -> AsyncPager:
        """The same door on the same connections, for whoever has this access token or API key."""
        other = AsyncPager.__new__(AsyncPager)
        other.__dict__.update(self.__dict__)
        other._flow, other._turn = replace(self._flow, session=Session(token)), asyncio.Lock()
        other._is_ours = False
        return other

    async def sign_in(self, email: str, password: str, device_id: str = DEVICE, **more: Any) -> types.SignedInView:
        """From here on calls are this person's; tokens are renewed until the session ends.

        A device has one session: give each place where your program runs a `device_id` of its own. `more` is what
        else `login` takes, such as `totp`.
        """
        answer: types.SignedInView = await self._carried_out(self._flow.sign_in(email, password, device_id, more))
        return answer

    async def sign_out(self) -> None:
        """End the session that `sign_in` began, if it has not ended by itself."""
        await self._carried_out(self._flow.sign_out())

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        match: str | None = None,
    ) -> Any:
        """The `data` that is answered, of any path below `/api/v1`; all other methods come through here."""
        return await self._carried_out(self._flow.call(Request(method, path, body, query, key, match)))

    async def pages(self, path: str, query: Mapping[str, Any], name: str) -> AsyncIterator[Any]:
        """Everything called `name` on all pages of a list."""
        asked: dict[str, Any] | None = {"limit": 100, **query}
        while asked is not None:
            items, asked = next_page(asked, await self.call("GET", path, query=asked), name)
            for one in items:
                yield one

    def stream(self, after: str | None = None, **connection: Any) -> AsyncGenerator[Frame, None]:
        """What becomes of incidents, as it happens: `frame["type"]`, and mostly `frame["incident"]`.

        A line that ends is taken up again where it was, after a frame `interrupted`; `after` is the `position` of a
        frame that was handled in an earlier run. At `ready` and `reset` list anew. `connection` is for `connect` of
        websockets, such as `ssl` and `proxy`. It needs `pip install 'pager-client[stream]'`.
        """
        from pager_client.aio_stream import frames

        options = {"user_agent_header": self._http.headers.get("User-Agent"), **connection}
        return frames(self._flow, self._renewed, self._sleep, after, options)

    async def _carried_out(self, steps: Steps) -> Any:
        came: Any = None
        while True:
            try:
                step = steps.throw(came) if isinstance(came, PagerError) else steps.send(came)
            except StopIteration as done:
                return done.value
            try:
                came = await self._taken(step)
            except PagerError as error:
                came = error

    async def _taken(self, step: Send | Wait | Renew) -> Reply | None:
        if isinstance(step, Send):
            return await self._sent(step)
        if isinstance(step, Wait):
            await self._sleep(step.seconds)
        else:
            await self._renewed(step.stale)
        return None

    async def _renewed(self, stale: str | None) -> None:
        async with self._turn:
            await self._carried_out(self._flow.renewed(stale))

    async def _sent(self, send: Send) -> Reply:
        request, body = prepared(self._http, self._flow, send), Body(self._flow.timeout)
        with told(self._flow, send):
            response = await self._http.send(request, stream=True)
            try:
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
            finally:
                await response.aclose()
        return body.reply(response)
