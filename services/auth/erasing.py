"""Erasing a person: what auth forgets of them, and the ledger that says so for good (docs/adr/0059).

The commit comes first, then the ledger, then the answer. A process that dies between them has told nobody that it is
done; the next start writes what the ledger lacks, and erases again whom a restore has brought back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Table

from libs.chassis.parts import Engine
from libs.chassis.requests.idempotency import forgotten
from libs.chassis.settings import SettingsError
from libs.chassis.store.changes import Cleared, Gone, Row
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Cause, Work
from libs.contracts.addresses import one_address
from libs.contracts.erasure import EraseUser
from libs.contracts.health import Effect, Trouble
from libs.contracts.requests import ErrorKind, Invalid, NotFound, Rejected
from services.auth import entities, lost_factors, machine_sessions, signed_in
from services.auth.domain import users
from services.auth.domain.invites import EraseInvite
from services.auth.guesses import Guesses
from services.auth.invitations import INVITES
from services.auth.ledger import Entries, Ledger, LedgerFault
from services.auth.links import Purpose
from services.auth.look_ups import address_hash
from services.auth.oidc import people
from services.auth.post import withdraw
from services.auth.queries import ERASED, INVITES_OF, LEDGER, LIVING, SOMEBODY, USER
from services.auth.subject_keys import destroy
from services.auth.tables.keys import ledgers
from services.auth.tables.passwords import former_passwords, passwords
from services.auth.tables.people import addresses, invited_addresses
from services.auth.tables.sessions import known_keys, oidc_codes
from services.auth.tables.watch import access_log, countries, noticed, notices
from services.auth.views import user_view

T = TypeVar("T")
_log = structlog.get_logger()
_SETTING: Final = "PAGER_ERASURE_LEDGER_FILE"
_REASON: Final = "erased"
_NET: Final = 60.0
"""Seconds between looks at the ledger."""
_PATIENCE: Final = 3.0
"""Seconds that an admin waits for its disk, which may be another machine's."""
_LONG: Final = 30.0
"""Seconds that a start does."""

ROWS: Final[tuple[tuple[Table, str], ...]] = (
    (passwords, "user_id"),
    (former_passwords, "user_id"),
    (access_log, "user_id"),
    (countries, "user_id"),
    (addresses, "user_id"),
    (known_keys, "user_id"),
    (oidc_codes, "user_id"),
    (notices, "recipient"),
    (notices, "person"),
    (noticed, "whom"),
)
"""Tables whose rows of a person go, by what names them there, and which nothing else takes care of."""


class NoLedger(Rejected):
    """Nobody can be erased here: PAGER_ERASURE_LEDGER_FILE names no ledger."""


class LedgerAway(Rejected):
    """They are erased, but the ledger cannot be written: until it says so, a restored backup brings them back."""

    kind = ErrorKind.UNAVAILABLE


