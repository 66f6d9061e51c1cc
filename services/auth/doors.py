"""What every gateway keeps of auth's, asked for in one request (docs/adr/0071, 0073)."""

from __future__ import annotations

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.doors import DoorsView
from services.auth.features import rows_now
from services.auth.maintenance import maintenance_now


def add_door_operation(requests: Requests) -> None:
    """Gateways ask it for as long as they stand."""

    @requests.query("doors", NoRequest, public=True)
    def doors(work: Work, _body: NoRequest, _caller: None) -> DoorsView:
        return DoorsView(maintenance=maintenance_now(work), features=rows_now(work))
