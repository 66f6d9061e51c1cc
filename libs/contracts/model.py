"""The shape of every message: frozen, camelCase on the wire, tolerant of fields that a newer sender added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapSerializer,
    WrapValidator,
)
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Contract(BaseModel):
    """A frozen message. Unknown fields are ignored: a rolling deploy has two versions at once."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    shown_once: ClassVar[frozenset[str]] = frozenset()
    """Fields of an answer that whoever repeats the request does not get again."""

    def to_json(self) -> bytes:
        """The bytes that are stored and published."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True)


class StrictContract(Contract):
    """A request from outside: an unknown field is an error that names it, not a silent typo."""

    model_config = ConfigDict(extra="forbid")


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_WALL_CLOCK = re.compile(
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$"
)


def _written(moment: Any) -> Any:
    """Seconds since some epoch are no time: whoever sends milliseconds would mean another one."""
    return _read(moment, _RFC_3339, "must be an RFC 3339 time with its offset, such as 2026-10-19T09:00:00Z")


def _local(moment: Any) -> Any:
    return _read(moment, _WALL_CLOCK, "must be a local time without an offset, such as 2026-10-19T09:00")


def _read(moment: Any, form: re.Pattern[str], expected: str) -> Any:
    if isinstance(moment, datetime):
        return moment
    with suppress(ValueError):
        if isinstance(moment, str) and form.fullmatch(moment):
            return datetime.fromisoformat(moment.upper())
    raise ValueError(expected)


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be a moment of the years 1 to 9999 in UTC") from error


Moment = AwareDatetime
"""An aware moment of ours: UTC, because every clock here is."""

ReadMoment = Annotated[AwareDatetime, AfterValidator(_to_utc)]
"""An aware moment that a machine wrote in one of the forms of ISO 8601, in whatever zone: UTC after parsing."""

SentMoment = Annotated[ReadMoment, BeforeValidator(_written)]
"""An aware moment that a caller wrote as RFC 3339 has it: UTC after parsing."""

WallClock = Annotated[
    datetime,
    BeforeValidator(_local),
    WithJsonSchema(
        {
            "type": "string",
            "format": "local-date-time",
            "pattern": _WALL_CLOCK.pattern,
            "examples": ["2026-10-19T09:00"],
        }
    ),
]
"""What a clock on the wall shows somewhere: no moment until its zone is known, and so no `date-time`."""


Box = Mapping[str, str]
"""A sealed text: which key opens it, and what is inside."""


class StillSealed(str):
    """A personal text that nobody here can read: it shows as "[sealed]" and is in no event again.

    `box`: what it is sealed in, for whoever keeps it as it came. Two of them look alike: only boxes tell them apart.
    """

    __slots__ = ("box",)
    box: Box | None

    def __new__(cls, box: Box | None = None) -> Self:
        made = super().__new__(cls, "[sealed]")
        made.box = box
        return made


@dataclass(frozen=True, slots=True)
class PersonalField:
    """Marks a field that belongs to a person and goes when the person is erased (GDPR art. 17)."""


def _unsealed(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    if not isinstance(value, dict):
        return handler(value)
    clear = info.context(value) if info.context is not None else None
    return StillSealed(value) if clear is None else handler(clear)


def _sealed(value: Any, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> Any:
    if isinstance(value, StillSealed):
        raise ValueError("a text that is still sealed cannot be stored again")
    if info.context is None or value is None:
        return handler(value)
    box = info.context(value)
    return None if box is None else dict(box)


Personal = Annotated[
    T, PersonalField(), WrapValidator(_unsealed), WrapSerializer(_sealed, return_type=Any, when_used="json")
]
"""`Personal[str]` or `Personal[str | None]`: what the codec seals under the person's key where it is given keys.

The codec gives its functions as pydantic's context. A sealed text is a JSON object, which no clear text can be; where
there is no key to seal it, a service whose answers must not wait for one leaves it out.
"""


@cache
def personal_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """The names of those that are `Personal`."""
    fields = model.model_fields.items()
    return tuple(name for name, info in fields if any(isinstance(mark, PersonalField) for mark in info.metadata))


Run = Annotated[int, Field(ge=1)]
"""Which run of an incident's paging: the first is 1. Where an old event does not say, it is 1."""

RunAnswered = Annotated[int, Field(ge=0)]
"""The last run that an answer stops: 0 where nobody has been paged yet, 1 where an old answer does not say."""


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
        """Critical and high travel in the urgent lane (promise 3)."""
        return Lane.URGENT if self in (Priority.CRITICAL, Priority.HIGH) else Lane.ROUTINE

    def is_worse_than(self, other: Priority) -> bool:
        worst_first = list(Priority)
        return worst_first.index(self) < worst_first.index(other)


class Role(StrEnum):
    """What a person may do (technical specification, Authentication & Authorization)."""

    USER = "user"
    LEAD = "lead"
    ADMIN = "admin"


class TeamRole(StrEnum):
    """What a person is in a team."""

    MEMBER = "member"
    MANAGER = "manager"
