"""However long the audit and the access log are, a page of them reads no more than it shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Select

from libs.chassis.store.audit import FIRST, LAST, LOWEST, Trail
from libs.chassis.store.changes import adapt, compiled
from services.auth import access
from services.auth.tables.watch import audit
from tests.servers import Servers

_FILL = """
INSERT INTO auth.audit SELECT gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 minute', 'actor' || n % 50,
  'kind' || n % 5, 'thing' || n % 2000, gen_random_uuid(), 1, gen_random_uuid(), '' FROM generate_series(1, 40000) n;
INSERT INTO auth.access_log SELECT gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 second', 'GET', '/x',
  200, 1, ('00000000-0000-4000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid, NULL, NULL, NULL, 'r' || n
  FROM generate_series(1, 40000) n;
ANALYZE auth.audit; ANALYZE auth.access_log;
"""
_SOMEBODY = "00000000-0000-4000-8000-000000000007"
_TRAIL = Trail(audit)
_CASES: dict[str, tuple[Select[Any], dict[str, Any]]] = {
    "everything": (_TRAIL._statement(frozenset()), {}),
    "of somebody": (_TRAIL._statement(frozenset({"actor_id"})), {"actor_id": "actor7"}),
    "of a kind": (_TRAIL._statement(frozenset({"kind"})), {"kind": "kind3"}),
    "of a thing": (
        _TRAIL._statement(frozenset({"kind", "resource_id"})),
        {"kind": "kind2", "resource_id": "thing7"},
    ),
    "requests": (access._STATEMENTS[frozenset()], {}),
    "one request": (access._STATEMENTS[frozenset({"request_id"})], {"request_id": "r7"}),
    "requests of somebody": (access._STATEMENTS[frozenset({"user_id"})], {"user_id": _SOMEBODY}),
}


def _read(plan: Mapping[str, Any]) -> Iterator[float]:
    if "Relation Name" in plan:
        yield (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    for node in plan.get("Plans", ()):
        yield from _read(node)


async def test_a_page_reads_what_it_shows(servers: Servers) -> None:
    async with servers.fresh() as database:
        url = servers.database_url("superuser", database)
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            connection.execute(_FILL.encode())
            connection.execute("SET enable_seqscan = off")  # as every session of ours says
            for case, (statement, given) in _CASES.items():
                sql, own = compiled(statement)
                place = {"since": FIRST, "at_": LAST, "event_id_": LOWEST, "id_": LOWEST, "limit_": 21}
                parameters = own | {name: adapt(value) for name, value in (place | given).items()}
                found = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode(), parameters).fetchone()
                assert found is not None
                assert 0 < sum(_read(found["QUERY PLAN"][0]["Plan"])) <= 21, (case, found)
