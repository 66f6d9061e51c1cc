"""The numbers of a period are what anybody would count from the events, in whatever order and how often these came."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import mean, median
from typing import Any
from uuid import UUID, uuid4, uuid5
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy import delete
from sqlalchemy.sql import Executable

from libs.chassis.store.changes import adapt, apply_changes, compiled
from libs.chassis.testing.examples import examples
from libs.contracts.analytics import Period
from libs.contracts.auth import UserChanged
from libs.contracts.envelope import Actor, ActorKind, Envelope, Fact
from libs.contracts.escalation import EscalationDue, Paged
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentBrief,
    IncidentCreated,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingReason,
    PagingRequested,
    PriorityRaised,
    Suppression,
)
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import (
    Method,
    MethodKind,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
)
from services.incidents.analytics import facts
from services.incidents.analytics.night import Night
from services.incidents.analytics.numbers import Numbers
from services.incidents.analytics.scope import Scope, Scopes
from tests.servers import Servers

SINCE = datetime(2026, 10, 20, tzinfo=UTC)
UNTIL = datetime(2026, 11, 3, tzinfo=UTC)
"""Clocks are set back in Europe on the 25th of October, and in America on the 1st of November."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe")
PEOPLE = [UUID(int=100 + number) for number in range(4)]
TEAMS = [None, UUID(int=1), UUID(int=2)]
INTEGRATIONS = [None, UUID(int=11), UUID(int=12)]
EVERYTHING = Scopes(Scope(everything=True), Scope(everything=True))
_TABLES = (facts.openings, facts.turns, facts.fired_levels, facts.sent_pages, facts.time_zones)


@dataclass
class Reading:
    """Stands for a `Work` that only reads."""

    connection: psycopg.Connection[dict[str, Any]]

    def fetch(self, statement: Executable, **parameters: Any) -> list[dict[str, Any]]:
        sql, own = compiled(statement)
        given_ = own | {name: adapt(value) for name, value in parameters.items()}
        return self.connection.execute(sql.encode(), given_).fetchall()


@dataclass
class Told:
    """One incident, and all that became of it, as it happened."""

    created: IncidentCreated
    events: list[Fact] = field(default_factory=list)
    pages: list[tuple[UUID, int, datetime]] = field(default_factory=list)
    """(who, run, when), one for each message."""


@dataclass
class History:
    incidents: list[Told]
    zones: dict[UUID, list[tuple[datetime, str]]]

    def envelopes(self) -> Iterator[Envelope[Any]]:
        for told in self.incidents:
            versions = count(1)
            for fact in (told.created, *told.events):
                at = _when(fact)
                entity = getattr(fact, "notification_id", told.created.incident_id)
                ours = fact.type.startswith("pager.incidents.")
                yield _envelope(fact, entity, next(versions) if ours else 1, at)
        for person, lived in self.zones.items():
            for at, zone in lived:
                yield _envelope(
                    UserChanged(user_id=person, first_name="A", last_name="B", timezone=zone), person, 1, at
                )


def _when(fact: Any) -> datetime:
    for name in ("created_at", "since", "at"):
        if (at := getattr(fact, name, None)) is not None:
            return at  # type: ignore[no-any-return]
    return fact.brief.paging_since  # type: ignore[no-any-return]


