"""Integrations, through which other systems send alerts: what incidents publishes and answers of them."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Fact
from libs.contracts.model import Contract, Moment, StrictContract
from libs.contracts.requests import ListView
from libs.contracts.texts import ONE_LINE


class IntegrationKind(StrEnum):
    GENERIC = "generic"
    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"
    ALERTMANAGER = "alertmanager"
    GRAFANA = "grafana"
    CLOUDEVENTS = "cloudevents"
    EMAIL = "email"
    HEARTBEAT = "heartbeat"


class IntegrationCreated(Fact, type="pager.incidents.IntegrationCreated.v1"):
    """Its key is a row (hashed), never in an event."""

    integration_id: UUID
    name: str
    kind: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None


class IntegrationChanged(Fact, type="pager.incidents.IntegrationChanged.v1"):
    """The whole integration after the change; incidents that are open keep what they began with."""

    integration_id: UUID
    name: str
    kind: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None


class IntegrationKeyAdded(Fact, type="pager.incidents.IntegrationKeyAdded.v1"):
    """A routing key that senders may use from now on, also the first one; nothing in here helps to guess it."""

    integration_id: UUID
    key_id: UUID
    hint: str
    """Its last characters, by which people tell two keys apart."""


class IntegrationKeyRevoked(Fact, type="pager.incidents.IntegrationKeyRevoked.v1"):
    """From now on an alert with this key is one with an unknown key."""

    integration_id: UUID
    key_id: UUID


class IntegrationDeleted(Fact, type="pager.incidents.IntegrationDeleted.v1"):
    """It is gone with all its keys."""

    integration_id: UUID


class CreateIntegration(StrictContract):
    name: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    type: IntegrationKind = IntegrationKind.GENERIC
    policy_id: UUID | None = None
    team_id: UUID | None = None


class IntegrationChange(StrictContract):
    """Fields not given stay. `policyId` given as null goes: its incidents then run the policy Default; without a
    `teamId` they are the whole organisation's."""

    name: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    policy_id: UUID | None = None
    team_id: UUID | None = None


class ChangeIntegration(IntegrationChange):
    id: UUID


class RevokeKey(StrictContract):
    id: UUID
    key_id: UUID


class IntegrationKeyView(Contract):
    """A routing key that senders may use, without the key."""

    id: UUID
    created_at: Moment
    last_used_at: Moment | None = None
    """When an alert last came with it, to the minute; None: none has, as far as is known."""
    hint: str | None = None
    """Its last four characters; None: an older release has made it."""


class CreatedKeyView(IntegrationKeyView):
    key: str
    """32 characters, shown once: here."""


class IntegrationView(Contract):
    id: UUID
    version: int
    name: str
    type: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None
    created_at: Moment
    updated_at: Moment
    keys: tuple[IntegrationKeyView, ...] = ()
    """Oldest first, at most two."""
    key: str | None = None
    """32 characters, shown once: in the answer to its creation."""


class IntegrationList(ListView):
    """Oldest first."""

    integrations: tuple[IntegrationView, ...]
