"""Sessions of machines: which tokens an API key's secret is exchanged for, until something of the key is taken away.

Each secret names a session, as its tokens do. Ended as any session is, they are refused wherever tokens are checked;
the secret, if it stays, names another one.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from libs.chassis.store.changes import Gone, Patch
from libs.chassis.store.work import Cause, Decider, Work
from services.auth.domain import sessions
from services.auth.domain.sessions import EndMachineSession
from services.auth.queries import API_KEYS_OF_OWNER, SECRETS_LOCKED
from services.auth.tables.keys import api_key_secrets

Sessions = Decider[sessions.State, sessions.Command]


def end(
    work: Work,
    decider: Sessions,
    key_ids: Iterable[UUID],
    user_id: UUID,
    reason: str,
    cause: Cause,
    *,
    only: UUID | None = None,
    for_good: bool = False,
) -> None:
    """End the sessions of these keys' secrets, or of one of them; `for_good`: the secrets go with them.

    `user_id`: who has made them.
    """
    rows = [row for row in work.fetch(SECRETS_LOCKED, ids=list(key_ids)) if only in (None, row["id"])]
    work.load(decider, [row["session_id"] for row in rows])
    for row in rows:
        ended = EndMachineSession(user_id, row["session_id"], reason)
        work.decide(decider, row["session_id"], ended, cause)
        if for_good:
            work.put(Gone(api_key_secrets, {"id": row["id"]}))
        else:
            work.put(Patch(api_key_secrets, {"id": row["id"], "session_id": work.new_id()}))


def end_of_owner(work: Work, decider: Sessions, owner_id: UUID, reason: str, cause: Cause) -> None:
    """End those of all keys that have this person's rights, whose row is locked."""
    owned = [row["id"] for row in work.fetch(API_KEYS_OF_OWNER, owner_id=owner_id)]
    if owned:
        end(work, decider, owned, owner_id, reason, cause)
