"""What auth keeps sealed: opened at the start, and sealed anew when the master key has changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import structlog
from sqlalchemy import Table

from libs.chassis.clock import Clock, wait_at_most
from libs.chassis.store.changes import Patch, Row
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.auth import MasterKeyView
from services.auth.domain.second_factors import second_factor_name
from services.auth.projections import sealed_secrets, second_factors, signing_keys, subject_keys
from services.auth.queries import SEALED_SECRETS, SECOND_FACTORS_OF_OTHERS, SUBJECT_KEYS_OF_OTHERS
from services.auth.sealing import Seal, WrongKey, derived, none_of_these
from services.auth.signing_keys import lock, stored_keys
from services.auth.subject_keys import sealing_name

_log = structlog.get_logger()
_REFRESH: Final = "refresh-tokens"
_GUESSES: Final = "guesses"
_AUDIT: Final = "audit"
_LOOK_UPS: Final = "look-ups"
_IDENTITIES: Final = "identities"
_PENDING: Final = "pending-sign-ins"
_CAPTCHAS: Final = "captchas"
_NAMES: Final = (_REFRESH, _GUESSES, _AUDIT, _LOOK_UPS, _IDENTITIES, _PENDING, _CAPTCHAS)
_ONCE_DERIVED: Final = (_REFRESH, _GUESSES)
_LOOK = timedelta(minutes=1)
_FACTORS: Final = {False: SECOND_FACTORS_OF_OTHERS, True: SECOND_FACTORS_OF_OTHERS.with_for_update()}
_SUBJECTS: Final = {False: SUBJECT_KEYS_OF_OTHERS, True: SUBJECT_KEYS_OF_OTHERS.with_for_update()}


@dataclass
class Sealed:
    """`master_keys`: those that are given, the previous one first."""

    store: Store
    seal: Seal
    clock: Clock
    master_keys: Sequence[str] = field(repr=False)
    _keys: dict[str, bytes] = field(default_factory=dict, repr=False)

    async def prepare(self) -> None:
        """Before the first signing key is made.

        Raises:
            SettingsError: no master key that is given opens it.
        """
        for row in (await self.store.transact(self._own_keys)).result:
            try:
                self._keys[row["name"]] = self.seal.open(row["name"], bytes(row["sealed"]))
            except WrongKey:
                raise none_of_these(f"the key of {row['name']}") from None

    def refresh_key(self) -> bytes:
        """The key from which refresh tokens follow one another; the same in every replica, whatever the master key."""
        return self._keys[_REFRESH]

    def guesses_key(self) -> bytes:
        """The key under which accounts and places are kept that passwords are tried at."""
        return self._keys[_GUESSES]

    def audit_key(self) -> bytes:
        """The key under which accounts that nobody has are named in the log."""
        return self._keys[_AUDIT]

    def look_up_key(self) -> bytes:
        """The key under which hashes of addresses and push tokens are kept, by which their owners are found."""
        return self._keys[_LOOK_UPS]

    def identities_key(self) -> bytes:
        """The key under which accounts of an identity provider are kept."""
        return self._keys[_IDENTITIES]

    def pending_key(self) -> bytes:
        """The key from which the seal of sign-ins is made that are under way at the identity provider."""
        return self._keys[_PENDING]

    def captchas_key(self) -> bytes:
        """The key by which we know the captchas that we have made."""
        return self._keys[_CAPTCHAS]

    async def look_after(self) -> None:
        """In the active replica, for ever: seal anew what another master key has sealed, as far as it can be opened."""
        while True:
            try:
                if await self.store.read(lambda work: any(self._others(work))):
                    await self.reseal()
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("what is sealed is looked after later", reason=str(error))
            await wait_at_most(self.clock, _LOOK)

    async def reseal(self) -> int:
        """All of it in one transaction: how many secrets these were. What cannot be opened stays as it is."""
        done = (await self.store.transact(self._reseal)).result
        if done:
            _log.info("sealed under another master key", secrets=done, master_key=self.seal.name)
        return done

    def view(self, work: Work) -> MasterKeyView:
        others = list(self._others(work))
        unreadable = sum(self._opened(name, row) is None for _, name, row in others)
        return MasterKeyView(name=self.seal.name, sealed_by_others=len(others), unreadable=unreadable)

    def _reseal(self, work: Work) -> int:
        lock(work)
        done = 0
        for table, name, row in self._others(work, locked=True):
            secret = self._opened(name, row)
            if secret is None:
                _log.error("sealed under a master key that is not given here: it stays as it is", secret=name)
                continue
            key = {column.name: row[column.name] for column in table.primary_key}
            work.put(Patch(table, key | {"sealed": self.seal.close(name, secret), "sealed_by": self.seal.name}))
            done += 1
        return done

    def _others(self, work: Work, *, locked: bool = False) -> Iterator[tuple[Table, str, dict[str, Any]]]:
        """What the present master key has not sealed, as far as is known; each with the name that it is sealed with.

        `locked`: those of persons are, since others may be made, or destroyed, meanwhile.
        """
        for row in stored_keys(work):
            if row["sealed_by"] != self.seal.name:
                yield signing_keys, row["kid"], row
        for row in work.fetch(SEALED_SECRETS):
            if row["sealed_by"] != self.seal.name:
                yield sealed_secrets, row["name"], row
        for row in work.fetch(_FACTORS[locked], name=self.seal.name):
            yield second_factors, second_factor_name(row["user_id"]), row
        for row in work.fetch(_SUBJECTS[locked], name=self.seal.name):
            yield subject_keys, sealing_name(row["subject"]), row

    def _opened(self, name: str, row: dict[str, Any]) -> bytes | None:
        try:
            return self.seal.open(name, bytes(row["sealed"]))
        except WrongKey:
            return None

    def _own_keys(self, work: Work) -> list[dict[str, Any]]:
        """The rows of those named here; what is missing is made."""
        lock(work)
        signing = stored_keys(work)
        rows = {row["name"]: row for row in work.fetch(SEALED_SECRETS)}
        for name in _NAMES:
            if name not in rows:
                # Code from before derives them from the master key, and may still run beside us.
                older = self._sealed_by(signing[-1]) if signing else None  # also where it is not needed: it checks
                if name not in _ONCE_DERIVED:
                    older = None
                key = derived(older, f"pager/auth/{name}/v1".encode()) if older else secrets.token_bytes(32)
                rows[name] = {"name": name, "sealed": self.seal.close(name, key), "sealed_by": self.seal.name}
                work.put(Row(sealed_secrets, rows[name]))
        return [rows[name] for name in _NAMES]

    def _sealed_by(self, row: dict[str, Any]) -> str:
        """The master key that has sealed a signing key.

        Raises:
            SettingsError: none that is given. Nothing is made then: it would be sealed under a mistyped key for good.
        """
        for master_key in self.master_keys:
            with suppress(WrongKey):
                Seal(master_key).open(row["kid"], bytes(row["sealed"]))
                return master_key
        raise none_of_these("the signing key")
