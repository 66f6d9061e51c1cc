"""What Schemathesis cannot know from the document: how one signs in, and what texts of our own formats look like."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from typing import Any
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation.meta import TestPhase

from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from services.auth.registration import admin_id
from services.gateway.app import Api
from services.gateway.route import PagerRoute
from tests.fuzz.people import EXPENDABLE, send, sign_in_admin
from tests.fuzz.things import Things

_ADMIN = str(admin_id(os.environ["PAGER_FUZZ_EMAIL"]))
_SIGN_IN_EVERY = 10
"""Seconds: among what is tried is to sign out."""
_YEARS = (datetime(2000, 1, 1), datetime(2199, 12, 31))  # noqa: DTZ001 - of wall clocks
_VERSIONS = cycle(
    (
        {},
        {"X-API-Version": "v1"},
        # Some doors answer with no JSON at all.
        {"Accept": "application/vnd.pager.v1+json, text/csv;q=0.5, text/plain;q=0.5"},
        {"X-API-Version": "1"},
    )
)
"""How a version is named, in turns."""
_UNDONE = {
    "setMaintenance": ("DELETE", "/admin/maintenance"),
    "setFeature": ("POST", "/admin/features/{flag}/enable"),
    "rollOutFeature": ("POST", "/admin/features/{flag}/enable"),
}
_EXPENDABLES = frozenset(
    {"changePassword", "beginTotp", "confirmTotp", "removeTotp", "getSecondFactor", "logout", "revokeToken"}
    | {"listSessions", "endSession", "endOtherSessions"}
)
"""What nobody does as the admin: afterwards one may not get in any more, or has to sign in anew."""
_TO_PEOPLE = ("/users/{id}", "/deactivate", "/password/reset-link", "/sessions", "/devices/{deviceId}")
"""Ends of paths by which one is done to who is named by `id`."""
_SECRET = frozenset({"login", "changePassword", "beginTotp", "confirmTotp", "removeTotp"})
"""What takes a password or a code."""
_BRAKED = frozenset({"register", "verifyEmail", "forgotPassword", "resetPassword", "returnFromOidc", "oidcToken"})
"""What may be guessed at besides."""
_THINGS = Things()
_OTHER = cycle((True, False))
# From one place five are wrong in a minute, and what is behind that would never be seen.
_PLACES = (f"10.{number % 251}.{number % 241}.{number % 239}" for number in count())
_WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)

schemathesis.openapi.format("iana-time-zone", st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"})))
schemathesis.openapi.format(
    "local-date-time",
    st.datetimes(*_YEARS).map(lambda at: at.isoformat(timespec="minutes")),
)
schemathesis.openapi.format("new-password", _WORD.map("Correct-7-{}-Horse".format))
# Mostly what is carried out: a version that is no more the present one hides all that would come after.
schemathesis.openapi.format("etag", st.sampled_from(["*", "*", "*", "*", "*", "*", '"1"', '"1", "2"', 'W/"1"']))
# Hexadecimal digits are a token of either vendor.
schemathesis.openapi.format("push-token", st.text("0123456789abcdef", min_size=64, max_size=64))
schemathesis.openapi.format(
    "date-time",
    st.integers(-60 * 24, 60 * 24).map(
        lambda hours: f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    ),
)
# Of ids that are made up nothing is known: mostly those that every installation has.
_KNOWN = (DEFAULT_SCHEDULE_ID, DEFAULT_POLICY_ID, DEFAULT_INTEGRATION_ID, _ADMIN)
schemathesis.openapi.format("uuid", (st.sampled_from(_KNOWN) | st.sampled_from(_KNOWN) | st.uuids()).map(str))
schemathesis.openapi.format("email", st.builds("{}@{}.example".format, _WORD, _WORD))


def _whose(case: Any, _context: Any) -> str:
    return "expendable" if _name_of(case) in _EXPENDABLES else "admin"


@schemathesis.auth(refresh_interval=_SIGN_IN_EVERY, cache_by_key=_whose)
class SignedIn:
    """An access token of the installation's admin, or of whoever it does not matter to."""

    def get(self, case: Any, context: Any) -> str:
        return EXPENDABLE.token() if _whose(case, context) == "expendable" else sign_in_admin()

    def set(self, case: Any, token: str, _context: Any) -> None:
        case.headers = {**next(_VERSIONS), **(case.headers or {}), "Authorization": f"Bearer {token}"}


def _name_of(case: Any) -> str:
    return str(case.operation.definition.raw.get("operationId"))


_FIELDS = {
    route.operation_id: ",".join(sorted(route.selection.known))
    for route in Api().routes
    if isinstance(route, PagerRoute) and route.selection is not None
}
"""What `fields` takes: names of an operation's own answer, which the document has no word for. All of them: one that is
left out is missed by whoever holds the answer against the document."""


def _whole(value: Any) -> Any:
    """83.0 is a whole number to JSON Schema, and none to us."""
    match value:
        case dict():
            return {name: _whole(inner) for name, inner in value.items()}
        case list():
            return [_whole(inner) for inner in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case _:
            return value


def _aim(case: Any) -> None:
    """What is done to the admin is done to whoever it does not matter to.

    Where one step follows from another it is about the same thing as that, and no other.
    """
    parameters = case.path_parameters or {}
    if case.meta is not None and case.meta.phase.name is not TestPhase.STATEFUL:
        _THINGS.aim(case.operation.path, parameters)
    if case.method != "GET" and case.operation.path.endswith(_TO_PEOPLE) and parameters.get("id") == _ADMIN:
        case.path_parameters["id"] = EXPENDABLE.known().id


def _know(name: str, body: dict[str, Any]) -> None:
    """What only its owner knows takes the place of what was made up, every other time."""
    person = EXPENDABLE.known()
    secrets = {"email": person.email} if name == "login" else {}
    secrets |= {"password": person.password, "currentPassword": person.password, "code": person.code()}
    if name in _SECRET and all(isinstance(body[field], str) for field in body.keys() & secrets) and next(_OTHER):
        body |= {field: secrets[field] for field in body.keys() & secrets}


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    name = _name_of(case)
    known = _FIELDS.get(name)
    if known and isinstance(case.query, dict) and isinstance(case.query.get("fields"), str):
        case.query["fields"] = known
    _aim(case)
    if isinstance(case.body, dict | list):
        case.body = _whole(case.body)
    if isinstance(case.body, dict):
        _know(name, case.body)
    if name in _SECRET | _BRAKED:
        case.headers = {**(case.headers or {}), "X-Forwarded-For": next(_PLACES)}


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """What would refuse all that comes after it is taken back at once; what the expendable one did is remembered."""
    name = _name_of(case)
    if response.status_code >= 300:
        return
    if name == "changePassword":
        EXPENDABLE.password = case.body["newPassword"]
    if response.status_code == 201:
        _THINGS.remember(case.operation.path, response.json()["data"])
    if name == "beginTotp":
        EXPENDABLE.secret = response.json()["data"]["secret"]
    if name in _UNDONE:
        method, path = _UNDONE[name]
        shown = response.request.headers["Authorization"].removeprefix("Bearer ")
        send(method, path.format(**(case.path_parameters or {})), token=shown)


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Every third path without its version, which a header names then, or nothing."""
    paths = raw_schema["paths"].items()
    raw_schema["paths"] = {
        path.replace("/api/v1/", "/api/") if number % 3 == 0 else path: operations
        for number, (path, operations) in enumerate(paths)
    }
