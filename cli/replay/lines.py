"""How replayed events are written: a line each, as JSON or CSV (docs/adr/0019)."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Final

from cli.replay.merge import Entry

COLUMNS: Final = (
    "position",
    "service",
    "lane",
    "time",
    "type",
    "id",
    "entity",
    "version",
    "actorKind",
    "actorId",
    "teamId",
    "correlationId",
    "causationId",
    "data",
)
"""Of a CSV line, for ever in this order; new ones are added at the end. `data` is JSON."""

Lines = Callable[[Sequence[Entry]], bytes]


def jsonl(services: Sequence[str]) -> Lines:
    """`{"position", "service", …envelope}`: the stored bytes behind their place, decoded by nobody."""
    names = [service.encode() for service in services]

    def lines(entries: Sequence[Entry]) -> bytes:
        return b"".join(
            [b'{"position":%d,"service":"%b",%b\n' % (p, names[rank], row.raw[1:]) for _, rank, p, row in entries]
        )

    return lines


def csv_lines(services: Sequence[str]) -> Lines:
    """`COLUMNS`, quoted where needed (RFC 4180)."""

    def lines(entries: Sequence[Entry]) -> bytes:
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        for entry in entries:
            writer.writerow(_fields(entry, services[entry.rank]))
        return out.getvalue().encode()

    return lines


def _fields(entry: Entry, service: str) -> tuple[object, ...]:
    event = json.loads(entry.row.raw)
    actor = event.get("actor") or {}
    return (
        entry.position,
        service,
        entry.row.lane,
        event.get("time"),
        entry.row.type,
        event.get("id"),
        event.get("entity"),
        event.get("version"),
        actor.get("kind"),
        actor.get("id"),
        event.get("teamId"),
        event.get("correlationId"),
        event.get("causationId"),
        json.dumps(event.get("data"), ensure_ascii=False, separators=(",", ":")),
    )


def header() -> bytes:
    """The first line of a CSV file."""
    return (",".join(COLUMNS) + "\r\n").encode()
