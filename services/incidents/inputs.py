"""What the decisions of incidents need to know beside the events of the incidents themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from libs.chassis.store.cursors import Position
from libs.chassis.store.desk import Desk
from libs.chassis.store.work import Work
from services.incidents import projections as tables
from services.incidents import queries
from services.incidents.places import place_at


class Repeats(NamedTuple):
    """How often an incident's alert came again, as far as that is committed; when and where in ALERTS the last time."""

    times: int = 0
    last_at: datetime | None = None
    place: Position | None = None
    placed: int = 0
    """How many of them are known to stand no later than `place`, or to have come without a place by `unplaced_at`."""
    unplaced_at: datetime | None = None


NOTHING_REPEATED = Repeats()


class Thread(NamedTuple):
    """The newest incident of a dedup key; `place`: of the alert that opened it, if it was one."""

    incident_id: UUID
    generation: int
    is_open: bool
    place: Position | None = None
    repeats: Repeats = NOTHING_REPEATED


class Source(NamedTuple):
    """The integration that an alert came through, and when its key was last seen to be used."""

    id: UUID
    policy_id: UUID | None = None
    team_id: UUID | None = None
    used_at: datetime | None = None


class Inputs(Protocol):
    """Two makers: `StoredInputs` asks the tables, `MemoryInputs` holds plain objects."""

    def threads(self, keys: Sequence[UUID]) -> Mapping[UUID, Thread]:
        """The newest incident of each dedup key that has one, by the key's id."""
        ...

    def repeats(self, incidents: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        """Of each incident whose alert came again."""
        ...

    def alert_repeats(self, alerts: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        """How often each of these alerts came, of those that are not their incident's only one."""
        ...

    def newest(self, incidents: Collection[UUID], types: Sequence[str]) -> Mapping[tuple[UUID, str], UUID]:
        """The last event of each of these types in the timeline of each incident that has one, by (incident, type)."""
        ...

    def seen(self, ids: Sequence[UUID]) -> set[UUID]:
        """Which of these alerts have been taken before."""
        ...

    def sources(self, key_hashes: Sequence[str]) -> Mapping[str, Source]:
        """Integrations by the hash of the routing key that was sent."""
        ...

    def numbers(self, count: int) -> Sequence[int]:
        """Numbers that no incident has had."""
        ...

    def unused(self, numbers: Iterable[int]) -> None:
        """Of these: no incident gets them in this transaction."""
        ...


@dataclass(frozen=True, slots=True)
class StoredInputs:
    """From the tables, as this transaction sees them."""

    work: Work

    def threads(self, keys: Sequence[UUID]) -> Mapping[UUID, Thread]:
        rows = self.work.fetch(queries.KEYS, ids=list(keys)) if keys else ()
        return {row["id"]: _thread(row, NOTHING_REPEATED if row["count"] is None else _repeats(row)) for row in rows}

    def repeats(self, incidents: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        rows = self.work.fetch(queries.REPEATS, ids=list(incidents)) if incidents else ()
        return {row["incident_id"]: _repeats(row) for row in rows}

    def alert_repeats(self, alerts: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        rows = self.work.fetch(queries.ALERT_REPEATS, ids=list(alerts)) if alerts else ()
        return {row["id"]: _alert_repeats(row) for row in rows}

    def newest(self, incidents: Collection[UUID], types: Sequence[str]) -> Mapping[tuple[UUID, str], UUID]:
        rows = self.work.fetch(queries.NEWEST, ids=list(incidents), types=list(types))
        return {(row["incident_id"], row["type"]): row["event_id"] for row in rows}

    def seen(self, ids: Sequence[UUID]) -> set[UUID]:
        return {row["id"] for row in self.work.fetch(queries.SEEN, ids=list(ids))} if ids else set()

    def sources(self, key_hashes: Sequence[str]) -> Mapping[str, Source]:
        rows = self.work.fetch(queries.BY_KEY, hashes=list(key_hashes)) if key_hashes else ()
        return {r["key_hash"]: Source(r["id"], r["policy_id"], r["team_id"], r["last_used_at"]) for r in rows}

    def numbers(self, count: int) -> Sequence[int]:
        return self.work.numbers(queries.NUMBERS, count)

    def unused(self, numbers: Iterable[int]) -> None:
        self.work.give_back(numbers)


@dataclass
class MemoryInputs:
    """From what was decided on a desk, and from integrations that are given by hand (by the hash of their key)."""

    desk: Desk
    integrations: Mapping[str, Source] = field(default_factory=dict)
    _last_number: int = 0

    def threads(self, keys: Sequence[UUID]) -> Mapping[UUID, Thread]:
        rows = [row for row in self.desk.rows(tables.dedup_keys) if row["id"] in keys]
        repeats = self.repeats([row["incident_id"] for row in rows])
        return {row["id"]: _thread(row, repeats.get(row["incident_id"], NOTHING_REPEATED)) for row in rows}

    def repeats(self, incidents: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        rows = self.desk.tables.get(tables.repeats, {})
        return {incident: _repeats(rows[incident]) for incident in incidents if incident in rows}

    def alert_repeats(self, alerts: Sequence[UUID]) -> Mapping[UUID, Repeats]:
        rows = self.desk.tables.get(tables.alert_repeats, {})
        return {alert: _alert_repeats(rows[alert]) for alert in alerts if alert in rows}

    def newest(self, incidents: Collection[UUID], types: Sequence[str]) -> Mapping[tuple[UUID, str], UUID]:
        rows = sorted(self.desk.rows(tables.timeline), key=lambda row: row["at"])
        known = ((row["incident_id"], row["type"], row["event_id"]) for row in rows)
        return {(incident, kind): event for incident, kind, event in known if incident in incidents and kind in types}

    def seen(self, ids: Sequence[UUID]) -> set[UUID]:
        return {row["id"] for row in self.desk.rows(tables.seen_alerts)} & set(ids)

    def sources(self, key_hashes: Sequence[str]) -> Mapping[str, Source]:
        known, uses = self.integrations, self.desk.tables.get(tables.integration_keys, {})
        used = {key: uses.get(key, {}).get("last_used_at") for key in key_hashes}
        return {key: known[key]._replace(used_at=used[key]) for key in key_hashes if key in known}

    def numbers(self, count: int) -> Sequence[int]:
        first, self._last_number = self._last_number + 1, self._last_number + count
        return range(first, first + count)

    def unused(self, numbers: Iterable[int]) -> None:
        if left := list(numbers):
            self._last_number = min(left) - 1


def _thread(row: Mapping[str, Any], repeats: Repeats) -> Thread:
    place = place_at(row["incarnation"], row["sequence"])
    return Thread(row["incident_id"], row["generation"], row["is_open"], place, repeats)


def _repeats(row: Mapping[str, Any]) -> Repeats:
    place = place_at(row["last_incarnation"], row["last_sequence"])
    return Repeats(row["count"], row["last_at"], place, row["placed"], row["unplaced_at"])


def _alert_repeats(row: Mapping[str, Any]) -> Repeats:
    place = place_at(row["last_incarnation"], row["last_sequence"])
    return Repeats(row["count"], row["last_at"], place, row["count"], row["unplaced_at"])
