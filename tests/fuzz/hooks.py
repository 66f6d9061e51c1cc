"""What Schemathesis cannot know from the document: how one signs in, and what texts of our own formats look like."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from zoneinfo import available_timezones

import schemathesis
from hypothesis import strategies as st

from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from services.auth.registration import admin_id

_ELSEWHERE = "198.51.100.7"
"""Whence the admin signs in: wrong passwords for addresses that answers told are among what is tried, from here."""
_SIGN_IN_EVERY = 10
"""Seconds: among what is tried is to sign out."""
_YEARS = (datetime(2000, 1, 1), datetime(2199, 12, 31))  # noqa: DTZ001 - of wall clocks
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
                raise
            # Among what is tried is to register devices, and a person has five.
            return _sign_in(replace=json.load(error)["error"]["details"]["devices"][0]["deviceId"])

    def set(self, case: Any, token: str, _context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
