"""`WebSocket /stream`: every frame that a client sends or gets, and what the gateway asks of incidents for it.

A frame is one text message with one JSON object. What became of an incident has the name of the event as its `type`
(`IncidentAcknowledged`); all other types are small letters.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import Field, TypeAdapter

from libs.contracts.incidents import IncidentView
from libs.contracts.model import Contract, Lane, Moment, StrictContract

MOST_STATES: Final = 100
"""Incidents of one question."""
LONGEST_POSITION: Final = 200


class Close(IntEnum):
    """Why the server ends a stream (RFC 6455, section 7.4.2: 4000 to 4999 are private). All may come again but
    those of 4400 and 4403."""

    RESTARTING = 1012
    """This replica goes; come back with the last position."""
    MALFORMED = 4400
    """A frame that is none of these."""
    UNAUTHENTICATED = 4401
    """No token in time, or it is not valid, has expired, or was revoked: get another one and come back."""
    FORBIDDEN = 4403
    """Whoever is signed in may list no incidents."""
    SLOW = 4408
    """The client did not read as fast as there was something to tell; it may go on from its last position."""
    TOO_MANY = 4429
    """Too many streams of one person, or frames a second."""
    UNAVAILABLE = 4503
    """It cannot be checked now who this is, or what there is: try again."""


Position = Annotated[str, Field(max_length=LONGEST_POSITION, examples=["1-17.1-12.1-9.1-4~5f3a9c01"])]
"""Where a client stands: keep the last one, say it as `after`. What is in it is ours to change."""


class Authenticate(StrictContract):
    """The first frame, within 5 s; and again, with another token of the same person, before the first one ends."""

    type: Literal["authenticate"]
    token: str = Field(min_length=1, max_length=8192, repr=False)
    """An access token, or an API key."""
    after: Position | None = None
    """Of the first frame: the last position that was handled. `?after=` says the same."""


class Ping(StrictContract):
    """For clients that cannot send a WebSocket ping, such as browsers."""

    type: Literal["ping"]
    id: str | None = Field(default=None, max_length=64)


ClientFrame = Annotated[Authenticate | Ping, Field(discriminator="type")]


class Ready(Contract):
    """The token is good. What follows comes after `position`; `reset` follows where that could not be gone on from."""

    type: Literal["ready"] = "ready"
    position: Position
    expires_at: Moment | None
    """When the token ends; None: an API key, which does not have to be shown again."""
    heartbeat_seconds: float
    """A line that is silent for much longer is dead."""
    live: bool


class Renewed(Contract):
    """Another token has taken the place of the last one."""

    type: Literal["renewed"] = "renewed"
    expires_at: Moment | None


class Expiring(Contract):
    """The token ends soon: authenticate again."""

    type: Literal["expiring"] = "expiring"
    expires_at: Moment


class Told(Contract):
    """Something became of an incident that the caller may see. `incident` is what `GET /incidents` shows of it, at
    least as new as the event; of two states the one with the larger `version` is the newer."""

    type: str = Field(pattern="^[A-Z]", examples=["IncidentAcknowledged"])
    position: Position
    incident: IncidentView


class GoneIncident(Contract):
    id: UUID


class Gone(Contract):
    """The caller does not see this incident any more."""

    type: Literal["gone"] = "gone"
    position: Position
    incident: GoneIncident


class Reset(Contract):
    """What happened since the client's position cannot be told: list again, then go on with what comes after this."""

    type: Literal["reset"] = "reset"
    position: Position
    reason: Literal["too_old", "another_epoch", "other_rights", "unknown_position"]


class Heartbeat(Contract):
    """Every few seconds, and whenever `live` changes."""

    type: Literal["heartbeat"] = "heartbeat"
    position: Position
    live: bool
    """False: the bus or incidents is away, and what happens now is told later."""
    at: Moment


class Pong(Contract):
    type: Literal["pong"] = "pong"
    id: str | None = None


class Closing(Contract):
    """This replica goes. A close 1012 follows."""

    type: Literal["closing"] = "closing"
    retry_after: float
    """Seconds to wait, another number for each, so that not all come at once."""


ServerFrame = Ready | Renewed | Expiring | Told | Gone | Reset | Heartbeat | Pong | Closing


def schemas() -> dict[str, Any]:
    """JSON schemas of what is sent and of what comes."""
    return {
        "client": TypeAdapter[Any](ClientFrame).json_schema(by_alias=True),
        "server": TypeAdapter[Any](ServerFrame).json_schema(by_alias=True, mode="serialization"),
    }


class StatesQuery(StrictContract):
    """`pager.rpc.incidents.states`: for the gateway, which shows each to whoever may see it."""

    ids: tuple[UUID, ...] = Field(max_length=MOST_STATES)


class IncidentState(Contract):
    """An incident as `GET /incidents` shows it, and whose it is."""

    incident: IncidentView
    team_id: UUID | None = None
    people: tuple[UUID, ...] = ()
    """Whom it has paged, and whom it was assigned to: they see it whatever its team. Of the organisation's: nobody."""


class ReadUpTo(Contract):
    epoch: int
    position: int


class States(Contract):
    """Of the ids asked for that there are, all as of one moment."""

    states: tuple[IncidentState, ...]
    left: tuple[UUID, ...] = ()
    """What did not fit into the answer: ask for these again."""
    escalation: dict[Lane, ReadUpTo] = {}
    """Up to where ESCALATION had been read at that moment."""
