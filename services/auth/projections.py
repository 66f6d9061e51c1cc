"""What each event writes to auth's tables (`tables/`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from libs.chassis.store.audit import audited
from libs.chassis.store.changes import Change, Gone, Patch, Row
from libs.contracts.api_keys import (
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.auth import (
    DeviceRegistered,
    DeviceRemoved,
    EmailVerified,
    PasswordChanged,
    RolesChanged,
    SessionEnded,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor, ActorKind, Envelope
from libs.contracts.erasure import InviteErased, PersonErased
from libs.contracts.features import FeatureChanged
from libs.contracts.invites import (
    InviteAccepted,
    InviteIssued,
    InviteResent,
    InviteRevoked,
    InviteStatus,
)
from libs.contracts.maintenance import MaintenanceChanged
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted, TeamMembershipChanged
from services.auth.tables.doors import features, maintenance
from services.auth.tables.keys import api_keys
from services.auth.tables.people import devices, erased, identities, invites, memberships, push_tokens, teams, users
from services.auth.tables.schema import kept, metadata
from services.auth.tables.sessions import sessions
from services.auth.tables.watch import audit

__all__ = ["invite_row", "kept", "metadata", "project", "team_row", "user_row"]


def user_row(event: Envelope[UserRegistered]) -> dict[str, Any]:
    fact, by = event.data, _person(event.actor)
    return {
        "id": fact.user_id,
        "email": fact.email,
        "first_name": fact.first_name,
        "last_name": fact.last_name,
        "phone": fact.phone,
        "timezone": fact.timezone,
        "roles": [str(role) for role in fact.roles],
        "created_at": event.time,
        "is_active": True,
        "version": 1,
        "updated_at": None,
        # Whoever was invited, or came from a provider, has registered themselves.
        "roles_given_by": by if by != fact.user_id else None,
        "roles_given_at": None,
        "roles_version": 0,
        "email_verified": False,
    }


def invite_row(event: Envelope[InviteIssued]) -> dict[str, Any]:
    fact = event.data
    return {
        "id": fact.invite_id,
        "email": fact.email,
        "roles": [str(role) for role in fact.roles],
        "team_ids": list(fact.team_ids),
        "status": str(InviteStatus.OPEN),
        "invited_by": UUID(event.actor.id) if event.actor.kind is ActorKind.USER else None,
        "user_id": None,
        "created_at": event.time,
        "expires_at": fact.expires_at,
    }


def _changed(event: Envelope[Any], version: int) -> Patch:
    fact = event.data
    row = {"id": fact.user_id, "version": version, "updated_at": event.time}
    match fact:
        case UserChanged():
            names = {"first_name": fact.first_name, "last_name": fact.last_name}
            row |= names | {"phone": fact.phone, "timezone": fact.timezone}
        case RolesChanged():
            given = {"roles_given_by": _person(fact.by), "roles_given_at": fact.at}
            row |= given | {"roles": [str(role) for role in fact.roles], "roles_version": fact.version}
        case TeamMembershipChanged():
            row |= {"roles_version": fact.version}
        case PasswordChanged():
            row |= {"roles_version": fact.version} if fact.version is not None else {}
        case EmailVerified():
            row |= {"email_verified": True}
        case _:
            row |= {"is_active": isinstance(fact, UserReactivated)}
    return Patch(users, row)


def _membership(fact: TeamMembershipChanged) -> Change:
    key = {"user_id": fact.user_id, "team_id": fact.team_id}
    if fact.role is None:
        return Gone(memberships, key)
    return Row(memberships, key | {"role": str(fact.role), "since": fact.at})


def team_row(event: Envelope[TeamCreated]) -> dict[str, Any]:
    fact = event.data
    return {
        "id": fact.team_id,
        "name": fact.name,
        "description": fact.description,
        "version": 1,
        "created_by": event.actor.id,
        "created_at": event.time,
        "updated_at": event.time,
    }


def _api_key(event: Envelope[Any], state: Any) -> Change:
    fact = event.data
    if isinstance(fact, ApiKeyRevoked):
        return Gone(api_keys, {"id": fact.key_id})
    row = {"id": fact.key_id, "version": event.version, "updated_at": event.time, "name": state.name}
    row |= {"scopes": list(state.scopes), "owner_id": state.owner, "expires_at": state.expires_at}
    if isinstance(fact, ApiKeyCreated):
        return Row(api_keys, row | {"team_id": fact.team_id, "made_by": fact.made_by, "created_at": event.time})
    return Patch(api_keys, row)


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind is ActorKind.USER else None


@audited(audit)
def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows of one event."""
    fact = event.data
    match fact:
        case UserRegistered():
            return [Row(users, user_row(event))]
        case UserChanged() | RolesChanged() | UserDeactivated() | UserReactivated():
            return [_changed(event, state.version)]
        case EmailVerified() | PasswordChanged():
            return [_changed(event, state.version)]
        case TeamMembershipChanged():
            return [_changed(event, state.version), _membership(fact)]
        case TeamCreated():
            return [Row(teams, team_row(event))]
        case TeamChanged():
            named = {"name": fact.name, "description": fact.description}
            return [Patch(teams, {"id": fact.team_id, "version": state.version, "updated_at": event.time} | named)]
        case TeamDeleted():
            return [Gone(teams, {"id": fact.team_id})]
        case MaintenanceChanged():
            said = fact.model_dump(include={"enabled", "message", "until"})
            who = {"changed_by": event.actor.to_json().decode(), "changed_at": event.time}
            return [Row(maintenance, {"id": fact.maintenance_id} | said | who)]
        case FeatureChanged():
            said = fact.model_dump(include={"flag", "enabled", "percentage"}) | {"user_ids": list(fact.user_ids)}
            who = {"changed_by": event.actor.to_json().decode(), "changed_at": event.time}
            return [Row(features, {"id": fact.feature_id} | said | who)]
        case PersonErased(user_id=user_id, at=at):
            return [Gone(users, {"id": user_id}), Row(erased, {"user_id": user_id, "erased_at": at})]
        case InviteErased(invite_id=invite_id):
            return [Gone(invites, {"id": invite_id})]
        case InviteIssued():
            return [Row(invites, invite_row(event))]
        case InviteResent():
            return [Patch(invites, {"id": fact.invite_id, "expires_at": fact.expires_at})]
        case InviteRevoked():
            return [Patch(invites, {"id": fact.invite_id, "status": str(InviteStatus.REVOKED)})]
        case InviteAccepted():
            accepted = {"status": str(InviteStatus.ACCEPTED), "user_id": fact.user_id}
            return [Patch(invites, {"id": fact.invite_id} | accepted)]
        case (
            ApiKeyCreated()
            | ApiKeyChanged()
            | ApiKeySecretAdded()
            | ApiKeySecretRemoved()
            | ApiKeyTakenOver()
            | ApiKeyRevoked()
        ):
            return [_api_key(event, state)]
        case DeviceRegistered():
            return [
                Row(
                    devices,
                    {
                        "id": event.entity,
                        "user_id": fact.user_id,
                        "device_id": fact.device_id,
                        "name": fact.name,
                        "platform": str(fact.platform),
                        "registered_at": fact.registered_at,
                    },
                )
            ]
        case DeviceRemoved():
            return [Gone(devices, {"id": event.entity}), Gone(push_tokens, {"device": event.entity})]
        case IdentityLinked():
            row = {"id": fact.identity_id, "user_id": fact.user_id, "issuer": fact.issuer, "linked_at": event.time}
            return [Row(identities, row)]
        case IdentityUnlinked():
            return [Gone(identities, {"id": fact.identity_id})]
        case SessionEnded():
            return [Gone(sessions, {"id": fact.session_id})]
        case _:
            return []
