"""What of an incident is searched: bounded, whatever a sender says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import IncidentCreated
from libs.contracts.model import Lane, Priority
from services.incidents.analytics.facts import openings
from services.incidents.domain.incident import evolve, initial
from services.incidents.projections import ORGANISATION
from services.incidents.searchable import label, labels_of, of_integration, of_team, projecting, searchable_row


def _said(**more: Any) -> IncidentCreated:
    return IncidentCreated(
        incident_id=UUID(int=1),
        number=1,
        title="db down",
        priority=Priority.LOW,
        source="test",
        created_by=Actor.service("test"),
        created_at=datetime(2026, 3, 2, tzinfo=UTC),
        **more,
    )


@pytest.mark.parametrize(
    ("metadata", "labels"),
    [
        ({"host": "db-1"}, ["=metadata.host=db-1"]),
        ({"labels": {"a": "1", "b": {"c": 2}}}, ["=metadata.labels.a=1", "=metadata.labels.b.c=2"]),
        ({"tags": ["x", ["y", {"z": 1.5}]]}, ["=metadata.tags=x", "=metadata.tags=y", "=metadata.tags.z=1.5"]),
        ({"yes": True, "no": False, "nothing": None}, ["=metadata.yes=true", "=metadata.no=false"]),
        ({"empty": ""}, ["=metadata.empty="]),
        ({"long": "x" * 255, "short": "y"}, ["=metadata.short=y"]),
    ],
)
def test_labels_are_the_values_by_their_paths(metadata: dict[str, Any], labels: list[str]) -> None:
    assert list(labels_of(metadata)) == labels


def test_no_two_labels_look_the_same() -> None:
    assert label("a=b", "c") != label("a", "b=c")
    assert label("a%3Db", "c") != label("a=b", "c")


def test_however_much_a_sender_says_little_of_it_is_kept() -> None:
    deep: Any = "bottom"
    for _ in range(5_000):
        deep = [deep]
    many = {str(number): number for number in range(5_000)}
    row = searchable_row(_said(description="x" * 16_000, metadata={"deep": deep} | many), "english").values
    assert len(row["words"]) == 4_000
    assert len(row["labels"]) == 1 + 100
    assert not any("bottom" in one for one in row["labels"])


def test_whose_it_is_stands_beside_its_labels() -> None:
    assert searchable_row(_said(), "simple").values["labels"] == [of_team(ORGANISATION)]
    row = searchable_row(_said(team_id=UUID(int=2), integration_id=UUID(int=3)), "simple").values
    assert set(row["labels"]) == {of_team(UUID(int=2)), of_integration(UUID(int=3))}


def test_what_numbers_are_made_of_is_written_with_the_event() -> None:
    said = _said()
    state = evolve(initial(), said)
    event = Envelope[IncidentCreated](
        id=uuid4(),
        type=said.type,
        time=said.created_at,
        entity=said.incident_id,
        version=1,
        lane=Lane.ROUTINE,
        actor=said.created_by,
        correlation_id=uuid4(),
        data=said,
    )
    (opening,) = [change for change in projecting("english")(event, state) if change.table is openings]
    assert opening.values["incident_id"] == said.incident_id
