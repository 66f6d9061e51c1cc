"""A rebuild says what it cannot make anew, and stops where the log does not say all; every table is accounted for."""

from __future__ import annotations

import pytest

from libs.chassis.rebuild.folding import Folding, LogHole
from libs.chassis.rebuild.history import History, connect
from libs.chassis.rebuild.rebuild import Rebuild, Running
from libs.chassis.rebuild.shadow import Unrepeatable
from libs.contracts.codec import UnknownEvent
from libs.contracts.envelope import FACTS
from libs.contracts.subjects import SERVICES
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import (
    a_busy_evening,
    contents,
    origins_of,
    query,
    rebuilt,
    shadows,
)
from tests.world import World

_LOG = {"stored_events", "epochs", "alembic_version"}


async def test_what_cannot_be_made_anew_is_refused_with_the_reason(world: World) -> None:
    for service, table, reason in (
        ("auth", "passwords", "in no event"),
        ("escalation", "shifts", "when their plans were read"),
        ("incidents", "cursors", "how far upstreams have been read"),
        ("notifier", "nonsense", "has no projection 'nonsense'"),
    ):
        with pytest.raises(Unrepeatable, match=reason):
            await rebuilt(world, service, [table])


async def test_one_rebuild_at_a_time_and_none_of_a_log_with_a_hole(world: World) -> None:
    await a_busy_evening(world)
    tried: list[BaseException] = []

    def try_another(_done: int, _total: int) -> None:
        try:
            Rebuild(origins_of("incidents"), world.servers.database_url("owner", world.database)).run(swap=False)
        except Running as error:
            tried.append(error)

    await rebuilt(world, "incidents", swap=False, progress=try_another)
    assert tried
    before = await contents(world, "incidents")
    await query(world, "DELETE FROM incidents.stored_events WHERE topic LIKE '%%IncidentAcknowledged.v1'")
    with pytest.raises(LogHole, match="incidents lacks the event before position"):
        await rebuilt(world, "incidents")
    assert await contents(world, "incidents") == before
    assert await shadows(world) == []


async def test_a_version_that_this_build_does_not_know_stops_it(world: World) -> None:
    await a_busy_evening(world)
    newer = (
        "INSERT INTO auth.stored_events (originator_id, originator_version, topic, state, lane, recorded_at)"
        " SELECT gen_random_uuid(), 1, replace(topic, '.v1', '.v9'), state, lane, recorded_at FROM auth.stored_events"
        " WHERE topic LIKE '%%UserRegistered.v1' LIMIT 1"
    )
    before = await contents(world, "auth")
    await query(world, newer)
    with pytest.raises(UnknownEvent, match=r"UserRegistered\.v9 at position \d+ of auth"):
        await rebuilt(world, "auth")
    assert await contents(world, "auth") == before


async def test_states_that_were_forgotten_are_folded_again(world: World) -> None:
    """However few are kept, and wherever a page ends, the states are those of a plain fold."""
    await a_busy_evening(world)
    origins = origins_of("incidents")
    folds = {fact.type: fold for facts, fold in origins.streams.items() for fact in facts}
    url = world.servers.database_url("auditor", world.database)
    with connect(url, "test") as connection:
        history = History(connection, "incidents")
        everything = history.page(0, 2**62)
        whole = [decided.state for decided in Folding(history, folds).decided(everything)]
        forgetful, piecemeal, after = Folding(history, folds, room=1), [], 0
        while rows := history.page(after, 2**62, rows=2):
            piecemeal += [decided.state for decided in forgetful.decided(rows)]
            after = rows[-1].position
    assert len(whole) == len(everything) > 6
    assert piecemeal == whole


async def test_every_table_says_where_it_comes_from_and_every_event_how_it_folds(world: World) -> None:
    for service in SERVICES:
        rows = await query(
            world, "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'", service
        )
        origins = origins_of(service)
        repeated, kept = set(origins.repeated), set(origins.kept)
        assert not repeated & kept
        assert {row[0] for row in rows} - _LOG == repeated | kept, service
        assert all(origins.kept.values())
        facts = [fact for type_name, fact in FACTS.items() if type_name.split(".")[1] == service]
        assert [fact.type for fact in facts if origins.fold_of(fact) is None] == []
