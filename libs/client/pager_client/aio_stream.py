"""The stream of incidents; `stream.py` is made from this."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from pager_client.errors import NotAnswered, PagerError, Unauthenticated
from pager_client.flow import Flow
from pager_client.streaming import MOST_BYTES, Frame, Line, address_of, authenticate, frame_of

Renew = Callable[[str | None], Awaitable[None]]
"""Get another token in the place of this one, which is not good any more or soon."""
Sleep = Callable[[float], Awaitable[None]]


class _Door(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Nowhere else: the token is for this address."""
        return exc


async def frames(
    flow: Flow, renew: Renew, sleep: Sleep, after: str | None, options: Mapping[str, Any]
) -> AsyncGenerator[Frame, None]:
    """What is told, across connections, from `after` on. Raises `PagerError`: it cannot go on."""
    line, stale, may_renew = Line(flow.url, after, flow.timeout), None, True
    while True:
        line.begin()
        try:
            if stale is not None:
                await renew(stale)
                stale = None
            async for frame in _heard(flow, line, renew, options):
                may_renew = may_renew or frame["type"] == "ready"
                yield frame
                line.handled(frame)
        except Unauthenticated:
            # Once for each line: whoever refuses the next token, too, means it.
            if flow.session.refresh is None or not may_renew:
                raise
            stale, may_renew = flow.session.bearer, False
        except PagerError as error:
            pause = line.pause(error)
            yield pause
            await sleep(pause["retryAfter"])


async def _heard(flow: Flow, line: Line, renew: Renew, options: Mapping[str, Any]) -> AsyncIterator[Frame]:
    """Of one connection. Raises `PagerError` when it ends."""
    given = {"max_size": MOST_BYTES, "open_timeout": flow.timeout, "close_timeout": 2, **options}
    try:
        async with _Door(address_of(flow.url), **given) as socket:
            await socket.send(authenticate(flow.session.bearer, line.after))
            while True:
                frame = frame_of(await asyncio.wait_for(socket.recv(), line.silence))
                if frame["type"] == "expiring" and flow.session.refresh is not None:
                    await _show_another(flow, socket, renew)
                if line.hear(frame):
                    yield frame
    except ConnectionClosed as closed:
        said = closed.rcvd
        raise line.ended(said.code if said else None, said.reason if said else "") from None
    except InvalidStatus as refused:
        answer = refused.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        raise line.refused(answer.status_code, headers, answer.body) from None
    except (OSError, TimeoutError, InvalidHandshake) as error:
        why = str(error) or type(error).__name__
        raise NotAnswered(f"{flow.url} does not answer: {why}", sent=False) from error


async def _show_another(flow: Flow, socket: ClientConnection, renew: Renew) -> None:
    await renew(flow.session.bearer)
    await socket.send(authenticate(flow.session.bearer))
