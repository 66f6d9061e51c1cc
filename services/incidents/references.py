"""People, policies and teams that a request names: replicas of whom and what there is, and what is said of the others.

Only requests are held to them. What senders write on the bus names an integration at most, and pages in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, Column, Select, Table, Uuid, any_, bindparam, false, select, true

from libs.chassis.consume.arrival import Arrival, Seen, Unreachable
from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Change, Gone, Patch, Row
from libs.chassis.store.person_keys import forget_erased
from libs.chassis.store.work import Work
from libs.contracts.analytics import AnalyticsQuery
from libs.contracts.auth import UserChanged, UserDeactivated, UserReactivated, UserRegistered
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.envelope import Envelope
from libs.contracts.erasure import PersonErased
from libs.contracts.escalation import PolicyChanged, PolicyCreated, PolicyDeleted
from libs.contracts.incidents import CreateIncident, ListIncidents
from libs.contracts.integrations import ChangeIntegration, CreateIntegration
from libs.contracts.permissions import Action
from libs.contracts.requests import Invalid, NoSuchTeam
from libs.contracts.teams import TeamCreated, TeamDeleted
from services.incidents.analytics.facts import measured
from services.incidents.projections import metadata

FROM_PEOPLE = (UserRegistered, UserDeactivated, UserReactivated, PersonErased)
FROM_TEAMS = (TeamCreated, TeamDeleted)
FROM_AUTH = (*FROM_PEOPLE, UserChanged, *FROM_TEAMS)
FROM_POLICIES = (PolicyCreated, PolicyChanged, PolicyDeleted)

people = Table(
    "people",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("erased", Boolean, nullable=False, server_default=false()),
)
policies = Table("policies", metadata, Column("id", Uuid, primary_key=True), Column("team_id", Uuid))
teams = Table("teams", metadata, Column("id", Uuid, primary_key=True))
_PERSON = select(people.c.id).where(people.c.id == bindparam("id", type_=Uuid))
_ACTIVE = _PERSON.where(people.c.active)
_INACTIVE = select(people.c.id).where(people.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), ~people.c.active)
_ERASED = select(people.c.id).where(people.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), people.c.erased)
_PEOPLE = select(people.c.id).where(people.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
_ANYBODY = select(people.c.id).limit(1)
_POLICY = select(policies).where(policies.c.id == bindparam("id", type_=Uuid))
_TEAM = select(teams.c.id).where(teams.c.id == bindparam("id", type_=Uuid))

Naming = CreateIncident | CreateIntegration | ChangeIntegration | ListIncidents | AnalyticsQuery
"""What names somebody or something of another service."""


class Unknown(NamedTuple):
    """A field of a request, and what is wrong with what it names."""

    field: str
    reason: str

    def refused(self) -> Invalid:
        return Invalid(self.reason, field=self.field)


_NO_PERSON = "there is no such person"
_DEACTIVATED = "this person is deactivated"
_NO_POLICY = Unknown("policyId", "there is no such policy")
_NO_TEAM = Unknown("teamId", str(NoSuchTeam()))


def follow_people(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Keep who exists, is active and lives by which clock, and which teams there are: no names, no addresses."""
    forget_erased(work, events)
    for event in events:
        work.put(*replicate_reference(event), *measured(event))


def replicate_reference(event: Envelope[Any]) -> Iterable[Change]:
    """The row that an event of AUTH or ESCALATION writes here; pure, for rebuilds."""
    match event.data:
        case UserRegistered(user_id=user_id):
            yield Row(people, {"id": user_id, "active": True, "erased": False})
        case UserDeactivated(user_id=user_id) | UserReactivated(user_id=user_id):
            yield Patch(people, {"id": user_id, "active": isinstance(event.data, UserReactivated)})
        case PersonErased(user_id=user_id):
            yield Patch(people, {"id": user_id, "active": False, "erased": True})
        case PolicyCreated(policy_id=policy_id, team_id=team_id) | PolicyChanged(policy_id=policy_id, team_id=team_id):
            yield Row(policies, {"id": policy_id, "team_id": team_id})
        case PolicyDeleted(policy_id=policy_id):
            yield Gone(policies, {"id": policy_id})
        case TeamCreated(team_id=team_id):
            yield Row(teams, {"id": team_id})
        case TeamDeleted(team_id=team_id):
            yield Gone(teams, {"id": team_id})


def inactive(work: Work, people: Iterable[UUID | None]) -> set[UUID]:
    """Who of these people is deactivated."""
    asked = [person for person in set(people) if person is not None]
    return {row["id"] for row in work.fetch(_INACTIVE, ids=asked)} if asked else set()


