"""One transaction's worth of decisions: load, decide, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter, thread_time
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast
from uuid import UUID

from psycopg import Cursor
from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.sql import Executable
from uuid_utils.compat import uuid4

from libs.chassis.store.changes import Change, adapt, compiled
from libs.chassis.store.estimates import Estimates
from libs.chassis.store.log import NewEvent, Stream, advisory_key
from libs.chassis.store.memory import Known, Memory
from libs.chassis.store.personal import RowSeals, opened, personal_columns, sealed, subjects_of
from libs.chassis.store.snapshots import EVERY, Shape, Snapshot, UnreadableSnapshot
from libs.chassis.store.spare import Spare
from libs.contracts.audit import ACTED_FROM, AUDITED, Origin
from libs.contracts.clients import Client
from libs.contracts.codec import CODEC, Codec
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.model import Lane
from libs.contracts.requests import Rejected
from libs.contracts.slots import NO_INCIDENT

S = TypeVar("S")
C_contra = TypeVar("C_contra", contravariant=True)
_LOCK = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))


def _routine(_state: Any) -> Lane:
    return Lane.ROUTINE


def _no_team(_state: Any) -> UUID | None:
    return None


def _never(_state: Any) -> bool:
    return False


@dataclass(frozen=True)
class Decider(Generic[S, C_contra]):
    """The three pure functions of one kind of entity, and what the envelope needs to know of its state."""

    initial: Callable[[], S]
    evolve: Callable[[S, Any], S]
    decide: Callable[[C_contra, S], Sequence[Fact]]
    lane: Callable[[S], Lane] = _routine
    team: Callable[[S], UUID | None] = _no_team
    keep: Callable[[S], bool] = _never
    """Whether a state is kept in memory after its commit, because this process will soon decide on it again."""
    shape: Shape[S] | None = None
    """How a state is kept as a snapshot, for entities that may become long."""
    version: Callable[[S], int] | None = None
    """Which version of an entity its views show; None: the number of its events."""
    slot: Callable[[S], int] | None = None
    """The slot of a new entity, from its state after its first event; None: that of its cause. It keeps it for ever."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is decided: who, the first cause of the chain, the direct one, its trace, and its slot."""

    actor: Actor
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    slot: int = NO_INCIDENT
    origin: Origin | None = None
    """Whose request began it, and from where, where it was one."""
    client: Client | None = None
    """With what they made it."""

    @classmethod
    def event(cls, event: Envelope[Any], actor: Actor) -> Cause:
        """A reaction of ours to an event."""
        return cls(actor, event.correlation_id, event.id, event.traceparent, event.slot)


@dataclass(slots=True)
class _Entity:
    state: Any
    version: int
    slot: int | None = None
    """Of its first event; None before that."""
    snapped: int = 0
    """The version of its snapshot; 0 for none."""
    assumed: bool = False
    """Not read here, and nothing that the append would check has been decided on it yet."""
    keep: bool = False
    last: UUID | None = None
    """The event that brought it to `version`, where that was read or decided here."""
    shape: Shape[Any] | None = None

    def known(self) -> Known | None:
        return Known(self.state, self.version, self.slot, self.snapped) if self.keep else None

    def snapshot(self, entity: UUID) -> Snapshot | None:
        """What is to be kept of it now, if anything."""
        if self.shape is None or self.last is None or self.version - self.snapped < EVERY:
            return None
        slot = NO_INCIDENT if self.slot is None else self.slot
        return Snapshot(entity, self.version, self.last, slot, self.shape.name, self.shape.write(self.state))


class Decided(NamedTuple):
    """A new event and the state of its entity right after it."""

    event: Envelope[Any]
    state: Any


Projector = Callable[[Envelope[Any], Any], Iterable[Change]]
"""`project(event, state after it)`: the rows and timers that an event writes. Pure, so that a rebuild can repeat it."""


class Streams(Protocol):
    """Where the events of entities are read: the log, or a desk's memory (`desk.py`)."""

    def load_many(self, curs: Any, ids: Sequence[UUID], shape: str | None = None) -> Mapping[UUID, Stream]:
        """What each entity is folded from; where a snapshot has this shape, only what came after it."""
        ...

    def lock_appends(self, curs: Any) -> None:
        """Let nobody else append before this transaction ends."""
        ...

    def last_position(self, curs: Any, lane: Lane) -> int:
        """The newest position of a lane; 0 for none."""
        ...


