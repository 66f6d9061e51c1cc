"""Fetching the keys of persons from auth, as soon as a service learns of somebody whose texts it must read."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import b64decode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from pydantic import ValidationError
from sqlalchemy import ARRAY, Column, ColumnElement, Integer, Select, Text, Uuid, all_, any_, bindparam, select, true

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.clock import Clock
from libs.chassis.store.keyring import KEY_BYTES
from libs.chassis.store.person_keys import StoredKeys, person_keys
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.model import StillSealed
from libs.contracts.person_keys import AT_ONCE, PersonKeys, PersonKeysOf
from libs.contracts.requests import Reply
from libs.contracts.subjects import rpc_subject

_log = structlog.get_logger()
_AGAIN: Final = 1.0
"""Seconds after which auth is asked again that was away."""
_LOOK: Final = 60.0
"""Seconds between looks that nobody woke us for; so often auth is asked for a key that it does not have."""
_LONG: Final = timedelta(seconds=10)
_ANSWER: Final = 2.0
"""Seconds that somebody waits who needs one key at once."""


@dataclass
class FetchedKeys:
    """`whose`: the column with those whose keys are wanted, of a table of the service's own."""

    store: Store
    bus: Bus
    clock: Clock
    keyring: StoredKeys
    whose: Column[UUID]
    missing: int = 0
    """Whose keys are wanted and not here, as it was last looked at; at most `AT_ONCE` are counted."""
    since: datetime | None = None
    """Since when some are missing; None: none is."""
    is_asking: bool = False
    """Whether it is still to be found out what is missing, or auth is being asked for it."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._wanted = wanted(self.keyring.schema, self.whose)

    def wake(self) -> None:
        """There may be somebody new."""
        self.is_asking = True
        self._wake.set()

    @property
    def are_missing(self) -> bool:
        """Whether some have been for longer than it takes to ask for them."""
        return self.since is not None and self.clock.now() - self.since > _LONG

    async def run(self) -> None:
        """In the active replica, for ever: what is wanted is asked for, and kept."""
        while True:
            self.is_asking = True
            self._wake.clear()
            try:
                await self._fetch()
                pause = _LOOK
            except Exception as error:
                if not (passes(error) or isinstance(error, BusAway)):
                    raise
                _log.warning("keys of persons are asked for again", service=self.keyring.schema, reason=str(error))
                pause = _AGAIN
            self.is_asking = self._wake.is_set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def text(self, user_id: UUID, text: StillSealed) -> str | None:
        """What somebody's text says, whose key was not here a moment ago: auth is asked; None: it is not to be had."""
        if self._asking.locked():
            return None  # one page waits for auth, and no more: they would keep the places of those that can go
        try:
            async with self._asking, asyncio.timeout(_ANSWER):
                await self._ask((user_id,))
                return await self.store.read(lambda work: _opened(work, text))
        except TimeoutError:
            return None
        except Exception as error:
            if not (passes(error) or isinstance(error, BusAway)):
                raise
            return None

    async def _fetch(self) -> None:
        while (await self.store.transact(self.keyring.seal_anew)).result:
            pass
        absent: set[UUID] = set()
        while missing := await self._missing(absent):
            absent |= set(missing) - await self._ask(missing)
            if len(missing) < AT_ONCE:
                break
        await self._missing(())

    async def _missing(self, absent: Collection[UUID]) -> Sequence[UUID]:
        """Those beside whom auth has no key for."""
        found = await self.store.read(lambda work: self._look(work, absent))
        if not absent:
            self.missing = len(found)
            self.since = (self.since or self.clock.now()) if found else None
        return found

    def _look(self, work: Work, absent: Collection[UUID], most: int = AT_ONCE) -> list[UUID]:
        rows = work.fetch(self._wanted, names=self.keyring.names, absent=list(absent), most=most)
        return [row["user_id"] for row in rows]

    async def _ask(self, user_ids: Sequence[UUID]) -> set[UUID]:
        """Whose keys auth has. Raises BusAway: it gives no answer."""
        asked = PersonKeysOf(user_ids=tuple(user_ids)).to_json()
        raw = await self.bus.request(rpc_subject("auth", "person_keys"), asked, timeout=_ANSWER)
        try:
            reply = Reply.model_validate_json(raw)
            given = PersonKeys.model_validate(reply.data).keys
            keys = {one: b64decode(key, validate=True) for one, key in given.items()}
        except (ValidationError, ValueError) as error:
            raise BusAway(f"auth's answer holds no keys: {type(error).__name__}") from None
        good = {one: key for one, key in keys.items() if one in user_ids and len(key) == KEY_BYTES}
        if good:
            await self.store.transact(lambda work: self._keep(work, good))
        return set(good)

    def _keep(self, work: Work, keys: dict[UUID, bytes]) -> None:
        """Of those only who is still wanted: somebody may have been erased since auth was asked."""
        self.keyring.take_turns(work)
        still = {row["user_id"] for row in work.fetch(_these(self.whose), ids=list(keys))}
        self.keyring.keep(work, {one: key for one, key in keys.items() if one in still})


def wanted(schema: str, whose: Column[UUID]) -> Select[Any]:
    """Those without a key that is opened here."""
    keys = person_keys(schema)
    opens = keys.c.sealed_by == any_(bindparam("names", type_=ARRAY(Text)))
    has_key = select(keys.c.user_id).where(keys.c.user_id == whose, opens)
    return (
        select(whose.label("user_id"))
        .distinct()
        .where(~has_key.exists(), _is_somebody(whose), whose != all_(bindparam("absent", type_=ARRAY(Uuid))))
        .limit(bindparam("most", type_=Integer))
    )


def _these(whose: Column[UUID]) -> Select[Any]:
    these = whose == any_(bindparam("ids", type_=ARRAY(Uuid)))
    return select(whose.label("user_id")).distinct().where(these, _is_somebody(whose))


def _is_somebody(whose: Column[UUID]) -> ColumnElement[bool]:
    """Whoever was erased has no key any more; some tables keep a row of them that says so."""
    erased = whose.table.c.get("erased")
    return true() if erased is None else ~erased


def _opened(work: Work, text: StillSealed) -> str | None:
    return None if text.box is None or work.seals is None else work.seals.unseal(text.box)
