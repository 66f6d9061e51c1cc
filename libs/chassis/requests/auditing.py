"""The question that every service answers whose log holds what people change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.audit import AuditPage, AuditQuery
from libs.contracts.permissions import Action

Pages = Callable[[Work, AuditQuery], AuditPage]


def add_audit(requests: Requests, trail: Trail, others: Mapping[str, Pages] = MappingProxyType({})) -> None:
    """`audit`: who did what, newest first. A machine that may not see how people are reached is not told that here.

    `others`: kinds of resources that are told of elsewhere than in the log.
    """

    @requests.query("audit", AuditQuery, action=Action.AUDIT_READ)
    def audit(work: Work, body: AuditQuery, caller: Caller) -> AuditPage:
        if body.kind is not None and body.kind in others:
            return others[body.kind](work, body)
        return trail.page(work, body, personal=caller.may(Action.PEOPLE_CONTACT))
