"""The notifier's log, read models, replicas and outbox."""

from alembic import op
from sqlalchemy import text

from libs.chassis.tables import create_chassis_tables, drop_chassis_tables, grant_tables
from services.notifier.projections import METADATA

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    bind = op.get_bind()
    create_chassis_tables(bind, "notifier")
    METADATA.create_all(bind)
    # Short-lived rows that are looked at all the time: vacuum them often.
    bind.execute(text("ALTER TABLE notifier.outbox SET (autovacuum_vacuum_scale_factor = 0.05, fillfactor = 70)"))
    grant_tables(bind, "notifier")


def downgrade() -> None:
    bind = op.get_bind()
    METADATA.drop_all(bind)
    drop_chassis_tables(bind, "notifier")
