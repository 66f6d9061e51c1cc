"""The APNs door: checks a push as Apple documents it, records it, answers as told."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Callable

from cli.simulators import payloads
from cli.simulators.answers import APNS_STATUS, OK, apns_error
from cli.simulators.behaviour import BehaviourBook, Rule
from cli.simulators.http2 import Stream
from cli.simulators.messages import Request
from cli.simulators.provider_tokens import ProviderTokens
from cli.simulators.records import PushLog

PATH = "/3/device/"
MAX_PAYLOAD = 4096
MAX_VOIP_PAYLOAD = 5120
MAX_COLLAPSE_ID = 64
# Apple, "Sending notification requests to APNs": the suffix that a push type demands of the topic.
TOPIC_SUFFIX: dict[str, str] = {
    "alert": "",
    "background": "",
    "complication": ".complication",
    "controls": ".push-type.controls",
    "fileprovider": ".pushkit.fileprovider",
    "liveactivity": ".push-type.liveactivity",
    "location": ".location-query",
    "mdm": "",
    "pushtotalk": ".voip-ptt",
    "voip": ".voip",
    "widgets": ".push-type.widgets",
}
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOPIC = re.compile(r"[A-Za-z0-9.-]{1,255}")
_SINGLE = {b"authorization"}


class ApnsDoor:
    """Handles the requests of every HTTP/2 connection; `clock` gives Unix seconds."""

    def __init__(
        self,
        topic: str,
        tokens: ProviderTokens,
        book: BehaviourBook,
        log: PushLog,
        clock: Callable[[], float],
    ) -> None:
        self._topic = topic
        self._tokens = tokens
        self._book = book
        self._log = log
        self._clock = clock

    def __call__(self, request: Request, stream: Stream) -> None:
        """Check, record and answer one push."""
        at = self._clock()
        headers = {name: value.decode("utf-8", "replace") for name, value in request.headers}
        token = request.target.removeprefix(PATH) if request.target.startswith(PATH) else ""
        readable = _is_json_object(request.body)
        reason = self._fault(request, headers, token, readable, stream)
        rule = None if reason else self._book.choose("apns", token.lower())
        answer = reason or (rule.answer if rule else OK)
        status = 200 if answer == OK else APNS_STATUS.get(answer, 0)
        payload = payloads.recorded(request.body, readable)
        self._log.append("apns", token, request.headers, payload, status, at)
        apns_id = headers.get(b"apns-id", "")
        apns_id = apns_id if _UUID.fullmatch(apns_id) else str(uuid.uuid4())
        if rule is not None and rule.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(rule.delay, self._answer, stream, answer, apns_id, rule)
        else:
            self._answer(stream, answer, apns_id, rule)

    def _answer(self, stream: Stream, answer: str, apns_id: str, rule: Rule | None) -> None:
        identity = [(b"apns-id", apns_id.encode())]
        match answer:
            case "ok":
                stream.answer(200, identity)
            case "hang":
                pass
            case "reset":
                stream.reset()
            case "rst_stream":
                stream.refuse()
            case "goaway":
                stream.go_away(b'{"reason":"Shutdown"}')
            case reason:
                timestamp = rule.timestamp if rule else None
                body = apns_error(reason, int(self._clock() * 1000) if timestamp is None else timestamp)
                stream.answer(APNS_STATUS[reason], identity, body)

    def _fault(
        self, request: Request, headers: dict[bytes, str], token: str, readable: bool, stream: Stream
    ) -> str | None:
        """The first thing wrong with a push, as a reason of APNs, or None."""
        if not request.target.startswith(PATH):
            return "BadPath"
        if request.method != "POST":
            return "MethodNotAllowed"
        reason = self._tokens.fault(headers.get(b"authorization"))
        if reason:
            return reason
        stream.authenticated()
        if not token:
            return "MissingDeviceToken"
        if not _HEX.fullmatch(token):
            return "BadDeviceToken"
        return (
            _header_fault(request, headers)
            or self._topic_fault(headers.get(b"apns-topic"), headers.get(b"apns-push-type"))
            or _payload_fault(request.body, readable, headers.get(b"apns-push-type"))
        )

    def _topic_fault(self, topic: str | None, push_type: str | None) -> str | None:
        """Good is our bundle id with the suffix of the push type; else a sibling app's or a stranger's."""
        if topic is None:
            return "MissingTopic"
        if topic == self._topic + TOPIC_SUFFIX.get(push_type or "alert", ""):
            return None
        if not _TOPIC.fullmatch(topic):
            return "BadTopic"
        organisation = self._topic.rpartition(".")[0] + "."
        return "DeviceTokenNotForTopic" if topic.startswith(organisation) else "TopicDisallowed"


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(payloads.decode(body), dict)
    except ValueError:
        return False


def _header_fault(request: Request, headers: dict[bytes, str]) -> str | None:
    if len(headers) != len(request.headers):
        seen = Counter(name for name, _ in request.headers)
        if any(n > 1 and (name.startswith(b"apns-") or name in _SINGLE) for name, n in seen.items()):
            return "DuplicateHeaders"
    apns_id = headers.get(b"apns-id")
    if apns_id is not None and not _UUID.fullmatch(apns_id):
        return "BadMessageId"
    push_type = headers.get(b"apns-push-type", "alert")
    if push_type not in TOPIC_SUFFIX:
        return "InvalidPushType"
    expiration = headers.get(b"apns-expiration")
    if expiration is not None and not (expiration.isascii() and expiration.isdigit()):
        return "BadExpirationDate"
    # The same page forbids priority 10 for a background push.
    allowed = ("5", "1") if push_type == "background" else ("10", "5", "1")
    if headers.get(b"apns-priority", allowed[0]) not in allowed:
        return "BadPriority"
    if len(headers.get(b"apns-collapse-id", "").encode()) > MAX_COLLAPSE_ID:
        return "BadCollapseId"
    return None


def _payload_fault(body: bytes, readable: bool, push_type: str | None) -> str | None:
    if len(body) > (MAX_VOIP_PAYLOAD if push_type == "voip" else MAX_PAYLOAD):
        return "PayloadTooLarge"
    # Apple names no reason for a body that is not a JSON object: nothing usable came, so it counts as empty.
    return None if readable else "PayloadEmpty"
