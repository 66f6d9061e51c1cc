"""Alerts have places: answers wait until both lanes have passed theirs, and what was taken is never taken twice."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.migrate import MigrationRefused
from libs.chassis.store.tables import grant_tables

revision = "0004"
down_revision = "0003"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("dedup_keys", sa.Column("incarnation", sa.Text), schema=SCHEMA)
    op.add_column("dedup_keys", sa.Column("sequence", sa.BigInteger), schema=SCHEMA)
    op.create_table(
        "kept_answers",
        sa.Column("incarnation", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("integration_id", sa.Uuid, nullable=False),
        sa.Column("dedup_key", sa.Text, nullable=False),
        sa.Column("alert", JSONB, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        sa.Column("kept_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "taken_alerts",
        sa.Column("lane", sa.Text, primary_key=True),
        sa.Column("last", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("last_stored_at", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("others", sa.LargeBinary),
        sa.Column("taken_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("taken_alerts_age_idx", "taken_alerts", ["taken_at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    connection = op.get_bind()
    kept = connection.execute(sa.text(f"SELECT count(*) FROM {SCHEMA}.kept_answers")).scalar_one()  # noqa: S608
    if kept:
        raise MigrationRefused(
            f"{kept} answers of senders wait for a lane of ALERTS, and the release before knows nothing of them: let"
            " this one run until pager_answer_waiting_seconds is 0, and stop it; or delete them from"
            " incidents.kept_answers: their incidents stay open until somebody resolves them"
        )
    # The release before compares with the stream's own word, and would read all of ALERTS again.
    op.execute(
        f"UPDATE {SCHEMA}.cursors SET incarnation = regexp_replace(incarnation, '^.*@', '')"  # noqa: S608
        " WHERE upstream = 'ALERTS'"
    )
    op.drop_table("taken_alerts", schema=SCHEMA)
    op.drop_table("kept_answers", schema=SCHEMA)
    op.drop_column("dedup_keys", "sequence", schema=SCHEMA)
    op.drop_column("dedup_keys", "incarnation", schema=SCHEMA)
