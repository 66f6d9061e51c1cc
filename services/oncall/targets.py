"""Which policies page a schedule: a replica of ESCALATION, for whoever wants to delete one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, Integer, Table, Text, Uuid, any_, bindparam, func, select

from libs.chassis.consume.arrival import Unreachable
from libs.chassis.store.changes import Change, Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.envelope import Envelope
from libs.contracts.escalation import PolicyChanged, PolicyCreated, PolicyDeleted, TargetType
from libs.contracts.uses import MOST_NAMED, Use, UserKind
from services.oncall.projections import metadata

FROM_ESCALATION = (PolicyCreated, PolicyChanged, PolicyDeleted)

policies = Table(
    "policies",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("schedule_ids", ARRAY(Uuid), nullable=False),
)
_POLICY = select(policies.c.id).where(policies.c.id == bindparam("id", type_=Uuid))
_TARGETING = (
    select(policies.c.id, policies.c.name, func.count().over().label("total"))
    .where(bindparam("id", type_=Uuid) == any_(policies.c.schedule_ids))
    .order_by(policies.c.name, policies.c.id)
    .limit(bindparam("count", type_=Integer))
)


def follow_policies(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Keep which schedules each policy pages now."""
    for event in events:
        work.put(*replicate_policy(event))


def replicate_policy(event: Envelope[Any]) -> Iterable[Change]:
    """The row that an event of ESCALATION writes here; pure, for rebuilds."""
    match event.data:
        case PolicyCreated() | PolicyChanged() as policy:
            targets = (target for level in policy.levels for target in level.targets)
            paged = {target.id for target in targets if target.type is TargetType.SCHEDULE and target.id is not None}
            yield Row(policies, {"id": policy.policy_id, "name": policy.name, "schedule_ids": sorted(paged)})
        case PolicyDeleted(policy_id=policy_id):
            yield Gone(policies, {"id": policy_id})


def targeting(work: Work, schedule_id: UUID) -> tuple[list[Use], int]:
    """The first of the policies that page a schedule, and how many there are.

    Raises:
        Unreachable: not even Default is known here, which every installation has.
    """
    if not work.fetch(_POLICY, id=DEFAULT_POLICY_ID):
        raise Unreachable
    rows = work.fetch(_TARGETING, id=schedule_id, count=MOST_NAMED)
    uses = [Use(type=UserKind.POLICY, id=row["id"], name=row["name"]) for row in rows]
    return uses, rows[0]["total"] if rows else 0
