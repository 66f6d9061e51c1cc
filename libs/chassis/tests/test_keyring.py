"""Personal texts are sealed under their subject's key, in rows as in events, and a process remembers few keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, MetaData, Table, Text, Uuid, select

from libs.chassis.store.changes import Change, Row
from libs.chassis.store.keyring import KEY_BYTES, Keyring, Keys, NoKey, PersonKey
from libs.chassis.store.personal import PersonalText, RowSeals, boxed, opened, personal_columns, sealed, text_of
from libs.chassis.store.work import Work
from libs.contracts.model import Box, StillSealed

ANA, BO = uuid4(), uuid4()
NOW = datetime(2026, 11, 29, tzinfo=UTC)
SECRET = b"s" * KEY_BYTES
PEOPLE = Table(
    "people", MetaData(schema="auth"), Column("id", Uuid, primary_key=True), Column("name", PersonalText("id"))
)


class Ring(Keyring):
    """Keys in memory; `asked`: how often they were read."""

    def __init__(self, **secrets: bytes) -> None:
        super().__init__()
        self.secrets = {UUID(hex=name): secret for name, secret in secrets.items()}
        self.asked: list[Sequence[UUID]] = []

    def load(self, work: Work, subjects: Sequence[UUID]) -> Iterable[tuple[UUID, bytes]]:
        self.asked.append(subjects)
        return [(one, self.secrets[one]) for one in subjects if one in self.secrets]


class Maker(Ring):
    is_auth = True

    def make(self, work: Work, subject: UUID) -> tuple[bytes, Change]:
        if subject == BO:
            raise NoKey(subject)
        return SECRET, Row(PEOPLE, {"id": subject})


class Moment:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now


def keys(ring: Keyring, now: datetime = NOW) -> Keys:
    return Keys(ring, cast("Work", Moment(now)))


def test_the_same_text_of_one_subject_is_the_same_box_and_opens_with_their_key_alone() -> None:
    ana, bo, other = PersonKey(ANA, SECRET), PersonKey(BO, SECRET), PersonKey(ANA, b"o" * KEY_BYTES)
    box = ana.seal("Ana")
    assert ana.seal("Ana") == box
    assert len({str(key.seal(text)) for key in (ana, bo, other) for text in ("Ana", "Bo")}) == 6
    assert (ana.open(box), bo.open(box), other.open(box)) == ("Ana", None, None)
    assert "Ana" not in str(box)


@pytest.mark.parametrize("inside", ["", "AA==", "not base64", "é", "A" * 400])
def test_what_is_no_box_of_theirs_opens_to_nothing(inside: str) -> None:
    assert PersonKey(ANA, SECRET).open({"k": str(ANA), "v": inside}) is None
    assert keys(Ring(**{ANA.hex: SECRET})).unseal({"k": "nobody", "v": inside}) is None


def test_a_key_is_made_once_in_a_transaction_and_is_nobody_elses_before_its_commit() -> None:
    ring = Maker()
    mine = keys(ring)
    assert mine.unseal(mine.seal(ANA, "Ana")) == "Ana"
    mine.seal(ANA, "Lee")
    assert [change.values["id"] for change in mine.made] == [ANA]
    assert keys(ring).unseal(mine.seal(ANA, "Ana")) is None
    with pytest.raises(NoKey):
        mine.seal_if(BO, "Bo")


def test_where_no_keys_are_made_nothing_waits_for_one() -> None:
    theirs = keys(Ring())
    assert theirs.seal_if(ANA, "Ana") is None
    assert sealed(PEOPLE, {"id": ANA, "name": "Ana"}, theirs) == {"id": ANA, "name": "Ana"}
    with pytest.raises(NoKey):
        theirs.seal(ANA, "Ana")


def test_a_process_remembers_a_key_for_minutes_and_not_longer() -> None:
    ring = Ring(**{ANA.hex: SECRET})
    for now in (NOW, NOW + timedelta(minutes=4), NOW + timedelta(minutes=6)):
        assert keys(ring, now).key(ANA) is not None
    assert len(ring.asked) == 2
    ring.forget(ANA)
    ring.secrets.clear()
    assert keys(ring, NOW + timedelta(minutes=6)).key(ANA) is None


def test_a_process_remembers_so_many_keys_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.store.keyring._KNOWN", 2)
    people = [uuid4() for _ in range(3)]
    ring = Ring(**{one.hex: SECRET for one in people})
    keys(ring).know(people)
    assert [ring.known(one, NOW) is not None for one in sorted(people)] == [False, True, True]


def test_more_people_than_a_process_remembers_are_still_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the second half brings pushes the first out, which a moment ago was still remembered."""
    monkeypatch.setattr("libs.chassis.store.keyring._KNOWN", 4)
    people = [uuid4() for _ in range(8)]
    ring = Ring(**{one.hex: SECRET for one in people})
    boxes = [PersonKey(one, SECRET).seal("Ana") for one in people]
    keys(ring).know(people[:4])
    both = keys(ring)
    both.know(people)
    assert [both.unseal(box) for box in boxes] == ["Ana"] * 8
    assert [len(asked) for asked in ring.asked] == [4, 4]


