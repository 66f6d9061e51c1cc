"""Lists of incidents are found by indexes, whatever they are filtered by: whom it pages stands with each."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.log import advisory_key

revision = "0007"
down_revision = "0006"

SCHEMA = "incidents"
_AT_ONCE = 1000
_NEW = (
    ("integrations_created_at_idx", "integrations (created_at, id)"),
    ("incidents_status_priority_idx", "incidents (status, priority, created_at, id)"),
    (
        "incidents_assignee_idx",
        "incidents (coalesce(assigned_to, paged), status, priority, created_at, id) INCLUDE (assigned_to, paged)",
    ),
)
_OLD = (
    ("incidents_status_idx", "incidents (status, created_at)"),
    ("incidents_assigned_to_idx", "incidents (assigned_to, created_at)"),
)
# The rows of a batch are locked as the service locks them: after the append lock.
_TURN = f"SELECT pg_advisory_xact_lock({advisory_key(f'pager/append/{SCHEMA}')})"
_BATCH = f"""
    WITH these AS (
        SELECT incident_id, assigned_to, ARRAY[run, round, level] AS place FROM {SCHEMA}.running_escalations
        WHERE incident_id > CAST(:after AS uuid) ORDER BY incident_id LIMIT {_AT_ONCE}
    ), done AS (
        UPDATE {SCHEMA}.incidents i SET paged = t.assigned_to, paged_in = t.place FROM these t
        WHERE i.id = t.incident_id AND coalesce(i.paged_in <= t.place, true)
    )
    SELECT max(incident_id::text) FROM these
"""  # noqa: S608 - our own schema


def upgrade() -> None:
    op.add_column("incidents", sa.Column("paged", sa.Uuid), schema=SCHEMA, if_not_exists=True)
    op.add_column("incidents", sa.Column("paged_in", sa.ARRAY(sa.Integer)), schema=SCHEMA, if_not_exists=True)
    with op.get_context().autocommit_block():
        _fill()
        _replace(_OLD, _NEW)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        _replace(_NEW, _OLD)
    op.drop_column("incidents", "paged_in", schema=SCHEMA)
    op.drop_column("incidents", "paged", schema=SCHEMA)


def _fill() -> None:
    """In short transactions, so that nobody waits for all of it."""
    connection, after = op.get_bind(), "00000000-0000-0000-0000-000000000000"
    while after is not None:
        connection.execute(sa.text("BEGIN"))
        connection.execute(sa.text(_TURN))
        after = connection.execute(sa.text(_BATCH), {"after": after}).scalar_one()
        connection.execute(sa.text("COMMIT"))


def _replace(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> None:
    for name, what in new:
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {SCHEMA}.{what}")
    for name, _ in old:
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
