"""What goes into a push: pure functions from one page to the bodies and headers of APNs, FCM and Web Push."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

# Anything not listed here makes a noise: an unknown kind must not be a silent page.
QUIET_KINDS = frozenset({"acknowledged", "resolved", "withdrawn"})
URGENT = frozenset({"critical", "high"})

APNS_LIMIT = 4096
"""Bytes of an APNs payload (Apple, "Generating a remote notification")."""
FCM_LIMIT = 4096
"""Bytes of an FCM message's data (Firebase, "About FCM messages"); we count JSON, never less than keys plus values."""

WEB_LIMIT = 3993
"""Bytes of what is sealed in the 4096 that every push service takes (RFC 8291 section 4)."""

# Longest storage that the vendors take: APNs 30 days, FCM 4 weeks.
APNS_MAX_STORAGE = timedelta(days=30)
FCM_MAX_TTL = 2_419_200
WEB_MAX_TTL = 2_419_200
"""Seconds: four weeks, the least that any of the known services stores."""

_MARK = "…"
# More than everything of a payload that is not text from outside.
_ENVELOPE = 1024
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CATEGORY = "INCIDENT"
_SOUND = "page.caf"


@dataclass(frozen=True, slots=True)
class Page:
    """One notification for one device.

    `notification_id` is the intent: the same on every attempt, so that a repeat replaces instead of adding. A quiet
    `kind` (acknowledged, resolved, withdrawn) replaces on the phone what an earlier page of the incident showed.
    `priority` is critical, high, medium or low.
    `expires_at` is aware UTC: after it the vendors drop an undelivered page.
    """

    notification_id: UUID
    incident_id: UUID
    kind: str
    title: str
    body: str
    priority: str
    incident_url: str
    level: int | None
    expires_at: datetime
    test: bool = False
    """It is about no incident: its person has sent it to themselves."""

    @property
    def is_quiet(self) -> bool:
        """Whether it only replaces what is shown, without sound."""
        return self.kind in QUIET_KINDS


def apns_headers(page: Page, *, topic: str, now: datetime) -> dict[str, str]:
    """The `apns-*` headers of a page (Apple, "Sending notification requests to APNs"); `now` is aware UTC.

    An expired page is sent with expiration 0: one attempt, no storage.
    """
    expires_at = min(page.expires_at, now + APNS_MAX_STORAGE)
    return {
        "apns-topic": topic,
        "apns-push-type": "alert",
        "apns-priority": "5" if page.is_quiet else "10",
        "apns-id": str(page.notification_id),
        "apns-collapse-id": str(page.incident_id),
        "apns-expiration": str(int(expires_at.timestamp())) if expires_at > now else "0",
    }


def apns_payload(page: Page) -> dict[str, Any]:
    """The APNs payload of a page, at most `APNS_LIMIT` bytes as `encode` writes it."""
    return _fit(page, partial(_apns, page), APNS_LIMIT, measured=lambda payload: payload)


def apns_minimal_payload(page: Page) -> dict[str, Any]:
    """The least that still wakes the phone: for the one retry after APNs refused the full payload."""
    aps: dict[str, Any] = {"alert": {"title": _clip(page.title, 64)}, "sound": _sound(page)}
    return {"aps": aps, "notificationId": str(page.notification_id)} | _about(page)


def fcm_message(page: Page, token: str, now: datetime) -> dict[str, Any]:
    """The body of FCM's `messages:send`; `now` is aware UTC and gives the time to live.

    Data-only and without a collapse key, since notification messages always collapse: the app builds what is shown.
    A quiet page has normal priority, since urgent messages that show nothing new get the app deprioritised.
    """
    seconds = int((page.expires_at - now).total_seconds())
    message = _fit(
        page,
        lambda title, body, url: {"token": token, "data": _data(page, title, body, url)},
        FCM_LIMIT,
        measured=lambda message: message["data"],
    )
    message["android"] = {
        "priority": "NORMAL" if page.is_quiet else "HIGH",
        "ttl": f"{min(max(seconds, 0), FCM_MAX_TTL)}s",
        "direct_boot_ok": True,
    }
    return {"message": message}


def web_headers(page: Page, now: datetime) -> dict[str, str]:
    """The headers of RFC 8030 for a page; `now` is aware UTC and gives the time to live.

    What still waits for a browser under a topic is replaced: of one incident it is shown the newest alone, and what is
    sent again it is shown once.
    """
    seconds = int((page.expires_at - now).total_seconds())
    return {
        "TTL": str(min(max(seconds, 0), WEB_MAX_TTL)),
        "Urgency": "normal" if page.is_quiet else "high",
        "Topic": page.incident_id.hex,  # 32 characters of base64url, as many as a topic may have
    }


