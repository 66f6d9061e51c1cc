"""The OpenAPI document: FastAPI's, with our errors in the place of its own."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway import selection
from services.gateway.envelope import CODE_OF, ErrorAnswer
from services.gateway.versions import OPERATIONS

DESCRIPTION = (
    "Answers are `{success: true, data}` or `{success: false, error: {code, message, details?}}`; times are RFC 3339 "
    "in UTC. Every answer carries `X-Request-ID`; 429 and 503 carry `Retry-After`. One person may have 32 requests "
    "under way at a time, and eight more that acknowledge, resolve or close; others wait. Bodies are read strictly: a "
    "field that is not described here, one that is given twice, or a number as text is refused by name, and so is an "
    "unknown or repeated query parameter. Health, metrics and this document are served under `/api/v1` as well."
)
_KEY_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "API key",
    "description": "`pgr_…`, of `POST /api-keys`: in the place of an access token, for what its scopes name. A "
    "thousand requests a minute; answers say how many are left (`X-RateLimit-Limit`, `-Remaining`, `-Reset`).",
}
_PERSONAL = frozenset({"auth", "devices", "api-keys"})
"""Tags of what is for people alone."""
_REF = "#/components/schemas/"
_ERROR = {"application/json": {"schema": {"$ref": f"{_REF}ErrorAnswer"}}}
_VERBS = ("get", "post", "patch", "delete")
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
_ETAG = {"description": "Of the version in the answer, for If-Match, and If-None-Match.", "schema": {"type": "string"}}
_WEAK_ETAG = {"description": "Of the answer, for If-None-Match.", "schema": {"type": "string"}}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of an answer that is here already: a 304 without a body while that is as it was.",
    "schema": {"type": "string", "maxLength": 4096, "pattern": r"^[\x20-\x7e]*$"},
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
    keyed = verb == "post" and "auth" not in operation.get("tags", ())
    if keyed:
        responses.setdefault("409", {"description": "CONFLICT: the Idempotency-Key was used with another body"})
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    for status in _errors_of(path, operation):
        responses.setdefault(str(status), {"description": CODE_OF[status]})
    for status, response in responses.items():
        if int(status) >= 400 and "content" not in response:
            response["content"] = _ERROR
    operation["responses"] = dict(sorted(responses.items()))


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
    if "{" not in path:
        return
    for verb in versioned | ({"delete"} & set(verbs) if "get" in versioned else set()):
        if verb != "get":
            verbs[verb]["parameters"].append(_IF_MATCH)
            failed = {"description": "PRECONDITION_FAILED: If-Match names other versions than the present one"}
            verbs[verb]["responses"]["412"] = failed | {"content": _ERROR}
            verbs[verb]["responses"] = dict(sorted(verbs[verb]["responses"].items()))


def _shows_version(operation: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether its answer is one thing that has a version."""

    def followed(schema: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = schemas.get(schema.get("$ref", "").removeprefix(_REF), {}).get("properties", {})
        return found

    answer = _done(operation).get("content", {}).get("application/json", {}).get("schema", {})
    data = followed(followed(answer).get("data", {}))
    return len(data) == 1 and "version" in followed(next(iter(data.values())))


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
    if "requestBody" in operation:
        errors += [408, 413, 415]
    if "{" in path:
        errors.append(404)
    return errors
