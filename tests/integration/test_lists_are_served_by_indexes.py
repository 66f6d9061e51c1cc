"""However many incidents there are, no list of them reads more than it shows, and none is shown twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from bench.plans import Explaining
from bench.rows import fill_incidents
from libs.chassis.requests.callers import Caller
from libs.chassis.testing.clock import MovableClock
from libs.contracts.incident_lists import SearchIncidents, Sort
from libs.contracts.incidents import IncidentList, Status
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


_Databases = Mapping[str, psycopg.Connection[dict[str, Any]]]
_MANY, _NONE = "many teams", "no teams"


@pytest.fixture(scope="module")
async def filled(servers: Servers) -> AsyncIterator[_Databases]:
    """Full of incidents, of many teams and of none. To fill one takes seconds, and the tests only read."""
    async with AsyncExitStack() as stack:
        made = {}
        for name, teams in ((_MANY, _TEAMS), (_NONE, [])):
            url = servers.database_url("superuser", await stack.enter_async_context(servers.fresh()))
            made[name] = stack.enter_context(psycopg.connect(url, autocommit=True, row_factory=dict_row))
            fill_incidents(made[name], _INCIDENTS, _SOMEBODY, teams=teams)
        yield made


def _found(rows: Iterable[dict[str, Any]], **wanted: Any) -> list[UUID]:
    """The slow way: the ids of all rows that say so."""
    given = {name: value for name, value in wanted.items() if value is not None}.items()
    return [row["id"] for row in rows if given <= row.items()]


async def test_each_combination_of_filters_reads_only_what_it_shows(
    filled: _Databases,
) -> None:
    connection = filled[_NONE]
    rows = connection.execute(
        "SELECT id, status, priority, coalesce(assigned_to, paged) AS whose FROM incidents.incidents"
        " ORDER BY created_at DESC, id DESC"
    ).fetchall()
    for status, priority, whose in product((None, Status.ESCALATED), (None, Priority.LOW), (None, _SOMEBODY)):
        query = SearchIncidents(status=status, priority=priority, assigned_to=whose, limit=50)
        expected = _found(rows, status=status, priority=priority, whose=whose)
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


def _page(connection: psycopg.Connection[dict[str, Any]], query: SearchIncidents) -> IncidentList:
    work: Any = Explaining(connection.cursor())
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


@pytest.mark.parametrize("teams", [_MANY, _NONE])
@pytest.mark.parametrize("reader", _READERS)
async def test_whoever_does_not_see_everything_is_shown_just_that_by_indexes(
    filled: _Databases, reader: str, teams: str
) -> None:
    who = _READERS[reader]
    sight = who.sight(Action.INCIDENTS_LIST)
    connection = filled[teams]
    seen = _seen(connection, who)
    theirs = sum(row["theirs"] for row in seen)
    for status, priority, team, whose in product(
        (None, Status.CREATED), (None, Priority.LOW), (None, _TEAMS[3], _TEAMS[59]), (None, _SOMEBODY)
    ):
        query = SearchIncidents(status=status, priority=priority, team_id=team, assigned_to=whose, limit=20)
        expected = _found(seen, status=status, priority=priority, team_id=team, whose=whose)
        for page in (1, 2, 20):
            work: Any = Explaining(connection.cursor())
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


_SOUGHT: Mapping[str, Mapping[str, Any]] = {
    "a word of all": {"q": "disk"},
    "a word of all, and open": {"q": "disk", "status": Status.CREATED},
    "a word of all, and over": {"q": "disk", "status": Status.CLOSED},
    "a word of a third": {"q": "kafka"},
    "two that never meet": {"q": "kafka postgres"},
    "a rare word": {"q": "unicorn"},
    "a word of nobody": {"q": "zebra"},
    "what is not said": {"q": "disk -kafka"},
    "a label of all": {"metadata": {"env": "production"}},
    "a label of few": {"metadata": {"host": "db-7"}},
    "a label of nobody": {"metadata": {"colour": "blue"}},
    "an integration with nothing": {"integration_id": UUID(int=5)},
    "nothing but an order": {},
    "of a minute": {"q": "disk", "from_": "2026-03-02T09:10:00Z", "to": "2026-03-02T09:11:00Z"},
}


@pytest.mark.parametrize("sought", _SOUGHT)
@pytest.mark.parametrize("sort", Sort)
async def test_what_is_sought_in_whatever_order_is_never_sought_in_all_there_is(
    filled: _Databases, sought: str, sort: Sort
) -> None:
    for who in _READERS.values():
        query = SearchIncidents.model_validate({**_SOUGHT[sought], "sort": sort, "limit": 20})
        for _ in range(2):
            work: Any = Explaining(filled[_MANY].cursor())
            page = list_incidents(work, query, who)
            read = list(work.rows_read())
            assert "Seq Scan" not in {how for how, _ in read}, (query, read)
            # Most of all is read for words that are common, and never stand together: by priority four lists, and all.
            lists = 5 if sort in (Sort.MOST_URGENT, Sort.LEAST_URGENT) else 1
            assert sum(rows for _, rows in read) < lists * _INCIDENTS, (query, read)
            if page.next_cursor is None:
                break
            query = query.model_copy(update={"cursor": page.next_cursor})


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


@pytest.mark.services("auth", "incidents")
async def test_numbered_pages_end_with_a_word_about_cursors(world: World) -> None:
    for page in (501, 10**9):
        answer = await world.admin.call("GET", f"/incidents?page={page}")
        error = answer.body["error"]
        assert (answer.status, error["details"]["field"]) == (400, "page")
        assert "nextCursor" in error["message"]
    assert (await world.admin.call("GET", "/incidents?page=500")).data["incidents"] == []


@pytest.mark.services("auth", "incidents")
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
