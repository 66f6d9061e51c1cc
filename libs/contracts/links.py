"""Addresses that people open."""

from __future__ import annotations

from typing import Any


def incident_url(public_url: str, incident_id: Any) -> str:
    """Where an incident is found, in pushes, mails and answers alike: the app, or a page that says where to get it."""
    return f"{app_url(public_url)}/incidents/{incident_id}"


def app_url(public_url: str) -> str:
    """Where the app is."""
    return f"{public_url.rstrip('/')}/app"
