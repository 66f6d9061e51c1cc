"""Notifications and their attempts: what notifier publishes and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Fact
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Contract, Lane, Moment, Run, SentMoment, StrictContract
from libs.contracts.requests import ListPage, ListView


class NotificationKind(StrEnum):
    PAGE = "page"
    ACKNOWLEDGED = "acknowledged"
    """Replaces a page that a phone shows: somebody has taken it."""
    RESOLVED = "resolved"
    """Replaces a page that a phone shows: it is over."""


class NotificationState(StrEnum):
    """`accepted` means accepted by the vendor and is never called delivered (promise 11)."""

    INTENDED = "intended"
    ACCEPTED = "accepted"
    REPLACED = "replaced"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class ReceiptState(StrEnum):
    """What a phone says of a page that it was sent, in the order in which it happens."""

    RECEIVED = "received"
    DISPLAYED = "displayed"
    OPENED = "opened"
    """By its person."""


class MethodKind(StrEnum):
    """What carries a notification to a person; each kind has a breaker, places and deadlines of its own."""

    APNS = "apns"
    FCM = "fcm"
    WEBPUSH = "webpush"
    """Browsers, each by the push service of its maker (RFC 8030)."""

    @property
    def shown(self) -> str:
        """How people call it: phones are pushed to, whoever made them."""
        return "push"


class Method(Contract):
    """One way to reach a person: a device that is pushed to, later an address that a message goes to."""

    id: str
    """Of a device: its `deviceId`."""
    kind: MethodKind


class NotificationIntended(Fact, type="pager.notifier.NotificationIntended.v1"):
    """Committed before it is sent; `notification_id` is deterministic, so a crash repeats and never doubles."""

    notification_id: UUID
    incident_id: UUID
    """Of a test, which is about none: the notification's own id (`is_test`)."""
    user_id: UUID
    method: Method
    run: Run = 1
    round: int
    level: int
    step: int = 1
    """Of the person's rule: further steps are later."""
    lane: Lane
    """The lane of the event that asked for it; all later events of the notification stay in it."""
    decided_at: Moment
    """When escalation decided the level: what was acknowledged at or after this moment does not ring any more."""
    at: Moment
    not_before: Moment | None = None
    """When it is to be sent; None: at once."""
    further: int = 0
    """Pages of its incident to this person for which it speaks as well: they were withdrawn as `bundled`."""
    expires_at: Moment
    brief: IncidentBrief


class NotificationAccepted(Fact, type="pager.notifier.NotificationAccepted.v1"):
    notification_id: UUID
    incident_id: UUID
    user_id: UUID
    attempt: int
    kind: NotificationKind = NotificationKind.PAGE
    """What was sent: the page, or the silent replacement of it."""
    provider: str
    vendor_id: str | None = None
    credentials: str | None = None
    """A fingerprint of those with which it was sent: a token that another one's refuse may be good."""
    at: Moment


class AttemptFailed(Fact, type="pager.notifier.AttemptFailed.v1"):
    """One send failed; with `retry_at` it will be tried again, without it was the last."""

    notification_id: UUID
    incident_id: UUID
    user_id: UUID
    attempt: int
    kind: NotificationKind = NotificationKind.PAGE
    provider: str
    verdict: str
    reason: str
    at: Moment
    retry_at: Moment | None = None


class NotificationReplaced(Fact, type="pager.notifier.NotificationReplaced.v1"):
    """A page that a phone shows is replaced, silently, under the same `notification_id`."""

    notification_id: UUID
    incident_id: UUID
    user_id: UUID
    kind: NotificationKind
    at: Moment


class NotificationWithdrawn(Fact, type="pager.notifier.NotificationWithdrawn.v1"):
    """Never sent (or not again): `reason` is an answer (`acknowledged`, `snoozed`, `resolved`, `closed`), `expired`, or

    `bundled`: a newer page about the same incident speaks for it.
    """

    notification_id: UUID
    incident_id: UUID
    user_id: UUID
    reason: str
    at: Moment


class ReceiptRecorded(Fact, type="pager.notifier.ReceiptRecorded.v1"):
    """A phone has said that it received, showed, or opened a page; each at most once of a notification."""

    notification_id: UUID
    incident_id: UUID
    user_id: UUID
    state: ReceiptState
    seen_at: Moment
    """When, as far as the phone's clock is believed: after the page was intended, and in the order of the states."""
    at: Moment
    """When we heard of it: later, where the phone had no network."""


class PersonUnreachable(Fact, type="pager.notifier.PersonUnreachable.v1"):
    """A level wanted this person and there was no way to reach them, e.g. `no device`."""

    incident_id: UUID
    user_id: UUID
    run: Run = 1
    level: int
    round: int
    reason: str
    at: Moment
    brief: IncidentBrief | None = None
    """What they were to be told: whoever registers a device while nobody has answered is told it there."""


class PushTokenRetired(Fact, type="pager.notifier.PushTokenRetired.v1"):
    """The vendor says that the token is dead; it was registered before `at`."""

    user_id: UUID
    device_id: str
    reason: str
    at: Moment


class _OfANotification(Protocol):
    @property
    def notification_id(self) -> UUID: ...

    @property
    def incident_id(self) -> UUID: ...


def is_test(fact: _OfANotification) -> bool:
    """Whether it is about a page that somebody has sent to a device of their own, to see it come: no incident's."""
    return fact.incident_id == fact.notification_id


class ReachableQuery(Contract):
    """`pager.rpc.notifier.reachable`: who of these people has a device that can be paged?"""

    user_ids: tuple[UUID, ...] = Field(max_length=1000)


class Reached(Contract):
    """Those who have; not which, and no address."""

    user_ids: tuple[UUID, ...]


class NotificationsQuery(ListPage):
    incident_id: UUID
    limit: int = Field(default=100, ge=1, le=100)


class AttemptView(Contract):
    attempt: int
    at: Moment
    provider: str
    outcome: str
    reason: str | None = None
    vendor_id: str | None = None


class ReceiptsView(Contract):
    """When each happened, as far as the phone's clock is believed; None: not that we have heard."""

    received: Moment | None = None
    displayed: Moment | None = None
    opened: Moment | None = None


class NotificationView(Contract):
    id: UUID
    incident_id: UUID
    """Of a test, which is about none: its own id."""
    user_id: UUID
    method: str
    device_id: str | None = None
    """Only for the person whom it went to."""
    run: int
    level: int
    round: int
    state: NotificationState
    created_at: Moment
    attempts: tuple[AttemptView, ...] = ()
    receipts: ReceiptsView = ReceiptsView()
    test: bool = False


class NotificationList(ListView):
    """Oldest first."""

    notifications: tuple[NotificationView, ...]


class ReceiptBody(StrictContract):
    """`POST /notifications/{id}/receipts`."""

    state: ReceiptState
    at: SentMoment
    """By the phone's clock. One that cannot be right, from before the page or from the future, does not count, and when
    we hear of it stands for it."""


class RecordReceipt(ReceiptBody):
    id: UUID


class SendTest(StrictContract):
    """`POST /devices/{deviceId}/test`."""

    device_id: str = Field(min_length=1, max_length=255)


class WebPushKey(Contract):
    """What a browser subscribes with (`applicationServerKey`): an uncompressed point of P-256 in base64url."""

    public_key: str


class DeviceReceipt(Contract):
    device_id: str
    last_receipt_at: Moment


class DeviceReceipts(Contract):
    """`pager.rpc.notifier.device_receipts`: when each of the caller's devices was last heard of; those that never were
    are not in it."""

    devices: tuple[DeviceReceipt, ...]
