"""An auditor can replay what happened: everything, in order, as it was stored, and is told where something is amiss."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event, Thread
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cli.console.failure import Failure
from cli.console.naming import ids_in
from cli.replay import lines
from cli.replay.asked import Asked
from cli.replay.incident import belonging, earliest, find_incident
from cli.replay.logs import open_logs
from cli.replay.merge import Hole
from cli.replay.names import Names
from cli.replay.people import lines_for_people
from cli.replay.run import Replay, log_sources, merge_of
from cli.replay.states import incident_at, policy_at, schedule_at
from libs.chassis.rebuild.history import History, ends
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.subjects import SERVICES, lanes_of
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import query
from tests.phone import Phone
from tests.world import World


@contextmanager
def logs(world: World) -> Iterator[list[History]]:
    """As an auditor reads them."""
    histories = open_logs(world.servers.database_url("auditor", world.database))
    try:
        yield histories
    finally:
        for history in histories:
            history.connection.close()


def replayed(world: World, asked: Asked | None = None, form: Any = lines.jsonl) -> bytes:
    """What `pager replay` writes."""
    wanted = asked or Asked()
    with logs(world) as histories:
        belongs = None
        if wanted.incident is not None:
            belongs, first = belonging(histories[SERVICES.index("incidents")], wanted.incident)
            wanted = replace(wanted, since=earliest(first))
        out = io.BytesIO()
        run = Replay(wanted, form(SERVICES), out, Event(), belongs)
        sources = log_sources(histories, wanted, belongs, None)
        assert run.run(merge_of(sources, None), lambda: None)
        return out.getvalue()


def events(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.splitlines()]


async def a_page_that_escalates(world: World) -> tuple[Phone, Phone, str]:
    """Ana does not answer, Bo acknowledges; the incident's id."""
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    incident = str((await world.incident("db down"))["id"])
    assert (await bo.acknowledge(incident)).status == 200
    await world.settle()
    return ana, bo, incident


async def test_every_event_of_every_log_comes_once_as_it_is_stored_and_no_effect_before_its_cause(world: World) -> None:
    await a_page_that_escalates(world)
    found = events(replayed(world))
    for service in SERVICES:
        stored = [json.loads(bytes(row[0])) for row in await query(world, f"SELECT state FROM {service}.stored_events")]  # noqa: S608
        mine = [
            {k: v for k, v in e.items() if k not in ("position", "service")} for e in found if e["service"] == service
        ]
        assert sorted(mine, key=lambda e: e["id"]) == sorted(stored, key=lambda e: e["id"])
    seen: set[str] = set()
    ids = {e["id"] for e in found}
    for event in found:
        assert event["causationId"] not in ids or event["causationId"] in seen
        seen.add(event["id"])
    assert [e["time"] for e in found] == sorted(e["time"] for e in found), "one clock: nothing had to wait"


async def test_an_incident_brings_all_that_belongs_to_it_and_nothing_else(world: World) -> None:
    ana, _, incident = await a_page_that_escalates(world)
    # Another phone of Apple's takes a page: so it is the token that is to blame for the refusal.
    cy = await world.person("cy", "ios")
    levels = [{"timeoutMinutes": 30, "targets": [{"type": "user", "id": str(cy.user_id)}]}]
    policy = await world.admin.call("POST", "/escalation/policies", {"name": "Only cy", "levels": levels})
    await world.settle()
    wish = {"title": "another matter", "priority": "critical", "policyId": policy.data["policy"]["id"]}
    assert (await world.admin.call("POST", "/incidents", wish)).status == 201
    await cy.expect_push("another matter")
    await world.settle()
    await world.simulate("apns", "Unregistered", ana, times=1)
    await world.fire_alert("disk full", source="disk", priority="critical")
    other = str((await world.incident("disk full"))["id"])
    await world.settle()

    async def refused() -> int:
        return len(await world.log("notifier", "PushTokenRetired"))

    await world.eventually(refused, bool, "the token is retired")
    found = events(replayed(world, Asked(incident=incident)))
    kinds = [e["type"].split(".")[2] for e in found]
    for kind in (
        "IncidentCreated",
        "EscalationStarted",
        "NotificationIntended",
        "NotificationAccepted",
        "IncidentEscalated",
        "IncidentAcknowledged",
        "EscalationCancelled",
        "NotificationReplaced",
    ):
        assert kind in kinds
    assert kinds.count("EscalationDue") == 2
    assert other not in json.dumps(found)
    # It names no incident: the chain that it belongs to does.
    retired = [e for e in events(replayed(world, Asked(incident=other))) if "PushTokenRetired" in e["type"]]
    assert len(retired) == 1
    with logs(world) as histories:
        incidents = histories[SERVICES.index("incidents")]
        number = (await world.incident("db down"))["number"]
        assert {find_incident(incidents, key) for key in (f"#{number}", incident[:8], incident.upper())} == {incident}
        with pytest.raises(Failure, match="there is no incident 9999"):
            find_incident(incidents, "9999")


