"""However many schedules there are, who is on call fits into answers; a range of shifts that does not is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from tests.world import World

pytestmark = pytest.mark.services("auth", "oncall")

SCHEDULES = "/on-call/schedules"
COUNT = 7


async def _schedule(world: World, name: str, **different: Any) -> str:
    world.clock.advance(seconds=1)
    me = (await world.admin.call("GET", "/users/me")).data["user"]["id"]
    body = {"name": name, "layers": [{"start": "2026-01-05T09:00", "participants": [me]}]} | different
    answer = await world.admin.call("POST", SCHEDULES, body)
    assert answer.status == 201, answer.body
    return str(answer.data["schedule"]["id"])


async def _walked(world: World, limit: int, at: str = "") -> tuple[list[str], list[dict[str, Any]]]:
    """The schedules of everybody on call, page by page, and what the pages said beside them."""
    seen: list[str] = []
    pages: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await world.admin.call("GET", f"/on-call?limit={limit}{at}{cursor}")
        assert answer.status == 200, answer.body
        assert len(answer.data["onCall"]) <= limit
        seen += [row["scheduleId"] for row in answer.data["onCall"]]
        pages.append(answer.data["pagination"])
        if answer.data["nextCursor"] is None:
            return seen, pages
        cursor = f"&cursor={answer.data['nextCursor']}"


async def test_whoever_walks_sees_everybody_once_oldest_schedule_first(world: World) -> None:
    nobody = [await _schedule(world, "empty", layers=[]), await _schedule(world, "asleep", isActive=False)]
    made = [await _schedule(world, f"team {n}") for n in range(COUNT)]
    nobody.append(await _schedule(world, "later", layers=[]))
    expected = [str(DEFAULT_SCHEDULE_ID), *made]
    for limit in (100, 3, 1):
        seen, pages = await _walked(world, limit)
        assert seen == expected
        assert {page["total"] for page in pages} == {len(expected)}
        assert not any("totalIsEstimate" in page for page in pages)
    assert (await _walked(world, 100))[0] == [r["scheduleId"] for r in (await _all(world)).data["onCall"]]
    # Where nothing is planned yet the rules say who is, and pages may be short.
    far = (world.clock.now() + timedelta(days=200)).isoformat().replace("+00:00", "Z")
    seen, pages = await _walked(world, 2, f"&at={far}")
    assert seen == expected
    assert any("totalIsEstimate" in page for page in pages)
    for schedule in nobody:
        assert (await world.admin.call("GET", f"/on-call?scheduleId={schedule}")).data["onCall"] == []
    refused = await world.admin.call("GET", "/on-call?cursor=AAAA")
    assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "cursor")

    # The first schedule's turn is over: whoever is on call first is on the next one.
    await world.admin.call("PATCH", f"{SCHEDULES}/{DEFAULT_SCHEDULE_ID}", {"layers": []})
    current = (await world.admin.call("GET", "/on-call/current")).data["currentOnCall"]
    assert current["scheduleId"] == made[0]


async def _all(world: World) -> Any:
    return await world.admin.call("GET", "/on-call")


async def test_a_range_that_does_not_fit_into_an_answer_is_refused_by_its_field(world: World) -> None:
    me = (await world.admin.call("GET", "/users/me")).data["user"]["id"]
    hourly = {"start": "2026-01-05T09:00", "rotationType": "hourly", "participants": [me]}
    schedule = await _schedule(world, "hourly", layers=[hourly])
    for days, problem in ((401, "400 days"), (399, "5000 shifts")):
        to = (world.clock.now() + timedelta(days=days)).isoformat().replace("+00:00", "Z")
        since = world.clock.now().isoformat().replace("+00:00", "Z")
        answer = await world.admin.call("GET", f"{SCHEDULES}/{schedule}/shifts?from={since}&to={to}")
        assert (answer.status, answer.body["error"]["details"]["field"]) == (400, "to")
        assert problem in str(answer.body["error"])
