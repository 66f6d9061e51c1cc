"""What the gateway may ask of the notifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import part_of
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.notifier import (
    AttemptView,
    MethodKind,
    NotificationList,
    NotificationsQuery,
    NotificationView,
    ReachableQuery,
    Reached,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import NotFound
from services.notifier.queries import ATTEMPTS_OF, NOTIFICATIONS_OF, PAGES_OF, REACHABLE, TEAM_OF


def api() -> Requests:
    """`list`: whoever sees an incident sees who was told of it: its team, whom it has paged, and who has taken it.

    On which of their devices is their own affair: its id is what a phone signs in with.
    `reachable`: whoever must know who can be paged at all is told that, and nothing of devices and tokens.
    """
    requests = Requests("notifier")

    @requests.query("list", NotificationsQuery, action=Action.NOTIFICATIONS_READ)
    def list_notifications(work: Work, query: NotificationsQuery, caller: Caller) -> NotificationList:
        page = NOTIFICATIONS_OF.page(work, query, incident_id=query.incident_id)
        if page.total and not _sees(work, query.incident_id, caller):
            raise NotFound("there is no such incident").hides()
        attempts: dict[UUID, list[AttemptView]] = {row["id"]: [] for row in page.rows}
        for row in work.fetch(ATTEMPTS_OF, ids=list(attempts)):
            attempts[row["notification_id"]].append(AttemptView.model_validate(row))
        views = (view_of(row, attempts[row["id"]], own=row["user_id"] == caller.person) for row in page.rows)
        return NotificationList(**page.told("notifications", views))

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
        return part_of("notifier", {"notifications": _pages_of}, work, query, caller)

    @requests.handle("reachable", ReachableQuery, public=True)
    def reachable(work: Work, query: ReachableQuery, _caller: None) -> Reached:
        rows = work.fetch(REACHABLE, ids=list(query.user_ids))
        return Reached(user_ids=tuple(row["user_id"] for row in rows))

    return requests


def _sees(work: Work, incident_id: UUID, caller: Caller) -> bool:
    """Whether they see an incident that somebody was told of. Where nobody stands as its responder it has no team."""
    rows = work.fetch(TEAM_OF, incident_id=incident_id, person=caller.person)
    team_id, is_theirs = (rows[0]["team_id"], rows[0]["is_theirs"]) if rows else (None, False)
    return bool(is_theirs) or caller.may(Action.NOTIFICATIONS_READ, team_id)


def _pages_of(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    """What a person was told of, for them."""

    def told(row: Mapping[str, Any]) -> Mapping[str, Any]:
        attempts = [AttemptView.model_validate(attempt) for attempt in work.fetch(ATTEMPTS_OF, ids=[row["id"]])]
        return view_of(row, attempts, own=True).model_dump(mode="json", by_alias=True)

    return PAGES_OF.page(work, cursor, told, person=person)


def view_of(row: Mapping[str, Any], attempts: Sequence[AttemptView], *, own: bool) -> NotificationView:
    """A row of the table as people see it: they know devices, and that these are pushed to."""
    shown = {"method": MethodKind(row["method_kind"]).shown, "device_id": row["method_id"] if own else None}
    return NotificationView.model_validate({**row, **shown, "attempts": tuple(attempts)})
