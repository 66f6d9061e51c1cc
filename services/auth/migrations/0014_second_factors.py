"""Sessions say where and on what they were begun; second factors and their recovery codes."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0014"
down_revision = "0013"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)
_SESSIONS = ("last_from", "began_from", "began_at", "platform")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("platform", sa.Text), schema=SCHEMA)
    # Code from before says nothing of it: then a session was begun when its row was.
    op.add_column(
        "sessions", sa.Column("began_at", _MOMENT, nullable=False, server_default=sa.func.now()), schema=SCHEMA
    )
    op.add_column("sessions", sa.Column("began_from", sa.Text), schema=SCHEMA)
    op.add_column("sessions", sa.Column("last_from", sa.Text), schema=SCHEMA)
    # Of those that there are it is not known; they had begun when they were last used.
    op.execute("UPDATE auth.sessions SET began_at = used_at WHERE used_at IS NOT NULL")
    op.create_table(
        "second_factors",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_by", sa.Text),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("confirmed_at", _MOMENT),
        sa.Column("used_step", sa.BigInteger),
        sa.Column("wrong", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("wrong_at", _MOMENT),
        schema=SCHEMA,
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("recovery_codes", schema=SCHEMA)
    op.drop_table("second_factors", schema=SCHEMA)
    for column in _SESSIONS:
        op.drop_column("sessions", column, schema=SCHEMA)
