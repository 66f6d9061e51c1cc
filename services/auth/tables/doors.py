"""Whether people are let in at all, and what is switched on for whom."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY

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

features = Table(
    "features",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("flag", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("percentage", SmallInteger),
    Column("user_ids", ARRAY(Uuid), nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
"""Those that somebody has changed."""