@dataclass(slots=True, weakref_slot=True)
class Work:
    """What a handler sees of its transaction. Handlers are synchronous and run in a worker thread.

    A handler may run again from the start when somebody else appended first, so it must not have other effects. The
    first attempt assumes what `memory` says, or that nothing is where nothing is expected: the append finds out what is
    assumed wrongly, a decision that appends nothing is made on what was read, and later attempts read everything.
    """

    now: datetime
    log: Streams
    cursor: Cursor[dict[str, Any]]
    projector: Projector
    memory: Memory | None = None
    codec: Codec = CODEC
    seals: RowSeals | None = None
    """The keys of personal texts in rows; None: they are read as they are, sealed."""
    estimates: Estimates | None = None
    """Totals of long lists; None: each is counted."""
    new_id: Callable[[], UUID] = uuid4  # the standard library's lets go of the interpreter's lock (ADR 26)
    changes: list[Change] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    _entities: dict[UUID, _Entity] = field(default_factory=dict)
    _held: set[UUID] = field(default_factory=set)
    spare: Spare = field(default_factory=Spare)
    _lent: set[int] = field(default_factory=set)
    asked_at: float = field(default_factory=perf_counter)
    """When the database last answered: it ends sessions that compute for too long inside a transaction."""
    worked_at: float = field(default_factory=thread_time)
    """How much this thread had computed by then."""

    def load(self, decider: Decider[S, Any], ids: Iterable[UUID]) -> None:
        """Fold the events of many entities in one query; a decision on one that is not loaded loads it alone."""
        missing = [i for i in dict.fromkeys(ids) if not self._knows(i)]
        if missing:
            self._read(decider, missing)

    def expect_new(self, decider: Decider[S, Any], ids: Iterable[UUID]) -> None:
        """`load` for ids under which hardly ever anything is."""
        if self.memory is None:
            self.load(decider, ids)
            return
        for entity in ids:
            if not self._knows(entity):
                self._entities[entity] = _Entity(decider.initial(), 0, assumed=True)

    def _knows(self, entity: UUID) -> bool:
        if entity in self._entities:
            return True
        known = self.memory.get(entity) if self.memory is not None else None
        if known is None:
            return False
        self._entities[entity] = _Entity(known.state, known.version, known.slot, known.snapped, assumed=True)
        return True

    def _read(self, decider: Decider[Any, Any], ids: Sequence[UUID]) -> None:
        shape = None if decider.shape is None else decider.shape.name
        unreadable: list[UUID] = []
        for entity, stream in self.log.load_many(self.cursor, ids, shape).items():
            try:
                self._entities[entity] = self._folded(decider, stream)
            except UnreadableSnapshot:
                unreadable.append(entity)
        for entity, stream in (self.log.load_many(self.cursor, unreadable) if unreadable else {}).items():
            self._entities[entity] = self._folded(decider, stream)
        self._answered()

    def _folded(self, decider: Decider[Any, Any], stream: Stream) -> _Entity:
        made = _Entity(decider.initial(), 0, shape=decider.shape)
        if stream.snapshot is not None and decider.shape is not None:
            made.state, made.slot = decider.shape.read(stream.snapshot.state), stream.snapshot.slot
            made.version = made.snapped = stream.snapshot.version
        for type_name, raw in stream.events:
            event = self.codec.decode(type_name, raw)
            made.state, made.last = decider.evolve(made.state, event.data), event.id
            made.slot = event.slot if made.slot is None else made.slot
        made.version += len(stream.events)
        return made

    def state(self, decider: Decider[S, Any], entity: UUID) -> S:
        """The state as it was read, or decided here; never one that is only assumed."""
        self.load(decider, (entity,))
        if self._entities[entity].assumed:
            self._read(decider, (entity,))
        return cast("S", self._entities[entity].state)

    def version(self, entity: UUID) -> int:
        """Events of an entity that was loaded here, with those decided here; 0: it does not exist."""
        return self._entities[entity].version

    def shown_version(self, decider: Decider[S, Any], entity: UUID) -> int:
        """The version that views of it show, as it was read or decided here."""
        state = self.state(decider, entity)
        return self.version(entity) if decider.version is None else decider.version(state)

    def slot(self, entity: UUID) -> int:
        """Of an entity that was loaded or decided on here."""
        known = self._entities[entity].slot
        return NO_INCIDENT if known is None else known

    def hold(self, entity: UUID) -> None:
        """Commit only if nobody appends to this entity, which was loaded here, before this transaction ends.

        For rows that are right only as long as it is as it was read, where no event says so: whoever takes the append
        lock before reading it then finds those rows, or is found here. It is checked under that lock.
        """
        self._held.add(entity)

    @property
    def held(self) -> dict[UUID, int]:
        """The version of each entity that is held; where events are appended, they are checked by themselves."""
        changed = {d.event.entity for d in self.decided}
        return {entity: self._entities[entity].version for entity in self._held - changed}

    def begin(
        self,
        actor: Actor,
        traceparent: str | None = None,
        origin: Origin | None = None,
        client: Client | None = None,
    ) -> Cause:
        """The beginning of a chain of events."""
        return Cause(actor, self.new_id(), None, traceparent, origin=origin, client=client)

    def decide(
        self, decider: Decider[S, C_contra], entity: UUID, command: C_contra, cause: Cause
    ) -> list[Envelope[Any]]:
        """Ask the decider and remember what it decided; nothing is written before the handler returns.

        Raises:
            Rejected: the rules do not allow the command.
        """
        facts = self._facts(decider, entity, command)
        if cause.origin is not None and any(type(fact) in AUDITED for fact in facts):
            self._tell_origin(cause, cause.origin, facts[0].type.split(".")[1])
        known = self._entities[entity]
        events: list[Envelope[Any]] = []
        for fact in facts:
            known.state = decider.evolve(known.state, fact)
            known.version += 1
            if known.slot is None:
                known.slot = cause.slot if decider.slot is None else decider.slot(known.state)
            event: Envelope[Any] = Envelope(
                id=self.new_id(),
                type=fact.type,
                time=self.now,
                entity=entity,
                version=known.version,
                lane=decider.lane(known.state),
                slot=known.slot,
                actor=cause.actor,
                team_id=decider.team(known.state),
                correlation_id=cause.correlation_id,
                causation_id=cause.causation_id,
                traceparent=cause.traceparent,
                client=cause.client,
                data=fact,
            )
            self.decided.append(Decided(event, known.state))
            events.append(event)
            known.last = event.id
        known.keep, known.shape = decider.keep(known.state), decider.shape
        return events

    def _tell_origin(self, cause: Cause, origin: Origin, service: str) -> None:
        """From where somebody changed something: once a chain, as an event of its own, which is about them alone."""
        if cause.correlation_id in self._entities or service not in ACTED_FROM:
            return
        told = ACTED_FROM[service](user_id=origin.user_id, ip_address=origin.address, user_agent=origin.agent)
        self._entities[cause.correlation_id] = _Entity(None, 1, NO_INCIDENT)
        event: Envelope[Any] = Envelope(
            id=self.new_id(),
            type=told.type,
            time=self.now,
            entity=cause.correlation_id,
            version=1,
            lane=Lane.ROUTINE,
            actor=cause.actor,
            correlation_id=cause.correlation_id,
            traceparent=cause.traceparent,
            data=told,
        )
        self.decided.append(Decided(event, None))

    def _facts(self, decider: Decider[Any, C_contra], entity: UUID, command: C_contra) -> Sequence[Fact]:
        known = self._entities.get(entity)
        if known is None:
            self.load(decider, (entity,))
            known = self._entities[entity]
        if known.assumed:
            with suppress(Rejected):
                if facts := decider.decide(command, known.state):
                    known.assumed = False
                    return facts
            self._read(decider, (entity,))
        return decider.decide(command, self._entities[entity].state)

    def snapshots(self) -> list[Snapshot]:
        """Of the entities that have become long, or were long when they were read; `outcomes` come after it."""
        made = [s for i, e in self._entities.items() if not e.assumed and (s := e.snapshot(i)) is not None]
        for snapshot in made:
            self._entities[snapshot.entity].snapped = snapshot.version
        return made

    def outcomes(self) -> dict[UUID, Known | None]:
        """What to remember of the entities that were decided on, once it is committed."""
        return {d.event.entity: self._entities[d.event.entity].known() for d in self.decided}

    def put(self, *changes: Change) -> None:
        """Write rows that come from no event of ours: replicas, credentials, parked inputs."""
        self.changes.extend(changes)

    def fetch(self, statement: Executable, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query, as committed before this transaction's own decisions."""
        sql, own = compiled(statement)
        self.cursor.execute(sql, own | {k: adapt(v) for k, v in parameters.items()})
        rows = self.cursor.fetchall() if self.cursor.description else []
        self._answered()
        if rows and (personal := personal_columns(statement)):
            opened(rows, personal, self.seals)
        return rows

    def _answered(self) -> None:
        self.asked_at, self.worked_at = perf_counter(), thread_time()

    def lock(self, name: str) -> None:
        """Hold the lock of this name (`pager/<service>/…`) until this transaction ends; others wait meanwhile."""
        self.fetch(_LOCK, key=advisory_key(name))

    def numbers(self, sequence: Executable, count: int) -> list[int]:
        """Numbers that nothing has; `sequence` asks for `count` new ones. A rollback makes them spare again."""
        found = self.spare.take(count)
        if missing := count - len(found):
            found += [row["number"] for row in self.fetch(sequence, count=missing)]
        self._lent.update(found)
        return found

    def give_back(self, numbers: Iterable[int]) -> None:
        """Of those that this transaction got: it writes nothing with them."""
        returned = self._lent.intersection(numbers)
        self._lent -= returned
        self.spare.give(returned)

    def undone(self) -> None:
        """It was rolled back, for certain."""
        self.give_back(list(self._lent))

    def lock_appends(self) -> None:
        """Take the append lock now: before locking rows that other appends write.

        They write them after they took it; in the other order each would wait for the other.
        """
        self.log.lock_appends(self.cursor)

    def new_events(self) -> tuple[list[NewEvent], list[Change]]:
        """Everything to be written, serialised and projected: what fails here fails before a statement is sent."""
        events = [
            NewEvent(
                originator_id=d.event.entity,
                originator_version=d.event.version,
                topic=d.event.type,
                state=self.codec.encode(d.event),
                lane=d.event.lane,
                recorded_at=d.event.time,
                slot=d.event.slot,
            )
            for d in self.decided
        ]
        changes = list(self.changes)
        for d in self.decided:
            changes.extend(self.projector(d.event, d.state))
        if self.seals is not None:
            seals = self.seals
            changes = [
                c._replace(values=sealed(c.table, c.values, seals)) if subjects_of(c.table) else c for c in changes
            ]
            changes.extend(seals.made)
        return events, changes
