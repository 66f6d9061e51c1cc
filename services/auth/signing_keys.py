"""The keys that sign access tokens: RSA 2048, sealed at rest, each replaced by the next one in good time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import uuid5

import structlog

from libs.chassis.clock import Clock, wait_at_most
from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.keyring import OtherSecret
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Decider, Work
from libs.contracts.auth import KeyReason, KeySet, KeyUse, SigningKeyView
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor
from services.auth.domain import keys
from services.auth.entities import AUTH
from services.auth.master_keys import sealing
from services.auth.queries import SIGNING_KEYS
from services.auth.rotation import Age, coming, due_at, rotation, signing, verifying
from services.auth.sealing import Seal, WrongKey, none_of_these
from services.auth.tables.keys import signing_keys
from services.auth.tokens import SigningKey

_log = structlog.get_logger()
KEYS: Decider[keys.Signing, keys.RotateKey] = Decider(keys.initial, keys.evolve, keys.decide)
_ENTITY: Final = uuid5(PAGER, "signing keys")
_FRESH = timedelta(seconds=1)
"""So seldom are they read for those who sign in; the rest of `rotation.HEARD` is for a replica that hangs."""
_LOOK = timedelta(minutes=1)


@dataclass
class SigningKeys:
    """The stored keys, by their ages (`services.auth.rotation`). Call `prepare` before anything else."""

    store: Store
    seal: Seal
    clock: Clock
    _ages: Sequence[Age] = ()
    _opened: dict[str, SigningKey] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)
    """Those of which it was said that they cannot be opened here."""
    _read_at: datetime | None = None

    async def prepare(self) -> None:
        """Make the first key where there is none, also when two replicas start at once; read them.

        Raises:
            SettingsError: the master key does not open the one that signs.
        """
        if not await self.store.read(stored_keys):
            await self._replace(KeyReason.FIRST, AUTH)
        await self._read()
        present = signing(self._ages, self.clock.now())
        if present is None or present.kid not in self._opened:
            raise none_of_these("the signing key")

    async def current(self) -> SigningKey:
        """The one that signs now, of those that can be opened here; what other replicas do is known a second later.

        Raises:
            OtherSecret: none can be opened here any more.
        """
        now = self.clock.now()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < _FRESH:
            await self._read()
        present = signing([age for age in self._ages if age.kid in self._opened], now)
        if present is None:
            raise OtherSecret
        return self._opened[present.kid]

    async def public(self) -> KeySet:
        """Read afresh each time, so that a key made by another replica is known at once."""
        return await self.store.read(partial(public_keys, now=self.clock.now()))

    async def rotate(self, reason: KeyReason, actor: Actor) -> bool:
        """Make the next key, unless one is on its way already; False: then. Raises OtherSecret."""
        rotated = await self._replace(reason, actor)
        await self._read()
        return rotated

    async def look_after(self) -> None:
        """In the active replica, for ever: rotate what is old enough and forget what is over."""
        while True:
            try:
                if self.clock.now() >= await self.store.read(self._due_at):
                    await self.rotate(KeyReason.AGE, AUTH)
                await self.store.transact(_forget)
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("signing keys are looked after later", reason=str(error))
            await wait_at_most(self.clock, _LOOK)

    def _due_at(self, work: Work) -> datetime:
        return due_at(ages(stored_keys(work)), self.clock.now())

    async def _replace(self, reason: KeyReason, actor: Actor) -> bool:
        fresh = await asyncio.to_thread(SigningKey.generate)  # a tenth of a second, and sometimes a whole one
        done = await self.store.transact(lambda work: self._rotate(work, fresh, reason, actor))
        if done.result:
            _log.info("another key signs access tokens", kid=done.result, reason=str(reason))
        return done.result is not None

    def _rotate(self, work: Work, fresh: SigningKey, reason: KeyReason, actor: Actor) -> str | None:
        lock(work)
        rows = {row["kid"]: row for row in stored_keys(work)}
        if rows and reason is KeyReason.FIRST:
            return None
        known = ages(rows.values())
        decided = rotation(known, fresh.kid, work.now, reason)
        if decided is None:
            return None
        present = signing(known, work.now)
        if present is not None and not self.seal.knows(rows[present.kid]["sealed_by"]):
            raise OtherSecret  # what it seals could be opened by nobody, once the others have only the present one
        rows.setdefault(fresh.kid, self._row(fresh, work.now, sealing(work, self.seal)))
        for age in decided.ages:
            row = rows[age.kid] | {"not_before": age.not_before, "not_after": age.not_after}
            work.put(Row(signing_keys, row))
        command = keys.RotateKey(decided.kid, decided.not_before, reason)
        work.decide(KEYS, _ENTITY, command, work.begin(actor))
        return decided.kid

    def _row(self, key: SigningKey, now: datetime, by: str) -> dict[str, Any]:
        sealed = {"sealed": self.seal.close(key.kid, key.pem, by), "sealed_by": by}
        return {"kid": key.kid, "public_jwk": key.public_jwk, "created_at": now} | sealed

    async def _read(self) -> None:
        now = self.clock.now()
        rows = {row["kid"]: row for row in await self.store.read(stored_keys)}
        self._ages = ages(rows.values())
        present = signing(self._ages, now)
        wanted = [age.kid for age in (present, *coming(self._ages, now)) if age is not None]
        for kid in wanted:
            if kid not in self._opened:
                try:
                    pem = self.seal.open(kid, bytes(rows[kid]["sealed"]))
                except WrongKey:
                    if kid not in self._closed:
                        _log.error("a signing key was sealed under another master key", kid=kid)
                    self._closed.add(kid)
                else:
                    self._opened[kid] = await asyncio.to_thread(SigningKey.from_pem, pem)
        self._read_at = now


def lock(work: Work) -> None:
    """What is sealed is changed by one transaction at a time."""
    work.lock("pager/auth/signing-keys")


def stored_keys(work: Work) -> list[dict[str, Any]]:
    """Oldest first."""
    return work.fetch(SIGNING_KEYS)


def ages(rows: Any) -> list[Age]:
    return [
        Age(row["kid"], row["created_at"], row["not_before"] or row["created_at"], row["not_after"]) for row in rows
    ]


def public_keys(work: Work, now: datetime) -> KeySet:
    rows = {row["kid"]: row for row in stored_keys(work)}
    return KeySet(keys=tuple(rows[age.kid]["public_jwk"] for age in verifying(ages(rows.values()), now)))


def key_views(work: Work, now: datetime) -> list[SigningKeyView]:
    """Those that verify, by when they began."""
    known = ages(stored_keys(work))
    present, after = signing(known, now), {age.kid for age in coming(known, now)}

    def use(age: Age) -> KeyUse:
        if age == present:
            return KeyUse.SIGNING
        return KeyUse.COMING if age.kid in after else KeyUse.VERIFYING

    return [
        SigningKeyView(
            kid=age.kid, use=use(age), made_at=age.made_at, not_before=age.not_before, not_after=age.not_after
        )
        for age in sorted(verifying(known, now), key=lambda age: age.not_before)
    ]


def _forget(work: Work) -> None:
    """Keys that verify nothing any more."""
    known = ages(stored_keys(work))
    good = {age.kid for age in verifying(known, work.now)}
    work.put(*(Gone(signing_keys, {"kid": age.kid}) for age in known if age.kid not in good))
