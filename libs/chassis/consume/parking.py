"""Inputs that are set aside with their reason, so that one of them never stops the stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Select, bindparam, delete, func, select, update

from libs.chassis.consume.item import stands_alone
from libs.chassis.store.changes import Added
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.requests import ParkedView


class ParkedKind(StrEnum):
    FAILURE = "failure"
    """A handler failed on it, again and again."""
    WAITING = "waiting"
    """It belongs to an entity that has one parked before it."""
    INPUT = "input"
    """It could not be read: a sender's mistake, not ours."""


@dataclass(frozen=True, slots=True)
class Parked:
    """One input as it came."""

    kind: ParkedKind
    upstream: str
    lane: Lane
    position: int
    entity: str
    type: str
    reason: str
    raw: bytes
    headers: Mapping[str, str]
    parked_at: datetime | None = None
    """None: it is about to be."""


def park(work: Work, schema: str, parked: Parked) -> None:
    """Set an input aside in the transaction that moves the cursor over it."""
    work.put(
        Added(
            chassis_tables(schema).parked,
            {
                "kind": str(parked.kind),
                "upstream": parked.upstream,
                "lane": str(parked.lane),
                "position": parked.position,
                "entity": _storable(parked.entity),
                "type": _storable(parked.type),
                "reason": _storable(parked.reason)[:2000],
                "raw": parked.raw,
                "headers": {_storable(k): _storable(v) for k, v in parked.headers.items()},
                "parked_at": work.now,
            },
        )
    )


def _storable(text: str) -> str:
    """PostgreSQL's text holds no NUL and no lone surrogate, and a reason may quote the input."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def parked_entities(work: Work, schema: str, upstream: str) -> frozenset[str]:
    """Entities whose later events must wait behind a parked one."""
    table = chassis_tables(schema).parked
    waiting = select(table.c.entity).where(
        table.c.upstream == bindparam("upstream"), table.c.kind != str(ParkedKind.INPUT)
    )
    return frozenset(row["entity"] for row in work.fetch(waiting.distinct(), upstream=upstream))


class NothingBefore(Exception):
    """Nothing of this entity is parked any more: there is nothing to wait behind."""


def park_behind(work: Work, schema: str, parked: Parked) -> None:
    """Set an input aside behind the one of its entity that is parked.

    Raises:
        NothingBefore: a replay has taken it away; handle the input.
    """
    # Locked: a replay that is about to take it away waits for us, and finds us behind it.
    if not work.fetch(_of_entity(schema).with_for_update(read=True), upstream=parked.upstream, entity=parked.entity):
        raise NothingBefore(parked.entity)
    park(work, schema, parked)


def waits_behind(work: Work, schema: str, parked: Parked) -> bool:
    """Whether an earlier input of its entity is parked, and it cannot do without that."""
    if parked.kind is ParkedKind.INPUT or stands_alone(parked.type):
        return False
    rows = work.fetch(_of_entity(schema), upstream=parked.upstream, entity=parked.entity)
    return any(row["position"] < parked.position for row in rows)


def _of_entity(schema: str) -> Select[tuple[int]]:
    table = chassis_tables(schema).parked
    return select(table.c.position).where(
        table.c.upstream == bindparam("upstream"),
        table.c.entity == bindparam("entity"),
        table.c.kind != str(ParkedKind.INPUT),
    )


def list_parked(work: Work, schema: str, after: int = 0, limit: int = 100) -> list[ParkedView]:
    """Oldest first."""
    table = chassis_tables(schema).parked
    rows = work.fetch(select(table).where(table.c.id > after).order_by(table.c.id).limit(limit))
    return [
        ParkedView(
            **{k: v for k, v in row.items() if k in ParkedView.model_fields and k != "raw"}, raw=_shown(row["raw"])
        )
        for row in rows
    ]


def _shown(raw: bytes) -> str:
    return bytes(raw).decode("utf-8", "backslashreplace")


def load_parked(work: Work, schema: str, parked_id: int) -> Parked | None:
    table = chassis_tables(schema).parked
    for row in work.fetch(select(table).where(table.c.id == parked_id).with_for_update()):
        return Parked(
            kind=ParkedKind(row["kind"]),
            upstream=row["upstream"],
            lane=Lane(row["lane"]),
            position=row["position"],
            entity=row["entity"],
            type=row["type"],
            reason=row["reason"],
            raw=bytes(row["raw"]),
            headers=row["headers"],
            parked_at=row["parked_at"],
        )
    return None


def unpark(work: Work, schema: str, parked_id: int) -> None:
    table = chassis_tables(schema).parked
    work.fetch(delete(table).where(table.c.id == parked_id))


def parked_ids(work: Work, schema: str, *kinds: ParkedKind) -> list[int]:
    """Everything that may be tried again, or what is of these kinds, in the order in which it came."""
    table = chassis_tables(schema).parked
    order = (table.c.upstream, table.c.lane, table.c.position, table.c.id)
    wanted = select(table.c.id).where(table.c.kind.in_([str(kind) for kind in kinds or ParkedKind]))
    return [row["id"] for row in work.fetch(wanted.order_by(*order))]


def count_parked(work: Work, schema: str) -> dict[str, int]:
    """Parked inputs by kind."""
    table = chassis_tables(schema).parked
    rows = work.fetch(select(table.c.kind, func.count().label("count")).group_by(table.c.kind))
    return {row["kind"]: row["count"] for row in rows}


def without_alarm(work: Work, schema: str) -> list[ParkedView]:
    """Failures that no admin has been paged about yet."""
    table = chassis_tables(schema).parked
    rows = work.fetch(
        select(table).where(table.c.kind == str(ParkedKind.FAILURE), table.c.alarmed_at.is_(None)).order_by(table.c.id)
    )
    return [
        ParkedView(**{k: v for k, v in row.items() if k in ParkedView.model_fields and k != "raw"}, raw="")
        for row in rows
    ]


def alarmed(work: Work, schema: str, parked_ids: Sequence[int], at: datetime) -> None:
    """The admins know about these."""
    table = chassis_tables(schema).parked
    work.fetch(update(table).where(table.c.id.in_(parked_ids)).values(alarmed_at=at))
