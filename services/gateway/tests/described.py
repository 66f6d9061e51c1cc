"""The API as it describes itself, once for all tests: it takes most of a second, which collecting does not pay."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute

from services.gateway.app import Api

API = Api()
ROUTES = {
    route.operation_id: route
    for holder in API.routes
    for route in getattr(getattr(holder, "original_router", None), "routes", [holder])
    if isinstance(route, APIRoute) and route.include_in_schema and route.operation_id
}
"""What the description must have, by operation id."""


def described() -> dict[str, Any]:
    """The OpenAPI document; not to be changed."""
    return API.openapi()


def operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Path, verb and description of each operation, by its id."""
    return {
        operation["operationId"]: (path, verb, operation)
        for path, verbs in described()["paths"].items()
        for verb, operation in verbs.items()
    }
