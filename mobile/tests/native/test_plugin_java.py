"""What is pure of Android's half, run: with the notifier's pushes, auth's own verification, the gateway's answers."""

from __future__ import annotations

import hashlib
import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import UUID

import pytest
from joserfc.jwk import ECKey
from test_payloads import a_page, fcm

from conftest import Java
from libs.contracts.device_keys import LONGEST_PROOF, DeviceKey
from libs.contracts.incidents.requests import StatusBody
from services.auth import proofs
from services.gateway.envelope import ErrorAnswer, ErrorBody, ErrorDetails

CREDENTIAL = "eyJ.device.credential"
PATH = "/api/v1/incidents/22222222-2222-7222-8222-222222222222/acknowledge"


def test_the_notifiers_page_is_read_and_shown(java: Java) -> None:
    shown = java.ask("push", data=fcm(a_page()))
    assert shown == {
        "incidentId": "22222222-2222-7222-8222-222222222222",
        "notificationId": "11111111-1111-5111-8111-111111111111",
        "priority": "critical",
        "kind": "page",
        "title": "db down",
        "body": "no replica left",
        "level": 2,
    }


def test_a_test_page_is_about_itself(java: Java) -> None:
    data = {name: value for name, value in fcm(a_page()).items() if name != "incidentId"} | {"test": "true"}
    shown = java.ask("push", data=data)
    assert shown["incidentId"] == shown["notificationId"]
    assert java.ask("test", data=data) is True
    assert java.ask("test", data=fcm(a_page()) | {"test": "true"}) is False, "a page cannot lose its buttons"
    assert java.ask("push", data=data | {"test": "no"}) is None


@pytest.mark.parametrize(
    "wrong",
    ["", "22222222", "22222222-2222-7222-8222-22222222222G", "../../../etc/passwd", "x" * 4000,
     "22222222-2222-7222-8222-222222222222\n", "22222222-2222-7222-8222-222222222222/../x"],
)  # fmt: skip
def test_what_names_no_incident_is_no_page(java: Java, wrong: str) -> None:
    assert java.ask("push", data=fcm(a_page()) | {"incidentId": wrong}) is None
    assert java.ask("push", data=fcm(a_page()) | {"notificationId": wrong}) is None


def test_an_unknown_kind_rings_and_an_unknown_priority_is_urgent(java: Java) -> None:
    shown = java.ask("push", data=fcm(a_page()) | {"kind": "escalated", "priority": "p0", "level": "a lot"})
    assert (shown["kind"], shown["priority"], shown["level"]) == ("page", "high", None)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>bold</b> &amp; <script>", "<b>bold</b> &amp; <script>"),
        ("one\ntwo\r\n\tthree", "one two three"),
        ("\u0000\u0007a\u001b[31mb", "a [31mb"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u2067\u2066x\u2069", "x"),
        ("\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"),
        ("\U0001f525 disk full", "\U0001f525 disk full"),
        ("   ", ""),
    ],
)
def test_texts_are_plain_and_of_one_line(java: Java, text: str, shown: str) -> None:
    assert java.ask("text", text=text, limit=200, block=False) == shown


def test_a_long_text_is_cut_between_characters(java: Java) -> None:
    assert java.ask("text", text="\U0001f525" * 500, limit=200, block=False) == "\U0001f525" * 200 + "…"
    assert java.ask("text", text="x" * 200, limit=200, block=False) == "x" * 200
    assert java.ask("text", text="a\n\n\nb  c", limit=200, block=True) == "a\nb c"


def test_without_a_title_it_is_a_page(java: Java) -> None:
    assert java.ask("push", data=fcm(a_page()) | {"title": "\u202e\n"})["title"] == "Page"


def _deeds(java: Java, *what: str | tuple[str, str]) -> list[str]:
    ids = {"first": str(UUID(int=1)), "second": str(UUID(int=2))}
    pushes = []
    for one in what:
        kind, which = one if isinstance(one, tuple) else (one, "first")
        page = fcm(a_page(kind=kind)) | {"notificationId": ids[which]}
        pushes.append({"answered": ids[which]} if kind == "answered" else page)
    deeds: list[str] = java.ask("deed", pushes=pushes)
    return deeds


def test_the_same_push_twice_is_shown_once(java: Java) -> None:
    assert _deeds(java, "page", "page") == ["SHOW", "NOTHING"]


def test_a_page_that_comes_after_its_own_end_never_rings(java: Java) -> None:
    assert _deeds(java, "resolved", "page") == ["TAKE_AWAY", "NOTHING"]
    assert _deeds(java, "page", "withdrawn", "page") == ["SHOW", "TAKE_AWAY", "NOTHING"]


def test_the_next_page_of_an_incident_rings_again(java: Java) -> None:
    assert _deeds(java, "page", "acknowledged", ("page", "second")) == ["SHOW", "REPLACE", "SHOW"]


