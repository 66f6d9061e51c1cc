"""What each event writes."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.store.changes import Change, Gone, Row
from libs.contracts.auth import DeviceRegistered, DeviceRemoved, Platform, SessionEnded, SignedIn, UserRegistered
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.model import Lane, Role
from services.auth.projections import project
from services.auth.tables.people import devices, push_tokens, users
from services.auth.tables.sessions import sessions
from services.auth.tables.watch import audit

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BO = UUID("00000000-0000-4000-8000-000000000001")
ENTITY = UUID("00000000-0000-4000-8000-00000000000d")


def event(fact: Fact) -> Envelope[Any]:
    return Envelope(
        id=uuid4(),
        type=fact.type,
        time=NOW,
        entity=ENTITY,
        version=1,
        lane=Lane.ROUTINE,
        actor=Actor.service("auth"),
        correlation_id=uuid4(),
        data=fact,
    )


def written(fact: Fact) -> list[Change]:
    """Beside the index of the audit."""
    return [change for change in project(event(fact), None) if change.table is not audit]


def test_a_person_becomes_a_row_with_the_moment_of_registration() -> None:
    fact = UserRegistered(
        user_id=BO, email="Bo@Example.com", first_name="Bo", last_name="Ek", timezone="UTC", roles=(Role.ADMIN,)
    )
    (row,) = written(fact)
    assert isinstance(row, Row)
    assert row.table is users
    assert (row.values["id"], row.values["email"], row.values["created_at"]) == (BO, "Bo@Example.com", NOW)
    assert [type(role) for role in row.values["roles"]] == [str]


def test_a_device_is_kept_with_the_hash_of_its_push_token_only() -> None:
    fact = DeviceRegistered(
        user_id=BO, device_id="phone", name="p", platform=Platform.IOS, push_token="secret", registered_at=NOW
    )
    (row,) = written(fact)
    assert isinstance(row, Row)
    assert row.table is devices
    assert "secret" not in row.values.values()


def test_a_removed_device_and_an_ended_session_leave_their_tables() -> None:
    removed = DeviceRemoved(user_id=BO, device_id="phone", reason="signed out")
    ended = SessionEnded(user_id=BO, session_id=ENTITY, reason="signed out")
    assert written(removed) == [Gone(devices, {"id": ENTITY}), Gone(push_tokens, {"device": ENTITY})]
    assert written(ended) == [Gone(sessions, {"id": ENTITY})]


def test_a_sign_in_writes_no_row_of_its_own_because_the_hashes_are_in_no_event() -> None:
    assert written(SignedIn(user_id=BO, session_id=ENTITY, device_id="phone")) == []


def test_whoever_is_let_in_stands_in_the_index_of_the_audit_without_their_address() -> None:
    fact = SignedIn(user_id=BO, session_id=ENTITY, device_id="phone", ip_address="192.0.2.1", user_agent="me")
    (row,) = (change for change in project(event(fact), None) if change.table is audit)
    assert isinstance(row, Row)
    assert (row.values["kind"], row.values["resource_id"]) == ("users", str(BO))
    assert not {"192.0.2.1", "me"} & set(row.values.values())
