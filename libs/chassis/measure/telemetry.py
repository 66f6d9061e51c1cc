"""One trace from the alert to the push: W3C trace context in every envelope, spans where an exporter is set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from libs.chassis.environment import TRACES, TRACES_ALONE, text_of
from libs.chassis.urls import url_fault
from libs.contracts.envelope import Envelope

_ids = RandomIdGenerator()
_propagator = TraceContextTextMapPropagator()
_providers: dict[str, TracerProvider] = {}


def start(service: str, processor: SpanProcessor | None = None) -> None:
    """Record spans for a service: to the OTLP endpoint of `OTEL_EXPORTER_OTLP_ENDPOINT`, or to `processor` (tests).

    Without either, spans cost nothing and the trace context still travels in the envelopes.
    """
    if processor is None:
        if not (os.environ.get(TRACES) or os.environ.get(TRACES_ALONE)):
            return
        processor = _exporting()
    provider = TracerProvider(resource=Resource.create({"service.name": f"pager-{service}"}))
    provider.add_span_processor(processor)
    _providers[service] = provider


def _exporting() -> SpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())


def faults() -> list[str]:
    """What is wrong with OpenTelemetry's own variables, a line each; others than these it replaces by its defaults."""
    given = {name: value for name, value in os.environ.items() if name.startswith("OTEL_") and value}
    found = [
        f"{name}: {fault}"
        for name in (TRACES, TRACES_ALONE)
        if name in given and (fault := url_fault(given[name], "http", "https"))
    ]
    for name, value in given.items():
        if name.startswith("OTEL_EXPORTER_OTLP_") and name.endswith(("CERTIFICATE", "CLIENT_KEY")):
            try:
                text_of(value)
            except ValueError as error:
                found.append(f"{name}: {error}: {value}")
    try:
        TracerProvider(resource=Resource.create({}), shutdown_on_exit=False)
        _exporting().shutdown()
    except ValueError as error:
        found.append(f"OTEL_…: {error}")
    return found


def stop(service: str) -> None:
    provider = _providers.pop(service, None)
    if provider is not None:
        provider.shutdown()


def records(service: str) -> bool:
    """Whether anybody takes a service's spans."""
    return service in _providers


def new_traceparent() -> str:
    """The root of a trace for an input that brought none (W3C Trace Context, section 3.2)."""
    return f"00-{_ids.generate_trace_id():032x}-{_ids.generate_span_id():016x}-01"


def span(
    service: str, name: str, parent: str | None, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int
) -> AbstractContextManager[str]:
    """A span under `parent` (a traceparent); yields the traceparent for what is caused inside."""
    parent = parent or new_traceparent()
    provider = _providers.get(service)
    return nullcontext(parent) if provider is None else _recorded(provider, name, parent, kind, attributes)


@contextmanager
def _recorded(
    provider: TracerProvider, name: str, parent: str, kind: SpanKind, attributes: Mapping[str, str | int]
) -> Iterator[str]:
    context = _propagator.extract({"traceparent": parent})
    current = provider.get_tracer("pager").start_span(name, context, kind=kind, attributes=dict(attributes))
    try:
        yield traceparent_of(current)
    except Exception as error:
        current.record_exception(error)
        raise
    finally:
        current.end()


def traceparent_of(current: trace.Span) -> str:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(current))
    return carrier["traceparent"]


@contextmanager
def consuming(service: str, events: Sequence[Envelope[Any]]) -> Iterator[Sequence[Envelope[Any]]]:
    """A span for each event of a batch; what is decided because of an event becomes its child."""
    if not records(service):
        yield events
        return
    with ExitStack() as spans:
        yield [
            event.model_copy(
                update={
                    "traceparent": spans.enter_context(
                        span(
                            service,
                            f"{event.name} process",
                            event.traceparent,
                            SpanKind.CONSUMER,
                            entity=str(event.entity),
                        )
                    )
                }
            )
            for event in events
        ]
