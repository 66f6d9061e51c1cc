"""An alert as any sender publishes it: its subject, its headers and its body."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from cli.console.failure import USAGE, Failure
from libs.contracts.alerts import Action
from libs.contracts.cloudevents import encode_value
from libs.contracts.model import Priority
from libs.contracts.subjects import alert_subject

CLOUD_EVENT_TYPE: Final = "pager.alert"
# One token: in a longer subject the suffix of a priority would not count as one.
_SOURCE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class AlertToSend:
    """The fields of an alert (`libs/contracts/alerts.py`) and the form in which it is published."""

    summary: str
    source: str = "cli"
    priority: Priority | None = None
    dedup_key: str | None = None
    description: str | None = None
    routing_key: str | None = None
    action: Action = Action.TRIGGER
    metadata: dict[str, str] = field(default_factory=dict)
    fingerprint: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
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
            "fingerprint": self.fingerprint,
            "labels": self.labels or None,
            "links": [{"href": link} for link in self.links] or None,
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
