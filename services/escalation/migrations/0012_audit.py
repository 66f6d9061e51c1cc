"""An index of the audit; what of it is older is indexed by a rebuild."""

from alembic import op
from sqlalchemy import BigInteger, Column, DateTime, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0012"
down_revision = "0011"

SCHEMA = "escalation"
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
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("audit", schema=SCHEMA)
