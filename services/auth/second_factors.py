"""Second factors: set up by their owners, asked for at sign-in.

What is looked at is counted in the transaction that looks, under the lock of the person's row: a refusal is committed,
and raised after that. So these answer with a `Rejected` where others raise it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog

from libs.chassis.requests.callers import Caller
from libs.chassis.store.changes import Gone, Patch, Row
from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import (
    BeginTotp,
    ConfirmTotp,
    RecoveryCodes,
    RemoveTotp,
    SecondFactorView,
    TotpSecret,
    UserView,
)
from libs.contracts.model import Role
from libs.contracts.requests import ErrorKind, Forbidden, Invalid, NotFound, Nothing, Rejected, Unauthenticated
from services.auth import codes
from services.auth.attempts import WrongPassword
from services.auth.domain.second_factors import (
    HOURLY,
    Enable,
    UseRecoveryCode,
    next_look,
    second_factor_entity,
    second_factor_name,
    still_wrong,
)
from services.auth.guesses import LockedOut
from services.auth.lost_factors import SECOND_FACTORS, disable, factor_of, locked
from services.auth.master_keys import sealing
from services.auth.owners import Owners, check_just_signed_in
from services.auth.queries import RECOVERY_CODES
from services.auth.sealing import Seal, WrongKey
from services.auth.tables.passwords import recovery_codes
from services.auth.tables.passwords import second_factors as second_factors_table

T = TypeVar("T")
_log = structlog.get_logger()


class SecondFactorWanted(Unauthenticated):
    """a code of your authenticator app is wanted: sign in with it as totp"""

    kind = ErrorKind.SECOND_FACTOR_REQUIRED


class SetUpWanted(SecondFactorWanted):
    """admins need a second factor: add details.totp to an authenticator app, and sign in with its code as totp"""

    def __init__(self, made: TotpSecret) -> None:
        super().__init__(details={"totp": made.model_dump(mode="json", by_alias=True)})


class WrongCode(WrongPassword):
    """the code is not good: each is good once, and for a minute"""

    reason = "wrong code"


class TooManyCodes(LockedOut):
    """too many wrong codes for this account: wait a while, or use a recovery code"""


class AlreadyOn(Rejected):
    """There is a second factor already: take it away first."""


class Unreadable(Rejected):
    """The second factor was sealed under a master key that is not given here: a recovery code goes without it."""

    kind = ErrorKind.UNAVAILABLE


class CodeAtFault(Invalid):
    """the code is not good: each is good once, and for a minute"""


@dataclass(frozen=True)
class SecondFactors:
    store: Store
    seal: Seal
    owners: Owners
    admins_need: bool
    """Whether an admin signs in only with one."""

    def view(self, work: Work, caller: Caller) -> SecondFactorView:
        row = factor_of(work, caller.user_id)
        is_on = row is not None and row["confirmed_at"] is not None
        left = len(work.fetch(RECOVERY_CODES, user_id=caller.user_id)) if is_on else 0
        return SecondFactorView(is_on=is_on, is_needed=self._needs(caller.roles), recovery_codes_left=left)

    async def begin(self, body: BeginTotp, caller: Caller) -> TotpSecret:
        """A secret for an app, which counts for nothing until it is confirmed.

        Whoever finds an open session must not be able to keep its owner out by a factor of theirs.

        Raises:
            SignedInLongAgo: the session is not a new one, and there is no password.
            Invalid: the password is not good (`currentPassword`).
            LockedOut: there were too many wrong ones in this session.
            AlreadyOn, NotFound.
        """

        def make(work: Work) -> TotpSecret:
            user = locked(work, caller.user_id)
            row = factor_of(work, caller.user_id)
            if row is not None and row["confirmed_at"] is not None:
                raise AlreadyOn
            return self._make(work, user)

        def made_anew(work: Work) -> TotpSecret:
            check_just_signed_in(work, caller)
            return make(work)

        if body.current_password is None:
            return (await self.store.transact(made_anew)).result
        async with self.owners.shown(caller, body.current_password) as right:
            return (await self.store.transact(lambda work: right(work, make(work)))).result

    async def confirm(self, body: ConfirmTotp, caller: Caller) -> RecoveryCodes:
        """From now on a code is asked for at sign-in. Said again it changes nothing, and shows no recovery codes.

        Raises:
            CodeAtFault: the code is none of the secret's (`code`).
            TooManyCodes: there were too many wrong ones.
            AlreadyOn: another secret was confirmed, or this one with another code.
            NotFound: there is no secret to confirm.
        """

        def confirm(work: Work) -> RecoveryCodes | Rejected:
            locked(work, caller.user_id)
            row = factor_of(work, caller.user_id)
            if row is None:
                raise NotFound("there is no second factor to confirm", field="code")
            if row["confirmed_at"] is not None:
                if codes.step_of(self._secret(row), codes.plain(body.code), None, work.now) != row["used_step"]:
                    raise AlreadyOn
                return RecoveryCodes(recovery_codes=())
            refused = self._look(work, row, body.code, at_home=False)
            return refused or RecoveryCodes(recovery_codes=self._enable(work, caller.user_id, caller.cause(work)))

        try:
            return await self._decided(confirm)
        except WrongCode as error:
            raise CodeAtFault(field="code") from error

    async def remove(self, body: RemoveTotp, caller: Caller) -> Nothing:
        """Sign in with the password alone again: for a code, or the password.

        Raises:
            Invalid: the code or the password is not good (`code`, `currentPassword`), or not one of them is given.
            LockedOut: there were too many wrong ones in this session.
            Forbidden: admins need one here.
            NotFound: there is none.
        """
        if (body.code is None) == (body.current_password is None):
            raise Invalid("give a code or currentPassword, one of them")
        if self._needs(caller.roles):
            raise Forbidden(
                "admins need a second factor here: another admin can take it away, for you to set it up anew"
            )

        def remove(work: Work) -> Nothing | Rejected:
            locked(work, caller.user_id)
            row = factor_of(work, caller.user_id)
            if row is None or row["confirmed_at"] is None:
                raise NotFound("there is no second factor")
            if body.code is not None and (refused := self._check(work, row, body.code, True, caller.cause(work))):
                return refused
            disable(work, caller.user_id, "taken away by its owner", caller.cause(work))
            return right(work, Nothing())

        try:
            async with self.owners.shown(caller, body.current_password) as right:
                return await self._decided(remove)
        except WrongCode as error:
            raise CodeAtFault(field="code") from error

    def check(
        self, work: Work, user_id: UUID, code: str | None, cause: Cause, *, at_home: bool
    ) -> tuple[str, ...] | Rejected:
        """What somebody who signs in with the right password has beside it; the recovery codes of one set up by that.

        Either nothing is written but what the refusal says, or the sign-in goes on in this transaction: a code is
        used by what it has opened.
        """
        user = locked(work, user_id)
        if not user.is_active:
            return ()  # they are told of nothing but a wrong password
        row = factor_of(work, user.id)
        if row is not None and row["confirmed_at"] is not None:
            if code is None:
                return SecondFactorWanted()
            return self._check(work, row, code, at_home, cause) or ()
        if not self._needs(user.roles):
            return ()
        if row is None or code is None:
            return SetUpWanted(self._make(work, user))
        return self._look(work, row, code, at_home=at_home) or self._enable(work, user.id, cause)

    def is_asked_for(self, work: Work, user: UserView) -> bool:
        """Whether more than the password is wanted of this person."""
        row = factor_of(work, user.id)
        return (row is not None and row["confirmed_at"] is not None) or self._needs(user.roles)

    def _needs(self, roles: Collection[Role]) -> bool:
        return self.admins_need and Role.ADMIN in roles

    def _check(self, work: Work, row: dict[str, Any], code: str, at_home: bool, cause: Cause) -> Rejected | None:
        """A code of the app, or a recovery code, which is used up by this; why it is not good."""
        if not codes.is_recovery_code(codes.plain(code)):
            return self._look(work, row, code, at_home=at_home)
        user_id, hashed = row["user_id"], codes.recovery_hash(row["user_id"], code)
        kept = [bytes(one["hash"]) for one in work.fetch(RECOVERY_CODES, user_id=user_id)]
        if not any(hmac.compare_digest(one, hashed) for one in kept):
            return self._wrong(work, row)
        work.put(Gone(recovery_codes, {"user_id": user_id, "hash": hashed}))
        work.decide(SECOND_FACTORS, second_factor_entity(user_id), UseRecoveryCode(len(kept) - 1), cause)
        return None

    def _look(self, work: Work, row: dict[str, Any], code: str, *, at_home: bool) -> Rejected | None:
        """A code of the app, which is used up by this; `at_home`: guesses from elsewhere hold up nobody there."""
        if not at_home and (wait := next_look(row["wrong"], row["wrong_at"], work.now)):
            return TooManyCodes(wait)
        step = codes.step_of(self._secret(row), codes.plain(code), row["used_step"], work.now)
        if step is None:
            return self._wrong(work, row)
        work.put(Patch(second_factors_table, {"user_id": row["user_id"], "used_step": step}))
        return None

    def _wrong(self, work: Work, row: dict[str, Any]) -> WrongCode:
        wrong = min(HOURLY, still_wrong(row["wrong"], row["wrong_at"], work.now) + 1)
        work.put(Patch(second_factors_table, {"user_id": row["user_id"], "wrong": wrong, "wrong_at": work.now}))
        return WrongCode()

    def _make(self, work: Work, user: UserView) -> TotpSecret:
        secret, by = codes.new_secret(), sealing(work, self.seal)
        made = {
            "user_id": user.id,
            "sealed": self.seal.close(second_factor_name(user.id), secret.encode(), by),
            "sealed_by": by,
            "made_at": work.now,
            "confirmed_at": None,
            "used_step": None,
            "wrong": 0,
            "wrong_at": None,
        }
        work.put(Row(second_factors_table, made))
        return TotpSecret(secret=secret, uri=codes.uri(secret, user.email))

    def _enable(self, work: Work, user_id: UUID, cause: Cause) -> tuple[str, ...]:
        """Its recovery codes, which are shown once."""
        work.put(Patch(second_factors_table, {"user_id": user_id, "confirmed_at": work.now}))
        for row in work.fetch(RECOVERY_CODES, user_id=user_id):
            work.put(Gone(recovery_codes, row))
        made = codes.new_recovery_codes()
        for code in made:
            work.put(Row(recovery_codes, {"user_id": user_id, "hash": codes.recovery_hash(user_id, code)}))
        work.decide(SECOND_FACTORS, second_factor_entity(user_id), Enable(user_id), cause)
        return made

    def _secret(self, row: dict[str, Any]) -> str:
        """Raises Unreadable."""
        try:
            return self.seal.open(second_factor_name(row["user_id"]), bytes(row["sealed"])).decode("ascii")
        except WrongKey:
            _log.error("a second factor is sealed under another master key", user_id=str(row["user_id"]))
            raise Unreadable from None

    async def _decided(self, handler: Callable[[Work], T | Rejected]) -> T:
        """What the handler answers, once it is committed. Raises Rejected, where it answers that."""
        result = (await self.store.transact(handler)).result
        if isinstance(result, Rejected):
            raise result
        return result
