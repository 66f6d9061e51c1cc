"""Examples of what is sent and answered, made from the schemas: one glance says more than a schema does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from services.gateway.envelope import Code

REF: Final = "#/components/schemas/"
_ID: Final = "0198f3a1-7c42-7d31-9a55-3f2b6c1d8e90"
_MOMENT: Final = "2026-11-30T09:15:00Z"
_BY_NAME: Final[Mapping[str, str]] = {
    "acknowledgementNotes": "Looking at it.",
    "allowed": "acknowledge",
    "code": "123456",
    "codeVerifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "confirmEmail": "anna@example.com",
    "country": "DE",
    "currentPassword": "six ravens over Ulm",
    "dedupKey": "deployment/payments",
    "description": "Every tenth request takes longer than five seconds.",
    "deviceId": "annas-phone",
    "deviceName": "Anna's phone",
    "duration": "PT8H",
    "email": "anna@example.com",
    "eventId": _ID,
    "firstName": "Anna",
    "from": "09:00",
    "id": _ID,
    "ipAddress": "192.0.2.10",
    "href": "https://wiki.example.com/runbooks/payments",
    "lastName": "Berg",
    "message": "The database moves to its new host.",
    "name": "Payments",
    "password": "seven ravens over Ulm",
    "phone": "+4915112345678",
    "shiftLength": "P1W",
    "notes": "Looking at it.",
    "source": "prometheus",
    "text": "The pool of connections was full.",
    "timezone": "Europe/Berlin",
    "title": "Payments are slow",
    "url": "https://pager.example.com/incidents/0198f3a1",
    "userAgent": "pager-phone/1.4",
    "userId": _ID,
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
"""Text by its field's name, where the schema alone would not say what belongs there."""
_MOMENTS: Final[Mapping[str, str]] = {
    "from": "2026-11-01T00:00:00Z",
    "to": "2026-12-01T00:00:00Z",
    "startTime": "2026-11-30T18:00:00Z",
    "endTime": "2026-12-01T06:00:00Z",
    "expiresAt": "2027-11-30T09:15:00Z",
    "until": "2026-11-30T10:15:00Z",
}
"""Moments by their field's name, where they have an order."""
_BY_FORMAT: Final[Mapping[str, str]] = {
    "email": "anna@example.com",
    "iana-time-zone": "Europe/Berlin",
    "local-date-time": "2026-11-30T09:00:00",
    "new-password": "seven ravens over Ulm",
    "push-token": "a1b2c3d4" * 8,
    "uuid": _ID,
}
TEXTS: Final[Mapping[str, str]] = {
    "text/csv": "team,incidents\r\nPayments,12\r\n",
    "text/plain": "# TYPE pager_requests_total counter\npager_requests_total 12\n",
}
"""Bodies that are no JSON, by media type."""
_MESSAGES: Final[Mapping[Code, str]] = {
    "VALIDATION_ERROR": "email: must be a valid email address",
    "UNAUTHENTICATED": "a valid access token is needed",
    "SECOND_FACTOR_REQUIRED": "a code of the second factor is needed",
    "CAPTCHA_REQUIRED": "a captcha is to be solved first",
    "FORBIDDEN": "this is not among what you may do",
    "NOT_FOUND": "there is no such incident",
    "METHOD_NOT_ALLOWED": "PUT is not possible here",
    "NOT_ACCEPTABLE": "there is no such version of the API: there is v1",
    "REQUEST_TIMEOUT": "the body did not arrive in time",
    "CONFLICT": "the incident is resolved",
    "PRECONDITION_FAILED": "it has been changed since",
    "PAYLOAD_TOO_LARGE": "the body is too large",
    "UNSUPPORTED_MEDIA_TYPE": "the body must be application/json",
    "UPGRADE_REQUIRED": "this is a WebSocket",
    "RATE_LIMITED": "you may ask 1000 times a minute",
    "HEADERS_TOO_LARGE": "the headers are too large",
    "MAINTENANCE": "maintenance: nothing can be changed now; pages go out as ever",
    "UNAVAILABLE": "incidents does not answer",
    "INTERNAL": "internal error",
}
_DETAILS: Final[Mapping[Code, Mapping[str, Any]]] = {
    "VALIDATION_ERROR": {"field": "email", "reason": "must be a valid email address"},
    "CONFLICT": {"state": "resolved", "allowed": ["reopen", "close", "notes"]},
    "PRECONDITION_FAILED": {"etag": '"8"'},
    "UNAVAILABLE": {"services": ["incidents"]},
}


