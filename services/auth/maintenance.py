"""Auth's operations about maintenance, which the gateways follow (docs/adr/0071)."""

from __future__ import annotations

from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Decider, Work
from libs.contracts.envelope import Actor
from libs.contracts.maintenance import MAINTENANCE_ID, MaintenanceView, SetMaintenance
from libs.contracts.permissions import Action
from services.auth.domain import maintenance
from services.auth.queries import MAINTENANCE as ROW

MAINTENANCE: Decider[maintenance.Maintenance, maintenance.SetMaintenance] = Decider(
    maintenance.initial, maintenance.evolve, maintenance.decide
)


def add_maintenance_operations(requests: Requests) -> None:
    """Admins say when; whoever stands at the door asks what holds (`doors.py`)."""

    @requests.handle("set_maintenance", SetMaintenance, action=Action.MAINTENANCE, turn=_one)
    def set_maintenance(work: Work, body: SetMaintenance, caller: Caller) -> MaintenanceView:
        caller.require(Action.MAINTENANCE)
        command = maintenance.SetMaintenance(body.enabled, body.message, body.until, work.now)
        events = work.decide(MAINTENANCE, MAINTENANCE_ID, command, caller.cause(work))
        if not events:
            return maintenance_now(work)
        state = work.state(MAINTENANCE, MAINTENANCE_ID)
        return MaintenanceView(
            enabled=state.enabled,
            message=state.message,
            until=state.until,
            changed_by=events[0].actor,
            changed_at=events[0].time,
        )

    @requests.query("maintenance", NoRequest, action=Action.MAINTENANCE)
    def of_admins(work: Work, _body: NoRequest, _caller: Caller) -> MaintenanceView:
        return maintenance_now(work)


def _one(_body: SetMaintenance, _caller: Caller) -> UUID:
    return MAINTENANCE_ID


def maintenance_now(work: Work) -> MaintenanceView:
    """One that has ended by itself is off."""
    rows, now = work.fetch(ROW), work.now
    if not rows:
        return MaintenanceView()
    (row,) = rows
    known = {"changed_by": Actor.model_validate_json(row["changed_by"]), "changed_at": row["changed_at"]}
    if not row["enabled"] or (row["until"] is not None and row["until"] <= now):
        return MaintenanceView(**known)
    return MaintenanceView(enabled=True, message=row["message"], until=row["until"], **known)
