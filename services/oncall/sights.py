"""Which schedules somebody sees: the organisation's, their teams', and those that they take turns in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from libs.chassis.requests.callers import Caller
from libs.contracts.oncall import Layer
from libs.contracts.permissions import Action
from services.oncall.domain import Schedule


class Shown(NamedTuple):
    """What a list shows somebody; the fields are parameters of `projections.SCHEDULES_SEEN`."""

    organisation: bool
    teams: list[UUID]
    theirs: Jsonb


def shown(caller: Caller) -> Shown | None:
    """None: all there is."""
    sight = caller.sight(Action.SCHEDULES_READ)
    if sight.everything:
        return None
    person = str(caller.user_id) if _is_person(caller) else ""
    return Shown(sight.organisation, list(sight.teams), Jsonb([{"participants": [person]}]))


def sees(caller: Caller, team_id: UUID | None, layers: Iterable[Layer]) -> bool:
    """Whether there is such a schedule, for them."""
    if caller.rights.allow(Action.SCHEDULES_READ, team_id):
        return True
    return _is_person(caller) and any(caller.user_id in layer.participants for layer in layers)


def sees_schedule(caller: Caller, schedule: Schedule) -> bool:
    return sees(caller, schedule.team_id, schedule.layers)


def sees_row(caller: Caller, row: dict[str, Any]) -> bool:
    return sees(caller, row["team_id"], (Layer.model_validate(layer) for layer in row["layers"]))


def _is_person(caller: Caller) -> bool:
    """Their shifts are theirs, and not their machines'."""
    return caller.key_id is None and caller.bound is None
