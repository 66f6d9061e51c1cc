"""Lists of many teams walk one index and see in it whose each incident is; numbers read what was written since then."""

from alembic import op

revision = "0030"
down_revision = "0029"

SCHEMA = "incidents"
_NEW = (
    ("incidents_created_at_team_idx", "incidents (created_at, id) INCLUDE (team_id)"),
    ("incident_turns_at_idx", "incident_turns USING brin (at)"),
    ("fired_levels_at_idx", "fired_levels USING brin (at)"),
)
_OLD = (("incidents_created_at_idx", "incidents (created_at, id)"),)


def upgrade() -> None:
    _replace(_OLD, _NEW)


def downgrade() -> None:
    _replace(_NEW, _OLD)


def _replace(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> None:
    with op.get_context().autocommit_block():
        for name, what in new:
            # One that was interrupted leaves an index behind that nobody can use.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {SCHEMA}.{what}")
        for name, _ in old:
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{name}")
