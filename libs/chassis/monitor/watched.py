"""What is looked at when somebody asks how a service does: the moving parts of one replica, and its own counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.relay import Relay
from libs.chassis.clock import Clock
from libs.chassis.consume.leader import Leader
from libs.chassis.consume.reader import Reader
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.monitor.probe import Probe
from libs.chassis.settings import ServiceSettings
from libs.chassis.store.queries import Queries
from libs.chassis.store.store import Store
from libs.chassis.store.work import Decided, Work


def _nothing(_: object) -> tuple[()]:
    return ()


@dataclass
class Watched:
    """What a service counts and measures beside what all of them do."""

    observe: Callable[[Sequence[Decided]], object] = _nothing
    """Called with what was decided, once, after its commit, in the replica that committed it: for counting."""
    gauges: Callable[[Work], Iterable[GaugeValue]] = _nothing
    """Read from the tables when somebody asks."""
    probe: Probe | None = None
    """Of a stream that is written by others than us: whether it stores."""


@dataclass(frozen=True)
class Replica:
    """One replica of a service, as far as it is watched."""

    name: str
    settings: ServiceSettings
    clock: Clock
    bus: Bus
    leader: Leader
    relay: Relay
    readers: Sequence[Reader]
    has_timers: bool
    watched: Watched
    stores: Mapping[str, Store | Queries]
    """Whose connections are counted, by role."""
    open_store: Callable[[], Store]
    """Another one, to ask with: whoever watches must not wait for what it watches."""
