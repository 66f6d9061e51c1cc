"""Incidents straight into their table, a million in some seconds: for lists, which nothing else is asked of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from libs.contracts.incidents import IncidentView, Status
from libs.contracts.model import Lane, Priority
from services.incidents.projections import ORGANISATION

_OTHERS = 19
"""People besides the one whom is asked for."""
_AT_ONCE = 50_000
_BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
_OPEN = 1000
"""Of the newest so many are open; what is older is nearly all over, as where people work."""
# A third has been taken by somebody; the others are of those whom they page. Several come in one moment.
_FILL = """
    INSERT INTO incidents.incidents (id, number, status, priority, assigned_to, paged, team_id, created_at, view)
    SELECT id, n, status, priority, own, paged, coalesce(team, %(organisation)s), at,
        %(view)s::jsonb || jsonb_build_object('id', id, 'number', n, 'title', title,
            'priority', priority, 'status', status, 'assignedTo', own, 'teamId', team, 'createdAt', at,
            'metadata', jsonb_build_object('env', 'production', 'host', 'db-' || n %% 500),
            'updatedAt', to_char(
                (at + n %% 97 * interval '1 hour') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    FROM generate_series(%(first)s::int, %(last)s::int) AS n, LATERAL (SELECT
        lpad(to_hex(n), 32, '0')::uuid AS id,
        'disk ' || n || ' is full' || CASE n %% 3 WHEN 0 THEN ': postgres' WHEN 1 THEN ': kafka' ELSE '' END
            || CASE WHEN n %% 100 = 0 THEN ' checkout' ELSE '' END
            || CASE WHEN n %% 20011 = 0 THEN ' unicorn' ELSE '' END AS title,
        (%(statuses)s::text[])[CASE WHEN n > %(open)s OR n %% 500 = 0 THEN 1 + n %% 3 ELSE 4 + n %% 2 END] AS status,
        (%(priorities)s::text[])[1 + n / 6 %% 4] AS priority,
        CASE WHEN n %% 3 = 0 THEN (%(people)s::uuid[])[1 + n / 3 %% 20] END AS own,
        (%(people)s::uuid[])[1 + n / 2 %% 20] AS paged,
        CASE WHEN n %% 7 > 0 THEN (%(teams)s::uuid[])[1 + n %% greatest(cardinality(%(teams)s::uuid[]), 1)] END AS team,
        %(begin)s + n / 4 * interval '1 second' AS at) AS made
    ON CONFLICT DO NOTHING
"""
_RESPONDERS = """
    INSERT INTO incidents.responders (incident_id, user_id, team_id)
    SELECT id, person, team_id FROM incidents.incidents, unnest(ARRAY[assigned_to, paged]) AS person
    WHERE number BETWEEN %(first)s AND %(last)s AND team_id <> %(organisation)s AND person IS NOT NULL
    ON CONFLICT DO NOTHING
"""


# As `searchable_row` makes them.
_SEARCHABLE = """
    INSERT INTO incidents.searchable (id, words, language, labels)
    SELECT id, concat_ws(E'\\n', view ->> 'title', view ->> 'description'), 'english', ARRAY['=team=' || team_id,
        '=metadata.env=' || (view #>> '{metadata,env}'), '=metadata.host=' || (view #>> '{metadata,host}')]
    FROM incidents.incidents WHERE number BETWEEN %(first)s AND %(last)s
    ON CONFLICT DO NOTHING
"""


def fill_incidents(
    connection: psycopg.Connection[Any],
    incidents: int,
    whose: UUID,
    done: Callable[[int], object] = lambda rows: None,
    teams: Sequence[UUID] = (),
) -> None:
    """Fill the table; a twentieth is of the person `whose`, and six of seven are of these teams, if any.

    `connection` commits by itself. `done` is told how many more are there.
    """
    values = {
        "view": Jsonb(_view().model_dump(mode="json", by_alias=True)),
        "statuses": [str(status) for status in Status],
        "priorities": [str(priority) for priority in Priority],
        "organisation": ORGANISATION,
        "teams": list(teams),
        "people": [whose, *(UUID(int=number) for number in range(1, _OTHERS + 1))],
        "begin": _BEGIN,
        "open": incidents - _OPEN,
    }
    # Whatever form the caller's rows have.
    plain = connection.cursor(row_factory=tuple_row)
    row = plain.execute("SELECT pg_get_indexdef('incidents.searchable_search_idx'::regclass)").fetchone()
    connection.execute("DROP INDEX incidents.searchable_search_idx")
    for first in range(1, incidents + 1, _AT_ONCE):
        last = min(first + _AT_ONCE - 1, incidents)
        connection.execute(_FILL, values | {"first": first, "last": last})
        connection.execute(_RESPONDERS, {"organisation": ORGANISATION, "first": first, "last": last})
        connection.execute(_SEARCHABLE, {"first": first, "last": last})
        done(last - first + 1)
    # Word by word it would take longer than all the rest.
    connection.execute("SET maintenance_work_mem = '512MB'")
    connection.execute(row[0] if row else "")
    connection.execute("VACUUM ANALYZE incidents.incidents, incidents.responders, incidents.searchable")


def _view() -> IncidentView:
    return IncidentView(
        id=UUID(int=0),
        number=0,
        version=1,
        title="",
        description="The disk of a database is full, and what is to be written waits.",
        priority=Priority.HIGH,
        status=Status.CREATED,
        lane=Lane.URGENT,
        assigned_to=None,
        created_by="bench",
        created_at=_BEGIN,
        updated_at=_BEGIN,
        escalation_timeout_minutes=15,
        alert_count=1,
        run=1,
        metadata={"host": "db-1"},
    )
