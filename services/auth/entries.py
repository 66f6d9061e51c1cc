"""How a session begins, in whatever way somebody has shown who they are: on which device, and with what it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from libs.chassis.clock import Clock
from libs.chassis.requests.peers import Peer
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import Login, Platform, SignedInView, UserView
from libs.contracts.invites import Register
from libs.contracts.oidc import OidcToken
from libs.contracts.web_push import BROWSERS, PushServices
from services.auth import device_credentials, known_devices, proofs, signed_in, web_sessions
from services.auth.countries import Countries
from services.auth.device_credentials import NewCredential
from services.auth.domain.devices import RegisterDevice, check_token, guess_platform
from services.auth.domain.sessions import SignIn, Where
from services.auth.domain.text import check_text
from services.auth.proofs import Jwk
from services.auth.tokens import AccessTokens, RefreshToken


@dataclass(frozen=True, slots=True)
class Entry:
    """The device, as whoever signs in has told of it."""

    device_id: str
    device_name: str
    platform: Platform | None
    push_token: str | None = field(default=None, repr=False)
    replace: str | None = None
    key: Jwk | None = None
    """Checked (`proofs.key_of`); None: it has none, and its session is not bound."""

    @classmethod
    def of(cls, body: Login | OidcToken | Register, device_id: str) -> Entry:
        """Raises Invalid with the field at fault."""
        check_text(body.device_name, "deviceName")
        return cls(
            device_id=device_id,
            device_name=body.device_name,
            platform=body.platform or (guess_platform(body.push_token) if body.push_token else None),
            push_token=body.push_token,
            replace=None if isinstance(body, Register) else body.replace,
            key=proofs.key_of(body.device_key),
        )

    @property
    def is_web(self) -> bool:
        """A browser: what it goes on with is in a cookie."""
        return self.platform is Platform.WEB


@dataclass(frozen=True, slots=True)
class Entering:
    """A session that is about to begin: what its device is given, if it does."""

    token: RefreshToken
    credential: NewCredential | None


@dataclass
class Entries:
    """`prepare`, then `begin` in the transaction that decides whether they may, then `answer`."""

    access: AccessTokens
    clock: Clock
    refresh_lifetime: timedelta
    """Of a phone's session, counted anew from each refresh."""
    refresh_key: Callable[[], bytes]
    """From which refresh tokens follow one another."""
    countries: Countries
    push_services: PushServices = BROWSERS

    def check(self, entry: Entry) -> None:
        """What would be found out only when the session begins. Raises Invalid with the field at fault."""
        check_text(entry.device_id, "deviceId")
        if entry.push_token:
            platform = entry.platform or guess_platform(entry.push_token)
            check_token(platform, entry.push_token, self.push_services)

    async def prepare(self, key: Jwk | None) -> Entering:
        """Signatures are made before the transaction. `key`: the device's, if it has one."""
        credential = None
        if key is not None:
            credential_id = uuid4()
            credential = NewCredential(
                credential_id, await self.access.device_credential(credential_id, self.clock.now())
            )
        return Entering(RefreshToken.issue(uuid4()), credential)

    def begin(
        self, work: Work, entering: Entering, user_id: UUID, entry: Entry, peer: Peer, cause: Cause, *, fits: str | None
    ) -> UserView:
        """`fits`: the hash that their password was found to fit; None: they have shown something else.

        Raises as `signed_in.begin_session`.
        """
        token, where = entering.token, Where(peer.address, peer.agent)
        session = signed_in.Begun(
            token=token,
            device_name=entry.device_name,
            platform=entry.platform,
            expires_at=web_sessions.goes_on_until(work.now, self.refresh_lifetime, is_web=entry.is_web),
            seen_from=token.seen_from(self.refresh_key(), peer.network),
            network=peer.network,
            fits=fits,
            replace=entry.replace,
            device_key=entry.key,
            is_web=entry.is_web,
        )
        command = SignIn(user_id, token.session_id, entry.device_id, where)
        user = signed_in.begin_session(work, command, session, cause)
        self.countries.signed_in(work, user.id, token.session_id, where, cause)
        if entry.key is not None and entering.credential is not None:
            known_devices.remember(work, user.id, entry.device_id, entry.key)
            device_credentials.give(work, entering.credential, user.id, entry.device_id, entry.key)
        else:
            device_credentials.end(work, user.id, only=entry.device_id)
        if entry.push_token:
            signed_in.register_device(work, self._device(entry, entry.push_token, user.id, work.now), cause)
        return user

    async def answer(
        self, entering: Entering, user: UserView, entry: Entry, codes: tuple[str, ...] = ()
    ) -> SignedInView:
        """`codes`: recovery codes, which are shown once."""
        now = self.clock.now()
        until = web_sessions.goes_on_until(now, self.refresh_lifetime, is_web=entry.is_web)
        tokens = await self.access.beside(entering.token, user, entry.device_id, now, until=until, is_web=entry.is_web)
        credential = entering.credential.text if entering.credential is not None else None
        return SignedInView(user=user, tokens=tokens, recovery_codes=codes, device_credential=credential)

    def _device(self, entry: Entry, push_token: str, user_id: UUID, now: datetime) -> RegisterDevice:
        return RegisterDevice(
            user_id=user_id,
            device_id=entry.device_id,
            name=entry.device_name,
            platform=entry.platform or guess_platform(push_token),
            push_token=push_token,
            now=now,
            services=self.push_services,
        )
