"""The question that every service answers whose log holds what people change."""

from __future__ import annotations

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.audit import AuditPage, AuditQuery
from libs.contracts.permissions import Action


def add_audit(requests: Requests, trail: Trail) -> None:
    """`audit`: who did what, newest first. A machine that may not see how people are reached is not told that here."""

    @requests.query("audit", AuditQuery, action=Action.AUDIT_READ)
    def audit(work: Work, body: AuditQuery, caller: Caller) -> AuditPage:
        return trail.page(work, body, personal=caller.may(Action.PEOPLE_CONTACT))
