"""What the bus lets a service read is what its consumers take, and push tokens are read by the notifier alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig

from cli.embedded.nats_accounts import filters_of
from libs.chassis.bus.pull import Pull
from libs.chassis.consume.follower import Follower
from libs.contracts.model import Lane
from libs.contracts.subjects import (
    PRIVATE,
    READS,
    REVOCATIONS,
    SERVICES,
    SPARSE,
    lane_filter,
    lanes_of,
    public_filter,
    rpc_subject,
)
from tests.world import World


def _followers(world: World, service: str) -> list[Follower]:
    return [reader for reader in world.services[service].readers if isinstance(reader, Follower)]


async def test_the_table_of_what_is_read_is_what_the_running_consumers_take(world: World) -> None:
    for service in SERVICES:
        taken: dict[str, set[str]] = {}
        for follower in _followers(world, service):
            names = {fact.type.split(".")[2] for fact in follower.consumer.facts}
            taken.setdefault(follower.upstream, set()).update(names)
            assert ((service, follower.upstream) in SPARSE) == follower.consumer.sparse
        assert taken == {upstream: set(facts) for upstream, facts in READS[service].items()}, service


async def test_the_filters_that_the_bus_lets_through_are_those_of_the_running_consumers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, set[str]] = {}
    enter = Pull.__aenter__

    async def watched(pull: Pull) -> Pull:
        name = pull.bus.client._inbox_prefix.decode().removeprefix("_INBOX_").rstrip(".")
        asked.setdefault(name, set()).update(pull.subjects)
        return await enter(pull)

    monkeypatch.setattr(Pull, "__aenter__", watched)
    for service in SERVICES:
        await world.stop(service)
        await world.start(service)
    await world.settle()
    for service in SERVICES:
        allowed = {filter_ for upstream in READS[service] for filter_ in filters_of(service, upstream)}
        allowed |= set(REVOCATIONS) if service != "auth" else set()
        used = {subject for subject in asked.get(service, set()) if subject.startswith("pager.events.")}
        assert used - set(REVOCATIONS) == allowed - set(REVOCATIONS), service
        assert used <= allowed | set(REVOCATIONS)


@pytest.mark.parametrize("reader", ["oncall", "incidents", "escalation", "gateway"])
async def test_nobody_but_the_notifier_gets_at_a_push_token(world: World, reader: str) -> None:
    ana = await world.person("ana", "ios")
    await world.settle()
    client = await world.servers.connect(reader)
    refused: list[str] = []

    async def remember(error: Exception) -> None:
        refused.append(str(error))

    client._error_cb = remember
    js = client.jetstream(timeout=1)
    info = await js.stream_info("AUTH")
    whole, name = lane_filter("auth", Lane.ROUTINE), "pager.events.auth.private.DeviceRegistered.*"
    tries: list[tuple[str, Any]] = [
        ("$JS.API.STREAM.MSG.GET.AUTH", {"last_by_subj": name}),
        ("$JS.API.STREAM.MSG.GET.AUTH", {"seq": info.state.last_seq}),
        (f"$JS.API.DIRECT.GET.AUTH.{name}", None),
        (f"$JS.API.CONSUMER.CREATE.AUTH.x.{whole}", _consumer(whole)),
        (f"$JS.API.CONSUMER.CREATE.AUTH.x.{name}", _consumer(name)),
        ("$JS.API.CONSUMER.CREATE.AUTH.x", _consumer(None)),
        ("$JS.API.CONSUMER.CREATE.AUTH", _consumer(None)),
        # What may be made is held against what is asked for.
        (f"$JS.API.CONSUMER.CREATE.AUTH.x.{REVOCATIONS[0]}", _consumer(whole)),
        (f"$JS.API.CONSUMER.CREATE.AUTH.x.{public_filter('auth', Lane.ROUTINE)}", _consumer(whole)),
        (rpc_subject("auth", "events"), {"epoch": 1, "lane": "routine", "after": 0, "limit": 100}),
    ]
    answered: list[bytes | None] = []
    for subject, body in tries:
        try:
            answer = await client.request(subject, b"" if body is None else json.dumps(body).encode(), timeout=0.5)
        except (NatsError, TimeoutError):
            answered.append(None)
            continue
        answered.append(answer.data)
        assert "error" in json.loads(answer.data), f"{reader} was answered on {subject}"
        assert ana.token.encode() not in answer.data
    await client.close()
    assert None in answered
    assert refused


def _consumer(filter_: str | None) -> dict[str, Any]:
    config = ConsumerConfig(name="x", ack_policy=AckPolicy.NONE, filter_subject=filter_, mem_storage=True)
    return {"stream_name": "AUTH", "config": config.as_dict()}


async def test_what_is_private_is_told_by_its_place_alone_to_whoever_reads_the_rest(world: World) -> None:
    ana = await world.person("ana", "ios")
    query = {"epoch": 1, "lane": "routine", "after": 0, "limit": 1000}
    page = (await world.rpc("auth", "public_events", query)).data["events"]
    private = [event for event in page if event["type"].rpartition(".")[0] in PRIVATE]
    assert private
    assert {event["raw"] for event in private} == {""}
    assert ana.token not in json.dumps(page)
    assert [event["position"] for event in page] == [
        event["position"] for event in (await world.rpc("auth", "events", query)).data["events"]
    ]


async def test_a_reader_of_the_rest_reaches_the_end_also_behind_something_private(world: World) -> None:
    """Also where that is all there is to come, and where it begins anew."""
    await world.person("ana")
    await world.stop("oncall")
    await world.stop("escalation")
    await world.person("bo")
    await world.start("oncall")
    await world.start("escalation")
    await world.settle()
    ends = {lane: (await world.rpc("auth", "position")).data["lanes"][lane] for lane in lanes_of("auth")}
    for service in ("oncall", "escalation"):
        for follower in _followers(world, service):
            if follower.upstream == "auth":
                assert follower.at.position == ends[follower.lane]
                assert follower.caught_up.is_set()
