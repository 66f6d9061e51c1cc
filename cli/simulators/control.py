"""The control door: what was pushed, and what to answer from now on; JSON, loopback hosts only."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cli.simulators import payloads
from cli.simulators.answers import PROVIDERS
from cli.simulators.behaviour import BadField, BehaviourBook, parse_rule
from cli.simulators.messages import Request, Responder
from cli.simulators.records import Push, PushLog
from cli.simulators.webpush import SUBSCRIBE_PATH

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
MAX_WAIT = 60.0  # s
_JSON = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class ControlDoor:
    """Handles `/pushes`, `/behaviour`, `/webpush/subscriptions` and `/healthz`.

    `describe` gives the body of the last, `subscribe` a subscription of a body, or None.
    """

    def __init__(
        self,
        book: BehaviourBook,
        log: PushLog,
        describe: Callable[[], dict[str, Any]],
        subscribe: Callable[[object], dict[str, Any] | None],
    ) -> None:
        self._book = book
        self._log = log
        self._describe = describe
        self._subscribe = subscribe
        self._polls: set[asyncio.Task[None]] = set()
        self._routes: dict[tuple[str, str], Callable[[Request, Responder], None]] = {
            ("GET", "/pushes"): self._pushes,
            ("GET", "/behaviour"): self._show,
            ("POST", "/behaviour"): self._add,
            ("DELETE", "/behaviour"): self._clear,
            ("POST", SUBSCRIBE_PATH): self._make_subscription,
            ("GET", "/healthz"): self._health,
        }

    def __call__(self, request: Request, responder: Responder) -> None:
        """Route one request; every 400 names the field that is wrong."""
        # A web page must not read the pages of a pager through DNS rebinding.
        if not _is_loopback(f"//{request.header(b'host') or ''}"):
            _send(responder, 403, {"error": "host: only loopback names are served"})
            return
        # Nor tell what is answered to them: a browser says which page asks.
        origin = request.header(b"origin")
        if origin is not None and not _is_loopback(origin):
            _send(responder, 403, {"error": "origin: only pages of this machine are served"})
            return
        path = request.target.partition("?")[0]
        handler = self._routes.get((request.method, path))
        if handler is None:
            known = [method for method, route in self._routes if route == path]
            status = 405 if known else 404
            _send(responder, status, {"error": f"{request.method} {path} is not served here"})
            return
        try:
            handler(request, responder)
        except BadField as fault:
            _send(responder, 400, {"error": str(fault)})

    async def close(self) -> None:
        """End the long polls that still wait."""
        for poll in self._polls:
            poll.cancel()
        await asyncio.gather(*self._polls, return_exceptions=True)

    def _pushes(self, request: Request, responder: Responder) -> None:
        query = dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))
        for name in query:
            if name not in ("after", "limit", "provider", "deviceToken", "wait"):
                raise BadField(name, "unknown parameter")
        after = int(_number(query, "after", 0, float("inf"), 0))
        limit = int(_number(query, "limit", 1, MAX_LIMIT, DEFAULT_LIMIT))
        wait = _number(query, "wait", 0, MAX_WAIT, 0)
        provider = query.get("provider")
        if provider is not None and provider not in PROVIDERS:
            raise BadField("provider", f"must be one of {', '.join(PROVIDERS)}")
        device_token = query.get("deviceToken")
        found = self._log.read(after, limit, provider, device_token)
        if found or not wait:
            _send_pushes(responder, found)
            return

        async def poll() -> None:
            _send_pushes(responder, await self._log.wait(wait, after, limit, provider, device_token))

        task = asyncio.get_running_loop().create_task(poll())
        self._polls.add(task)
        task.add_done_callback(self._polls.discard)

    def _show(self, request: Request, responder: Responder) -> None:
        _send(responder, 200, [rule.to_document() for rule in self._book.rules()])

    def _add(self, request: Request, responder: Responder) -> None:
        if not _is_json(request, responder):
            return
        rule = parse_rule(_read(request))
        self._book.add(rule)
        _send(responder, 200, rule.to_document())

    def _make_subscription(self, request: Request, responder: Responder) -> None:
        if not _is_json(request, responder):
            return
        made = self._subscribe(_read(request))
        if made is None:
            raise BadField("applicationServerKey", "must be 65 bytes in base64url, or left out")
        _send(responder, 201, made)

    def _clear(self, request: Request, responder: Responder) -> None:
        _send(responder, 200, {"removed": self._book.clear()})

    def _health(self, request: Request, responder: Responder) -> None:
        counts = {"newestId": self._log.newest_id, "oldestId": self._log.oldest_id, "rules": len(self._book)}
        _send(responder, 200, {"status": "ok", **counts, **self._describe()})


def _is_json(request: Request, responder: Responder) -> bool:
    # Any page may post a form or plain text anywhere; for JSON its browser asks first, and nobody here says yes.
    if (request.header(b"content-type") or "").partition(";")[0].strip().lower() == "application/json":
        return True
    _send(responder, 415, {"error": "content-type: must be application/json"})
    return False


def _read(request: Request) -> object:
    try:
        return payloads.decode(request.body)
    except ValueError as fault:
        raise BadField("body", "must be JSON") from fault


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _send(responder: Responder, status: int, document: object) -> None:
    responder.answer(status, _JSON, json.dumps(document).encode())


def _send_pushes(responder: Responder, pushes: list[Push]) -> None:
    responder.answer(200, _JSON, b"[" + b",".join([push.to_json() for push in pushes]) + b"]")


def _number(query: dict[str, str], name: str, low: float, high: float, default: float) -> float:
    if name not in query:
        return default
    try:
        value = float(query[name]) if name == "wait" else int(query[name])
    except ValueError as fault:
        raise BadField(name, "must be a number") from fault
    if not low <= value <= high:
        raise BadField(name, f"must be from {low} to {high}")
    return value
