"""The one place where an event becomes bytes and bytes become an event.

Stored bytes are published bytes (docs/adr/0002), so log, relay, followers, gap reader, history, rebuild, replay and
explanations all go through here. Personal fields are sealed and opened here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from libs.contracts.envelope import FACTS, Envelope, Fact
from libs.contracts.model import Box, personal_fields
from libs.contracts.requests import ErrorKind, Rejected

EVENT_LIMIT: Final = 480 * 1024
"""Bytes of one event as stored. Quoted inside an answer to a reader of gaps it may double, and an answer must stay
below the bus's limit of 1 MiB: what is larger could be stored and never be read by anybody."""

ID_AT: Final = len('{"id":"')
"""Where an event's id begins in its bytes; it has 36 characters."""
_QUOTE = ord('"')
_CAUSE = b'"causationId":'
_CAUSE_LENGTH = len(_CAUSE)
_HEAD = Envelope[Fact]
_models: dict[str, type[Envelope[Any]]] = {}


class Seals(Protocol):
    """The keys of personal fields, for whoever holds some. A box says by itself which key opens it."""

    def sealer(self, event: Envelope[Any]) -> Callable[[str], Box | None]:
        """What puts a text into a box, under the key of the person whom the event is about (`Fact.whose`).

        None: it is left out, since its key is not here.
        """
        ...

    def unseal(self, box: Box) -> str | None:
        """The text inside; None: its key was destroyed, or is not here."""
        ...


class UnknownEvent(ValueError):
    """An event type or version that this build does not know."""


class EventTooLarge(Rejected):
    """What this asks for is too large: it would make an event of more than 480 KiB."""

    kind = ErrorKind.VALIDATION


@dataclass(frozen=True, slots=True)
class Codec:
    """`encode` and `decode`; `seals` holds the keys of personal fields, None for whoever has none (auditors).

    Without keys personal fields that were sealed read as `StillSealed`; the same is the answer for a person whose key
    was destroyed.
    """

    seals: Seals | None = None

    def encode(self, event: Envelope[Any]) -> bytes:
        """The bytes that are stored and published.

        Raises:
            EventTooLarge: sealed and serialised it would exceed `EVENT_LIMIT`. Nothing has been written then.
            PydanticSerializationError: a field holds what JSON cannot say, or is still sealed.
        """
        seals = self.seals if personal_fields(event.data.__class__) else None
        context: Any = None if seals is None else seals.sealer(event)
        raw = event.__pydantic_serializer__.to_json(event, by_alias=True, context=context)
        if len(raw) > EVENT_LIMIT:
            raise EventTooLarge
        return raw

    def decode(self, type_name: str, raw: bytes) -> Envelope[Any]:
        """The event of stored or published bytes.

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
        context: Any = None if self.seals is None else self.seals.unseal
        return model.model_validate_json(raw, context=context)

    def head(self, raw: bytes) -> Envelope[Fact]:
        """Everything of an event but its data, of any type and version: its fact is empty."""
        return _HEAD.model_validate_json(raw)

    def entity(self, raw: bytes) -> UUID:
        """Whose event it is, of any type and version."""
        return self.head(raw).entity


def id_of(raw: bytes) -> str:
    """An event's id without reading the rest: the envelope writes it first, and a golden file holds it to that."""
    return raw[ID_AT : ID_AT + 36].decode("ascii")


def cause_of(raw: bytes) -> bytes:
    """The id of the event or request that led to this one, without reading the rest; empty for none.

    The envelope writes it before the data, and inside a text its quotes would be escaped.
    """
    at = raw.find(_CAUSE, ID_AT + 36) + _CAUSE_LENGTH
    return raw[at + 1 : at + 37] if at >= _CAUSE_LENGTH and raw[at] == _QUOTE else b""


CODEC: Final = Codec()
"""Of whoever holds no keys."""
