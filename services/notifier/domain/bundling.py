"""How often a person is paged about one thing: past a rate, the newest page waits and speaks for those before it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from libs.contracts.incidents import IncidentBrief
from libs.contracts.notifier import NotificationIntended
from services.notifier.domain.place import Place, place_of

WINDOW = timedelta(minutes=1)
MOST = 6
"""Pages of one matter to one person that may begin within a window, by default; as many first ones of runs beside."""
REMEMBERED = 2 * WINDOW
"""What was intended longer ago neither waits nor began within the window."""


class Told(NamedTuple):
    """A notification that was to tell this person of this incident, and was neither withdrawn nor given up."""

    notification_id: UUID
    incident_id: UUID
    place: Place
    begins_at: datetime
    further: int = 0


def matter_of(brief: IncidentBrief) -> UUID:
    """What a person is paged about: an incident, and all that come of the same dedup key after it was resolved."""
    return brief.thread or brief.incident_id


def told_of(intent: NotificationIntended) -> Told:
    begins_at = intent.not_before or intent.at
    return Told(intent.notification_id, intent.incident_id, place_of(intent), begins_at, intent.further)


class Bundle(NamedTuple):
    """What a page carries: `not_before` None sends it at once. It speaks for `further` pages, `replaced` among them."""

    not_before: datetime | None = None
    further: int = 0
    replaced: tuple[UUID, ...] = ()


def bundle(told: Collection[Told], incident_id: UUID, place: Place, now: datetime, most: int) -> Bundle:
    """When somebody is to be paged about an incident at a place, beside what they were told at earlier ones.

    At once, if fewer than `most` pages of its matter have begun within the last window; else as soon as that is so. The
    first page of a run looks at first pages alone, so that it waits only where runs or incidents follow one another as
    fast. Whatever waits of the incident is replaced, so that never more than one does. Several devices count once.
    """
    if not told:
        return Bundle()
    own = [one for one in told if one.incident_id == incident_id and one.place < place]
    waiting = [one for one in own if one.begins_at > now]
    rang = [one for one in (*own, *(one for one in told if one.incident_id != incident_id)) if one.begins_at <= now]
    is_first = all(one.place.run != place.run for one in own)
    began: dict[tuple[UUID, int] | tuple[UUID, Place], datetime] = {}
    for one in rang:
        which = (one.incident_id, one.place.run) if is_first else (one.incident_id, one.place)
        began[which] = min(one.begins_at, began.get(which, now))
    moments = sorted(moment for moment in began.values() if moment > now - WINDOW)
    later = moments[-most] + WINDOW if len(moments) >= most else None
    if later is not None:
        later = min((later, *(one.begins_at for one in waiting)))  # it takes over the time of what it replaces
    spoken_for = {one.place: one.further for one in waiting}
    further = len(spoken_for) + sum(spoken_for.values())
    return Bundle(later, further, tuple(one.notification_id for one in waiting))
