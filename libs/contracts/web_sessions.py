"""Sessions of browsers: their refresh token is in a cookie, and they end when nobody has asked for anything."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from libs.contracts.model import StrictContract


class Presence(StrictContract):
    """Somebody has asked for something in this session, so long ago."""

    session_id: UUID
    seconds_ago: float = Field(ge=0, le=3600)


class Present(StrictContract):
    """`pager.rpc.auth.present`, by the gateway: where people are at work."""

    sessions: tuple[Presence, ...] = Field(max_length=1000)
