"""What a service's log holds on somebody: every event that names them, and what it says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Integer, Select, Text, bindparam, case, func, or_, select, text

from libs.chassis.requests.callers import Caller
from libs.chassis.store.listing import fitting
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.model import Lane, PersonalField
from libs.contracts.requests import Invalid
from libs.contracts.subjects import lanes_of

HISTORY: Final = "history"
_STEP: Final = 2000
"""Events that are looked through for one page."""
_SECRET: Final = frozenset({"push_token"})
"""Whoever has it pages that phone; nobody needs it to know what is held on them."""

Part = Callable[[Work, UUID, str | None], ExportPage]
"""`part(work, person, cursor)`: a page of something that a service holds on a person."""


def part_of(service: str, parts: Mapping[str, Part], work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
    """A page of one of these parts, or of the history. Raises Invalid: there is no such part or place in it."""
    if query.part == HISTORY:
        return _history(work, service, caller.user_id, query.cursor)
    if query.part not in parts:
        raise Invalid(f"must be one of {', '.join((*parts, HISTORY))}", field="part")
    return parts[query.part](work, caller.user_id, query.cursor)


def _history(work: Work, service: str, person: UUID, cursor: str | None) -> ExportPage:
    lanes = lanes_of(service)
    lane, after = _place(cursor, lanes)
    rows = work.fetch(_stretch(service), lane=str(lane), after=after, needle=str(person).encode(), step=_STEP)
    named = [row for row in rows if row["state"] is not None]
    events = ((row["notification_id"], work.codec.decode(row["topic"], bytes(row["state"]))) for row in named)
    told = fitting(((place, _told(event, person)) for place, event in events), lambda one: len(to_json(one[1])))
    if len(told) < len(named):
        following: str | None = f"{lane}/{told[-1][0]}"
    elif rows and rows[-1]["many"] == _STEP:
        following = f"{lane}/{rows[-1]['notification_id']}"
    else:
        later = lanes[lanes.index(lane) + 1 :]
        following = f"{later[0]}/0" if later else None
    return ExportPage(rows=tuple(row for _, row in told), next_cursor=following)


def _place(cursor: str | None, lanes: tuple[Lane, ...]) -> tuple[Lane, int]:
    if cursor is None:
        return lanes[0], 0
    lane, _, position = cursor.partition("/")
    if lane not in lanes or not (position.isascii() and position.isdigit() and len(position) < 19):
        raise Invalid("must be the nextCursor of the page before", field="cursor")
    return Lane(lane), int(position)


@cache
def _stretch(service: str) -> Select[Any]:
    """Events after a position: those that name somebody, with their bytes, and the last one that was looked at."""
    events = chassis_tables(service).events
    limited = (
        select(
            events.c.notification_id,
            events.c.topic,
            # Ids stand in the bytes as they are, whatever is sealed.
            case((text("position(CAST(:needle AS bytea) IN state) > 0"), events.c.state)).label("state"),
        )
        .where(events.c.lane == bindparam("lane", type_=Text), events.c.notification_id > bindparam("after"))
        .order_by(events.c.notification_id)
        .limit(bindparam("step", type_=Integer))
        .subquery("limited")
    )
    numbered = func.row_number().over(order_by=limited.c.notification_id)
    counted = select(limited, func.count().over().label("many"), numbered.label("nth")).subquery("counted")
    named = or_(counted.c.state.is_not(None), counted.c.nth == counted.c.many)
    return select(counted).where(named).order_by(counted.c.nth)


def _told(event: Envelope[Any], person: UUID) -> dict[str, Any]:
    """What it says, but for secrets; of others nothing that is theirs."""
    fact: Fact = event.data
    hidden = _SECRET if getattr(fact, "user_id", None) == person else _SECRET | _personal(type(fact))
    head = event.model_dump(mode="json", by_alias=True, include={"id", "time", "entity", "actor"})
    return head | {"type": event.name, "data": fact.model_dump(mode="json", by_alias=True, exclude=set(hidden))}


@cache
def _personal(fact: type[Fact]) -> frozenset[str]:
    fields = fact.model_fields.items()
    return frozenset(name for name, field in fields if any(isinstance(m, PersonalField) for m in field.metadata))
