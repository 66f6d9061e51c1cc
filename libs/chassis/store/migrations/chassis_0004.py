"""Epochs say why they were begun, and the service may begin one: part of a migration of each service.

Its role may not write the table, only call one function, which runs as the owner of the schema and does this one thing.
"""

import sqlalchemy as sa
from alembic import op

_ARGUMENTS = "integer, integer, bigint, text"


def upgrade(schema: str) -> None:
    op.add_column("epochs", sa.Column("reason", sa.Text, nullable=False, server_default=""), schema=schema)
    for statement in (
        f"UPDATE {schema}.epochs SET reason = 'the first one' WHERE epoch = 1",  # noqa: S608
        _function(schema),
        f"REVOKE ALL ON FUNCTION {schema}.begin_epoch({_ARGUMENTS}) FROM PUBLIC",
        f"GRANT EXECUTE ON FUNCTION {schema}.begin_epoch({_ARGUMENTS}) TO pager_{schema}",
    ):
        op.execute(statement)


def downgrade(schema: str) -> None:
    op.execute(f"DROP FUNCTION {schema}.begin_epoch({_ARGUMENTS})")
    op.drop_column("epochs", "reason", schema=schema)


def _function(schema: str) -> str:
    # The pinned path: nobody's table, function or operator of the same name is taken for ours. The lock: of two that
    # begin one at once, the second sees the first one's.
    return f"""
        CREATE FUNCTION {schema}.begin_epoch(expected integer, number integer, after bigint, why text)
        RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            newest integer;
            log_end bigint;
        BEGIN
            LOCK TABLE {schema}.epochs IN SHARE ROW EXCLUSIVE MODE;
            SELECT max(epoch) INTO newest FROM {schema}.epochs;
            IF newest IS DISTINCT FROM expected THEN
                RETURN false;
            END IF;
            SELECT greatest(
                0,
                (SELECT max(notification_id) FROM {schema}.stored_events WHERE lane = 'urgent'),
                (SELECT max(notification_id) FROM {schema}.stored_events WHERE lane = 'routine')
            ) INTO log_end;
            IF (number > newest AND after BETWEEN 0 AND log_end AND length(btrim(why)) BETWEEN 1 AND 2000)
                IS NOT TRUE
            THEN
                RAISE EXCEPTION 'no epoch % after %: the newest is %, the log ends at %, a reason is needed',
                    number, after, newest, log_end USING ERRCODE = 'invalid_parameter_value';
            END IF;
            INSERT INTO {schema}.epochs (epoch, after_position, reason) VALUES (number, after, btrim(why));
            RETURN true;
        END $$
    """  # noqa: S608
