"""What the alert rules and the dashboard ask for is what the running system says: a typo would never fire."""

from __future__ import annotations

import re

from tests.alerts import dashboard_expressions, metrics_in, rules
from tests.scrape import Scraped, scrape
from tests.servers import Servers
from tests.world import World


async def _after_a_page(world: World) -> Scraped:
    """Everything, once a page was sent and acknowledged."""
    ana, _ = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    assert (await ana.acknowledge((await world.incident())["id"])).status == 200
    await world.settle()
    answered = "pager_incident_response_seconds_count"
    return await world.eventually(  # type: ignore[no-any-return]
        lambda: scrape(world.gateway), lambda seen: answered in seen.names, "an answer that is younger than the page"
    )


async def test_every_metric_and_label_value_that_is_asked_for_is_exported(servers: Servers) -> None:
    async with World(servers, data_folders="/") as world:
        seen = await _after_a_page(world)
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    expressions = [rule["expr"] for rule in rules()] + dashboard_expressions()
    asked = {name for expression in expressions for name in metrics_in(expression)} - recorded
    assert len(asked) > 40
    assert asked - seen.names == set()
    for expression in expressions:
        for name, matchers in re.findall(r"([a-z_]+)\{([^}]*)\}", expression):
            labels = set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", matchers))
            known = set().union(*(sample.labels for sample in seen.all(name)))
            assert labels <= known, f"{name} has no label {labels - known}"


async def test_no_label_is_a_persons_an_incidents_or_a_requests_own(world: World) -> None:
    await world.http("GET", "/incidents/550e8400-e29b-41d4-a716-446655440000?limit=1")
    await world.http("GET", "/made/up/by/a/stranger")
    # First, so that the source that other tests count keeps its name in this process.
    await world.fire_alert("db down")
    for number in range(60):
        await world.fire_alert("flood", source=f"source-{number}")
    await world.settle()
    seen = await world.eventually(
        lambda: scrape(world.gateway),
        lambda s: s.value("incidents_created_total", source="other") > 0,
        "sources beyond the limit, counted together",
    )
    assert len(seen.all("incidents_created_total", priority="high")) <= 51
    assert seen.value("http_requests_total", endpoint="unmatched", status="404") >= 1
    values = {value for sample in seen.samples for value in sample.labels.values()}
    identifying = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|@|\?|stranger")
    assert [value for value in values if identifying.search(value)] == []
