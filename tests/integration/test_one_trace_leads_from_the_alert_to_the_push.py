"""An operator can follow a page through every service: one trace, begun by the sender where it sends one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.chassis.measure import telemetry
from libs.contracts.envelope import Envelope
from tests.world import World

_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_SENDER = f"00-{_TRACE}-{_SPAN}-01"
_PATH = ("incidents", "escalation", "notifier")


@contextmanager
def _recorded(*services: str) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    for service in services:
        telemetry.start(service, SimpleSpanProcessor(exporter))
    try:
        yield exporter
    finally:
        for service in services:
            telemetry.stop(service)


async def _paging(world: World) -> list[Envelope[Any]]:
    """Every event about incidents and those whom they page, and none about how Pager is set up."""
    events = [event for service in _PATH for event in await world.log(service)]
    return [event for event in events if not event.name.startswith(("Integration", "Policy", "ActedFrom"))]


def _ids(span: ReadableSpan) -> tuple[str, str, str | None]:
    """(trace, span, parent) in hexadecimal."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent else None


async def test_every_event_of_a_page_carries_the_senders_trace_and_one_correlation(world: World) -> None:
    ana, bo = await world.two_responders()
    body = b'{"summary": "db down", "priority": "critical"}'
    await world.publish(body, headers={"traceparent": _SENDER})
    await ana.expect_push("db down")
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    await world.settle()
    events = await _paging(world)
    names = [e.name for e in events]
    assert {"IncidentCreated", "EscalationStarted", "NotificationIntended", "NotificationAccepted"} <= set(names)
    assert names.count("EscalationDue") == 2, "the level that a timer fired included"
    assert names.count("IncidentEscalated") == 1
    assert {(e.traceparent or "").split("-")[1] for e in events} == {_TRACE}
    assert len({e.correlation_id for e in events}) == 1
    ids = {e.id for e in events}
    roots = [e.name for e in events if e.causation_id not in ids]
    assert roots == ["IncidentCreated"], "every other event names the event that caused it"

    # Another alert, whose sender knows nothing of traces or sends nonsense: a trace of its own, and only one.
    await world.publish(b'{"summary": "disk full", "priority": "critical"}', headers={"traceparent": "00-nonsense"})
    await ana.expect_push("disk full")
    await world.settle()
    traces = {(e.traceparent or "").split("-")[1] for e in await _paging(world) if e.id not in ids}
    assert len(traces) == 1
    assert _TRACE not in traces


async def test_the_spans_of_all_services_form_one_tree_under_the_senders_span(world: World) -> None:
    ana, _ = await world.two_responders()
    with _recorded(*_PATH) as exporter:
        await world.publish(b'{"summary": "db", "priority": "critical"}', headers={"traceparent": _SENDER})
        await ana.expect_push("db")
        await world.settle()
        spans = [s for s in exporter.get_finished_spans() if _ids(s)[0] == _TRACE]
        by_service: dict[str, set[str]] = {}
        for span in spans:
            by_service.setdefault(str(span.resource.attributes["service.name"]), set()).add(span.name)
        assert "alert process" in by_service["pager-incidents"]
        assert "IncidentCreated process" in by_service["pager-escalation"]
        assert {"EscalationDue process", "push apns"} <= by_service["pager-notifier"]
        known = {_ids(s)[1] for s in spans} | {_SPAN}
        assert all(_ids(s)[2] in known for s in spans), "no span hangs loose"
        roots = [s.name for s in spans if _ids(s)[2] == _SPAN]
        assert roots == ["alert process"]
