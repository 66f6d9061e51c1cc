"""`pager alert send`: publishes as any sender does."""

import asyncio
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.reach import bus
from cli.reach.running import sender_url
from cli.settings import Settings
from libs.contracts.alerts import Action
from libs.contracts.cloudevents import encode_value
from libs.contracts.model import Priority
from libs.contracts.subjects import alert_subject

CLOUD_EVENT_TYPE: Final = "pager.alert"
# One token: in a longer subject the suffix of a priority would not count as one.
_SOURCE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class AlertToSend:
    """The fields of an alert (front doors, NATS) and the form in which it is published."""

    summary: str
    source: str = "cli"
    priority: Priority | None = None
    dedup_key: str | None = None
    description: str | None = None
    routing_key: str | None = None
    action: Action = Action.TRIGGER
    metadata: dict[str, str] = field(default_factory=dict)
    cloud_event: bool = False

    @property
    def subject(self) -> str:
        """Raises `Failure` for a source that cannot be part of a subject."""
        if not _SOURCE.fullmatch(self.source):
            raise Failure(f"--source: {self.source!r} may hold letters, digits, - and _", USAGE)
        return alert_subject(self.source, self.priority)

    def body(self) -> dict[str, Any]:
        """The alert as plain JSON, without what was not given."""
        fields = {
            "summary": self.summary,
            "priority": self.priority,
            "dedupKey": self.dedup_key,
            "description": self.description,
            "routingKey": self.routing_key,
            "action": self.action if self.action is not Action.TRIGGER else None,
            "metadata": self.metadata or None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def headers(self) -> dict[str, str]:
        """Those of a CloudEvent in binary mode, or none."""
        if not self.cloud_event:
            return {}
        return {
            "ce-specversion": "1.0",
            "ce-id": str(uuid.uuid4()),
            "ce-source": encode_value(f"/{self.source}"),
            "ce-type": CLOUD_EVENT_TYPE,
            "content-type": "application/json",
        }


def metadata_of(pairs: list[str]) -> dict[str, str]:
    """`key=value` each. Raises `Failure`."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Failure(f"--metadata: {pair!r} is not key=value", USAGE)
        found[key] = value
    return found


def send(settings: Settings, alert: AlertToSend, *, as_json: bool) -> None:
    """Publish, and show the PubAck. Raises `Failure`."""
    subject, body = alert.subject, json.dumps(alert.body(), ensure_ascii=False).encode()

    async def publish() -> dict[str, Any]:
        async with bus.connected(sender_url(settings)) as client:
            return await bus.publish_alert(client, subject, body, alert.headers())

    ack = asyncio.run(publish())
    if as_json:
        print_json({"subject": subject, "ack": ack})
    else:
        line = f"accepted: on disk as message {ack['seq']} of {ack['stream']} (published on {subject})"
        console().print(line, markup=False)