def _may_name(team_id: UUID | None, caller: Caller) -> bool:
    """Whether what they make may page by a policy of this team; machines with few scopes do not have to read it."""
    return team_id is None or replace(caller.rights, scopes=None).allow(Action.POLICIES_READ, team_id)


def erased(work: Work, people: Collection[UUID]) -> set[UUID]:
    """Who of these people was erased."""
    return {row["id"] for row in work.fetch(_ERASED, ids=list(people))} if people else set()


@dataclass(frozen=True, slots=True)
class References:
    """`arrival`: how a request waits for a person, a policy or a team that was made a moment ago."""

    arrival: Arrival

    async def unknown(self, body: Naming, caller: Caller) -> Unknown | None:
        """The first field of a request that surely names nobody or nothing; it may wait a second for each.

        A policy of a team is nothing to whoever does not see it: nobody pages other teams by guessing its id.

        In doubt there is none: where the owner does not answer, or what it has said is still to be read.
        """
        with suppress(Unreachable):
            return await self.surely_unknown(body, caller)
        return None

    async def nobody(self, people: Mapping[str, UUID]) -> Unknown | None:
        """The first of these fields that names nobody who can be asked for something; in doubt there is none."""
        with suppress(Unreachable):
            for field, person in people.items():
                if (wrong := await self._wrong(person)) is not None:
                    return Unknown(field, wrong)
        return None

    async def _wrong(self, person: UUID, *, listed: bool = False) -> str | None:
        """Whoever is deactivated can be `listed` by, and nobody new can wait for them. Raises Unreachable."""
        if await self._is_of_auth(_PERSON if listed else _ACTIVE, person):
            return None
        return _DEACTIVATED if await self._is_filled(_PERSON, id=person) else _NO_PERSON

    async def surely_unknown(self, body: Naming, caller: Caller) -> Unknown | None:
        """The same.

        Raises:
            Unreachable: it is not known whether there is such a person, policy or team.
        """
        person, policy, team = (getattr(body, name, None) for name in ("assigned_to", "policy_id", "team_id"))
        if isinstance(person, UUID) and (wrong := await self._wrong(person, listed=isinstance(body, ListIncidents))):
            return Unknown("assignedTo", wrong)
        if team is not None and not await self._is_of_auth(_TEAM, team):
            return _NO_TEAM
        if policy is not None:
            seen = await self.arrival.of(lambda work: not work.fetch(_POLICY, id=policy), "escalation")
            if seen in (Seen.STILL, Seen.LATE, Seen.UNREAD):
                # In a storm books are read late, and all of ESCALATION has an effect here: it may just have been made.
                raise Unreachable
            if seen is Seen.READ:
                if not await self._is_filled(_POLICY, id=DEFAULT_POLICY_ID):
                    raise Unreachable
                return _NO_POLICY
            found = await self.arrival.store.read(lambda work: work.fetch(_POLICY, id=policy))
            if not any(_may_name(row["team_id"], caller) for row in found):
                return _NO_POLICY
        return None

    async def nobodies(self, people: Collection[UUID]) -> Collection[UUID]:
        """Who of these is nobody, for sure; it may wait a second. In doubt all of them are somebody."""
        if not people:
            return ()

        def missing(work: Work) -> set[UUID]:
            return set(people) - {row["id"] for row in work.fetch(_PEOPLE, ids=list(people))}

        seen = await self.arrival.of(lambda work: bool(missing(work)), "auth")
        if seen in (Seen.THERE, Seen.LATE, Seen.UNREAD) or not await self._is_filled(_ANYBODY):
            return ()
        return await self.arrival.store.read(missing)

    async def _is_of_auth(self, statement: Select[Any], wanted: UUID) -> bool:
        """Whether there is such a person or team. Raises Unreachable: that is not known."""
        seen = await self.arrival.of(lambda work: not work.fetch(statement, id=wanted), "auth")
        # Much of what AUTH says has no effect here, and moves no place: one that stands still has read it, too.
        if seen in (Seen.LATE, Seen.UNREAD) or (seen is not Seen.THERE and not await self._is_filled(_ANYBODY)):
            raise Unreachable
        return seen is Seen.THERE

    async def _is_filled(self, statement: Select[Any], **values: Any) -> bool:
        """Whether the replica knows what every installation has: one that was made beside older events does not."""
        return await self.arrival.store.read(lambda work: bool(work.fetch(statement, **values)))