async def test_on_a_terminal_it_is_told_in_words_with_names_and_obeys_nobody(world: World) -> None:
    ana, _ = await world.two_responders()
    await world.fire_alert("db \x1b[2J [red]:fire:", priority="critical")
    await ana.expect_push("db")
    assert (await ana.acknowledge((await world.incident())["id"])).status == 200
    await world.settle()
    with logs(world) as histories:
        names = Names(histories)
        name = names(ana.user_id)
        assert name is not None
        told = replayed(world, form=partial(lines_for_people, name_of=names)).decode().splitlines()
    assert not ids_in(line for line in told if " escalation " in line)
    ours = [line for line in told if " incidents " in line and "ActedFrom" not in line]
    incident = [line.split("  ", 1)[1] for line in ours]
    assert "\x1b" not in "".join(told)
    assert incident[-2].endswith(r"critical incident #1 from db: db \x1b[2J [red]:fire:")
    assert incident[-1].endswith(f"acknowledged  ({name})")
    assert any("NotificationAccepted" in line and line.endswith(f"({name})") for line in told)


async def test_types_and_times_are_filtered_and_csv_has_its_columns(world: World) -> None:
    await a_page_that_escalates(world)
    everything = events(replayed(world))
    only = events(replayed(world, Asked(type_glob="Escalation*")))
    assert {e["service"] for e in only} == {"escalation"}
    assert events(replayed(world, Asked(type_glob="pager.notifier.*")))
    middle = world.clock.now() - timedelta(minutes=2)
    before = events(replayed(world, Asked(until=middle)))
    after = events(replayed(world, Asked(since=middle)))
    assert before
    assert after
    assert before + after == everything
    rows = list(csv.DictReader(io.StringIO(replayed(world, form=lines.csv_lines).decode()), fieldnames=lines.COLUMNS))
    assert [(int(r["position"]), r["service"], r["id"]) for r in rows] == [
        (e["position"], e["service"], e["id"]) for e in everything
    ]
    assert [json.loads(r["data"]) for r in rows] == [e["data"] for e in everything]