def test_what_was_answered_here_is_not_answered_for_a_second_time(java: Java) -> None:
    assert _deeds(java, "page", "answered", "acknowledged", "page") == ["SHOW", "NOTHING", "NOTHING"]
    assert _deeds(java, "page", "answered", "resolved") == ["SHOW", "TAKE_AWAY"]


def test_it_remembers_and_keeps_no_more_than_it_may(java: Java) -> None:
    assert java.ask("remembered", count=700) == 300
    kept = java.ask("bounded", acknowledgements=130, receipts=250)
    assert [one for one in kept if one.startswith("a")] == [f"a{at}" for at in range(30, 130)], "the newest"
    assert [one for one in kept if one.startswith("r")] == [f"r{at}" for at in range(50, 250)]


def test_auth_takes_its_proof_for_this_use_alone(java: Java) -> None:
    asked = {"of": CREDENTIAL, "method": "POST", "path": PATH, "seconds": 1_790_000_000}
    made = java.ask("proof", **asked)
    assert len(made["proof"]) <= LONGEST_PROOF
    key = proofs.key_of(DeviceKey.model_validate(made["jwk"]))
    assert key is not None
    shown = proofs.read(made["proof"], key, CREDENTIAL, method="POST", path=PATH)
    assert shown.issued_at == 1_790_000_000
    again = java.ask("proof", **asked)["proof"]
    assert proofs.read(again, key, CREDENTIAL, method="POST", path=PATH).hash != shown.hash, "each is used once"
    for of, method, path in ((CREDENTIAL[:-1], "POST", PATH), (CREDENTIAL, "GET", PATH), (CREDENTIAL, "POST", "/")):
        with pytest.raises(proofs.BadProof):
            proofs.read(made["proof"], key, of, method=method, path=path)


@pytest.mark.parametrize("seconds", [-86_400, 0, 253_402_300_799])
def test_a_clock_that_is_wrong_by_decades_spoils_no_proof(java: Java, seconds: int) -> None:
    made = java.ask("proof", of=CREDENTIAL, method="POST", path=PATH, seconds=seconds)
    key = proofs.key_of(DeviceKey.model_validate(made["jwk"]))
    assert key is not None
    assert proofs.read(made["proof"], key, CREDENTIAL, method="POST", path=PATH).issued_at == max(0, seconds)


def test_a_hundred_signatures_are_of_64_bytes_whatever_their_numbers(java: Java) -> None:
    for _ in range(100):
        made = java.ask("proof", of=CREDENTIAL, method="POST", path=PATH, seconds=1)
        head, claims, signature = made["proof"].split(".")
        assert len(urlsafe_b64decode(signature + "==")) == 64
        ECKey.import_key(made["jwk"])
        assert json.loads(urlsafe_b64decode(head + "==")) == {"typ": "pager-proof+jwt", "alg": "ES256"}
        assert json.loads(urlsafe_b64decode(claims + "==="))["aud"] == "pager"


def test_short_numbers_of_a_signature_are_filled_up(java: Java) -> None:
    raw = urlsafe_b64decode(java.ask("raw", hex="3008020200810202007f") + "==")
    assert raw == bytes(31) + b"\x81" + bytes(31) + b"\x7f"


@pytest.mark.parametrize(
    "der",
    ["", "3006", "3106020101020101", "3007020101020101", "3006030101020101", "3006020001020101", "30060201010201",
     "3006020101020201", "30" + "7f" + "02" * 127, "3026" + "0221" + "01" * 33 + "020101"],
)  # fmt: skip
def test_what_is_no_signature_is_refused(java: Java, der: str) -> None:
    with pytest.raises(ValueError, match="no ES256 signature"):
        java.ask("raw", hex=der)


def _error(code: Any, message: str, **details: Any) -> str:
    body = ErrorBody(code=code, message=message, details=ErrorDetails(**details) if details else None)
    return ErrorAnswer(error=body).to_json().decode()


SAID = "resolved by Bo Tester at 03:12 UTC: it is over; reopen it, or wait for a new alert, which opens a new one"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, '{"success": true, "data": {}}', "DONE"),
        (200, "<html>Welcome to our hotel</html>", "LATER"),
        (204, None, "LATER"),
        (302, None, "LATER"),
        (401, _error("UNAUTHENTICATED", "another proof", field="proof"), "OTHER_PROOF"),
        (401, _error("UNAUTHENTICATED", "sign in again"), "REFUSED"),
        (401, "<html>", "LATER"),
        (403, _error("FORBIDDEN", "no"), "REFUSED"),
        (404, _error("NOT_FOUND", "There is no such incident."), "REFUSED"),
        (404, "not here", "LATER"),
        (409, _error("CONFLICT", SAID, state="resolved"), "REFUSED"),
        (409, _error("CONFLICT", "used with another body", field="Idempotency-Key"), "DONE"),
        (400, _error("VALIDATION_ERROR", "occurredAt: no", field="occurredAt"), "WITHOUT_TIMES"),
        (408, _error("REQUEST_TIMEOUT", "slow"), "LATER"),
        (429, _error("RATE_LIMITED", "wait"), "LATER"),
        (500, _error("INTERNAL", "oh"), "LATER"),
        (503, _error("UNAVAILABLE", "away"), "LATER"),
        (503, "[" * 60_000, "LATER"),
    ],
)
def test_only_the_gateways_own_words_end_an_acknowledgement(
    java: Java, status: int, body: str | None, meaning: str
) -> None:
    assert java.ask("answer", status=status, body=body, retryAfter=None)["meaning"] == meaning


