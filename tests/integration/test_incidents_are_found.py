"""Whatever incidents are looked for by, and in whichever order: what is found is what one finds by looking at each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from sqlalchemy.sql import Executable

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Row, adapt, apply_changes, compiled
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incident_lists import SearchIncidents, Sort
from libs.contracts.incidents import IncidentCreated, IncidentView, Status
from libs.contracts.model import Lane, Priority, Role, TeamRole
from libs.contracts.requests import Invalid
from services.incidents import searching
from services.incidents.domain.incident import Incident
from services.incidents.listing import list_incidents
from services.incidents.projections import responders
from services.incidents.searchable import projecting
from tests.servers import Servers
from tests.world import World

_BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
_TEAMS = (None, UUID(int=11), UUID(int=12), UUID(int=13))
_PEOPLE = (None, UUID(int=21), UUID(int=22))
_INTEGRATIONS = (None, UUID(int=31), UUID(int=32))
_WORDS = ("disk", "kafka", "postgres", "checkout", "unicorn")
_HOSTS = ("db-1", "db-2", "o'brien=\\", 7)
_SEEN_BY = (
    ("an admin", Caller(UUID(int=98), frozenset({Role.ADMIN}), uuid4(), "phone", _BEGIN)),
    (
        "a member",
        Caller(UUID(int=97), frozenset({Role.USER}), uuid4(), "phone", _BEGIN, teams={UUID(int=11): TeamRole.MEMBER}),
    ),
    ("somebody who was paged", Caller(UUID(int=21), frozenset({Role.USER}), uuid4(), "phone", _BEGIN)),
    (
        "a team's key",
        Caller(UUID(int=96), frozenset({Role.ADMIN}), uuid4(), "key", _BEGIN, bound=UUID(int=12), key_id=uuid4()),
    ),
)
_WAYS = {
    "much": (0, 10_000, 8),
    "much and far apart, of many teams": (0, 7, 0),
    "little": (2_000, 10_000, 8),
    "little, of many teams": (2_000, 10_000, 0),
}


def _all_ways(*marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """`marks`: of those after the first two."""
    ways = [
        pytest.param(*way, id=name, marks=marks if nth > 1 else ()) for nth, (name, way) in enumerate(_WAYS.items())
    ]
    return pytest.mark.parametrize(("little", "far", "teams"), ways)


class _Made:
    """An incident as its events would have made it."""

    def __init__(self, number: int, chance: random.Random) -> None:
        words = [word for nth, word in enumerate(_WORDS) if chance.random() < 1 / (nth + 1)]
        self.words = set(words)
        self.host = chance.choice(_HOSTS)
        self.team, self.assignee = chance.choice(_TEAMS), chance.choice(_PEOPLE)
        self.paged = chance.sample(_PEOPLE[1:], chance.randint(0, 2))
        self.status, self.priority = chance.choice(list(Status)), chance.choice(list(Priority))
        self.created_at = _BEGIN + timedelta(seconds=chance.randint(0, 100))
        self.updated_at = self.created_at + timedelta(
            seconds=chance.randint(0, 100), microseconds=chance.choice((0, 5))
        )
        self.integration = chance.choice(_INTEGRATIONS)
        self.id = UUID(int=chance.getrandbits(128))
        actor = Actor.service("test")
        self.fact = IncidentCreated(
            incident_id=self.id,
            number=number,
            title=" ".join(["incident", *words]),
            priority=self.priority,
            source="test",
            integration_id=self.integration,
            team_id=self.team,
            assigned_to=self.assignee,
            created_by=actor,
            created_at=self.created_at,
            metadata={"labels": {"host": self.host}, "tags": ["a", {"b": True}]},
        )

    def rows(self) -> Iterator[Any]:
        state = Incident(
            created=self.fact,
            status=self.status,
            priority=self.priority,
            assigned_to=self.assignee,
            updated_at=self.updated_at,
        )
        event = Envelope[Any](
            id=uuid4(),
            type=self.fact.type,
            time=self.updated_at,
            entity=self.id,
            version=1,
            lane=Lane.ROUTINE,
            slot=0,
            actor=Actor.service("test"),
            correlation_id=uuid4(),
            data=self.fact,
        )
        yield from projecting("english")(event, state)
        if self.team is not None:
            for person in self.paged:
                yield Row(responders, {"incident_id": self.id, "user_id": person, "team_id": self.team})

    def is_seen_by(self, caller: Caller) -> bool:
        if caller.bound is not None:
            return self.team == caller.bound
        if Role.ADMIN in caller.roles or self.team is None or self.team in caller.teams:
            return True
        return caller.user_id in (*self.paged, self.assignee)

    def fits(self, query: SearchIncidents) -> bool:
        wanted = (
            (query.status, self.status),
            (query.priority, self.priority),
            (query.assigned_to, self.assignee),
            (query.team_id, self.team),
            (query.integration_id, self.integration),
            (query.metadata.get("labels.host"), str(self.host)),
            (query.metadata.get("tags.b"), "true"),
            (query.metadata.get("nobody.has"), None),
        )
        in_time = (query.from_ is None or query.from_ <= self.created_at) and (
            query.to is None or self.created_at < query.to
        )
        return in_time and all(asked is None or asked == is_ for asked, is_ in wanted) and self._says(query.q)

    def _says(self, q: str | None) -> bool:
        if q is None:
            return True
        if " or " in q:
            return any(word in self.words for word in q.split(" or "))
        return all(
            one.removeprefix("-") not in self.words if one.startswith("-") else one in {*self.words, "incident"}
            for one in q.split()
        )

    def place(self, sort: Sort) -> tuple[Any, ...]:
        newest = (-self.created_at.timestamp(), -self.id.int)
        rank = {Priority.CRITICAL: 0, Priority.HIGH: 1, Priority.MEDIUM: 2, Priority.LOW: 3}[self.priority]
        match sort:
            case Sort.NEWEST:
                return newest
            case Sort.OLDEST:
                return (self.created_at, self.id.int)
            case Sort.MOST_URGENT:
                return (rank, *newest)
            case Sort.LEAST_URGENT:
                return (-rank, *newest)
            case Sort.LATEST_CHANGED:
                return (-self.updated_at.timestamp(), -self.id.int)
            case Sort.LONGEST_UNCHANGED:
                return (self.updated_at, self.id.int)


class _Reading:
    """Stands for a `Work` that only reads."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]]) -> None:
        self.now, self.estimates, self._cursor = _BEGIN, None, connection.cursor()

    def fetch(self, statement: Executable, **parameters: Any) -> list[dict[str, Any]]:
        sql, own = compiled(statement)
        self._cursor.execute(sql.encode(), own | {k: adapt(v) for k, v in parameters.items()})
        return self._cursor.fetchall()


