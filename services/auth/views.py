"""Auth's rows as callers see them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.auth import DeviceView, HeldDevice, SessionView, UserView
from libs.contracts.invites import InviteStatus, InviteView, LinkView
from libs.contracts.teams import MemberView, TeamOf, TeamView


def user_view(row: dict[str, Any]) -> UserView:
    teams = tuple(TeamOf.model_validate(team) for team in row.get("teams", ()))
    return UserView(
        id=row["id"],
        email=row["email"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        roles=row["roles"],
        phone=row["phone"],
        timezone=row["timezone"],
        team_ids=tuple(team.id for team in teams),
        teams=teams,
        is_active=row["is_active"],
        reachable=row["is_active"] and row.get("has_device", False),
        roles_given_by=row["roles_given_by"],
        roles_given_at=row["roles_given_at"] or row["created_at"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        email_verified=row["email_verified"],
    )


def invite_view(row: dict[str, Any], now: datetime, link: LinkView | None = None) -> InviteView:
    status = InviteStatus(row["status"])
    return InviteView(
        id=row["id"],
        email=row["email"],
        roles=row["roles"],
        team_ids=row["team_ids"],
        status=InviteStatus.EXPIRED if status is InviteStatus.OPEN and row["expires_at"] <= now else status,
        invited_by=row["invited_by"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        link=link,
    )


def device_view(row: dict[str, Any]) -> DeviceView:
    return DeviceView(
        device_id=row["device_id"],
        device_name=row["name"],
        platform=row["platform"],
        registered_at=row["registered_at"],
    )


def session_view(row: dict[str, Any], *, current: UUID) -> SessionView:
    """`current`: the session that asks."""
    return SessionView(
        id=row["id"],
        device_id=row["device_id"],
        device_name=row["device_name"],
        platform=row["platform"],
        began_at=row["began_at"],
        began_from=row["began_from"],
        last_used_at=row["used_at"],
        last_used_from=row["last_from"],
        expires_at=row["expires_at"],
        is_bound=row["device_key"] is not None,
        is_current=row["id"] == current,
    )


def held_view(device_id: str, session: dict[str, Any] | None, device: dict[str, Any] | None) -> HeldDevice:
    """A device, from the row of its session, of its registration, or of both."""
    signed_in, paged = session or {}, device or {}
    return HeldDevice(
        device_id=device_id,
        device_name=paged.get("name") or signed_in.get("device_name"),
        platform=paged.get("platform"),
        session_id=signed_in.get("id"),
        last_used_at=signed_in.get("used_at"),
        is_paged=device is not None,
    )


def team_view(row: dict[str, Any]) -> TeamView:
    return TeamView.model_validate(row)


def member_view(row: dict[str, Any]) -> MemberView:
    """Of a person's row, with their place in the team."""
    user = user_view(row)
    return MemberView(
        user_id=user.id,
        first_name=user.first_name,
        last_name=user.last_name,
        role=row["team_role"],
        is_active=user.is_active,
        reachable=user.reachable,
        since=row["since"],
        version=row["version"],
    )
