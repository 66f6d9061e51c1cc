"""The last passwords of each person, and what was guessed at each account."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0010"
down_revision = "0007"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Code from before fills neither: what it replaces is no former password, and what it refuses was no guess.
    op.create_table(
        "former_passwords",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("replaced_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "guesses",
        sa.Column("account", sa.LargeBinary, primary_key=True),
        sa.Column("place", sa.LargeBinary, primary_key=True),
        sa.Column("wrong", sa.SmallInteger, nullable=False),
        sa.Column("under_way", sa.SmallInteger, nullable=False),
        sa.Column("tried_at", _MOMENT),
        sa.Column("lockouts", sa.SmallInteger, nullable=False),
        sa.Column("locked_until", _MOMENT),
        sa.Column("right_at", _MOMENT),
        sa.Column("forget_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("guesses_forget_at_idx", "guesses", ["forget_at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("guesses", schema=SCHEMA)
    op.drop_table("former_passwords", schema=SCHEMA)
