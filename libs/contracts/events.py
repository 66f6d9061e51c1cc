"""All events by name: each service's contracts declare theirs when they are imported."""

from __future__ import annotations

import importlib

from libs.contracts.subjects import SERVICES


def declare_events() -> None:
    """Every event is in `envelope.FACTS` from now on: for whoever reads the events of all services."""
    for name in (*SERVICES, "integrations", "invites", "teams", "api_keys", "erasure", "incident_alerts"):
        importlib.import_module(f"libs.contracts.{name}")