def web_payload(page: Page) -> dict[str, str]:
    """What the service worker is given, as the app's FCM data: at most `WEB_LIMIT` bytes as `encode` writes it."""
    return _fit(page, partial(_data, page), WEB_LIMIT, measured=lambda payload: payload)


def web_minimal_payload(page: Page) -> dict[str, str]:
    """The least by which a browser can show it: for the one retry after the full payload was refused as too large."""
    return _data(page, _clip(page.title, 64), "", "")


def encode(body: Mapping[str, Any]) -> bytes:
    """The bytes that are sent: compact UTF-8 JSON."""
    return _ENCODER.encode(body).encode()


def _sound(page: Page) -> Any:
    return {"critical": 1, "name": _SOUND, "volume": 1.0} if page.priority in URGENT else _SOUND


def _apns(page: Page, title: str, body: str, url: str) -> dict[str, Any]:
    aps: dict[str, Any] = {"alert": {"title": title, "body": body}}
    if page.is_quiet:
        aps["interruption-level"] = "passive"
    else:
        aps["sound"] = _sound(page)
        aps["interruption-level"] = "critical" if page.priority in URGENT else "time-sensitive"
    aps |= {"thread-id": str(page.incident_id), "category": _CATEGORY, "mutable-content": 1}
    payload: dict[str, Any] = {
        "aps": aps,
        "notificationId": str(page.notification_id),
        "priority": page.priority,
        "kind": page.kind,
        "url": url,
    }
    if page.level is not None:
        payload["level"] = page.level
    return payload | _about(page)


def _data(page: Page, title: str, body: str, url: str) -> dict[str, str]:
    data = {
        "notificationId": str(page.notification_id),
        "priority": page.priority,
        "kind": page.kind,
        "title": title,
        "body": body,
        "url": url,
        "expiresAt": page.expires_at.isoformat(),
    }
    if page.level is not None:
        data["level"] = str(page.level)
    return data | {name: str(value).lower() for name, value in _about(page).items()}


def _about(page: Page) -> dict[str, Any]:
    """What the app is to look up; of a test there is nothing."""
    return {"test": True} if page.test else {"incidentId": str(page.incident_id)}


def _fit(
    page: Page,
    build: Callable[[str, str, str], dict[str, Any]],
    limit: int,
    measured: Callable[[dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """`build(title, body, url)` with the body, then the title shortened, then the URL left out, until it fits.

    The URL goes last and whole: half a link is worse than none, and the app has the incident's id.
    """
    # Each character is at least one byte, so nothing past the limit could ever be kept.
    title, body, url = (_sendable(text, limit) for text in (page.title, page.body, page.incident_url))
    built = build(title, body, url)
    # A character is at most 6 bytes of JSON: most pages need no measuring.
    if 6 * (len(title) + len(body) + len(url)) + _ENVELOPE <= limit:
        return built
    excess = len(encode(measured(built))) - limit
    if excess <= 0:
        return built
    if _json_bytes(url) > limit // 2:
        excess -= _json_bytes(url)
        url = ""
    for_body = max(_json_bytes(body) - max(excess, 0), 0)
    shorter_body = _clip(body, for_body)
    excess -= _json_bytes(body) - _json_bytes(shorter_body)
    return build(_clip(title, max(_json_bytes(title) - max(excess, 0), 0)), shorter_body, url)


def _sendable(text: str, limit: int) -> str:
    """At most `limit` + 1 characters, without lone surrogates, which JSON input may hold and UTF-8 cannot."""
    return text[: limit + 1].encode("utf-8", "replace").decode()


def _json_bytes(text: str) -> int:
    """Bytes of `text` inside a JSON string, quotes not counted."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")) - 2


def _clip(text: str, budget: int) -> str:
    """`text` in at most `budget` bytes of JSON, cut between characters and marked with an ellipsis.

    With no room even for the mark it is empty.
    """
    text = _sendable(text, max(budget, 0) + APNS_LIMIT)
    if _json_bytes(text) <= budget:
        return text
    room = budget - len(_MARK.encode())
    if room < 0:
        return ""
    kept = 0
    for index, character in enumerate(text):
        kept += _json_bytes(character)
        if kept > room:
            return text[:index].rstrip() + _MARK
    return text + _MARK
