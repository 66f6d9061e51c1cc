"""Events become bytes in one place: sealed where there are keys, never too large, and readable by whoever has none."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import PydanticSerializationError

from libs.contracts.auth import UserRegistered
from libs.contracts.codec import CODEC, EVENT_LIMIT, Codec, EventTooLarge
from libs.contracts.envelope import FACTS, Envelope
from libs.contracts.incidents import IncidentCreated
from libs.contracts.model import PersonalField, StillSealed, personal_fields
from libs.contracts.requests import ErrorKind
from libs.contracts.slots import SLOTS, slot_of
from libs.contracts.tests.samples import sample


@dataclass
class ToySeals:
    """Boxes that say which key they need; `keys` are those that have not been destroyed."""

    keys: set[str] = field(default_factory=lambda: {"k1"})

    def sealer(self, _event: Envelope[Any]) -> Callable[[str], Mapping[str, str]]:
        return lambda clear: {"key": "k1", "box": base64.b64encode(clear.encode()[::-1]).decode()}

    def unseal(self, box: Mapping[str, str]) -> str | None:
        return base64.b64decode(box["box"])[::-1].decode() if box["key"] in self.keys else None


def registered(**more: Any) -> Envelope[UserRegistered]:
    event = sample(UserRegistered)
    return event.model_copy(update={"data": event.data.model_copy(update=more)})


def test_stored_bytes_hold_no_personal_text_and_give_it_back_to_whoever_has_the_key() -> None:
    codec = Codec(ToySeals())
    event = registered(first_name="Ana", email="ana@pager.test", phone=None)
    raw = codec.encode(event)
    assert b"Ana" not in raw
    assert b"ana@pager.test" not in raw
    assert codec.decode(event.type, raw) == event


@pytest.mark.parametrize("codec", [CODEC, Codec(ToySeals(keys=set()))], ids=["no keys", "the key is destroyed"])
def test_what_cannot_be_opened_is_still_sealed_and_the_rest_is_read(codec: Codec) -> None:
    event = registered(first_name="Ana", phone=None)
    read = codec.decode(event.type, Codec(ToySeals()).encode(event)).data
    assert isinstance(read.first_name, StillSealed)
    assert (str(read.first_name), read.phone, read.timezone) == ("[sealed]", None, event.data.timezone)


def test_what_is_still_sealed_is_never_stored_again() -> None:
    with pytest.raises(PydanticSerializationError, match="still sealed"):
        CODEC.encode(registered(first_name=StillSealed()))


def test_a_text_that_looks_like_a_box_is_a_text() -> None:
    codec = Codec(ToySeals())
    event = registered(first_name='{"key": "k1", "box": "eA=="}')
    assert codec.decode(event.type, codec.encode(event)).data.first_name == event.data.first_name
    assert CODEC.decode(event.type, CODEC.encode(event)).data.first_name == event.data.first_name


def test_an_event_that_nobody_could_read_back_is_refused_before_it_is_written() -> None:
    event = sample(IncidentCreated)
    room = EVENT_LIMIT - len(
        CODEC.encode(event.model_copy(update={"data": event.data.model_copy(update={"title": ""})}))
    )
    fits = event.model_copy(update={"data": event.data.model_copy(update={"title": "x" * room})})
    assert len(CODEC.encode(fits)) == EVENT_LIMIT
    with pytest.raises(EventTooLarge) as refused:
        CODEC.encode(event.model_copy(update={"data": event.data.model_copy(update={"title": "x" * (room + 1)})}))
    assert refused.value.refusal().kind is ErrorKind.VALIDATION


def test_the_size_is_that_of_the_sealed_bytes() -> None:
    event = registered(first_name="x" * (EVENT_LIMIT - 2000))
    CODEC.encode(event)
    with pytest.raises(EventTooLarge):
        Codec(ToySeals()).encode(event)


def test_nobody_else_makes_bytes_of_an_event() -> None:
    with pytest.raises(TypeError):
        sample(IncidentCreated).to_json()


@pytest.mark.parametrize("type_name", sorted(FACTS))
def test_personal_fields_are_texts(type_name: str) -> None:
    """A box replaces a text; of anything else a reader without keys could not make anything."""
    for name, info in FACTS[type_name].model_fields.items():
        if any(isinstance(mark, PersonalField) for mark in info.metadata):
            assert info.annotation in (str, str | None), name


@pytest.mark.parametrize(
    ("field", "value"), [("slot", SLOTS), ("slot", -1), ("run", 0)], ids=["slot 256", "slot -1", "run 0"]
)
def test_a_slot_or_a_run_that_cannot_be_is_named(field: str, value: int) -> None:
    event = sample(FACTS["pager.incidents.PagingRequested.v1"])
    raw = CODEC.encode(event).replace(f'"{field}":2'.encode(), f'"{field}":{value}'.encode())
    with pytest.raises(ValueError, match=field):
        CODEC.decode(event.type, raw)


def test_a_method_that_we_do_not_know_is_named() -> None:
    event = sample(FACTS["pager.notifier.NotificationIntended.v1"])
    raw = CODEC.encode(event).replace(b'"kind":"apns"', b'"kind":"pigeon"')
    with pytest.raises(ValueError, match=r"method\.kind"):
        CODEC.decode(event.type, raw)


def test_slots_are_the_same_for_ever() -> None:
    assert slot_of(UUID("00000000-0000-4000-8000-000000000001")) == 185
    assert {slot_of(UUID(int=i)) for i in range(5000)} == set(range(SLOTS))


@pytest.mark.parametrize("type_name", sorted(name for name, fact in FACTS.items() if personal_fields(fact)))
def test_a_fact_says_whose_its_personal_fields_are(type_name: str) -> None:
    assert isinstance(sample(FACTS[type_name]).data.whose, UUID)


@pytest.mark.parametrize("type_name", sorted(name for name in FACTS if not name.startswith("pager.auth.")))
def test_a_service_that_makes_no_keys_can_do_without_what_they_seal(type_name: str) -> None:
    """A field that must be there would make a command wait for auth."""
    fact = FACTS[type_name]
    assert all(fact.model_fields[name].default is None for name in personal_fields(fact))
