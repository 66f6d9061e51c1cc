"""What goes with a person, and that nothing of them is forgotten to go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.store.changes import Change, Gone, Row
from libs.contracts.auth import (
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.erasure import InviteErased, PersonErased
from libs.contracts.invites import InviteAccepted, InviteIssued
from libs.contracts.model import Lane, Role
from libs.contracts.requests import NotFound
from services.auth import export
from services.auth.domain import invites, users
from services.auth.domain.invites import EraseInvite, ResendInvite
from services.auth.domain.users import ChangeUser, EraseUser, ReactivateUser, RegisterUser, StillActive
from services.auth.erasing import ROWS
from services.auth.origins import ORIGINS
from services.auth.projections import project
from services.auth.tables.schema import kept

NOW = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
BO = UUID("00000000-0000-4000-8000-000000000001")
BY = Actor.user(UUID("00000000-0000-4000-8000-000000000002"))
REGISTERED = UserRegistered(
    user_id=BO, email="bo@pager.test", first_name="Bo", last_name="Li", timezone="UTC", roles=(Role.USER,)
)
GONE = UserDeactivated(user_id=BO, by=BY, at=NOW)
ERASED = PersonErased(user_id=BO, by=BY, at=NOW)


def _fold(*facts: Fact) -> users.State:
    state = users.initial()
    for fact in facts:
        state = users.evolve(state, fact)
    return state


def test_only_somebody_who_is_deactivated_is_erased_and_once() -> None:
    with pytest.raises(StillActive):
        users.decide(EraseUser(BO, BY, NOW), _fold(REGISTERED))
    assert users.decide(EraseUser(BO, BY, NOW), _fold(REGISTERED, GONE)) == [ERASED]
    assert users.decide(EraseUser(BO, BY, NOW), _fold(REGISTERED, GONE, ERASED)) == []
    with pytest.raises(NotFound):
        users.decide(EraseUser(BO, BY, NOW), users.initial())


def test_whom_a_restore_has_brought_back_is_deactivated_as_well() -> None:
    again = EraseUser(BO, BY, NOW, again=True)
    assert users.decide(again, _fold(REGISTERED)) == [GONE, ERASED]
    assert users.decide(again, _fold(REGISTERED, GONE)) == [ERASED]


def test_nothing_happens_to_somebody_who_was_erased() -> None:
    state = _fold(REGISTERED, GONE, ERASED)
    assert state == users.Erased(BO)
    assert _fold(REGISTERED, GONE, ERASED, UserReactivated(user_id=BO, by=BY, at=NOW), REGISTERED) == state
    for command in (ReactivateUser(BO, BY, NOW), ChangeUser(BO, BY, NOW, first_name="Bob")):
        with pytest.raises(NotFound, match="erased"):
            users.decide(command, state)
    assert users.decide(RegisterUser(BO, "bo@pager.test", "Bo", "Li", (Role.USER,)), state) == [], (
        "the first admin's id"
    )


def test_invites_go_with_whom_they_were_for() -> None:
    invite = uuid4()
    state = invites.evolve(
        invites.initial(),
        InviteIssued(invite_id=invite, email="bo@pager.test", roles=(Role.USER,), expires_at=NOW),
    )
    for before in (state, invites.evolve(state, InviteAccepted(invite_id=invite, user_id=BO))):
        assert invites.decide(EraseInvite(invite), before) == [InviteErased(invite_id=invite)]
    after = invites.evolve(state, InviteErased(invite_id=invite))
    assert invites.decide(EraseInvite(invite), after) == []
    with pytest.raises(NotFound):
        invites.decide(ResendInvite(invite, NOW), after)


def _event(fact: Fact, entity: UUID = BO) -> Envelope[Any]:
    return Envelope(
        id=uuid4(),
        type=fact.type,
        time=NOW,
        entity=entity,
        version=1,
        lane=Lane.ROUTINE,
        actor=BY,
        correlation_id=uuid4(),
        data=fact,
    )


def _rows(table: str, event: Envelope[Any], state: Any) -> list[Change]:
    return [change for change in project(event, state) if change.table.name == table]


def test_of_an_erased_person_the_tables_hold_that_they_were() -> None:
    assert [type(row) for row in _rows("users", _event(ERASED), users.Erased(BO))] == [Gone]
    assert [type(row) for row in _rows("erased", _event(ERASED), users.Erased(BO))] == [Row]


def test_every_table_that_is_kept_of_people_is_taken_care_of() -> None:
    """A new one of them is added to `ROWS`, or said here to be taken care of otherwise."""
    otherwise = {
        "sessions": "each ends with an event of its own",
        "second_factors": "as when somebody takes theirs away",
        "recovery_codes": "with the second factor",
        "devices": "each is removed by an event of its own",
        "device_credentials": "with the sessions",
        "memberships": "each ends with an event of its own",
        "identities": "each is unlinked by an event of its own",
        "users": "PersonErased",
        "erased": "says who was",
        "invites": "InviteErased",
    }
    assert _of_people() - {table.name for table, _ in ROWS} - otherwise.keys() == set()


def test_whoever_asks_is_told_of_every_table_that_is_kept_of_people() -> None:
    """A new one of them is a part of the export, or said here not to be one."""
    parts = {
        "memberships": "user",
        "devices": "devices",
        "sessions": "sessions",
        "second_factors": "secondFactor",
        "recovery_codes": "secondFactor",
        "invites": "invites",
        "identities": "identities",
        "access_log": "requests",
        "device_credentials": "deviceCredentials",
        "known_keys": "knownDevices",
        "countries": "countries",
    }
    otherwise = {
        "passwords": "a hash is told to nobody",
        "former_passwords": "as these",
        "addresses": "the hash of what the user says",
        "oidc_codes": "good for a minute",
        "notices": "a mail that is on its way",
        "noticed": "when the last one went",
        "erased": "they are nobody any more",
    }
    assert set(parts.values()) <= {"sessions", *export._PARTS}
    assert _of_people() == parts.keys() | otherwise.keys()


def _of_people() -> set[str]:
    """The tables that are kept of people."""
    tables = {**{t.name: t for t in kept.tables.values()}, **{t.name: t for t in ORIGINS.projections}}
    return {name for name, table in tables.items() if not {"user_id", "person", "whom"}.isdisjoint(table.c.keys())}
