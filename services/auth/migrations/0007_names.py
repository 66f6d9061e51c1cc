"""A page of people is found by an index."""

from alembic import op

revision = "0007"
down_revision = "0006"

SCHEMA = "auth"
INDEX = "users_name_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{INDEX}")
        columns = ["last_name", "first_name", "id"]
        op.create_index(INDEX, "users", columns, schema=SCHEMA, postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index(INDEX, "users", schema=SCHEMA)
