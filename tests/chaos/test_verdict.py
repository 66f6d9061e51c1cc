"""The verdict itself: each kind of harm is seen, and a clean run is called clean."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.checks import Case, compare, judge, overlap, resends
from tests.chaos.evidence import Logged, Streamed
from tests.chaos.field import Down
from tests.chaos.phones import PAGE, Push
from tests.chaos.roster import Responder

ANA, BO = Responder("ana", "ana-token", ""), Responder("bo", "bo-token", "")
FIRST = Push(7, "incident", "ana-token", "intent-1", PAGE, 1, 200, at=10.0)
SECOND = Push(7, "incident", "bo-token", "intent-2", PAGE, 2, 200, at=40.0)
GOOD = Case(7, ["incident"], (ANA, BO), None, [FIRST, SECOND], {})


def kinds(case: Case, *downs: Down) -> list[str]:
    return [finding.kind for finding in judge([case], downs)]


def test_a_page_for_each_level_is_all_that_is_asked_for() -> None:
    assert kinds(GOOD) == []


def test_an_accepted_alert_without_an_incident_is_lost() -> None:
    assert kinds(replace(GOOD, incidents=[], pushes=[])) == ["lost", "lost", "lost"]


def test_a_level_that_was_not_pushed_is_lost_unless_somebody_acknowledged() -> None:
    assert kinds(replace(GOOD, pushes=[FIRST])) == ["lost"]
    assert kinds(replace(GOOD, pushes=[FIRST], acknowledged=20.0)) == []


def test_a_second_incident_or_a_second_intent_is_a_double() -> None:
    assert "doubled" in kinds(replace(GOOD, incidents=["incident", "other"]))
    assert kinds(replace(GOOD, pushes=[FIRST, SECOND, replace(SECOND, intent="intent-3")])) == ["doubled"]


def test_a_repeat_under_the_same_id_is_counted_and_no_double() -> None:
    case = replace(GOOD, pushes=[FIRST, FIRST, SECOND])
    assert kinds(case) == []
    assert resends([case]) == {7: 1}


def test_a_push_to_the_wrong_phone_is_misdirected() -> None:
    assert kinds(replace(GOOD, pushes=[FIRST, SECOND, replace(SECOND, push_token="ana-token")])) == ["misdirected"]


def test_a_push_after_an_acknowledgement_is_late_but_for_outages_on_its_way() -> None:
    late = replace(GOOD, acknowledged=38.0)
    assert kinds(late) == ["late"]
    assert kinds(late, Down("nats", 37.0, 39.1)) == []
    assert kinds(late, Down("auth", 37.0, 39.1)) == ["late"]
    assert kinds(late, Down("nats", 30.0, 37.9)) == ["late"]
    assert kinds(replace(late, pushes=[FIRST, replace(SECOND, kind="acknowledged")])) == []


def test_outages_that_overlap_count_once() -> None:
    downs = [Down("nats", 1.0, 3.0), Down("incidents", 2.0, 4.0), Down("notifier", 9.0, 12.0)]
    assert overlap(downs, 0.0, 10.0) == 4.0


def test_a_stream_must_hold_what_the_log_holds_in_its_order_with_an_unbroken_chain() -> None:
    log = [Logged(position, "urgent", "t", b"%d" % position) for position in (1, 3, 4)]
    before = {1: 0, 3: 1, 4: 3}
    stream = [
        Streamed(n, "pager.events.incidents.urgent.T.x", e.position, before[e.position], "", e.raw)
        for n, e in enumerate(log, start=1)
    ]
    assert compare("incidents", log, stream) == []
    assert compare("incidents", log, stream[:2]) != []
    assert compare("incidents", log[:2], stream) != []
    assert compare("incidents", log, [*stream, stream[2]]) != []
    assert compare("incidents", log, [stream[1], stream[0], stream[2]]) != []
    assert compare("incidents", log, [stream[0], replace(stream[1], previous=2), stream[2]]) != []
    assert compare("incidents", log, [stream[0], replace(stream[1], raw=b"other"), stream[2]]) != []
