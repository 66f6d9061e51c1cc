"""How people, invites and devices are found whose addresses and push tokens are stored sealed: by keyed hashes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy.sql import Executable

from libs.chassis.store.changes import Added, Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.addresses import one_address
from libs.contracts.model import StillSealed
from services.auth.queries import DEVICES_WITHOUT_TOKEN, INVITES_WITHOUT_ADDRESS, USERS_WITHOUT_ADDRESS
from services.auth.subject_keys import hashed
from services.auth.tables.people import addresses, invited_addresses, push_tokens


def address_hash(work: Work, email: str) -> bytes:
    """The same however the address is spelt."""
    return hashed(work, f"address/{one_address(email)}")


def token_hash(work: Work, push_token: str) -> bytes:
    return _token_hash(work, sha256(push_token.encode()).digest())


def keep_address(work: Work, user_id: UUID, email: str) -> None:
    """Nobody else has it: AlreadyTaken fails the transaction of whoever is the second."""
    work.put(Added(addresses, {"hash": address_hash(work, email), "user_id": user_id}))


def keep_invited(work: Work, invite_id: UUID, email: str) -> None:
    work.put(Row(invited_addresses, {"invite_id": invite_id, "hash": address_hash(work, email)}))


def keep_token(work: Work, device: UUID, token: bytes) -> None:
    """`token`: its `token_hash`."""
    work.put(Row(push_tokens, {"device": device, "hash": token}))


def forget_address(work: Work, email: str) -> None:
    """Nobody is found by it any more, and somebody else may have it."""
    work.put(Gone(addresses, {"hash": address_hash(work, email)}))


def keep_missing(work: Work) -> int:
    """Of what code from before has written; how many there were."""
    users, invites = _clear(work, USERS_WITHOUT_ADDRESS), _clear(work, INVITES_WITHOUT_ADDRESS)
    devices = work.fetch(DEVICES_WITHOUT_TOKEN)
    for row in users:
        work.put(Row(addresses, {"hash": address_hash(work, row["email"]), "user_id": row["id"]}))
    for row in invites:
        keep_invited(work, row["id"], row["email"])
    for row in devices:
        keep_token(work, row["id"], _token_hash(work, bytes(row["token_hash"])))
    return len(users) + len(invites) + len(devices)


def _clear(work: Work, statement: Executable) -> list[dict[str, Any]]:
    """Those whose address can be read."""
    return [row for row in work.fetch(statement) if not isinstance(row["email"], StillSealed)]


def _token_hash(work: Work, digest: bytes) -> bytes:
    return hashed(work, b"push-token/" + digest)