async def test_the_state_as_of_a_moment_follows_the_rules_of_then(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    incident = UUID((await world.incident("db down"))["id"])
    shown = await world.incident("db down")
    then = world.clock.now()
    await world.advance(minutes=5)
    await world.policy((30, "bo"))
    await world.on_call("bo")
    assert (await bo.acknowledge(str(incident))).status == 200
    await world.settle()
    now = world.clock.now()
    with logs(world) as found:
        histories = {history.service: history for history in found}
        old, new = (incident_at(histories, incident, at).state for at in (then, now))
        assert (old["status"], old["escalation"]["level"], old["escalation"]["policyVersion"]) == ("created", 1, 2)
        for name in ("escalationTimeoutMinutes", "assignedTo"):
            assert old[name] == shown[name]
        assert (new["status"], new["escalation"]["state"]) == ("acknowledged", "cancelled")
        on_call = [schedule_at(histories, DEFAULT_SCHEDULE_ID, at).state["onCall"]["userId"] for at in (then, now)]
        assert on_call == [str(ana.user_id), str(bo.user_id)]
        levels = [len(policy_at(histories, DEFAULT_POLICY_ID, at).state["levels"]) for at in (then, now)]
        assert levels == [2, 1]
        with pytest.raises(Failure, match=r"begins at .*: nothing was there"):
            incident_at(histories, incident, then - timedelta(days=1))
        with pytest.raises(Failure, match="there is no policy"):
            policy_at(histories, incident, now)


async def test_what_is_deleted_is_shown_as_of_a_moment_before_and_said_to_be_deleted_after(world: World) -> None:
    ana, _ = await world.two_responders()
    layer = {"start": "2026-01-05T09:00", "participants": [str(ana.user_id)]}
    level = {"timeoutMinutes": 5, "targets": [{"type": "user", "id": str(ana.user_id)}]}
    made = {
        "/on-call/schedules": {"name": "Second", "layers": [layer]},
        "/escalation/policies": {"name": "Nights", "levels": [level]},
    }
    ids = {}
    for path, body in made.items():
        (one,) = (await world.admin.call("POST", path, body)).data.values()
        ids[path] = UUID(one["id"])
    then = world.clock.now()
    await world.advance(minutes=5)
    for path, one in ids.items():
        assert (await world.admin.call("DELETE", f"{path}/{one}")).status == 200
    with logs(world) as found:
        histories = {history.service: history for history in found}
        for state_at, one in zip((schedule_at, policy_at), ids.values(), strict=True):
            assert state_at(histories, one, then).state["name"] in ("Second", "Nights")
            with pytest.raises(Failure, match="was deleted at"):
                state_at(histories, one, world.clock.now())


async def test_an_unknown_version_is_named_and_kept_as_it_is(world: World) -> None:
    await world.two_responders()
    raw = await _copy_of_an_event(world, "UserRegistered.v1", "UserRegistered.v9")
    with logs(world) as histories:
        out = io.BytesIO()
        run = Replay(Asked(), lines.jsonl(SERVICES), out, Event())
        run.run(merge_of(log_sources(histories, run.asked, None, None), None), lambda: None)
    assert dict(run.unknown) == {"pager.auth.UserRegistered.v9": 1}
    assert raw[1:] in out.getvalue()


async def test_a_log_with_a_hole_stops_with_its_place(world: World) -> None:
    _, _, incident = await a_page_that_escalates(world)
    gone = "DELETE FROM incidents.stored_events WHERE originator_id = %s AND originator_version = 2"
    await _as_superuser(world, gone, incident)
    with pytest.raises(Hole, match="incidents lacks the event before position"):
        replayed(world)
    with logs(world) as found, pytest.raises(Failure, match="incidents lacks the event before position"):
        incident_at({history.service: history for history in found}, UUID(incident), world.clock.now())


async def test_new_events_follow_until_somebody_stops_it_and_the_token_goes_on_after_them(world: World) -> None:
    ana, _ = await world.two_responders()
    stop, out = Event(), io.BytesIO()
    with logs(world) as histories:
        run = Replay(Asked(), lines.jsonl(SERVICES), out, stop)
        sources = log_sources(histories, run.asked, None, None)
        merge = merge_of(sources, None)
        assert run.run(merge, lambda: None)
        following = Thread(
            target=run.follow, args=(merge, sources, lambda: ends(histories[0].connection, list(SERVICES)))
        )
        following.start()
        try:
            await world.fire_alert("db down", priority="critical")
            await ana.expect_push("db down")
            await world.eventually(lambda: _later(out.getvalue), lambda raw: b"NotificationAccepted" in raw, "the push")
        finally:
            stop.set()
            following.join()
    await world.fire_alert("disk full", source="disk", priority="critical")
    await ana.expect_push("disk full")
    await world.settle()
    assert run.token is not None
    with logs(world) as histories:
        rest = io.BytesIO()
        again = Replay(Asked.resumed(run.token), lines.jsonl(SERVICES), rest, Event())
        again.run(merge_of(log_sources(histories, again.asked, None, run.token), run.token), lambda: None)
    told = [*out.getvalue().splitlines(), *rest.getvalue().splitlines()]
    assert sorted(told) == sorted(replayed(world).splitlines())


async def test_an_auditor_reads_logs_and_nothing_else(world: World) -> None:
    url = world.servers.database_url("auditor", world.database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for service in SERVICES:
            await connection.execute(f"SELECT count(*) FROM {service}.stored_events".encode())  # noqa: S608
            for forbidden in (
                "DELETE FROM {}.stored_events",
                "UPDATE {}.stored_events SET lane = 'urgent'",
                "SELECT * FROM {}.cursors",
                "CREATE TABLE {}.mine (id int)",
                "SELECT nextval('{}.stored_events_notification_id_seq')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    await connection.execute(forbidden.format(service).encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(b"SELECT * FROM auth.passwords")


async def _later(read: Callable[[], bytes]) -> bytes:
    return read()


async def _as_superuser(world: World, statement: str, *parameters: Any) -> list[Any]:
    url = world.servers.database_url("superuser", world.database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


async def _copy_of_an_event(world: World, kind: str, other: str) -> bytes:
    """The event again as another entity's, of a version that nobody knows."""
    rows = await _as_superuser(
        world, "SELECT state FROM auth.stored_events WHERE topic LIKE %s ORDER BY notification_id LIMIT 1", f"%{kind}"
    )
    raw = bytes(rows[0][0]).replace(kind.encode(), other.encode())
    await _as_superuser(
        world,
        "INSERT INTO auth.stored_events (originator_id, originator_version, topic, state, lane, recorded_at)"
        " VALUES (gen_random_uuid(), 1, %s, %s, 'routine', now())",
        f"pager.auth.{other}",
        raw,
    )
    return raw


def test_lanes_and_services_cover_every_log() -> None:
    assert {lane for service in SERVICES for lane in lanes_of(service)} == {"urgent", "routine"}
