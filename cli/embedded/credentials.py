"""Passwords of an embedded installation: made at the first start, kept in one private file, never shown."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from libs.chassis.store.roles import AUDITOR_ROLE

STATEFUL_SERVICES: Final = ("auth", "oncall", "incidents", "escalation", "notifier")
"""Services that own a PostgreSQL schema and an event stream (docs/architecture.md)."""

NATS_USERS: Final = (*STATEFUL_SERVICES, "gateway", "operator", "auditor", "sender", "anonymous")
"""`anonymous` has a password because the server demands one; nobody needs to know it."""

SUPERUSER: Final = "postgres"
OWNER: Final = "pager_owner"
AUDITOR: Final = AUDITOR_ROLE
"""Reads every log and nothing else: `pager replay`, `pager explain`."""
POSTGRES_ROLES: Final = (SUPERUSER, OWNER, AUDITOR, *(f"pager_{service}" for service in STATEFUL_SERVICES))


def _password() -> str:
    # 256 bits in URL-safe letters: needs no quoting in a URL, a NATS configuration or a shell.
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Credentials:
    """Passwords by NATS user and by PostgreSQL role; they never appear in `repr`."""

    nats: Mapping[str, str] = field(repr=False)
    postgres: Mapping[str, str] = field(repr=False)

    @classmethod
    def completed(cls, known: Mapping[str, Mapping[str, str]]) -> Self:
        """Keep what is known and make a password for whoever has none (a user that an upgrade brought)."""
        nats, postgres = known.get("nats", {}), known.get("postgres", {})
        return cls(
            nats={**nats, **{user: _password() for user in NATS_USERS if user not in nats}},
            postgres={**postgres, **{role: _password() for role in POSTGRES_ROLES if role not in postgres}},
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse `credentials.json`; raises `ValueError` where it is not `{"nats": {…}, "postgres": {…}}`."""
        document = json.loads(text)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        for section in ("nats", "postgres"):
            entries = document.get(section, {})
            if not isinstance(entries, dict) or not all(isinstance(value, str) for value in entries.values()):
                raise ValueError(f"{section} is not a table of passwords")
        return cls.completed(document)

    def to_json(self) -> str:
        """The content of `credentials.json`."""
        return json.dumps({"nats": dict(self.nats), "postgres": dict(self.postgres)}, indent=2) + "\n"
