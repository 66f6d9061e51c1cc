"""What an incident waits for: the end of a snooze, a suppression, an acknowledgement, or of a long silence.

The due times are in events. A timer is taken away when what it ends has ended by it, and by nothing else: one that an
answer has made pointless decides nothing when it fires, and answers stay as cheap as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.chassis.store.changes import Change
from libs.chassis.timers import Timer, timer_gone, timer_set
from libs.contracts.envelope import ActorKind, Envelope
from libs.contracts.incidents import (
    AcknowledgementLimited,
    AcknowledgementTimedOut,
    IncidentAcknowledged,
    IncidentCreated,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    ResolutionPlanned,
    SnoozeEnded,
    SuppressionEnded,
)

_SCHEMA: Final = "incidents"
SNOOZE: Final = "snooze"
SUPPRESSION: Final = "suppression"
ACKNOWLEDGEMENT: Final = "acknowledgement"
QUIET: Final = "quiet"
"""Names of timers; each incident has one of each at most."""
SETS: Final = {
    SNOOZE: IncidentSnoozed,
    SUPPRESSION: IncidentSuppressed,
    ACKNOWLEDGEMENT: AcknowledgementLimited,
    QUIET: IncidentAcknowledged,
}
"""The event that a timer's firing follows from; `QUIET`'s is a `ResolutionPlanned`, where its policy wants it."""


def timer_changes(event: Envelope[Any]) -> Iterable[Change]:
    """What an event of an incident sets, and what it has ended."""
    entity = event.entity
    match event.data:
        case IncidentSnoozed(until=until):
            yield due(entity, SNOOZE, until)
        case IncidentSuppressed(suppression=suppression) | IncidentCreated(suppression=suppression) if (
            suppression is not None and suppression.until is not None
        ):
            yield due(entity, SUPPRESSION, suppression.until)
        case AcknowledgementLimited(until=until):
            yield due(entity, ACKNOWLEDGEMENT, until)
        case IncidentAcknowledged(resolves_at=datetime() as moment) | ResolutionPlanned(resolves_at=moment):
            yield due(entity, QUIET, moment)
        case SnoozeEnded():
            yield timer_gone(_SCHEMA, entity, SNOOZE)
        case SuppressionEnded():
            yield timer_gone(_SCHEMA, entity, SUPPRESSION)
        case AcknowledgementTimedOut():
            yield timer_gone(_SCHEMA, entity, ACKNOWLEDGEMENT)
        case IncidentResolved(by=by) if by.kind is ActorKind.SERVICE:
            yield timer_gone(_SCHEMA, entity, QUIET)


def due(entity: UUID, name: str, moment: datetime) -> Change:
    return timer_set(_SCHEMA, Timer(entity, name, moment))
