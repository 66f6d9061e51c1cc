"""Who did what, and from where: what is audited of all that happens, and how it is told (`GET /audit`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self
from uuid import UUID, uuid5

from pydantic import Field

from libs.contracts.api_keys import (
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.auth import (
    DeviceAdded,
    DeviceRemoved,
    EmailVerified,
    LockoutBegun,
    LockoutLifted,
    PasswordChanged,
    PasswordReset,
    RecoveryCodeUsed,
    ResetLinkIssued,
    RolesChanged,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SessionEnded,
    SignedIn,
    SigningKeyRotated,
    SignInRefused,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, ActorKind, Envelope, Fact
from libs.contracts.erasure import InviteErased, PersonErased
from libs.contracts.escalation import PolicyChanged, PolicyCreated, PolicyDeleted
from libs.contracts.features import FeatureChanged
from libs.contracts.incidents import (
    EscalationRequested,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentReassigned,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    NoteAdded,
    PriorityLowered,
    PriorityRaised,
    RespondersAdded,
)
from libs.contracts.integrations import (
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    IntegrationKeyAdded,
    IntegrationKeyRevoked,
)
from libs.contracts.invites import InviteAccepted, InviteIssued, InviteResent, InviteRevoked
from libs.contracts.maintenance import MaintenanceChanged
from libs.contracts.model import Contract, Moment, Personal, StrictContract
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked
from libs.contracts.oncall import (
    OverrideAdded,
    OverrideCancelled,
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
)
from libs.contracts.revocations import TokenRevoked
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted, TeamMembershipChanged

AUDITED_SERVICES: Final = ("auth", "oncall", "escalation", "incidents")
"""Those whose logs hold what people change."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose request it was, and from where, as the gateway says; the person's even where a key of theirs asks."""

    user_id: UUID
    address: str | None
    agent: str | None


class ActedFrom(Fact):
    """Where somebody was who changed something: once for all audited events of the same `correlationId`.

    It is about them alone, whomever they changed: where an admin was is sealed under the admin's key.
    """

    user_id: UUID
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class AuthActedFrom(ActedFrom, type="pager.auth.ActedFrom.v1"):
    pass


class OncallActedFrom(ActedFrom, type="pager.oncall.ActedFrom.v1"):
    pass


class EscalationActedFrom(ActedFrom, type="pager.escalation.ActedFrom.v1"):
    pass


class IncidentsActedFrom(ActedFrom, type="pager.incidents.ActedFrom.v1"):
    pass


ACTED_FROM: Final[Mapping[str, type[ActedFrom]]] = {
    "auth": AuthActedFrom,
    "oncall": OncallActedFrom,
    "escalation": EscalationActedFrom,
    "incidents": IncidentsActedFrom,
}


class RefreshTokenReused(Fact, type="pager.auth.RefreshTokenReused.v1"):
    """Somebody has shown a refresh token that was used up, or on another device: its thief or its owner.

    `SessionEnded` comes right after it.
    """

    user_id: UUID
    session_id: UUID
    device_id: str
    reason: str
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class SignedInFromNewCountry(Fact, type="pager.auth.SignedInFromNewCountry.v1"):
    """Somebody has signed in from a country that they have not signed in from within a year, and from another one."""

    user_id: UUID
    session_id: UUID
    country: Personal[str]
    """ISO 3166-1, such as `NO`."""
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


def month_subject(month: str) -> UUID:
    """Of what is about nobody who is known: under whose key it is sealed (`2026-11`)."""
    return uuid5(PAGER, f"audit/{month}")


class UnknownAccountRefused(Fact, type="pager.auth.UnknownAccountRefused.v1"):
    """Somebody has tried to sign in with an address that nobody has, `times` times from there within the hour.

    `account` is the address under a key of auth's: the same one is the same text, and nobody's address can be read of
    it. From where is sealed under the key of `month`, which is destroyed 90 days after its end.
    """

    account: str
    month: str
    reason: str
    times: int
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None

    @property
    def whose(self) -> UUID:
        return month_subject(self.month)


class AccessRefused(Fact, type="pager.auth.AccessRefused.v1"):
    """Somebody who is signed in, or a key of theirs, has asked for what they may not do or see, `times` times in the
    hour. They were told that it is forbidden, or that there is no such thing."""

    user_id: UUID
    key_id: UUID | None = None
    method: str
    route: str
    """Its template, without what stands in its place: `/api/v1/users/{id}`."""
    times: int
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class ApiKeyUsed(Fact, type="pager.auth.ApiKeyUsed.v1"):
    """An API key was used from there: the first time within an hour. The access log has each request."""

    key_id: UUID
    user_id: UUID
    """Whose rights it has; the key itself where a team owns it."""
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class RefusalsCounted(Fact, type="pager.auth.RefusalsCounted.v1"):
    """So many refusals since `since` have no event of their own: there were too many in a minute."""

    times: int
    since: Moment


