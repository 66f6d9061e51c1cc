"""A log that was restored, its relay and its stream: what the tests of epochs have in common."""

from __future__ import annotations

from nats.js.client import JetStreamContext

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.relay import AtOdds, Relay
from libs.chassis.tests.ledger import SCHEMA, Ledger
from libs.contracts.model import Lane
from libs.contracts.subjects import Header

STREAM = "INCIDENTS"


class Told:
    """What the admins were to be told."""

    def __init__(self) -> None:
        self.odds: list[Odds] = []

    async def __call__(self, odds: Odds) -> None:
        self.odds.append(odds)


async def operator(ledger: Ledger) -> JetStreamContext:
    return (await ledger.bus("operator")).client.jetstream()


async def relay_of(ledger: Ledger, told: Told | None = None) -> Relay:
    relay = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock, told or Told())
    ledger.store.listen(lambda written: relay.hand(written.runs))
    return relay


async def publish_all(relay: Relay) -> None:
    """As `run` does, until everything is in the stream."""
    for _ in range(10):
        try:
            await relay._resume()
            break
        except AtOdds:
            continue
    while await relay._publish_some():
        pass


async def add_many(ledger: Ledger, many: int) -> list[int]:
    """Events in turn in both lanes; their positions."""
    return [await ledger.add(lane=list(Lane)[n % 2]) for n in range(many)]


async def epochs_of(ledger: Ledger) -> list[tuple[int, int]]:
    rows = await ledger.query("SELECT epoch, after_position FROM incidents.epochs ORDER BY epoch")
    return [(row[0], row[1]) for row in rows]


async def published_of(js: JetStreamContext, first: int = 1) -> list[str]:
    """`epoch/position` of what the stream holds from a sequence on, in its order."""
    info = await js.stream_info(STREAM)
    found = []
    for sequence in range(max(info.state.first_seq, first), info.state.last_seq + 1):
        headers = (await js.get_msg(STREAM, sequence)).headers or {}
        found.append(headers[Header.MESSAGE_ID].removeprefix("incidents/"))
    return found
