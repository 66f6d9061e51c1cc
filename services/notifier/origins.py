"""Where the notifier's tables come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import Origins, Replica, folding
from libs.contracts.erasure import PersonErased
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
    PushTokenRetired,
    ReceiptRecorded,
)
from services.notifier import replicas
from services.notifier.application import NOTIFICATION, PERSON, TOKEN
from services.notifier.projections import (
    ATTEMPTS,
    DEVICES,
    INACTIVE,
    LAST_RECEIPTS,
    NOTIFICATIONS,
    OUTBOX,
    PAGING,
    PERSON_KEYS,
    RECEIPTS,
    RESPONDERS,
    RETIRED_TOKENS,
    STOPPED,
    UNREACHABLE,
    project,
)

ORIGINS = Origins(
    "notifier",
    project,
    streams={
        (
            NotificationIntended,
            NotificationAccepted,
            AttemptFailed,
            NotificationReplaced,
            NotificationWithdrawn,
            ReceiptRecorded,
        ): folding(NOTIFICATION),
        (PersonUnreachable,): folding(PERSON[Lane.ROUTINE]),
        (PushTokenRetired,): folding(TOKEN),
    },
    projections=(NOTIFICATIONS, ATTEMPTS, RECEIPTS, LAST_RECEIPTS, OUTBOX, RETIRED_TOKENS, UNREACHABLE),
    replicas=(
        Replica(DEVICES, {"auth": (*replicas.DEVICE_FACTS, PersonErased)}, replicas.person_change),
        Replica(INACTIVE, {"auth": (*replicas.ACTIVE_FACTS, PersonErased)}, replicas.person_change),
        Replica(STOPPED, {"incidents": replicas.ANSWERS}, replicas.stop_change),
        Replica(PAGING, {"escalation": replicas.DUES}, replicas.place_change),
        Replica(RESPONDERS, {"escalation": replicas.DUES, "incidents": replicas.ANSWERS}, replicas.responder_changes),
    ),
    rows={PERSON_KEYS: "keys of persons, which auth gives and which are in no event"},
)
