"""The envelope inside the stored bytes: who, when and why, around one fact."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from libs.contracts.model import Contract, Lane, Moment


class ActorKind(StrEnum):
    USER = "user"
    INTEGRATION = "integration"
    SERVICE = "service"


class Actor(Contract):
    """Who caused an event: a person, an integration or one of our services. `id` is opaque, never a name."""

    kind: ActorKind
    id: str

    @classmethod
    def service(cls, name: str) -> Actor:
        return cls(kind=ActorKind.SERVICE, id=name)

    @classmethod
    def user(cls, user_id: UUID) -> Actor:
        return cls(kind=ActorKind.USER, id=str(user_id))


class Fact(Contract):
    """What happened, in the past tense; subclasses name their versioned type once.

    `class IncidentCreated(Fact, type="pager.incidents.IncidentCreated.v1")`
    """

    type: ClassVar[str] = ""

    def __init_subclass__(cls, type: str = "", **kwargs: Any) -> None:  # noqa: A002
        super().__init_subclass__(**kwargs)
        if type:
            cls.type = type
            if type in FACTS:
                raise TypeError(f"the event type {type} is declared twice")
            FACTS[type] = cls


FACTS: dict[str, type[Fact]] = {}
"""Every known event type, by its name."""

F_co = TypeVar("F_co", bound=Fact, covariant=True)


class Envelope(Contract, Generic[F_co]):
    """One event as stored and published.

    `entity` and `version` are its stream in the owner's log (the first version is 1); `correlation_id` is the
    first cause of the whole chain, `causation_id` the event or request that led to this one directly.
    """

    id: UUID
    type: str
    time: Moment
    entity: UUID
    version: int
    lane: Lane
    actor: Actor
    team_id: UUID | None = None
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    data: F_co

    @property
    def name(self) -> str:
        """`IncidentCreated` of `pager.incidents.IncidentCreated.v1`."""
        return self.type.split(".")[2]

    @property
    def service(self) -> str:
        """`incidents` of `pager.incidents.IncidentCreated.v1`."""
        return self.type.split(".")[1]


class UnknownEvent(ValueError):
    """An event type or version that this build does not know."""


_models: dict[str, type[Envelope[Any]]] = {}


def parse_event(type_name: str, raw: bytes) -> Envelope[Any]:
    """Read stored or published bytes.

    Raises:
        UnknownEvent: `type_name` is not declared in these contracts.
        pydantic.ValidationError: the bytes do not fit the type.
    """
    model = _models.get(type_name)
    if model is None:
        fact = FACTS.get(type_name)
        if fact is None:
            raise UnknownEvent(f"unknown event type {type_name}")
        model = _models[type_name] = Envelope[fact]  # type: ignore[valid-type]
    return model.model_validate_json(raw)


_HEAD = Envelope[Fact]


def read_head(raw: bytes) -> Envelope[Fact]:
    """Everything of an event but its data, of any type and version: what the relay and the parked list need."""
    return _HEAD.model_validate_json(raw)


_ID_AT = len('{"id":"')
_QUOTE = ord('"')


def id_of(raw: bytes) -> str:
    """An event's id without reading the rest: the envelope writes it first, and a golden file holds it to that."""
    return raw[_ID_AT : _ID_AT + 36].decode("ascii")


_CAUSE = b'"causationId":'
_CAUSE_LENGTH = len(_CAUSE)


def cause_of(raw: bytes) -> bytes:
    """The id of the event or request that led to this one, without reading the rest; empty for none.

    The envelope writes it before the data, and inside a text its quotes would be escaped.
    """
    at = raw.find(_CAUSE, _ID_AT + 36) + _CAUSE_LENGTH
    return raw[at + 1 : at + 37] if at >= _CAUSE_LENGTH and raw[at] == _QUOTE else b""