@asynccontextmanager
async def _database(servers: Servers) -> AsyncIterator[psycopg.Connection[dict[str, Any]]]:
    async with servers.fresh() as database:
        url = servers.database_url("superuser", database)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            yield connection


def _add(connection: psycopg.Connection[dict[str, Any]], made: list[_Made]) -> None:
    apply_changes(connection.cursor, (row for one in made for row in one.rows()))


@contextmanager
def _ways(little: int, far: int, teams: int) -> Iterator[None]:
    """Few incidents are found as millions are."""
    counted: dict[str, Any] = (
        {"EXACT": 10_000, "_SURELY": 100_000, "_TO_BEGIN": 10} if little else dict.fromkeys(_SIZES, 0)
    )
    with patch.multiple(searching, _LOOKED_AT=little, _FAR_AT_LEAST=far, _TEAMS_AS_WORDS=teams, **counted):
        yield


_SIZES = ("EXACT", "_SURELY", "_TO_BEGIN")
_QUERIES = st.fixed_dictionaries(
    {"sort": st.sampled_from(Sort), "limit": st.sampled_from([1, 7, 100])},
    optional={
        "q": st.sampled_from(
            ["disk", "kafka disk", "disk -kafka", "kafka or unicorn", "unicorn", "nothing", "incident"]
        ),
        "status": st.sampled_from(Status),
        "priority": st.sampled_from(Priority),
        "assigned_to": st.sampled_from(_PEOPLE[1:]),
        "team_id": st.sampled_from(_TEAMS[1:]),
        "integration_id": st.sampled_from(_INTEGRATIONS[1:]),
        "from_": st.sampled_from([_BEGIN, _BEGIN + timedelta(seconds=40)]),
        "to": st.sampled_from([_BEGIN, _BEGIN + timedelta(seconds=70)]),
        "metadata": st.sampled_from(
            [{"labels.host": str(host)} for host in _HOSTS] + [{"tags.b": "true"}, {"nobody.has": "it"}]
        ),
    },
)


