"""Second factors that go: with their owners' code or password, and from whoever has lost theirs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Gone
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.auth import UserView
from libs.contracts.requests import Forbidden, NotFound
from services.auth import entities, signed_in
from services.auth.domain import second_factors
from services.auth.domain.second_factors import Disable, second_factor_entity
from services.auth.queries import RECOVERY_CODES, SECOND_FACTOR
from services.auth.tables.passwords import recovery_codes
from services.auth.tables.passwords import second_factors as second_factors_table
from services.auth.views import user_view

SECOND_FACTORS: Decider[second_factors.State, second_factors.Command] = Decider(
    second_factors.initial, second_factors.evolve, second_factors.decide
)


def disable(work: Work, user_id: UUID, reason: str, cause: Cause) -> None:
    """Forget somebody's second factor; their row is locked."""
    for row in work.fetch(RECOVERY_CODES, user_id=user_id):
        work.put(Gone(recovery_codes, row))
    work.put(Gone(second_factors_table, {"user_id": user_id}))
    work.decide(SECOND_FACTORS, second_factor_entity(user_id), Disable(reason), cause)


def take_away(work: Work, user_id: UUID, reason: str, cause: Cause) -> int:
    """From somebody who has lost it: their sessions end, and they are paged as before; how many these were.

    Raises NotFound: there is no such person, or they have none.
    """
    locked(work, user_id)
    row = factor_of(work, user_id)
    if row is None or row["confirmed_at"] is None:
        raise NotFound("they have no second factor", field="id")
    disable(work, user_id, reason, cause)
    return signed_in.end_sessions(work, user_id, "second factor taken away", cause)


def take_from_another(work: Work, user_id: UUID, caller: Caller, cause: Cause) -> None:
    """As an admin. Raises Forbidden or NotFound."""
    if user_id == caller.user_id:
        raise Forbidden("your own goes with a code or your password: DELETE /users/me/totp")
    take_away(work, user_id, "taken away by an admin", cause)


def locked(work: Work, user_id: UUID) -> UserView:
    """The person, to the end of the transaction: what is looked at comes one after the other. Raises NotFound."""
    return user_view(entities.locked_user(work, user_id))


def factor_of(work: Work, user_id: UUID) -> dict[str, Any] | None:
    rows = work.fetch(SECOND_FACTOR, user_id=user_id)
    return rows[0] if rows else None
