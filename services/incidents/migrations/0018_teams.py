"""Incidents are of teams, and are seen by whom they paged whatever their team; lists of both are found by indexes."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0018"
down_revision = "0017"

SCHEMA = "incidents"
_ASSIGNEE = "(coalesce(assigned_to, paged), status, priority, created_at, id) INCLUDE (assigned_to, paged"
_NEW = (
    ("incidents_team_idx", "incidents (team_id, status, priority, created_at, id)"),
    ("incidents_assignee_team_idx", f"incidents {_ASSIGNEE}, team_id)"),
)
_OLD = (("incidents_assignee_idx", f"incidents {_ASSIGNEE})"),)


def upgrade() -> None:
    # The release before this one knows no teams: what it writes is the organisation's.
    organisation = sa.Column("team_id", sa.Uuid, nullable=False, server_default=sa.text(f"'{'0' * 32}'::uuid"))
    op.add_column("incidents", organisation, schema=SCHEMA, if_not_exists=True)
    _replace(_OLD, _NEW)
    op.create_table(
        "responders",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("responders_user_idx", "responders", ["user_id", "team_id", "incident_id"], schema=SCHEMA)
    op.add_column("policies", sa.Column("team_id", sa.Uuid), schema=SCHEMA)
    op.create_table("teams", sa.Column("id", sa.Uuid, primary_key=True), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("teams", schema=SCHEMA)
    op.drop_column("policies", "team_id", schema=SCHEMA)
    op.drop_table("responders", schema=SCHEMA)
    _replace(_NEW, _OLD)
    op.drop_column("incidents", "team_id", schema=SCHEMA)


def _replace(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> None:
    with op.get_context().autocommit_block():
        for name, what in new:
            # One that was interrupted leaves an index behind that nobody can use.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {SCHEMA}.{what}")
        for name, _ in old:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
