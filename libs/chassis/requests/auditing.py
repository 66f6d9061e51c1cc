"""The question that every service answers whose log holds what people change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.cursors import ForeignCursor
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.audit import AuditPage, AuditPlace, AuditQuery
from libs.contracts.permissions import Action

Pages = Callable[[Work, AuditQuery], AuditPage]


def add_audit(requests: Requests, trail: Trail, others: Mapping[str, Pages] = MappingProxyType({})) -> None:
    """`audit`: who did what, newest first. A machine that may not see how people are reached is not told that here.

    `others`: kinds of resources that are told of elsewhere than in the log.
    """

    @requests.query("audit", AuditQuery, action=Action.AUDIT_READ)
    def audit(work: Work, body: AuditQuery, caller: Caller) -> AuditPage:
        # Whoever merges several audits tells each of them the place, and gives its seal to whose entry it was.
        if body.cursor is not None and (body.after is None or body.cursor != _inside(body.after)):
            raise ForeignCursor
        if body.kind is not None and body.kind in others:
            page = others[body.kind](work, body)
        else:
            page = trail.page(work, body, personal=caller.may(Action.PEOPLE_CONTACT))
        return page.model_copy(update={"cursors": tuple(_inside(AuditPlace.of(entry)) for entry in page.entries)})


def _inside(place: AuditPlace) -> str:
    return place.to_json().decode()