@dataclass(frozen=True, slots=True)
class Rule:
    """How an audited fact is told.

    `kind` and `of`: the resource is `<kind>/<value of the field of>`. `fields`: what of it is told, None: all but
    `of`. `before`: the facts of the same entity that say what it was until then.
    """

    kind: str
    of: str
    fields: tuple[str, ...] | None = None
    before: tuple[type[Fact], ...] = ()
    gone: bool = False
    """Nothing of it is left afterwards."""
    of_people: bool = False
    """Only where a person did it, or a key of theirs: what Pager does by itself all the time is told elsewhere."""

    def tells(self, event: Envelope[Any]) -> bool:
        return not self.of_people or event.actor.kind in (ActorKind.USER, ActorKind.KEY)


_PROFILE = ("first_name", "last_name", "phone", "timezone")
_PERSON = Rule("users", "user_id")
_INVITE = Rule("invites", "invite_id")
_INTEGRATION = Rule("integrations", "integration_id")
_INTEGRATIONS = (IntegrationCreated, IntegrationChanged)
_API_KEY = Rule("api-keys", "key_id")
_API_KEYS = (ApiKeyCreated, ApiKeyChanged)
_TEAMS = (TeamCreated, TeamChanged)
_POLICIES = (PolicyCreated, PolicyChanged)
_SCHEDULES = (ScheduleCreated, ScheduleChanged)
_INCIDENT = Rule("incidents", "incident_id", ("notes",), of_people=True)
_PRIORITY = Rule(
    "incidents", "incident_id", ("priority",), (IncidentCreated, PriorityRaised, PriorityLowered), of_people=True
)

AUDITED: Final[Mapping[type[Fact], Rule]] = {
    SignedIn: _PERSON,
    SignedInFromNewCountry: _PERSON,
    SignInRefused: _PERSON,
    UnknownAccountRefused: Rule("accounts", "account"),
    LockoutBegun: _PERSON,
    LockoutLifted: _PERSON,
    RefreshTokenReused: _PERSON,
    AccessRefused: _PERSON,
    RefusalsCounted: Rule("accounts", "since"),
    ApiKeyUsed: Rule("api-keys", "key_id", ()),
    SessionEnded: _PERSON,
    UserRegistered: _PERSON,
    UserChanged: Rule("users", "user_id", _PROFILE, (UserRegistered, UserChanged)),
    RolesChanged: Rule("users", "user_id", ("roles",), (UserRegistered, RolesChanged)),
    UserDeactivated: Rule("users", "user_id", ()),
    UserReactivated: Rule("users", "user_id", ()),
    PersonErased: Rule("users", "user_id", ()),
    EmailVerified: _PERSON,
    ResetLinkIssued: _PERSON,
    PasswordReset: _PERSON,
    PasswordChanged: _PERSON,
    TokenRevoked: _PERSON,
    SecondFactorEnabled: _PERSON,
    SecondFactorDisabled: _PERSON,
    RecoveryCodeUsed: _PERSON,
    IdentityLinked: _PERSON,
    IdentityUnlinked: _PERSON,
    # Never the one with the push token, which is a credential.
    DeviceAdded: _PERSON,
    DeviceRemoved: _PERSON,
    InviteIssued: _INVITE,
    InviteErased: _INVITE,
    InviteResent: _INVITE,
    InviteRevoked: _INVITE,
    InviteAccepted: _INVITE,
    TeamMembershipChanged: _PERSON,
    TeamCreated: Rule("teams", "team_id"),
    TeamChanged: Rule("teams", "team_id", before=_TEAMS),
    TeamDeleted: Rule("teams", "team_id", before=_TEAMS, gone=True),
    ApiKeyCreated: _API_KEY,
    ApiKeyChanged: Rule("api-keys", "key_id", before=_API_KEYS),
    ApiKeySecretAdded: _API_KEY,
    ApiKeySecretRemoved: _API_KEY,
    ApiKeyTakenOver: _API_KEY,
    ApiKeyRevoked: Rule("api-keys", "key_id", before=_API_KEYS, gone=True),
    FeatureChanged: Rule("features", "flag", ("enabled", "percentage", "user_ids"), (FeatureChanged,)),
    MaintenanceChanged: Rule("maintenance", "maintenance_id", before=(MaintenanceChanged,)),
    SigningKeyRotated: Rule("signing-keys", "kid"),
    ScheduleCreated: Rule("schedules", "schedule_id"),
    ScheduleChanged: Rule("schedules", "schedule_id", before=_SCHEDULES),
    ScheduleDeleted: Rule("schedules", "schedule_id", before=_SCHEDULES, gone=True),
    OverrideAdded: Rule("schedules", "schedule_id"),
    OverrideCancelled: Rule("schedules", "schedule_id"),
    PolicyCreated: Rule("policies", "policy_id"),
    PolicyChanged: Rule("policies", "policy_id", before=_POLICIES),
    PolicyDeleted: Rule("policies", "policy_id", before=_POLICIES, gone=True),
    IntegrationCreated: _INTEGRATION,
    IntegrationChanged: Rule("integrations", "integration_id", before=_INTEGRATIONS),
    IntegrationDeleted: Rule("integrations", "integration_id", before=_INTEGRATIONS, gone=True),
    IntegrationKeyAdded: _INTEGRATION,
    IntegrationKeyRevoked: _INTEGRATION,
    IncidentCreated: Rule("incidents", "incident_id", ("title", "priority", "team_id", "assigned_to"), of_people=True),
    IncidentAcknowledged: _INCIDENT,
    IncidentResolved: _INCIDENT,
    IncidentClosed: _INCIDENT,
    IncidentReopened: _INCIDENT,
    IncidentSnoozed: Rule("incidents", "incident_id", ("until",), of_people=True),
    IncidentSuppressed: Rule("incidents", "incident_id", ("suppression", "reason"), of_people=True),
    IncidentReassigned: Rule(
        "incidents", "incident_id", ("assigned_to",), (IncidentCreated, IncidentReassigned), of_people=True
    ),
    RespondersAdded: Rule("incidents", "incident_id", ("user_ids", "notes"), of_people=True),
    EscalationRequested: Rule("incidents", "incident_id", ("level", "reason"), of_people=True),
    NoteAdded: Rule("incidents", "incident_id", ("text",), of_people=True),
    IncidentEdited: Rule(
        "incidents",
        "incident_id",
        ("title", "description", "metadata"),
        (IncidentCreated, IncidentEdited),
        of_people=True,
    ),
    PriorityRaised: _PRIORITY,
    PriorityLowered: _PRIORITY,
}
"""What is audited. What becomes of an incident by itself is not: its timeline says that."""

