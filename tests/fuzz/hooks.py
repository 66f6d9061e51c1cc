"""What Schemathesis cannot know from the document: how one signs in, and what texts of our own formats look like."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from services.auth.registration import admin_id
from services.gateway.app import Api
from services.gateway.route import PagerRoute

_ELSEWHERE = "198.51.100.7"
"""Whence the admin signs in: wrong passwords for addresses that answers told are among what is tried, from here."""
_SIGN_IN_EVERY = 10
"""Seconds: among what is tried is to sign out."""
_YEARS = (datetime(2000, 1, 1), datetime(2199, 12, 31))  # noqa: DTZ001 - of wall clocks
_VERSIONS = cycle(
    ({}, {"X-API-Version": "v1"}, {"Accept": "application/vnd.pager.v1+json, text/csv;q=0.5"}, {"X-API-Version": "1"})
)
"""How a version is named, in turns."""
_UNDONE = {
    "setMaintenance": ("DELETE", "/admin/maintenance"),
    "setFeature": ("POST", "/admin/features/{flag}/enable"),
    "rollOutFeature": ("POST", "/admin/features/{flag}/enable"),
}
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
_KNOWN = (DEFAULT_SCHEDULE_ID, DEFAULT_POLICY_ID, DEFAULT_INTEGRATION_ID, admin_id(os.environ["PAGER_FUZZ_EMAIL"]))
schemathesis.openapi.format("uuid", (st.sampled_from(_KNOWN) | st.sampled_from(_KNOWN) | st.uuids()).map(str))
schemathesis.openapi.format("email", st.builds("{}@{}.example".format, _WORD, _WORD))


def _sign_in(**more: str) -> str:
    body = {
        "email": os.environ["PAGER_FUZZ_EMAIL"],
        "password": os.environ["PAGER_FUZZ_PASSWORD"],
        "deviceId": "fuzz",
    }
    url = f"{os.environ['PAGER_FUZZ_URL']}/api/v1/auth/login"
    sent = json.dumps(body | more).encode()
    headers = {"Content-Type": "application/json", "X-Forwarded-For": _ELSEWHERE}
    with urlopen(Request(url, sent, headers)) as answer:  # noqa: S310 - http://
        return str(json.load(answer)["data"]["tokens"]["accessToken"])


@schemathesis.auth(refresh_interval=_SIGN_IN_EVERY)
class Admin:
    """An access token of the installation's admin, always from one device."""

    def get(self, _case: Any, _context: Any) -> str:
        try:
            return _sign_in()
        except HTTPError as error:
            if error.code != 409:
                print("SIGNIN", error.code, error.read(), file=open("/tmp/fz/signin.log", "a"))
                raise
            # Among what is tried is to register devices, and a person has five.
            return _sign_in(replace=json.load(error)["error"]["details"]["devices"][0]["deviceId"])

    def set(self, case: Any, token: str, _context: Any) -> None:
        case.headers = {**next(_VERSIONS), **(case.headers or {}), "Authorization": f"Bearer {token}"}


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


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    known = _FIELDS.get(case.operation.definition.raw.get("operationId"))
    if known and isinstance(case.query, dict) and isinstance(case.query.get("fields"), str):
        case.query["fields"] = known
    if isinstance(case.body, dict | list):
        case.body = _whole(case.body)


@schemathesis.hook
def after_call(_context: Any, case: Any, response: Any) -> None:
    """What would refuse all that comes after it is taken back at once."""
    undo = _UNDONE.get(case.operation.definition.raw.get("operationId"))
    if undo is None or response.status_code >= 300:
        return
    method, path = undo
    url = f"{os.environ['PAGER_FUZZ_URL']}/api/v1{path}".format(**(case.path_parameters or {}))
    shown = {"Authorization": response.request.headers["Authorization"]}
    with urlopen(Request(url, headers=shown, method=method)):  # noqa: S310 - http://
        pass


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Every third path without its version, which a header names then, or nothing."""
    paths = raw_schema["paths"].items()
    raw_schema["paths"] = {
        path.replace("/api/v1/", "/api/") if number % 3 == 0 else path: operations
        for number, (path, operations) in enumerate(paths)
    }
