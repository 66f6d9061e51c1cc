"""What goes wrong: nothing answered, or Pager refused, each with what it says in its answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


class PagerError(Exception):
    """Everything that a call raises but for arguments that make no sense (`ValueError`, `TypeError`)."""


class NotAnswered(PagerError):
    """Nothing answered, or not in time, or what did is not Pager. Whether a change was carried out is not known,
    unless `sent` is false.
    """

    def __init__(self, message: str, *, sent: bool = True, status: int | None = None) -> None:
        super().__init__(message)
        self.sent = sent
        self.status = status
        """Of an answer that is not Pager's, such as a proxy's."""


class Refused(PagerError):
    """Pager answered with an error; `str(error)` is `CODE: message`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        *,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        """Such as `field` and `reason`; `services` that are away; `allowed` acts."""
        self.request_id = request_id
        """What Pager's logs call this request."""
        self.retry_after = retry_after
        """Seconds after which it may be tried again, where Pager says so."""


class ValidationFailed(Refused):
    """What was sent cannot be read: `details` names the field."""


class Unauthenticated(Refused):
    """Nobody is signed in, or not any more, or the password is wrong."""


class SecondFactorRequired(Unauthenticated):
    """The password is right: sign in with `totp` as well."""


class CaptchaRequired(Unauthenticated):
    """Sign in with a solved `captcha`."""


class Forbidden(Refused):
    """Whoever is signed in may not do this."""


class NotFound(Refused):
    """There is no such thing, or the caller does not see it."""


class Conflict(Refused):
    """It cannot be done as things stand: `details.state` and `details.allowed` say why, of an incident."""


class PreconditionFailed(Refused):
    """Somebody has changed it since `if_match`: read it again. `details["etag"]` is the present one."""


class TooLarge(Refused):
    """More was sent than Pager reads."""


class RateLimited(Refused):
    """Too much was asked for: again after `retry_after`."""


class Unavailable(Refused):
    """A part of Pager is away: `details.services` names it."""


class Maintenance(Unavailable):
    """An admin has stopped changes for a while."""


class Broken(Refused):
    """Pager itself failed: its logs say more under `request_id`."""


BY_CODE: Final[Mapping[str, type[Refused]]] = {
    "VALIDATION_ERROR": ValidationFailed,
    "UNAUTHENTICATED": Unauthenticated,
    "SECOND_FACTOR_REQUIRED": SecondFactorRequired,
    "CAPTCHA_REQUIRED": CaptchaRequired,
    "FORBIDDEN": Forbidden,
    "NOT_FOUND": NotFound,
    "CONFLICT": Conflict,
    "PRECONDITION_FAILED": PreconditionFailed,
    "PAYLOAD_TOO_LARGE": TooLarge,
    "RATE_LIMITED": RateLimited,
    "MAINTENANCE": Maintenance,
    "UNAVAILABLE": Unavailable,
    "INTERNAL": Broken,
}
"""Codes that a program tells apart; any other one is a plain `Refused`."""
