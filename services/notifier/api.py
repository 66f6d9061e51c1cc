"""What the gateway may ask of the notifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import part_of
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.notifier import (
    AttemptView,
    DeviceReceipt,
    DeviceReceipts,
    Method,
    MethodKind,
    NotificationList,
    NotificationsQuery,
    NotificationView,
    ReachableQuery,
    Reached,
    ReceiptsView,
    RecordReceipt,
    SendTest,
    WebPushKey,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, NotFound
from services.notifier.application import receive, send_test
from services.notifier.domain.notification import Notification
from services.notifier.queries import (
    ATTEMPTS_OF,
    DEVICE,
    LAST_RECEIPTS_OF,
    NOTIFICATION_OF,
    NOTIFICATIONS_OF,
    PAGES_OF,
    REACHABLE,
    RECEIPTS_OF,
    TEAM_OF,
)


def api(web_key: str | None = None) -> Requests:
    """`web_key`: with what browsers subscribe; None: Web Push is not set up.

    `list`: whoever sees an incident sees who was told of it: its team, whom it has paged, and who has taken it.

    On which of their devices is their own affair: its id is what a phone signs in with.
    `reachable`: whoever must know who can be paged at all is told that, and nothing of devices and tokens.
    """
    requests = Requests("notifier")

    @requests.query("list", NotificationsQuery, action=Action.NOTIFICATIONS_READ)
    def list_notifications(work: Work, query: NotificationsQuery, caller: Caller) -> NotificationList:
        page = NOTIFICATIONS_OF.page(work, query, incident_id=query.incident_id)
        if page.total and not _sees(work, query.incident_id, caller):
            raise NotFound("there is no such incident").hides()
        return NotificationList(**page.told("notifications", _views(work, page.rows, caller.person)))

    @requests.query("get", ById, action=Action.NOTIFICATIONS_READ)
    def get_notification(work: Work, query: ById, caller: Caller) -> NotificationView:
        rows = work.fetch(NOTIFICATION_OF, id=query.id)
        own = bool(rows) and rows[0]["user_id"] == caller.person
        if not rows or not (
            own or (rows[0]["id"] != rows[0]["incident_id"] and _sees(work, rows[0]["incident_id"], caller))
        ):
            raise NotFound("there is no such notification").hides()
        return next(_views(work, rows, caller.person))

    # A phone says again what it has heard no answer to: saying it twice is saying it once.
    @requests.handle("receipt", RecordReceipt, action=Action.NOTIFICATIONS_RECEIPT)
    def record_receipt(work: Work, body: RecordReceipt, caller: Caller) -> None:
        receive(work, body.id, caller.person, (body.state, body.at), caller.cause(work))

    @requests.query("device_receipts", NoRequest, action=Action.ME)
    def device_receipts(work: Work, _query: NoRequest, caller: Caller) -> DeviceReceipts:
        rows = work.fetch(LAST_RECEIPTS_OF, user_id=caller.user_id)
        return DeviceReceipts(devices=tuple(DeviceReceipt.model_validate(row) for row in rows))

    @requests.handle("test_device", SendTest, action=Action.ME)
    def test_device(work: Work, body: SendTest, caller: Caller) -> NotificationView:
        found = work.fetch(DEVICE, user_id=caller.user_id, device_id=body.device_id)
        if not found:
            raise NotFound("you have no such device", field="deviceId")
        method = Method(id=body.device_id, kind=MethodKind(found[0]["kind"]))
        return _begun(send_test(work, caller.user_id, method, caller.cause(work)))

    @requests.query("web_push_key", NoRequest, action=Action.ME)
    def web_push_key(_work: Work, _query: NoRequest, _caller: Caller) -> WebPushKey:
        if web_key is None:
            raise NotFound("Web Push is not set up here: PAGER_VAPID_KEY_FILE and PAGER_VAPID_SUBJECT are missing")
        return WebPushKey(public_key=web_key)

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
        return next(_views(work, [row], person)).model_dump(mode="json", by_alias=True)

    return PAGES_OF.page(work, cursor, told, person=person)


def _views(work: Work, rows: Sequence[Mapping[str, Any]], person: UUID | None) -> Iterator[NotificationView]:
    """These rows of the table as `person` sees them; None: a machine."""
    attempts: dict[UUID, list[AttemptView]] = {row["id"]: [] for row in rows}
    for row in work.fetch(ATTEMPTS_OF, ids=list(attempts)):
        attempts[row["notification_id"]].append(AttemptView.model_validate(row))
    receipts: dict[UUID, dict[str, datetime]] = {one: {} for one in attempts}
    for row in work.fetch(RECEIPTS_OF, ids=list(attempts)):
        receipts[row["notification_id"]][row["state"]] = row["seen_at"]
    for told in rows:
        seen = ReceiptsView(**receipts[told["id"]])
        yield view_of(told, attempts[told["id"]], seen, own=told["user_id"] == person)


def _begun(state: Notification) -> NotificationView:
    """A notification that was just intended."""
    intent = state.intent
    row: dict[str, Any] = intent.model_dump(include={"incident_id", "user_id", "run", "round", "level"})
    method = {"method_kind": intent.method.kind, "method_id": intent.method.id}
    row |= {"id": intent.notification_id, "state": state.stage, "created_at": intent.at, **method}
    return view_of(row, (), ReceiptsView(), own=True)


def view_of(
    row: Mapping[str, Any], attempts: Sequence[AttemptView], receipts: ReceiptsView, *, own: bool
) -> NotificationView:
    """A row of the table as people see it: they know devices, and that these are pushed to."""
    shown = {"method": MethodKind(row["method_kind"]).shown, "device_id": row["method_id"] if own else None}
    shown |= {"attempts": tuple(attempts), "receipts": receipts, "test": row["id"] == row["incident_id"]}
    return NotificationView.model_validate({**row, **shown})
