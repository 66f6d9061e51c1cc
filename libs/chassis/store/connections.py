"""Database sessions: how each of ours begins, and how many a service holds at most."""

from __future__ import annotations

from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict

WORK: Final = 7
"""The active replica's: one for each of its readers (at most six), and one that the relay never has to wait for."""
RPC: Final = 4
"""Of every replica, for requests: four commits at once are what two cores can use.

Measured on two cores: 3,000 commits of a row a second on one session, 8,900 on eight, 8,400 on 32.
"""
QUERIES: Final = 2
"""Of every replica, for what people look up: however slow that is, no command waits for it (ADR 43)."""
LOCK: Final = 1
"""Of every replica: the session that holds, or waits for, the lock of the active one."""
MONITOR: Final = 1
"""Of every replica, once somebody has asked for its readiness or metrics: it must not wait behind requests."""
DOOR: Final = 1
"""For a moment, when the same asks whether there are new ones to be had."""
IDLE_SECONDS: Final = 60.0
"""After a minute in which one was not used, a pool closes it; its last one stays, so that no page waits for a login."""


def at_most(services: int, replicas: int) -> int:
    """Sessions of all services under load, in the moment in which the active replica of each is replaced.

    The successor opens its own `WORK` sessions before its predecessor's have ended.
    """
    return services * (replicas * (RPC + QUERIES + LOCK + MONITOR + DOOR) + 2 * WORK)


def session(url: str, name: str, *settings: str) -> dict[str, Any]:
    """What each session of ours begins with, for psycopg: a name, and `settings` after those that the URL brings.

    The encoding is said, since role, database and server may each say another one: alerts are written in all letters.
    """
    brought = str(conninfo_to_dict(url).get("options") or "")
    options = " ".join((brought, *(f"-c {setting}" for setting in settings))).strip()
    return {"application_name": name, "connect_timeout": 5, "client_encoding": "UTF8", "options": options}