ACCESSES: Final = "requests"
"""The kind under which the access log is asked for: it is in no list of what was changed."""

RESOURCES: Final[Mapping[str, str]] = {rule.kind: fact.type.split(".")[1] for fact, rule in AUDITED.items()} | {
    ACCESSES: "auth"
}
"""The kinds of resources, and the service that knows of them."""


def resource_of(event: Envelope[Any]) -> tuple[str, str]:
    """The kind and the id of what an audited event is about."""
    rule = AUDITED[type(event.data)]
    value = getattr(event.data, rule.of)
    return rule.kind, value.isoformat() if hasattr(value, "isoformat") else str(value)


class Access(Contract):
    """One request at the gateway: never a path, a query or a body, of which strangers and people decide what is in it.

    `id` is made in the order of time, so that a batch that comes twice is kept once.
    """

    id: UUID
    at: Moment
    method: str = Field(max_length=16)
    route: str = Field(max_length=255)
    """Its template; `unmatched` where there is none."""
    status: int
    """0: the caller hung up before there was one."""
    ms: float
    user_id: UUID | None = None
    key_id: UUID | None = None
    ip_address: str | None = Field(default=None, max_length=64)
    user_agent: str | None = Field(default=None, max_length=255)
    request_id: str = Field(max_length=128)


class KeepAccesses(StrictContract):
    """`pager.rpc.auth.keep_accesses`, of the gateway's alone.

    `kept`: for the access log. `refused` and `used`: those that were answered 403, and first ones of an API key from
    somewhere within an hour: for the audit, kept or not.
    """

    kept: tuple[Access, ...] = Field(default=(), max_length=1000)
    refused: tuple[Access, ...] = Field(default=(), max_length=1000)
    used: tuple[Access, ...] = Field(default=(), max_length=1000)


class AuditPlace(Contract):
    """Where a page begins: behind this entry."""

    at: Moment
    event_id: UUID

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(at=entry.at, event_id=entry.event_id)


class AuditQuery(StrictContract):
    """`pager.rpc.<service>.audit`: newest first, of `[from, to)`."""

    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    actor_id: UUID | None = None
    kind: str | None = Field(default=None, max_length=64)
    resource_id: str | None = Field(default=None, max_length=255)
    limit: int = Field(default=20, ge=1, le=100)
    after: AuditPlace | None = None
    cursor: str | None = Field(default=None, max_length=4096)
    """The same place, as this service has sealed it: of one that was not its own entry's it says nothing."""


class AuditEntry(Contract):
    """`action` is the event's name. `old` and `new` are what was changed, before and after, where something was."""

    at: Moment
    actor: Actor
    ip_address: str | None = None
    user_agent: str | None = None
    action: str
    resource: Annotated[str, Field(examples=["users/0b7c…"])]
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None
    event_id: UUID


class AuditPage(Contract):
    """`more`: there are others behind the last of these. `cursors`: the place of each, sealed, for whoever merges."""

    entries: tuple[AuditEntry, ...]
    more: bool = False
    cursors: tuple[str, ...] = ()
