"""Alembic's environment for every service: one schema, one connection given by `libs.chassis.store.migrate`."""

from alembic import context

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

context.configure(
    connection=connection, version_table="alembic_version", version_table_schema=schema, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
