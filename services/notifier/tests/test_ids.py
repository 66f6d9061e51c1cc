"""Ids of pages: the same for the same place, person and method, and for nothing else, whatever a device is called."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.contracts.notifier import Method, MethodKind, NotificationIntended
from services.notifier.domain.decisions import decide
from services.notifier.domain.ids import notification_id, token_id, unreachable_id
from services.notifier.domain.place import LOWEST, Place
from services.notifier.tests.notifications import BO, INCIDENT, INTEND, PHONE

PLACES = st.builds(Place, st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
# Also what no UTF-8 can spell: JSON from outside may hold it.
NAMES = st.text(st.characters() | st.characters(categories=["Cs"]) | st.sampled_from('",[]1/'))
METHODS = st.builds(lambda name, kind: Method.model_construct(id=name, kind=kind), NAMES, st.sampled_from(MethodKind))
CAUSES = st.tuples(st.uuids(), PLACES, st.uuids(), METHODS, st.integers(1, 20))


@given(CAUSES, CAUSES)
def test_ids_are_the_same_for_the_same_cause_only(
    one: tuple[UUID, Place, UUID, Method, int], other: tuple[UUID, Place, UUID, Method, int]
) -> None:
    assert (notification_id(*one) == notification_id(*other)) == (one == other)
    assert notification_id(*one) == notification_id(*one)


@pytest.mark.parametrize(
    ("place", "method", "step"),
    [
        (Place(2, 1, 1), PHONE, 1),
        (Place(1, 2, 1), PHONE, 1),
        (Place(1, 1, 2), PHONE, 1),
        (LOWEST, PHONE.model_copy(update={"kind": MethodKind.APNS}), 1),
        (LOWEST, PHONE.model_copy(update={"id": 'phone", 1'}), 1),
        (LOWEST, PHONE, 2),
    ],
)
def test_every_part_of_a_page_makes_another_one(place: Place, method: Method, step: int) -> None:
    assert notification_id(INCIDENT, place, BO, method, step) != INTEND.notification_id


@given(PLACES, PLACES)
def test_a_person_is_unreachable_once_for_each_place(one: Place, other: Place) -> None:
    same = unreachable_id(INCIDENT, one, BO) == unreachable_id(INCIDENT, other, BO)
    assert same == (one == other)


def test_a_token_is_known_by_its_person_and_device() -> None:
    assert token_id(BO, "a") == token_id(BO, "a")
    assert token_id(BO, "a") != token_id(BO, "b")


def test_places_grow_by_run_then_round_then_level() -> None:
    assert LOWEST < Place(1, 1, 9) < Place(1, 2, 1) < Place(2, 1, 1)


def test_an_unknown_kind_of_method_is_refused_and_named() -> None:
    (fact,) = decide(INTEND, None)
    written = fact.model_dump(mode="json", by_alias=True)
    assert NotificationIntended.model_validate(written) == fact
    written["method"]["kind"] = "pigeon"
    with pytest.raises(ValidationError, match="pigeon") as refused:
        NotificationIntended.model_validate(written)
    assert refused.value.errors()[0]["loc"] == ("method", "kind")
