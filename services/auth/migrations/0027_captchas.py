"""Solutions of captchas that were used."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0027"
down_revision = "0026"

SCHEMA = "auth"


def upgrade() -> None:
    op.create_table(
        "captchas",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("forget_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("captchas_forget_at_idx", "captchas", ["forget_at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("captchas", schema=SCHEMA)