@_all_ways(pytest.mark.no_cover)  # a property inside: hundreds of examples take the same lines
async def test_what_is_found_is_what_fits_in_its_order(servers: Servers, little: int, far: int, teams: int) -> None:
    chance = random.Random(13)
    made = [_Made(number, chance) for number in range(1, 201)]
    async with _database(servers) as connection:
        _add(connection, made)
        connection.execute("ANALYZE incidents.incidents, incidents.searchable")

        @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(_QUERIES, st.sampled_from(_SEEN_BY))
        def agree(asked: dict[str, Any], who: tuple[str, Caller]) -> None:
            query, caller = SearchIncidents(**asked), who[1]
            expected = sorted(
                (i for i in made if i.is_seen_by(caller) and i.fits(query)), key=lambda i: i.place(query.sort)
            )
            found, total = _walk(connection, query, caller)
            assert [one.id for one in found] == [one.id for one in expected]
            assert total in (len(expected), None)
            numbered = list_incidents(_work(connection), query.model_copy(update={"page": 2}), caller)
            assert [i.id for i in numbered.incidents] == [i.id for i in expected[query.limit : 2 * query.limit]]

        with _ways(little, far, teams):
            agree()


def _work(connection: psycopg.Connection[dict[str, Any]]) -> Any:
    return _Reading(connection)


def _walk(
    connection: psycopg.Connection[dict[str, Any]], query: SearchIncidents, caller: Caller
) -> tuple[list[IncidentView], int | None]:
    """All pages; the total, where it is none that is guessed."""
    found: list[IncidentView] = []
    while True:
        page = list_incidents(_work(connection), query, caller)
        found += page.incidents
        if page.next_cursor is None:
            return found, None if page.total_is_estimate else page.total
        query = query.model_copy(update={"cursor": page.next_cursor})


@_all_ways()
@pytest.mark.parametrize("sort", Sort)
async def test_whoever_walks_while_others_arrive_sees_each_once(
    servers: Servers, sort: Sort, little: int, far: int, teams: int
) -> None:
    chance = random.Random(14)
    made = [_Made(number, chance) for number in range(1, 61)]
    query = SearchIncidents(sort=sort, limit=7, q="disk")
    async with _database(servers) as connection:
        _add(connection, made)
        seen: list[UUID] = []
        with _ways(little, far, teams):
            for number in range(1_000, 2_000, 5):
                page = list_incidents(_work(connection), query, _SEEN_BY[0][1])
                seen += [one.id for one in page.incidents]
                if page.next_cursor is None:
                    break
                query = query.model_copy(update={"cursor": page.next_cursor})
                if number < 1_100:
                    _add(connection, [_Made(number + more, chance) for more in range(5)])  # before and behind
        assert len(seen) == len(set(seen))
        assert {one.id for one in made} <= set(seen)


async def test_words_are_counted_only_as_far_as_each_row_need_not_be_looked_up(servers: Servers) -> None:
    chance = random.Random(15)
    made = [_Made(number, chance) for number in range(1, 201)]
    query = SearchIncidents(q="disk", limit=7)
    async with _database(servers) as connection:
        _add(connection, made)
        connection.execute("ANALYZE incidents.incidents, incidents.searchable")
        (_, admin), (_, member) = _SEEN_BY[:2]
        with _ways(little=5, far=10, teams=8):
            for caller in (admin, member):
                page = list_incidents(_work(connection), query, caller)
                exactly = sum(one.is_seen_by(caller) and one.fits(query) for one in made)
                assert (page.total, page.total_is_estimate) == (exactly, False)
        with _ways(little=5, far=10, teams=0):
            page = list_incidents(_work(connection), query, member)
        assert page.total_is_estimate
        assert 5 < page.total <= len(made)