def _envelope(fact: Fact, entity: UUID, version: int, at: datetime) -> Envelope[Any]:
    return Envelope(
        id=uuid4(), type=fact.type, time=at, entity=entity, version=version, lane=Lane.URGENT,
        actor=Actor.service("test"), correlation_id=entity, data=fact,
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> History:
    chance = draw(st.randoms(use_true_random=False))
    zones = {
        person: sorted(
            [(SINCE - timedelta(days=30), chance.choice(ZONES))]
            + [(_moment(chance), chance.choice(ZONES)) for _ in range(chance.randrange(2))]
        )
        for person in PEOPLE
    }
    return History([_incident(chance, number) for number in range(draw(st.integers(0, 12)))], zones)


def _moment(chance: random.Random) -> datetime:
    return SINCE - timedelta(days=1) + timedelta(seconds=chance.randrange(16 * 86_400))


def _incident(chance: random.Random, number: int) -> Told:
    at, suppressed = _moment(chance), chance.random() < 0.2
    created = IncidentCreated(
        incident_id=uuid5(UUID(int=9), str(number)), number=number, title=f"it burns {number}",
        priority=chance.choice(list(Priority)), source="test", integration_id=chance.choice(INTEGRATIONS),
        dedup_key=chance.choice([None, "db", "web"]), team_id=chance.choice(TEAMS),
        created_by=Actor.service("test"), created_at=at, suppressed=suppressed,
    )  # fmt: skip
    told, run, open_ = Told(created), 0 if suppressed else 1, True
    brief = IncidentBrief.of(created)
    for _ in range(chance.randrange(10)):
        at += timedelta(seconds=chance.randrange(1, 9000))
        what = {"incident_id": created.incident_id, "at": at}
        by = Actor(
            kind=chance.choice([ActorKind.USER, ActorKind.USER, ActorKind.KEY, ActorKind.INTEGRATION]),
            id=str(chance.choice(PEOPLE)),
        )
        match chance.randrange(9):
            case 0 if open_:
                told.events.append(IncidentAcknowledged(**what, run=run, by=by))
            case 1 if open_:
                told.events.append(IncidentSnoozed(**what, run=run, by=by, until=at + timedelta(hours=1)))
            case 2 if open_:
                told.events.append(IncidentResolved(**what, run=run, by=by))
                open_ = False
            case 3 if not open_:
                told.events.append(IncidentReopened(**what, by=by))
                run, open_ = run + 1, True
                told.events.append(_again(created, brief, run, at))
            case 4 if open_:
                worse = chance.choice(list(Priority))
                told.events.append(PriorityRaised(**what, previous=created.priority, priority=worse, by=by))
            case 6 if open_:
                muted = Suppression(by=str(by.id))
                told.events.append(IncidentSuppressed(**what, run=run, by=by, suppression=muted))
            case 5 if open_ and run == 0:
                run = 1
                told.events.append(_again(created, brief, run, at))
            case _ if open_ and run > 0:
                _page(chance, told, run, at, brief)
    return told


def _again(created: IncidentCreated, brief: IncidentBrief, run: int, at: datetime) -> PagingRequested:
    return PagingRequested(
        incident_id=created.incident_id, run=run, since=at, reason=PagingReason.REOPENED, brief=brief
    )


def _page(chance: random.Random, told: Told, run: int, at: datetime, brief: IncidentBrief) -> None:
    """A further level: it pages somebody with two phones, of which one, both or none take it."""
    level = 1 + sum(isinstance(fact, EscalationDue) and fact.run == run for fact in told.events)
    person = chance.choice(PEOPLE)
    told.events.append(
        EscalationDue(
            incident_id=brief.incident_id, run=run, level=level, round=1, next_due_at=None,
            people=(Paged(user_id=person, via="user"),), brief=brief.model_copy(update={"paging_since": at}),
        )
    )  # fmt: skip
    taken = []
    for device in ("a", "b"):
        notification = uuid5(brief.incident_id, f"{run}/{level}/{device}")
        what = {"notification_id": notification, "incident_id": brief.incident_id, "user_id": person}
        told.events.append(
            NotificationIntended(
                **what, method=Method(id=device, kind=MethodKind.FCM), run=run, round=1, level=level, lane=Lane.URGENT,
                decided_at=at, at=at, expires_at=at, brief=brief,
            )
        )  # fmt: skip
        if chance.random() < 0.7:
            later = at + timedelta(seconds=chance.randrange(60))
            taken.append(later)
            told.events.append(NotificationAccepted(**what, attempt=1, provider="fcm", at=later))
            replaced = NotificationKind.ACKNOWLEDGED
            told.events.append(
                NotificationAccepted(**what, attempt=2, provider="fcm", at=later + timedelta(hours=1), kind=replaced)
            )
    if taken:
        told.pages.append((person, run, min(taken)))


# --- What anybody would count ----------------------------------------------------------------------------------------


def _naive(told: Told) -> dict[str, Any]:
    turns = [f for f in told.events if f.type.startswith("pager.incidents.")]
    answers = [
        f for f in turns
        if isinstance(f, IncidentAcknowledged | IncidentSnoozed | IncidentResolved) and f.by.kind in ("user", "key")
    ]  # fmt: skip
    again = [f.since for f in turns if isinstance(f, PagingRequested)]
    asked = (min(again) if again else None) if told.created.suppressed else told.created.created_at
    first = min((f.at for f in answers), default=None)
    ends = [f for f in turns if isinstance(f, IncidentResolved | IncidentReopened)]
    end = ends[-1] if ends and isinstance(ends[-1], IncidentResolved) else None
    raised = [f.priority for f in turns if isinstance(f, PriorityRaised)]
    return {
        "priority": raised[-1] if raised else told.created.priority,
        "to_answer": (first - asked).total_seconds() if first and asked and first >= asked else None,
        "to_end": None if end is None else (end.at - told.created.created_at).total_seconds(),
        "by_itself": end is not None and end.by.kind not in ("user", "key"),
        "untouched": end is not None and first is None,
        "reopened": any(isinstance(f, IncidentReopened) for f in turns),
        "snoozed": any(isinstance(f, IncidentSnoozed) for f in turns),
        "suppressed": told.created.suppressed or any(isinstance(f, IncidentSuppressed) for f in turns),
    }


def _of(values: Any, how: Any) -> Any:
    found = [value for value in values if value is not None]
    return pytest.approx(how(found), abs=0.002) if found else None


def _expected(some: list[Told]) -> dict[str, Any]:
    all_ = [_naive(told) for told in some]
    return {
        "incidents": len(some),
        "answered": sum(one["to_answer"] is not None for one in all_),
        "mtta": _of((one["to_answer"] for one in all_), mean),
        "median_answer": _of((one["to_answer"] for one in all_), median),
        "resolved": sum(one["to_end"] is not None for one in all_),
        "mttr": _of((one["to_end"] for one in all_), mean),
        "median_resolution": _of((one["to_end"] for one in all_), median),
        "resolved_automatically": sum(one["by_itself"] for one in all_),
        "reopened": sum(one["reopened"] for one in all_),
        "snoozed": sum(one["snoozed"] for one in all_),
        "suppressed": sum(one["suppressed"] for one in all_),
    }


def _wall(at: datetime, zones: list[tuple[datetime, str]]) -> datetime:
    return at.astimezone(ZoneInfo([zone for since, zone in zones if since <= at][-1]))


def _is_night(at: datetime, zones: list[tuple[datetime, str]]) -> bool:
    wall = _wall(at, zones)
    return wall.hour >= 22 or wall.hour < 7


def _levels(some: list[Told]) -> tuple[Counter[int], dict[int | None, list[float]]]:
    """How often each level fired, and how long after it the first answers of runs came."""
    fired: Counter[int] = Counter()
    after: dict[int | None, list[float]] = {}
    for told in some:
        levels = [(f.run, f.level, f.brief.paging_since) for f in told.events if isinstance(f, EscalationDue)]
        fired.update(level for _, level, _ in levels)
        answered: set[int] = set()
        for f in told.events:
            if not isinstance(f, IncidentAcknowledged | IncidentSnoozed | IncidentResolved):
                continue
            if f.by.kind not in ("user", "key") or f.run in answered:
                continue
            answered.add(f.run)
            before = [(level, at) for run, level, at in levels if run == f.run and at is not None and at <= f.at]
            level, at = max(before, default=(None, f.at))
            after.setdefault(level, []).append((f.at - at).total_seconds())
    return fired, after


def _check(numbers: Numbers, history: History, seen: list[Told]) -> None:
    summary = numbers.summary()
    assert {name: getattr(summary, name) for name in _expected(seen)} == _expected(seen)
    of_priority = {p: [told for told in seen if _naive(told)["priority"] == p] for p in Priority}
    found: Mapping[Any, Any] = {one.priority: one for one in summary.by_priority}
    assert found.keys() == {p for p, some in of_priority.items() if some}
    for key, one in found.items():
        assert {name: getattr(one, name) for name in _expected(seen)} == _expected(of_priority[key])
    found = {one.integration_id: one for one in summary.by_integration}
    assert found.keys() == {told.created.integration_id for told in seen}
    for key, one in found.items():
        some = [told for told in seen if told.created.integration_id == key]
        assert {name: getattr(one, name) for name in _expected(seen)} == _expected(some)
    hours = Counter(told.created.created_at.astimezone(ZoneInfo("Asia/Kathmandu")).hour for told in seen)
    assert {one.hour: one.incidents for one in summary.by_hour if one.incidents} == hours
    _check_people(numbers, history)
    response = numbers.response()
    fired, after = _levels(seen)
    assert {one.level: one.fired for one in response.levels} == fired
    assert response.unpaged == len(after.get(None, []))
    for level in response.levels:
        assert level.answered == len(after.get(level.level, []))
        assert level.mean_seconds == _of(after.get(level.level, []), mean)
    noise = {(one.integration_id, one.dedup_key): one for one in numbers.noise().keys}
    keyed = [told for told in seen if told.created.dedup_key is not None]
    assert noise.keys() == {(told.created.integration_id, told.created.dedup_key) for told in keyed}
    for place, noisy in noise.items():
        some = [told for told in keyed if (told.created.integration_id, told.created.dedup_key) == place]
        assert (noisy.incidents, noisy.untouched) == (len(some), sum(_naive(told)["untouched"] for told in some))


def _check_people(numbers: Numbers, history: History) -> None:
    pages = [page for told in history.incidents for page in told.pages if SINCE <= page[2] < UNTIL]
    load = numbers.load()
    zones = history.zones
    assert {one.user_id: one.pages for one in load.people} == Counter(person for person, _, _ in pages)
    nights = Counter(person for person, _, at in pages if _is_night(at, zones[person]))
    assert {one.user_id: one.night_pages for one in load.people if one.night_pages} == nights
    assert {one.hour: one.pages for one in load.by_hour if one.pages} == Counter(
        _wall(at, zones[person]).hour for person, _, at in pages
    )
    assert (load.pages, load.night_pages) == (len(pages), nights.total())
    assert load.people == numbers.summary().people


@contextmanager
def _filled(connection: psycopg.Connection[Any], history: History, chance: random.Random) -> Iterator[Reading]:
    """With the rows of its events, each heard of once or twice, a few at a time in any order."""
    envelopes = [event for event in history.envelopes() for _ in range(chance.choice([1, 1, 2]))]
    chance.shuffle(envelopes)
    while envelopes:
        some, envelopes = envelopes[:7], envelopes[7:]
        apply_changes(lambda: psycopg.Cursor(connection), [row for event in some for row in facts.measured(event)])
    try:
        yield Reading(connection)
    finally:
        for table in _TABLES:
            connection.execute(delete(table).compile().string.encode())


async def test_numbers_of_random_histories(servers: Servers) -> None:
    async with servers.fresh() as database:
        url = servers.database_url("superuser", database)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:

            @settings(max_examples=examples(60), suppress_health_check=list(HealthCheck), deadline=None, database=None)
            @given(history=histories(), chance=st.randoms(use_true_random=False))
            def check(history: History, chance: random.Random) -> None:
                with _filled(connection, history, chance) as reading:
                    period = Period(from_=SINCE, to=UNTIL, timezone="Asia/Kathmandu")
                    numbers = Numbers(reading, period, EVERYTHING, Night())  # type: ignore[arg-type]
                    opened = [t for t in history.incidents if SINCE <= t.created.created_at < UNTIL]
                    _check(numbers, history, opened)
                    team = Scopes(Scope(everything=True, only=TEAMS[1]), Scope(teams=(UUID(int=2),)))
                    one = Numbers(reading, period, team, Night())  # type: ignore[arg-type]
                    assert one.summary().incidents == sum(t.created.team_id == TEAMS[1] for t in opened)
                    of_two = [t for t in history.incidents if t.created.team_id == TEAMS[2]]
                    paged = Counter(who for t in of_two for who, _, at in t.pages if SINCE <= at < UNTIL)
                    assert {p.user_id: p.pages for p in one.load().people} == paged

            check()