def errors() -> dict[str, Any]:
    """An example of each error, by its code, for `components.examples`."""
    return {code: {"summary": message, "value": _error(code, message)} for code, message in _MESSAGES.items()}


def _error(code: Code, message: str) -> dict[str, Any]:
    details = {"details": dict(_DETAILS[code])} if code in _DETAILS else {}
    return {"success": False, "error": {"code": code, "message": message, **details}}


def asked(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The body of a request: what has to be said; where nothing has to, the first thing that can be."""
    return _Maker(schemas, whole=False).value(schema, "", ())


def answered(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The body of an answer, with all that it may have."""
    return _Maker(schemas, whole=True).value(schema, "", ())


class _Maker:
    """`whole`: with the fields that may be left out. A shape within itself ends where it would begin again."""

    def __init__(self, schemas: Mapping[str, Any], *, whole: bool) -> None:
        self._schemas = schemas
        self._whole = whole

    def value(self, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> Any:
        if "$ref" in schema:
            target = schema["$ref"].removeprefix(REF)
            return None if target in within else self.value(self._schemas[target], name, (*within, target))
        for told in ("examples", "enum"):
            if told in schema:
                return schema[told][0]
        if "const" in schema:
            return schema["const"]
        for choice in ("anyOf", "oneOf", "allOf"):
            if choice in schema:
                options = [option for option in schema[choice] if option.get("type") != "null"]
                return self.value(options[0], name, within)
        return self._plain(schema, name, within)

    def _plain(self, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, within)
            case "array":
                return self._array(schema, name, within)
            case "boolean":
                return bool(schema.get("default", True))
            case "integer" | "number":
                return _number(schema)
            case "string":
                return _text(schema, name)
        return None

    def _object(self, schema: Mapping[str, Any], within: tuple[str, ...]) -> dict[str, Any]:
        fields: Mapping[str, Any] = schema.get("properties", {})
        if not fields:
            return {}
        wanted = list(fields) if self._whole else [f for f in fields if f in schema.get("required", ())]
        # When somebody did it without a network is nothing to begin with.
        wanted = wanted or [name for name in fields if not _is_moment(fields[name])][:1]
        return {name: self.value(fields[name], name, within) for name in wanted}

    def _array(self, schema: Mapping[str, Any], name: str, within: tuple[str, ...]) -> list[Any]:
        parts = schema.get("prefixItems") or [schema.get("items", {})]
        return [one for part in parts if (one := self.value(part, name, within)) is not None]


def _is_moment(schema: Mapping[str, Any]) -> bool:
    return any(option.get("format") == "date-time" for option in (schema, *schema.get("anyOf", ())))


def _number(schema: Mapping[str, Any]) -> Any:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    found = schema.get("default") or min(max(least, 1), schema.get("maximum", least + 1))
    return int(found) if schema["type"] == "integer" else found


def _text(schema: Mapping[str, Any], name: str) -> str:
    by_name = _BY_NAME.get(name) or (_ID if name.endswith("By") or name == "by" else None)
    by_format = _MOMENTS.get(name, _MOMENT) if _is_moment(schema) else _BY_FORMAT.get(schema.get("format", ""))
    text = by_format or by_name or schema.get("default") or name or "text"
    return str(text).ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
