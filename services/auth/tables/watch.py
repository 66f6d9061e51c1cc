"""What is kept of who did what, and who is told of it."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Float, Index, SmallInteger, Table, Text, Uuid

from libs.chassis.store.audit import audit_table
from services.auth.tables.schema import kept, metadata

audit = audit_table(metadata)

# Each request at the gateway, for 90 days: what is clear in here is nowhere else. `id` grows with time.
access_log = Table(
    "access_log",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("ms", Float, nullable=False),
    Column("user_id", Uuid),
    Column("key_id", Uuid),
    Column("ip_address", Text),
    Column("user_agent", Text),
    Column("request_id", Text, nullable=False),
    Index("access_log_at_idx", "at", "id"),
    Index("access_log_user_idx", "user_id", "at", "id"),
    Index("access_log_request_idx", "request_id"),
)

# Which countries somebody has signed in from within a year.
countries = Table(
    "countries",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("country", Text, primary_key=True),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Index("countries_last_at_idx", "last_at"),
)

# What is to be mailed of security events: to whom and about whom, and not what it says.
notices = Table(
    "notices",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("recipient", Uuid, nullable=False),
    Column("person", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Index("notices_next_at_idx", "next_at"),
)

# When somebody was last mailed of a kind of event; whoever makes many of them fills no mailbox.
noticed = Table(
    "noticed",
    kept,
    Column("kind", Text, primary_key=True),
    Column("whom", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("noticed_at_idx", "at"),
)
