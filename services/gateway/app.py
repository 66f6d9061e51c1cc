"""The application: the routes in their places, and every error in the envelope."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from libs.chassis.measure.metrics import version
from libs.contracts.faults import first_fault
from services.gateway import docs, pages, screens, well_known
from services.gateway.body import no_object
from services.gateway.built import Built
from services.gateway.compression import Compressed
from services.gateway.cors import METHODS, Cors
from services.gateway.edge import Edge, trace_of
from services.gateway.envelope import CODE_OF, Problem, failure
from services.gateway.front import Front
from services.gateway.openapi import document
from services.gateway.route import V1, PagerRoute
from services.gateway.routes import (
    analytics,
    api_keys,
    audit,
    auth,
    client_reports,
    devices,
    escalation,
    features,
    health,
    incident_acts,
    incident_alerts,
    incident_audit,
    incident_bulk,
    incidents,
    integrations,
    invites,
    keys,
    maintenance,
    metrics,
    notifications,
    oidc,
    on_call,
    personal,
    reviews,
    stream,
    teams,
    users,
)
from services.gateway.settings import Settings
from services.gateway.streaming.door import Door
from services.gateway.versions import Versions

_RESOURCES = (
    *(incidents, incident_acts, incident_alerts, reviews, auth, oidc, users, personal, teams, invites, devices),
    *(api_keys, on_call, escalation, integrations, notifications, audit, maintenance, stream, analytics),
    *(incident_bulk, incident_audit, features, client_reports),
)


class Api(FastAPI):
    """The routes; `state.front` is set when the gateway starts, the document needs none of it."""

    def __init__(self) -> None:
        super().__init__(
            title="Pager API",
            version=version(),
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        for resource in _RESOURCES:
            # Not included but added: each level of inclusion costs every request a walk of its own.
            self.router.routes.extend(resource.router.routes)
        self.router.routes.extend(oidc.returning.routes)
        _keep_apart([route for route in self.router.routes if isinstance(route, PagerRoute)])
        self.include_router(health.router, prefix="/api")
        self.include_router(metrics.router, prefix="/api")
        self.include_router(docs.router, prefix="/api")
        self.include_router(health.router, prefix=V1, include_in_schema=False)
        self.include_router(metrics.router, prefix=V1, include_in_schema=False)
        self.include_router(docs.router, prefix=V1)
        self.include_router(keys.router)
        self.include_router(pages.router)
        self.include_router(screens.router)
        self.include_router(well_known.router)
        self.add_exception_handler(HTTPException, _refused)
        self.add_exception_handler(RequestValidationError, _invalid)
        self.add_exception_handler(Exception, _failed)

    def openapi(self) -> dict[str, Any]:
        return document(self)

    def allowed(self, request: Request) -> str:
        """The methods of a path, for `Allow` (RFC 9110, section 15.5.6)."""
        scopes = {method: dict(request.scope) | {"method": method} for method in METHODS}
        found = [m for m, scope in scopes.items() if any(r.matches(scope)[0] is Match.FULL for r in self.router.routes)]
        return ", ".join(["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] else found)


def _keep_apart(routes: Sequence[PagerRoute]) -> None:
    """A path that is written out is before every template, whatever the method (OpenAPI, Path Templating Matching):
    what `/users/{id}` takes is no more possible at `/users/me` than it is said to be."""
    written = {route.path for route in routes if "{" not in route.path}
    for route in routes:
        if "{" in route.path and (others := sorted(filter(route.path_regex.match, written))):
            # In its pattern: a method of ours would be called for every route and every request.
            but = "|".join(map(re.escape, others))
            route.path_regex = re.compile(f"(?!(?:{but})$){route.path_regex.pattern}")


def build(front: Front, settings: Settings, built: Built) -> ASGIApp:
    """Everything that an HTTP server serves."""
    api = Api()
    api.state.front = front
    api.state.https = settings.https
    api.state.screens = screens.Screens(built, settings)
    api.state.well_known = well_known.files(settings)
    inner = Cors(Versions(Compressed(api)), settings.origins)
    answered = (front.metrics.answered, front.access.answered)
    edge = Edge(inner, settings.https, answered, lambda: front.health.leaving)
    return Door(edge, front, settings.https)


async def _refused(request: Request, error: Exception) -> Response:
    """Ours, and the router's 404 and 405."""
    if isinstance(error, Problem):
        trace_of(request.scope).is_refused = error.hidden
        return failure(error)
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    if error.status_code == 405:
        allow = {"Allow": request.app.allowed(request)}
        return failure(Problem("METHOD_NOT_ALLOWED", f"{request.method} is not possible here", headers=allow))
    if error.status_code == 404:
        return failure(Problem("NOT_FOUND", "no such path"))
    return failure(Problem(CODE_OF.get(error.status_code, "INTERNAL"), str(error.detail)))


async def _invalid(_request: Request, error: Exception) -> Response:
    """The first fault: its field as the caller spelled it, without the place that it came from."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what the handler is registered for
    found = [{**fault, "loc": fault["loc"][1:]} for fault in error.errors()]
    path, sentence = first_fault(found)
    return failure(Problem.invalid(path, sentence) if path else no_object())


async def _failed(_request: Request, _error: Exception) -> Response:
    """The framework raises the error on after this answer; `Edge` logs it."""
    return failure(Problem("INTERNAL", "internal error"))
