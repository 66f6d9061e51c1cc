"""The answers of the push providers that a behaviour can ask for, with their form on the wire."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal, get_args

ProviderName = Literal["apns", "fcm", "webpush"]
PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)

OK = "ok"
HANG = "hang"
RESET = "reset"
GOAWAY = "goaway"
RST_STREAM = "rst_stream"

# Apple, "Handling notification responses from APNs", table of error strings.
APNS_STATUS: dict[str, int] = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "DuplicateHeaders": 400,
    "IdleTimeout": 400,
    "InvalidPushType": 400,
    "MissingDeviceToken": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "ExpiredProviderToken": 403,
    "Forbidden": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}


@dataclass(frozen=True, slots=True)
class FcmFault:
    """One error of FCM: HTTP status, `google.rpc` status name, text, default Retry-After in seconds."""

    code: int
    status: str
    message: str
    has_fcm_error: bool = True
    retry_after: int | None = None


# firebase.google.com: reference/fcm/rest/v1/ErrorCode; the statuses are those of google.rpc.Code.
FCM_FAULTS: dict[str, FcmFault] = {
    "UNREGISTERED": FcmFault(404, "NOT_FOUND", "Requested entity was not found."),
    "INVALID_ARGUMENT": FcmFault(
        400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"
    ),
    "SENDER_ID_MISMATCH": FcmFault(403, "PERMISSION_DENIED", "SenderId mismatch"),
    "PERMISSION_DENIED": FcmFault(
        403, "PERMISSION_DENIED", "Permission 'cloudmessaging.messages.create' denied", has_fcm_error=False
    ),
    "THIRD_PARTY_AUTH_ERROR": FcmFault(401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
    "UNAUTHENTICATED": FcmFault(
        401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", has_fcm_error=False
    ),
    "QUOTA_EXCEEDED": FcmFault(429, "RESOURCE_EXHAUSTED", "Quota exceeded for this message.", retry_after=60),
    "UNAVAILABLE": FcmFault(503, "UNAVAILABLE", "The service is currently unavailable.", retry_after=10),
    "INTERNAL": FcmFault(500, "INTERNAL", "Internal error encountered."),
}

# RFC 8030 and what Apple, Google and Mozilla answer beside it.
WEBPUSH_STATUS: dict[str, int] = {
    "BadRequest": 400,
    "VapidPkHashMismatch": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "Gone": 410,
    "PayloadTooLarge": 413,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
}

ANSWERS: dict[str, frozenset[str]] = {
    "apns": frozenset({OK, HANG, RESET, GOAWAY, RST_STREAM, *APNS_STATUS}),
    "fcm": frozenset({OK, HANG, RESET, *FCM_FAULTS}),
    "webpush": frozenset({OK, HANG, RESET, *WEBPUSH_STATUS}),
}


def apns_error(reason: str, timestamp_ms: int) -> bytes:
    """The JSON body of an APNs error; only a 410 carries `timestamp` (ms since 1970, UTC)."""
    if APNS_STATUS[reason] == HTTPStatus.GONE:
        return b'{"reason":"%s","timestamp":%d}' % (reason.encode(), timestamp_ms)
    return b'{"reason":"%s"}' % reason.encode()


def fcm_error(code: str, message: str | None = None, field: str | None = None) -> bytes:
    """Google's JSON error shape; `field` adds the BadRequest detail with that field violation."""
    fault = FCM_FAULTS[code]
    text = message or fault.message
    details: list[dict[str, Any]] = []
    if fault.has_fcm_error:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    if field is not None:
        violation = {"field": field, "description": text}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    error: dict[str, Any] = {"code": fault.code, "message": text, "status": fault.status}
    if details:
        error["details"] = details
    return json.dumps({"error": error}).encode()
