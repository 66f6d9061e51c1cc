"""Invites, one-use links as hashes, mails to be sent, and whose address is known to be theirs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from libs.chassis.store.tables import grant_tables

revision = "0013"
down_revision = "0012"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Code from before says nothing of it: whom it registers is not verified.
    verified = sa.Column("email_verified", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("users", verified, schema=SCHEMA)
    op.create_table(
        "invites",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("team_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("invited_by", sa.Uuid),
        sa.Column("user_id", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("invites_created_at_idx", "invites", ["created_at", "id"], schema=SCHEMA)
    op.create_index("invites_email_idx", "invites", ["email"], schema=SCHEMA)
    op.create_table(
        "links",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("subject", sa.Uuid, nullable=False),
        sa.Column("mailed", sa.Boolean, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("links_subject_idx", "links", ["subject"], schema=SCHEMA)
    op.create_index("links_expires_at_idx", "links", ["expires_at"], schema=SCHEMA)
    op.create_table(
        "mails",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("subject", sa.Uuid, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("give_up_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("mails_next_at_idx", "mails", ["next_at"], schema=SCHEMA)
    op.create_index("mails_subject_idx", "mails", ["subject"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("mails", schema=SCHEMA)
    op.drop_table("links", schema=SCHEMA)
    op.drop_table("invites", schema=SCHEMA)
    op.drop_column("users", "email_verified", schema=SCHEMA)
