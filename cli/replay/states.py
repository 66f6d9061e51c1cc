"""What an incident, a schedule or a policy was at a moment: its events until then, folded under the rules of then."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_jsonable_python

from cli.console.failure import USAGE, Failure
from cli.replay.incident import find_incident
from cli.replay.logs import open_logs
from libs.chassis.rebuild.history import History, LogRow, microseconds, moment, since_2000
from libs.chassis.store.work import Decider
from libs.contracts.codec import CODEC, UnknownEvent
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import IncidentView
from services.escalation.deciders import ESCALATION, POLICY
from services.escalation.domain.escalations import NotStarted, escalation_id
from services.incidents.application import INCIDENT
from services.incidents.projections import running, view_of
from services.incidents.replicas import replicate
from services.incidents.views import complete
from services.oncall.application import SCHEDULE
from services.oncall.domain import Deleted

KINDS: Final = ("incident", "schedule", "policy")


@dataclass(frozen=True)
class AsOf:
    """`version`: how many of its events had happened; `last`: the newest of them."""

    kind: str
    id: str
    at: datetime
    version: int
    last: Envelope[Any]
    state: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "kind": self.kind,
            "id": self.id,
            "at": self.at.isoformat(),
            "version": self.version,
            "lastEvent": {"id": str(self.last.id), "type": self.last.type, "time": self.last.time.isoformat()},
            "state": self.state,
        }


class _Folded:
    def __init__(self, decider: Decider[Any, Any], rows: Sequence[LogRow], service: str) -> None:
        self.state: Any = decider.initial()
        self.events: list[Envelope[Any]] = []
        for row in rows:
            if row.hole:
                raise Failure(f"stopped: {service} lacks the event before position {row.position}")
            try:
                event = CODEC.decode(row.type, row.raw)
            except UnknownEvent:
                sys.stderr.write(f"pager: unknown event type {row.type} at {service} {row.position}: left out\n")
                continue
            self.state = decider.evolve(self.state, event.data)
            self.events.append(event)


def _until(history: History, entity: UUID, at: datetime) -> tuple[list[LogRow], LogRow | None]:
    """Its events up to and at the moment, and the very first one."""
    rows = history.entity(entity)
    limit = since_2000(at)
    kept: list[LogRow] = []
    for row in rows:
        # By version, not by time: what stands behind a later one had not happened either.
        if microseconds(row.time) > limit:
            break
        kept.append(row)
    return kept, rows[0] if rows else None


def _fold(histories: dict[str, History], service: str, decider: Decider[Any, Any], kind: str, entity: UUID,
          at: datetime) -> _Folded:  # fmt: skip
    rows, first = _until(histories[service], entity, at)
    if first is None:
        raise Failure(f"there is no {kind} {entity}")
    if not rows:
        raise Failure(f"{kind} {entity} begins at {moment(microseconds(first.time)).isoformat()}: nothing was there")
    return _Folded(decider, rows, service)


def _was_deleted(kind: str, folded: _Folded) -> Failure:
    last = folded.events[-1]
    return Failure(f"{kind} {last.entity} was deleted at {last.time.isoformat()}: ask for a moment before")


def incident_at(histories: dict[str, History], incident: UUID, at: datetime) -> AsOf:
    """The incident as the API showed it, and where its escalation stood. Raises `Failure`."""
    folded = _fold(histories, "incidents", INCIDENT, "incident", incident, at)
    rows, _ = _until(histories["escalation"], escalation_id(incident), at)
    escalated = _Folded(ESCALATION[folded.state.lane], rows, "escalation")
    view = _completed(view_of(folded.state, len(folded.events)), escalated.events)
    state = view.model_dump(mode="json", by_alias=True)
    state["escalation"] = None if isinstance(escalated.state, NotStarted) else _escalation(escalated.state)
    return AsOf("incident", str(incident), at, len(folded.events), folded.events[-1], state)


def _completed(view: IncidentView, escalation: Sequence[Envelope[Any]]) -> IncidentView:
    """With what the escalation's events write of it: whom the level pages, and its time-out."""
    written = [dict(change.values) for event in escalation for change in replicate(event) if change.table is running]
    newest = max(written, key=itemgetter("run", "round", "level"), default=None)
    return view if newest is None else complete(view, {"repeats": None, **newest})


def _escalation(state: Any) -> dict[str, Any]:
    run = state.run
    return {
        "state": type(state).__name__.lower(),
        "policyId": str(run.policy_id) if run else None,
        "policyVersion": run.policy_version if run else None,
        "level": getattr(state, "level", 0),
        "round": getattr(state, "round", 0),
        "nextAt": to_jsonable_python(getattr(state, "due_at", None)),
    }


def schedule_at(histories: dict[str, History], schedule: UUID, at: datetime) -> AsOf:
    """The schedule's rules, and whom its plan of then put on call at that moment. Raises `Failure`."""
    folded = _fold(histories, "oncall", SCHEDULE, "schedule", schedule, at)
    known = folded.state
    if isinstance(known, Deleted):
        raise _was_deleted("schedule", folded)
    on_call = next((s for s in known.planned if s.start_time <= at < s.end_time), None)
    state = {
        "name": known.name,
        "description": known.description,
        "timezone": known.timezone,
        "isActive": known.is_active,
        "rulesVersion": known.rules_version,
        "layers": [layer.model_dump(mode="json", by_alias=True) for layer in known.layers],
        "overrides": [o.model_dump(mode="json", by_alias=True) for o in known.overrides if o.end_time > at],
        "onCall": on_call.model_dump(mode="json", by_alias=True) if on_call else None,
    }
    return AsOf("schedule", str(schedule), at, len(folded.events), folded.events[-1], state)


def policy_at(histories: dict[str, History], policy: UUID, at: datetime) -> AsOf:
    """The version of a policy that an escalation begun at that moment ran. Raises `Failure`."""
    folded = _fold(histories, "escalation", POLICY, "policy", policy, at)
    if folded.state.deleted:
        raise _was_deleted("policy", folded)
    plan = folded.state.plan
    state = {
        "name": plan.name,
        "version": folded.state.version,
        "isDefault": folded.state.is_default,
        "priorityFilter": [str(p) for p in plan.priority_filter],
        "repeat": plan.repeat,
        "levels": [level.model_dump(mode="json", by_alias=True) for level in plan.levels],
    }
    return AsOf("policy", str(policy), at, len(folded.events), folded.events[-1], state)


STATES: Final[dict[str, Callable[[dict[str, History], UUID, datetime], AsOf]]] = {
    "incident": incident_at,
    "schedule": schedule_at,
    "policy": policy_at,
}


def read_state(url: str, kind: str, key: str, at: datetime) -> AsOf:
    """The state of an incident, a schedule or a policy, named by its id (`key`). Raises `Failure`."""
    histories = {history.service: history for history in open_logs(url)}
    try:
        entity = find_incident(histories["incidents"], key) if kind == "incident" else key
        return STATES[kind](histories, _uuid(entity, kind), at)
    finally:
        for history in histories.values():
            history.connection.close()


def _uuid(text: str, kind: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Failure(f"--{kind}: {text!r} is no id", USAGE) from None
