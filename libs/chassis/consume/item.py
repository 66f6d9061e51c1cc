"""One input of a lane as it came, and what can be said of it without a handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from libs.chassis.store.cursors import Position
from libs.contracts.codec import CODEC, Codec, UnknownEvent
from libs.contracts.envelope import FACTS, Envelope


class Unreadable(Exception):
    """This build cannot read an event: its type is not known here, or a field is not valid. No second try helps."""


class Item(NamedTuple):
    """`at` is where its reader stands when it has taken effect. What is no event of ours has a subject and no type."""

    at: Position
    type: str
    raw: bytes
    headers: Mapping[str, str] = {}
    subject: str = ""
    stored_at: int = 0
    """When the stream stored it (Unix nanoseconds), where that matters."""

    @property
    def entity(self) -> str:
        """What later inputs belong to together; inputs that are not events of ours stand alone."""
        named = _entity_of(self.raw) if self.type else None
        return named or f"{self.at.incarnation}/{self.at.position}"

    def event(self, codec: Codec) -> Envelope[Any]:
        """The event of its bytes.

        Raises:
            Unreadable: names the type and what is wrong with it, and quotes nothing that may be somebody's secret.
        """
        try:
            return codec.decode(self.type, self.raw)
        except UnknownEvent:
            raise Unreadable(f"{self.type}: this build does not know it") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            raise Unreadable(f"{self.type}: {place or 'its bytes'}: {first['msg']}") from None


def _entity_of(raw: bytes) -> str | None:
    """Whose event it is, also of one whose envelope has another fault: what follows it must wait for it."""
    try:
        return str(CODEC.entity(raw))
    except ValidationError:
        pass
    try:
        return str(UUID(str(from_json(raw)["entity"])))
    except (ValueError, KeyError, TypeError):
        return None


def stands_alone(type_name: str) -> bool:
    """Whether whoever receives such an event can act on it alone: it waits behind nothing.

    A page must not be late because an earlier event of its incident is set aside. A type that is not known here waits.
    """
    fact = FACTS.get(type_name)
    return fact is not None and fact.self_contained
