"""What apps tell of themselves: metrics with few series, lines that name nobody, and no way to cost anybody much."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from libs.chassis.measure.metrics import Metrics
from libs.chassis.testing.clock import MovableClock
from libs.contracts.api_keys import new_key
from libs.contracts.client_reports import ClientReport
from services.gateway.client_reports import LINES, OF_ONE, ReportMeasures, Reports, scrubbed
from services.gateway.limits import SIZES, Limit
from services.gateway.tests import views as v
from services.gateway.tests.stubs import Answer, World, world

PATH = "/api/v1/client-reports"
TIMING: dict[str, Any] = {
    "kind": "timing",
    "name": "start",
    "milliseconds": 420,
    "at": "2026-03-02T12:00:00Z",
    "appVersion": "1.4.0",
    "platform": "ios",
}
ERROR: dict[str, Any] = {key: value for key, value in TIMING.items() if key != "milliseconds"} | {
    "kind": "error",
    "name": "outbox.full",
    "message": "QuotaExceededError",
}
UUID = "0198f3a1-7c42-7d31-9a55-3f2b6c1d8e90"


async def _send(pager: World, *reports: Any, **more: Any) -> Answer:
    return await pager.call("POST", PATH, {"reports": list(reports)}, **more)


async def _series(pager: World) -> dict[str, float]:
    text = (await pager.gateway.front.metrics.own()).decode()
    return {
        f"{sample.name}{json.dumps({k: v for k, v in sorted(sample.labels.items()) if k != 'service'})}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("pager_app_")
    }


def _reports(clock: MovableClock) -> Reports:
    return Reports(ReportMeasures(Metrics("gateway")), clock)


def _errors(*messages: str, name: str = "x", platform: str = "web") -> Iterator[ClientReport]:
    for message in messages:
        said = ERROR | {"name": name, "message": message, "platform": platform}
        yield ClientReport.model_validate_json(json.dumps(said))


@pytest.mark.servers
async def test_timings_and_errors_become_metrics_and_a_line(pager: World) -> None:
    before = await _series(pager)
    tap = TIMING | {"name": "tap_to_committed", "milliseconds": 90.5, "platform": "web"}
    with capture_logs() as lines:
        answer = await _send(pager, TIMING, tap, ERROR, ERROR)
    assert (answer.status, answer.json["data"]) == (202, {"accepted": 4})
    after = await _series(pager)
    assert after.keys() == before.keys(), "every series is there from the start"
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    start, tapped = '{"name": "start", "platform": "ios"}', '{"name": "tap_to_committed", "platform": "web"}'
    assert grown[f"pager_app_timing_seconds_sum{start}"] == pytest.approx(0.42)
    assert grown[f"pager_app_timing_seconds_sum{tapped}"] == pytest.approx(0.0905)
    assert grown['pager_app_errors_total{"platform": "ios"}'] == 2
    (line,) = [line for line in lines if line["event"] == "app error"]
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert {name: line[name] for name in ("error", "message", "app_version", "platform", "times", "left_out")} == {
        "error": "outbox.full",
        "message": "QuotaExceededError",
        "app_version": "1.4.0",
        "platform": "ios",
        "times": 2,
        "left_out": 0,
    }


@pytest.mark.servers
@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ({"kind": "crash"}, "reports.0.kind"),
        ({"name": "scroll"}, "reports.0"),
        ({"name": "a b"}, "reports.0.name"),
        ({"name": "x" * 101}, "reports.0.name"),
        ({"milliseconds": None}, "reports.0"),
        ({"milliseconds": -1}, "reports.0.milliseconds"),
        ({"milliseconds": 600_000.5}, "reports.0.milliseconds"),
        ({"milliseconds": "420"}, "reports.0.milliseconds"),
        ({"milliseconds": True}, "reports.0.milliseconds"),
        ({"message": "slow"}, "reports.0"),
        ({"kind": "error"}, "reports.0"),
        ({"at": 1772452800}, "reports.0.at"),
        ({"at": "yesterday"}, "reports.0.at"),
        ({"appVersion": ""}, "reports.0.appVersion"),
        ({"appVersion": "1.4.0\n"}, "reports.0.appVersion"),
        ({"appVersion": "1" * 33}, "reports.0.appVersion"),
        ({"platform": "symbian"}, "reports.0.platform"),
        ({"userId": UUID}, "reports.0.userId"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_of_it_counts(pager: World, fault: Any, field: str) -> None:
    before = await _series(pager)
    answer = await _send(pager, TIMING | fault, TIMING)
    assert (answer.status, answer.error["code"], answer.error["details"]["field"]) == (400, "VALIDATION_ERROR", field)
    assert await _series(pager) == before


@pytest.mark.servers
async def test_a_number_that_is_none_is_refused(pager: World) -> None:
    raw = json.dumps({"reports": [TIMING]}).replace("420", "NaN").encode()
    assert (await pager.call("POST", PATH, raw=raw)).status == 400
    raw = raw.replace(b"NaN", b"1e400")
    assert (await pager.call("POST", PATH, raw=raw)).status == 400


@pytest.mark.servers
async def test_there_are_one_to_fifty_of_them_and_no_long_ones(pager: World) -> None:
    for reports in ([], [TIMING] * 51):
        answer = await _send(pager, *reports)
        assert (answer.status, answer.error["details"]["field"]) == (400, "reports")
    assert (await _send(pager, *[TIMING] * 50)).json["data"] == {"accepted": 50}
    long = await _send(pager, ERROR | {"message": "x" * 2001})
    assert (long.status, long.error["details"]["field"]) == (400, "reports.0.message")
    assert (await _send(pager, ERROR | {"message": "x" * 2000})).status == 202
    assert (await _send(pager, ERROR | {"message": "a\0b"})).status == 400
    assert (await pager.call("POST", PATH)).status == 400
    text = await pager.call("POST", PATH, {"reports": [TIMING]}, headers={"Content-Type": "text/plain"})
    assert text.status == 415


@pytest.mark.servers
async def test_only_people_who_are_signed_in_report(pager: World) -> None:
    assert (await _send(pager, TIMING, token=None)).error["code"] == "UNAUTHENTICATED"
    token = pager.token(minutes=2, key=UUID, scopes=["incidents.read"], sid=str(uuid4()))
    await pager.stubs.answer("auth.exchange_key", {"accessToken": token})
    by_key = await _send(pager, TIMING, token=new_key())
    assert (by_key.status, by_key.error["code"]) == (403, "FORBIDDEN"), "a key has nothing to tell of itself"
    by_device = await _send(pager, TIMING, token="credential", headers={"Pager-Proof": "proof"})
    assert (by_device.status, by_device.error["code"]) == (403, "FORBIDDEN")


@pytest.mark.servers
async def test_an_app_in_a_loop_takes_nothing_from_its_person(pager: World) -> None:
    size = SIZES[Limit.REPORTS]
    statuses = [(await _send(pager, TIMING)).status for _ in range(size.most + 5)]
    assert statuses == [202] * size.most + [429] * 5
    refused = await _send(pager, TIMING)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["X-RateLimit-Limit"] == str(size.most)
    await pager.stubs.answer("auth.me", v.USER_VIEW)
    shown = await pager.call("GET", "/api/v1/users/me")
    general = SIZES[Limit.GENERAL].most
    assert shown.headers["X-RateLimit-Limit"] == str(general)
    assert shown.headers["X-RateLimit-Remaining"] == str(general - 1)


@pytest.mark.servers
async def test_apps_are_heard_during_maintenance() -> None:
    async with world(enable_maintenance_mode=True) as pager:
        await pager.stubs.keys()
        assert (await _send(pager, TIMING)).status == 202


def test_a_phone_that_fails_without_end_fills_no_log() -> None:
    clock = MovableClock()
    reports = _reports(clock)
    with capture_logs() as first:
        for _ in range(100):
            assert reports.take(_errors(*map(str, range(50))), "r") == 50
    assert len(first) == LINES.most
    clock.advance(minutes=1)
    with capture_logs() as lines:
        reports.take(_errors(*map(str, range(50))), "r")
        reports.take(_errors("last"), "r")
    assert len(lines) == OF_ONE + 1
    assert lines[-1]["left_out"] == 50 - OF_ONE
    assert sum(line["times"] + line["left_out"] for line in (*first, *lines)) == 101 * 50 + 1
    clock.advance(seconds=-3600)
    with capture_logs() as lines:
        reports.take(_errors("after the clock was set back"), "r")
    assert len(lines) == 1


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiI1NTBlODQwMCJ9.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("two\nlines\r\n\x1b[31mred\x00\u2028", "two lines [31mred"),
        (f"401 with Authorization: Bearer {JWT} at once", "401 with Authorization: *** at once"),
        (f"token={JWT}", "token=***"),
        ("key pgr_abc123 is old", "key *** is old"),
        ("invite_" + "x" * 43, "***"),
        ("nobody has eva.ek+x@mail.example.org here", "nobody has *** here"),
        ("GET https://h/api/v1/x?token=abc&y=1 failed", "GET https://h/api/v1/x*** failed"),
        ("call +49 151 12345678 now", "call *** now"),
        ("(030) 123-4567", "(***"),
        ("peer 192.168.0.17:443", "peer ***:443"),
        (f"incident {UUID} is gone", f"incident {UUID} is gone"),
        (
            "at ack (http://h/app/assets/index-B1xk_9-Q.js:12:3456)",
            "at ack (http://h/app/assets/index-B1xk_9-Q.js:12:3456)",
        ),
        ("why? because a = b", "why? because a = b"),
        ("Überlauf 🔥", "Überlauf 🔥"),
        ("", ""),
    ],
)
def test_a_message_is_one_line_without_what_is_somebodys(said: str, kept: str) -> None:
    assert scrubbed(said) == kept


@pytest.mark.parametrize(
    "text", ["@", "a@", "?a=", "1 ", "A" * 3 + ".", "-" * 31 + " ", "(", "eyJ" + "a" * 8 + ".", "+1("]
)
def test_no_message_takes_long(text: str) -> None:
    assert len(scrubbed((text * 2000)[:2000])) <= 500
