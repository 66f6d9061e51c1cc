"""The access log: each request at the gateway, as it tells them; who was forbidden something is audited beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import DateTime, Integer, Select, Uuid, bindparam, select
from sqlalchemy import tuple_ as together

from libs.chassis.store.audit import FIRST, LAST, LOWEST
from libs.chassis.store.changes import Row
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.audit import (
    ACCESSES,
    Access,
    AccessRefused,
    ApiKeyUsed,
    AuditEntry,
    AuditPage,
    AuditQuery,
    KeepAccesses,
)
from libs.contracts.envelope import Actor
from libs.contracts.requests import Nothing
from services.auth.entities import AUTH
from services.auth.queries import ERASED
from services.auth.refusals import Refusals
from services.auth.tables.watch import access_log

KEPT: Final = timedelta(days=90)


async def keep(store: Store, refusals: Refusals, body: KeepAccesses) -> Nothing:
    """Told twice, it is kept once. What was forbidden may be counted twice then: it says "at least"."""
    if body.kept:
        await store.transact(lambda work: _keep(work, body.kept))
    for one in body.refused:
        if one.user_id is not None:
            what = {"user_id": one.user_id, "key_id": one.key_id, "method": one.method, "route": one.route}
            refusals.of_access(AccessRefused(times=1, **what, **_where(one)))
    for one in body.used:
        if one.user_id is not None and one.key_id is not None:
            refusals.of_key(ApiKeyUsed(key_id=one.key_id, user_id=one.user_id, **_where(one)))
    return Nothing()


def _where(access: Access) -> dict[str, str | None]:
    return {"ip_address": access.ip_address, "user_agent": access.user_agent}


def _keep(work: Work, requests: Collection[Access]) -> None:
    """But for those of somebody who was erased meanwhile."""
    people = {one.user_id for one in requests if one.user_id is not None}
    erased = {row["user_id"] for row in work.fetch(ERASED, ids=list(people))} if people else set()
    work.put(*(Row(access_log, one.model_dump()) for one in requests if one.user_id not in erased))


def page(work: Work, query: AuditQuery) -> AuditPage:
    """Requests in the form of the audit, newest first: `new` is what came of each; `resource_id` one request's id."""
    at, last = query.to or LAST, LOWEST
    if query.after is not None and query.after.at < at:
        at, last = query.after.at, query.after.event_id
    given: dict[str, Any] = {"user_id": query.actor_id} if query.actor_id is not None else {}
    if query.resource_id is not None:
        given["request_id"] = query.resource_id
    place = {"since": query.from_ or FIRST, "at_": at, "id_": last, "limit_": query.limit + 1}
    rows = work.fetch(_STATEMENTS[frozenset(given)], **given, **place)
    return AuditPage(entries=tuple(map(_entry, rows[: query.limit])), more=len(rows) > query.limit)


def _statement(*names: str) -> Select[Any]:
    t = access_log.c
    there = together(bindparam("at_", type_=DateTime(timezone=True)), bindparam("id_", type_=Uuid))
    statement = select(access_log).where(together(t.at, t.id) < there)
    statement = statement.where(t.at >= bindparam("since", type_=DateTime(timezone=True)))
    for name in names:
        statement = statement.where(t[name] == bindparam(name, type_=t[name].type))
    return statement.order_by(t.at.desc(), t.id.desc()).limit(bindparam("limit_", type_=Integer))


_STATEMENTS: Final = {
    frozenset(names): _statement(*names) for names in ((), ("user_id",), ("request_id",), ("user_id", "request_id"))
}


def _entry(row: Mapping[str, Any]) -> AuditEntry:
    access = Access(**row)
    actor = AUTH
    if access.key_id is not None:
        actor = Actor.key(access.key_id)
    elif access.user_id is not None:
        actor = Actor.user(access.user_id)
    return AuditEntry(
        at=access.at,
        actor=actor,
        ip_address=access.ip_address,
        user_agent=access.user_agent,
        action=f"{access.method} {access.route}",
        resource=f"{ACCESSES}/{access.request_id}",
        new=access.model_dump(mode="json", by_alias=True, include={"status", "ms"}),
        event_id=access.id,
    )
