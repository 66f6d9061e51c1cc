"""What numbers are counted from, of the incidents of `bench.rows`: each answered, and nearly all resolved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg

_OPENINGS = """
    INSERT INTO incidents.incident_openings
        (incident_id, created_at, team_id, integration_id, priority, dedup_key, suppressed)
    SELECT id, {at}, team_id, lpad(to_hex(1 + number % 12), 32, '0')::uuid, priority,
        CASE WHEN number % 5 > 0 THEN 'key ' || number % 3001 END, number % 50 = 0
    FROM incidents.incidents ON CONFLICT DO NOTHING
"""
# Some are raised, some are opened again after they were over, and of some it is their sender who ends them.
_TURNS = """
    INSERT INTO incidents.incident_turns (incident_id, version, kind, at, run, actor_kind, actor_id, priority)
    SELECT id, version, kind, {at} + seconds * interval '1 second', 1, by_kind,
        coalesce(assigned_to, paged)::text, raised
    FROM incidents.incidents, LATERAL (VALUES
        (2, 'acknowledged', 20 + number % 907 + number % 13 * 0.01, 'user', NULL, true),
        (3, 'priority', 950, 'user', 'critical', number % 40 = 0),
        (4, 'resolved', 1000 + number % 7919, CASE number % 3 WHEN 0 THEN 'integration' ELSE 'user' END, NULL, true),
        (5, 'reopened', 9000, 'user', NULL, number % 100 = 0),
        (6, 'resolved', 9900, 'user', NULL, number % 200 = 0)
    ) AS turn (version, kind, seconds, by_kind, raised, there)
    WHERE there ON CONFLICT DO NOTHING
"""
_LEVELS = """
    INSERT INTO incidents.fired_levels (incident_id, run, round, level, at)
    SELECT id, 1, 1, level, {at} + (level - 1) * interval '15 minutes'
    FROM incidents.incidents, generate_series(1, CASE WHEN number % 4 = 0 THEN 2 ELSE 1 END) AS level
    ON CONFLICT DO NOTHING
"""
# Of every level one message, and of every third two.
_PAGES = """
    INSERT INTO incidents.sent_pages
        (notification_id, user_id, incident_id, team_id, run, round, level, accepted_at)
    SELECT overlay(f.incident_id::text PLACING level || '' || device FROM 1 FOR 2)::uuid, coalesce(assigned_to, paged),
        f.incident_id, team_id, run, round, level, at + device * interval '1 second'
    FROM incidents.fired_levels f JOIN incidents.incidents i ON i.id = f.incident_id,
        generate_series(1, CASE WHEN number % 3 = 0 THEN 2 ELSE 1 END) AS device
    ON CONFLICT DO NOTHING
"""
_ZONES = """
    INSERT INTO incidents.time_zones (user_id, since, timezone)
    SELECT DISTINCT coalesce(assigned_to, paged), timestamptz '2026-01-01',
        (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'])[1 + get_byte(uuid_send(paged), 15) % 4]
    FROM incidents.incidents ON CONFLICT DO NOTHING
"""
_BEGIN: Final = datetime(2025, 3, 20, 9, tzinfo=UTC)
_APART: Final = timedelta(seconds=30)
"""A million in a year."""
_AT: Final = f"timestamptz '{_BEGIN.isoformat()}' + number * interval '{_APART.seconds} seconds'"
_TABLES: Final = "incident_openings, incident_turns, fired_levels, sent_pages, time_zones"


def period_of_newest(incidents: int, of: int) -> dict[str, str]:
    """`from` and `to` of the newest so many of all."""
    until = _BEGIN + of * _APART
    return {"from": (until - incidents * _APART).isoformat(), "to": until.isoformat()}


def fill_facts(connection: psycopg.Connection[Any]) -> None:
    """Of all incidents that there are. `connection` commits by itself."""
    for statement in (_OPENINGS, _TURNS, _LEVELS, _PAGES, _ZONES):
        connection.execute(statement.replace("{at}", _AT).encode())
    connection.execute(f"VACUUM ANALYZE {', '.join(f'incidents.{one}' for one in _TABLES.split(', '))}".encode())
