"""A session that ended is over for whoever checks tokens, in every process, while tokens of it may still be good."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.pull import Pull
from libs.chassis.requests import sessions
from libs.chassis.requests.callers import LEEWAY, LONGEST, Caller, Unsure
from libs.chassis.requests.sessions import EndedSessions
from libs.chassis.tests.ledger import Ledger, until
from libs.contracts.auth import RolesChanged, SessionEnded
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane, Role
from libs.contracts.requests import Unauthenticated
from libs.contracts.subjects import event_subject
from libs.contracts.teams import TeamMembershipChanged

_Kind = type[RolesChanged] | type[TeamMembershipChanged]


def _caller(session: UUID, ledger: Ledger) -> Caller:
    return Caller(uuid4(), frozenset({Role.ADMIN}), session, "phone", ledger.clock.now() + timedelta(minutes=15))


async def _ended(auth: Bus, ledger: Ledger, session: UUID | None = None, raw: bytes | None = None) -> UUID:
    """Auth says that a session has ended."""
    session = session or uuid4()
    event: Envelope[Any] = Envelope[SessionEnded](
        id=uuid4(),
        type=SessionEnded.type,
        time=ledger.clock.now(),
        entity=session,
        version=2,
        lane=Lane.ROUTINE,
        actor=Actor.service("auth"),
        correlation_id=uuid4(),
        data=SessionEnded(user_id=uuid4(), session_id=session, reason="signed out"),
    )
    subject = event_subject(SessionEnded.type, Lane.ROUTINE, session)
    await auth.client.jetstream().publish(subject, raw or CODEC.encode(event))
    return session


async def _says(ended: EndedSessions, caller: Caller) -> str:
    try:
        return "certain" if (await ended.check(caller)).certain else "not certain"
    except (Unauthenticated, Unsure) as error:
        return str(error.kind)


async def _become(ended: EndedSessions, caller: Caller, answer: str) -> None:
    async def look() -> str:
        return await _says(ended, caller)

    await until(look, lambda said: said == answer, answer)


@pytest.mark.parametrize("user", ["gateway", "incidents", "escalation", "oncall", "notifier"])
async def test_what_ended_before_and_after_the_start_is_over_and_the_rest_goes_on(
    ledger: Ledger, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_PATIENCE", 15.0)
    auth = await ledger.bus("auth")
    before = await _ended(auth, ledger)
    ended = EndedSessions(user, await ledger.bus(user), ledger.clock)
    ledger.run(ended.run)
    assert await _says(ended, _caller(before, ledger)) == "unauthenticated", "whoever asks first waits for the list"
    after, other = uuid4(), uuid4()
    assert await _says(ended, _caller(after, ledger)) == "certain"
    await _ended(auth, ledger, after)
    await _become(ended, _caller(after, ledger), "unauthenticated")
    assert await _says(ended, _caller(other, ledger)) == "certain"


async def test_without_a_list_nobody_is_let_in_and_nobody_is_sent_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_PATIENCE", 0.01)
    ended = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    assert await _says(ended, _caller(uuid4(), ledger)) == "unavailable"
    ledger.run(ended.run)
    await _become(ended, _caller(uuid4(), ledger), "certain")


async def test_what_ended_is_remembered_until_its_tokens_have_expired_and_not_longer(ledger: Ledger) -> None:
    auth = await ledger.bus("auth")
    ended = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    ledger.run(ended.run)
    old = [await _ended(auth, ledger) for _ in range(3)]
    await _become(ended, _caller(old[-1], ledger), "unauthenticated")
    ledger.clock.advance(seconds=(LONGEST + LEEWAY).total_seconds() - 1)
    young = await _ended(auth, ledger)
    await _become(ended, _caller(young, ledger), "unauthenticated")
    assert set(ended._forget) == {*old, young}
    ledger.clock.advance(seconds=1)
    last = await _ended(auth, ledger)
    await _become(ended, _caller(last, ledger), "unauthenticated")
    assert set(ended._forget) == {young, last}
    late = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    ledger.run(late.run)
    await _become(late, _caller(last, ledger), "unauthenticated")
    assert set(late._forget) == {young, last}


async def test_while_nothing_is_heard_the_last_list_holds_and_after_a_quarter_of_an_hour_not_for_admins(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth, bus = await ledger.bus("auth"), await ledger.bus("gateway")
    over = await _ended(auth, ledger)
    ended = EndedSessions("gateway", bus, ledger.clock)
    ledger.run(ended.run)
    await _become(ended, _caller(over, ledger), "unauthenticated")
    ledger.clock.advance(minutes=14)  # while it is read it never grows old

    def away(*_: object, **__: object) -> None:
        raise BusAway("the bus is away")

    monkeypatch.setattr(sessions, "Pull", away)
    await bus.interrupted()

    async def lost() -> bool:
        return ended._lost_at is not None

    await until(lost, bool, "that it is lost")
    unheard = await _ended(auth, ledger)
    ledger.clock.advance(minutes=14, seconds=59)
    assert await _says(ended, _caller(over, ledger)) == "unauthenticated"
    assert await _says(ended, _caller(unheard, ledger)) == "certain"
    ledger.clock.advance(seconds=1)
    assert await _says(ended, _caller(unheard, ledger)) == "not certain"
    monkeypatch.setattr(sessions, "Pull", Pull)
    await _become(ended, _caller(unheard, ledger), "unauthenticated")
    assert await _says(ended, _caller(uuid4(), ledger)) == "certain"


async def test_what_cannot_be_read_is_passed_and_closes_no_door(ledger: Ledger) -> None:
    auth = await ledger.bus("auth")
    await _ended(auth, ledger, raw=b"{}")
    ended = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    ledger.run(ended.run)
    await _ended(auth, ledger, raw=b"\xff")
    over = await _ended(auth, ledger)
    await _become(ended, _caller(over, ledger), "unauthenticated")


async def _given_roles(
    auth: Bus,
    ledger: Ledger,
    person: UUID,
    version: int,
    kind: _Kind = RolesChanged,
) -> None:
    """Auth says that somebody has other roles, or is something else in a team."""
    told = {"user_id": person, "by": Actor.service("auth"), "at": ledger.clock.now(), "version": version}
    of_kind = {"roles": (Role.USER,)} if kind is RolesChanged else {"team_id": uuid4(), "role": None}
    fact = kind.model_validate(told | of_kind)
    event: Envelope[Any] = Envelope[Any](
        id=uuid4(),
        type=fact.type,
        time=ledger.clock.now(),
        entity=person,
        version=version,
        lane=Lane.ROUTINE,
        actor=Actor.service("auth"),
        correlation_id=uuid4(),
        data=fact,
    )
    await auth.client.jetstream().publish(event_subject(fact.type, Lane.ROUTINE, person), CODEC.encode(event))


@pytest.mark.parametrize("kind", [RolesChanged, TeamMembershipChanged])
async def test_tokens_from_before_a_change_of_roles_are_refused_for_as_long_as_they_could_be_good(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: _Kind
) -> None:
    monkeypatch.setattr(sessions, "_PATIENCE", 15.0)
    auth, somebody = await ledger.bus("auth"), _caller(uuid4(), ledger)
    await _given_roles(auth, ledger, somebody.user_id, 3, kind)
    ended = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    ledger.run(ended.run)
    for version, answer in ((0, "unauthenticated"), (2, "unauthenticated"), (3, "certain"), (4, "certain")):
        assert await _says(ended, replace(somebody, version=version)) == answer, version
    assert await _says(ended, _caller(uuid4(), ledger)) == "certain", "nobody else"
    await _given_roles(auth, ledger, somebody.user_id, 5)
    await _become(ended, replace(somebody, version=4), "unauthenticated")
    await _given_roles(auth, ledger, somebody.user_id, 3)  # told again, as after a stream was filled anew
    later = uuid4()
    await _ended(auth, ledger, later)
    await _become(ended, _caller(later, ledger), "unauthenticated")
    assert await _says(ended, replace(somebody, version=4)) == "unauthenticated"
    ledger.clock.advance(seconds=(LONGEST + LEEWAY).total_seconds())
    other = uuid4()
    await _given_roles(auth, ledger, other, 2)
    await _become(ended, replace(_caller(uuid4(), ledger), user_id=other), "unauthenticated")
    assert set(ended._changed) == {other}, "and no longer"


async def test_it_is_lost_while_one_of_both_is_not_heard(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = await ledger.bus("gateway")
    ended = EndedSessions("gateway", bus, ledger.clock)
    ledger.run(ended.run)
    await _become(ended, _caller(uuid4(), ledger), "certain")

    def away(bus: Bus, stream: str, subjects: tuple[str, ...], **more: Any) -> Pull:
        if "RolesChanged" in subjects[0]:
            raise BusAway("the bus is away")
        return Pull(bus, stream, subjects, **more)

    monkeypatch.setattr(sessions, "Pull", away)
    await bus.interrupted()

    async def lost() -> list[str]:
        return [name.split(".")[2] for name in ended._lost]

    await until(lost, lambda found: found == ["RolesChanged"], "that one is lost")
    ledger.clock.advance(minutes=15)
    assert await _says(ended, _caller(uuid4(), ledger)) == "not certain"


async def test_whose_roles_have_changed_refreshes_once_and_gets_in_also_after_a_restore(ledger: Ledger) -> None:
    """Auth's log may be restored to a state before the change, and older code writes no version: one has to do."""
    ended = EndedSessions("gateway", await ledger.bus("gateway"), ledger.clock)
    ledger.run(ended.run)
    before = replace(_caller(uuid4(), ledger), version=4, issued_at=ledger.clock.now())
    assert await _says(ended, before) == "certain"
    auth = await ledger.bus("auth")
    await _given_roles(auth, ledger, before.user_id, 5)
    await _become(ended, before, "unauthenticated")
    ledger.clock.advance(seconds=LEEWAY.total_seconds())
    now = replace(before, issued_at=ledger.clock.now())
    assert await _says(ended, now) == "unauthenticated", "clocks may be apart by so much"
    ledger.clock.advance(seconds=1)
    after = replace(before, issued_at=ledger.clock.now())
    assert await _says(ended, after) == "certain"
    assert await _says(ended, before) == "unauthenticated"

    ledger.clock.advance(minutes=5)
    await _given_roles(auth, ledger, before.user_id, 4)
    await _become(ended, after, "unauthenticated")
