"""The audits of several services become one list, of which nothing is missing and nothing comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.audit import AuditEntry, AuditPage
from libs.contracts.envelope import Actor
from services.gateway.routes.audit import merged
from services.gateway.tests.stubs import World
from services.gateway.tests.views import ID

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def entry(second: int, number: int) -> AuditEntry:
    at = NINE + timedelta(seconds=second)
    return AuditEntry(at=at, actor=Actor.service("a"), action="X", resource="users/x", event_id=UUID(int=number))


def asked(log: list[AuditEntry], limit: int, fits: int, after: AuditEntry | None) -> AuditPage:
    """A service's answer: newest first, as many as were asked for, and as fit."""
    older = [e for e in log if after is None or (e.at, e.event_id) < (after.at, after.event_id)]
    older.sort(key=lambda e: (e.at, e.event_id), reverse=True)
    shown = older[: min(limit, fits)]
    return AuditPage(entries=tuple(shown), more=len(shown) < len(older))


@given(
    logs=st.lists(st.lists(st.integers(0, 5), max_size=12), min_size=1, max_size=4),
    limit=st.integers(1, 5),
    fits=st.integers(1, 5),
)
def test_page_by_page_it_is_what_all_know_newest_first(logs: list[list[int]], limit: int, fits: int) -> None:
    known = [[entry(second, 100 * n + k) for k, second in enumerate(log)] for n, log in enumerate(logs)]
    read: list[AuditEntry] = []
    while True:
        page = merged(
            {str(n): asked(log, limit, fits, read[-1] if read else None) for n, log in enumerate(known)}, limit
        )
        assert len(page.entries) <= limit
        read += page.entries
        if not page.more:
            break
        assert page.entries, "or nobody would ever reach the end"
    everything = [e for log in known for e in log]
    assert read == sorted(everything, key=lambda e: (e.at, e.event_id), reverse=True)


@pytest.mark.servers
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("resource=", "resource"),
        ("resource=/", "resource"),
        ("resource=users/", "resource"),
        ("resource=nothing/7", "resource"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "to"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z", "to"),
    ],
)
async def test_what_a_script_has_left_out_is_not_everything(pager: World, query: str, field: str) -> None:
    answer = await pager.call("GET", f"/api/v1/audit?{query}")
    assert (answer.status, answer.error["details"]["field"]) == (400, field)
    assert "auth.audit" not in pager.stubs.asked


@pytest.mark.servers
async def test_an_id_is_found_however_it_is_written(pager: World) -> None:
    await pager.stubs.answer("auth.audit", {"entries": [], "more": False})
    for written, asked in ((str(ID).upper(), str(ID)), ("Anna's Phone", "Anna's Phone")):
        resource = quote(f"users/{written}", safe="")
        assert (await pager.call("GET", f"/api/v1/audit?resource={resource}")).status == 200
        assert pager.stubs.asked["auth.audit"][-1].body["resourceId"] == asked
