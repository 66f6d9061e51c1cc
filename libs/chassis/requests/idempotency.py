"""Answers kept for 24 h under an Idempotency-Key, in the command's own transaction."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.sql import Executable

from libs.chassis.store.changes import Change, Cleared
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.envelope import Actor, ActorKind
from libs.contracts.model import Contract
from libs.contracts.requests import Rejected, Reply
from libs.contracts.subjects import lanes_of

KEPT = timedelta(hours=24)
_NONCE = 12


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A command that its sender may send again under the same key; the key itself is not stored.

    A body may hold a password, and an answer a routing key. The body's hash is made with the key, so that nobody who
    reads the table can try passwords, and the answer is sealed with it, for whoever sends it again.
    """

    service: str
    actor: Actor
    operation: str
    key: str
    body: Contract

    def kept(self, work: Work) -> Reply | None:
        """The answer that this request was given before, with a position that covers it.

        Raises:
            Rejected: the key was used with another body.
        """
        for row in work.fetch(_find(self.service), **self._identity(), horizon=work.now - KEPT):
            if not hmac.compare_digest(bytes(row["body_hash"]), self._body_hash()):
                raise Rejected("this Idempotency-Key was used with another body", field="Idempotency-Key")
            # It was written before its own position was known: what is in the log now is at or after it.
            end = max(work.log.last_position(work.cursor, lane) for lane in lanes_of(self.service))
            return Reply.model_validate_json(self._open(bytes(row["answer"]))).model_copy(update={"position": end})
        return None

    def keep(self, work: Work, reply: Reply) -> None:
        """Write the answer now, not with the rows of the commit.

        A second request that is under way with this key fails here, runs again and finds the answer. What is shown
        once is not in it.
        """
        if isinstance(reply.data, Contract):
            reply = reply.model_copy(
                update={"data": reply.data.model_copy(update=dict.fromkeys(reply.data.shown_once))}
            )
        identity = self._identity()
        work.fetch(_forget(self.service), **identity, horizon=work.now - KEPT)
        answer = {"body_hash": self._body_hash(), "answer": self._seal(reply.to_json()), "answered_at": work.now}
        work.fetch(_keep(self.service), **identity, **answer, about=getattr(reply.data, "id", None))

    def _identity(self) -> dict[str, str]:
        hashed = hashlib.sha256(self.key.encode()).hexdigest()
        return {"actor": _name(self.actor), "operation": self.operation, "key": hashed}

    def _body_hash(self) -> bytes:
        return hmac.digest(self.key.encode(), self.body.to_json(), "sha256")

    def _seal(self, answer: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher().encrypt(nonce, answer, None)

    def _open(self, sealed: bytes) -> bytes:
        return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], None)

    def _cipher(self) -> AESGCM:
        # Another message than any body's, so that the hash which is stored is never the key that is not.
        return AESGCM(hmac.digest(self.key.encode(), b"answer\0" + self.operation.encode(), "sha256"))


def _name(actor: Actor) -> str:
    """A person is called by their id alone, and no machine by that of whoever has made it."""
    return actor.id if actor.kind is ActorKind.USER else f"{actor.kind}:{actor.id}"


def forgotten(service: str, person: UUID) -> tuple[Change, ...]:
    """What was answered to a person, and about them."""
    answers = chassis_tables(service).answers
    return Cleared(answers, {"actor": str(person)}), Cleared(answers, {"about": person})


@cache
def _find(service: str) -> Executable:
    table = chassis_tables(service).answers
    mine = (table.c[name] == bindparam(name) for name in ("actor", "operation", "key"))
    return select(table).where(*mine, table.c.answered_at >= bindparam("horizon"))


@cache
def _forget(service: str) -> Executable:
    table = chassis_tables(service).answers
    mine = (table.c[name] == bindparam(name) for name in ("actor", "operation", "key"))
    return delete(table).where(*mine, table.c.answered_at < bindparam("horizon"))


@cache
def _keep(service: str) -> Executable:
    return insert(chassis_tables(service).answers)
