"""Numbers are of what somebody sees; of other people, managers and admins alone are told."""

from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

import pytest

from tests.command import Pager
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.integration.test_teams_see_their_own import team
from tests.phone import Phone
from tests.world import World


async def _numbers(who: Phone, what: str, query: str = "") -> dict[str, Any]:
    answer = await who.call("GET", f"/analytics/{what}{query}")
    assert answer.status == 200, answer.body
    return dict(answer.data)


def _pages(numbers: dict[str, Any]) -> dict[str, int]:
    return {one["userId"]: one["pages"] for one in numbers["people"]}


async def _two_teams(world: World) -> dict[str, str]:
    """Ana and her manager Max of Shop, Bo of Core; Ana is paged for Shop, Bo for Core and for the organisation."""
    for name in ("ana", "max", "bo"):
        await world.person(name)
    await world.person("lia", roles=("user", "lead"))
    teams = {
        "shop": await team(world, "Shop", ana="member", max="manager"),
        "core": await team(world, "Core", bo="member"),
    }
    await world.policy((5, "bo"))
    target = {"type": "user", "id": str(world.phone("ana").user_id)}
    policy = {"name": "Shop", "teamId": teams["shop"], "levels": [{"timeoutMinutes": 5, "targets": [target]}]}
    assert (await world.admin.call("POST", "/escalation/policies", policy)).status == 201
    await world.settle()
    return teams


async def _open(who: Phone, title: str, **fields: Any) -> str:
    made = await who.call("POST", "/incidents", {"title": title, "priority": "high", **fields})
    assert made.status == 201, made.body
    return str(made.data["incident"]["id"])


async def test_everybody_gets_the_numbers_of_what_they_see_and_of_others_only_who_leads_them(world: World) -> None:
    teams = await _two_teams(world)
    ana, maxi, bo, lia = (world.phone(name) for name in ("ana", "max", "bo", "lia"))
    shop = await _open(ana, "shop burns", teamId=teams["shop"])
    await _open(bo, "core burns", teamId=teams["core"])
    await _open(bo, "all burns")
    await ana.expect_push("shop burns")
    await world.settle()
    world.clock.advance(minutes=2)
    assert (await maxi.acknowledge(shop)).status == 200
    await world.settle()
    world.clock.advance(seconds=1)  # `to` is not of the period
    ana_id, bo_id, max_id = (str(who.user_id) for who in (ana, bo, maxi))
    for who, incidents, pages in (
        (ana, 2, {ana_id: 1}),
        (maxi, 2, {ana_id: 1}),
        (bo, 2, {bo_id: 2}),
        (lia, 1, {bo_id: 1}),
        (world.admin, 3, {ana_id: 1, bo_id: 2}),
    ):
        summary = await _numbers(who, "summary")
        assert summary["incidents"] == incidents, who.email
        assert _pages(summary) == _pages(await _numbers(who, "load")) == pages, who.email
    summary = await _numbers(maxi, "summary", f"?teamId={teams['shop']}")
    assert (summary["incidents"], summary["answered"], summary["mtta"]) == (1, 1, 120.0)
    response = await _numbers(maxi, "response")
    assert [(one["level"], one["fired"], one["answered"]) for one in response["levels"]] == [(1, 2, 1)]
    assert [one["userId"] for one in response["responders"]] == [max_id]
    assert (await _numbers(ana, "response"))["responders"] == [], "she sees the incident, and not who is busy"
    for what in ("summary", "response", "load", "noise"):
        refused = await bo.call("GET", f"/analytics/{what}?teamId={teams['shop']}")
        assert (refused.status, refused.body["error"]["code"]) == (404, "NOT_FOUND")
    # Rebuilt from the logs they are the same.
    until = f"?to={world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    before = [await _numbers(world.admin, what, until) for what in ("summary", "response", "load", "noise")]
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}
    assert (await rebuilt(world, "incidents")).swapped
    assert [await _numbers(world.admin, what, until) for what in ("summary", "response", "load", "noise")] == before


