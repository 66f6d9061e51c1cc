"""What is kept of people's passwords: whose hash is which, and the ones before; how one takes another's place."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from libs.contracts.requests import NotFound
from services.auth.links import Purpose
from services.auth.look_ups import address_hash
from services.auth.passwords import LAST
from services.auth.post import withdraw
from services.auth.queries import FORMER_PASSWORDS, PASSWORD_OF, USER_BY_EMAIL, USER_WITH_PASSWORD
from services.auth.tables.passwords import former_passwords, passwords
from services.auth.views import user_view


@dataclass(frozen=True, slots=True)
class Credentials:
    """A person, the hash that a password must fit, since when, and those of the ones before, the last first."""

    user: UserView
    password_hash: str = field(repr=False)
    changed_at: datetime
    former: tuple[str, ...] = field(default=(), repr=False)


def credentials_of(work: Work, email: str) -> Credentials | None:
    """Who signs in with this address, however it is spelt."""
    rows = work.fetch(USER_BY_EMAIL, hash=address_hash(work, email))
    return _credentials(rows[0]) if rows else None


def credentials_by_email(work: Work, email: str) -> Credentials:
    """With the former passwords. Raises NotFound."""
    known = credentials_of(work, email)
    if known is None:
        raise NotFound(f"nobody has the address {email}", field="email")
    return credentials_of_user(work, known.user.id)


def credentials_of_user(work: Work, user_id: UUID) -> Credentials:
    """With the former passwords. Raises NotFound."""
    rows = work.fetch(USER_WITH_PASSWORD, id=user_id)
    if not rows:
        raise NotFound(f"there is no user {user_id}", field="id")
    return _credentials(rows[0], tuple(row["hash"] for row in work.fetch(FORMER_PASSWORDS, user_id=user_id)))


def _credentials(row: dict[str, Any], former: tuple[str, ...] = ()) -> Credentials:
    return Credentials(user_view(row), row["password_hash"], row["changed_at"], former)


def still_fits(work: Work, user_id: UUID, password_hash: str) -> bool:
    """Whether the password is the one that was looked at; their row is locked."""
    return [row["hash"] for row in work.fetch(PASSWORD_OF, user_id=user_id)] == [password_hash]


def replace_password(work: Work, user_id: UUID, old: str, new: str) -> None:
    """Their row is locked. Links to choose another one are good no longer."""
    withdraw(work, Purpose.RESET, user_id)
    before = work.fetch(FORMER_PASSWORDS, user_id=user_id)
    for row in before[LAST - 2 :]:
        work.put(Gone(former_passwords, {"user_id": user_id, "hash": row["hash"]}))
    # After the one before it, also for a clock that stands or was set back: this is their order.
    replaced_at = max([work.now, *(row["replaced_at"] + timedelta.resolution for row in before[:1])])
    work.put(Row(former_passwords, {"user_id": user_id, "hash": old, "replaced_at": replaced_at}))
    work.put(Row(passwords, {"user_id": user_id, "hash": new, "changed_at": work.now}))
