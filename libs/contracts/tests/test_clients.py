"""With what somebody acted: what is proven goes before what is said, and of anything else nothing is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.contracts.clients import Client, client_of
from libs.contracts.codec import CODEC
from libs.contracts.envelope import FACTS
from libs.contracts.incidents import LONGEST_WAY, StatusBody
from libs.contracts.tests.samples import sample

NOW = datetime(2026, 3, 29, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("declared", "agent", "shown", "client"),
    [
        (None, None, {}, None),
        ("app", None, {}, Client.APP),
        ("root", "curl/8", {}, None),
        ("api_key", None, {}, None),
        ("machine", None, {}, None),
        ("App", None, {}, None),
        (None, "pager-cli/1.0", {}, Client.CLI),
        ("web", None, {"by_key": True}, Client.API_KEY),
        ("cli", None, {"by_key": True}, Client.CLI),
        ("web", None, {"by_device": True}, Client.PUSH),
        ("app", None, {"by_device": True}, Client.APP),
        ("push", None, {"is_web": True}, Client.WEB),
    ],
)
def test_what_is_proven_goes_before_what_is_said(
    declared: str | None, agent: str | None, shown: dict[str, Any], client: Client | None
) -> None:
    assert client_of(declared, agent, **shown) is client


def test_it_travels_in_one_spelling_and_stands_in_no_event_that_does_not_know_it() -> None:
    assert Client.read(str(Client.PUSH)) is Client.PUSH
    assert Client.read("push\r\nPager-Token: x") is None
    event = sample(FACTS["pager.incidents.IncidentResolved.v1"])
    assert b'"client"' not in CODEC.encode(event)
    said = event.model_copy(update={"client": Client.CLI})
    assert CODEC.decode(event.type, CODEC.encode(said)).client is Client.CLI


@pytest.mark.parametrize(
    ("occurred", "sent", "ago"),
    [
        (timedelta(minutes=-9), timedelta(0), timedelta(minutes=9)),
        (timedelta(days=900), timedelta(days=900, minutes=9), timedelta(minutes=9)),
        (timedelta(minutes=-9), None, timedelta(minutes=9)),
        (timedelta(minutes=9), None, timedelta(0)),
        (timedelta(minutes=9), timedelta(0), timedelta(0)),
        (timedelta(days=-700), timedelta(0), LONGEST_WAY),
    ],
)
def test_of_a_clock_that_is_not_ours_a_difference_is_believed_and_within_a_week(
    occurred: timedelta, sent: timedelta | None, ago: timedelta
) -> None:
    body = StatusBody(occurred_at=NOW + occurred, sent_at=None if sent is None else NOW + sent)
    assert body.said_at(NOW) == NOW - ago


def test_what_says_no_time_is_of_now() -> None:
    assert StatusBody(sent_at=NOW).said_at(NOW) is None
