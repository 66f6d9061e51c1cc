"""Browsers are behind several push services: one that is away holds back no page to another, and a repeat adds none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from libs.chassis.testing.clock import MovableClock
from libs.contracts.health import Effect
from libs.contracts.notifier import MethodKind, NotificationState
from services.notifier.domain.notification import IntendNotification
from services.notifier.main import Sending
from services.notifier.providers import OPEN_FOR, Provider
from services.notifier.push.breaker import BreakerState
from services.notifier.push.message import Page, web_headers
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.fakes import ACCEPTED, Bench, FakeVendor
from services.notifier.tests.notifications import NINE, intend

TIMEOUT = Outcome(Verdict.TRANSIENT, "timeout")


class Services:
    """Push services of browsers, of which some are away; tokens are `<service>/<anything>`."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked: list[tuple[str, Page]] = []
        self.trouble: str | None = None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, token: str, page: Page, limit: float) -> Outcome:
        await asyncio.sleep(0)
        service = of(token)
        self.asked.append((service, page))
        return TIMEOUT if service in self.away else ACCEPTED


def of(token: str) -> str:
    return token.partition("/")[0]


def bench_of(services: Services) -> Bench:
    bench = Bench()
    bench.sender.providers = {"webpush": Provider("webpush", services, "ours", service_of=of)}
    return bench


def to(bench: Bench, service: str) -> UUID:
    command: IntendNotification = replace(intend(kind=MethodKind.WEBPUSH), next_due_at=NINE + timedelta(hours=2))
    bench.outbox.tokens[command.notification_id] = f"{service}/{command.notification_id}"
    return bench.page(command)


async def test_a_service_that_is_away_holds_back_no_page_to_another() -> None:
    services = Services()
    services.away.add("mozilla")
    async with bench_of(services) as bench:
        for _ in range(6):
            to(bench, "mozilla")
        await bench.until(lambda: bench.alarms == ["webpush (mozilla) does not take pages"])
        provider = bench.sender.providers["webpush"]
        assert provider.state_at(bench.clock.now()) is BreakerState.OPEN
        assert provider.trouble(bench.clock.now()) == "has taken none of the last pages at mozilla"
        pages = [to(bench, "google") for _ in range(20)]
        await bench.until(lambda: all(_is_taken(bench, page) for page in pages))
        asked = len(services.asked)
        late = to(bench, "mozilla")
        await bench.turn()
        assert len(services.asked) <= asked + 1, "a browser that has not failed, once a second"
        services.away.clear()
        bench.clock.advance(seconds=OPEN_FOR.total_seconds())
        await bench.until(lambda: _is_taken(bench, late))
        assert provider.is_closed
        assert provider.retry_at is None
        assert provider.trouble(bench.clock.now()) is None


def _is_taken(bench: Bench, page: UUID) -> bool:
    state = bench.outbox.state(page)
    return state is not None and state.stage is NotificationState.ACCEPTED


async def test_one_that_dies_between_the_answer_and_the_record_repeats_what_the_browser_replaces() -> None:
    services = Services()
    bench = bench_of(services)
    bench.outbox.away = 1_000_000
    async with bench:
        page = to(bench, "google")
        await bench.until(lambda: len(services.asked) == 1)
    assert not _is_taken(bench, page), "it was killed before it could write it down"
    again = bench_of(services)
    again.outbox, bench.outbox.away = bench.outbox, 0
    again.sender.outbox = bench.outbox
    bench.outbox.on_commit = again.sender.wake
    async with again:
        await again.until(lambda: _is_taken(again, page))
    sent = [page for _, page in services.asked]
    assert len(sent) == 2
    assert len({one.notification_id for one in sent}) == 1, "shown under one id"
    assert len({web_headers(one, NINE)["Topic"] for one in sent}) == 1, "of two that wait the service keeps one"


def test_what_is_sealed_may_be_of_any_service() -> None:
    provider = Provider("webpush", Services(), "ours", service_of=of)
    assert provider.breaker_of(None) is provider.breaker
    assert provider.breaker_of("google/1") is provider.breaker_of("google/2")
    assert provider.breaker_of("google/1") is not provider.breaker_of("mozilla/1")
    alone = Provider("fcm", FakeVendor(), "ours")
    assert alone.breaker_of("any") is alone.breaker


def troubles_of(**vendors: str | None) -> list[tuple[str, Effect]]:
    """What health says where each vendor is in this trouble."""
    used = {name: Provider(name, FakeVendor(trouble=trouble)) for name, trouble in vendors.items()}
    engine: Any = SimpleNamespace(clock=MovableClock(), vendors=used)
    return [(one.culprit, one.effect) for one in Sending.troubles(engine)]


def test_browsers_that_nobody_looks_at_are_no_proof_that_people_are_reached() -> None:
    silence = [("push apns", Effect.SILENCE), ("push fcm", Effect.SILENCE)]
    assert troubles_of(apns="away", fcm="away", webpush=None) == silence
    assert troubles_of(apns="away", fcm=None, webpush=None) == [("push apns", Effect.FAULT)]
    assert troubles_of(apns=None, fcm=None, webpush="away") == [("push webpush", Effect.FAULT)]
    assert troubles_of(webpush="away") == [("push webpush", Effect.SILENCE)]
