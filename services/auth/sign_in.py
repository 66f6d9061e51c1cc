"""Signing in and staying signed in: bcrypt and signatures are made outside the transactions that they decide."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from libs.chassis.requests.callers import Caller, RolesAreOthers
from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import Login, Refresh, SignedInView, Tokens, UserView
from libs.contracts.envelope import Actor
from libs.contracts.requests import Rejected, Unauthenticated
from services.auth import known_devices, proofs, renewal, signed_in
from services.auth.attempts import LOCKED, Attempt, Attempts, Left, WrongPassword
from services.auth.credentials import Credentials, credentials_of
from services.auth.domain.sessions import Where
from services.auth.domain.text import check_text
from services.auth.entries import Entries, Entry
from services.auth.guesses import LockedOut, Seen
from services.auth.pace import Pace
from services.auth.passwords import Passwords
from services.auth.second_factors import SecondFactors
from services.auth.tokens import RefreshToken

HELD: Final = timedelta(minutes=1)
"""What the gateway would have said to strangers: its brake counts minutes."""


@dataclass
class SignIns:
    store: Store
    passwords: Passwords
    attempts: Attempts
    second_factors: SecondFactors
    entries: Entries
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
        entry = Entry.of(body, body.device_id)
        device = await self._proven(body, entry)
        if peer.held and device is None:
            raise LockedOut(HELD)
        guesses = self.attempts.guesses
        target = guesses.at(body.email, peer) if device is None else guesses.by_device(body.email, device)

        def look(work: Work) -> tuple[Credentials | None, Seen]:
            known = credentials_of(work, body.email)
            return known, guesses.look(work, target, known.changed_at if known is not None else None)

        known, seen = await self.store.read(look)
        at_home = device is not None or peer.known or seen.familiar
        attempt = Attempt(target, known, at_home=at_home, peer=peer, captcha=body.captcha)
        if seen.wait:
            self.attempts.refused(attempt, LOCKED)
            raise LockedOut(seen.wait)  # before it takes a place of somebody who may be right
        hashing = partial(self._verified, body.password, known, stranger=not attempt.at_home)

        async with self.attempts.looked_at(attempt, hashing) as (person, begun):
            entering = await self.entries.prepare(entry.key)

            def begin(work: Work) -> tuple[UserView, tuple[str, ...]] | Rejected:
                cause = work.begin(Actor.user(person.user.id))
                codes = self.second_factors.check(work, person.user.id, body.totp, cause, at_home=attempt.at_home)
                if isinstance(codes, Rejected):
                    return codes
                user = self.entries.begin(work, entering, person.user.id, entry, peer, cause, fits=person.password_hash)
                guesses.right(work, target, begun)
                return user, codes

            try:
                made = (await self.store.transact(begin)).result
            except signed_in.Deactivated:
                raise Left from None
            if isinstance(made, Rejected):
                raise made
        user, codes = made
        return await self.entries.answer(entering, user, entry, codes)

    async def refresh(self, body: Refresh, peer: Peer) -> Tokens:
        """New tokens for a refresh token, which is used up by this (`renewal.GRACE`).

        Raises:
            Unauthenticated: it is not good.
            BadProof: its session is bound to a device's key, and there is no fresh proof by it.
            TooOften: it is, and is used up by nothing.
        """
        refused = Unauthenticated("the refresh token is not valid: sign in again")
        shown = RefreshToken.parse(body.refresh_token)
        if shown is None:
            raise refused
        following = shown.next(self.entries.refresh_key())
        seen_from = shown.seen_from(self.entries.refresh_key(), peer.network)

        def renew(work: Work) -> renewal.Renewed | None:
            where = Where(peer.address, peer.agent)
            asked = renewal.Asked(shown, body.device_id, seen_from, peer.network, where, body.proof, body.by_cookie)
            until = work.now + self.entries.refresh_lifetime
            return renewal.renew(work, asked, following, until, self._pace, self.attempts.notices)

        renewed = (await self.store.transact(renew)).result
        if renewed is None:
            raise refused
        if renewed.first:
            self._pace.passed(renewed.session_id, self.entries.clock.now())
        now, until = self.entries.clock.now(), renewed.expires_at
        return await self.entries.access.beside(
            following, renewed.user, body.device_id, now, until=until, is_web=body.by_cookie
        )

    async def check(self, caller: Caller) -> Caller:
        """Raises Unauthenticated for a caller whose session is over, whom nobody knows (any more), or with other roles.

        The other services follow what is published of that; here it is looked up, so that not a moment lies between.
        """
        version = await self.store.read(lambda work: signed_in.roles_version(work, caller))
        if version is None:
            raise Unauthenticated("the session is over: sign in again")
        if caller.version < version:
            raise RolesAreOthers
        return caller

    async def close(self) -> None:
        """Return when every refusal is recorded."""
        await self.attempts.close()
        self.passwords.close()

    async def _proven(self, body: Login, entry: Entry) -> bytes | None:
        """The name of the key of a device that they have signed in on before, if it has shown that it is there.

        Whatever is wrong with its proof makes a stranger of it, and nothing worse.
        """
        if entry.key is None:
            return None
        key = entry.key
        try:
            shown = proofs.read(body.proof, key, body.email)

            def spend(work: Work) -> bytes | None:
                known = credentials_of(work, body.email)
                if not known_devices.is_known(work, known.user.id if known is not None else None, key):
                    return None
                proofs.spend(work, shown, work.now + known_devices.KNOWN)
                return proofs.thumbprint(key)

            return (await self.store.transact(spend)).result
        except proofs.BadProof:
            return None

    async def _verified(self, password: str, known: Credentials | None, *, stranger: bool) -> Credentials:
        """The same work for nobody's address. Raises WrongPassword, or Left."""
        stored = known.password_hash if known is not None else None
        right = await self.passwords.verify(password, stored, stranger=stranger)
        if known is None or not right:
            raise WrongPassword
        if not known.user.is_active:
            raise Left
        return known
