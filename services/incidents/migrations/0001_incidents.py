"""The log, and the read models of incidents and integrations."""

from alembic import op
from sqlalchemy import text

from libs.chassis.tables import create_chassis_tables, drop_chassis_tables, grant_tables
from services.incidents.projections import SCHEMA, metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    create_chassis_tables(connection, SCHEMA)
    metadata.create_all(connection)
    connection.execute(text(f"CREATE SEQUENCE {SCHEMA}.incident_number"))
    grant_tables(connection, SCHEMA)


def downgrade() -> None:
    connection = op.get_bind()
    connection.execute(text(f"DROP SEQUENCE {SCHEMA}.incident_number"))
    metadata.drop_all(connection)
    drop_chassis_tables(connection, SCHEMA)
