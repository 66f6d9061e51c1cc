"""The OpenAPI document: FastAPI's, with our errors in the place of its own."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway.envelope import CODE_OF, ErrorAnswer

DESCRIPTION = (
    "Answers are `{success: true, data}` or `{success: false, error: {code, message, details?}}`; times are RFC 3339 "
    "in UTC. Every answer carries `X-Request-ID`; 429 and 503 carry `Retry-After`."
)
_REF = "#/components/schemas/"
_VERBS = ("get", "post", "patch", "delete")
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body get the same answer for 24 hours; another body with it is a 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def document(app: FastAPI) -> dict[str, Any]:
    """The document of an application, made once."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes, tags=app.openapi_tags
        )
        _add_schemas(schema["components"]["schemas"])
        for path, verbs in schema["paths"].items():
            for verb, operation in verbs.items():
                if verb in _VERBS:
                    _complete(path, verb, operation)
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
    keyed = verb == "post" and "auth" not in operation.get("tags", ())
    if keyed:
        responses.setdefault("409", {"description": "CONFLICT: the Idempotency-Key was used with another body"})
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    for status in _errors_of(path, operation):
        responses.setdefault(str(status), {"description": CODE_OF[status]})
    for status, response in responses.items():
        if int(status) >= 400 and "content" not in response:
            response["content"] = {"application/json": {"schema": {"$ref": f"{_REF}ErrorAnswer"}}}
    operation["responses"] = dict(sorted(responses.items()))


def _errors_of(path: str, operation: dict[str, Any]) -> list[int]:
    """The errors that follow from an operation's shape."""
    if {"health", "docs"} & set(operation.get("tags", ())):
        return []
    errors = [400, 500, 503]
    if "security" in operation:
        errors += [401, 403]
    if "requestBody" in operation:
        errors += [413, 415]
    if "{" in path:
        errors.append(404)
    return errors
