"""The FCM HTTP v1 door: checks a message as Google documents it, records it, answers as told."""

import asyncio
import itertools
import re
from collections.abc import Callable

from cli.simulators import payloads
from cli.simulators.answers import FCM_FAULTS, OK, fcm_error
from cli.simulators.behaviour import BehaviourBook, Rule
from cli.simulators.fcm_message import InvalidMessage, check
from cli.simulators.messages import Request, Responder
from cli.simulators.oauth import TokenDoor
from cli.simulators.records import PushLog

PATH = re.compile(r"/v1/projects/([^/?]+)/messages:send(?:\?.*)?")
_JSON = [(b"content-type", b"application/json; charset=UTF-8")]


class FcmDoor:
    """Handles `POST /v1/projects/{project}/messages:send`; `clock` gives Unix seconds."""

    def __init__(
        self, project: str, tokens: TokenDoor, book: BehaviourBook, log: PushLog, clock: Callable[[], float]
    ) -> None:
        self._project = project
        self._tokens = tokens
        self._book = book
        self._log = log
        self._clock = clock
        # Ids go on from the start time, so that a restart does not repeat one.
        self._ids = itertools.count(int(clock() * 1_000_000))

    def __call__(self, request: Request, responder: Responder) -> None:
        """Check, record and answer one message."""
        at = self._clock()
        try:
            document, readable = payloads.decode(request.body), True
        except ValueError:
            document, readable = None, False
        token = _device_token(document)
        code, body = self._fault(request, document)
        rule = None if code else self._book.choose("fcm", token)
        answer = code or (rule.answer if rule else OK)
        status = 200 if answer == OK else FCM_FAULTS[answer].code if answer in FCM_FAULTS else 0
        self._log.append("fcm", token, request.headers, payloads.recorded(request.body, readable), status, at)
        if answer == OK:
            body = self._name(document)
        if rule is not None and rule.delay:
            asyncio.get_running_loop().call_later(rule.delay, _answer, responder, answer, body, rule)
        else:
            _answer(responder, answer, body, rule)

    def _fault(self, request: Request, document: object) -> tuple[str | None, bytes]:
        """The error code for a push that Google would refuse, with its body."""
        if not self._tokens.accepts(request.header(b"authorization")):
            return "UNAUTHENTICATED", fcm_error("UNAUTHENTICATED")
        match = PATH.fullmatch(request.target)
        if match is None or match[1] != self._project:
            return "PERMISSION_DENIED", fcm_error("PERMISSION_DENIED")
        try:
            check(document)
        except InvalidMessage as fault:
            return "INVALID_ARGUMENT", fcm_error("INVALID_ARGUMENT", str(fault), fault.field)
        return None, b""

    def _name(self, document: object) -> bytes:
        """The success body; a dry run gets the constant id that Google gives."""
        dry = isinstance(document, dict) and (document.get("validate_only") or document.get("validateOnly"))
        message_id = "fake_message_id" if dry else f"0:{next(self._ids)}"
        return f'{{"name":"projects/{self._project}/messages/{message_id}"}}'.encode()


def _device_token(document: object) -> str:
    message = document.get("message") if isinstance(document, dict) else None
    token = message.get("token") if isinstance(message, dict) else None
    return token if isinstance(token, str) else ""


def _answer(responder: Responder, answer: str, body: bytes, rule: Rule | None) -> None:
    match answer:
        case "ok":
            responder.answer(200, _JSON, body)
        case "hang":
            pass
        case "reset":
            responder.reset()
        case code:
            fault = FCM_FAULTS[code]
            headers = list(_JSON)
            asked = rule.retry_after if rule else None
            seconds = fault.retry_after if asked is None else asked
            if seconds is not None and fault.retry_after is not None:
                headers.append((b"retry-after", b"%d" % seconds))
            field = "message.token" if code == "INVALID_ARGUMENT" else None
            responder.answer(fault.code, headers, body or fcm_error(code, field=field))
