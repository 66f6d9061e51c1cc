"""The shape of every message: frozen, camelCase on the wire, tolerant of fields that a newer sender added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Contract(BaseModel):
    """A frozen message. Unknown fields are ignored: a rolling deploy has two versions at once."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def to_json(self) -> bytes:
        """The bytes that are stored and published."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True)


class StrictContract(Contract):
    """A request from outside: an unknown field is an error that names it, not a silent typo."""

    model_config = ConfigDict(extra="forbid")


def _to_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


Moment = AwareDatetime
"""An aware moment of ours: UTC, because every clock here is."""

SentMoment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware moment that somebody else wrote, in whatever zone: UTC after parsing."""


@dataclass(frozen=True, slots=True)
class PersonalField:
    """Marks a field that belongs to a person and goes when the person is erased (GDPR art. 17)."""


Personal = Annotated[T, PersonalField()]
"""`Personal[str]`: the identity work encrypts these under the person's key; until then only the mark exists."""


class Lane(StrEnum):
    """Order, chain and cursor are kept per lane, so that a critical page never waits behind a backlog."""

    URGENT = "urgent"
    ROUTINE = "routine"


class Priority(StrEnum):
    """How bad it is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def lane(self) -> Lane:
        """Critical and high travel in the urgent lane (design, rule 3)."""
        return Lane.URGENT if self in (Priority.CRITICAL, Priority.HIGH) else Lane.ROUTINE


class Role(StrEnum):
    """What a person may do (technical specification, Authentication & Authorization)."""

    USER = "user"
    LEAD = "lead"
    ADMIN = "admin"
