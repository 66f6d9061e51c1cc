"""What auth keeps sealed: opened at the start, and sealed anew when every replica has the new master key."""

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
from libs.chassis.store.roll_call import RollCall
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.auth import MasterKeyView
from services.auth.domain.second_factors import second_factor_name
from services.auth.master_keys import is_left_behind, own_secrets, present
from services.auth.queries import SEALED_SECRETS, SECOND_FACTORS_OF_OTHERS, SUBJECT_KEYS_OF_OTHERS
from services.auth.sealing import Seal, WrongKey, derived, none_of_these
from services.auth.signing_keys import lock, stored_keys
from services.auth.subject_keys import sealing_name
from services.auth.tables.keys import sealed_secrets, signing_keys, subject_keys
from services.auth.tables.passwords import second_factors

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
_SOON = timedelta(seconds=5)
"""While something is to be sealed anew."""
_FACTORS: Final = {False: SECOND_FACTORS_OF_OTHERS, True: SECOND_FACTORS_OF_OTHERS.with_for_update()}
_SUBJECTS: Final = {False: SUBJECT_KEYS_OF_OTHERS, True: SUBJECT_KEYS_OF_OTHERS.with_for_update()}


@dataclass
class Sealed:
    """`master_keys`: those that are given, the previous one first."""

    store: Store
    seal: Seal
    clock: Clock
    roll_call: RollCall
    master_keys: Sequence[str] = field(repr=False)
    _keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    _closed: int = 0
    """How many secrets it was said of that they cannot be opened."""

    async def prepare(self) -> None:
        """Before the first signing key is made.

        Raises:
            SettingsError: no master key that is given opens it.
        """
        self._keys = (await self.store.transact(self._prepare)).result

    async def close(self) -> None:
        await self.roll_call.leave(self.store)

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
            left = 0
            try:
                left = len(await self.store.read(lambda work: list(self._others(work, self.seal.name))))
                if left:
                    await self.reseal()
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("what is sealed is looked after later", reason=str(error))
            await wait_at_most(self.clock, _SOON if left else _LOOK)

    async def reseal(self) -> int:
        """All of it in one transaction, by the key that every replica opens: how many secrets these were.

        What cannot be opened stays as it is.
        """
        done, closed, name = (await self.store.transact(self._reseal)).result
        if done:
            _log.info("sealed under another master key", secrets=done, master_key=name)
        if closed != self._closed:
            _log.error("sealed under a master key that is not given here: left as it is", secrets=closed)
        self._closed = closed
        return done

    def view(self, work: Work) -> MasterKeyView:
        others = list(self._others(work, self.seal.name))
        unreadable = sum(self._opened(name, row) is None for _, name, row in others)
        return MasterKeyView(
            name=self.seal.name,
            sealed_by_others=len(others),
            unreadable=unreadable,
            waits_for=self.roll_call.without(work) if others else (),
            is_left_behind=is_left_behind(work, self.seal),
        )

    def _reseal(self, work: Work) -> tuple[int, int, str]:
        """How many were sealed anew, how many cannot be opened, and by which key."""
        lock(work)
        own_secrets(work, changing=True)  # whoever seals something just now has committed it
        done, closed, by = 0, 0, self.roll_call.sealing(work)
        for table, name, row in self._others(work, by, locked=True):
            secret = self._opened(name, row)
            if secret is None:
                closed += 1
                continue
            key = {column.name: row[column.name] for column in table.primary_key}
            work.put(Patch(table, key | {"sealed": self.seal.close(name, secret, by), "sealed_by": by}))
            done += 1
        return done, closed, by

    def _others(self, work: Work, by: str, *, locked: bool = False) -> Iterator[tuple[Table, str, dict[str, Any]]]:
        """What this master key has not sealed, as far as is known; each with the name that it is sealed with.

        `locked`: those of persons are, since others may be made, or destroyed, meanwhile.
        """
        for row in stored_keys(work):
            if row["sealed_by"] != by:
                yield signing_keys, row["kid"], row
        for row in work.fetch(SEALED_SECRETS):
            if row["sealed_by"] != by:
                yield sealed_secrets, row["name"], row
        for row in work.fetch(_FACTORS[locked], name=by):
            yield second_factors, second_factor_name(row["user_id"]), row
        for row in work.fetch(_SUBJECTS[locked], name=by):
            yield subject_keys, sealing_name(row["subject"]), row

    def _opened(self, name: str, row: dict[str, Any]) -> bytes | None:
        try:
            return self.seal.open(name, bytes(row["sealed"]))
        except WrongKey:
            return None

    def _prepare(self, work: Work) -> dict[str, bytes]:
        """Auth's own secrets, opened; whoever seals knows from now on what this replica opens.

        One after the other with those who seal anew: what is opened here is not sealed by another key a moment later.
        """
        lock(work)
        opened = {}
        for row in self._own_keys(work):
            try:
                opened[row["name"]] = self.seal.open(row["name"], bytes(row["sealed"]))
            except WrongKey:
                raise none_of_these(f"the key of {row['name']}") from None
        self.roll_call.answer(work)
        return opened

    def _own_keys(self, work: Work) -> list[dict[str, Any]]:
        """The rows of those named here; what is missing is made."""
        signing = stored_keys(work)
        rows = {row["name"]: row for row in own_secrets(work)}
        by = present(list(rows.values()), self.seal)
        for name in _NAMES:
            if name not in rows:
                # Code from before derives them from the master key, and may still run beside us.
                older = self._sealed_by(signing[-1]) if signing else None  # also where it is not needed: it checks
                if name not in _ONCE_DERIVED:
                    older = None
                key = derived(older, f"pager/auth/{name}/v1".encode()) if older else secrets.token_bytes(32)
                if not self.seal.knows(by):
                    raise none_of_these("what is here")
                rows[name] = {"name": name, "sealed": self.seal.close(name, key, by), "sealed_by": by}
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
