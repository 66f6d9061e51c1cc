"""What events write into the tables, and settings that must be whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.settings import SettingsError
from libs.chassis.store.changes import Change, Gone, Patch, Row, compiled
from libs.contracts.auth import Platform
from libs.contracts.envelope import Envelope
from libs.contracts.model import Lane
from libs.contracts.notifier import PushTokenRetired, ReceiptsView
from services.notifier import projections as tables
from services.notifier import queries, suspects
from services.notifier.api import view_of
from services.notifier.application import ACTOR, NOTIFICATION
from services.notifier.settings import Settings
from services.notifier.tests.notifications import BO, INTEND, NINE, accepted, failed, stop
from services.notifier.tests.push_fcm_server import write_service_account


def write(*commands: Any) -> dict[str, Change]:
    """The last change of each table after these commands."""
    state = NOTIFICATION.initial()
    changes: dict[str, Change] = {}
    version = 0
    for command in commands:
        for fact in NOTIFICATION.decide(command, state):
            version += 1
            state = NOTIFICATION.evolve(state, fact)
            event: Envelope[Any] = Envelope(
                id=uuid4(),
                type=fact.type,
                time=NINE,
                entity=INTEND.notification_id,
                version=version,
                lane=NOTIFICATION.lane(state),
                actor=ACTOR,
                correlation_id=uuid4(),
                data=fact,
            )
            changes |= {change.table.name: change for change in tables.project(event, state)}
    return changes


def test_an_intent_is_in_the_outbox_until_it_is_accepted() -> None:
    row = write(INTEND)["outbox"]
    assert isinstance(row, Row)
    assert (row.values["provider"], row.values["lane"], row.values["attempt"]) == ("fcm", Lane.URGENT, 1)
    assert isinstance(write(INTEND, accepted())["outbox"], Gone)
    assert isinstance(write(INTEND, stop())["outbox"], Gone)


def test_a_retry_and_a_replacement_are_in_the_outbox() -> None:
    retry, replacement = write(INTEND, failed())["outbox"], write(INTEND, accepted(), stop())["outbox"]
    assert isinstance(retry, Row)
    assert isinstance(replacement, Row)
    assert (retry.values["kind"], retry.values["attempt"]) == ("page", 2)
    assert (replacement.values["kind"], replacement.values["attempt"]) == ("acknowledged", 2)


def test_every_attempt_has_a_row() -> None:
    assert write(INTEND, failed())["attempts"].values["outcome"] == "transient"
    assert write(INTEND, accepted())["attempts"].values["outcome"] == "accepted"


def test_only_the_intent_writes_the_whole_row_of_a_notification() -> None:
    whole, later = write(INTEND)["notifications"], write(INTEND, accepted())["notifications"]
    assert isinstance(whole, Row)
    assert set(whole.values) == {c.name for c in tables.NOTIFICATIONS.columns}
    assert isinstance(later, Patch)
    assert later.values == {"id": INTEND.notification_id, "state": "accepted"}


def test_a_retired_token_is_a_row_of_its_own() -> None:
    fact = PushTokenRetired(user_id=BO, device_id="phone", reason="Unregistered", at=NINE)
    event: Envelope[Any] = Envelope(
        id=uuid4(), type=fact.type, time=NINE, entity=uuid4(), version=1, lane=Lane.ROUTINE, actor=ACTOR,
        correlation_id=uuid4(), data=fact,
    )  # fmt: skip
    (row,) = tables.project(event, NINE)
    assert row.values == {"user_id": BO, "device_id": "phone", "dead_at": NINE, "reason": "Unregistered"}


def test_people_see_that_a_device_is_pushed_to() -> None:
    row, nothing = write(INTEND)["notifications"].values, ReceiptsView()
    view = view_of(row, (), nothing, own=True)
    assert (view.method, view.device_id, view.run, view.level, view.round) == ("push", "phone", 1, 1, 1)
    assert view_of(row, (), nothing, own=False).device_id is None
    assert not view.test


def test_what_carries_a_push_is_the_platforms() -> None:
    assert [tables.provider_of(p) for p in (Platform.IOS, Platform.ANDROID, Platform.WEB)] == ["apns", "fcm", "webpush"]


def test_every_query_compiles() -> None:
    for query in (
        queries.DEVICES_OF, queries.HEARD_OF, queries.STOPPABLE, queries.BESIDE, queries.NEXT_DUE, queries.SENDABLE,
        queries.ATTEMPTS_OF, queries.UNSENT, queries.UNTOLD, suspects.REACHED,
    ):  # fmt: skip
        assert compiled(query)[0].startswith("SELECT")


REQUIRED = {"database_url": "postgresql://h/d", "nats_url": "nats://h", "sealing_key": "k" * 32}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"apns_key_id": "KEY1234567"}, "PAGER_APNS_KEY_FILE"),
        ({"apns_url": "https://127.0.0.1:1"}, "PAGER_APNS_KEY_FILE"),
        ({"fcm_token_url": "http://127.0.0.1"}, "PAGER_FCM_CREDENTIALS_FILE"),
    ],
)
def test_a_half_configured_provider_stops_the_service(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as error:
        Settings.load(**REQUIRED, **given)
    assert "\n" not in str(error.value)


def test_health_tells_simulators_from_vendors(tmp_path: Path) -> None:
    assert Settings.load(**REQUIRED).push == "not configured"
    given = REQUIRED | {"fcm_credentials_file": write_service_account(tmp_path, "https://oauth2.example/token")}
    assert Settings.load(**given).push == "healthy"
    assert Settings.load(**given, fcm_url="http://127.0.0.1:1").push == "simulated"
