"""Signing in and staying signed in: bcrypt and signatures are made outside the transactions that they decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import Caller, RolesAreOthers
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import Login, Platform, Refresh, SignedInView, Tokens, UserView
from libs.contracts.envelope import Actor
from libs.contracts.oidc import OidcToken
from libs.contracts.requests import Rejected, Unauthenticated
from services.auth import application, renewal
from services.auth.attempts import LOCKED, Attempt, Attempts, Left, WrongPassword
from services.auth.countries import Countries
from services.auth.credentials import Credentials, credentials_of
from services.auth.domain.devices import RegisterDevice, guess_platform
from services.auth.domain.sessions import SignIn, Where
from services.auth.domain.text import check_text
from services.auth.guesses import LockedOut, Seen
from services.auth.pace import Pace
from services.auth.passwords import Passwords
from services.auth.second_factors import SecondFactors
from services.auth.tokens import AccessTokens, RefreshToken


@dataclass(frozen=True, slots=True)
class Beginning:
    """A session that is to begin: whose, on what, from where."""

    user_id: UUID
    device_id: str
    token: RefreshToken
    peer: Peer
    fits: str | None = field(default=None, repr=False)
    """The hash that a password was found to fit; None: none was asked for."""


@dataclass
class SignIns:
    """`refresh_lifetime` is counted anew from each refresh."""

    store: Store
    passwords: Passwords
    attempts: Attempts
    second_factors: SecondFactors
    access: AccessTokens
    clock: Clock
    refresh_lifetime: timedelta
    refresh_key: Callable[[], bytes]
    """From which refresh tokens follow one another."""
    countries: Countries
    _pace: Pace = field(default_factory=Pace)

    async def log_in(self, body: Login, peer: Peer) -> SignedInView:
        """The same for a wrong password, for nobody's address and for somebody who is deactivated.

        Whoever has left learns from it neither that they are deactivated nor that the password is still right, which
        they may use elsewhere; what it was is in the event.

        Raises:
            Unauthenticated: it is one of these, or it is right and the code is not.
            SecondFactorWanted: it is right, and a code is wanted as well.
            TooManyDevices: it is right, and there is no room for this device.
            LockedOut: there were too many wrong ones from there.
            Busy: too many wait to have theirs checked.
        """
        check_text(body.email, "email")
        check_text(body.device_name, "deviceName")
        guesses = self.attempts.guesses
        target = guesses.at(body.email, peer)

        def look(work: Work) -> tuple[Credentials | None, Seen]:
            known = credentials_of(work, body.email)
            return known, guesses.look(work, target, known.changed_at if known is not None else None)

        known, seen = await self.store.read(look)
        attempt = Attempt(target, known, at_home=peer.known or seen.familiar, peer=peer, captcha=body.captcha)
        if seen.wait:
            self.attempts.refused(attempt, LOCKED)
            raise LockedOut(seen.wait)  # before it takes a place of somebody who may be right
        hashing = partial(self._verified, body.password, known, stranger=not attempt.at_home)
        token = RefreshToken.issue(uuid4())

        async with self.attempts.looked_at(attempt, hashing) as (person, begun):

            def begin(work: Work) -> tuple[UserView, tuple[str, ...]] | Rejected:
                cause = work.begin(Actor.user(person.user.id))
                codes = self.second_factors.check(work, person.user.id, body.totp, cause, at_home=attempt.at_home)
                if isinstance(codes, Rejected):
                    return codes
                beginning = Beginning(person.user.id, body.device_id, token, peer, fits=person.password_hash)
                user = self.begin(work, beginning, body, cause)
                guesses.right(work, target, begun)
                return user, codes

            try:
                made = (await self.store.transact(begin)).result
            except application.Deactivated:
                raise Left from None
            if isinstance(made, Rejected):
                raise made
            user, codes = made
        tokens = await self.access.beside(token, user, body.device_id, self.clock.now())
        return SignedInView(user=user, tokens=tokens, recovery_codes=codes)

    def begin(self, work: Work, beginning: Beginning, body: Login | OidcToken, cause: Cause) -> UserView:
        """A session of somebody who has shown who they are, and what `body` says of its device.

        Raises what `application.begin_session` does.
        """
        token, peer = beginning.token, beginning.peer
        session = application.Begun(
            token=token,
            device_name=body.device_name,
            platform=_platform(body),
            expires_at=work.now + self.refresh_lifetime,
            seen_from=token.seen_from(self.refresh_key(), peer.network),
            network=peer.network,
            fits=beginning.fits,
            replace=body.replace,
        )
        where = Where(peer.address, peer.agent)
        command = SignIn(beginning.user_id, token.session_id, beginning.device_id, where)
        user = application.begin_session(work, command, session, cause)
        self.countries.signed_in(work, user.id, token.session_id, where, cause)
        if body.push_token:
            device = _device(body, beginning, body.push_token, work)
            application.register_device(work, device, cause)
        return user

    async def refresh(self, body: Refresh, peer: Peer) -> Tokens:
        """New tokens for a refresh token, which is used up by this (`renewal.GRACE`).

        Raises:
            Unauthenticated: it is not good.
            TooOften: it is, and is used up by nothing.
        """
        refused = Unauthenticated("the refresh token is not valid: sign in again")
        shown = RefreshToken.parse(body.refresh_token)
        if shown is None:
            raise refused
        following = shown.next(self.refresh_key())
        seen_from = shown.seen_from(self.refresh_key(), peer.network)

        def renew(work: Work) -> renewal.Renewed | None:
            where = Where(peer.address, peer.agent)
            asked = renewal.Asked(shown, body.device_id, seen_from, peer.network, where)
            return renewal.renew(
                work, asked, following, work.now + self.refresh_lifetime, self._pace, self.attempts.notices
            )

        renewed = (await self.store.transact(renew)).result
        if renewed is None:
            raise refused
        if renewed.first:
            self._pace.passed(renewed.session_id, self.clock.now())
        return await self.access.beside(following, renewed.user, body.device_id, self.clock.now())

    async def check(self, caller: Caller) -> Caller:
        """Raises Unauthenticated for a caller whose session is over, whom nobody knows (any more), or with other roles.

        The other services follow what is published of that; here it is looked up, so that not a moment lies between.
        """
        version = await self.store.read(lambda work: application.roles_version(work, caller.session_id, caller.user_id))
        if version is None:
            raise Unauthenticated("the session is over: sign in again")
        if caller.version < version:
            raise RolesAreOthers
        return caller

    async def close(self) -> None:
        """Return when every refusal is recorded."""
        await self.attempts.close()
        self.passwords.close()

    async def _verified(self, password: str, known: Credentials | None, *, stranger: bool) -> Credentials:
        """The same work for nobody's address. Raises WrongPassword, or Left."""
        stored = known.password_hash if known is not None else None
        right = await self.passwords.verify(password, stored, stranger=stranger)
        if known is None or not right:
            raise WrongPassword
        if not known.user.is_active:
            raise Left
        return known


def _platform(body: Login | OidcToken) -> Platform | None:
    return body.platform or (guess_platform(body.push_token) if body.push_token else None)


def _device(body: Login | OidcToken, beginning: Beginning, push_token: str, work: Work) -> RegisterDevice:
    return RegisterDevice(
        user_id=beginning.user_id,
        device_id=beginning.device_id,
        name=body.device_name,
        platform=body.platform or guess_platform(push_token),
        push_token=push_token,
        now=work.now,
    )