@dataclass
class Erasures(Engine):
    """`ledger`: None where the setting names none."""

    store: Store
    guesses: Guesses
    ledger: Ledger | None
    _fault: str | None = None
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "auth-ledger"))
    """Its own: a disk that hangs keeps nobody but whoever waits for the ledger."""

    # --- For an admin ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raises NoLedger."""
        if self.ledger is None:
            raise NoLedger

    def erase(self, work: Work, body: EraseUser, cause: Cause) -> None:
        """Somebody who is deactivated; done before, it is done.

        Raises:
            NotFound, StillActive.
            Invalid: `confirmEmail` is not their address.
        """
        entities.lock_user(work, body.id)
        if not (rows := work.fetch(USER, id=body.id)):
            if not isinstance(work.state(entities.USERS, body.id), users.Erased):
                raise NotFound(f"there is no user {body.id}", field="id")
            return
        email = user_view(rows[0]).email
        if one_address(body.confirm_email) != one_address(email):
            raise Invalid("this is not their address", field="confirmEmail")
        self._erase(work, body.id, email, cause)

    async def record(self, user_id: UUID) -> None:
        """Returns when the ledger says of this person what the log does. Raises LedgerAway."""
        rows = await self.store.read(lambda work: work.fetch(ERASED, ids=[user_id]))
        assert self.ledger is not None  # noqa: S101 - `check` has looked
        try:
            await self._write(self.ledger, {row["user_id"]: row["erased_at"] for row in rows}, _PATIENCE)
        except LedgerFault as fault:
            _log.error("an erasure is not in the ledger", user_id=str(user_id), reason=str(fault))
            raise LedgerAway from fault

    def _erase(self, work: Work, user_id: UUID, email: str, cause: Cause, *, again: bool = False) -> None:
        """Their row is locked."""
        signed_in.leave(work, user_id, None, _REASON, cause)
        # Whom a restore has brought back is active again, and so are their API keys.
        machine_sessions.end_of_owner(work, entities.SESSIONS, user_id, _REASON, cause)
        lost_factors.disable(work, user_id, _REASON, cause)
        people.part(work, user_id, cause)
        for purpose in (Purpose.RESET, Purpose.VERIFY):
            withdraw(work, purpose, user_id)
        for row in work.fetch(INVITES_OF, user_id=user_id, hash=address_hash(work, email)):
            withdraw(work, Purpose.INVITE, row["id"])
            work.decide(INVITES, row["id"], EraseInvite(row["id"]), cause)
            work.put(Gone(invited_addresses, {"invite_id": row["id"]}), *forgotten("auth", row["id"]))
            destroy(work, row["id"])
        work.decide(entities.USERS, user_id, users.EraseUser(user_id, cause.actor, work.now, again), cause)
        work.put(*forgotten("auth", user_id), *(Cleared(table, {name: user_id}) for table, name in ROWS))
        self.guesses.forget(work, email)
        destroy(work, user_id)

    # --- At the start, and after a restore ---------------------------------------------------------------------------

    async def prepare(self) -> None:
        """Before anybody is served.

        A disk that is full, or is only read, keeps nobody out: what the ledger says is done, and what it lacks is known
        to the database.

        Raises:
            SettingsError: the ledger of this database is missing, cannot be read, or is another one's.
        """
        try:
            entries = await self._applied()
        except LedgerFault as fault:
            raise SettingsError(f"{_SETTING}: {fault}; see docs/runbooks/erasure.md") from None
        await self._look(partial(self._complete, entries))

    async def lead(self) -> None:
        """Also where a database was restored beside us, and while a ledger could not be written."""
        while True:
            try:
                await self._look(self._agree)
            except Exception as error:
                if not passes(error):
                    raise
            await asyncio.sleep(_NET)

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def troubles(self) -> Iterable[Trouble]:
        if self._fault is not None:
            yield Trouble(culprit="auth", problem="cannot use the ledger of erasures", effect=Effect.WARNING)

    async def _look(self, step: Callable[[], Awaitable[None]]) -> None:
        """What is wrong with the ledger is told, and mended at a later look."""
        try:
            await step()
            self._fault = None
        except LedgerFault as fault:
            self._fault = str(fault)
            _log.error("the ledger of erasures cannot be used", reason=self._fault)

    async def _agree(self) -> None:
        """Raises LedgerFault."""
        await self._complete(await self._applied())

    async def _applied(self) -> Entries | None:
        """What the ledger says; whom it names and a restore has brought back is erased again. Raises LedgerFault."""
        entries = await self._opened()
        if entries is None:
            return None
        back = await self.store.read(lambda work: work.fetch(LIVING, ids=list(entries.erased)))
        for row in back:
            await self.store.transact(partial(self._again, row["id"]))
        if back:
            _log.warning("erased again, after a restore", how_many=len(back))
        return entries

    async def _complete(self, entries: Entries | None) -> None:
        """Write what the ledger lacks. Raises LedgerFault."""
        if entries is None or self.ledger is None:
            return
        known = await self.store.read(lambda work: work.fetch(ERASED, ids=None))
        lacks = {row["user_id"]: row["erased_at"] for row in known if row["user_id"] not in entries.erased}
        if lacks:
            await self._write(self.ledger, lacks, _LONG)
            _log.warning("the ledger lacked erasures", how_many=len(lacks))

    def _again(self, user_id: UUID, work: Work) -> None:
        # Another replica may have been faster.
        entities.lock_user(work, user_id)
        for row in work.fetch(USER, id=user_id):
            self._erase(work, user_id, user_view(row).email, work.begin(entities.AUTH), again=True)

    async def _opened(self) -> Entries | None:
        """The ledger that goes with this database; a new one where there is neither. Raises LedgerFault."""
        known = await self.store.read(lambda work: [row["id"] for row in work.fetch(LEDGER)])
        if self.ledger is None:
            if known:
                raise LedgerFault(f"is missing: the ledger of this database is {known[0]}")
            return None
        path, entries = self.ledger.path, await self._on_disk(self.ledger.read, _LONG)
        if known:
            if entries is None:
                raise LedgerFault(f"{path}: is missing; the ledger of this database is {known[0]}")
            if entries.id != known[0]:
                raise LedgerFault(f"{path}: is {entries.id}; that of this database is {known[0]}")
            return entries
        # The file first: without it a database that knows its ledger could not be started.
        if entries is None:
            entries = await self._on_disk(partial(self.ledger.begin, uuid4()), _LONG)
        elif entries.erased and not await self.store.read(lambda work: work.fetch(SOMEBODY)):
            raise LedgerFault(f"{path}: is another database's, for nobody was ever registered in this one")
        await self.store.transact(partial(self._remember, entries.id))
        return entries

    async def _write(self, ledger: Ledger, erased: Mapping[UUID, datetime], patience: float) -> None:
        await self._on_disk(partial(ledger.add, erased), patience)

    async def _on_disk(self, step: Callable[[], T], patience: float) -> T:
        """What is late may be done later all the same. Raises LedgerFault."""
        try:
            async with asyncio.timeout(patience):
                return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except TimeoutError:
            raise LedgerFault(f"its disk does not answer within {patience:.0f} s") from None

    def _remember(self, ledger_id: UUID, work: Work) -> None:
        """Two replicas that do not share the file must not both go on."""
        work.lock("pager/auth/ledger")
        for row in work.fetch(LEDGER):
            if row["id"] != ledger_id:
                raise LedgerFault(f"another replica has begun the ledger {row['id']}: all must share one file")
        work.put(Row(ledgers, {"id": ledger_id}))
