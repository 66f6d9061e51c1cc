"""The Web Push door: a push service and the browsers behind it (RFC 8030, RFC 8291, RFC 8292)."""

import asyncio
import itertools
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from cli.simulators import payloads
from cli.simulators.answers import OK, WEBPUSH_STATUS
from cli.simulators.behaviour import BehaviourBook, Rule
from cli.simulators.messages import Request, Responder
from cli.simulators.records import PushLog
from cli.simulators.subscriptions import PUSH_PATH, Browser, Browsers, base64url

SUBSCRIBE_PATH = "/webpush/subscriptions"
MOST = 4096
"""Bytes of a body."""
LONGEST_LIFE = 86_400
"""Seconds that a signature may go on to live (RFC 8292 section 2)."""
_URGENCIES = ("very-low", "low", "normal", "high")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SERVER_KEY = re.compile(r"[A-Za-z0-9_-]{87}")
_JSON = [(b"content-type", b"application/json")]


class WebPushDoor:
    """Handles the endpoints of subscriptions, and makes these; `clock` gives Unix seconds, `url` is the simulator's."""

    def __init__(
        self, url: str, browsers: Browsers, book: BehaviourBook, log: PushLog, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._audiences = {url, url.replace("127.0.0.1", "localhost")}
        self._browsers = browsers
        self._book = book
        self._log = log
        self._clock = clock
        self._ids = itertools.count(int(clock() * 1_000_000))

    def subscribe(self, document: object) -> dict[str, object] | None:
        """Of the body `{"applicationServerKey"?}` a subscription to register; None for another body."""
        key = document.get("applicationServerKey", "") if isinstance(document, dict) else None
        if not isinstance(key, str) or (key and not _SERVER_KEY.fullmatch(key)):
            return None
        return self._browsers.make(key).document(self._url)

    def __call__(self, request: Request, responder: Responder) -> None:
        """Check, open, record and answer one push."""
        at = self._clock()
        browser = self._browsers.find(request.target.removeprefix(PUSH_PATH))
        endpoint = f"{self._url}{request.target}"
        opened = browser.opened(request.body) if browser is not None else None
        fault = self._fault(request, browser, opened)
        rule = None if fault else self._book.choose("webpush", endpoint)
        answer = fault or (rule.answer if rule else OK)
        status = 201 if answer == OK else WEBPUSH_STATUS.get(answer, 0)
        kept = payloads.recorded(opened or b"", readable=opened is not None)
        self._log.append("webpush", endpoint, request.headers, kept, status, at)
        if rule is not None and rule.delay:
            asyncio.get_running_loop().call_later(rule.delay, self._answer, responder, answer, rule)
        else:
            self._answer(responder, answer, rule)

    def _fault(self, request: Request, browser: Browser | None, opened: bytes | None) -> str | None:
        """The reason for which a push service, or a browser, would not take it."""
        if browser is None:
            return "NotFound"
        if refused := self._unsigned(request.header(b"authorization"), browser.server_key):
            return refused
        if len(request.body) > MOST:
            return "PayloadTooLarge"
        ttl, topic = request.header(b"ttl"), request.header(b"topic")
        is_wrong = (
            not (ttl or "").isdigit()
            or (topic is not None and not _TOPIC.fullmatch(topic))
            or request.header(b"urgency") not in (None, *_URGENCIES)
            or request.header(b"content-encoding") != "aes128gcm"
            or opened is None
        )
        return "BadRequest" if is_wrong else None

    def _unsigned(self, authorization: str | None, server_key: str) -> str | None:
        """Why a VAPID header is not good, if it is not."""
        scheme, _, parameters = (authorization or "").partition(" ")
        named = dict(part.strip().partition("=")[::2] for part in parameters.split(","))
        if scheme.lower() != "vapid" or not {"t", "k"} <= named.keys():
            return "Unauthorized"
        if server_key and named["k"].rstrip("=") != server_key:
            return "Forbidden"
        try:
            raw = urlsafe_b64decode(named["k"] + "=" * (-len(named["k"]) % 4))
            point: dict[str, str | list[str]] = {
                "kty": "EC",
                "crv": "P-256",
                "x": base64url(raw[1:33]),
                "y": base64url(raw[33:65]),
            }
            claims = jwt.decode(named["t"], ECKey.import_key(point), algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return "Forbidden"
        expires, now = claims.get("exp"), self._clock()
        lives = isinstance(expires, int | float) and now < expires <= now + LONGEST_LIFE
        subject = str(claims.get("sub", ""))
        good = lives and claims.get("aud") in self._audiences and subject.startswith(("mailto:", "https://"))
        return None if good else "Forbidden"

    def _answer(self, responder: Responder, answer: str, rule: Rule | None) -> None:
        match answer:
            case "ok":
                location = f"{self._url}/webpush/messages/{next(self._ids)}".encode()
                responder.answer(201, [(b"location", location)])
            case "hang":
                pass
            case "reset":
                responder.reset()
            case reason:
                headers = list(_JSON)
                if rule is not None and rule.retry_after is not None:
                    headers.append((b"retry-after", b"%d" % rule.retry_after))
                responder.answer(WEBPUSH_STATUS[reason], headers, json.dumps({"reason": reason}).encode())
