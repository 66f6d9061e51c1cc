"""What of incidents somebody sees and may do: the organisation's, their teams', and what they were paged for.

What they do not see is not there for them; what they see and may not do is forbidden. A list shows what one `sees`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select

from libs.chassis.consume.arrival import Arrival, Seen, Unreachable
from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Work
from libs.contracts.permissions import Action
from services.incidents.application import INCIDENT
from services.incidents.domain.decisions import NoSuchIncident
from services.incidents.projections import ORGANISATION, incidents, responders

ANSWERS = frozenset({"acknowledge", "resolve", "close", "snooze", "escalate", "note"})
"""What whoever was paged for an incident may do to it whatever its team: the other operations are its team's affair."""
_ACTIONS = (Action.INCIDENTS_READ, Action.INCIDENTS_ACKNOWLEDGE, Action.INCIDENTS_WRITE)
_id = bindparam("id", type_=Uuid)
_TEAM = select(incidents.c.team_id).where(incidents.c.id == _id)
_THEIRS = select(responders.c.user_id).where(
    responders.c.incident_id == _id, responders.c.user_id == bindparam("person", type_=Uuid)
)


def sees(work: Work, incident_id: UUID, team_id: UUID | None, caller: Caller) -> bool:
    """Whether they see an incident of this team; None: of the organisation."""
    return caller.may(Action.INCIDENTS_READ, team_id) or is_theirs(work, incident_id, caller)


def is_theirs(work: Work, incident_id: UUID, caller: Caller) -> bool:
    """Whether a person was paged for an incident of a team, or it was assigned to them."""
    return caller.person is not None and bool(work.fetch(_THEIRS, id=incident_id, person=caller.person))


def find(work: Work, incident_id: UUID, caller: Caller) -> None:
    """Raises NoSuchIncident: there is none, for them."""
    rows = work.fetch(_TEAM, id=incident_id)
    if not rows:
        raise NoSuchIncident
    if not sees(work, incident_id, _team(rows[0]["team_id"]), caller):
        raise NoSuchIncident().hides()


def check(work: Work, incident_id: UUID, caller: Caller, operation: str, action: Action) -> None:
    """Refuse whoever may not do this to an incident as it stands now.

    Raises:
        NoSuchIncident: they do not see it.
        Forbidden: they do, and it is not theirs to do.
    """
    created = work.state(INCIDENT, incident_id).created
    if created is None:
        raise NoSuchIncident
    if caller.may(action, created.team_id):
        return
    if is_theirs(work, incident_id, caller):
        if operation in ANSWERS and (caller.scopes is None or action in caller.scopes):
            return
    elif not caller.may(Action.INCIDENTS_READ, created.team_id):
        raise NoSuchIncident().hides()
    caller.require(action, created.team_id)


@dataclass(frozen=True, slots=True)
class Sights:
    """`arrival`: how somebody who was paged a moment ago waits until that is known here."""

    arrival: Arrival

    async def arrives(self, body: Any, caller: Caller) -> None:
        """Return when `body.id` is an incident of the caller's; by their team it is so at once.

        Raises:
            NoSuchIncident: it is none of theirs, as far as ESCALATION has told by now.
            Unreachable: they may have been paged for it, which is not known here yet: it is read late in a storm.
        """
        if caller.person is None or caller.sight(Action.INCIDENTS_READ).everything:
            return  # nobody pages a machine, and admins see what there is
        match await self.arrival.of(lambda work: _is_nothing_to(work, body.id, caller), "escalation"):
            case Seen.THERE:
                return
            case Seen.READ:
                return  # the handler says what it is to them
            case _:
                raise Unreachable


def _is_nothing_to(work: Work, incident_id: UUID, caller: Caller) -> bool:
    """Whether there is no such incident, or they may do nothing to it."""
    for row in work.fetch(_TEAM, id=incident_id):
        team_id = _team(row["team_id"])
        return not (any(caller.may(one, team_id) for one in _ACTIONS) or is_theirs(work, incident_id, caller))
    return True


def _team(team_id: UUID) -> UUID | None:
    return None if team_id == ORGANISATION else team_id
