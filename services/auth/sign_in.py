"""Signing in and staying signed in: bcrypt and signatures are made outside the transactions that they decide."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import structlog

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import Login, Refresh, SignedInView, Tokens, UserView
from libs.contracts.envelope import Actor
from libs.contracts.requests import Unauthenticated
from services.auth import application, renewal
from services.auth.domain.devices import RegisterDevice, guess_platform
from services.auth.domain.sessions import SignIn
from services.auth.domain.text import check_text
from services.auth.pace import Pace
from services.auth.passwords import Passwords
from services.auth.tokens import AccessTokens, RefreshToken

_log = structlog.get_logger()
_REFUSED = "invalid email or password"


@dataclass
class SignIns:
    """`refresh_lifetime` is counted anew from each refresh."""

    store: Store
    passwords: Passwords
    access: AccessTokens
    clock: Clock
    refresh_lifetime: timedelta
    refresh_key: bytes = field(repr=False)
    """From which refresh tokens follow one another."""
    _pace: Pace = field(default_factory=Pace)
    _recording: set[asyncio.Task[None]] = field(default_factory=set)

    async def log_in(self, body: Login, peer: Peer) -> SignedInView:
        """The same for a wrong password and for nobody's address.

        Raises:
            Unauthenticated: it is one of these.
            TooManyDevices: it is right, and there is no room for this device.
            Busy: too many wait to have theirs checked.
        """
        check_text(body.email, "email")
        check_text(body.device_name, "deviceName")
        known = await self.store.read(lambda work: application.credentials_of(work, body.email))
        stored = known.password_hash if known is not None else None
        right = await self.passwords.verify(body.password, stored, known_there=peer.known)
        if known is None:
            raise Unauthenticated(_REFUSED)
        if not right:
            self._record_refusal(known.user.id)
            raise Unauthenticated(_REFUSED)
        session_id = uuid4()
        token = RefreshToken.issue(session_id)

        def begin(work: Work) -> UserView:
            cause = work.begin(Actor.user(known.user.id))
            command = SignIn(known.user.id, session_id, body.device_id)
            expires_at, seen_from = work.now + self.refresh_lifetime, token.seen_from(self.refresh_key, peer.network)
            begun = application.Begun(token, body.device_name, expires_at, seen_from, body.replace)
            user = application.begin_session(work, command, begun, cause)
            if body.push_token:
                application.register_device(work, _device(body, body.push_token, user.id, work), cause)
            return user

        user = (await self.store.transact(begin)).result
        return SignedInView(user=user, tokens=self._tokens(user, token, body.device_id))

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
        following = shown.next(self.refresh_key)
        seen_from = shown.seen_from(self.refresh_key, peer.network)

        def renew(work: Work) -> renewal.Renewed | None:
            asked = renewal.Asked(shown, body.device_id, seen_from)
            return renewal.renew(work, asked, following, work.now + self.refresh_lifetime, self._pace)

        renewed = (await self.store.transact(renew)).result
        if renewed is None:
            raise refused
        if renewed.first:
            self._pace.renewed(renewed.session_id, self.clock.now())
        return self._tokens(renewed.user, following, body.device_id)

    async def check(self, caller: Caller) -> Caller:
        """Raises Unauthenticated for a caller whose session is over, or whom nobody knows (any more).

        The other services follow what is published of that; here it is looked up, so that not a moment lies between.
        """
        if not await self.store.read(lambda work: application.goes_on(work, caller.session_id, caller.user_id)):
            raise Unauthenticated("the session is over: sign in again")
        return caller

    async def close(self) -> None:
        """Return when every refusal is recorded."""
        await asyncio.gather(*self._recording)
        self.passwords.close()

    def _tokens(self, user: UserView, token: RefreshToken, device_id: str) -> Tokens:
        return Tokens(
            access_token=self.access.issue(user, token.session_id, device_id, self.clock.now()),
            refresh_token=token.text,
            expires_in=self.access.expires_in,
        )

    def _record_refusal(self, user_id: UUID) -> None:
        """Beside the answer, not before it: the commit's milliseconds would tell which addresses have an account."""
        task = asyncio.create_task(self._refuse(user_id))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _refuse(self, user_id: UUID) -> None:
        attempt = uuid4()
        try:
            await self.store.transact(lambda work: application.refuse_sign_in(work, attempt, user_id, "wrong password"))
        except Exception:  # noqa: BLE001 - the person was answered: what is left is to say so
            _log.exception("a refused sign-in was not recorded", user_id=str(user_id))


def _device(body: Login, push_token: str, user_id: UUID, work: Work) -> RegisterDevice:
    return RegisterDevice(
        user_id=user_id,
        device_id=body.device_id,
        name=body.device_name,
        platform=body.platform or guess_platform(push_token),
        push_token=push_token,
        now=work.now,
    )
