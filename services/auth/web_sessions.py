"""Sessions of browsers end when their people have asked for nothing for a while; phones lock themselves.

How long such a session goes on is when it expires: asking for something puts that off, renewing it does not. Its access
tokens end with it, so nobody comes back to a forgotten browser in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Work
from libs.contracts.web_sessions import Present
from services.auth.queries import SESSIONS_LOCKED
from services.auth.tables.sessions import sessions

IDLE: Final = timedelta(minutes=30)
"""Technical specification, Session Management."""


def goes_on_until(now: datetime, lifetime: timedelta, *, is_web: bool) -> datetime:
    """When a session expires whose person has just asked for something; `lifetime`: a phone's."""
    return now + (min(IDLE, lifetime) if is_web else lifetime)


def ends_at(session: Mapping[str, Any], now: datetime) -> datetime:
    """When one ends that is renewed: as before. A clock that was ahead must not have given it years."""
    expires_at: datetime = session["expires_at"]
    return min(expires_at, now + IDLE)


def present(work: Work, body: Present) -> None:
    """Put the end of these sessions off. One that was over by then stays over."""
    asked_at = {one.session_id: work.now - timedelta(seconds=one.seconds_ago) for one in body.sessions}
    for row in work.fetch(SESSIONS_LOCKED, ids=sorted(asked_at)):
        at = asked_at[row["id"]]
        if row["is_web"] and at < row["expires_at"] < at + IDLE:
            work.put(Row(sessions, row | {"expires_at": at + IDLE}))
