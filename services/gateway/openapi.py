"""The OpenAPI document: FastAPI's, with our errors in the place of its own."""

from __future__ import annotations

import re
from typing import Any, Final, get_args

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway import examples, selection
from services.gateway.envelope import CODE_OF, STATUS_OF, Code, ErrorAnswer
from services.gateway.maintenance import NEVER_STOPS
from services.gateway.versions import OPERATIONS

DESCRIPTION = (
    "Answers are `{success: true, data}` or `{success: false, error: {code, message, details?}}`; times are RFC 3339 "
    "in UTC. Every answer carries `X-Request-ID`, and whatever is counted `X-RateLimit-*`, be it an error or not; 429 "
    "and 503 carry `Retry-After`. One person may have 32 requests "
    "under way at a time, and eight more that acknowledge, resolve or close; others wait. Bodies are read strictly: a "
    "field that is not described here, one that is given twice, or a number as text is refused by name, and so is an "
    "unknown or repeated query parameter. Health, metrics and this document are served under `/api/v1` as well. What "
    "becomes of incidents is told on the WebSocket `/api/v1/stream`, whose frames `docs/asyncapi.json` describes. What "
    "takes no `If-Match` here has no version: with one that names a tag it is a 412."
)
_KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "API key",
    "description": "`pgr_…`, of `POST /api-keys`: in the place of an access token, for what its scopes name. A "
    "thousand requests a minute; answers say how many are left (`X-RateLimit-Limit`, `-Remaining`, `-Reset`).",
}
_PERSONAL = frozenset({"auth", "devices", "api-keys", "client-reports"})
"""Tags of what is for people alone."""
_UNKEYED = frozenset({"auth", "client-reports"})
"""Tags of what keeps no answers: a sign-in is another one each time, and what an app tells twice counts twice."""
_REF = "#/components/schemas/"
_VERBS = ("get", "post", "patch", "put", "delete")
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer for 24 hours; another body with it is a 409.",
    "schema": {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": '`*`, or a list of ETags such as `"7"`: carried out if the present one is among them, else a 412.',
    "schema": {"type": "string", "format": "etag", "pattern": r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'},
}
_HEADERS: Final = {
    "X-Request-ID": "The request's own, or the id of its trace: say it where you ask for help.",
    "X-API-Version": "The version of the API that has answered.",
    "X-RateLimit-Limit": "How many requests fit, where the least are left.",
    "X-RateLimit-Remaining": "How many more may come now.",
    "X-RateLimit-Reset": "Unix time in seconds, when all of them may come again.",
    "Retry-After": "Seconds after which to try again.",
    "WWW-Authenticate": "The scheme: `Bearer`.",
    "Upgrade": "`websocket`.",
    "Location": "Where to go on.",
    "Deprecation": "Since when it is said that this will be gone (RFC 9745).",
    "Sunset": "When it will be gone (RFC 8594).",
    "Link": "The page that says what comes instead.",
}
"""Headers of answers, by what they say."""
_WHOLE_NUMBERS: Final = frozenset(
    {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "X-API-Version"}
)
_OF_STATUS: Final = {
    "302": ("Location",),
    "401": ("WWW-Authenticate",),
    "426": ("Upgrade",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}
_COUNTED: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
_ENDING: Final = ("Deprecation", "Sunset", "Link")
_CODE: Final = re.compile("|".join(rf"\b{code}\b" for code in get_args(Code)))
_ETAG = {"description": "Of the version in the answer, for If-Match, and If-None-Match.", "schema": {"type": "string"}}
_WEAK_ETAG = {"description": "Of the answer, for If-None-Match.", "schema": {"type": "string"}}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an answer that is here already, or a list of them, compared weakly: a 304 without a "
    "body while one of them is the present one. `*` stands for each (RFC 9110, section 13.1.2). What is neither names "
    "nothing.",
    # No pattern: nothing is refused for it.
    "schema": {"type": "string"},
}
_FIELDS = {
    "name": selection.PARAMETER,
    "in": "query",
    "required": False,
    "description": selection.DESCRIPTION,
    "schema": {"type": "string"},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
        )
        _add_schemas(schema["components"]["schemas"])
        schema["components"]["securitySchemes"]["apiKey"] = _KEY_SCHEME
        schema["components"]["headers"] = {name: _header(name) for name in _HEADERS}
        schema["components"]["examples"] = examples.errors()
        read = {route.operation_id for route in app.routes if getattr(route, "selection", None) is not None}  # type: ignore[attr-defined]
        for path, verbs in schema["paths"].items():
            for verb, operation in verbs.items():
                if verb in _VERBS:
                    _complete(path, verb, operation)
                    if operation.get("operationId") in OPERATIONS:
                        operation["deprecated"] = True
                if operation.get("operationId") in read:
                    _add_reading(operation)
            _add_versions(path, verbs, schema["components"]["schemas"])
            for verb in verbs.keys() & set(_VERBS):
                _add_headers(path, verbs[verb])
                _add_examples(verb, verbs[verb], schema["components"]["schemas"])
        app.openapi_schema = schema
    return app.openapi_schema


def _add_schemas(schemas: dict[str, Any]) -> None:
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    own = ErrorAnswer.model_json_schema(ref_template=_REF + "{model}")
    schemas.update(own.pop("$defs"))
    schemas["ErrorAnswer"] = own


def _complete(path: str, verb: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    if "security" in operation and not (_PERSONAL & set(operation["tags"]) or "/users/me" in path):
        operation["security"] = [*operation["security"], {"apiKey": []}]
    keyed = verb == "post" and not _UNKEYED & set(operation.get("tags", ()))
    if keyed:
        responses.setdefault("409", {"description": "CONFLICT: the Idempotency-Key was used with another body"})
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    for status in _errors_of(path, operation):
        responses.setdefault(str(status), {"description": CODE_OF[status]})
    for status, response in responses.items():
        if int(status) >= 400 and "content" not in response:
            response["content"] = _error()
    operation["responses"] = dict(sorted(responses.items()))


def _error() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"{_REF}ErrorAnswer"}}}


