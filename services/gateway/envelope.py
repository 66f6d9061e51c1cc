"""The envelope of every answer, and the one place where a refusal becomes a status and a code."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import HTTPException
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import Response

from libs.chassis.requests.matching import digest, etag
from libs.contracts.api_keys import SecretView
from libs.contracts.auth import CaptchaChallenge, HeldDevice, TotpSecret
from libs.contracts.integrations import IntegrationKeyView
from libs.contracts.model import Contract, Moment
from libs.contracts.requests import ErrorKind, Refusal
from libs.contracts.uses import Use

Code = Literal[
    "VALIDATION_ERROR",
    "UNAUTHENTICATED",
    "SECOND_FACTOR_REQUIRED",
    "CAPTCHA_REQUIRED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "NOT_ACCEPTABLE",
    "REQUEST_TIMEOUT",
    "CONFLICT",
    "PRECONDITION_FAILED",
    "PAYLOAD_TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "UPGRADE_REQUIRED",
    "RATE_LIMITED",
    "HEADERS_TOO_LARGE",
    "MAINTENANCE",
    "UNAVAILABLE",
    "INTERNAL",
]

STATUS_OF: Mapping[Code, int] = {
    "VALIDATION_ERROR": 400,
    "SECOND_FACTOR_REQUIRED": 401,
    "CAPTCHA_REQUIRED": 401,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "CONFLICT": 409,
    "PRECONDITION_FAILED": 412,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "UPGRADE_REQUIRED": 426,
    "RATE_LIMITED": 429,
    "HEADERS_TOO_LARGE": 431,
    "INTERNAL": 500,
    "MAINTENANCE": 503,
    "UNAVAILABLE": 503,
}
CODE_OF: Mapping[int, Code] = {status: code for code, status in STATUS_OF.items()}
"""Of two with one status the later one."""

_CODE_OF_KIND: Mapping[ErrorKind, Code] = {
    ErrorKind.VALIDATION: "VALIDATION_ERROR",
    ErrorKind.UNAUTHENTICATED: "UNAUTHENTICATED",
    ErrorKind.SECOND_FACTOR_REQUIRED: "SECOND_FACTOR_REQUIRED",
    ErrorKind.CAPTCHA_REQUIRED: "CAPTCHA_REQUIRED",
    ErrorKind.FORBIDDEN: "FORBIDDEN",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.CONFLICT: "CONFLICT",
    ErrorKind.PRECONDITION_FAILED: "PRECONDITION_FAILED",
    ErrorKind.RATE_LIMITED: "RATE_LIMITED",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
    ErrorKind.INTERNAL: "INTERNAL",
}


class ErrorDetails(Contract):
    """The field at fault, as it was written, what is wrong with it; what there is to choose from, or is in the way."""

    field: str | None = Field(default=None, examples=["email"])
    reason: str | None = Field(default=None, examples=["must be a valid email address"])
    devices: tuple[HeldDevice, ...] | None = Field(
        default=None, description="The caller's devices, where one of them has to go; only present then."
    )
    etag: str | None = Field(default=None, description="The present one, where If-Match names others; only then.")
    keys: tuple[IntegrationKeyView, ...] | None = Field(
        default=None, description="The integration's keys, where one of them has to go; only present then."
    )
    secrets: tuple[SecretView, ...] | None = Field(
        default=None, description="The API key's secrets, where one of them has to go; only present then."
    )
    used_by: tuple[Use, ...] | None = Field(
        default=None, description="What needs the thing that was to be deleted, at most ten; only present then."
    )
    totp: TotpSecret | None = Field(
        default=None, description="What to set a second factor up with, where one is needed to sign in; only then."
    )
    captcha: CaptchaChallenge | None = Field(
        default=None, description="What to solve, where a captcha is needed to sign in; only then."
    )
    total: int | None = Field(default=None, description="How many need it; only present with `usedBy`.")
    state: str | None = Field(
        default=None, description="Of an incident to which this cannot be done, only then.", examples=["resolved"]
    )
    allowed: tuple[str, ...] | None = Field(
        default=None, description="What can be done to it instead, in the words of the paths; only with `state`."
    )
    at: Moment | None = Field(
        default=None, description="When it was ended, or when paging started again; only where that is the reason."
    )
    by: str | None = Field(default=None, description="Who has ended it: a person's id; only with `at`.")
    ath: str | None = Field(
        default=None,
        description="Of the proof that is wanted, for a browser, which does not see its cookie; only then.",
    )
    services: tuple[str, ...] | None = Field(
        default=None, description="Which services, or `bus`, are away or did not answer in time; only present then."
    )


class ErrorBody(Contract):
    code: Code
    message: str = Field(examples=["email: must be a valid email address"])
    details: ErrorDetails | None = None


class ErrorAnswer(Contract):
    """The specification's Error Response Format."""

    success: Literal[False] = False
    error: ErrorBody


class Problem(HTTPException):
    """A request that gets an error for an answer.

    `field` is a dotted path in the caller's spelling; `more` is said beside it in the details.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        field: str | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(STATUS_OF[code], message, dict(headers or {}))
        self.code = code
        self.message = message
        self.field = field
        self.more = more or {}
        self.hidden = False
        """Whether it is there and not for whoever has asked: never told, but to the audit."""

    @classmethod
    def of(cls, refusal: Refusal) -> Problem:
        """A service's refusal; 503 and 429 say when to come back, 412 what there is now."""
        code = _CODE_OF_KIND[refusal.kind]
        retry_after = refusal.retry_after or (1.0 if code == "UNAVAILABLE" else None)
        headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
        if code == "PRECONDITION_FAILED" and refusal.details is not None:
            headers["ETag"] = str(refusal.details["etag"])
        problem = cls(code, refusal.message, field=refusal.field, more=refusal.details, headers=headers)
        problem.hidden = refusal.hidden
        return problem

    @classmethod
    def invalid(cls, field: str, reason: str) -> Problem:
        return cls("VALIDATION_ERROR", reason, field=field)


def success(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json({"success": True, "data": data}), status, headers, media_type="application/json")


def failure(problem: Problem) -> Response:
    """The error's answer; a field's message names the field, its reason does not repeat it."""
    error: dict[str, Any] = {"code": problem.code, "message": problem.message}
    if problem.field is not None:
        error["message"] = f"{problem.field}: {problem.message}"
        error["details"] = {"field": problem.field, "reason": problem.message, **problem.more}
    elif problem.more:
        error["details"] = dict(problem.more)
    headers = dict(problem.headers or {})
    if problem.status_code == 401:
        # RFC 9110, section 11.6.1: a 401 names the scheme.
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        to_json({"success": False, "error": error}), problem.status_code, headers, media_type="application/json"
    )


def item(name: str, view: Any, status: int = 200, **beside: Any) -> Response:
    """One thing: `{"data": {"<name>": view}}`, with the tag of its version if it has one, and of how it looks now."""
    headers = {"ETag": etag(view["version"], digest(to_json(view)))} if "version" in view else None
    return success({name: view, **beside}, status, headers)
