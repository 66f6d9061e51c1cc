"""A page of the audit reads the events that it shows, however long those behind them are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import MetaData, Select

from libs.chassis.store.audit import Trail, audit_table
from libs.chassis.store.work import Work
from libs.contracts.audit import AuditQuery
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane
from libs.contracts.teams import TeamChanged

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class _Work:
    """A log in which one team was changed again and again, each time with so long a description."""

    codec = CODEC

    def __init__(self, changes: int, length: int) -> None:
        self._rows = [
            {"entity": UUID(int=1), "version": n, "correlation_id": UUID(int=n), "before": "x"}
            for n in range(changes, 0, -1)
        ]
        self._length = length
        self.read: list[int] = []

    def fetch(self, statement: Any, **parameters: Any) -> list[dict[str, Any]]:
        if isinstance(statement, Select):
            return self._rows[: parameters["limit_"]]
        self.read += parameters["versions"]
        return [self._found(version) for version in parameters["versions"]]

    def _found(self, version: int) -> dict[str, Any]:
        event, before = self._event(version), self._event(version - 1)
        topic = TeamChanged.type
        found = {"topic": topic, "state": CODEC.encode(event), "before_topic": topic, "before": CODEC.encode(before)}
        return found | {"origin_topic": None, "origin": None}

    def _event(self, version: int) -> Envelope[TeamChanged]:
        return Envelope[TeamChanged](
            id=uuid4(),
            type=TeamChanged.type,
            time=NOON,
            entity=UUID(int=1),
            version=version,
            lane=Lane.ROUTINE,
            actor=Actor.service("auth"),
            correlation_id=UUID(int=version),
            data=TeamChanged(team_id=UUID(int=1), name="Core", description=f"{version} " + "x" * self._length),
        )


def _page(work: _Work) -> tuple[list[str], bool]:
    page = Trail(audit_table(MetaData(schema="auth"))).page(cast("Work", work), AuditQuery(limit=100), personal=True)
    return [str((entry.new or {})["description"]).split()[0] for entry in page.entries], page.more


def test_events_that_do_not_fit_into_the_answer_are_not_read() -> None:
    work = _Work(100, 200_000)
    shown, more = _page(work)
    assert (shown, more) == (["100"], True)
    assert len(work.read) <= 20


def test_a_page_of_short_ones_is_read_whole_and_in_order() -> None:
    work = _Work(101, 10)
    shown, more = _page(work)
    assert (shown, more) == ([str(n) for n in range(101, 1, -1)], True)
    assert work.read == list(range(101, 1, -1))
