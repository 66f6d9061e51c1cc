"""Streams are declared once and kept as declared, and what would lose messages is refused."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio
from nats.js.api import PersistMode, StorageType, StreamConfig
from nats.js.client import JetStreamContext

from cli.console.failure import Failure
from cli.embedded import EmbeddedNats, Home
from cli.reach.bus import connected
from cli.reach.streams import Declared, config_of, declare, drifts
from cli.reach.urls import with_user
from libs.contracts.subjects import STREAMS


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with Home.temporary() as place:
        yield place


@pytest_asyncio.fixture(scope="module")
async def server(home: Home) -> AsyncIterator[EmbeddedNats]:
    async with EmbeddedNats(home) as nats:
        yield nats


@pytest_asyncio.fixture
async def js(server: EmbeddedNats) -> AsyncIterator[JetStreamContext]:
    async with connected(with_user(server.url, *server.credentials("operator"))) as client:
        context = client.jetstream()
        for stream in await context.streams_info():
            await context.delete_stream(stream.config.name or "")
        yield context


async def test_declaring_twice_changes_nothing(js: JetStreamContext) -> None:
    assert set((await declare(js)).values()) == {Declared.CREATED}
    assert set((await declare(js)).values()) == {Declared.UNCHANGED}
    assert await drifts(js) == []


async def test_alerts_are_synced_and_event_streams_are_flushed_lazily(js: JetStreamContext) -> None:
    await declare(js)
    modes = {info.config.name: info.config.persist_mode for info in await js.streams_info()}
    assert modes.pop("ALERTS") in (None, "default", PersistMode.DEFAULT)
    assert len(modes) == 5
    assert all(mode == PersistMode.ASYNC for mode in modes.values())


async def test_a_missing_stream_is_seen_and_made_again(js: JetStreamContext) -> None:
    await declare(js)
    await js.delete_stream("ONCALL")
    assert [str(drift) for drift in await drifts(js)] == ["ONCALL is missing"]
    declared = await declare(js)
    assert declared.pop("ONCALL") is Declared.CREATED
    assert set(declared.values()) == {Declared.UNCHANGED}


async def test_a_larger_limit_is_set_and_messages_stay(js: JetStreamContext) -> None:
    spec = STREAMS[0]
    await declare(js, (replace(spec, max_age=timedelta(days=1), duplicate_window=timedelta(seconds=1)),))
    await js.publish("pager.alerts.test", b"{}")
    assert await declare(js, (spec,)) == {"ALERTS": Declared.UPDATED}
    info = await js.stream_info("ALERTS")
    assert info.state.messages == 1
    assert info.config.max_age == timedelta(days=7).total_seconds()
    assert await drifts(js, (spec,)) == []


async def test_a_further_subject_is_added_and_messages_stay(js: JetStreamContext) -> None:
    spec = STREAMS[0]
    await declare(js, (replace(spec, subjects=("pager.alerts.>",)),))
    await js.publish("pager.alerts.test", b"{}")
    assert await declare(js, (spec,)) == {"ALERTS": Declared.UPDATED}
    info = await js.stream_info("ALERTS")
    assert (info.state.messages, set(info.config.subjects or ())) == (1, set(spec.subjects))
    assert await drifts(js, (spec,)) == []


async def test_a_smaller_limit_is_refused_because_it_would_lose_messages(js: JetStreamContext) -> None:
    spec = STREAMS[1]
    await declare(js, (replace(spec, max_bytes=spec.max_bytes * 2),))
    with pytest.raises(Failure, match=r"stream AUTH: max_bytes is 21474836480, expected 10737418240"):
        await declare(js, (spec,))


async def test_other_subjects_or_storage_are_refused(js: JetStreamContext) -> None:
    spec = STREAMS[2]
    await js.add_stream(StreamConfig(name="ONCALL", subjects=["pager.events.oncall.routine.>"]))
    with pytest.raises(Failure, match=r"stream ONCALL: subjects is pager\.events\.oncall\.routine"):
        await declare(js, (spec,))
    await js.delete_stream("ONCALL")
    in_memory = config_of(spec)
    in_memory.storage, in_memory.persist_mode = StorageType.MEMORY, None
    in_memory.max_bytes = 1024
    await js.add_stream(in_memory)
    with pytest.raises(Failure, match=r"stream ONCALL: storage is memory, expected file"):
        await declare(js, (spec,))