def test_a_refusal_is_told_in_the_servers_words(java: Java) -> None:
    told = java.ask("answer", status=409, body=_error("CONFLICT", SAID, state="resolved"), retryAfter=None)
    assert (told["code"], told["reason"]) == ("CONFLICT", SAID)
    long = _error("CONFLICT", "x" * 5_000 + "\u202e", state="resolved")
    assert len(java.ask("answer", status=409, body=long, retryAfter=None)["reason"]) == 301


@pytest.mark.parametrize(("header", "wait"), [("7", 7), ("-7", 0), ("86400", 600), ("soon", 0), (None, 0)])
def test_it_waits_as_long_as_it_is_told_within_reason(java: Java, header: str | None, wait: int) -> None:
    assert java.ask("answer", status=429, body=_error("RATE_LIMITED", "wait"), retryAfter=header)["wait"] == wait


NOON = 1_790_000_000_000
HOUR = 3_600_000


def _moment(millis: int, since_boot: int, boot: int = 3) -> dict[str, int]:
    return {"millis": millis, "sinceBoot": since_boot, "boot": boot}


@pytest.mark.parametrize(
    ("now", "ago"),
    [
        (_moment(NOON + 90_000, 190_000), 90),
        (_moment(NOON - 5 * HOUR, 190_000), 90),  # somebody has set the clock back
        (_moment(NOON + 40 * 365 * 24 * HOUR, 190_000), 90),  # or far ahead
        (_moment(NOON + HOUR, 20_000, boot=4), 3_600),  # started again: only the clock is left
        (_moment(NOON - HOUR, 20_000, boot=4), 0),
    ],
)
def test_how_long_ago_it_was_done_depends_on_no_clock_that_can_be_set(
    java: Java, now: dict[str, int], ago: int
) -> None:
    made = java.ask("body", then=_moment(NOON, 100_000), now=now)
    body = StatusBody.model_validate(made["body"])
    assert body.occurred_at is not None
    assert body.sent_at is not None
    assert (body.sent_at - body.occurred_at).total_seconds() == ago
    assert made["key"] == "ack-n", "however often it is sent"


def test_without_times_the_body_is_empty_and_good(java: Java) -> None:
    made = java.ask("body", then=_moment(NOON, 0), now=_moment(NOON, 0), times=False)
    assert made["body"] == {}
    assert StatusBody.model_validate(made["body"]) == StatusBody()


@pytest.mark.parametrize("millis", [-(10**15), 0, 10**17])
def test_a_clock_that_is_beside_itself_still_gives_a_time(java: Java, millis: int) -> None:
    made = java.ask("body", then=_moment(millis, 0), now=_moment(millis, 0))
    StatusBody.model_validate(made["body"])


def test_a_receipt_says_which_state_and_when(java: Java) -> None:
    made = java.ask("body", then=_moment(NOON, 100_000), now=_moment(NOON + 90_000, 190_000), state="displayed")
    assert made == {
        "key": "receipt-n-displayed",
        "body": {"state": "displayed", "at": "2026-09-21T14:13:20.000Z"},
    }


@pytest.mark.parametrize(
    "address",
    ["http://pager.example.org", "ftp://pager.example.org", "pager.example.org", "https://", "https://a@b.example",
     "https://pager.example.org/?x", "https://pager.example.org/#x", "javascript:alert(1)", "",
     "https://" + "a" * 3_000, "http://localhost.example.org", "https://pager.example.org:port"],
)  # fmt: skip
def test_a_credential_goes_to_no_address_like_this(java: Java, address: str) -> None:
    with pytest.raises(ValueError, match="serverUrl: must"):
        java.ask("address", text=address)


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://pager.example.org/", "https://pager.example.org"),
        ("https://example.org/pager//", "https://example.org/pager"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://10.0.2.2:3000", "http://10.0.2.2:3000"),
    ],
)
def test_a_servers_address_is_kept_without_its_last_slash(java: Java, address: str, kept: str) -> None:
    assert java.ask("address", text=address) == kept


def test_what_a_proof_is_shown_with_is_hashed_as_auth_hashes_it(java: Java) -> None:
    claims = java.ask("proof", of="ü\U0001f525", method="POST", path=PATH, seconds=1)["proof"].split(".")[1]
    expected = hashlib.sha256("ü\U0001f525".encode()).digest()
    assert urlsafe_b64decode(json.loads(urlsafe_b64decode(claims + "==="))["ath"] + "=") == expected
