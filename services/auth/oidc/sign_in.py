"""Signing in at the identity provider: there, back, and from a code to a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import httpx
import structlog

from libs.chassis.clock import Clock
from libs.chassis.parts import Engine
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import SignedInView, SignInMethods, UserView
from libs.contracts.envelope import Actor
from libs.contracts.health import Effect, Trouble
from libs.contracts.oidc import OidcReturn, OidcReturned, OidcStarted, OidcToken, StartOidc
from libs.contracts.requests import ErrorKind, Invalid, NotFound, Rejected, Unauthenticated
from services.auth import proofs, signed_in
from services.auth.attempts import WrongPassword
from services.auth.entries import Entry
from services.auth.oidc import codes
from services.auth.oidc.id_tokens import BadToken, Expected, claims_of, header_of
from services.auth.oidc.identity import GroupsNotTold, Identity, identity_of, together
from services.auth.oidc.pending import LASTS, Pending, PendingSignIns
from services.auth.oidc.people import NotLetIn, People
from services.auth.oidc.provider import CodeRefused, Provider, Redeemed
from services.auth.refusals import Refusals
from services.auth.sign_in import SignIns

_log = structlog.get_logger()
_NOBODYS: Final = b"a sign-in at the identity provider"
"""In the place of an account, where it is not known whose it would have been."""


class NotBegunHere(Unauthenticated):
    """This sign-in was not begun in this browser, or has taken more than ten minutes: begin it again."""

    reason = "not begun in this browser"


class SentBack(Rejected):
    """Whoever has come back from the provider is not let in: the app is told why, at `details.location`."""

    def __init__(self, location: str, error: Rejected) -> None:
        super().__init__(str(error), kind=error.kind, details={"location": location}, retry_after=error.retry_after)


@dataclass
class OidcSignIns(Engine):
    """`provider`: None where nobody signs in so."""

    store: Store
    provider: Provider | None
    pending: PendingSignIns
    people: People | None
    sign_ins: SignIns
    refusals: Refusals
    clock: Clock

    def methods(self) -> SignInMethods:
        return SignInMethods(provider=self.provider is not None, captcha=self.sign_ins.attempts.captchas.is_on)

    async def start(self, body: StartOidc) -> OidcStarted:
        """Where somebody signs in.

        Raises:
            NotFound: nowhere.
            Invalid: that is no place to come back to (`redirectUri`).
            ProviderAway.
        """
        provider, _ = self._given()
        configuration = provider.configuration
        if body.redirect_uri not in configuration.redirect_uris:
            raise Invalid("is none of PAGER_OIDC_REDIRECT_URIS", field="redirectUri")
        async with provider.turn():
            metadata = await provider.metadata()
        pending = Pending.begin(body, self.clock.now())
        asked = {
            "response_type": "code",
            "client_id": configuration.client_id,
            "redirect_uri": configuration.callback,
            "scope": configuration.scopes,
            "state": pending.state,
            "nonce": pending.nonce,
            "code_challenge": pending.challenge,
            "code_challenge_method": "S256",
        }
        location = str(httpx.URL(metadata.authorization).copy_merge_params(asked))
        lasts = int(LASTS.total_seconds())
        return OidcStarted(location=location, cookie=self.pending.close(pending), lasts=lasts)

    async def come_back(self, body: OidcReturn, peer: Peer) -> OidcReturned:
        """Where the app is, with a code that is good once.

        Raises:
            NotBegunHere: nobody knows where the app would be.
            SentBack: it is told why not.
        """
        self._given()
        pending = self.pending.open(body.cookie) if body.cookie else None
        if pending is None or body.state is None or not pending.is_good(body.state, self.clock.now()):
            raise self._refused(NotBegunHere(), peer)
        if body.error is not None:
            # Its words are its own: anybody may have written them.
            return _to_app(pending, error="access_denied", error_description="the sign-in was not finished there")
        try:
            who = await self._who(pending, body)
            code = await self._admitted(pending, who)
        except Rejected as error:
            _log.warning("a sign-in at the provider was refused", reason=getattr(error, "why", str(error)))
            self._refused(error, peer)
            denied = error.kind in (ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN)
            told = "access_denied" if denied else "temporarily_unavailable"
            raise SentBack(_to_app(pending, error=told, error_description=str(error)).location, error) from error
        return _to_app(pending, code=code)

    async def exchange(self, body: OidcToken, peer: Peer) -> SignedInView:
        """A session for a code, as for a password.

        Raises:
            Unauthenticated: the code is not good, or that of the second factor.
            SecondFactorWanted: a code of theirs is wanted as well, within the minute.
            TooManyDevices: there is no room for this device.
        """
        self._given()
        entries = self.sign_ins.entries
        entering = await entries.prepare(proofs.key_of(body.device_key))
        whose: UUID | None = None

        def begin(work: Work) -> tuple[UserView, Entry, tuple[str, ...]] | Rejected:
            nonlocal whose
            row = codes.shown(work, body)
            if isinstance(row, codes.BadCode):
                whose = row.user_id if isinstance(row, codes.ShownAgain) else None
                return row
            user_id, entry = row["user_id"], Entry.of(body, row["device_id"])
            whose, cause = user_id, work.begin(Actor.user(user_id))
            made: tuple[str, ...] | Rejected = ()
            if not row["several_factors"]:
                made = self.sign_ins.second_factors.check(work, user_id, body.totp, cause, at_home=False)
            if isinstance(made, Rejected):
                return made
            codes.use(work, row, body.code, entering.token.session_id)
            return entries.begin(work, entering, user_id, entry, peer, cause, fits=None), entry, made

        try:
            done = (await self.store.transact(begin)).result
        except (signed_in.Deactivated, NotFound):
            done = codes.Left()
        if isinstance(done, Rejected):
            raise self._refused(done, peer, whose)
        user, entry, recovery_codes = done
        return await entries.answer(entering, user, entry, recovery_codes)

    async def close(self) -> None:
        if self.provider is not None:
            await self.provider.close()

    def health(self) -> dict[str, Any]:
        """Where people sign in."""
        provided = "" if self.provider is None else f" or at {self.provider.configuration.issuer}"
        return {"signIn": f"passwords{provided}"}

    def troubles(self) -> tuple[Trouble, ...]:
        if self.provider is None or not self.provider.is_failing:
            return ()
        return (Trouble(culprit="sign-in", problem="the identity provider does not answer", effect=Effect.WARNING),)

    def _refused(self, error: Rejected, peer: Peer, whose: UUID | None = None) -> Rejected:
        """The same, once it is on its way to the audit, if it is for that."""
        match error:
            case NotLetIn():
                self.refusals.of_sign_in(error.account.bytes, error.user_id, error.reason, peer)
            case BadToken() | CodeRefused() | GroupsNotTold() | NotBegunHere() | codes.BadCode() | WrongPassword():
                self.refusals.of_sign_in(whose.bytes if whose else _NOBODYS, whose, error.reason, peer)
        return error

    def _given(self) -> tuple[Provider, People]:
        if self.provider is None or self.people is None:
            raise NotFound("there is no identity provider here: sign in with your password")
        return self.provider, self.people

    async def _who(self, pending: Pending, body: OidcReturn) -> Identity:
        provider, _ = self._given()
        configuration = provider.configuration
        async with provider.turn():
            metadata = await provider.metadata()
            if body.iss not in ((configuration.issuer,) if metadata.says_iss else (None, configuration.issuer)):
                raise BadToken("another provider has sent the browser back")
            if not body.code:
                raise CodeRefused
            redeemed = await provider.redeem(body.code, pending.verifier)
            key = await provider.key(header_of(redeemed.id_token))
            expected = Expected(configuration.issuer, configuration.client_id, pending.nonce, redeemed.access_token)
            claims = claims_of(redeemed.id_token, key, expected, self.clock.now())
            told = await self._told_elsewhere(provider, claims, redeemed)
        return identity_of(together(claims, told), configuration.groups_claim)

    async def _told_elsewhere(
        self, provider: Provider, claims: Mapping[str, Any], redeemed: Redeemed
    ) -> Mapping[str, Any]:
        """What the ID token leaves out: some providers tell addresses and groups to whoever asks for them alone."""
        configuration = provider.configuration
        complete = "email" in claims and (not configuration.groups or configuration.groups_claim in claims)
        if complete or redeemed.access_token is None:
            return {}
        told = await provider.userinfo(redeemed.access_token)
        if told and told.get("sub") != claims["sub"]:
            raise BadToken("what is told elsewhere is told of somebody else")
        return told

    async def _admitted(self, pending: Pending, who: Identity) -> str:
        _, people = self._given()

        def admit(work: Work) -> str:
            return codes.issue(work, people.admit(work, who), pending, several_factors=who.several_factors)

        return (await self.store.transact(admit)).result


def _to_app(pending: Pending, **said: str) -> OidcReturned:
    joint = "&" if "?" in pending.redirect_uri else "?"
    return OidcReturned(location=f"{pending.redirect_uri}{joint}{urlencode(said)}")
