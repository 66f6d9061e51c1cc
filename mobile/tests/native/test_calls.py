"""The app, Android and iOS mean the same calls and events."""

from __future__ import annotations

import re

from places import JAVA, PLUGIN, SWIFT, text

DEFINED = text(PLUGIN / "src/definitions.ts")
OF_CAPACITOR = {"addListener", "removeAllListeners"}


def _interface() -> str:
    return DEFINED.partition("export interface PagerAlertsPlugin {")[2]


def _calls() -> set[str]:
    return set(re.findall(r"^  (\w+)\(", _interface(), re.MULTILINE)) - OF_CAPACITOR


def test_android_answers_every_call() -> None:
    source = text(JAVA / "PagerAlertsPlugin.java")
    assert set(re.findall(r"@PluginMethod\s+public void (\w+)\(PluginCall", source)) == _calls()


def test_ios_answers_every_call() -> None:
    source = text(SWIFT / "PagerAlertsPlugin/PagerAlertsPlugin.swift")
    assert set(re.findall(r'CAPPluginMethod\(name: "(\w+)"', source)) == _calls()
    assert set(re.findall(r"@objc (?:override public )?func (\w+)\(_ call: CAPPluginCall", source)) == _calls()


def test_both_tell_of_the_same_events() -> None:
    events = set(re.findall(r"addListener\(event: '(\w+)'", _interface()))
    assert events == {"token", "received", "opened", "acknowledged", "refused"}
    assert set(re.findall(r'tell\("(\w+)"', text(JAVA / "Events.java"))) == events
    assert set(re.findall(r'say\(\s*"(\w+)"', text(SWIFT / "PagerAlertsPlugin/PagerCenter.swift"))) == events


def test_health_has_the_same_fields_everywhere() -> None:
    body = DEFINED.partition("export interface Health {")[2].partition("\n}")[0]
    fields = set(re.findall(r"^  (\w+):", body, re.MULTILINE))
    assert set(re.findall(r'health\.put\("(\w+)"', text(JAVA / "Health.java"))) == fields
    swift = text(SWIFT / "PagerAlertsPlugin/Health.swift").partition("return [")[2].partition("\n        ]")[0]
    assert set(re.findall(r'^            "(\w+)":', swift, re.MULTILINE)) == fields


def test_both_keep_a_days_work_for_the_same_server_and_say_the_same_of_it() -> None:
    for path in (JAVA / "Answer.java", SWIFT / "PagerCore/Answer.swift"):
        source = text(path)
        for field in ("proof", "Idempotency-Key", "occurredAt", "sentAt"):
            assert f'"{field}"' in source, (path.name, field)
    for path in (JAVA / "Outbox.java", SWIFT / "PagerCore/Outbox.swift"):
        assert '"ack-" + ' in text(path)
        assert '"receipt-" + ' in text(path)
