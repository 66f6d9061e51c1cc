"""What a process counts and measures of itself: one registry a service, shown in Prometheus' text format (ADR 21)."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import metadata
from types import MappingProxyType
from typing import Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# A second series for each counter, with the time at which it began, is of no use to a server that sees resets itself.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"
_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
_PLAIN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_./:-]{0,63}$")

BRIEF: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)
"""Bounds in seconds for what takes milliseconds: requests, commits, batches."""
API: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""The specification's 0.1, 0.5, 1, 2 and 5 s, its limit of 200 ms, and what lies below, where our answers are."""
PAGE: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
"""From an incident to a phone's push service: 5 s is the specification's limit."""
LONG: Final = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
"""For what people do, and for what is late."""
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


DENIED: Final = "Publishes and subscriptions that the bus has denied this process."
FORGED: Final = "Access tokens that auth has not made, or that were changed."


class GaugeValue(NamedTuple):
    """A gauge whose value is looked up when somebody asks; `labels` are without service and instance."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = _NO_LABELS


class Bounded:
    """At most `limit` values of a label that strangers choose; later ones, and odd ones, are `other`.

    First come, first kept, until a restart: a flood of made-up names can hide a new name, but neither grow memory
    nor change a sum.
    """

    def __init__(self, limit: int = 50) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) >= self._limit or not _PLAIN.match(value):
            return OTHER
        self._known.add(value)
        return value


class Metrics:
    """The metrics of one service in this process. Instruments are thread-safe."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.registry = CollectorRegistry()
        self._readings = _Readings()
        self.registry.register(self._readings)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """`name` without `_total`, which is added."""
        return Counter(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = BRIEF) -> Histogram:
        """`buckets` in the unit that the name ends with."""
        return Histogram(name, text, labels, buckets=buckets, registry=self.registry)

    def read(self, samples: Iterable[GaugeValue]) -> None:
        """Show these gauges from now on, in the place of all earlier ones."""
        self._readings.current = (_BUILD, *samples)

    def text(self, **labels: str) -> bytes:
        """Everything in Prometheus' text format; each series gets the label `service` and these."""
        return generate_latest(_Labelled(self.registry, {"service": self.service} | labels))


class _Readings(Collector):
    def __init__(self) -> None:
        self.current: Sequence[GaugeValue] = (_BUILD,)

    def collect(self) -> Iterable[Metric]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, text, value, labels in self.current:
            family = families.setdefault(name, GaugeMetricFamily(name, text))
            family.samples.append(Sample(name, dict(labels), value))
        return families.values()


class _Labelled(Collector):
    """A registry whose series all carry these labels."""

    def __init__(self, registry: CollectorRegistry, labels: Mapping[str, str]) -> None:
        self._registry = registry
        self._labels = labels

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            shown = Metric(family.name, family.documentation, family.type)
            shown.samples = [s._replace(labels={**self._labels, **s.labels}) for s in family.samples]
            yield shown


@cache
def version() -> str:
    """The version of Pager that runs here."""
    try:
        return metadata.version("pager")
    except metadata.PackageNotFoundError:
        return "0.1.0"


_BUILD = GaugeValue(
    "pager_build_info", "The running version.", 1, {"version": version(), "python": platform.python_version()}
)


def merged(texts: Iterable[str]) -> str:
    """Several answers in Prometheus' text format as one: the lines of a metric stand together, as the format asks."""
    families: dict[str, tuple[list[str], list[str]]] = {}
    for text in texts:
        head, samples = list[str](), list[str]()
        for line in text.splitlines():
            if line.startswith("# HELP "):
                head, samples = families.setdefault(line.split(" ", 3)[2], ([], []))
                head[:] = head or [line]
            elif line.startswith("# TYPE "):
                head[1:] = head[1:] or [line]
            elif line:
                samples.append(line)
    return "".join(f"{line}\n" for head, samples in families.values() for line in (*head, *samples))
