"""A page of an incident's notifications is found by an index, in its order."""

from alembic import op

revision = "0009"
down_revision = "0008"

SCHEMA = "notifier"
INDEX, BEFORE = "notifications_incident_idx", "notifications_incident_id_idx"


def upgrade() -> None:
    _replace(BEFORE, INDEX, ["incident_id", "created_at", "id"])


def downgrade() -> None:
    _replace(INDEX, BEFORE, ["incident_id"])


def _replace(old: str, new: str, columns: list[str]) -> None:
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{new}")
        op.create_index(new, "notifications", columns, schema=SCHEMA, postgresql_concurrently=True)
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{old}")
