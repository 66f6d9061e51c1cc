"""The keys of persons that a service keeps itself, so that it reads what is sealed while auth is away.

Each is a row of its own, sealed under a key that is derived from the service's secret. While that is replaced the one
before opens too, and seals until all replicas have the new one. Whoever has neither reads none, and asks auth again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import ARRAY, Column, LargeBinary, MetaData, Select, Table, Text, Uuid, any_, bindparam, select

from libs.chassis.settings import SealingSettings
from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.keyring import Keyring, Keys
from libs.chassis.store.roll_call import RollCall
from libs.chassis.store.work import Work
from libs.contracts.envelope import Envelope
from libs.contracts.erasure import PersonErased

_NONCE: Final = 12
_PART: Final = 1000
"""Keys that are sealed anew in one transaction."""
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


@cache
def _sealed_by(schema: str) -> Select[Any]:
    table = person_keys(schema)
    return select(table).where(table.c.sealed_by == any_(bindparam("names", type_=ARRAY(Text)))).limit(_PART)


class StoredKeys(Keyring):
    """The keyring of a service that is given its keys by auth, and keeps them under a secret of its own."""

    def __init__(self, schema: str, settings: SealingSettings) -> None:
        super().__init__()
        self.schema = schema
        self._ciphers = {
            _derived(secret, f"pager/{schema}/person-keys-name/v1")[:8].hex(): AESGCM(
                _derived(secret, f"pager/{schema}/person-keys/v1")
            )
            for secret in settings.sealing_keys()
        }
        self.roll_call = RollCall(schema, settings.instance, tuple(self._ciphers))
        self._told: set[str] = set()
        """By which secrets keys are sealed that were said not to be opened here."""

    @property
    def names(self) -> list[str]:
        """Of the secrets that open what they have sealed."""
        return list(self._ciphers)

    def load(self, work: Work, subjects: Sequence[UUID]) -> Iterable[tuple[UUID, bytes]]:
        for row in work.fetch(_stored(self.schema), ids=list(subjects)):
            if (secret := self._opened(row)) is not None:
                yield row["user_id"], secret

    def keep(self, work: Work, keys: Mapping[UUID, bytes]) -> None:
        """As auth has given them."""
        name = self.roll_call.sealing(work)
        for user_id, secret in keys.items():
            nonce = secrets.token_bytes(_NONCE)
            sealed = nonce + self._ciphers[name].encrypt(nonce, secret, user_id.bytes)
            work.put(Row(person_keys(self.schema), {"user_id": user_id, "sealed": sealed, "sealed_by": name}))
            self.forget(user_id)

    def seal_anew(self, work: Work) -> int:
        """What the secret before has sealed, once all replicas have the new one; a part of it. How many these were."""
        if len(self._ciphers) == 1:
            return 0
        self.take_turns(work)
        name = self.roll_call.sealing(work)
        rows = work.fetch(_sealed_by(self.schema), names=[one for one in self._ciphers if one != name])
        opened = {row["user_id"]: self._opened(row) for row in rows}
        self.keep(work, {user_id: secret for user_id, secret in opened.items() if secret is not None})
        closed = [user_id for user_id, secret in opened.items() if secret is None]
        work.put(*(Gone(person_keys(self.schema), {"user_id": user_id}) for user_id in closed))
        return len(rows)

    def _opened(self, row: Mapping[str, Any]) -> bytes | None:
        user_id, sealed, name = row["user_id"], bytes(row["sealed"]), row["sealed_by"]
        with suppress(KeyError, InvalidTag, ValueError):
            return self._ciphers[name].decrypt(sealed[:_NONCE], sealed[_NONCE:], user_id.bytes)
        if name not in self._told:
            self._told.add(name)
            _log.error("keys of persons cannot be opened", service=self.schema, sealed_by=name, user_id=str(user_id))
        return None

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
