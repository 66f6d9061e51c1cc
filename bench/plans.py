"""How PostgreSQL answers what a list asks, and what being searched costs an incident."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy.sql import Executable

from libs.chassis.clock import SystemClock
from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import adapt, compiled
from libs.contracts.incident_lists import SearchIncidents
from libs.contracts.model import Role, TeamRole
from services.incidents.listing import list_incidents

_LABEL = "metadata."
_TABLES = ("incidents", "searchable")


class Explaining:
    """A `Work` that only reads, with PostgreSQL's own settings, and keeps each plan."""

    def __init__(self, cursor: psycopg.Cursor[dict[str, Any]]) -> None:
        self.now = SystemClock().now()
        self.estimates = None
        self.plans: list[Mapping[str, Any]] = []
        self._cursor = cursor

    def fetch(self, statement: Executable, **parameters: Any) -> list[dict[str, Any]]:
        sql, own = compiled(statement)
        given = own | {k: adapt(v) for k, v in parameters.items()}
        if not sql.startswith("EXPLAIN"):
            self._cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".encode(), given)
            self.plans.append((self._cursor.fetchone() or {})["QUERY PLAN"][0]["Plan"])
        self._cursor.execute(sql.encode(), given)
        return self._cursor.fetchall()

    def rows_read(self) -> Iterator[tuple[str, float]]:
        """(how, how many rows) of each access to the incidents and to what they are searched by."""
        waiting = list(self.plans)
        while waiting:
            node = waiting.pop()
            waiting += node.get("Plans", ())
            if node.get("Relation Name") in _TABLES:
                removed = node.get("Rows Removed by Filter", 0)
                yield node["Node Type"], (node["Actual Rows"] + removed) * node["Actual Loops"]


def plans_of(url: str, queries: Mapping[str, Mapping[str, str]], me: UUID, teams: Sequence[UUID]) -> dict[str, Any]:
    """How each is answered, by who asks: which accesses, and how many rows they read.

    Raises:
        SystemExit: one of them reads a table from its beginning to its end.
    """
    told: dict[str, Any] = {}
    until = datetime(2100, 1, 1, tzinfo=UTC)
    member = dict.fromkeys(teams[3:4], TeamRole.MEMBER)
    callers = {
        "admin": Caller(me, frozenset({Role.ADMIN}), me, "bench", until),
        "member of one team": Caller(uuid4(), frozenset({Role.USER}), me, "bench", until, teams=member),
    }
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        for (who, caller), (name, query) in product(callers.items(), queries.items()):
            given = {key: value.format(me=me) for key, value in query.items()}
            labels = {key.removeprefix(_LABEL): given.pop(key) for key in list(given) if key.startswith(_LABEL)}
            work: Any = Explaining(connection.cursor())
            list_incidents(work, SearchIncidents.model_validate({**given, "metadata": labels}), caller)
            read = list(work.rows_read())
            if any(how == "Seq Scan" for how, _ in read):
                raise SystemExit(f"{name}, asked for by the {who}, reads all of a table: {read}")
            told[f"{name} ({who})"] = {"how": sorted({how for how, _ in read}), "rows": int(sum(n for _, n in read))}
    return told


def cost_of_words(url: str) -> dict[str, float]:
    """What a row of words adds to a new incident: as many as a batch has are written, and never committed."""
    rows, view = 500, Jsonb({"updatedAt": "2026-01-01T00:00:00Z"})
    listed = (
        "INSERT INTO incidents.incidents (id, number, status, priority, created_at, view)"
        " SELECT gen_random_uuid(), -n - %(turn)s::int * 1000, 'created', 'low', now(), %(view)s"
        " FROM generate_series(1, %(rows)s) n"
    )
    said = (
        "INSERT INTO incidents.searchable (id, words, language, labels)"
        " SELECT gen_random_uuid(), 'disk ' || n || ' of host db-' || n || ' is full and what is to be written waits',"
        " 'english', ARRAY['=team=1', '=metadata.env=production', '=metadata.host=db-' || n]"
        " FROM generate_series(1, %(rows)s) n"
    )
    spent = dict.fromkeys((listed, said), 0.0)
    turns = 20
    with psycopg.connect(url) as connection:
        for turn, statement in product(range(turns), (listed, said)):
            begun = time.perf_counter()
            connection.execute(statement.encode(), {"rows": rows, "turn": turn, "view": view})
            spent[statement] += time.perf_counter() - begun
        connection.rollback()
    per_row = 1e6 / (rows * turns)
    return {"ofTheList": round(spent[listed] * per_row, 1), "ofTheWords": round(spent[said] * per_row, 1)}
