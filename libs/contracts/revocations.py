"""Access tokens that are refused before they end, by themselves; others go with their session, or with what changed."""

from __future__ import annotations

from uuid import UUID

from libs.contracts.envelope import Fact


class TokenRevoked(Fact, type="pager.auth.TokenRevoked.v1"):
    """Whoever held this access token has given it up; its session goes on, with another one."""

    user_id: UUID
    token_id: UUID
    """Its `jti`."""
