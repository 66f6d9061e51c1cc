"""What the first start makes, under ids that every service knows."""

from __future__ import annotations

from uuid import UUID, uuid5

PAGER = UUID("b5a1c3d2-6f0e-5d8a-9c47-1e2f3a4b5c6d")
"""The namespace of every id that Pager derives."""

DEFAULT_SCHEDULE_ID = uuid5(PAGER, "schedule/Primary On-Call")
DEFAULT_SCHEDULE_NAME = "Primary On-Call"
DEFAULT_POLICY_ID = uuid5(PAGER, "policy/Default")
DEFAULT_POLICY_NAME = "Default"
ADMINS_POLICY_ID = uuid5(PAGER, "policy/Admins")
ADMINS_POLICY_NAME = "Admins"
"""Whom Pager's alarms about itself page (promise 8)."""
DEFAULT_INTEGRATION_ID = uuid5(PAGER, "integration/Default")
DEFAULT_INTEGRATION_NAME = "Default"
OWN_INTEGRATION_ID = uuid5(PAGER, "integration/Pager")
OWN_INTEGRATION_NAME = "Pager"
"""What Pager's alarms come through. It has no key: only the subject that our services alone may use leads to it."""
