"""However many incidents there are, no list of them reads more than it shows, and none is shown twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy.sql import Executable

from bench.rows import fill_incidents
from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import adapt, compiled
from libs.chassis.testing.clock import MovableClock
from libs.contracts.incidents import IncidentList, ListIncidents, Status
from libs.contracts.model import Priority, Role, TeamRole
from libs.contracts.permissions import Action
from libs.contracts.requests import EXACT
from services.incidents.listing import list_incidents
from services.incidents.projections import ORGANISATION
from tests.servers import Servers
from tests.world import World

_INCIDENTS = 60_000
_SOMEBODY = UUID(int=99)
_TEAMS = [UUID(int=1000 + number) for number in range(60)]
_STRETCHES = len(Status) * len(Priority)


def _caller(user_id: UUID, *teams: UUID, role: Role = Role.USER, **more: Any) -> Caller:
    member = dict.fromkeys(teams, TeamRole.MEMBER)
    return Caller(user_id, frozenset({role}), uuid4(), "phone", MovableClock().now(), teams=member, **more)


ADMIN = _caller(UUID(int=98), role=Role.ADMIN)


class _Explaining:
    """Stands for a `Work`: it asks a session with PostgreSQL's own settings, and keeps how that was answered."""

    def __init__(self, cursor: psycopg.Cursor[dict[str, Any]]) -> None:
        self.now = MovableClock().now()
        self.plans: list[Mapping[str, Any]] = []
        self._cursor = cursor

    def fetch(self, statement: Executable, **parameters: Any) -> list[dict[str, Any]]:
        sql, own = compiled(statement)
        given = own | {k: adapt(v) for k, v in parameters.items()}
        if not sql.startswith("EXPLAIN"):
            self._cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode(), given)
            self.plans.append((self._cursor.fetchone() or {})["QUERY PLAN"][0]["Plan"])
        self._cursor.execute(sql.encode(), given)
        return self._cursor.fetchall()

    def rows_read(self) -> Iterator[tuple[str, float]]:
        """(how, how many rows) of each access to the table."""
        waiting = list(self.plans)
        while waiting:
            node = waiting.pop()
            waiting += node.get("Plans", ())
            if node.get("Relation Name") == "incidents":
                removed = node.get("Rows Removed by Filter", 0)
                yield node["Node Type"], (node["Actual Rows"] + removed) * node["Actual Loops"]


@asynccontextmanager
async def _filled(servers: Servers, *teams: UUID) -> AsyncIterator[psycopg.Connection[dict[str, Any]]]:
    async with servers.fresh() as database:
        url = servers.database_url("superuser", database)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            fill_incidents(connection, _INCIDENTS, _SOMEBODY, teams=teams)
            yield connection


def _expected(connection: psycopg.Connection[dict[str, Any]], query: ListIncidents) -> list[UUID]:
    """Found the slow way: the newest first."""
    rows = connection.execute(
        "SELECT id, status, priority, coalesce(assigned_to, paged) AS whose FROM incidents.incidents"
        " ORDER BY created_at DESC, id DESC"
    )
    wanted = {"status": query.status, "priority": query.priority, "whose": query.assigned_to}
    given = {k: str(v) for k, v in wanted.items() if v is not None}
    return [row["id"] for row in rows if all(str(row[k]) == v for k, v in given.items())]


async def test_each_combination_of_filters_reads_only_what_it_shows(servers: Servers) -> None:
    async with _filled(servers) as connection:
        for status, priority, whose in product((None, Status.ESCALATED), (None, Priority.LOW), (None, _SOMEBODY)):
            query = ListIncidents(status=status, priority=priority, assigned_to=whose, limit=50)
            expected = _expected(connection, query)
            shown: list[UUID] = []
            for _ in range(3):
                page = _page(connection, query)
                shown += [view.id for view in page.incidents]
                assert page.total_is_estimate == (len(expected) > EXACT)
                assert page.total == len(expected) or (page.total_is_estimate and page.total > EXACT)
                if page.next_cursor is None:
                    break
                query = query.model_copy(update={"cursor": page.next_cursor})
            assert shown == expected[: 50 * 3], (status, priority, whose)
            deep = query.model_copy(update={"cursor": None, "page": 20})
            assert [v.id for v in _page(connection, deep).incidents] == expected[50 * 19 : 50 * 20]


def _page(connection: psycopg.Connection[dict[str, Any]], query: ListIncidents) -> IncidentList:
    work: Any = _Explaining(connection.cursor())
    page = list_incidents(work, query, ADMIN)
    read = list(work.rows_read())
    assert {how for how, _ in read} <= {"Index Scan", "Index Only Scan"}, read
    reach = query.limit * (query.page or 1) + 1
    counted = min(page.total, EXACT + 1)
    assert sum(rows for _, rows in read) <= _STRETCHES * reach + query.limit + counted, (query, read)
    return page


_NOT_SEEN = UUID(int=3)
"""Somebody who is in none of the teams, and was paged for each of them."""
_READERS = {
    "fifty teams": _caller(UUID(int=97), *_TEAMS[:50]),
    "a team with nothing": _caller(UUID(int=97), uuid4()),
    "was paged": _caller(_NOT_SEEN),
    "a key of a team": _caller(UUID(int=97), bound=_TEAMS[7], role=Role.ADMIN, key_id=uuid4()),
    "an admin": ADMIN,
}


