"""How often a person is paged about one incident: past a rate, the newest page waits and speaks for those before it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from libs.contracts.notifier import NotificationIntended
from services.notifier.domain.place import Place, place_of

WINDOW = timedelta(minutes=1)
MOST = 6
"""Pages of one incident to one person that may begin within a window, by default."""
REMEMBERED = 2 * WINDOW
"""What was intended longer ago neither waits nor began within the window."""


class Told(NamedTuple):
    """A notification that was to tell this person of this incident, and was neither withdrawn nor given up."""

    notification_id: UUID
    place: Place
    begins_at: datetime
    further: int = 0


def told_of(intent: NotificationIntended) -> Told:
    begins_at = intent.not_before or intent.at
    return Told(intent.notification_id, place_of(intent), begins_at, intent.further)


class Bundle(NamedTuple):
    """What a page carries: `not_before` None sends it at once. It speaks for `further` pages, `replaced` among them."""

    not_before: datetime | None = None
    further: int = 0
    replaced: tuple[UUID, ...] = ()


def bundle(told: Collection[Told], place: Place, now: datetime, most: int) -> Bundle:
    """When somebody is to be paged at a place, beside what they were told at earlier ones.

    At once, if it is their first page in its run, or fewer than `most` have begun within the last window; else as soon
    as that is so. Whatever waits then is replaced, so that never more than one does. Several devices count once.
    """
    earlier = [one for one in told if one.place < place]
    waiting = [one for one in earlier if one.begins_at > now]
    began: dict[Place, datetime] = {}
    for one in earlier:
        if one.begins_at <= now:
            began[one.place] = min(one.begins_at, began.get(one.place, now))
    moments = sorted(moment for moment in began.values() if moment > now - WINDOW)
    is_first = all(one.place.run != place.run for one in earlier)
    later = moments[-most] + WINDOW if len(moments) >= most and not is_first else None
    spoken_for = {one.place: one.further for one in waiting}
    further = len(spoken_for) + sum(spoken_for.values())
    return Bundle(later, further, tuple(one.notification_id for one in waiting))
