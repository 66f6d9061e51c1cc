"""Where reviews are kept, and what of them is."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Column, Integer, MetaData, Table, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from libs.contracts.reviews import ReviewView
from services.incidents.domain.review import Review


def reviews_table(metadata: MetaData) -> Table:
    """An incident has one."""
    return Table(
        "reviews",
        metadata,
        Column("incident_id", Uuid, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("view", JSONB, nullable=False),
    )


def review_view(state: Review, review_id: UUID, version: int) -> ReviewView:
    """A review as the API shows it. It must exist."""
    drafted, changed, published = state.drafted, state.changed, state.published
    assert drafted is not None  # noqa: S101 - every event of a review follows its draft
    assert changed is not None  # noqa: S101 - the draft itself, at first
    return ReviewView(
        id=review_id,
        incident_id=drafted.incident_id,
        version=version,
        text=state.text,
        action_items=state.action_items,
        published=published is not None,
        published_at=published.at if published else None,
        published_by=published.by.id if published else None,
        created_at=drafted.at,
        created_by=drafted.by.id,
        updated_at=changed.at,
        updated_by=changed.by.id,
    )
