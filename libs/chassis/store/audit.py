"""The audit of a service: an index into its log, and nothing beside the log (docs/adr/0062).

What was changed, by whom and from where is in the events, sealed where it is somebody's. The index names nobody's
address: who is erased is erased in here too, and a rebuild makes it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from itertools import chain
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Select, Table, Text, Uuid, bindparam, select, text
from sqlalchemy import tuple_ as together

from libs.chassis.store.changes import Change, Row
from libs.chassis.store.listing import fitting
from libs.chassis.store.work import Projector, Work
from libs.contracts.audit import AUDITED, AuditEntry, AuditPage, AuditQuery, Rule, resource_of
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.model import PersonalField, StillSealed

HIDDEN: Final = "[hidden]"
"""Instead of what is somebody's, for who may not see how people are reached."""
ERASED: Final = "[erased]"
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
LOWEST: Final = UUID(int=0)
"""Behind no moment, and before any event of it."""
_AT_ONCE: Final = 20
"""Entries whose events are read together: an event may have half a MiB, and no more than that fits into an answer."""


def audit_table(metadata: MetaData) -> Table:
    """One row an audited event."""
    return Table(
        "audit",
        metadata,
        Column("event_id", Uuid, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("actor_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("entity", Uuid, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("correlation_id", Uuid, nullable=False),
        # The facts that say what it was before, separated by commas.
        Column("before", Text, nullable=False),
        Index("audit_at_idx", "at", "event_id"),
        Index("audit_actor_idx", "actor_id", "at", "event_id"),
        Index("audit_kind_idx", "kind", "at", "event_id"),
        Index("audit_resource_idx", "resource_id", "at", "event_id"),
    )


def audited(table: Table) -> Callable[[Projector], Projector]:
    """A projector that writes the index as well."""

    def around(project: Projector) -> Projector:
        @wraps(project)
        def both(event: Envelope[Any], state: Any) -> Iterable[Change]:
            changes, rule = project(event, state), AUDITED.get(type(event.data))
            return changes if rule is None or not rule.tells(event) else (*changes, _row(table, event, rule))

        return both

    return around


def _row(table: Table, event: Envelope[Any], rule: Rule) -> Row:
    kind, resource_id = resource_of(event)
    values = {
        "event_id": event.id,
        "at": event.time,
        "actor_id": event.actor.id,
        "kind": kind,
        "resource_id": resource_id,
        "entity": event.entity,
        "version": event.version,
        "correlation_id": event.correlation_id,
        "before": ",".join(fact.type for fact in rule.before),
    }
    return Row(table, values)


class Trail:
    """The statements of one service's audit; each is compiled once."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._pages: dict[frozenset[str], Select[Any]] = {}
        log = f"{table.schema}.stored_events"
        self._events = text(
            "SELECT a.at, e.topic, e.state, b.topic AS before_topic, b.state AS before, o.topic AS origin_topic,"  # noqa: S608 - names of our own
            " o.state AS origin FROM unnest(CAST(:entities AS uuid[]), CAST(:versions AS bigint[]),"
            " CAST(:chains AS uuid[]), CAST(:befores AS text[])) WITH ORDINALITY"
            " AS a (entity, version, chain, before, at)"
            f" JOIN {log} e ON e.originator_id = a.entity AND e.originator_version = a.version"
            f" LEFT JOIN LATERAL (SELECT topic, state FROM {log} WHERE originator_id = a.entity"
            " AND originator_version < a.version AND topic = ANY (string_to_array(a.before, ','))"
            " ORDER BY originator_version DESC LIMIT 1) b ON a.before <> ''"
            f" LEFT JOIN {log} o ON o.originator_id = a.chain AND o.originator_version = 1"
            " ORDER BY a.at"
        )

    def page(self, work: Work, query: AuditQuery, *, personal: bool) -> AuditPage:
        """What is asked for, newest first; fewer where they would not fit into one answer.

        `personal`: whether names, addresses and numbers of people are shown.
        """
        asked = {"actor_id": query.actor_id, "kind": query.kind, "resource_id": query.resource_id}
        given = {name: str(value) for name, value in asked.items() if value is not None}
        at, event_id = query.to or LAST, LOWEST
        if query.after is not None and query.after.at < at:
            at, event_id = query.after.at, query.after.event_id
        place = {"since": query.from_ or FIRST, "at_": at, "event_id_": event_id, "limit_": query.limit + 1}
        rows = work.fetch(self._statement(frozenset(given)), **given, **place)
        shown = rows[: query.limit]
        entries = fitting(self._told(work, shown, personal=personal), lambda entry: len(entry.to_json()))
        return AuditPage(entries=tuple(entries), more=len(entries) < len(rows))

    def _statement(self, given: frozenset[str]) -> Select[Any]:
        if given not in self._pages:
            t = self._table.c
            here = together(t.at, t.event_id)
            there = together(bindparam("at_", type_=t.at.type), bindparam("event_id_", type_=Uuid))
            statement = select(self._table).where(here < there, t.at >= bindparam("since", type_=t.at.type))
            for name in sorted(given):
                statement = statement.where(t[name] == bindparam(name, type_=Text))
            limit = bindparam("limit_", type_=BigInteger)
            self._pages[given] = statement.order_by(t.at.desc(), t.event_id.desc()).limit(limit)
        return self._pages[given]

    def _told(self, work: Work, rows: Sequence[Mapping[str, Any]], *, personal: bool) -> Iterable[AuditEntry]:
        """A page that is full before its last row does not read the others' events."""
        for row in chain.from_iterable(self._read(work, rows[n : n + _AT_ONCE]) for n in range(0, len(rows), _AT_ONCE)):
            event = work.codec.decode(row["topic"], bytes(row["state"]))
            before = _decoded(work, row["before_topic"], row["before"])
            origin = (
                event.data if hasattr(event.data, "ip_address") else _decoded(work, row["origin_topic"], row["origin"])
            )
            yield _entry(event, before, origin, personal=personal)

    def _read(self, work: Work, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        return work.fetch(
            self._events,
            entities=[row["entity"] for row in rows],
            versions=[row["version"] for row in rows],
            chains=[row["correlation_id"] for row in rows],
            befores=[row["before"] for row in rows],
        )


def _decoded(work: Work, topic: str | None, state: bytes | None) -> Fact | None:
    return None if topic is None or state is None else work.codec.decode(topic, bytes(state)).data


def _entry(event: Envelope[Any], before: Fact | None, origin: Fact | None, *, personal: bool) -> AuditEntry:
    rule = AUDITED[type(event.data)]
    new: dict[str, Any] | None = None if rule.gone else _values(event.data, rule, personal=personal)
    old = None if before is None else _values(before, rule, personal=personal)
    if old is not None and new is not None:
        # What stays as it was is not what was done. Of what may not be seen it is not said whether it was changed.
        common = old.keys() & new.keys()
        same = {name for name in common if old[name] == new[name] and old[name] != HIDDEN}
        old, new = ({n: v for n, v in values.items() if n in common - same} for values in (old, new))
    return AuditEntry(
        at=event.time,
        actor=event.actor,
        ip_address=_clear(getattr(origin, "ip_address", None)),
        user_agent=_clear(getattr(origin, "user_agent", None)),
        action=event.name,
        resource="/".join(resource_of(event)),
        old=old or None,
        new=new or None,
        event_id=event.id,
    )


def _values(fact: Fact, rule: Rule, *, personal: bool) -> dict[str, Any]:
    """What a fact says, by the names of the API."""
    fields = type(fact).model_fields
    names = rule.fields if rule.fields is not None else tuple(fields)
    told = [n for n in names if n in fields and n not in (rule.of, "ip_address", "user_agent")]
    owned = {n for n in told if any(isinstance(mark, PersonalField) for mark in fields[n].metadata)}
    plain = fact.model_dump(mode="json", by_alias=True, include=set(told) - owned)
    mine = {str(fields[n].alias or n): _clear(getattr(fact, n)) if personal else HIDDEN for n in owned}
    return {alias: value for n in told if (alias := str(fields[n].alias or n)) for value in ((plain | mine)[alias],)}


def _clear(value: str | None) -> str | None:
    return ERASED if isinstance(value, StillSealed) else value
