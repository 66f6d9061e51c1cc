"""Whether people are let in at all."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Table, Text, Uuid

from services.auth.tables.schema import metadata

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("message", Text),
    Column("until", DateTime(timezone=True)),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
"""One row, once it was on."""
