"""Who calls: nobody, an API key, somebody's access token, or somebody who signed in and whose tokens are renewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pager_client.errors import NotAnswered

MARGIN: Final = 30.0
"""Seconds before its end an access token is renewed; of a short one a fifth of its life."""


@dataclass(frozen=True)
class Session:
    """`bearer` is what is shown; with `refresh` there will be another one. Times are those of a monotonic clock."""

    bearer: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)
    device_id: str | None = None
    renew_at: float | None = None

    def __post_init__(self) -> None:
        for name in ("bearer", "refresh"):
            token = getattr(self, name)
            # Whatever ends a line would begin another header. It is not shown: it is a secret.
            if token is not None and not (token.isascii() and token.isprintable() and token.strip() == token != ""):
                raise ValueError("a token or key is printable ASCII without blanks around it")

    def renewed(self, answer: Mapping[str, Any], now: float) -> Session:
        """With what `POST /auth/login` or `/auth/refresh` answered. Raises `NotAnswered`: these are no tokens."""
        try:
            found = answer["tokens"]
            lasts = float(found["expiresIn"])
            renew_at = now + lasts - min(MARGIN, lasts / 5)
            return Session(
                str(found["accessToken"]), found.get("refreshToken") or self.refresh, self.device_id, renew_at
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise NotAnswered("a sign-in without tokens") from None

    def is_due(self, now: float) -> bool:
        """Whether it is time for another access token, and there is a way to one."""
        return self.refresh is not None and self.renew_at is not None and now >= self.renew_at
