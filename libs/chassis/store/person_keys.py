"""The keys of persons that a service keeps itself, so that it reads what is sealed while auth is away.

Each is a row of its own, sealed under a key that is derived from the service's secret. Who has another secret reads
none of them, and asks auth again: that is how the secret is replaced.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import ARRAY, Column, LargeBinary, MetaData, Select, Table, Text, Uuid, any_, bindparam, select

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.keyring import Keyring, Keys
from libs.chassis.store.work import Work
from libs.contracts.envelope import Envelope
from libs.contracts.erasure import PersonErased

_NONCE: Final = 12
_log = structlog.get_logger()


@cache
def person_keys(schema: str) -> Table:
    """The table. `sealed_by` tells one secret of the service from another, and says nothing else of it."""
    return Table(
        "person_keys",
        MetaData(schema=schema),
        Column("user_id", Uuid, primary_key=True),
        Column("sealed", LargeBinary, nullable=False),
        Column("sealed_by", Text, nullable=False),
    )


@cache
def _stored(schema: str) -> Select[Any]:
    table = person_keys(schema)
    return select(table).where(table.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))))


class StoredKeys(Keyring):
    """The keyring of a service that is given its keys by auth."""

    def __init__(self, schema: str, secret: str) -> None:
        super().__init__()
        self.schema = schema
        self._cipher = AESGCM(_derived(secret, f"pager/{schema}/person-keys/v1"))
        self.name = _derived(secret, f"pager/{schema}/person-keys-name/v1")[:8].hex()

    def load(self, work: Work, subjects: Sequence[UUID]) -> Iterable[tuple[UUID, bytes]]:
        for row in work.fetch(_stored(self.schema), ids=list(subjects)):
            user_id, sealed = row["user_id"], bytes(row["sealed"])
            try:
                yield user_id, self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], user_id.bytes)
            except (InvalidTag, ValueError):
                if row["sealed_by"] == self.name:
                    _log.error("a person's key cannot be opened", service=self.schema, user_id=str(user_id))

    def keep(self, work: Work, keys: Mapping[UUID, bytes]) -> None:
        """As auth has given them."""
        for user_id, secret in keys.items():
            nonce = secrets.token_bytes(_NONCE)
            sealed = nonce + self._cipher.encrypt(nonce, secret, user_id.bytes)
            work.put(Row(person_keys(self.schema), {"user_id": user_id, "sealed": sealed, "sealed_by": self.name}))
            self.forget(user_id)

    def take_turns(self, work: Work) -> None:
        """Keys are kept and forgotten one after the other from here to the commit."""
        work.lock(f"pager/{self.schema}/person-keys")


def forget_key(work: Work, user_id: UUID) -> None:
    """Nobody reads here any more what was sealed for this person; other replicas forget it within five minutes.

    Whatever makes this service want the key goes in the same transaction.
    """
    keys = cast("Keys", work.seals)
    ring = cast("StoredKeys", keys.ring)
    ring.take_turns(work)
    work.put(Gone(person_keys(ring.schema), {"user_id": user_id}))
    keys.forget(user_id)


def forget_erased(work: Work, events: Iterable[Envelope[Any]]) -> None:
    """Of those of auth's events that say so; a desk has no keys."""
    for event in events:
        if isinstance(event.data, PersonErased) and work.seals is not None:
            forget_key(work, event.data.user_id)


def _derived(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode())
