"""Making one's account by an invite, and being signed in by that on the device that is named."""

from __future__ import annotations

from dataclasses import dataclass

from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from libs.contracts.invites import Register, RegisteredView
from libs.contracts.requests import Invalid, NotFound, Unauthenticated
from services.auth import entities, signed_in
from services.auth.entries import Entries, Entry
from services.auth.invitations import Invitations, Joined
from services.auth.lost_factors import locked
from services.auth.second_factors import SecondFactors

_OF_A_DEVICE = ("device_name", "push_token", "platform", "device_key")


@dataclass(frozen=True)
class Joining:
    """The account is made first, by itself: a session that does not begin takes nothing of it back.

    Whoever did not hear the answer says it again, and is signed in by that.
    """

    store: Store
    invitations: Invitations
    entries: Entries
    second_factors: SecondFactors

    async def register(self, body: Register, peer: Peer) -> RegisteredView:
        """As `Invitations.register`, and with a session on their device, if they name it.

        Raises:
            Invalid: with the field at fault, of the device too; the link stays good.
        """
        entry = _entry(body)
        if entry is not None:
            self.entries.check(entry)
        joined = await self.invitations.register(body, peer)
        if entry is None:
            return _view(joined.user)
        return await self._signed_in(joined, entry, peer)

    async def _signed_in(self, joined: Joined, entry: Entry, peer: Peer) -> RegisteredView:
        user_id, entering = joined.user.id, await self.entries.prepare(entry.key)

        def begin(work: Work) -> UserView | None:
            if self.second_factors.is_asked_for(work, locked(work, user_id)):
                return None
            cause = entities.begun_by(work, user_id, peer)
            return self.entries.begin(work, entering, user_id, entry, peer, cause, fits=joined.fits)

        try:
            user = (await self.store.transact(begin)).result
        except (signed_in.Deactivated, signed_in.TooManyDevices, NotFound, Unauthenticated):
            user = None  # said again, long after: they sign in, and are told why not
        if user is None:
            return _view(joined.user)
        made = await self.entries.answer(entering, user, entry)
        return _view(user).model_copy(update={"tokens": made.tokens, "device_credential": made.device_credential})


def _entry(body: Register) -> Entry | None:
    """Raises Invalid."""
    if body.device_id is not None:
        return Entry.of(body, body.device_id)
    if any(getattr(body, name) is not None for name in _OF_A_DEVICE if name in body.model_fields_set):
        raise Invalid("is needed with what else is said of the device", field="deviceId")
    return None


def _view(user: UserView) -> RegisteredView:
    return RegisteredView(**dict(user))
