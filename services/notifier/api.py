"""What the gateway may ask of the notifier."""

from __future__ import annotations

from typing import Any

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.notifier import AttemptView, NotificationList, NotificationsQuery, NotificationView
from services.notifier.projections import ATTEMPTS_OF, NOTIFICATIONS_OF


def api() -> Requests:
    """`list`: whoever is signed in may see who was told of an incident, as they may see the incident."""
    requests = Requests("notifier")

    @requests.handle("list", NotificationsQuery)
    def list_notifications(work: Work, query: NotificationsQuery, _caller: Caller) -> NotificationList:
        rows = work.fetch(NOTIFICATIONS_OF, incident_id=query.incident_id)
        attempts: dict[Any, list[AttemptView]] = {row["id"]: [] for row in rows}
        for row in work.fetch(ATTEMPTS_OF, ids=list(attempts)):
            attempts[row["notification_id"]].append(AttemptView.model_validate(row))
        return NotificationList(
            notifications=tuple(
                NotificationView.model_validate(row | {"attempts": tuple(attempts[row["id"]])}) for row in rows
            )
        )

    return requests
