"""The keys as operators see them: rotated, sealed, and how old they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from libs.chassis.clock import Clock
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.parts import Engine
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import KeyReason, KeyUse, SigningKeysView
from libs.contracts.envelope import Actor
from libs.contracts.health import Effect, Trouble
from services.auth.rotation import due_at
from services.auth.sealed import Sealed
from services.auth.signing_keys import SigningKeys, ages, key_views, stored_keys

OPERATOR: Final = Actor.service("operator")
"""Whoever may ask for it on the bus; nobody knows who that is."""
_LATE = timedelta(days=1)
"""So much older than it should be: rotation does not happen."""


@dataclass
class KeyRoom(Engine):
    """`has_previous`: the settings name a master key from before."""

    store: Store
    keys: SigningKeys
    sealed: Sealed
    clock: Clock
    has_previous: bool
    _seen: SigningKeysView | None = None

    async def prepare(self) -> None:
        await self.sealed.prepare()
        await self.keys.prepare()

    async def lead(self) -> None:
        await asyncio.gather(self.sealed.look_after(), self.keys.look_after())

    async def close(self) -> None:
        await self.sealed.close()

    async def view(self) -> SigningKeysView:
        return await self.store.read(self._view)

    async def rotate(self, *, compromised: bool) -> SigningKeysView:
        """Asked for again before the next key signs, it answers as at first and makes none."""
        reason = KeyReason.COMPROMISED if compromised else KeyReason.OPERATOR
        rotated = await self.keys.rotate(reason, OPERATOR)
        return (await self.view()).model_copy(update={"rotated": rotated})

    def health(self) -> dict[str, Any]:
        """`keys`: what doctor says of them, as it was last looked at."""
        if self._seen is None:
            return {}
        said = self._seen.model_dump(mode="json", by_alias=True, exclude={"rotated"})
        return {"keys": said | {"previousGiven": self.has_previous}}

    def troubles(self) -> Iterable[Trouble]:
        seen = self._seen
        if seen is None:
            return
        if self.clock.now() - seen.next_rotation > _LATE:
            yield Trouble(culprit="auth", problem="the signing key is not rotated", effect=Effect.WARNING)
        if seen.master_key.is_left_behind:
            yield Trouble(
                culprit="auth", problem="a replica has another master key than the one that seals", effect=Effect.OUTAGE
            )
        elif seen.master_key.unreadable:
            yield Trouble(
                culprit="auth", problem="the master key does not open all that is sealed", effect=Effect.WARNING
            )

    def gauges(self, work: Work) -> Iterable[GaugeValue]:
        self._seen = self._view(work)
        for key in self._seen.keys:
            if key.use is KeyUse.SIGNING:
                age = (self.clock.now() - key.not_before).total_seconds()
                yield GaugeValue("pager_signing_key_age_seconds", "Since when the present key signs tokens.", age)
        overdue = (self.clock.now() - self._seen.next_rotation).total_seconds()
        yield GaugeValue(
            "pager_signing_key_overdue_seconds", "How late the next signing key is; below 0: not yet due.", overdue
        )
        yield GaugeValue(
            "pager_sealed_by_other_master_keys",
            "Secrets at rest that another master key than the present one has sealed.",
            self._seen.master_key.sealed_by_others,
        )
        yield GaugeValue(
            "pager_master_key_missing",
            "Whether everything is sealed by a master key that this replica does not have.",
            self._seen.master_key.is_left_behind,
        )

    def _view(self, work: Work) -> SigningKeysView:
        now = self.clock.now()
        return SigningKeysView(
            keys=tuple(key_views(work, now)),
            next_rotation=due_at(ages(stored_keys(work)), now),
            master_key=self.sealed.view(work),
        )