async def test_a_machine_gets_what_its_scopes_name(world: World) -> None:
    await _open(world.admin, "it burns")
    await world.settle()
    world.clock.advance(seconds=1)

    async def key(*scopes: str) -> str:
        made = await world.admin.call("POST", "/api-keys", {"name": "Numbers", "scopes": list(scopes)})
        return str(made.data["apiKey"]["key"])

    counts, people, nothing = (
        await key("analytics.read"),
        await key("analytics.read", "analytics.people"),
        await key("incidents.read"),
    )
    assert (await world.http("GET", "/analytics/load", token=nothing)).status == 403
    assert (await world.http("GET", "/analytics/summary", token=counts)).data["incidents"] == 1
    assert (await world.http("GET", "/analytics/load", token=counts)).data["people"] == [], "not even its maker"
    assert (await world.http("GET", "/analytics/load", token=people)).status == 200


_NO_PERIODS = [
    ("from=2026-01-01T00:00:00Z&to=2027-06-01T00:00:00Z", "to"),
    ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
    ("from=2020-01-01T00:00:00Z", "to"),
    ("to=0001-01-01T00:00:00Z", "to"),
    ("from=9999-12-31T23:59:59.999999Z", "from"),
    ("from=9999-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "from"),
    ("to=1999-12-31T23:59:59Z", "to"),
    ("from=yesterday", "from"),
    ("timezone=Mars/Olympus", "timezone"),
    ("timezone=../../etc/passwd", "timezone"),
    ("timezone=localtime", "timezone"),
    ("timezone=right/UTC", "timezone"),
    ("format=xls", "format"),
    ("format=csv&fields=mtta", "fields"),
    ("teamId=shop", "teamId"),
]


@pytest.mark.services("auth", "incidents")
async def test_what_is_no_period_is_refused_with_its_field(world: World, subtests: pytest.Subtests) -> None:
    for query, field in _NO_PERIODS:
        with subtests.test(query=query):
            answer = await world.admin.call("GET", f"/analytics/summary?{query}")
            assert answer.status == 400, answer.body
            assert answer.body["error"]["details"]["field"] == field


async def test_a_spreadsheet_gets_texts_and_numbers(world: World) -> None:
    await world.person("ana")
    await world.policy((5, "ana"))
    hostile = '=HYPERLINK("http://evil.example","look")'
    await world.fire_alert(hostile, dedupKey=hostile)
    await world.fire_alert(hostile, dedupKey=hostile)
    await world.settle()
    world.clock.advance(seconds=1)
    path = f"{world.gateway.url}/api/v1/analytics/noise?format=csv"
    token = {"Authorization": f"Bearer {world.admin.session['accessToken']}"}
    async with world._http.get(path, headers=token) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="pager-noise.csv"'
        rows = list(csv.DictReader(io.StringIO(await answer.text(), newline="")))
    (key,) = [row for row in rows if row["section"] == "keys"]
    assert (key["dedupKey"], key["title"], key["alerts"]) == (f"'{hostile}", f"'{hostile}", "2")


async def test_a_page_is_of_the_night_where_its_person_lived_when_it_came(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((600, "ana"))
    # Wherever the world's clock stands: one of these has noon now, and the other midnight.
    now = world.clock.now()
    day, night = (f"Etc/GMT{(now.hour - at + 12) % 24 - 12:+d}" for at in (12, 0))
    for zone, title in ((day, "by day"), (night, "at night"), (day, "by day again")):
        changed = await world.admin.call("PATCH", f"/users/{ana.user_id}", {"timezone": zone})
        assert changed.status == 200, changed.body
        await world.settle()
        world.clock.advance(seconds=30)
        await _open(world.admin, title)
        await ana.expect_push(title)
        await world.settle()
    world.clock.advance(seconds=1)
    (load,) = (await _numbers(world.admin, "load"))["people"]
    assert (load["pages"], load["nightPages"], load["incidents"]) == (3, 1, 3)


async def test_an_operator_gets_the_report_of_all_of_it(world: World, pager: Pager) -> None:
    teams = await _two_teams(world)
    await _open(world.phone("ana"), "shop burns", teamId=teams["shop"])
    await world.settle()
    world.clock.advance(seconds=1)
    code, found = await pager("report", "--from", "2000-01-01", "--to", "2000-12-31")
    assert (code, found["summary"]["incidents"]) == (0, 0)
    code, found = await pager("report")
    assert (code, found["summary"]["incidents"], found["load"]["pages"]) == (0, 1, 1)
    assert UUID(found["load"]["people"][0]["userId"]) == world.phone("ana").user_id
    code, said = await pager("report", "--month", "2026-13")
    assert (code, "is no month" in str(said)) == (2, True)
