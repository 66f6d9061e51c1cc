"""All that is held on somebody: asked of every service, page by page, and never half a document that looks whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import aiohttp
import pytest

from libs.contracts.erasure import PersonHeld
from libs.contracts.requests import ErrorKind, Refusal, Reply
from libs.contracts.subjects import SERVICES
from services.gateway import exporting
from services.gateway.envelope import Problem
from services.gateway.exporting import LISTS, LONGEST, Exports
from services.gateway.tests.stubs import World

PATH = "/api/v1/users/me/export"
Asked = Callable[[str, str, str | None], Awaitable[Reply]]


async def _serve(pager: World, answer: Asked) -> None:
    """Every service's `export`; `answer(service, part, cursor)`."""

    for service in SERVICES:
        await pager.stubs.reply(
            f"{service}.export",
            lambda asked, of=service: answer(of, asked["part"], asked.get("cursor")),  # type: ignore[misc]
        )


def _page(*rows: dict[str, object], after: str | None = None) -> Reply:
    return Reply(ok=True, data={"rows": rows, "nextCursor": after})


async def _two_pages(service: str, part: str, cursor: str | None) -> Reply:
    if part in ("user", "secondFactor"):
        return _page({"of": part})
    if cursor is None:
        return _page({"of": f"{service}.{part}", "nth": 1}, after="2")
    return _page({"of": f"{service}.{part}", "nth": 2}) if cursor == "2" else _page()


async def test_each_part_is_read_to_its_end_and_all_are_one_document(pager: World) -> None:
    await _serve(pager, _two_pages)
    answer = await pager.call("GET", PATH)
    assert answer.status == 200, answer.raw
    assert answer.headers["Content-Disposition"].startswith("attachment")
    held = answer.json["data"]
    PersonHeld.model_validate(held)
    assert (held["user"], held["secondFactor"]) == ({"of": "user"}, {"of": "secondFactor"})
    for service, part in LISTS:
        assert held[part] == [{"of": f"{service}.{part}", "nth": n} for n in (1, 2)]
    assert list(held["history"]) == list(SERVICES)
    assert [e["nth"] for events in held["history"].values() for e in events] == [1, 2] * len(SERVICES)


async def test_an_answer_that_breaks_off_is_no_document(pager: World) -> None:
    async def fails_late(service: str, part: str, cursor: str | None) -> Reply:
        if (service, part) == ("notifier", "history"):
            return Reply(ok=False, error=Refusal(kind=ErrorKind.INTERNAL, message="internal error"))
        return await _two_pages(service, part, cursor)

    await _serve(pager, fails_late)
    with pytest.raises(aiohttp.ClientPayloadError):
        await pager.call("GET", PATH)


async def test_what_is_refused_at_once_has_a_problem_for_an_answer(pager: World) -> None:
    async def nothing(_service: str, _part: str, _cursor: str | None) -> Reply:
        return Reply(ok=False, error=Refusal(kind=ErrorKind.FORBIDDEN, message="no"))

    await _serve(pager, nothing)
    answer = await pager.call("GET", PATH)
    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")


async def test_a_service_without_room_is_asked_again(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [Refusal(kind=ErrorKind.UNAVAILABLE, message="no place", retry_after=1.0)] * 3

    async def busy(service: str, part: str, cursor: str | None) -> Reply:
        if refusals and service == "incidents":
            return Reply(ok=False, error=refusals.pop())
        return await _two_pages(service, part, cursor)

    monkeypatch.setattr(exporting, "PAUSE", 0.0)
    await _serve(pager, busy)
    answer = await pager.call("GET", PATH)
    assert answer.status == 200
    assert len(answer.json["data"]["incidents"]) == 2
    assert refusals == []


async def test_one_export_of_a_person_at_a_time(pager: World) -> None:
    goes_on, reached = asyncio.Event(), asyncio.Event()

    async def waits(service: str, part: str, cursor: str | None) -> Reply:
        if part == "devices":
            reached.set()
            await goes_on.wait()
        return await _two_pages(service, part, cursor)

    await _serve(pager, waits)
    first = asyncio.create_task(pager.call("GET", PATH))
    await reached.wait()
    again = await pager.call("GET", PATH)
    assert (again.status, again.error["code"]) == (429, "RATE_LIMITED")
    goes_on.set()
    assert (await first).status == 200
    assert (await pager.call("GET", PATH)).status == 200


def test_whoever_does_not_read_keeps_their_place_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(exporting, "monotonic", lambda: now)
    exports, (ana, bo, eva) = Exports(), (uuid4() for _ in range(3))
    with exports.of(ana):
        with exports.of(bo):
            with pytest.raises(Problem):
                exports.check(eva)
            now += LONGEST
            with exports.of(bo):
                exports.check(eva)
                with pytest.raises(Problem):
                    exports.check(bo)
                with exports.of(eva), pytest.raises(Problem):
                    exports.check(ana)
        exports.check(eva)
