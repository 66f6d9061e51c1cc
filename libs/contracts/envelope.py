"""The envelope inside the stored bytes: who, when and why, around one fact."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import Field

from libs.contracts.clients import Client
from libs.contracts.model import Contract, Lane, Moment
from libs.contracts.slots import SLOTS


class ActorKind(StrEnum):
    USER = "user"
    INTEGRATION = "integration"
    SERVICE = "service"
    KEY = "key"
    """An API key: a machine that asks for what people ask for."""


class Actor(Contract):
    """Who caused an event: a person, an integration, an API key or a service of ours. `id` is opaque, never a name."""

    kind: ActorKind
    id: str

    @classmethod
    def service(cls, name: str) -> Actor:
        return cls(kind=ActorKind.SERVICE, id=name)

    @classmethod
    def user(cls, user_id: UUID) -> Actor:
        return cls(kind=ActorKind.USER, id=str(user_id))

    @classmethod
    def key(cls, key_id: UUID) -> Actor:
        return cls(kind=ActorKind.KEY, id=str(key_id))


class Fact(Contract):
    """What happened, in the past tense; subclasses name their versioned type once.

    `class IncidentCreated(Fact, type="pager.incidents.IncidentCreated.v1")`
    """

    type: ClassVar[str] = ""
    self_contained: ClassVar[bool] = False
    """Whoever receives it can act on it alone: it never waits behind a parked event of its entity."""
    subject: ClassVar[str] = "user_id"
    """The field that says whose its personal fields are: they are sealed under that one's key, and go with it."""

    @property
    def whose(self) -> UUID:
        """The subject of its personal fields."""
        found: UUID = getattr(self, self.subject)
        return found

    def __init_subclass__(cls, type: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__init_subclass__(**kwargs)
        if type:
            cls.type = type
            if type in FACTS:
                raise TypeError(f"the event type {type} is declared twice")
            FACTS[type] = cls


FACTS: dict[str, type[Fact]] = {}
"""Every known event type, by its name."""


def _is_none(value: Any) -> bool:
    return value is None


F_co = TypeVar("F_co", bound=Fact, covariant=True)


class Envelope(Contract, Generic[F_co]):
    """One event as stored and published.

    `entity` and `version` are its stream in the owner's log (the first version is 1); `correlation_id` is the
    first cause of the whole chain, `causation_id` the event or request that led to this one directly. `slot` is the
    share of the work that it belongs to (`slots.py`); 0 where an old event does not say.
    """

    id: UUID
    type: str
    time: Moment
    entity: UUID
    version: int
    lane: Lane
    slot: int = Field(default=0, ge=0, lt=SLOTS)
    actor: Actor
    team_id: UUID | None = None
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    client: Client | None = Field(default=None, exclude_if=_is_none)
    """With what its actor acted, where they have said it; it is not written where it is not known."""
    data: F_co

    def to_json(self) -> bytes:
        """Events become bytes in `codec.py` only, where personal fields are sealed and sizes are checked."""
        raise TypeError("an event is encoded by the codec")

    @property
    def name(self) -> str:
        """`IncidentCreated` of `pager.incidents.IncidentCreated.v1`."""
        return self.type.split(".")[2]

    @property
    def service(self) -> str:
        """`incidents` of `pager.incidents.IncidentCreated.v1`."""
        return self.type.split(".")[1]
