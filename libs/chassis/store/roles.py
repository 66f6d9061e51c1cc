"""Who may read every log and nothing else: the database role of auditors (promise 13)."""

from __future__ import annotations

from typing import Final

AUDITOR_ROLE: Final = "pager_auditor"


def auditor_grants(schema: str) -> tuple[str, ...]:
    """What an auditor may do with a service's schema: read its log and where its epochs began.

    The role must exist: it is made with the database, as the services' roles are.
    """
    return (
        f"GRANT USAGE ON SCHEMA {schema} TO {AUDITOR_ROLE}",
        f"GRANT SELECT ON {schema}.stored_events, {schema}.epochs TO {AUDITOR_ROLE}",
    )
