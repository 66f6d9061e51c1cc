"""A stop must arrive: a task that misses its cancellation would keep a replica from ever leading again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.chassis.bus.connection import Bus
from libs.chassis.requests import sessions
from libs.chassis.requests.sessions import EndedSessions
from libs.chassis.stopping import Stop, places_of, stoppable, together
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE, in_time


def _forgetful(times: int) -> tuple[Callable[..., Coroutine[Any, Any, None]], list[int]]:
    """Something endless that loses so many cancellations; and which ones it has lost."""
    lost: list[int] = []

    async def run(*_: object) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if len(lost) == times:
                    raise
                lost.append(len(lost))

    return run, lost


async def _begun(run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    task = asyncio.create_task(stoppable(run))
    for _ in range(5):
        await asyncio.sleep(0)
    return task


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.stopping._AGAIN", 0.01)


async def test_a_task_that_loses_its_first_cancellation_ends_all_the_same() -> None:
    forgetful, lost = _forgetful(2)
    task = await _begun(forgetful)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, DEADLINE)
    assert len(lost) == 2


async def test_what_ends_a_task_by_itself_comes_through() -> None:
    async def broken() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await stoppable(broken)


async def test_one_of_several_that_loses_its_cancellation_ends_all_the_same() -> None:
    """The group around them, which is being left, hears no second one."""
    forgetful, lost = _forgetful(2)
    task = await _begun(lambda: together(asyncio.Event().wait, forgetful))  # type: ignore[arg-type]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, DEADLINE)
    assert len(lost) == 2


async def test_a_list_of_ended_sessions_that_is_just_being_read_stops_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """nats-py loses a cancellation in the moment in which it gets an answer: once in some thousand starts."""

    class Client:
        async def subscribe(self, *_: Any, **__: Any) -> None:
            return

    forgetful, lost = _forgetful(1)
    monkeypatch.setattr(sessions, "follow_for_ever", forgetful)
    task = await _begun(EndedSessions("oncall", Bus(Client()), MovableClock()).run)  # type: ignore[arg-type]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, DEADLINE)
    assert lost


async def test_a_step_that_never_ends_is_named_with_its_place_and_the_next_one_comes() -> None:
    async def drain() -> None:
        await flush()

    async def flush() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if over:
                    raise

    over: list[bool] = []
    done = asyncio.Event()

    async def close() -> None:
        done.set()

    async with in_time():
        with capture_logs() as logs:
            stop = Stop("oncall", within=0.2)
            await stop.step("requests", drain)
            await stop.step("connection", close)
    assert done.is_set()
    assert stop.hung == ["requests"]
    (said,) = logs
    assert (said["event"], said["step"], said["hanging"]) == ("does not stop", "requests", 1)
    assert "flush (test_stopping.py:" in said["tasks"][0]
    assert "drain (test_stopping.py:" in said["tasks"][0]
    over.append(True)
    await _end_others()


async def test_a_step_that_takes_its_time_says_where_it_is_and_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.stopping._SLOW", 0.01)
    done = asyncio.Event()
    with capture_logs() as logs:
        stop = Stop("oncall", within=2 * DEADLINE)
        waiting = asyncio.create_task(stop.step("requests", done.wait))
        async with in_time():
            while not logs:
                await asyncio.sleep(0.01)
        done.set()
        await waiting
    assert stop.hung == []
    assert [(said["event"], said["step"]) for said in logs] == [("stops slowly", "requests")]
    assert "Event.wait (locks.py:" in logs[0]["tasks"][0]


async def test_a_step_that_fails_is_told_and_the_next_one_comes() -> None:
    async def broken() -> None:
        raise LookupError("gone")

    with capture_logs() as logs:
        stop = Stop("oncall")
        await stop.step("monitoring", broken)
    assert stop.hung == []
    assert [(said["event"], said["step"]) for said in logs] == [("not stopped in order", "monitoring")]


async def test_tasks_that_swallow_their_cancellations_are_named_and_left_behind() -> None:
    forgetful, _lost = _forgetful(3)
    swallowing = asyncio.create_task(forgetful(), name="oncall leader")
    fine = asyncio.create_task(asyncio.Event().wait(), name="oncall sessions")
    await asyncio.sleep(0)
    with capture_logs() as logs:
        stop = Stop("oncall", within=0.2)
        await stop.tasks("tasks", (swallowing, fine))
        await stop.step("connection", asyncio.Event().wait)
    assert fine.cancelled()
    assert not swallowing.done()
    assert stop.hung == ["tasks", "connection"]
    assert [said["step"] for said in logs] == ["tasks", "connection"]
    assert logs[0]["tasks"][0].startswith("oncall leader: ")
    assert "run (test_stopping.py:" in logs[0]["tasks"][0]
    while not swallowing.done():
        swallowing.cancel()
        await asyncio.sleep(0)


async def test_what_a_task_waits_for_inside_of_an_iteration_is_shown_as_far_as_python_shows_it() -> None:
    async def numbers() -> Any:
        await asyncio.Event().wait()
        yield 1

    async def read() -> None:
        async for _ in numbers():
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    assert "read (test_stopping.py:" in places_of(task)[-1]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "read" not in "".join(places_of(task)), "it is over"


_STUCK = """
import asyncio
from libs.chassis.stopping import end_soon

async def main():
    async def stuck():
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
    task = asyncio.create_task(stuck())
    await asyncio.sleep(0)
    end_soon(0.5)

asyncio.run(main())
"""


@pytest.mark.thorough
async def test_a_process_that_cannot_end_ends_and_says_where_it_was() -> None:
    """`asyncio.run` waits for what swallows its cancellation, for ever."""
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", _STUCK], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr
    assert "_cancel_all_tasks" in ended.stderr


async def _end_others() -> None:
    """What was left behind."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        if "drain" in "".join(places_of(task)):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
