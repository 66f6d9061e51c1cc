"""Tokens that a vendor refuses: the token is to blame only where another one was accepted with the same credentials."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, bindparam, literal_column, or_, select

from libs.chassis.store.work import Cause, Work
from services.notifier.domain.token import RetireToken
from services.notifier.projections import ACCEPTED, ATTEMPTS, NOTIFICATIONS

Device = tuple[UUID, str]
Key = tuple[str, str]
"""Of which provider and credentials."""
_ASKED_AT_ONCE = 100
_REMEMBERED = 1000
"""Refusals in a row; what comes of more is the same."""

TRUSTED = timedelta(hours=24)
"""For how long an accepted page shows that our credentials, topic and project are right."""
MASS = 5
"""More devices than these that are refused in a row, none being reached between them, are a change of the vendor's or
ours, whatever was taken before: then only what was taken since the first of them counts."""
WINDOW = timedelta(minutes=1)
"""How long evidence may take; after that the operators are told and the next page tries the token again."""


class Suspect(NamedTuple):
    """A refusal, and when it came."""

    dead: RetireToken
    cause: Cause
    provider: str
    credentials: str
    at: datetime
    since: datetime
    """Since when another device must have been reached."""

    @property
    def device(self) -> Device:
        return self.dead.user_id, self.dead.device_id

    @property
    def key(self) -> Key:
        return self.provider, self.credentials


_A, _N = ATTEMPTS.c, NOTIFICATIONS.c
REACHED = (
    select(_A.at)
    .join(NOTIFICATIONS, _N.id == _A.notification_id)
    .where(
        _A.outcome == literal_column(f"'{ACCEPTED}'"),  # as the index has it
        _A.provider == bindparam("provider", type_=Text),
        _A.credentials == bindparam("credentials", type_=Text),
        _A.at >= bindparam("since", type_=DateTime(timezone=True)),
        or_(
            _N.user_id != bindparam("user_id", type_=Uuid),
            _N.method_id != bindparam("device_id", type_=Text),
        ),
    )
    .limit(1)
)
"""Whether another device was reached with the same credentials."""


def is_evident(work: Work, suspect: Suspect) -> bool:
    """Whether the tables show that it is the token: any replica finds what any other one has reached."""
    user_id, device_id = suspect.device
    found = work.fetch(
        REACHED,
        provider=suspect.provider,
        credentials=suspect.credentials,
        since=suspect.since,
        user_id=user_id,
        device_id=device_id,
    )
    return bool(found)


@dataclass
class Suspects:
    """Those for whom evidence is sought. A restart forgets them, and the next page to such a token asks again."""

    _waiting: dict[Device, Suspect] = field(default_factory=dict)
    _refused: dict[Key, dict[Device, datetime]] = field(default_factory=dict)
    """In a row: whose, and when, since a device was last reached."""
    _unseen: set[Device] = field(default_factory=set)
    _told: set[Key] = field(default_factory=set)
    """Of which the operators know."""

    def note(self, dead: RetireToken, cause: Cause, provider: str, credentials: str, now: datetime) -> None:
        """The vendor has refused a token."""
        suspect = Suspect(dead, cause, provider, credentials, now, now - TRUSTED)
        row = self._refused.setdefault(suspect.key, {})
        if len(row) < _REMEMBERED:
            row.setdefault(suspect.device, now)
        if suspect.device not in self._waiting:
            self._waiting[suspect.device] = suspect
            self._unseen.add(suspect.device)

    def to_ask(self, now: datetime, reached: Mapping[Key, datetime]) -> Sequence[Suspect]:
        """For whom to look now: at once, whenever a device was `reached`, and when their time is over.

        `reached`: since the last time, with what and when.
        """
        wanted = [s for s in self._waiting.values() if reached or s.device in self._unseen or now - s.at >= WINDOW]
        asked = [s._replace(since=max(s.since, self._since(s))) for s in wanted[:_ASKED_AT_ONCE]]
        for key, moment in reached.items():
            # What was refused after it is no less suspicious for it.
            row = {device: at for device, at in self._refused.pop(key, {}).items() if at > moment}
            if row:
                self._refused[key] = row
        return asked

    def _since(self, suspect: Suspect) -> datetime:
        row = self._refused.get(suspect.key, {})
        return next(iter(row.values())) if len(row) > MASS else suspect.since

    def asked(self, suspects: Sequence[Suspect], evident: Collection[Suspect], now: datetime) -> list[Suspect]:
        """What came of it. Returns those of which to tell the operators: nothing shows that we are not to blame."""
        told: list[Suspect] = []
        for suspect in suspects:
            key = suspect.key
            self._unseen.discard(suspect.device)
            if suspect in evident:
                self._told.discard(key)
                del self._waiting[suspect.device]
            elif now - suspect.at >= WINDOW:
                del self._waiting[suspect.device]
                if key not in self._told:
                    self._told.add(key)
                    told.append(suspect)
        return told
