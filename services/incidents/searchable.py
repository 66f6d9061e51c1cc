"""What incidents are searched by: the words of each, and its labels, in one index beside the list.

A row changes with what an incident says, and not with what becomes of it: answers cost nothing here (docs/adr/0068).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ARRAY, Column, Computed, Index, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import TSVECTOR

from libs.chassis.store.changes import Change, Row
from libs.chassis.store.work import Projector
from libs.contracts.envelope import Envelope
from libs.contracts.incident_lists import LABEL_CHARACTERS, LANGUAGES, Language
from libs.contracts.incidents import IncidentCreated, IncidentEdited
from services.incidents.analytics.facts import measured
from services.incidents.domain.incident import Incident
from services.incidents.projections import ORGANISATION, metadata, project

_WORDS: Final = 4_000
"""Characters: a description goes on, but what it is about stands at its beginning."""
_LABELS: Final = 100
"""Of an incident, the first ones: senders decide how many there are."""
_DEEP: Final = 8

_STEMMED = " ".join(f"WHEN '{one}' THEN to_tsvector('pg_catalog.{one}', words)" for one in LANGUAGES[1:])
LEXEMES: Final = (
    "array_to_tsvector(labels) || to_tsvector('pg_catalog.simple', words)"
    f" || CASE language {_STEMMED} ELSE ''::tsvector END"
)
"""Each word as it stands, and as it is found in its language: that of the setting when the row was written."""

searchable = Table(
    "searchable",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("words", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("labels", ARRAY(Text), nullable=False),
    Column("search", TSVECTOR, Computed(LEXEMES, persisted=True), nullable=False),
    Index("searchable_search_idx", "search", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": "128"}),
)


def projecting(language: Language) -> Projector:
    """`project`, what incidents are searched by, and what numbers are made of."""

    def all_of_it(event: Envelope[Any], state: Any) -> Iterable[Change]:
        yield from project(event, state)
        yield from measured(event)
        if isinstance(event.data, IncidentCreated | IncidentEdited) and isinstance(state, Incident) and state.created:
            yield searchable_row(state.created, language)

    return all_of_it


def searchable_row(said: IncidentCreated, language: Language) -> Row:
    """`said`: the incident with its words as they are now."""
    values = {
        "id": said.incident_id,
        "words": "\n".join(filter(None, (said.title, said.description)))[:_WORDS],
        "language": language,
        "labels": sorted({*_owners(said), *labels_of(said.metadata)}),
    }
    return Row(searchable, values)


def _owners(said: IncidentCreated) -> Iterator[str]:
    yield of_team(said.team_id or ORGANISATION)
    if said.integration_id is not None:
        yield of_integration(said.integration_id)


# No word begins with this sign, so no label is taken for a word.
def of_team(team_id: UUID) -> str:
    return f"=team={team_id}"


def of_integration(integration_id: UUID) -> str:
    return f"=integration={integration_id}"


def label(key: str, value: str) -> str:
    # Where a key has the sign itself it is written otherwise, so that no two labels look the same.
    return f"=metadata.{key.replace('%', '%25').replace('=', '%3D')}={value}"


def labels_of(given: Mapping[str, Any]) -> Iterator[str]:
    """Of metadata: `<path>=<value>` of each of its values, however deep."""
    waiting: list[tuple[str, Any, int]] = [(key, value, 1) for key, value in reversed(list(given.items()))]
    told = 0
    while waiting and told < _LABELS:
        key, value, depth = waiting.pop()
        if isinstance(value, Mapping | list | tuple):
            if depth < _DEEP:
                inside = value.items() if isinstance(value, Mapping) else ((None, one) for one in value)
                waiting += reversed([(key if k is None else f"{key}.{k}", v, depth + 1) for k, v in inside])
        elif value is not None:
            text = value if isinstance(value, str) else to_json(value).decode()
            if len(key) + len(text) < LABEL_CHARACTERS:
                told += 1
                yield label(key, text)