@pytest.mark.parametrize("q", ["-disk", "disk or -kafka", "!?", "   "])
async def test_what_names_nothing_to_look_for_is_refused(servers: Servers, q: str) -> None:
    async with _database(servers) as connection:
        with pytest.raises(Invalid) as refused:
            list_incidents(_work(connection), SearchIncidents(q=q), _SEEN_BY[0][1])
    assert refused.value.field == "q"


@pytest.mark.services("auth", "incidents")
async def test_words_are_found_as_people_write_them(world: World) -> None:
    await world.fire_alert("Payments are failing", description="The checkout's disks were full")
    await world.fire_alert(
        "Zoë's café is on fire", dedupKey="2", metadata={"labels": {"service": "café"}, "ports": [80, 443]}
    )
    await world.settle()
    titles = ["Payments are failing", "Zoë's café is on fire"]
    for asked, expected in (
        ("q=failed", titles[:1]),
        ("q=FULL%20disk", titles[:1]),
        ('q="disks were full"', titles[:1]),
        ('q="full disks"', []),
        ("q=caf%C3%A9", titles[1:]),
        ("q=fire%20or%20payment&sort=createdAt", titles),
        ("metadata.labels.service=caf%C3%A9", titles[1:]),
        ("metadata.ports=443&q=fire", titles[1:]),
        ("metadata.ports=44", []),
        ("q=fire&metadata.nobody=1", []),
    ):
        answer = await world.admin.call("GET", f"/incidents?{asked}")
        assert [one["title"] for one in answer.data["incidents"]] == expected, (asked, answer.body)
        assert answer.data["pagination"]["total"] == len(expected)


_REFUSED = [
    ("q=", "q"),
    ("q=%00", "q"),
    (f"q={'a' * 256}", "q"),
    ("q=-disk", "q"),
    ("sort=title", "sort"),
    ("from=yesterday", "from"),
    ("integrationId=1", "integrationId"),
    ("metadata.=1", "metadata."),
    ("metadata.a%00=1", "metadata.a"),
    ("metadata.a=1&metadata.a=2", "metadata.a"),
    (f"metadata.a={'b' * 300}", "metadata.a"),
    ("metadata=1", "metadata"),
    ("&".join(f"metadata.{n}=1" for n in range(11)), "metadata."),
]


@pytest.mark.services("auth", "incidents")
async def test_what_cannot_be_looked_for_is_400_and_named(world: World, subtests: pytest.Subtests) -> None:
    for asked, field in _REFUSED:
        with subtests.test(asked=asked):
            answer = await world.admin.call("GET", f"/incidents?{asked}")
            assert (answer.status, answer.body["error"]["code"], answer.body["error"]["details"]["field"]) == (
                400,
                "VALIDATION_ERROR",
                field,
            )


@pytest.mark.services("auth", "incidents")
async def test_a_cursor_that_we_have_not_made_for_this_list_is_refused(world: World) -> None:
    for number in range(3):
        await world.fire_alert(f"db {number} down", dedupKey=str(number))
    await world.settle()
    first = await world.admin.call("GET", "/incidents?limit=1")
    cursor, own = first.data["nextCursor"], first.data["incidents"][0]["id"]
    timeline = await world.admin.call("GET", f"/incidents/{own}/timeline?limit=1")
    by_priority = await world.admin.call("GET", "/incidents?limit=1&sort=priority")
    assert (await world.admin.call("GET", f"/incidents?limit=1&cursor={cursor}")).data["incidents"]
    flipped = [f"{cursor[:n]}{'A' if cursor[n] != 'A' else 'B'}{cursor[n + 1 :]}" for n in range(len(cursor))]
    foreign = [
        timeline.data["nextCursor"],
        by_priority.data["nextCursor"],
        cursor[:-2],
        cursor + "=",
        "x",
        "WyJpbmNpZGVudHMiXQ",
    ]
    for bad in (*flipped, *foreign):
        answer = await world.admin.call("GET", f"/incidents?limit=1&cursor={bad}")
        assert (answer.status, answer.body["error"]["details"]["field"]) == (400, "cursor"), bad
