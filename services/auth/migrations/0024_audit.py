"""An index of the audit, of which a rebuild indexes what is older; the access log; and what people are told of."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Float, SmallInteger, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0024"
down_revision = "0023"

SCHEMA = "auth"
_INDEXES = {
    "audit_at_idx": ["at", "event_id"],
    "audit_actor_idx": ["actor_id", "at", "event_id"],
    "audit_kind_idx": ["kind", "at", "event_id"],
    "audit_resource_idx": ["resource_id", "at", "event_id"],
}


def upgrade() -> None:
    op.create_table(
        "audit",
        Column("event_id", Uuid, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("actor_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("resource_id", Text, nullable=False),
        Column("entity", Uuid, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("correlation_id", Uuid, nullable=False),
        Column("before", Text, nullable=False),
        schema=SCHEMA,
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "audit", columns, schema=SCHEMA)
    op.create_table(
        "access_log",
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
        schema=SCHEMA,
    )
    op.create_index("access_log_at_idx", "access_log", ["at", "id"], schema=SCHEMA)
    op.create_index("access_log_user_idx", "access_log", ["user_id", "at", "id"], schema=SCHEMA)
    op.create_index("access_log_request_idx", "access_log", ["request_id"], schema=SCHEMA)
    op.create_table(
        "countries",
        Column("user_id", Uuid, primary_key=True),
        Column("country", Text, primary_key=True),
        Column("last_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("countries_last_at_idx", "countries", ["last_at"], schema=SCHEMA)
    op.create_table(
        "notices",
        Column("id", Uuid, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("recipient", Uuid, nullable=False),
        Column("person", Uuid, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
        Column("attempts", SmallInteger, nullable=False),
        Column("next_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("notices_next_at_idx", "notices", ["next_at"], schema=SCHEMA)
    op.create_table(
        "noticed",
        Column("kind", Text, primary_key=True),
        Column("whom", Uuid, primary_key=True),
        Column("at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("noticed_at_idx", "noticed", ["at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in ("noticed", "notices", "countries"):
        op.drop_table(table, schema=SCHEMA)
    op.drop_table("access_log", schema=SCHEMA)
    op.drop_table("audit", schema=SCHEMA)
