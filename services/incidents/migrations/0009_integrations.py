"""Integrations can be changed and deleted, and their keys told apart."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)
_BY_INTEGRATION = "incidents_open_integration_idx"
_KEYS = "integration_keys_integration_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # What was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{_BY_INTEGRATION}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_BY_INTEGRATION} ON {SCHEMA}.incidents ((view ->> 'integrationId'))"
            " WHERE status IN ('created', 'escalated', 'acknowledged')"
        )
    # The release before this one writes none of these: its integrations are of version 1, its keys have no hint.
    op.add_column("integrations", sa.Column("version", sa.Integer, nullable=False, server_default="1"), schema=SCHEMA)
    op.add_column("integrations", sa.Column("updated_at", _MOMENT), schema=SCHEMA)
    op.add_column("integration_keys", sa.Column("hint", sa.Text), schema=SCHEMA)
    op.add_column("integration_keys", sa.Column("last_used_at", _MOMENT), schema=SCHEMA)
    op.create_index(_KEYS, "integration_keys", ["integration_id", "created_at"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index(_KEYS, "integration_keys", schema=SCHEMA)
    op.drop_column("integration_keys", "last_used_at", schema=SCHEMA)
    op.drop_column("integration_keys", "hint", schema=SCHEMA)
    op.drop_column("integrations", "updated_at", schema=SCHEMA)
    op.drop_column("integrations", "version", schema=SCHEMA)
    op.drop_index(_BY_INTEGRATION, "incidents", schema=SCHEMA)
