"""Integrations can be changed and deleted, and their keys told apart."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)
_BY_INTEGRATION = "incidents_open_integration_idx"
_KEYS = "integration_keys_integration_idx"
_OPEN = "status IN ('created', 'escalated', 'acknowledged')"


def upgrade() -> None:
    # The release before this one writes none of these, nor are they filled: an incident says it in its view, too, an
    # integration is of version 1, and a key has no hint.
    op.add_column("incidents", sa.Column("integration_id", sa.Uuid), schema=SCHEMA, if_not_exists=True)
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{_BY_INTEGRATION}")
        op.create_index(
            _BY_INTEGRATION,
            "incidents",
            ["integration_id"],
            schema=SCHEMA,
            postgresql_where=sa.text(_OPEN),
            postgresql_concurrently=True,
        )
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
    op.drop_column("incidents", "integration_id", schema=SCHEMA)
