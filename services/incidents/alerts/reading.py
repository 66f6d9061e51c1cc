"""One message of ALERTS: what it says, whose it is, what it is grouped by, and why it is set aside if it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from libs.chassis.consume.item import Item
from libs.chassis.measure import telemetry
from libs.contracts.alerts import TITLE_LIMIT, Action, Alert, UnreadableAlert, read_alert, source_of, subject_priority
from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID
from libs.contracts.subjects import OWN_SOURCE
from services.incidents import dedup
from services.incidents.alerts.threads import Signal
from services.incidents.inputs import Source
from services.incidents.places import created, place_in

_DEFAULT = Source(DEFAULT_INTEGRATION_ID)
_OWN = Source(OWN_INTEGRATION_ID, ADMINS_POLICY_ID)
"""Of our own alarms: the bus lets nobody else publish from that source, and nobody else has this integration's keys to
group by, so that no sender can open, or silence, the incident of an alarm."""
_UNKNOWN_KEY = "routingKey: no integration has this key"
_KEPT = "What was sent is kept: pager parked list"


@dataclass(frozen=True, slots=True)
class Read:
    """`alert` is None for what cannot be read at all, and `reason` says why."""

    item: Item
    source: str
    alert: Alert | None
    reason: str = ""
    key_hash: str | None = None
    """Of its routing key, where that can be read."""


class Meaning(NamedTuple):
    """What is decided on, if anything, and why the message is set aside, if it is."""

    signal: Signal | None
    reason: str | None = None


def read_item(item: Item) -> Read:
    source = source_of(item.subject)
    try:
        alert = read_alert(item.subject, item.headers, item.raw)
    except UnreadableAlert as error:
        return Read(item, source, None, str(error), dedup.key_hash_in(item.raw))
    key = alert.routing_key
    return Read(item, source, alert, key_hash=None if key is None else dedup.routing_hash(key, item.raw))


def meaning_of(read: Read, sources: Mapping[str, Source]) -> Meaning:
    """`sources`: the integrations of the keys that were sent."""
    alert = read.alert
    known = _OWN if read.source == OWN_SOURCE else sources.get(read.key_hash) if read.key_hash is not None else _DEFAULT
    if alert is None:
        signal = _signal(read, _unreadable(read), known or _DEFAULT, dedup.bytes_key(read.source, read.item.raw))
        return Meaning(signal, read.reason)
    refused = _silenced(alert, read)
    if refused is not None:
        return Meaning(None, refused)
    if known is not None:
        return Meaning(_signal(read, alert, known, _dedup_key(alert, read.item)))
    if alert.action is not Action.TRIGGER:
        return Meaning(None, _UNKNOWN_KEY)
    # It says what burns: the people of Default hear that, and the message is kept until its key is known.
    told = "\n\n".join(part for part in (alert.description, f"[{_UNKNOWN_KEY}. {_KEPT}]") if part)
    paged = alert.model_copy(update={"description": told})
    return Meaning(_signal(read, paged, _DEFAULT, dedup.bytes_key(read.source, read.item.raw)), _UNKNOWN_KEY)


def _silenced(alert: Alert, read: Read) -> str | None:
    """Why an acknowledge or resolve is refused, if it is: nobody is paged for it."""
    if alert.action is Action.TRIGGER:
        return None
    if read.key_hash is None and read.source != OWN_SOURCE:
        # Without a key anybody could silence anything.
        return f"action {alert.action}: without a routingKey an alert may only trigger"
    if alert.dedup_key is None and "dedupKey" in alert.unread:
        return f"action {alert.action}: its dedupKey cannot be read"
    which = "fingerprint" if "fingerprint" in alert.unread else "labels" if "labels" in alert.unread else None
    if alert.action is Action.RESOLVE and alert.fingerprint is None and which is not None:
        # One alert was meant, and without its name all of the key would be over.
        return f"action {alert.action}: its {which} cannot be read"
    return None


def _signal(read: Read, alert: Alert, integration: Source, dedup_key: str) -> Signal:
    at = read.item.at
    return Signal(
        alert=alert,
        integration_id=integration.id,
        policy_id=integration.policy_id,
        team_id=integration.team_id,
        dedup_key=dedup_key,
        traceparent=alert.traceparent or telemetry.new_traceparent(),
        place=place_in(at.incarnation, at.position) if at.incarnation else None,
    )


def _dedup_key(alert: Alert, item: Item) -> str:
    if alert.dedup_key is not None:
        return dedup.named_key(alert.dedup_key)
    if alert.event_id is not None and alert.event_source is not None:
        return dedup.event_key(alert.event_source, alert.event_id, alert.body_digest)
    # A key that cannot be read would have folded repeats: their bytes still do.
    if {"summary", "dedupKey"} & set(alert.unread):
        return dedup.bytes_key(alert.source, item.raw)
    # The moment as well: a stream that lost its tail gives the same sequence to another alert.
    return dedup.sequence_key(created(item.at.incarnation), item.at.position, str(item.stored_at))


def _unreadable(read: Read) -> Alert:
    """What pages people about an alert that nobody could read."""
    return Alert(
        source=read.source,
        action=Action.TRIGGER,
        title=f"Unreadable alert from {read.source or 'an unnamed source'}"[:TITLE_LIMIT],
        description=f"{read.reason}\n\n{_KEPT}",
        priority=subject_priority(read.item.subject),
        dedup_key=None,
        routing_key=None,
        metadata={},
        occurred_at=None,
    )