def test_a_row_is_written_in_boxes_and_read_in_the_clear_with_one_question_for_all_its_keys() -> None:
    ring = Ring(**{ANA.hex: SECRET, BO.hex: b"o" * KEY_BYTES})
    rows: list[dict[str, Any]] = [
        dict(boxed(sealed(PEOPLE, {"id": one, "name": name}, keys(ring)))) for one, name in ((ANA, "Ana"), (BO, "Bo"))
    ]
    assert [row["name"] for row in rows] == [
        text_of(PersonKey(ANA, SECRET).seal("Ana")),
        text_of(PersonKey(BO, b"o" * KEY_BYTES).seal("Bo")),
    ]
    columns = personal_columns(select(PEOPLE))
    fresh = Ring(**{one.hex: secret for one, secret in ring.secrets.items()})
    opened(both := [dict(row) for row in rows], columns, keys(fresh))
    assert ([row["name"] for row in both], len(fresh.asked)) == (["Ana", "Bo"], 1)
    opened(none := [dict(row) for row in rows], columns, None)
    assert all(isinstance(row["name"], StillSealed) for row in none)
    assert [dict(boxed(row)) for row in none] == rows, "whoever has no key may store it as it came"


def test_a_box_that_stands_in_many_rows_is_opened_once() -> None:
    box = text_of(PersonKey(ANA, SECRET).seal("Ana"))
    asked: list[Box] = []

    class Counting:
        def know(self, subjects: Iterable[UUID]) -> None:
            pass

        def unseal(self, box: Box) -> str:
            asked.append(box)
            return "Ana"

    rows: list[dict[str, Any]] = [
        {"name": box, "nick": "in the clear"},
        {"name": box, "nick": None},
        {"name": None, "nick": box},
    ]
    opened(rows, ("name", "nick"), cast("RowSeals", Counting()))
    assert rows == [
        {"name": "Ana", "nick": "in the clear"},
        {"name": "Ana", "nick": None},
        {"name": None, "nick": "Ana"},
    ]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "name",
    ["Ana", '{"k":"me"}', '{"k":"me","v":"x"}', f'{{"k":"{ANA}","v":1}}'],
    ids=["plain", "no value", "a name", "a number"],
)
def test_a_clear_text_from_before_is_read_as_it_is(name: str) -> None:
    opened(rows := [{"id": ANA, "name": name}], ("name",), keys(Ring()))
    assert rows == [{"id": ANA, "name": name}]


def test_columns_that_are_cast_are_read_as_they_are_stored() -> None:
    assert personal_columns(select(PEOPLE.c.id, PEOPLE.c.name.label("who"))) == ("who",)
    assert personal_columns(select(PEOPLE.c.name.cast(Text).label("who"))) == ()