@pytest.mark.parametrize("teams", [_TEAMS, []], ids=["many teams", "no teams"])
@pytest.mark.parametrize("reader", _READERS)
async def test_whoever_does_not_see_everything_is_shown_just_that_by_indexes(
    servers: Servers, reader: str, teams: list[UUID]
) -> None:
    who = _READERS[reader]
    sight = who.sight(Action.INCIDENTS_LIST)
    async with _filled(servers, *teams) as connection:
        seen = _seen(connection, who)
        theirs = sum(row["theirs"] for row in seen)
        for status, priority, team, whose in product(
            (None, Status.CREATED), (None, Priority.LOW), (None, _TEAMS[3], _TEAMS[59]), (None, _SOMEBODY)
        ):
            query = ListIncidents(status=status, priority=priority, team_id=team, assigned_to=whose, limit=20)
            wanted = {"status": status, "priority": priority, "whose": whose, "team_id": team}
            given = {k: str(v) for k, v in wanted.items() if v is not None}
            expected = [row["id"] for row in seen if all(str(row[k]) == v for k, v in given.items())]
            for page in (1, 2, 20):
                work: Any = _Explaining(connection.cursor())
                found = list_incidents(work, query.model_copy(update={"page": page}), who)
                assert [one.id for one in found.incidents] == expected[20 * (page - 1) : 20 * page], (query, page)
                assert found.total_is_estimate == (len(expected) > EXACT)
                assert found.total == len(expected) or found.total_is_estimate
                read = list(work.rows_read())
                assert {how for how, _ in read} <= {"Index Scan", "Index Only Scan"}, (query, read)
                stretches = _STRETCHES * (1 + len(sight.teams)) * (20 * page + 1)
                # What one person has is read as a whole where it is filtered further, for the page and for the total.
                somebodys = 2 * theirs + (0 if whose is None else 2 * _INCIDENTS // 20)
                most = stretches + somebodys + query.limit + min(len(expected), EXACT + 1)
                assert sum(rows for _, rows in read) <= most, (query, page, read)


def _seen(connection: psycopg.Connection[dict[str, Any]], who: Caller) -> list[dict[str, Any]]:
    """Found the slow way, one by one."""
    rows = connection.execute(
        "SELECT i.id, status, priority, coalesce(assigned_to, paged) AS whose, i.team_id,"
        " r.user_id IS NOT NULL AS theirs FROM incidents.incidents i"
        " LEFT JOIN incidents.responders r ON r.incident_id = i.id AND r.user_id = %s"
        " ORDER BY created_at DESC, i.id DESC",
        (who.person,),
    ).fetchall()
    teams = {team: None if team == ORGANISATION else team for team in {row["team_id"] for row in rows}}
    return [row for row in rows if row["theirs"] or who.may(Action.INCIDENTS_READ, teams[row["team_id"]])]


@pytest.mark.parametrize("whose", ["assigned_to", "assignedTo"])
async def test_what_pages_somebody_is_listed_as_theirs(world: World, whose: str) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    await world.policy((15, "ana"), (15, "bo"))
    await world.fire_alert()
    await ana.expect_push("db down")
    await world.settle()
    assert await _whose(world, whose, ana.user_id, bo.user_id) == [1, 0]
    await world.advance(minutes=15)
    await bo.expect_push("db down")
    await world.settle()
    assert await _whose(world, whose, ana.user_id, bo.user_id) == [0, 1]
    mine = [len((await who.call("GET", f"/incidents?{whose}=me")).data["incidents"]) for who in (ana, bo)]
    assert mine == [0, 1]


async def _whose(world: World, spelling: str, *people: UUID) -> list[int]:
    found = [await world.incidents(**{spelling: str(one)}) for one in people]
    for one, theirs in zip(people, found, strict=True):
        assert all(incident["assignedTo"] == str(one) for incident in theirs)
    return [len(theirs) for theirs in found]


async def test_numbered_pages_end_with_a_word_about_cursors(world: World) -> None:
    for page in (501, 10**9):
        answer = await world.admin.call("GET", f"/incidents?page={page}")
        error = answer.body["error"]
        assert (answer.status, error["details"]["field"]) == (400, "page")
        assert "nextCursor" in error["message"]
    assert (await world.admin.call("GET", "/incidents?page=500")).data["incidents"] == []


async def test_whoever_walks_while_alerts_arrive_sees_each_incident_once(world: World) -> None:
    for number in range(25):
        await world.fire_alert(f"db {number} down", dedupKey=str(number))
    await world.settle()
    titles: list[str] = []
    cursor, late = "", 0
    while True:
        answer = await world.admin.call("GET", f"/incidents?limit=7{cursor}")
        titles += [incident["title"] for incident in answer.data["incidents"]]
        if answer.data["nextCursor"] is None:
            break
        cursor = f"&cursor={answer.data['nextCursor']}"
        late += 1
        await world.fire_alert(f"late {late}", dedupKey=f"late {late}")
        await world.settle()
    # The clock stands: what comes late may stand before or behind what was seen.
    assert len(titles) == len(set(titles))
    assert {title for title in titles if "late" not in title} == {f"db {number} down" for number in range(25)}
