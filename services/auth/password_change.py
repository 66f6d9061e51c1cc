"""Changing one's password: the present one is asked for, and everybody else who is signed in with it is signed out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import Caller
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import ChangePassword, Tokens, UserView
from libs.contracts.requests import Invalid
from services.auth import application
from services.auth.attempts import Attempt, Attempts, WrongPassword
from services.auth.credentials import Credentials, credentials_of_user
from services.auth.pace import Pace, for_passwords
from services.auth.passwords import OldPassword, Passwords, about, check_form
from services.auth.tokens import AccessTokens, RefreshToken


class WrongCurrent(Invalid):
    """this is not your password"""


@dataclass
class PasswordChanges:
    store: Store
    passwords: Passwords
    attempts: Attempts
    access: AccessTokens
    clock: Clock
    refresh_lifetime: timedelta
    pace: Pace = field(default_factory=for_passwords)

    async def change(self, body: ChangePassword, caller: Caller) -> Tokens:
        """New tokens of the caller's session, whose other tokens are good no longer. All other sessions end.

        Whoever did not hear the answer is signed out, and signs in with the new password.

        Raises:
            Invalid: the present password is another one (`currentPassword`), or the new one is not good enough.
            LockedOut: there were too many wrong ones in this session.
            TooOften: there were too many changes.
            Unauthenticated: the session is over.
            PasswordsChange: somebody has just changed it.
        """
        check_form(body.new_password, "newPassword")
        self.pace.take(caller.user_id, self.clock.now())
        known = await self.store.read(lambda work: credentials_of_user(work, caller.user_id))
        await self.passwords.check(body.new_password, about(known.user), "newPassword")
        target = self.attempts.guesses.within(known.user.email, caller.session_id)
        token = RefreshToken.issue(caller.session_id)
        try:
            async with self.attempts.looked_at(
                Attempt(target, known, at_home=True, peer=caller.peer), partial(self._hashed, body, known)
            ) as (hashed, begun):

                def change(work: Work) -> tuple[UserView, datetime]:
                    changed = application.Changed(known, hashed, token, self.refresh_lifetime)
                    done = application.change_password(work, changed, caller.session_id, caller.cause(work))
                    self.attempts.guesses.right(work, target, begun)
                    return done

                user, until = (await self.store.transact(change)).result
        except WrongPassword:
            raise WrongCurrent(field="currentPassword") from None
        return await self.access.beside(
            token, user, caller.device_id, self.clock.now(), until=until, is_web=caller.is_web
        )

    async def _hashed(self, body: ChangePassword, known: Credentials) -> str:
        """What is to be stored.

        Raises:
            WrongPassword: the present one is not what they say.
            OldPassword: the new one is no new one.
        """
        if not await self.passwords.verify(body.current_password, known.password_hash):
            raise WrongPassword
        try:
            return await self.passwords.hash(body.new_password, (known.password_hash, *known.former))
        except OldPassword as error:
            raise OldPassword(field="newPassword") from error
