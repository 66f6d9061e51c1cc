"""Incidents are found by their words and labels; those that there were before, after `pager rebuild incidents`."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from libs.chassis.store.tables import grant_tables

revision = "0029"
down_revision = "0028"

SCHEMA = "incidents"
_UPDATED = "incidents_updated_at_idx"
_LANGUAGES = (
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
)
_STEMMED = " ".join(f"WHEN '{one}' THEN to_tsvector('pg_catalog.{one}', words)" for one in _LANGUAGES)
_LEXEMES = (
    "array_to_tsvector(labels) || to_tsvector('pg_catalog.simple', words)"
    f" || CASE language {_STEMMED} ELSE ''::tsvector END"
)


def upgrade() -> None:
    op.create_table(
        "searchable",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("labels", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("search", TSVECTOR, sa.Computed(_LEXEMES, persisted=True), nullable=False),
        schema=SCHEMA,
    )
    # What waits to be sorted in is sorted in by whoever comes to the limit: with the default, 4 MiB, an alert would.
    op.create_index(
        "searchable_search_idx",
        "searchable",
        ["search"],
        schema=SCHEMA,
        postgresql_using="gin",
        postgresql_with={"gin_pending_list_limit": "128"},
    )
    # How many are found is guessed from statistics: they must not be old.
    op.execute(f"ALTER TABLE {SCHEMA}.searchable SET (autovacuum_analyze_scale_factor = 0.02)")
    grant_tables(op.get_bind(), SCHEMA)
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{_UPDATED}")
        op.execute(
            f"CREATE INDEX CONCURRENTLY {_UPDATED} ON {SCHEMA}.incidents"
            """ (rtrim(view ->> 'updatedAt', 'Z') COLLATE "C", id)"""
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{_UPDATED}")
    op.drop_table("searchable", schema=SCHEMA)
