"""Who asks: the admin, and somebody who may be lost, for whatever would lock the admin out of the rest of a run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pyotp

from services.auth.codes import STEP

_ELSEWHERE = "198.51.100.7"
"""Whence people sign in: wrong passwords for addresses that answers told are among what is tried, from other places."""


def send(method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> Any:
    """The `data` of an answer. Raises HTTPError."""
    headers = {"Content-Type": "application/json", "X-Forwarded-For": _ELSEWHERE}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    sent = None if body is None else json.dumps(body).encode()
    url = f"{os.environ['PAGER_FUZZ_URL']}/api/v1{path}"
    with urlopen(Request(url, sent, headers, method=method)) as answer:  # noqa: S310 - http://
        return json.load(answer)["data"]


def sign_in(email: str, password: str) -> str:
    """An access token, always of one device. Raises HTTPError."""
    body = {"email": email, "password": password, "deviceId": "fuzz"}
    try:
        return str(send("POST", "/auth/login", body)["tokens"]["accessToken"])
    except HTTPError as error:
        if error.code != 409:
            raise
        # Among what is tried is to register devices, and a person has five.
        replaced = {"replace": json.load(error)["error"]["details"]["devices"][0]["deviceId"]}
        return str(send("POST", "/auth/login", body | replaced)["tokens"]["accessToken"])


def sign_in_admin() -> str:
    return sign_in(os.environ["PAGER_FUZZ_EMAIL"], os.environ["PAGER_FUZZ_PASSWORD"])


@dataclass
class Expendable:
    """Whoever gives themselves other passwords and second factors, signs out, is deactivated and erased.

    A run that did all this to its own person was out of it after minutes: it had made another admin, so that it was
    not the last one any more, and deactivated itself. Somebody who can sign in no longer is replaced.
    """

    id: str = ""
    email: str = ""
    password: str = ""
    secret: str = field(default="", repr=False)
    """Of an authenticator app, where one was begun."""
    _number: count[int] = field(default_factory=lambda: count(1))

    def token(self) -> str:
        """By a sign-in of its own. Raises HTTPError."""
        if self.email:
            try:
                return sign_in(self.email, self.password)
            except HTTPError as error:
                if error.code not in (401, 429):
                    raise
        self._replace()
        return sign_in(self.email, self.password)

    def known(self) -> Expendable:
        if not self.id:
            self._replace()
        return self

    def code(self) -> str:
        """That the app shows now."""
        return pyotp.TOTP(self.secret, interval=STEP).now() if self.secret else "000000"

    def _replace(self) -> None:
        self.email, self.password = f"expendable{next(self._number)}@pager.example", "Correct-7-Battery-Horse"
        body = {"email": self.email, "password": self.password, "firstName": "Eve", "lastName": "Expendable"}
        self.id, self.secret = send("POST", "/users", body, sign_in_admin())["user"]["id"], ""


EXPENDABLE = Expendable()