def _header(name: str) -> dict[str, Any]:
    kind = "integer" if name in _WHOLE_NUMBERS else "string"
    return {"description": _HEADERS[name], "schema": {"type": kind}}


def _add_headers(path: str, operation: dict[str, Any]) -> None:
    """Those that follow from where an answer comes from, and from its status.

    What errors say just as well stands at the good answers alone: the description says so.
    """
    good: tuple[str, ...] = ("X-API-Version",) if path.startswith("/api/v") else ()
    counted = _COUNTED if "security" in operation or "auth" in operation.get("tags", ()) else ()
    if operation.get("deprecated"):
        good += _ENDING
    for status, response in operation["responses"].items():
        more = (*good, *counted) if int(status) < 400 else counted if status == "429" else ()
        names = ("X-Request-ID", *more, *_OF_STATUS.get(status, ())) if status != "101" else ()
        said = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
        own = {"ETag": _WEAK_ETAG if status == "304" else _ETAG} if status in ("304", "412") else {}
        response["headers"] = said | own | response.get("headers", {})


def _add_examples(verb: str, operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Of the body that is sent and of each that is answered; an error's by the codes that it may have."""
    for medium in operation.get("requestBody", {}).get("content", {}).values():
        if not {"example", "examples"} & medium.keys():
            medium["example"] = examples.asked(medium["schema"], schemas)
    for status, response in operation["responses"].items():
        for media_type, medium in response.get("content", {}).items():
            if medium.get("schema", {}).get("$ref") == f"{_REF}ErrorAnswer":
                codes = _codes(verb, operation, int(status), response["description"])
                medium["examples"] = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
            elif not {"example", "examples"} & medium.keys():
                text = examples.TEXTS.get(media_type)
                medium["example"] = text or examples.answered(medium["schema"], schemas)


def _codes(verb: str, operation: dict[str, Any], status: int, description: str) -> list[str]:
    """The codes that its description names, or else the one of its status; a change may meet a maintenance."""
    named = [code for code in _CODE.findall(description) if STATUS_OF[code] == status] or [CODE_OF[status]]
    stops = verb != "get" and "auth" not in operation.get("tags", ()) and operation["operationId"] not in NEVER_STOPS
    return [*named, "MAINTENANCE"] if status == 503 and stops else named


def _add_reading(operation: dict[str, Any]) -> None:
    """What somebody reads who is signed in: they may have seen it, or want a part of it."""
    operation.setdefault("parameters", []).extend([_FIELDS, _IF_NONE_MATCH])
    _done(operation)["headers"] = {"ETag": _WEAK_ETAG}
    operation["responses"]["304"] = {"description": "It is as it was"}
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _add_versions(path: str, verbs: dict[str, Any], schemas: dict[str, Any]) -> None:
    """What has a version has an ETag; whatever changes it takes If-Match."""
    versioned = {verb for verb in _VERBS if verb in verbs and _shows_version(verbs[verb], schemas)}
    for verb in versioned:
        _done(verbs[verb])["headers"] = {"ETag": _ETAG}
    for verb in versioned | ({"delete"} & set(verbs) if "get" in versioned else set()):
        # What a POST makes was not there before, and one that names nothing is about nothing that was read.
        is_new = verb == "post" and ("{" not in path or "201" in verbs[verb]["responses"])
        if verb != "get" and not is_new:
            failed = {"description": "PRECONDITION_FAILED: If-Match names other versions than the present one"}
            verbs[verb]["responses"]["412"] = failed | {"content": _error()}
            verbs[verb]["responses"] = dict(sorted(verbs[verb]["responses"].items()))
    for operation in verbs.values():
        if "412" in operation.get("responses", ()):
            operation.setdefault("parameters", []).append(_IF_MATCH)


def _shows_version(operation: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether its answer is one thing that has a version; what may stand beside it is not always there."""

    def followed(schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = schemas.get(schema.get("$ref", "").removeprefix(_REF), {})
        return found

    answer = _done(operation).get("content", {}).get("application/json", {}).get("schema", {})
    data = followed(followed(answer).get("properties", {}).get("data", {}))
    always = data.get("required", ())
    return len(always) == 1 and "version" in followed(data["properties"][always[0]]).get("properties", {})


def _done(operation: dict[str, Any]) -> dict[str, Any]:
    """What is answered when all went well."""
    return next((r for status, r in operation["responses"].items() if status.startswith("2")), {})


def _errors_of(path: str, operation: dict[str, Any]) -> list[int]:
    """The errors that follow from an operation's shape."""
    if {"health", "docs"} & set(operation.get("tags", ())):
        return [400, 500]
    errors = [400, 406, 500, 503]
    if "security" in operation:
        errors += [401, 403, 429]
    elif "auth" in operation.get("tags", ()):
        errors.append(429)
    if "requestBody" in operation:
        errors += [408, 413, 415]
    if "{" in path:
        errors.append(404)
    return errors
